"""Metrics of a shop's own: defined once, measured in the window of each experiment, registered with the plan."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path

import pytest

from campanile.errors import CampanileError
from campanile.readout.evidence import read_again
from campanile.report.compose import document
from campanile.report.files import write_readout
from campanile.report.jsonable import jsonable
from campanile.report.markdown import markdown
from campanile.report.readout import Readout
from campanile.spec.project import load_project
from readout.readout_world import DUE, FILES, World, read

METRICS = """\
complained_much: {of: ticket, where: {kind: complaint}, take: count}
asked_help: {of: ticket, take: any}
sent_back: {of: returned, take: sum amount}
"""
EXPERIMENT = FILES["experiments/winback.yaml"].replace(
    "secondary: [margin_per_customer]", "secondary: [margin_per_customer, complained_much, asked_help, sent_back]"
)
DAY = timedelta(days=1)


def world(root: Path, experiment: str = EXPERIMENT, metrics: str = METRICS) -> World:
    """Of 200 in control 4 opened a ticket, one of them two complaints; of 800 treated 40 did, all complaints."""
    control = [("con00000", "complaint", DAY), ("con00000", "complaint", 2 * DAY)]
    control += [(f"con0000{number}", "question", DAY) for number in range(1, 4)]
    treated = [(f"tre{number:05d}", "complaint", 3 * DAY) for number in range(40)]
    outside = [("con00100", "complaint", -DAY), ("tre00700", "complaint", 30 * DAY)]
    found = World(
        root,
        {"control": 200, "treatment": 800},
        tickets=[*control, *treated, *outside],
        returned=[("O1", "tre00001", 250, 5 * DAY), ("O1", "tre00001", 50, 6 * DAY)],
        files={**FILES, "experiments/winback.yaml": experiment, "experiments/metrics.yaml": metrics},
    )
    found.buy("control", [30_000] * 10)
    found.buy("treatment", [30_000] * 60)
    return found


@pytest.fixture(scope="module")
def readout(tmp_path_factory: pytest.TempPathFactory) -> Readout:
    return read(world(tmp_path_factory.mktemp("own")).build())


def test_figures_are_those_of_the_events_in_the_window(readout: Readout) -> None:
    arms = {arm.arm: arm.metrics for arm in readout.arms}
    totals = {(arm, metric): arms[arm][metric].total for arm in arms for metric in METRICS_NAMES}
    assert totals == {
        ("control", "complained_much"): 2,
        ("treatment", "complained_much"): 40,
        ("control", "asked_help"): 4,
        ("treatment", "asked_help"): 40,
        ("control", "sent_back"): 0,
        ("treatment", "sent_back"): 300,
    }


METRICS_NAMES = ("complained_much", "asked_help", "sent_back")


def test_a_rate_is_compared_as_one(readout: Readout) -> None:
    found = next(found for found in readout.comparisons if found.metric == "asked_help")
    assert (found.kind, found.interval_method) == ("rate", "newcombe")
    assert (found.mean_control, found.mean_treatment) == (0.02, 0.05)
    counted = next(found for found in readout.comparisons if found.metric == "complained_much")
    assert (counted.kind, counted.mean_control, counted.mean_treatment) == ("money", 0.01, 0.05)


def test_amounts_are_printed_in_the_currency_and_counts_as_counts(readout: Readout) -> None:
    values = {found["metric"]: found for found in jsonable(readout)["comparisons"]}
    assert values["sent_back"]["mean_treatment"] == pytest.approx(3 / 800)
    assert values["complained_much"]["mean_treatment"] == pytest.approx(0.05)
    text = markdown(document(readout))
    assert "| Asked help | 5.00% | 2.00% | +3.00 points |" in text
    assert "asked help (of: ticket, take: any)" in text


def test_an_own_metric_may_judge(tmp_path: Path) -> None:
    text = EXPERIMENT.replace("response_rate, window: 30d, baseline: 2%, expect: 3%", "asked_help, window: 30d")
    text = text.replace(", asked_help, sent_back]", "]")
    found = read(world(tmp_path, text).build())
    assert found.setting.primary == "asked_help"
    assert found.comparisons[0].metric == "asked_help"


def test_the_registered_words_judge(tmp_path: Path) -> None:
    """A metric that is defined anew after the first send is read as it was registered, and the change is told."""
    shop = world(tmp_path)
    project = shop.build()
    (tmp_path / "experiments/metrics.yaml").write_text(METRICS.replace("of: ticket, take: any", "of: order, take: any"))
    found = read(load_project(tmp_path, home=project.home))
    metrics = {arm.arm: arm.metrics["asked_help"].total for arm in found.arms}
    assert metrics == {"control": 4, "treatment": 40}
    assert any("asked_help" in deviation.key for deviation in found.deviations)


def test_computed_again_without_the_database(readout: Readout, tmp_path: Path) -> None:
    write_readout(readout, tmp_path)
    assert jsonable(read_again(tmp_path / "evidence.json")) == jsonable(readout)


def test_a_table_that_the_shop_lacks_is_a_sentence(tmp_path: Path) -> None:
    text = EXPERIMENT.replace(", asked_help, sent_back]", ", visits]")
    project = world(tmp_path, text, METRICS + "visits: {of: visited, take: count}\n").build()
    with pytest.raises(CampanileError, match='counts "visited", and the customer database has no such table'):
        read(project, DUE + 31 * DAY)


@pytest.mark.parametrize(
    ("metrics", "said"),
    [
        ("response_rate: {of: order, take: any}", "response_rate is a metric of the product"),
        ("visits: {of: visited}", "visits does not say of which event it takes what"),
        ("visits: visited", "visits does not say of which event it takes what"),
        ("visits: {of: visited, in: 30d, take: count}", "visits has a window, which is that of the experiment"),
        ("visits: {of: visited, take: gap}", 'an experiment cannot take "gap"'),
        ("visits: {of: visitd, take: any}", 'did you mean "visited"'),
        ("visits: {of: visited, take: sum channel}", "sum needs a number"),
        ("visits: {of: visited, take: any, wher: {channel: web}}", '"wher"'),
        ("Visits!: {of: visited, take: any}", "Visits!"),
    ],
)
def test_wrong_definitions_are_sentences_with_file_and_line(tmp_path: Path, metrics: str, said: str) -> None:
    from campanile.spec.check import check_project

    for name, text in {**FILES, "experiments/metrics.yaml": f"# shared\n{metrics}\n"}.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    problems = [str(problem) for problem in check_project(tmp_path).problems]
    assert any(problem.startswith("experiments/metrics.yaml:2: ") and said in problem for problem in problems), problems
    assert "winback" in load_project(tmp_path).campaigns


def test_a_metric_that_nobody_defined_is_told_with_what_was_meant(tmp_path: Path) -> None:
    broken = EXPERIMENT.replace("asked_help, ", "ask_help, ")
    for name, text in {**FILES, "experiments/winback.yaml": broken, "experiments/metrics.yaml": METRICS}.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    (problem,) = load_project(tmp_path).broken["winback"]
    assert 'no metric "ask_help"' in str(problem)
    assert "asked_help" in str(problem)


def test_only_the_metrics_that_are_read_are_registered(tmp_path: Path) -> None:
    text = EXPERIMENT.replace(", asked_help, sent_back]", "]")
    found = read(world(tmp_path, text).build())
    assert found.evidence is not None
    assert list(json.loads(json.dumps(found.evidence))["spec"]["own_metrics"]) == ["complained_much"]
