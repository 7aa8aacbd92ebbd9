"""Quiet hours: when a message must wait, until when, and whether it can go out at all."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

Quiet = tuple[time, time]

#: For the hour that a clock change makes unreadable.
_LOOK_AGAIN = timedelta(minutes=15)


def quiet_until(moment: datetime, zone: ZoneInfo, quiet: Quiet | None) -> datetime | None:
    """When the quiet hours around this moment end, in UTC; None when it lies in none.

    >>> quiet_until(datetime(2026, 3, 5, 22, tzinfo=UTC), ZoneInfo("UTC"), (time(21), time(9))).isoformat()
    '2026-03-06T09:00:00+00:00'
    """
    if quiet is None:
        return None
    local = moment.astimezone(zone)
    if not _inside(local.time(), quiet):
        return None
    start, end = quiet
    day = local.date() + timedelta(days=start > end and local.time() >= start)
    return min(_ends(moment, day, zone, quiet), default=moment + _LOOK_AGAIN)


def quiet_from(moment: datetime, zone: ZoneInfo, quiet: Quiet | None) -> datetime | None:
    """When the next quiet hours begin, in UTC; the moment itself when it lies in some, None when there are none.

    Where the clocks skip the beginning, a reading of it that lies before the gap: never too late.

    >>> quiet_from(datetime(2026, 3, 5, 12, tzinfo=UTC), ZoneInfo("Asia/Shanghai"), (time(21), time(9))).isoformat()
    '2026-03-05T13:00:00+00:00'
    """
    if quiet is None or _inside(moment.astimezone(zone).time(), quiet):
        return moment if quiet else None
    today = moment.astimezone(zone).date()
    starts = [
        datetime.combine(today + timedelta(days=day), quiet[0].replace(fold=fold), tzinfo=zone).astimezone(UTC)
        for day in range(3)
        for fold in (0, 1)
    ]
    return min(start for start in starts if start > moment)


def can_go_out(first: datetime, expiry: datetime, zone: ZoneInfo, quiet: Quiet | None) -> bool:
    """Whether some moment from `first` on and before `expiry` lies outside the quiet hours.

    >>> night = (time(21), time(9))
    >>> evening = datetime(2026, 3, 5, 22, tzinfo=UTC)
    >>> can_go_out(evening, evening + timedelta(hours=11), ZoneInfo("UTC"), night)
    False
    >>> can_go_out(evening, evening + timedelta(hours=12), ZoneInfo("UTC"), night)
    True
    """
    while first < expiry:
        until = quiet_until(first, zone, quiet)
        if until is None:
            return True
        first = until
    return False


def _inside(at: time, quiet: Quiet) -> bool:
    start, end = quiet
    return (at >= start or at < end) if start > end else start <= at < end


def _ends(moment: datetime, day: date, zone: ZoneInfo, quiet: Quiet) -> Iterator[datetime]:
    """The moments at which quiet ends that day.

    Where the clocks go back it may end twice. Where they skip the end itself, one reading of it lies before the gap,
    still in quiet, and the other after it.
    """
    for fold in (0, 1):
        candidate = datetime.combine(day, quiet[1].replace(fold=fold), tzinfo=zone).astimezone(UTC)
        if candidate > moment and not _inside(candidate.astimezone(zone).time(), quiet):
            yield candidate
