"""Where a ledger lies, written in the ledger itself: a copy of it, or an old backup, must not send the rest again."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import delete, insert, select

from campanile.errors import CampanileError
from campanile.ledger import tables

if TYPE_CHECKING:
    from campanile.ledger.store import Ledger

#: Key in the table meta.
PLACE = "place"


def keep_place(ledger: Ledger, *, cure: str) -> None:
    """Returns when the ledger lies where it was made or last moved to on purpose.

    Args:
        ledger: The ledger.
        cure: How to say that it was moved on purpose.

    Raises:
        CampanileError: It is a copy, or was moved: what the other one has sent, this one may not know.
    """
    known = _known(ledger)
    if known is None:
        move_here(ledger)
    elif known != ledger.database.place():
        raise CampanileError(
            f"{ledger.name} is a copy or was moved: it belongs to {known.partition(' ')[2]} as another file or schema",
            "send from there; a copy or a restored backup does not know what was sent since. "
            f"If nothing was, and nothing will ever be sent from another one, {cure}",
        )


def move_here(ledger: Ledger) -> None:
    """Lets the ledger send from where it lies now, on a person's word."""
    place = ledger.database.place()
    with ledger.writing() as connection:
        connection.execute(delete(tables.meta).where(tables.meta.c.key == PLACE))
        connection.execute(insert(tables.meta).values(key=PLACE, value=place))


def _known(ledger: Ledger) -> str | None:
    with ledger.reading() as connection:
        place: str | None = connection.scalar(select(tables.meta.c.value).where(tables.meta.c.key == PLACE))
    return place
