"""What the product itself did to customers, beside what the shop imported: hand-overs and assignments."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import Protocol, TypeVar

import ibis

from campanile.customers import engine
from campanile.customers.database import ASSIGNMENTS, COMMITTED, CONTACTS, SUPPRESSED, CustomerDatabase
from campanile.customers.zones import naive

_CHUNK = 50_000
_MARKETING = "marketing"

T = TypeVar("T")


class HandOver(Protocol):
    """A message that a provider took, as the ledger tells it."""

    @property
    def message_id(self) -> str: ...  # noqa: D102
    @property
    def customer_id(self) -> str: ...  # noqa: D102
    @property
    def channel(self) -> str: ...  # noqa: D102
    @property
    def campaign(self) -> str: ...  # noqa: D102
    @property
    def arm(self) -> str: ...  # noqa: D102
    @property
    def at(self) -> datetime: ...  # noqa: D102


def last_contact(database: CustomerDatabase) -> datetime | None:
    """When the newest hand-over that the customer database knows was made; what came before need not be read again."""
    newest: datetime | None = database.own(CONTACTS)["at"].max().to_pyarrow().as_py()
    return newest.replace(tzinfo=UTC) if newest else None


def sync_history(database: CustomerDatabase, contacts: Iterable[HandOver]) -> int:
    """Adds accepted hand-overs to the `contacted` events; returns how many were new. A message counts once.

    Args:
        database: Open for writing.
        contacts: As `Ledger.contacts` gives them; streamed.
    """
    database.needs_writing()
    added = 0
    with engine.engine_errors(database.path), engine.transaction(database.ibis):
        for chunk in _chunks(contacts):
            newest = {contact.message_id: _row(contact) for contact in chunk}
            rows = ibis.memtable(list(newest.values()), schema=database.own(CONTACTS).schema())
            new = rows.anti_join(database.own(CONTACTS), "message_id")
            added += int(new.count().execute())
            database.append_own(CONTACTS, new)
    return added


def _chunks(rows: Iterable[T]) -> Iterator[list[T]]:
    source = iter(rows)
    while chunk := list(islice(source, _CHUNK)):
        yield chunk


def _row(contact: HandOver) -> dict[str, object]:
    return {
        "message_id": contact.message_id,
        "customer_id": contact.customer_id,
        "at": naive(contact.at),
        "channel": contact.channel,
        "campaign": contact.campaign,
        "purpose": _MARKETING,
        "arm": contact.arm,
    }


def sync_suppressions(database: CustomerDatabase, suppressed: Iterable[tuple[str, str]]) -> None:
    """Replaces what the customer database knows of suppressed addresses, so that a selection leaves them out.

    Args:
        database: Open for writing.
        suppressed: Channel and address, written as the ledger compares them.
    """
    database.needs_writing()
    rows = [{"channel": channel, "address": address} for channel, address in suppressed]
    with engine.engine_errors(database.path):
        database.store_own(SUPPRESSED, ibis.memtable(rows, schema=database.own(SUPPRESSED).schema()))


def sync_commitments(database: CustomerDatabase, medium: str, customers: Iterable[str]) -> None:
    """Replaces what the customer database knows of messages that other plans are about to send.

    Args:
        database: Open for writing.
        medium: Theirs.
        customers: Whom they are for: one entry a message; streamed.
    """
    rows = ({"customer_id": customer, "channel": medium} for customer in customers)
    _replace(database, COMMITTED, rows)


def _replace(database: CustomerDatabase, name: str, rows: Iterable[Mapping[str, object]]) -> None:
    """Puts these rows in the place of what one of the product's own tables held, a chunk at a time."""
    database.needs_writing()
    schema = database.own(name).schema()
    with engine.engine_errors(database.path), engine.transaction(database.ibis):
        database.store_own(name, ibis.memtable([], schema=schema))
        for chunk in _chunks(rows):
            database.append_own(name, ibis.memtable(chunk, schema=schema))


def record_assignment(database: CustomerDatabase, snapshot: Path, *, campaign: str, wave: str, at: datetime) -> int:
    """Adds the customers of a snapshot, control included, to the `assigned` events; returns how many were new.

    Args:
        database: Open for writing.
        snapshot: Parquet with customer_id and arm.
        campaign: Name of the campaign.
        wave: Its wave; a customer is assigned once per campaign and wave.
        at: When they were assigned; aware.
    """
    database.needs_writing()
    with engine.engine_errors(database.path), engine.transaction(database.ibis):
        known = database.own(ASSIGNMENTS)
        known = known.filter(known.campaign == campaign, known.wave == wave)
        rows = engine.read_columns(database.ibis, snapshot, name="campanile_snapshot")
        moment = ibis.timestamp(naive(at))
        new = rows.anti_join(known, "customer_id").select(
            "customer_id", at=moment, campaign=ibis.literal(campaign), wave=ibis.literal(wave), arm=rows.arm
        )
        added = int(new.count().execute())
        database.append_own(ASSIGNMENTS, new)
    return added
