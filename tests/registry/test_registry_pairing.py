"""Two readouts side by side: when they can be compared, by how much they differ, and what else differs."""

from __future__ import annotations

import json
import re
from datetime import timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from statsmodels.stats.proportion import confint_proportions_2indep, proportion_confint

from campanile.errors import CampanileError, UsageError
from campanile.measure.counts import Count
from campanile.measure.rates import wilson
from campanile.registry.entries import entry
from campanile.registry.pairing import Limits, difference_of, find_reading, pair, pairing_text, pairing_values
from campanile.report.files import write_readout
from campanile.spec.project import Project
from conftest import ROOT
from readout.readout_world import AFTER, ENDS, World, golden, read
from registry.registry_shop import answer, keep_elsewhere, units

ZONE = ZoneInfo("Asia/Shanghai")


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    project = golden(tmp_path_factory.mktemp("pairing")).build()
    write_readout(read(project, ENDS - timedelta(days=1)), project.readouts_dir / "winback")
    write_readout(read(project, AFTER), project.readouts_dir / "winback")
    write_readout(read(project, AFTER + timedelta(days=30)), project.readouts_dir / "winback")
    keep_elsewhere(project, "spring", units(1))
    keep_elsewhere(project, "autumn", units(2, rate=0.12), hypothesis="Mail lifts visits in autumn.")
    keep_elsewhere(project, "long", units(3), primary={"metric": "visit", "window": "30d"})
    keep_elsewhere(project, "spend", units(4), primary={"metric": "spend", "window": "14d"})
    keep_elsewhere(project, "strict", units(5), alpha="1%")
    keep_elsewhere(project, "before-after", units(6), randomised=False)
    return project


def test_the_limits_are_newcombes_where_wilsons_are_put_in() -> None:
    """An oracle nobody here wrote: of two rates, Zou and Donner's limits are Newcombe's."""
    (x, n), (y, m) = (48, 80), (56, 70)
    first, second = (Limits(a / b, *wilson(Count(a, b))) for a, b in ((x, n), (y, m)))
    assert proportion_confint(x, n, method="wilson") == pytest.approx(first[1:])
    found = difference_of(first, second)
    assert (found.low, found.high) == pytest.approx(confint_proportions_2indep(y, m, x, n, method="newcomb"), abs=1e-9)


def test_two_experiments_that_asked_the_same(project: Project) -> None:
    found = pair(find_reading(project, "spring"), find_reading(project, "autumn"))
    assert found.obstacles == ()
    first, second = (side.effect.comparison for side in found.sides if side.effect)
    assert found.effect is not None
    assert found.effect.value == pytest.approx(second["difference"] - first["difference"])
    assert found.effect.low is not None and found.effect.high is not None
    assert found.effect.low < found.effect.value < found.effect.high
    assert found.effect.low > 0, "five points more are seen among five thousand"
    paid = [side.effect.money["profit_per_unit"] for side in found.sides if side.effect and side.effect.money]
    assert found.profit is not None
    assert found.profit.value == pytest.approx(paid[1] - paid[0])
    text = pairing_text(found, ZONE)
    assert "points above that of the first (95% interval" in text
    assert "Mail lifts visits in autumn." in text
    assert "Other in the design" in text
    again = pair(*(side.reading for side in reversed(found.sides)))
    assert again.effect is not None
    assert (again.effect.low, again.effect.high) == pytest.approx((-found.effect.high, -found.effect.low))


@pytest.mark.parametrize(
    ("first", "second", "said"),
    [
        ("spring", "long", "the window is 14d in the first and 30d in the second."),
        ("spring", "spend", "the primary metric is visit in the first and spend in the second."),
        ("spring", "winback", "the primary metric is visit in the first and response_rate in the second."),
        ("spring", "before-after", "shows no effect: No effect can be claimed"),
        ("winback", "winback@20260403", "shows no effect: No verdict yet"),
    ],
)
def test_what_cannot_be_compared_is_said_and_not_computed(project: Project, first: str, second: str, said: str) -> None:
    found = pair(find_reading(project, first), find_reading(project, second))
    assert any(said in obstacle for obstacle in found.obstacles), found.obstacles
    values = pairing_values(found)
    assert (values["comparable"], values["effect_gain"], values["profit_gain"]) == (False, None, None)
    text = pairing_text(found, ZONE)
    assert "They cannot be compared" in text
    assert "above that of the first" not in text
    assert "below that of the first" not in text


def test_other_currencies_are_not_compared(project: Project, tmp_path: Path) -> None:
    other = golden(tmp_path)
    text = other.files["campanile.yaml"].replace("currency: CNY", "currency: EUR")
    other.files["campanile.yaml"] = text
    euro = other.build()
    keep_elsewhere(euro, "spring", units(1))
    found = pair(find_reading(project, "spring"), find_reading(euro, "spring"))
    assert found.obstacles == ("the currency is CNY in the first and EUR in the second.",)


def test_intervals_at_other_levels_give_no_interval(project: Project) -> None:
    found = pair(find_reading(project, "spring"), find_reading(project, "strict"))
    assert found.effect is not None
    assert (found.effect.low, found.effect.high) == (None, None)


def test_two_readings_of_one_experiment_have_no_interval(project: Project) -> None:
    late, early = find_reading(project, "winback"), find_reading(project, "winback@20260404")
    found = pair(early, late)
    assert found.same_experiment
    assert found.effect == Limits(0.0, None, None)
    assert "Both are of the same customers" in pairing_text(found, ZONE)


def test_readings_by_the_beginning_of_their_name(project: Project) -> None:
    names = [reading.name for reading in entry(project, "winback").readings]
    assert find_reading(project, f"winback@{names[1]}").name == names[1]
    assert find_reading(project, "winback").name == names[2]
    keep_elsewhere(project, "a@b", units(7))
    assert find_reading(project, "a@b").experiment == find_reading(project, "a@b@2").experiment == "a@b"
    with pytest.raises(UsageError, match="several readouts of winback begin with 2026; known: "):
        find_reading(project, "winback@2026")
    with pytest.raises(UsageError, match='no readout of winback begins with "1999"'):
        find_reading(project, "winback@1999")
    with pytest.raises(UsageError, match="these two are one readout"):
        pair(find_reading(project, "winback"), find_reading(project, f"winback@{names[2]}"))


def test_what_was_never_read_cannot_be_compared(tmp_path: Path) -> None:
    with pytest.raises(CampanileError, match="winback was never read; run `campanile readout winback`"):
        find_reading(World(tmp_path, {"control": 10, "treatment": 40}).build(), "winback")


def test_the_command_answers_in_json(project: Project) -> None:
    found = answer(project, "experiments", "compare", "spring", "autumn")
    assert found["comparable"] is True
    assert [side["experiment"] for side in found["sides"]] == ["spring", "autumn"]
    assert {"label": "Hypothesis", "first": "Mail lifts visits.", "second": "Mail lifts visits in autumn."} in found[
        "design_differs"
    ]


def test_the_commands_print_what_the_page_shows(project: Project, tmp_path: Path) -> None:
    page = (ROOT / "docs" / "reference" / "json.md").read_text(encoding="utf-8")
    section = page.split("## campanile experiments\n")[1].split("\n## ")[0]
    _, *shown = (json.loads(block) for block in re.findall(r"```json\n(.*?)```", section, re.DOTALL))
    printed = (
        ("show", "winback"),
        ("compare", "spring", "autumn"),
        ("export", str(tmp_path / "out.csv")),
        ("page",),
    )
    for documented, words in zip(shown, printed, strict=True):
        found = answer(project, "experiments", *words)
        assert set(documented) == set(found)
        for key in ("design", "effect_gain"):
            assert set(documented.get(key, ())) == set(found.get(key, ()))
        for key in ("versions", "sides"):
            assert set((documented.get(key) or [()])[0]) == set((found.get(key) or [()])[0])
