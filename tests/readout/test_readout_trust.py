"""Each check finds what it is for, and its failure does to the verdict what it says."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from campanile.events import CONTROL
from campanile.report.readout import Check, Readout
from readout.readout_world import DUE, Order, World, golden, read, stores


def small(root: Path) -> World:
    """A world that passes every check that counts, and pays."""
    world = World(root, {CONTROL: 400, "treatment": 1600}, returned=[], unsubscribed=[])
    world.buy(CONTROL, [20_000] * 32)
    world.buy("treatment", [20_000] * 260)
    world.pre_orders = {
        customer: number % 3 for arm in world.arms for number, customer in enumerate(world.customers(arm))
    }
    return world


def check(readout: Readout, name: str) -> Check:
    return next(found for found in readout.trust.checks if found.name == name)


def test_small_world_passes(tmp_path: Path) -> None:
    readout = read(small(tmp_path).build())
    assert [found.name for found in readout.trust.checks if not found.passed] == ["power", "baseline"]
    assert readout.verdict.decision == "roll_out"


def test_arms_of_another_size_than_registered(tmp_path: Path) -> None:
    world = small(tmp_path)
    world.arms = {CONTROL: 520, "treatment": 1600}
    readout = read(world.build())
    assert readout.trust.srm is not None
    assert readout.trust.srm.alarm
    assert readout.verdict.decision == "no_verdict"
    assert readout.verdict.reasons[0].startswith("Arm sizes as planned: control 520 (planned 424)")


def test_arm_that_was_never_registered(tmp_path: Path) -> None:
    world = small(tmp_path)
    world.arms["other"] = 50
    readout = read(world.build())
    assert readout.trust.srm is None
    assert check(readout, "srm").detail == "arm other was never planned."
    assert readout.verdict.decision == "no_verdict"


def test_message_for_control(tmp_path: Path) -> None:
    world = small(tmp_path)
    world.messages_for_control = 3
    readout = read(world.build())
    assert check(readout, "control_untouched").passed is False
    assert "3 messages were for customers of control" in readout.verdict.sentence


def test_snapshot_that_was_changed(tmp_path: Path) -> None:
    project = small(tmp_path).build()
    path = project.snapshots_dir / "winback" / "s.parquet"
    pq.write_table(pq.read_table(path), path, compression="gzip")
    readout = read(project)
    assert check(readout, "snapshot_intact").passed is False
    assert readout.verdict.decision == "no_verdict"


def test_sent_without_registration(tmp_path: Path) -> None:
    world = small(tmp_path)
    world.registered = False
    readout = read(world.build())
    assert check(readout, "registered_first").passed is False
    assert readout.verdict.decision == "no_verdict"
    assert readout.setting.registered_at is None


def test_orders_that_end_before_the_window(tmp_path: Path) -> None:
    world = small(tmp_path)
    world.orders = [order for order in world.orders if order.after < timedelta(days=24)]
    readout = read(world.build())
    assert check(readout, "orders_current").passed is False
    assert "import the orders since" in readout.verdict.sentence


def test_a_response_that_dies_away_is_no_missing_import(tmp_path: Path) -> None:
    """Six a day in the month, one a day in its last week, three days without any."""
    world = World(tmp_path, {CONTROL: 400, "treatment": 1600})
    days = [0] * 150 + [*range(20, 28)]
    world.orders = [Order(f"tre{number:05d}", 100, timedelta(days=day)) for number, day in enumerate(days)]
    assert check(read(world.build()), "orders_current").passed is True


def test_few_orders_may_leave_a_gap(tmp_path: Path) -> None:
    world = World(tmp_path, {CONTROL: 400, "treatment": 1600})
    world.buy(CONTROL, [100] * 3)
    world.orders = [order for order in world.orders if order.after < timedelta(days=20)]
    assert check(read(world.build()), "orders_current").passed is True


def test_shop_without_any_order(tmp_path: Path) -> None:
    readout = read(World(tmp_path, {CONTROL: 400, "treatment": 1600}).build())
    assert check(readout, "orders_current").detail == "The customer database has no order."
    assert readout.verdict.decision == "no_verdict"


def test_nothing_sent(tmp_path: Path) -> None:
    world = small(tmp_path)
    world.states = dict.fromkeys(world.customers("treatment"), "expired")
    world.registered = False
    readout = read(world.build())
    assert check(readout, "sent").passed is False
    assert check(readout, "registered_first").passed is None
    assert readout.verdict.decision == "no_verdict"


@pytest.mark.parametrize(("left", "passed"), [(80, True), (81, False)])
def test_five_in_a_hundred_may_go_missing(tmp_path: Path, left: int, passed: bool) -> None:
    world = small(tmp_path)
    world.states = dict.fromkeys(world.customers("treatment")[:left], "rejected")
    readout = read(world.build())
    assert check(readout, "sent").passed is passed
    assert readout.verdict.decision == "roll_out"
    assert dict(readout.delivery[0].reasons) == {("rejected", "why rejected"): left}


def test_messages_still_waiting(tmp_path: Path) -> None:
    world = small(tmp_path)
    world.states = {world.customers("treatment")[0]: "due"}
    project = world.build()
    assert check(read(project, now=DUE + timedelta(hours=1)), "sent").passed is None
    readout = read(project)
    assert check(readout, "sent").passed is False
    assert readout.verdict.decision == "no_verdict"
    assert "1,599 of 1,600 messages were handed over (99.94%), 1 still wait." in readout.verdict.reasons[0]


@pytest.mark.parametrize(("left", "decision"), [(80, "roll_out"), (81, "no_verdict")])
@pytest.mark.parametrize("state", ["expired", "suppressed"])
def test_a_campaign_that_was_mostly_not_sent_is_not_judged(
    tmp_path: Path, left: int, decision: str, state: str
) -> None:
    world = small(tmp_path)
    world.states = dict.fromkeys(world.customers("treatment")[:left], state)
    readout = read(world.build())
    assert readout.verdict.decision == decision
    if decision == "no_verdict":
        assert check(readout, "sent").detail.endswith("Only 94.94% of the plan was attempted.")


def test_unlike_arms_by_more_than_chance(tmp_path: Path) -> None:
    world = small(tmp_path)
    world.pre_orders = {customer: 1 + number % 2 for number, customer in enumerate(world.customers("treatment")[:900])}
    readout = read(world.build())
    assert check(readout, "balance").passed is False
    assert readout.verdict.decision == "no_verdict"


@pytest.mark.parametrize("orders", [0, 2])
def test_balance_is_not_known_where_nothing_varies(tmp_path: Path, orders: int) -> None:
    world = small(tmp_path)
    world.pre_orders = {customer: orders for arm in world.arms for customer in world.customers(arm)}
    found = check(read(world.build()), "balance")
    assert found.passed is None
    assert found.detail == "Nothing varies: every customer had the same orders and revenue before."


def test_unlike_arms_by_chance_are_noted(tmp_path: Path) -> None:
    world = small(tmp_path)
    world.pre_orders = dict.fromkeys([*world.customers("treatment")[:160], *world.customers(CONTROL)[:25]], 1)
    readout = read(world.build())
    found = check(readout, "balance")
    assert (found.passed, found.consequence) == (False, "noted")
    assert readout.verdict.decision == "roll_out"


def test_few_buyers_in_control_hold_a_roll_out_back(tmp_path: Path) -> None:
    world = World(tmp_path, {CONTROL: 400, "treatment": 1600})
    world.buy(CONTROL, [20_000] * 8)
    world.buy("treatment", [20_000] * 260)
    readout = read(world.build())
    assert check(readout, "control_buyers").detail == "8 customers of control bought, fewer than 30."
    assert readout.verdict.decision == "extend"
    assert any(reason.startswith("no roll-out before this is mended") for reason in readout.verdict.reasons)


def test_control_under_the_fire_of_others(tmp_path: Path) -> None:
    world = small(tmp_path)
    world.contacted = [(customer, "newsletter", timedelta(days=2)) for customer in world.customers(CONTROL)[:41]]
    readout = read(world.build())
    found = check(readout, "contamination")
    assert (found.passed, found.consequence) == (False, "noted")
    assert "control 10.25%, treatment 0.00%" in found.detail


def test_own_contacts_of_another_campaign_count(tmp_path: Path) -> None:
    project = small(tmp_path).build()
    with stores(project) as (database, _):
        people = [f"con{number:05d}" for number in range(100)]
        rows = [
            (f"m{person}", person, DUE.replace(tzinfo=None), "sms", "newsletter", "marketing", "treatment")
            for person in people
        ]
        database.ibis.con.executemany("INSERT INTO campanile.contacts VALUES (?, ?, ?, ?, ?, ?, ?)", rows)
    assert "control 25.00%" in check(read(project), "contamination").detail


def test_power_and_baseline_say_figures(tmp_path: Path) -> None:
    readout = read(golden(tmp_path).build())
    assert "differences from 1.13 points up; 1.00 points were expected" in check(readout, "power").detail
    assert check(readout, "baseline").detail == "Control showed 2.20% (1.64% to 2.94%), 2.00% was assumed."
