"""What plans are about to send, and what they sent after the moment that a selection looks back from.

Neither is history yet for that selection, and both are messages that a customer gets around the time of the next one.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ColumnElement, Select, and_, false, or_, select

from campanile.events import Outcome
from campanile.ledger import tables
from campanile.ledger.records import UNFINISHED
from campanile.ledger.store import Ledger

_CHUNK = 2_000
_ARRIVED = (Outcome.ACCEPTED.value, Outcome.UNKNOWN.value)


@dataclass(frozen=True)
class Around:
    """Around what commitments are looked for: a wave that is being planned, and an open span of time.

    Attributes:
        as_of: What lies before it is history. What waited then goes out from then on.
    """

    campaign: str
    wave: str
    as_of: datetime
    after: datetime
    before: datetime


def commitments(ledger: Ledger, around: Around) -> Iterator[tuple[str, str, datetime]]:
    """Customer, medium and moment of other waves' marketing messages inside the span, one entry a message; streamed.

    A message that waits counts at the moment from which it may go out, one under way or handed over at the moment of
    its attempt. One whose answer was lost may have arrived, and counts too.
    """
    marketing = [plan.plan_id for plan in ledger.plans() if plan.purpose == "marketing"]
    with ledger.reading() as connection:
        for row in connection.execution_options(yield_per=_CHUNK).execute(_query(around, marketing)):
            left = row.opened_at is not None and row.opened_at >= around.as_of
            yield row.customer_id, row.channel, row.opened_at if left else max(row.not_before, around.as_of)


def _query(around: Around, plans: Sequence[str]) -> Select[tuple[str, str, datetime, datetime | None]]:
    message, plan, attempt = tables.message.c, tables.plan.c, tables.attempt.c
    tried = and_(
        attempt.message_id == message.message_id, or_(attempt.outcome.is_(None), attempt.outcome.in_(_ARRIVED))
    )
    return (
        select(message.customer_id, message.channel, message.not_before, attempt.opened_at)
        .join(tables.plan, plan.plan_id == message.plan_id)
        .join(tables.attempt, tried, isouter=True)
        .where(
            or_(plan.campaign != around.campaign, plan.wave != around.wave),
            plan.plan_id.in_(plans),
            or_(_waits(around), _left(around)),
        )
    )


def _waits(around: Around) -> ColumnElement[bool]:
    message = tables.message.c
    waiting = message.state.in_([state.value for state in UNFINISHED])
    goes_out = [message.expires_at > around.as_of, message.not_before < around.before]
    if around.as_of <= around.after:
        goes_out.append(message.not_before > around.after)
    return and_(waiting, *goes_out) if around.as_of < around.before else false()


def _left(around: Around) -> ColumnElement[bool]:
    opened = tables.attempt.c.opened_at
    return and_(opened >= around.as_of, opened > around.after, opened < around.before)
