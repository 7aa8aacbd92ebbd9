"""The inbox: what came, word for word, once. A request is answered after its row is on the disk."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, bindparam, delete, exists, func, select, update

from campanile.ledger import Ledger
from campanile.ledger.response_tables import (
    DONE,
    WAITING,
    consent,
    delivery,
    delivery_event,
    inbox,
    insert_new,
)


@dataclass(frozen=True, slots=True)
class Arrival:
    """One event as it came.

    Attributes:
        provider: Who told it; says how `raw` is to be understood.
        event_id: Tells it from every other event of that provider.
        raw: JSON text.
    """

    provider: str
    event_id: str
    raw: str


@dataclass(frozen=True, slots=True)
class Kept:
    """One row of the inbox."""

    number: int
    provider: str
    event_id: str
    raw: str
    received_at: datetime


def keep(connection: Connection, arrivals: Sequence[Arrival], received_at: datetime) -> int:
    """How many arrivals were new; the same event again changes nothing."""
    rows = [
        {"provider": each.provider, "event_id": each.event_id, "raw": each.raw, "received_at": received_at}
        for each in arrivals
    ]
    return insert_new(connection, inbox, rows)


def waiting(connection: Connection, limit: int) -> list[Kept]:
    """The oldest rows that nobody has understood yet."""
    query = select(inbox).where(inbox.c.state == WAITING).order_by(inbox.c.number).limit(limit)
    return [_kept(row) for row in connection.execute(query)]


def find(connection: Connection, keys: Sequence[tuple[str, str]]) -> list[Kept]:
    """The rows of these providers and ids."""
    found = []
    for provider, event_id in keys:
        query = select(inbox).where(inbox.c.provider == provider, inbox.c.event_id == event_id)
        found += [_kept(row) for row in connection.execute(query)]
    return found


_MARK = update(inbox).where(inbox.c.number == bindparam("row")).values(state=bindparam("to"))


def mark(connection: Connection, numbers: Sequence[int], state: int) -> None:
    """Notes what became of the rows."""
    if numbers:
        connection.execute(_MARK, [{"row": number, "to": state} for number in numbers])


def backlog(ledger: Ledger) -> int:
    """How many rows wait to be understood."""
    with ledger.reading() as connection:
        return connection.scalar(select(func.count()).where(inbox.c.state == WAITING)) or 0


def forget_understood(ledger: Ledger) -> None:
    """Empties what is made from the inbox, so that processing makes it again; refusals stay in force meanwhile.

    Events whose raw text was dropped for its age cannot be made again, and stay.
    """
    with ledger.writing() as connection:
        for table in (delivery_event, consent):
            here = (inbox.c.provider == table.c.provider, inbox.c.event_id == table.c.event_id)
            again = exists().where(*here, inbox.c.state == DONE, inbox.c.raw != "")
            if table is delivery_event:
                touched = select(table.c.message_id).where(again)
                connection.execute(delete(delivery).where(delivery.c.message_id.in_(touched)))
            connection.execute(delete(table).where(again))
        connection.execute(update(inbox).where(inbox.c.state == DONE, inbox.c.raw != "").values(state=WAITING))


def drop_raw(ledger: Ledger, before: datetime) -> int:
    """How many understood rows were emptied because they came before that moment; the events stay."""
    old = (inbox.c.state == DONE, inbox.c.received_at < before, inbox.c.raw != "")
    with ledger.writing() as connection:
        return connection.execute(update(inbox).where(*old).values(raw="")).rowcount


def _kept(row: object) -> Kept:
    return Kept(row.number, row.provider, row.event_id, row.raw, row.received_at)  # type: ignore[attr-defined]
