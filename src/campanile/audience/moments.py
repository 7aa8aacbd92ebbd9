"""Windows of events and comparisons of dates as moments and days. Pure; the engine only sees the result."""

from __future__ import annotations

import calendar
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from campanile.clock import Duration, local_moment
from campanile.spec.conditions import (
    Around,
    CalendarWindow,
    DateSpan,
    DaysAround,
    DayShift,
    InMonth,
    Length,
    Lifetime,
    Since,
    Window,
)

_MONTHS = {"month": 1, "quarter": 3, "year": 12}


@dataclass(frozen=True)
class Span:
    """From `start` up to, not including, `end`, in UTC; None is open. Everything ends at as_of anyway."""

    start: datetime | None = None
    end: datetime | None = None


def span_of(window: Window, as_of: datetime, zone: ZoneInfo) -> Span:
    """The moments of a window as seen at `as_of` in the shop's time zone.

    >>> span = span_of(CalendarWindow("month", 1), datetime(2026, 3, 5, tzinfo=UTC), ZoneInfo("Asia/Shanghai"))
    >>> span.start.isoformat(), span.end.isoformat()
    ('2026-01-31T16:00:00+00:00', '2026-02-28T16:00:00+00:00')
    """
    return _SPANS[type(window)](window, as_of, zone)


def _lifetime(_window: Lifetime | Since | Around, _as_of: datetime, _zone: ZoneInfo) -> Span:
    return Span()


def _length(window: Length, as_of: datetime, zone: ZoneInfo) -> Span:
    return Span(_earlier(window.older, as_of, zone), _earlier(window.newer, as_of, zone))


def _earlier(length: Duration, as_of: datetime, zone: ZoneInfo) -> datetime:
    """Hours are hours that pass; days and months are those of the shop's calendar, at the same time of day."""
    if length.hours:
        return length.before(as_of.astimezone(UTC))
    return length.before(as_of.astimezone(zone)).astimezone(UTC)


def _dates(window: DateSpan, _as_of: datetime, zone: ZoneInfo) -> Span:
    start = _midnight(window.first, zone) if window.first else None
    return Span(start, _midnight(window.last + timedelta(days=1), zone) if window.last else None)


def _calendar(window: CalendarWindow, as_of: datetime, zone: ZoneInfo) -> Span:
    today = as_of.astimezone(zone).date()
    if window.unit == "day":
        first = today - timedelta(days=window.back)
        return Span(_midnight(first, zone), _midnight(first + timedelta(days=1), zone))
    months = _MONTHS[window.unit]
    first = _first_of_month(today, -((today.month - 1) % months) - window.back * months)
    return Span(_midnight(first, zone), _midnight(_first_of_month(first, months), zone))


def _midnight(day: date, zone: ZoneInfo) -> datetime:
    return local_moment(day, time(), zone)


def _first_of_month(day: date, later: int) -> date:
    """The first of the month so many months later.

    >>> _first_of_month(date(2026, 3, 31), -3)
    datetime.date(2025, 12, 1)
    """
    year, month = divmod(day.year * 12 + day.month - 1 + later, 12)
    return date(year, month + 1, 1)


_SPANS: Mapping[type, Callable[[Any, datetime, ZoneInfo], Span]] = {
    Lifetime: _lifetime,
    Length: _length,
    DateSpan: _dates,
    CalendarWindow: _calendar,
    #: These depend on the customer, see `Aggregates`.
    Since: _lifetime,
    Around: _lifetime,
}


def days_of(comparison: DateSpan | DaysAround | InMonth, today: date) -> tuple[date | None, date | None]:
    """The first and last day that a comparison of dates means, both included; None is open.

    >>> days_of(InMonth(1), date(2026, 1, 31))
    (datetime.date(2026, 2, 1), datetime.date(2026, 2, 28))
    """
    if isinstance(comparison, DateSpan):
        return comparison.first, comparison.last
    if isinstance(comparison, DaysAround):
        return _shifted(comparison.first, today), _shifted(comparison.last, today)
    first = _first_of_month(today, comparison.offset)
    return first, first.replace(day=calendar.monthrange(first.year, first.month)[1])


def _shifted(shift: DayShift | None, today: date) -> date | None:
    if shift is None:
        return None
    midnight = datetime.combine(today, time(), UTC)
    moved = shift.length.after(midnight) if shift.ahead else shift.length.before(midnight)
    return moved.date() + timedelta(days=shift.days_more)


def anniversaries(first: date | None, last: date | None) -> tuple[int, ...]:
    """Month and day (as 100 x month + day) of every date that has its anniversary from first to last, both included.

    29 February has its anniversary on 28 February in common years.

    >>> anniversaries(date(2026, 2, 27), date(2026, 2, 28))
    (227, 228, 229)
    """
    assert first
    assert last
    days = [first + timedelta(days=number) for number in range(min((last - first).days, 366) + 1)]
    found = {100 * day.month + day.day for day in days}
    if any((day.month, day.day) == (2, 28) and not calendar.isleap(day.year) for day in days):
        found.add(229)
    return tuple(sorted(found))
