"""How fast hand-overs may begin: token buckets in the ledger, shared by all workers, by the database's clock.

A bucket holds what a rate lets through in a second or more. A provider that asks us to wait closes it for everybody.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Connection, bindparam, insert, select, update

from campanile.ledger import tables
from campanile.ledger.engine import Database
from campanile.ledger.rules import Rate

#: Seconds worth of tokens that a worker waits for.
_MOMENT = 0.1
_NAMED = select(tables.pace).where(tables.pace.c.name.in_(bindparam("names", expanding=True)))


@dataclass(frozen=True, slots=True)
class Allowed:
    """How many may begin now, and how many seconds to wait when that is less than what was asked for."""

    count: int
    wait: float = 0.0


class Buckets:
    """The buckets of some rates, inside one transaction."""

    def __init__(self, database: Database, connection: Connection, rates: Sequence[Rate]) -> None:
        self._connection = connection
        self._limited = [rate for rate in rates if rate.per_second is not None]
        if self._limited:
            database.one_at_a_time(connection, [rate.name for rate in self._limited])
        rows = connection.execute(_NAMED, {"names": [rate.name for rate in rates]}).all() if rates else []
        self._known = {row.name: row for row in rows}
        self._now = database.now(connection) if rows or self._limited else None
        self._tokens = {rate.name: self._filled(rate) for rate in self._limited}

    def _filled(self, rate: Rate) -> float:
        row = self._known.get(rate.name)
        if row is None or rate.per_second is None or self._now is None:
            return rate.burst
        # A clock that was put back fills nothing, and one that jumped ahead fills one bucket.
        seconds = max(0.0, (self._now - row.at).total_seconds())
        return float(min(rate.burst, row.tokens + seconds * rate.per_second))

    def allow(self, wanted: int) -> Allowed:
        """How many of the wanted may begin now."""
        blocked = [row.blocked_until for row in self._known.values() if row.blocked_until is not None]
        if self._now is not None and blocked and max(blocked) > self._now:
            return Allowed(0, (max(blocked) - self._now).total_seconds())
        count, wait = wanted, 0.0
        for rate in self._limited:
            tokens = self._tokens[rate.name]
            if tokens < wanted:
                count = min(count, int(tokens))
                # For a few at once: a commit for each would cost more than it lets through.
                few = min(wanted, rate.burst, max(1.0, _MOMENT * (rate.per_second or 1.0)))
                wait = max(wait, (few - tokens % 1.0) / (rate.per_second or 1.0))
        return Allowed(count, wait)

    def take(self, count: int) -> None:
        """Nothing; so many have begun."""
        for rate in self._limited:
            self._write(rate.name, {"tokens": self._tokens[rate.name] - count, "at": self._now})

    def _write(self, name: str, values: dict[str, object]) -> None:
        table = tables.pace
        if name in self._known:
            self._connection.execute(update(table).where(table.c.name == name).values(**values))
        else:
            self._connection.execute(insert(table).values(name=name, **values))


def close_until(database: Database, connection: Connection, name: str, until: datetime) -> None:
    """Nothing; no hand-over begins over that channel before the moment. Call with the bucket to oneself."""
    table, now = tables.pace, database.now(connection)
    row = connection.execute(select(table).where(table.c.name == name)).first()
    if row is None:
        connection.execute(insert(table).values(name=name, tokens=0.0, at=now, blocked_until=until))
    elif row.blocked_until is None or row.blocked_until < until:
        connection.execute(update(table).where(table.c.name == name).values(blocked_until=until))


def sooner(moment: datetime, now: datetime, most: timedelta) -> datetime:
    """The moment, but not further off than `most`: a provider's clock may be wrong.

    >>> from datetime import UTC
    >>> noon = datetime(2026, 3, 5, 12, tzinfo=UTC)
    >>> sooner(noon + timedelta(days=400), noon, timedelta(hours=6)).isoformat()
    '2026-03-05T18:00:00+00:00'
    """
    return min(moment, now + most)
