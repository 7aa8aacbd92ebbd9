"""Before the window ends: what a registered monitoring shows, and that nothing is shown without one."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from campanile.measure.sequential import NAME
from campanile.report.compose import document
from campanile.report.jsonable import jsonable
from campanile.report.markdown import markdown
from campanile.report.readout import Readout
from campanile.spec.project import load_project
from readout.readout_world import DUE, FILES, World, read

EXPERIMENT = FILES["experiments/winback.yaml"]
MONITORED = EXPERIMENT + "monitor: always_valid\n"


def on_day(root: Path, day: int, *, experiment: str = MONITORED, buyers: tuple[int, int] = (40, 500)) -> Readout:
    world = World(root, {"control": 1000, "treatment": 4000}, files={**FILES, "experiments/winback.yaml": experiment})
    world.buy("control", [30_000] * buyers[0])
    world.buy("treatment", [30_000] * buyers[1])
    return read(world.build(), now=DUE + timedelta(days=day))


def test_monitored_wave_shows_limits_that_hold_at_every_look(tmp_path: Path) -> None:
    early = on_day(tmp_path, 20)
    (found,) = early.so_far
    assert (found.interval_method, found.metric) == (NAME, "response_rate")
    assert 0 < found.low < found.difference < found.high
    assert early.verdict.decision == "no_verdict"
    assert "more responses are shown already" in " ".join(early.verdict.reasons)
    assert early.comparisons == early.economics == early.parts == ()
    text = markdown(document(early))
    assert "The limits hold at every look together" in text
    assert jsonable(early)["so_far"][0]["low"] == found.low


def test_limits_are_wider_than_those_of_one_look(tmp_path: Path) -> None:
    (found,) = on_day(tmp_path / "a", 29).so_far
    after = on_day(tmp_path / "b", 31)
    last = next(each for each in after.comparisons if each.metric == "response_rate")
    assert found.high - found.low > 1.2 * (last.high - last.low)
    assert after.so_far == ()


def test_harm_is_told_at_once(tmp_path: Path) -> None:
    early = on_day(tmp_path, 20, buyers=(200, 80))
    assert "fewer responses are shown already. Consider stopping the send." in " ".join(early.verdict.reasons)


def test_without_monitoring_nothing_is_shown(tmp_path: Path) -> None:
    early = on_day(tmp_path, 20, experiment=EXPERIMENT)
    assert early.so_far == ()
    assert "looking early finds effects that are not there" in markdown(document(early))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda text: text.replace("baseline: 2%, expect: 3%", "expect: 3%"), "monitor wants to know how much is"),
        (
            lambda text: text.replace(
                "response_rate, window: 30d, baseline: 2%, expect: 3%", "orders_per_customer, window: 30d"
            ).replace("upper limit below 0.3 points", "upper limit below 0"),
            "orders_per_customer cannot be monitored",
        ),
        (lambda text: text + "adjust: strata\n", "adjust: strata without stratify"),
        (lambda text: text + "cuts: [city_tier, city_tier]\n", "cuts names city_tier twice"),
        (lambda text: text + "cuts: [clv_total]\n", "clv_total holds money, which has no classes"),
        (lambda text: text + "cuts: [citi_tier]\n", 'no customer field "citi_tier"'),
        (lambda text: text + "cuts: [email]\n", "email tells who a customer is"),
    ],
)
def test_what_cannot_be_is_a_sentence(tmp_path: Path, change: object, said: str) -> None:
    for name, text in {**FILES, "experiments/winback.yaml": change(MONITORED)}.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    problems = [str(problem) for problem in load_project(tmp_path).broken["winback"]]
    assert any(said in problem for problem in problems), problems
