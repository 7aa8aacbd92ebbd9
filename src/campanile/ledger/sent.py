"""What other rooms ask a ledger that they do not hold open."""

from __future__ import annotations

from pathlib import Path

from sqlalchemy import select

from campanile.ledger import tables
from campanile.ledger.store import Ledger


def anything_sent(path: Path) -> bool:
    """Whether a hand-over of any plan in that ledger was ever begun; False when there is no ledger yet."""
    if not path.exists():
        return False
    with Ledger.open(path) as ledger, ledger.reading() as connection:
        return connection.scalar(select(tables.attempt.c.message_id).limit(1)) is not None
