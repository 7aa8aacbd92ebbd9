"""The money case of domain.md §2.11, from DuckDB and SQLite to the verdict."""

from __future__ import annotations

from pathlib import Path

import pytest

from campanile.report.files import write_readout
from campanile.report.jsonable import jsonable
from campanile.report.readout import Readout
from readout.readout_world import AFTER, DUE, ENDS, golden, read


@pytest.fixture(scope="module")
def readout(tmp_path_factory: pytest.TempPathFactory) -> Readout:
    return read(golden(tmp_path_factory.mktemp("golden")).build())


def test_rates_and_difference(readout: Readout) -> None:
    found = readout.against_control("response_rate")[0]
    assert found.mean_treatment == pytest.approx(0.033)
    assert found.mean_control == pytest.approx(0.022)
    assert found.difference == pytest.approx(0.011)
    assert (round(found.low, 4), round(found.high, 4)) == (0.0027, 0.0179)
    assert round(found.p_value, 4) == 0.0109
    assert found.interval_method == "newcombe"
    assert found.p_method == "pooled z"


def test_money(readout: Readout) -> None:
    paid = readout.economics[0]
    assert paid.incremental_responders == pytest.approx(88)
    assert paid.incremental_margin == pytest.approx(1_196_800)
    assert paid.incremental_profit == pytest.approx(1_106_800)
    assert (paid.cost, paid.cost_full) == (90_000, 490_000)
    assert round(paid.roi_media, 2) == 12.30
    assert round(paid.roi, 2) == 2.26
    assert round(paid.cost_per_incremental_order) == 1023
    assert paid.claimed_without_control == pytest.approx(3_078_000)
    margins = {arm.arm: arm.metrics["margin_per_customer"].mean for arm in readout.arms}
    assert margins == {"control": pytest.approx(246.4), "treatment": pytest.approx(396.0)}


def test_verdict(readout: Readout) -> None:
    assert readout.verdict.decision == "roll_out"
    assert readout.verdict.sentence.startswith("The campaign earned 11,068 CNY after all costs (95% interval ")
    assert "3.30% of its customers responded, 2.20% of control" in readout.verdict.sentence
    assert [check.name for check in readout.trust.checks if check.passed is False] == ["power"]
    assert {guard.state for guard in readout.guards} == {"kept"}
    assert readout.deviations == ()


def test_json_has_money_in_major_units(readout: Readout) -> None:
    values = jsonable(readout)
    assert values["experiment"] == "winback"
    assert values["currency"] == "CNY"
    assert values["economics"][0]["incremental_profit"] == pytest.approx(11_068)
    assert values["economics"][0]["cost_per_incremental_order"] == pytest.approx(10.2273, abs=1e-4)
    margin = next(found for found in values["comparisons"] if found["metric"] == "margin_per_customer")
    assert margin["difference"] == pytest.approx(1.496)
    control = values["arms"][0]
    assert (control["arm"], control["n"]) == ("control", 2000)
    assert control["metrics"]["response_rate"] == {
        "mean": 0.022,
        "sum": 44,
        "variance": pytest.approx(0.022 * 0.978 * 2000 / 1999),
    }
    assert control["metrics"]["revenue_per_customer"]["sum"] == pytest.approx(12_320)


def test_declared_metrics_come_first(readout: Readout) -> None:
    assert [found.metric for found in readout.comparisons] == [
        "response_rate",
        "margin_per_customer",
        "orders_per_customer",
        "revenue_per_customer",
        "profit_per_customer",
    ]


def test_curve_ends_at_the_responders(readout: Readout) -> None:
    by_arm = {curve.arm: curve.responders for curve in readout.curves}
    assert {arm: (len(days), days[-1]) for arm, days in by_arm.items()} == {"control": (30, 44), "treatment": (30, 264)}


def test_same_stores_give_the_same_files(tmp_path: Path) -> None:
    project = golden(tmp_path / "shop").build()
    folders = [tmp_path / name for name in ("first", "second")]
    for folder in folders:
        names = [path.name for path in write_readout(read(project), folder)]
        assert names == ["readout.html", "readout.md", "readout.json", "comparisons.csv", "evidence.json"]
    first, second = (
        {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*.*")} for folder in folders
    )
    assert first == second


@pytest.fixture(scope="module")
def early(tmp_path_factory: pytest.TempPathFactory) -> Readout:
    return read(golden(tmp_path_factory.mktemp("early")).build(), now=ENDS.replace(hour=2, minute=29))


class TestBeforeTheWindowEnds:
    """Delivery and guards only: looking early finds effects that are not there."""

    def test_no_verdict_and_the_reason(self, early: Readout) -> None:
        assert early.verdict.decision == "no_verdict"
        assert early.verdict.reasons == ("the window ends on 2026-04-04 10:30",)
        assert early.verdict.sentence == "No verdict yet: the window ends on 2026-04-04 10:30 (Asia/Shanghai)."

    def test_no_effect_is_in_it(self, early: Readout) -> None:
        assert (early.comparisons, early.economics, early.curves) == ((), (), ())
        assert all(arm.metrics is None for arm in early.arms)
        nothing = {"mean": None, "sum": None, "variance": None}
        assert [arm["metrics"] for arm in jsonable(early)["arms"]] == [{"response_rate": nothing}] * 2

    def test_nothing_of_control_leaks_through_the_checks(self, early: Readout) -> None:
        open_checks = {check.name for check in early.trust.checks if check.passed is None}
        assert open_checks == {"orders_current", "control_buyers", "baseline", "balance"}
        assert "44" not in " ".join(check.detail for check in early.trust.checks)

    def test_delivery_and_guards_are_there(self, early: Readout) -> None:
        assert early.delivery[0].states["accepted"] == 8000
        assert len(early.guards) == 2

    def test_the_last_second_decides(self, tmp_path: Path) -> None:
        project = golden(tmp_path).build()
        assert read(project, now=ENDS).verdict.decision == "roll_out"
        assert read(project, now=DUE).verdict.decision == "no_verdict"
        assert read(project, now=AFTER).setting.ended
