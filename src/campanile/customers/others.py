"""What other campaigns are about to do to customers: messages that wait, and whom they have on which day."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import ibis

from campanile.customers import engine
from campanile.customers.database import COMMITTED, RIVALS, CustomerDatabase
from campanile.customers.history import replace_rows
from campanile.customers.zones import naive, shop_day


@dataclass(frozen=True)
class Rival:
    """A campaign that has customers on the days of the one being planned.

    Attributes:
        place: 0 for the campaign that comes before all others.
        comes_first: Whether it keeps its customers.
        snapshot: Parquet with customer_id and due_at, control included.
    """

    campaign: str
    place: int
    comes_first: bool
    snapshot: Path


def sync_commitments(database: CustomerDatabase, messages: Iterable[tuple[str, str, datetime]]) -> None:
    """Replaces what the customer database knows of marketing messages that other plans are about to send.

    Args:
        database: Open for writing.
        messages: Customer, medium and the aware moment from which each may go out; streamed.
    """
    rows = ({"customer_id": customer, "channel": medium, "at": naive(at)} for customer, medium, at in messages)
    replace_rows(database, COMMITTED, rows)


def sync_rivals(database: CustomerDatabase, rivals: Sequence[Rival], zone: ZoneInfo) -> None:
    """Replaces what the customer database knows of the customers that other campaigns have, and on which day.

    Args:
        database: Open for writing.
        rivals: The other campaigns; their snapshots are read by the engine.
        zone: The shop's; its calendar says what a day is.
    """
    replace_rows(database, RIVALS, ())
    with engine.engine_errors(database.path), engine.transaction(database.ibis):
        for rival in rivals:
            rows = engine.parquet_rows(database, rival.snapshot)
            found = rows.select(
                "customer_id",
                day=shop_day(rows["due_at"], zone),
                campaign=ibis.literal(rival.campaign),
                place=ibis.literal(rival.place, "int64"),
                comes_first=ibis.literal(value=rival.comes_first),
            )
            database.append_own(RIVALS, found)
