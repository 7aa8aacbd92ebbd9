"""Quiet hours in every zone, on the days when clocks change too."""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from campanile.sending.quiet import quiet_hours
from campanile.spec.quiet import quiet_from, quiet_until

ZONES = (
    *("Europe/Madrid", "America/New_York", "Australia/Lord_Howe", "Asia/Kathmandu", "Pacific/Apia"),
    *("Africa/Casablanca", "America/St_Johns", "Asia/Shanghai", "Antarctica/Troll", "Pacific/Chatham"),
)
START = datetime(2024, 1, 1, tzinfo=UTC)
NIGHT = (time(21), time(9))


def at(text: str, zone: str) -> datetime:
    """A local time as a moment in UTC."""
    return datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone)).astimezone(UTC)


@pytest.mark.parametrize(
    ("local", "until"),
    [
        ("2026-03-05T20:59:59", None),
        ("2026-03-05T21:00:00", "2026-03-06T09:00:00"),
        ("2026-03-05T23:59:59", "2026-03-06T09:00:00"),
        ("2026-03-06T00:00:00", "2026-03-06T09:00:00"),
        ("2026-03-06T08:59:59", "2026-03-06T09:00:00"),
        ("2026-03-06T09:00:00", None),
        # The night of the last Sunday of March is an hour shorter in Madrid, the one in October an hour longer.
        ("2026-03-28T22:00:00", "2026-03-29T09:00:00"),
        ("2026-10-24T22:00:00", "2026-10-25T09:00:00"),
    ],
)
def test_a_night_over_midnight(local: str, until: str | None) -> None:
    found = quiet_until(at(local, "Europe/Madrid"), ZoneInfo("Europe/Madrid"), NIGHT)
    assert found == (at(until, "Europe/Madrid") if until else None)


def test_the_length_of_the_night_follows_the_clocks() -> None:
    zone = "Europe/Madrid"
    nights = [at(f"2026-{day}T21:00:00", zone) for day in ("03-05", "03-28", "10-24")]
    lengths = [(quiet_until(night, ZoneInfo(zone), NIGHT) or night) - night for night in nights]
    assert [length // timedelta(hours=1) for length in lengths] == [12, 11, 13]


def test_quiet_within_one_day() -> None:
    noon = (time(12), time(14))
    assert quiet_until(at("2026-03-05T13:00", "UTC"), ZoneInfo("UTC"), noon) == at("2026-03-05T14:00", "UTC")
    assert quiet_until(at("2026-03-05T14:00", "UTC"), ZoneInfo("UTC"), noon) is None
    assert quiet_until(at("2026-03-05T11:59", "UTC"), ZoneInfo("UTC"), noon) is None


def test_the_recipients_own_clock_counts() -> None:
    moment = at("2026-03-05T10:30", "Asia/Shanghai")
    assert quiet_until(moment, ZoneInfo("Asia/Shanghai"), NIGHT) is None
    assert quiet_until(moment, ZoneInfo("Europe/Madrid"), NIGHT) == at("2026-03-05T09:00", "Europe/Madrid")


def test_an_end_that_the_clocks_skip_comes_after_the_gap() -> None:
    early = (time(21), time(2, 30))
    found = quiet_until(at("2026-03-29T01:00", "Europe/Madrid"), ZoneInfo("Europe/Madrid"), early)
    assert found == at("2026-03-29T03:30", "Europe/Madrid")


def test_an_end_that_comes_twice_is_not_behind_us() -> None:
    zone, early = ZoneInfo("Europe/Madrid"), (time(21), time(2, 30))
    second_time = datetime(2026, 10, 25, 2, 10, fold=1, tzinfo=zone).astimezone(UTC)
    found = quiet_until(second_time, zone, early)
    assert found == second_time + timedelta(minutes=20)


@given(
    moment=st.integers(0, 4 * 365 * 24 * 60).map(lambda minutes: START + timedelta(minutes=minutes)),
    zone=st.sampled_from(ZONES).map(ZoneInfo),
    start=st.times().map(lambda t: t.replace(second=0, microsecond=0)),
    end=st.times().map(lambda t: t.replace(second=0, microsecond=0)),
)
def test_whoever_waits_is_not_woken_in_quiet(moment: datetime, zone: ZoneInfo, start: time, end: time) -> None:
    if start == end:
        return
    found = quiet_until(moment, zone, (start, end))
    local = moment.astimezone(zone).time()
    inside = (start <= local < end) if start < end else (local >= start or local < end)
    assert (found is not None) == inside
    if found is not None:
        assert moment < found <= moment + timedelta(hours=26)
        # Quiet hours longer than the hour that a clock change repeats or skips have ended by then.
        assert quiet_until(found, zone, (start, end)) is None or _other_way_round(start, end) < timedelta(hours=2)


def _other_way_round(start: time, end: time) -> timedelta:
    """How much of the day is not quiet."""
    quiet = datetime.combine(START, end) - datetime.combine(START, start)
    return timedelta(days=1) - quiet % timedelta(days=1)


def test_quiet_hours_are_those_of_the_frozen_spec() -> None:
    timing: dict[str, object] = {"start": "2026-03-05", "at": "10:30"}
    assert quiet_hours({"campaign": {"timing": {**timing, "quiet": "22:00-08:00"}}}) == (time(22), time(8))
    assert quiet_hours({"campaign": {"timing": {**timing, "quiet": "none"}}}) is None
    assert quiet_hours({"campaign": {"timing": timing}}) == NIGHT, "the default of the format"
    assert quiet_hours({}) is None


@given(
    st.datetimes(datetime(2024, 1, 1), datetime(2028, 1, 1), timezones=st.just(UTC)),
    st.sampled_from(ZONES),
    st.times(),
    st.times(),
    st.floats(0, 1),
)
def test_nothing_before_quiet_begins_is_quiet(moment: datetime, zone: str, start: time, end: time, part: float) -> None:
    where, quiet = ZoneInfo(zone), (start.replace(second=0, microsecond=0), end.replace(second=0, microsecond=0))
    begins = quiet_from(moment, where, quiet)
    if quiet[0] == quiet[1] or quiet_until(moment, where, quiet) is not None:
        assert quiet[0] == quiet[1] or begins == moment
        return
    assert begins is not None
    assert begins > moment
    assert quiet_until(moment + (begins - moment) * part * 0.999_999, where, quiet) is None
