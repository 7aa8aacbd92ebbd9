"""One row per assigned customer: what counts, when, and that the engine's sums are those of the rows."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from campanile.clock import Duration
from campanile.errors import CampanileError
from campanile.measure.outcomes import Wave, newest_order, outcomes, response_curve, span
from campanile.measure.sums import ArmOutcome, measure
from campanile.measure.types import ArmStatistics
from readout.readout_world import AFTER, DUE, ENDS, Order, World, golden, stores

SECOND = timedelta(seconds=1)


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path, {"control": 5, "treatment": 10})


def with_wave(world: World, use: Callable[..., object], **changes: object) -> object:
    """What `use` makes of the database and the wave."""
    project = world.build()
    with stores(project) as (database, ledger):
        messages = world.root / "messages.parquet"
        ledger.export_messages("p1", messages)
        facts = {"window": Duration(days=30), "read_at": AFTER, **changes}
        snapshot = project.snapshots_dir / "winback" / "s.parquet"
        return use(database, Wave("winback", (snapshot,), (messages,), **facts))


def rows(world: World, **changes: object) -> dict[str, dict[str, object]]:
    def use(database: object, wave: Wave) -> list[dict[str, object]]:
        return outcomes(database, wave, span(database, wave)).to_pyarrow().to_pylist()

    found = with_wave(world, use, **changes)
    assert len(found) == sum(world.arms.values())
    return {row["customer_id"]: row for row in found}


def arms(world: World, **changes: object) -> dict[str, ArmOutcome]:
    return with_wave(
        world, lambda database, wave: measure(outcomes(database, wave, span(database, wave))).arms, **changes
    )


def test_golden_sums_by_arm(tmp_path: Path) -> None:
    found = arms(golden(tmp_path))
    treated, control = found["treatment"], found["control"]
    assert (treated.statistics.n, control.statistics.n) == (8000, 2000)
    assert treated.statistics.sums["response_rate"] == 264
    assert control.statistics.sums["response_rate"] == 44
    assert treated.statistics.sums["revenue_per_customer"] == 7_920_000
    assert control.statistics.sums["revenue_per_customer"] == 1_232_000
    assert treated.statistics.sums["discount_per_customer"] == 400_000
    assert treated.counts["handed_over"] == 8000
    assert control.counts["handed_over"] == 0


@pytest.mark.parametrize(
    ("after", "counts"),
    [(timedelta(0), 1), (-SECOND, 0), (timedelta(days=30) - SECOND, 1), (timedelta(days=30), 0)],
)
def test_window_is_half_open_from_the_due_moment(world: World, after: timedelta, counts: int) -> None:
    world.orders = [Order("con00000", 500, after), Order("tre00000", 500, after)]
    found = rows(world)
    assert found["con00000"]["responded"] == found["tre00000"]["responded"] == counts
    assert found["con00000"]["revenue"] == 500 * counts


def test_every_customer_has_a_clock_of_their_own_and_control_too(world: World) -> None:
    later = DUE + timedelta(days=2)
    world.due = {"con00000": later, "tre00000": later}
    world.orders = [Order("con00000", 500, -timedelta(hours=1)), Order("tre00000", 500, timedelta(days=29))]
    found = rows(world, read_at=AFTER + timedelta(days=5))
    assert found["con00000"]["responded"] == 0
    assert found["tre00000"]["responded"] == 1
    moments = with_wave(World(world.root / "second", world.arms, due=world.due), span)
    assert (moments.first_due, moments.ends) == (DUE, ENDS + timedelta(days=2))


def test_window_of_months_and_hours(world: World) -> None:
    world.orders = [
        Order("tre00000", 500, timedelta(days=30, hours=23)),
        Order("tre00001", 500, timedelta(days=31, hours=1)),
    ]
    found = rows(world, window=Duration(months=1), read_at=AFTER + timedelta(days=3))
    assert (found["tre00000"]["responded"], found["tre00001"]["responded"]) == (1, 0)
    again = World(world.root / "second", world.arms, orders=[Order("tre00000", 500, timedelta(hours=5))])
    assert rows(again, window=Duration(hours=5))["tre00000"]["responded"] == 0


def test_several_orders_are_one_response_and_lines_of_one_order_are_one_order(world: World) -> None:
    world.orders = [
        Order("tre00000", 500, order_id="A"),
        Order("tre00000", 300, order_id="B", discount=50),
        Order("tre00000", 700, order_id="C", state="unpaid"),
    ]
    row = rows(world)["tre00000"]
    assert (row["responded"], row["orders"], row["revenue"], row["discount"]) == (1, 2, 800, 50)


def test_returns_lower_revenue_and_a_full_return_is_no_response(world: World) -> None:
    world.orders = [Order("tre00000", 500, order_id="A"), Order("tre00001", 500, order_id="B")]
    world.returned = [("A", "tre00000", 200, timedelta(days=5)), ("B", "tre00001", 500, timedelta(days=40))]
    before = rows(world)
    assert (before["tre00000"]["revenue"], before["tre00001"]["revenue"]) == (300, 500)
    again = World(world.root / "second", world.arms, orders=world.orders, returned=world.returned)
    later = rows(again, read_at=AFTER + timedelta(days=30))
    assert (later["tre00001"]["responded"], later["tre00001"]["revenue"]) == (0, 0)
    assert [later[name]["returned"] for name in ("tre00000", "tre00001", "tre00002")] == [1, 1, 0]
    assert [later[name]["ordered"] for name in ("tre00000", "tre00001", "tre00002")] == [1, 1, 0]


def test_returns_without_a_known_order_lower_revenue_from_the_due_moment_on(world: World) -> None:
    """As the profile does; whoever bought nothing in the window may fall below zero, in either arm."""
    day = timedelta(days=1)
    world.orders = [Order("tre00000", 500, order_id="A"), Order("tre00003", 900, -40 * day, order_id="D")]
    world.returned = [
        ("?", "tre00000", 120, timedelta(0)),
        ("?", "tre00000", 30, 30 * day),
        ("?", "tre00001", 80, -SECOND),
        ("?", "tre00002", 70, 30 * day + timedelta(hours=4)),
        ("D", "tre00003", 900, day),
        ("?", "con00000", 60, day),
    ]
    found = rows(world)
    revenue = {name: found[name]["revenue"] for name in ("tre00000", "tre00001", "tre00002", "tre00003", "con00000")}
    assert revenue == {"tre00000": 350, "tre00001": 0, "tre00002": 0, "tre00003": 0, "con00000": -60}
    assert [found[name]["responded"] for name in ("tre00000", "con00000")] == [1, 0]
    again = arms(World(world.root / "second", world.arms, orders=world.orders, returned=world.returned))
    control = again["control"].statistics
    assert (control.sums["revenue_per_customer"], control.negative["revenue_per_customer"]) == (-60, 1)


def test_messages_count_when_the_customer_may_have_got_them(world: World) -> None:
    world.states = {"tre00000": "unknown", "tre00001": "rejected", "tre00002": "suppressed", "tre00003": "due"}
    found = rows(world)
    assert [found[f"tre0000{number}"]["handed_over"] for number in range(5)] == [1, 0, 0, 0, 1]
    assert all(found[f"tre0000{number}"]["planned"] == 1 for number in range(5))
    assert found["con00000"]["planned"] == 0


def test_tables_that_are_not_there_are_unknown_and_empty_ones_are_zero(world: World) -> None:
    nothing = arms(world)["treatment"].counts
    assert nothing["opted_out"] is None
    assert nothing["complained"] is None
    assert nothing["returned"] is None
    again = World(world.root / "second", world.arms, returned=[], unsubscribed=[], tickets=[])
    empty = arms(again)["treatment"].counts
    assert (empty["opted_out"], empty["complained"], empty["returned"]) == (0, 0, 0)


def test_harm_counts_inside_the_window_only(world: World) -> None:
    inside, outside = timedelta(days=1), timedelta(days=31)
    world.unsubscribed = [("tre00000", inside), ("tre00000", inside * 2), ("tre00001", outside), ("con00000", inside)]
    world.tickets = [("tre00002", "complaint", inside), ("tre00003", "question", inside)]
    found = arms(world)
    assert (found["treatment"].counts["opted_out"], found["control"].counts["opted_out"]) == (1, 1)
    assert found["treatment"].counts["complained"] == 1


def test_contacts_of_other_campaigns_are_seen_and_the_own_is_not(world: World) -> None:
    inside = timedelta(days=1)
    world.contacted = [
        ("con00000", "newsletter", inside),
        ("con00001", "winback", inside),
        ("con00002", "newsletter", timedelta(days=31)),
        ("con00003", "newsletter", -inside),
    ]
    assert arms(world)["control"].counts["contacted_by_others"] == 1


def test_engine_statistics_are_those_of_the_rows(world: World) -> None:
    world.pre_orders = {"tre00000": 3, "tre00001": 1, "con00000": 2}
    world.orders = [Order(f"tre0000{number}", 100 * number + 50) for number in range(6)]
    world.orders += [Order("tre00000", 900), Order("con00001", 250)]
    found = rows(world)
    columns = {
        "orders_per_customer": "orders",
        "revenue_per_customer": "revenue",
        "pre_orders": "pre_orders",
        "pre_revenue": "pre_revenue",
    }
    again = World(world.root / "second", world.arms, orders=world.orders, pre_orders=world.pre_orders)
    for arm, outcome in arms(again).items():
        mine = [row for row in found.values() if row["arm"] == arm]
        values = {metric: [row[column] for row in mine] for metric, column in columns.items()}
        oracle = ArmStatistics.from_values(arm, values)
        for metric in columns:
            assert outcome.statistics.sums[metric] == oracle.sums[metric]
            assert outcome.statistics.variance(metric) == pytest.approx(oracle.variance(metric))
            assert outcome.statistics.nonzero[metric] == oracle.nonzero[metric]
        assert outcome.statistics.classes == {"revenue_per_customer": oracle.classes["revenue_per_customer"]}


def test_curve_counts_each_customer_once_on_the_day_of_the_first_order(world: World) -> None:
    hours = timedelta(hours=1)
    world.orders = [
        Order("tre00000", 100, 23 * hours),
        Order("tre00000", 100, 50 * hours),
        Order("tre00001", 100, 24 * hours),
        Order("con00000", 100, timedelta(days=29, hours=23)),
    ]
    found = with_wave(world, lambda database, wave: response_curve(database, wave, span(database, wave)))
    assert found == {"treatment": {0: 1, 1: 1}, "control": {29: 1}}


def test_newest_order_and_its_pace(world: World) -> None:
    world.orders = [Order("tre00000", 100, timedelta(days=number)) for number in range(28)]
    newest, pace = with_wave(world, lambda database, wave: newest_order(database, wave.read_at))
    assert newest == DUE + timedelta(days=27)
    assert pace == pytest.approx(1.0)
    fading = World(world.root / "third", world.arms)
    fading.orders = [Order("tre00000", 100, timedelta(hours=number)) for number in range(200)]
    fading.orders += [Order("tre00000", 100, timedelta(days=20))]
    assert with_wave(fading, lambda database, wave: newest_order(database, wave.read_at))[1] == pytest.approx(1 / 7)
    empty = World(world.root / "second", world.arms)
    assert with_wave(empty, lambda database, wave: newest_order(database, wave.read_at)) == (None, 0.0)


def test_snapshot_that_is_gone_or_empty_is_said(world: World) -> None:
    def damaged(database: object, wave: Wave) -> None:
        pq.write_table(pq.read_table(wave.snapshots[0]).slice(0, 0), wave.snapshots[0])
        with pytest.raises(CampanileError, match="snapshot of the plan is empty"):
            span(database, wave)
        wave.snapshots[0].unlink()
        with pytest.raises(CampanileError, match=r"snapshot s\.parquet is missing; restore it"):
            span(database, wave)

    with_wave(world, damaged)
