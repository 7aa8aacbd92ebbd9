"""What happens to messages outside the ordinary way: a sender died, or an operator decides what nobody can know."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import datetime
from typing import Literal

from sqlalchemy import Connection, and_, insert, select, update

from campanile.errors import CampanileError
from campanile.events import MessageState, Outcome
from campanile.ledger import tables
from campanile.ledger.records import Mode, Recovery
from campanile.ledger.store import Ledger
from campanile.ledger.workers import bury

Verdict = Literal["accepted", "rejected", "not_sent"]

LOST = "answer lost: the sender stopped before it came"
_CHUNK = 500
#: Who decides when the provider's own records do.
BY_THE_PROVIDER = "the provider"
_BY_A_PERSON = re.compile(rf"^(resolved as \w+) by (?!{BY_THE_PROVIDER}: ).*", re.DOTALL)


def recover(ledger: Ledger, plan_id: str, mode: Mode, now: datetime) -> Recovery:
    """Settles the claims of dead workers; see `workers`.

    A message without an open attempt was never handed over and is due. One with an open attempt may or may not have
    arrived: it is unknown, unless the same channel would hand it over again and repeating is harmless there.
    """
    message, attempt = tables.message.c, tables.attempt.c
    still_open = and_(attempt.message_id == message.message_id, attempt.outcome.is_(None))
    query = (
        select(message.message_id, message.worker, attempt.channel)
        .join(tables.attempt, still_open, isouter=True)
        .where(message.plan_id == plan_id, message.state == MessageState.CLAIMED.value)
    )
    with ledger.writing() as connection:
        living = bury(ledger, connection)
        rows = [(key, channel) for key, worker, channel in connection.execute(query) if worker not in living]
        repeatable = {None, mode.channel} if mode.idempotent else {None}
        due = [message_id for message_id, channel in rows if channel in repeatable]
        lost = [message_id for message_id, channel in rows if channel not in repeatable]
        _close(ledger, connection, due, Outcome.NOT_SENT, now)
        _move(connection, due, {"state": MessageState.DUE.value})
        _close(ledger, connection, lost, Outcome.UNKNOWN, now)
        _move(connection, lost, {"state": MessageState.UNKNOWN.value, "reason": LOST, "settled_at": now})
    return Recovery(due=len(due), unknown=len(lost))


def settle_unknown(  # noqa: PLR0913 - an audited decision names all of it
    ledger: Ledger,
    plan_id: str,
    message_ids: Sequence[str] | None,
    *,
    verdict: Verdict,
    who: str,
    why: str,
    now: datetime,
    provider_id: str = "",
) -> int:
    """How many unknown messages were settled as an operator decided; each leaves an event for audit.

    Args:
        ledger: The ledger.
        plan_id: The plan.
        message_ids: Which messages; None for every unknown one of the plan.
        verdict: accepted, rejected, or not_sent, which makes them due again.
        who: The person who decides.
        why: The evidence.
        now: The present moment.
        provider_id: The provider's own id of the one message, when it is known now.

    Raises:
        CampanileError: One of the named messages is not unknown; then nothing is changed.
    """
    message = tables.message.c
    query = select(message.message_id).where(message.plan_id == plan_id, message.state == MessageState.UNKNOWN.value)
    with ledger.writing() as connection:
        unknown = set(connection.scalars(query))
        chosen = sorted(unknown) if message_ids is None else list(dict.fromkeys(message_ids))
        for message_id in chosen:
            if message_id not in unknown:
                raise CampanileError(f"message {message_id} is not unknown", "nothing was changed")
        _decide(ledger, connection, chosen, verdict, f"resolved as {verdict} by {who}: {why}", now)
        if chosen:
            shared = {"at": now, "plan_id": plan_id, "kind": f"resolved as {verdict}", "who": who, "why": why}
            connection.execute(insert(tables.event), [{"message_id": message_id, **shared} for message_id in chosen])
        if provider_id:
            latest = (tables.attempt.c.message_id.in_(chosen), tables.attempt.c.closed_at == now)
            connection.execute(update(tables.attempt).where(*latest).values(provider_id=provider_id))
    return len(chosen)


def public_reason(reason: str) -> str:
    """A message's reason without what a person wrote: free text may name people, and readouts are for everybody.

    >>> public_reason("resolved as rejected by Mei: Ana of 5 High Street rang")
    'resolved as rejected by a person'
    """
    return _BY_A_PERSON.sub(r"\1 by a person", reason)


def _decide(  # noqa: PLR0913, PLR0917
    ledger: Ledger, connection: Connection, message_ids: Sequence[str], verdict: Verdict, reason: str, now: datetime
) -> None:
    attempt, serial = tables.attempt, ledger.database.next_serial(connection)
    for chunk in _chunks(message_ids):
        lost = (attempt.c.message_id.in_(chunk), attempt.c.outcome == Outcome.UNKNOWN.value)
        connection.execute(update(attempt).where(*lost).values(outcome=verdict, closed_at=now, serial=serial))
    if verdict == "not_sent":
        # Whoever orders a second hand-over orders it for now; the deadline still holds.
        again = {"state": MessageState.DUE.value, "reason": reason, "not_before": now, "settled_at": None}
        _move(connection, message_ids, again)
        plan_ids = select(tables.message.c.plan_id).where(tables.message.c.message_id.in_(message_ids[:1]))
        sent = (tables.plan.c.plan_id.in_(plan_ids), tables.plan.c.state == "sent")
        connection.execute(update(tables.plan).where(*sent).values(state="sending"))
    else:
        _move(connection, message_ids, {"state": verdict, "reason": reason, "settled_at": now})


def _close(ledger: Ledger, connection: Connection, message_ids: Sequence[str], outcome: Outcome, now: datetime) -> None:
    if not message_ids:
        return
    table, serial = tables.attempt, ledger.database.next_serial(connection)
    for chunk in _chunks(message_ids):
        open_ones = (table.c.message_id.in_(chunk), table.c.outcome.is_(None))
        values = {"outcome": outcome.value, "detail": "the sender stopped", "closed_at": now, "serial": serial}
        connection.execute(update(table).where(*open_ones).values(**values))


def _move(connection: Connection, message_ids: Sequence[str], values: dict[str, object]) -> None:
    table = tables.message
    for chunk in _chunks(message_ids):
        connection.execute(update(table).where(table.c.message_id.in_(chunk)).values(**values))


def _chunks(message_ids: Sequence[str]) -> list[Sequence[str]]:
    return [message_ids[start : start + _CHUNK] for start in range(0, len(message_ids), _CHUNK)]
