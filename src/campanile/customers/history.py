"""What the product itself did to customers, beside what the shop imported: hand-overs and assignments."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from itertools import islice
from pathlib import Path
from typing import Protocol, TypeVar, cast

import ibis

from campanile.customers import engine
from campanile.customers.database import ASSIGNMENTS, CONTACTS, LEDGER_READ, SUPPRESSED, CustomerDatabase
from campanile.customers.own_events import RESPONSES
from campanile.customers.zones import naive

_CHUNK = 50_000

T = TypeVar("T")


class HandOver(Protocol):
    """What became of one hand-over, as the ledger tells it."""

    @property
    def message_id(self) -> str: ...  # noqa: D102
    @property
    def customer_id(self) -> str: ...  # noqa: D102
    @property
    def channel(self) -> str: ...  # noqa: D102
    @property
    def campaign(self) -> str: ...  # noqa: D102
    @property
    def purpose(self) -> str: ...  # noqa: D102
    @property
    def arm(self) -> str: ...  # noqa: D102
    @property
    def at(self) -> datetime: ...  # noqa: D102
    @property
    def arrived(self) -> bool: ...  # noqa: D102


class HandOvers(Protocol):
    """Where hand-overs are kept: numbered, so that whoever has read up to a number has missed nothing."""

    @property
    def identity(self) -> str: ...  # noqa: D102
    def last_serial(self) -> int: ...  # noqa: D102
    def contacts(self, after: int = 0) -> Iterable[HandOver]: ...  # noqa: D102


def sync_history(database: CustomerDatabase, ledger: HandOvers) -> None:
    """Nothing; the `contacted` events now include every message that arrived or may have, each of them once.

    Only what the ledger wrote since the last time is read. A message that turns out not to have arrived is taken out.

    Args:
        database: Open for writing.
        ledger: What it tells of hand-overs is streamed.
    """
    database.needs_writing()
    last = ledger.last_serial()
    with engine.engine_errors(database.path), engine.transaction(database.ibis):
        for chunk in _chunks(ledger.contacts(_read_until(database, ledger.identity, last))):
            newest = {hand_over.message_id: hand_over for hand_over in chunk}
            database.delete_own(CONTACTS, "message_id", list(newest))
            rows = [_row(hand_over) for hand_over in newest.values() if hand_over.arrived]
            database.append_own(CONTACTS, ibis.memtable(rows, schema=database.own(CONTACTS).schema()))
        read = [{"ledger": ledger.identity, "serial": last}]
        database.store_own(LEDGER_READ, ibis.memtable(read, schema=database.own(LEDGER_READ).schema()))


def _read_until(database: CustomerDatabase, ledger: str, last: int) -> int:
    """The number up to which that ledger was read; 0 for another one, or one put back from a backup."""
    for read in database.own(LEDGER_READ).to_pyarrow().to_pylist():
        if read["ledger"] == ledger and read["serial"] <= last:
            return int(read["serial"])
    return 0


def _chunks(rows: Iterable[T]) -> Iterator[list[T]]:
    source = iter(rows)
    while chunk := list(islice(source, _CHUNK)):
        yield chunk


def _row(hand_over: HandOver) -> dict[str, object]:
    return {
        "message_id": hand_over.message_id,
        "customer_id": hand_over.customer_id,
        "at": naive(hand_over.at),
        "channel": hand_over.channel,
        "campaign": hand_over.campaign,
        "purpose": hand_over.purpose,
        "arm": hand_over.arm,
    }


def sync_suppressions(database: CustomerDatabase, suppressed: Iterable[tuple[str, str]]) -> None:
    """Replaces what the customer database knows of suppressed addresses, so that a selection leaves them out.

    Args:
        database: Open for writing.
        suppressed: Channel and address, written as the ledger compares them; streamed.
    """
    replace_rows(database, SUPPRESSED, ({"channel": channel, "address": address} for channel, address in suppressed))


def sync_responses(database: CustomerDatabase, answers: Iterable[Mapping[str, object]]) -> None:
    """Replaces what the customer database knows of answers to the product's own messages.

    Args:
        database: Open for writing.
        answers: Rows of the table of responses, their moments aware; streamed.
    """
    replace_rows(database, RESPONSES, ({**row, "at": naive(cast("datetime", row["at"]))} for row in answers))


def replace_rows(database: CustomerDatabase, name: str, rows: Iterable[Mapping[str, object]]) -> None:
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
