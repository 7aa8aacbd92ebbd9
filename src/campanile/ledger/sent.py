"""What other rooms ask a ledger that they do not hold open."""

from __future__ import annotations

from sqlalchemy import select

from campanile.ledger import tables
from campanile.ledger.store import Ledger
from campanile.spec.places import LedgerPlace


def anything_sent(place: LedgerPlace) -> bool:
    """Whether a hand-over of any plan in that ledger was ever begun; False when there is no ledger yet."""
    if not Ledger.is_there(place):
        return False
    with Ledger.open(place) as ledger, ledger.reading() as connection:
        return connection.scalar(select(tables.attempt.c.message_id).limit(1)) is not None
