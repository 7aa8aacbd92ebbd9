"""The history of the profile: intervals that tile the time in whatever order profiles are made, and what follows."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import ibis
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from campanile.clock import Duration
from campanile.customers.changes import HISTORY_TYPES, Run, stage_changes, tier_changes
from campanile.customers.columns.past import Past
from campanile.customers.database import PROFILE, PROFILE_HISTORY
from campanile.customers.profile import backfill_history, past_moments, refresh_profile
from campanile.customers.profile_history import earlier_columns, keep

DAY = datetime(2026, 1, 1, tzinfo=UTC)
PEOPLE = "  customers: {file: people.csv, columns: {customer_id: Id, tier: Level}}\n"
ORDERS = "  order: {file: orders.csv, columns: {customer_id: Who, at: When, order_id: Order, amount: Paid}}\n"
STATE_TYPES = {name: type_ for name, type_ in HISTORY_TYPES.items() if not name.startswith("valid")}


def naive(day: int) -> datetime:
    return (DAY + timedelta(days=day)).replace(tzinfo=None)


@pytest.fixture
def database(shop, opened):
    shop.write("people.csv", "Id,Level\na,basic\nb,gold\n")
    return opened(PEOPLE)[1]


def state(stages, day):
    rows = [
        {"customer_id": who, "stage": stage, "rfm_code": None, "rfm_segment": None, "tier": "x",
         "entered_at": naive(day), "why": "order"}
        for who, stage in stages.items()
    ]  # fmt: skip
    return ibis.memtable(rows, schema=ibis.schema(STATE_TYPES))


def intervals(database) -> dict[str, list[tuple[datetime, datetime | None, str]]]:
    found: dict[str, list] = {}
    rows = database.own(PROFILE_HISTORY).order_by("customer_id", "valid_from").to_pyarrow().to_pylist()
    for row in rows:
        found.setdefault(row["customer_id"], []).append((row["valid_from"], row["valid_to"], row["stage"]))
    return found


RUNS = st.lists(
    st.tuples(st.integers(0, 5), st.fixed_dictionaries({}, optional=dict.fromkeys("ab", st.sampled_from("xyz")))),
    min_size=1, max_size=6,
)  # fmt: skip


@settings(max_examples=5, deadline=None, suppress_health_check=list(HealthCheck))
@example(runs=[(0, {"a": "x"}), (2, {"a": "x", "b": "x"}), (1, {})])
@example(runs=[(0, {"a": "x"}), (1, {"a": "y"}), (2, {"a": "x"})])
@given(runs=RUNS)
def test_intervals_tile_the_time_whatever_the_order_of_profiles(database, runs):
    """By a model: the last word on each day, and each day's word holding until the next day that has one."""
    database.store_own(PROFILE_HISTORY, database.own(PROFILE_HISTORY).limit(0))
    database.note_runs([])
    told = {}
    for day, stages in runs:
        # Of a past date nobody knows the level, which would be a change of its own.
        keep(database, DAY + timedelta(days=day), state(stages, day).mutate(tier=ibis.null("string")), "s")
        told[day] = stages
    days = sorted(told)
    expected: dict[str, list] = {}
    for day, end in zip(days, [*days[1:], None], strict=True):
        for who, stage in told[day].items():
            known = expected.setdefault(who, [])
            until = None if end is None else naive(end)
            if known and known[-1][1] == naive(day) and known[-1][2] == stage:
                known[-1] = (known[-1][0], until, stage)
            else:
                known.append((naive(day), until, stage))
    assert intervals(database) == {who: known for who, known in expected.items() if known}
    assert [run.as_of for run in database.profile_runs()] == [naive(day) for day in days]


def test_the_level_of_a_past_date_is_what_was_written_down_then(database):
    keep(database, DAY, state({"a": "x"}, 0).mutate(tier=ibis.literal("basic")), "s")
    keep(database, DAY + timedelta(days=9), state({"a": "x"}, 9).mutate(tier=ibis.literal("gold")), "s")
    keep(database, DAY + timedelta(days=5), state({"a": "x"}, 5).mutate(tier=ibis.literal("gold")), "s")
    keep(database, DAY - timedelta(days=5), state({"a": "x"}, -5).mutate(tier=ibis.literal("gold")), "s")
    rows = database.own(PROFILE_HISTORY).order_by("valid_from").to_pyarrow().to_pylist()
    assert [(row["valid_from"], row["tier"]) for row in rows] == [
        (naive(-5), None), (naive(0), "basic"), (naive(9), "gold"),
    ]  # fmt: skip
    changes = tier_changes(database.own(PROFILE_HISTORY), database.profile_runs(), ("basic", "gold"))
    assert changes.to_pyarrow().to_pylist() == [
        {"customer_id": "a", "at": naive(9), "from": "basic", "to": "gold", "direction": "up"}
    ]


def interval(start, end, stage, entered, why):
    return {
        "customer_id": "a", "valid_from": naive(start), "valid_to": None if end is None else naive(end), "stage": stage,
        "rfm_code": None, "rfm_segment": None, "tier": None, "entered_at": naive(entered), "why": why,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("before", "after", "event"),
    [
        ("silent", ("active", 6, "order"), (6, "up", "order")),
        ("active", ("silent", 6, "time"), (6, "down", "time")),
        ("active", ("silent", -50, "time"), (7, "down", "refund")),
        ("active", ("prospect", 7, "order"), (7, "down", "refund")),
        ("silent", ("active", 5, "visit"), (5, "up", "visit")),
        ("prospect", ("dead", 7, "contact"), (7, "down", "contact")),
        ("dead", ("lapsed", -90, "time"), (7, "up", "contact")),
    ],
)
def test_why_a_stage_changed(before, after, event):
    stage, entered, why = after
    rows = [interval(0, 7, before, 0, "order"), interval(7, None, stage, entered, why)]
    history = ibis.memtable(rows, schema=ibis.schema(HISTORY_TYPES))
    runs = [Run(naive(0), "s"), Run(naive(3), "s"), Run(naive(7), "s")]
    day, direction, cause = event
    assert stage_changes(history, runs).to_pyarrow().to_pylist() == [
        {"customer_id": "a", "at": naive(day), "from": before, "to": stage, "direction": direction, "cause": cause}
    ]
    # Where scores were made in another way nothing happened to the customer.
    other = [*runs[:2], Run(naive(7), "other")]
    assert stage_changes(history, other).count().execute() == 0


@pytest.fixture
def bought(shop, opened):
    """a: active, silent in March, active again in July. b: never again after January. c: never."""
    shop.policy = "policy: {stages: {active: 30d, silent: 60d, sleeping: 90d, lapsed: 120d}, tiers: [basic, gold]}"
    shop.write("people.csv", "Id,Level\na,basic\nb,gold\nc,\n")
    shop.write("orders.csv", "Order,Who,When,Paid\n1,a,2026-02-01,5\n2,a,2026-07-10,5\n3,b,2026-01-15,5\n")
    return opened(PEOPLE + ORDERS)


def test_of_the_time_before_the_first_order_one_moment_is_asked(bought):
    """Everybody was a prospect then: a profile for each week since 1970 would say nothing more."""
    project, database = bought
    told = []
    moments = past_moments(datetime(1970, 1, 1, tzinfo=UTC), datetime(2026, 2, 20, tzinfo=UTC), Duration(days=7))
    backfill_history(project, database, moments, progress=lambda done, total: told.append((done, total)))
    first = datetime(2026, 1, 15)
    later = [moment for moment in moments if moment.replace(tzinfo=None) > first]
    assert told[-1] == (len(later) + 1, len(later) + 1)
    assert [run.as_of for run in database.profile_runs()][1:] == [moment.replace(tzinfo=None) for moment in later]
    assert [stage for _, _, stage in intervals(database)["b"]] == ["prospect", "active", "silent"]


def test_what_a_customer_was_before(bought):
    project, database = bought
    moments = past_moments(datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 7, 20, tzinfo=UTC), Duration(days=28))
    backfill_history(project, database, moments)
    first = intervals(database)
    backfill_history(project, database, moments[::-1])
    assert intervals(database) == first
    assert [stage for _, _, stage in first["b"]] == ["prospect", "active", "silent", "sleeping", "lapsed", "dead"]
    refresh_profile(project, database, datetime(2026, 7, 20, tzinfo=UTC))
    rows = {row["customer_id"]: row for row in database.own(PROFILE).to_pyarrow().to_pylist()}
    seen = {who: (row["stage"], row["stage_before"], row["stage_days"]) for who, row in rows.items()}
    # b died 121 days after 15 January, on 16 May; a came back on 10 July. c was never anything but a prospect.
    assert seen == {"a": ("active", "dead", 10), "b": ("dead", "lapsed", 65), "c": ("prospect", None, 200)}
    assert (rows["a"]["stage_90d_ago"], rows["b"]["stage_90d_ago"]) == ("silent", "sleeping")
    july = database.events("stage_changed", datetime(2026, 7, 20, tzinfo=UTC)).filter(lambda t: t["to"] == "active")
    found = july.order_by("at").select("customer_id", "at", "from", "direction", "cause").to_pyarrow().to_pylist()
    assert [(row["customer_id"], row["at"].date().isoformat(), row["from"], row["cause"]) for row in found] == [
        ("b", "2026-01-15", "prospect", "order"), ("a", "2026-02-01", "prospect", "order"),
        ("a", "2026-07-10", "dead", "order"),
    ]  # fmt: skip


def test_other_settings_end_what_can_be_compared(bought):
    project, database = bought
    refresh_profile(project, database, datetime(2026, 5, 1, tzinfo=UTC))
    past = Past(project, database, datetime(2026, 7, 20, tzinfo=UTC))
    now = state({"a": "active"}, 0)
    runs = database.profile_runs()
    assert earlier_columns(past, now, runs, "other") is None
    found = earlier_columns(past, now, runs, runs[0].scoring)
    assert found is not None
    assert found.to_pyarrow().to_pylist()[0]["stage_before"] == "sleeping"
