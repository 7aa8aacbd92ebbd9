"""Later steps of a plan, and whom they are not for any more."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from itertools import islice

from sqlalchemy import select, update

from campanile.events import MessageState
from campanile.ledger import tables
from campanile.ledger.store import Ledger

_WAITING = (MessageState.DUE.value, MessageState.HELD.value)
_CHUNK = 500


def step_is_due(ledger: Ledger, plan_id: str, step: str, now: datetime) -> bool:
    """Whether a message of that step waits whose moment has come."""
    message = tables.message.c
    query = select(message.message_id).where(
        message.plan_id == plan_id, message.step == step, message.state.in_(_WAITING), message.not_before <= now
    )
    with ledger.reading() as connection:
        return connection.scalar(query.limit(1)) is not None


def leave_out(  # noqa: PLR0913 - what is left out of what, and why
    ledger: Ledger, plan_id: str, step: str, customers: Iterable[str], *, reason: str, now: datetime
) -> int:
    """How many waiting messages of that step will not go out, because of whom they were for.

    Each chunk is one transaction; a run that is stopped between two does the rest the next time.
    """
    message, source, count = tables.message, iter(customers), 0
    while chunk := list(islice(source, _CHUNK)):
        change = (
            update(message)
            .where(message.c.plan_id == plan_id, message.c.step == step, message.c.state.in_(_WAITING))
            .where(message.c.customer_id.in_(chunk))
            .values(state=MessageState.SUPPRESSED.value, reason=reason, settled_at=now)
        )
        with ledger.writing() as connection:
            count += connection.execute(change).rowcount
    return count
