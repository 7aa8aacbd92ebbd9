"""Small, empty and many-armed waves: figures where there are any, sentences where there are none."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from campanile.errors import CampanileError
from campanile.events import CONTROL
from campanile.readout import read_out
from campanile.report.files import write_readout
from campanile.report.jsonable import jsonable
from campanile.report.readout import Readout
from campanile.spec.project import Project
from readout.readout_world import AFTER, FILES, World, read, stores


def three_arms(root: Path, compare: str = "") -> World:
    files = dict(FILES)
    files["experiments/winback.yaml"] = (
        files["experiments/winback.yaml"].replace("treatment: 80%", "small: 40%, large: 40%") + compare
    )
    files["campaigns/winback.yaml"] += "arms: {small: {}, large: {offer: {kind: coupon, amount: 80}}}\n"
    world = World(root, {CONTROL: 600, "small": 1200, "large": 1200}, returned=[], unsubscribed=[], files=files)
    world.buy(CONTROL, [20_000] * 40)
    world.buy("small", [20_000] * 100)
    world.buy("large", [20_000] * 190)
    return world


def test_a_over_a_without_an_effect_says_so(tmp_path: Path) -> None:
    world = World(tmp_path, {CONTROL: 100, "treatment": 400})
    world.buy(CONTROL, [10_000] * 4)
    world.buy("treatment", [10_000] * 16)
    readout = read(world.build())
    found = readout.against_control("response_rate")[0]
    assert found.difference == pytest.approx(0)
    assert found.low < 0 < found.high
    assert found.p_method == "Fisher exact"
    assert readout.verdict.decision == "extend"
    assert readout.verdict.sentence.startswith("Not decided yet. By the best estimate the campaign lost 520.00 CNY")
    write_readout(readout, tmp_path / "out")


def test_nobody_bought_in_control(tmp_path: Path) -> None:
    world = World(tmp_path, {CONTROL: 100, "treatment": 400})
    world.buy("treatment", [10_000] * 9)
    readout = read(world.build())
    found = readout.against_control("response_rate")[0]
    assert (found.lift, found.lift_low) == (None, None)
    assert found.low < 0
    json.dumps(jsonable(readout), allow_nan=False)
    write_readout(readout, tmp_path / "out")


def test_nobody_bought_at_all(tmp_path: Path) -> None:
    readout = read(World(tmp_path, {CONTROL: 100, "treatment": 400}).build())
    assert readout.verdict.decision == "no_verdict"
    paid = readout.economics[0]
    assert paid.incremental_profit == pytest.approx(-52_000)
    assert (paid.profit_low, paid.roi_low, paid.cost_per_incremental_order) == (None, None, None)
    write_readout(readout, tmp_path / "out")


def test_two_customers_in_an_arm_are_read_and_one_is_not(tmp_path: Path) -> None:
    write_readout(read(World(tmp_path / "two", {CONTROL: 2, "treatment": 8}).build()), tmp_path / "out")
    with pytest.raises(CampanileError, match="arm control of winback has fewer than two customers"):
        read(World(tmp_path / "one", {CONTROL: 1, "treatment": 4}).build())
    with pytest.raises(CampanileError, match="arm control of winback has fewer than two customers"):
        read(World(tmp_path / "none", {CONTROL: 0, "treatment": 4}).build())


@pytest.fixture(scope="module")
def readout(tmp_path_factory: pytest.TempPathFactory) -> Readout:
    root = tmp_path_factory.mktemp("arms")
    return read(three_arms(root, "compare: [[large, small], [small, control]]\n").build())


class TestThreeArms:
    def test_declared_pairs_only_and_holm_over_them(self, readout: Readout) -> None:
        rates = [found for found in readout.comparisons if found.metric == "response_rate"]
        assert [(found.treatment, found.control) for found in rates] == [("large", "small"), ("small", "control")]
        smaller, larger = sorted(rates, key=lambda found: found.p_value)
        assert smaller.p_adjusted == pytest.approx(2 * smaller.p_value)
        assert larger.p_adjusted == pytest.approx(max(larger.p_value, smaller.p_adjusted))

    def test_every_treatment_is_judged_against_control(self, readout: Readout) -> None:
        assert [paid.treatment for paid in readout.economics] == ["small", "large"]
        assert (readout.verdict.decision, readout.verdict.arm) == ("roll_out", "large")

    def test_fixed_cost_is_shared_by_customers_treated(self, readout: Readout) -> None:
        assert [paid.cost for paid in readout.economics] == [pytest.approx(25_000 + 6_000)] * 2

    def test_profit_between_arms_counts_both_contact_costs(self, readout: Readout) -> None:
        found = next(it for it in readout.comparisons if it.metric == "profit_per_customer" and it.control == "small")
        assert found.mean_treatment == pytest.approx(0.4 * 190 * 20_000 / 1200 - 5)
        assert found.mean_control == pytest.approx(0.4 * 100 * 20_000 / 1200 - 5)
        assert found.difference == pytest.approx(found.mean_treatment - found.mean_control)

    def test_rules_are_judged_with_a_share_of_the_doubt(self, readout: Readout) -> None:
        """With two treatments both the rule and the money have limits of 97.5%, below that of the 95% interval."""
        small = next(paid for paid in readout.economics if paid.treatment == "small")
        shown = (small.profit_low + 25_000) / 1200  # per customer, before fixed cost
        told = next(reason for reason in readout.verdict.reasons if reason.startswith("small: “profit"))
        judged = float(told.rsplit("limit is ", 1)[1].removesuffix(" CNY.").replace("−", "-")) * 100
        assert judged == pytest.approx(shown, abs=0.5)
        margin = next(found for found in readout.comparisons if found.metric == "margin_per_customer")
        assert (margin.treatment, margin.control, margin.alpha) == ("large", "small", 0.05)
        assert small.alpha == 0.025
        assert "(97.5% interval " in readout.verdict.sentence
        assert ", corrected for 2 arms)" in readout.verdict.sentence


def test_campaign_that_was_never_planned(tmp_path: Path) -> None:
    project: Project = World(tmp_path, {CONTROL: 2, "treatment": 8}).build()
    with stores(project) as (database, ledger), pytest.raises(CampanileError, match="spring was never planned"):
        read_out(project, "spring", database=database, ledger=ledger, now=AFTER)


def test_shop_without_orders_says_how_to_import_them(tmp_path: Path) -> None:
    project = World(tmp_path, {CONTROL: 2, "treatment": 8}).build()
    with stores(project) as (database, ledger):
        database.ibis.drop_table("order")
        with pytest.raises(CampanileError, match='no table "order"'):
            read_out(project, "winback", database=database, ledger=ledger, now=AFTER)


def test_reading_needs_no_write_to_the_customer_database(tmp_path: Path) -> None:
    from campanile.customers.database import CustomerDatabase
    from campanile.ledger.store import Ledger

    project = World(tmp_path, {CONTROL: 100, "treatment": 400}).build()
    with CustomerDatabase.open(project, read_only=True) as database, Ledger.open(project.ledger_path) as ledger:
        readout = read_out(project, "winback", database=database, ledger=ledger, now=AFTER)
    assert readout.arms[0].n == 100


def test_no_file_of_a_readout_names_a_customer(tmp_path: Path) -> None:
    world = World(tmp_path, {CONTROL: 100, "treatment": 400}, unsubscribed=[("tre00007", AFTER - AFTER)])
    world.buy("treatment", [10_000] * 30)
    world.states = {"tre00001": "rejected"}
    for path in write_readout(read(world.build()), tmp_path / "out"):
        text = path.read_text(encoding="utf-8")
        assert "tre000" not in text
        assert "con000" not in text
        assert "+8610" not in text
