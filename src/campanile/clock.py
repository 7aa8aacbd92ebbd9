"""Time: moments are aware and UTC, windows are half-open, months clamp.

Nothing else in the product reads the wall clock.
"""

from __future__ import annotations

import calendar
import re
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

#: Years that a shop's moments lie in; far from the ends of what can be reckoned with.
FIRST_YEAR, LAST_YEAR = 1970, 2100

_UNITS = {"h": "hours", "d": "days", "w": "days", "m": "months", "y": "months"}
_DURATION = re.compile(r"(\d{1,5})([hdwmy])")


def now() -> datetime:
    """The present moment in UTC, to the second."""
    return datetime.now(UTC).replace(microsecond=0)


@dataclass(frozen=True)
class Duration:
    """A length of time in hours, days or calendar months."""

    months: int = 0
    days: int = 0
    hours: int = 0

    @classmethod
    def parse(cls, text: str) -> Duration:
        """The duration that `30d`, `2w`, `6m`, `1y` or `48h` says; ValueError otherwise.

        >>> Duration.parse("2w")
        Duration(months=0, days=14, hours=0)
        """
        match = _DURATION.fullmatch(text.strip())
        if match is None:
            raise ValueError(f'cannot read the length of time "{text}"; write a number and h, d, w, m or y, as in 30d')
        count, unit = int(match[1]), match[2]
        factor = {"w": 7, "y": 12}.get(unit, 1)
        return cls(**{_UNITS[unit]: count * factor})

    def __mul__(self, times: int) -> Duration:
        """So many times the length.

        >>> Duration.parse("2w") * 3
        Duration(months=0, days=42, hours=0)
        """
        return Duration(self.months * times, self.days * times, self.hours * times)

    def before(self, moment: datetime) -> datetime:
        """The moment this long before, in the moment's own time zone.

        >>> Duration.parse("1m").before(datetime(2026, 3, 31, tzinfo=UTC)).date()
        datetime.date(2026, 2, 28)
        """
        return _add_months(moment, -self.months) - timedelta(days=self.days, hours=self.hours)

    def after(self, moment: datetime) -> datetime:
        """The moment this long after, in the moment's own time zone."""
        return _add_months(moment, self.months) + timedelta(days=self.days, hours=self.hours)

    def __str__(self) -> str:
        if self.months:
            return f"{self.months // 12}y" if self.months % 12 == 0 else f"{self.months}m"
        return f"{self.hours}h" if self.hours else f"{self.days}d"


def _add_months(moment: datetime, months: int) -> datetime:
    if not months:
        return moment
    index = moment.year * 12 + moment.month - 1 + months
    year, month = divmod(index, 12)
    day = min(moment.day, calendar.monthrange(year, month + 1)[1])
    return moment.replace(year=year, month=month + 1, day=day)


def zone(name: str) -> ZoneInfo:
    """The IANA time zone of that name; ValueError when there is none."""
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise ValueError(f'no time zone "{name}"; use a name such as Europe/Madrid') from error


def parse_moment(text: str, default_zone: ZoneInfo) -> datetime:
    """The moment in UTC that an ISO 8601 date or time says; local to `default_zone` when it has no offset.

    >>> parse_moment("2026-03-05T10:30", ZoneInfo("Asia/Shanghai")).isoformat()
    '2026-03-05T02:30:00+00:00'
    """
    try:
        moment = datetime.fromisoformat(text.strip())
    except ValueError as error:
        raise ValueError(f'cannot read the time "{text}"; write 2026-03-05 or 2026-03-05T10:30') from error
    if not FIRST_YEAR <= moment.year <= LAST_YEAR:
        raise ValueError(f'the time "{text}" is not between the years {FIRST_YEAR} and {LAST_YEAR}')
    return (moment if moment.tzinfo else moment.replace(tzinfo=default_zone)).astimezone(UTC)


def local_moment(day: date, at: time, where: ZoneInfo) -> datetime:
    """The UTC moment of a wall-clock time; a time that a clock change skips moves forward.

    >>> local_moment(date(2026, 3, 29), time(2, 30), ZoneInfo("Europe/Madrid")).isoformat()
    '2026-03-29T01:30:00+00:00'
    """
    return datetime.combine(day, at, tzinfo=where).astimezone(UTC)


def words(moment: datetime, where: ZoneInfo) -> str:
    """A moment for people, on the clock of a place.

    >>> words(datetime(2026, 3, 5, 2, 30, tzinfo=UTC), ZoneInfo("Asia/Shanghai"))
    '2026-03-05 10:30 (Asia/Shanghai)'
    """
    return f"{moment.astimezone(where):%Y-%m-%d %H:%M} ({where.key})"


def iso(moment: datetime) -> str:
    """ISO 8601 with offset, to the second."""
    return moment.astimezone(UTC).isoformat(timespec="seconds")
