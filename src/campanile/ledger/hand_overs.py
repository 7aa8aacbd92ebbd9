"""The way of one message through the ledger: claimed, opened, answered. Each function is one durable transaction."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Row, bindparam, insert, select, update

from campanile.events import MessageState, Outcome, PlannedMessage, Receipt
from campanile.ledger import tables, variables
from campanile.ledger.addresses import address_key
from campanile.ledger.records import Mode, Opened
from campanile.ledger.store import Ledger, next_serial

#: After so many times that the provider put a message off, it is given up.
TRIES = 5
_FIRST_PAUSE = timedelta(minutes=1)

_WORDS = {
    Outcome.ACCEPTED: "taken",
    Outcome.REJECTED: "refused",
    Outcome.UNKNOWN: "answer lost",
    Outcome.NOT_SENT: "put off",
}
_COLUMNS = [
    tables.message.c[name]
    for name in (
        *("message_id", "customer_id", "arm", "step", "channel", "address"),
        *("variables", "due_at", "expires_at", "zone", "batch"),
    )
]
_ID = tables.message.c.message_id == bindparam("key")
_MINE = (_ID, tables.message.c.state == MessageState.CLAIMED.value)

_CLAIM = update(tables.message).where(_ID).values(state=MessageState.CLAIMED.value)
_RELEASE = update(tables.message).where(*_MINE).values(state=MessageState.DUE.value)
_MOVE = (
    update(tables.message)
    .where(*_MINE)
    .values(state=bindparam("to"), reason=bindparam("because"), settled_at=bindparam("at"))
)
_POSTPONE = (
    update(tables.message)
    .where(*_MINE)
    .values(
        state=bindparam("to"),
        reason=bindparam("because"),
        not_before=bindparam("until"),
        deferrals=bindparam("times"),
        settled_at=bindparam("at"),
    )
)
_CLOSE = (
    update(tables.attempt)
    .where(tables.attempt.c.message_id == bindparam("key"), tables.attempt.c.outcome.is_(None))
    .values(
        outcome=bindparam("came"),
        provider_id=bindparam("provider"),
        detail=bindparam("said"),
        closed_at=bindparam("at"),
        serial=bindparam("number"),
    )
)
_COUNT_ATTEMPT = update(tables.message).where(*_MINE).values(attempts=bindparam("n"))


def claim(ledger: Ledger, plan_id: str, batch: int, *, now: datetime, limit: int) -> list[PlannedMessage]:
    """Up to `limit` messages of the batch whose moment has come, marked so that no other sender takes them."""
    table = tables.message.c
    claimed: list[PlannedMessage] = []
    with ledger.writing() as connection:
        for state in (MessageState.DUE, MessageState.HELD):
            query = (
                select(*_COLUMNS)
                .where(table.plan_id == plan_id, table.batch == batch)
                .where(table.state == state.value, table.not_before <= now)
                .order_by(table.not_before)
                .limit(limit - len(claimed))
                .with_for_update(skip_locked=True)
            )
            claimed += [planned(row) for row in connection.execute(query)]
        if claimed:
            connection.execute(_CLAIM, [{"key": message.message_id} for message in claimed])
    return claimed


def release(ledger: Ledger, message_ids: Sequence[str]) -> None:
    """Gives claimed messages without an open attempt back: they are due."""
    if message_ids:
        with ledger.writing() as connection:
            connection.execute(_RELEASE, [{"key": message_id} for message_id in message_ids])


def exchange(  # noqa: PLR0913 - one transaction needs all of it
    ledger: Ledger,
    plan_id: str,
    *,
    answers: Sequence[Receipt] = (),
    returned: Sequence[str] = (),
    wanted: Sequence[PlannedMessage] = (),
    held: Mapping[str, datetime] | None = None,
    mode: Mode,
    now: datetime,
) -> Opened:
    """What may be handed over now, after the answers so far are written down: both in one commit.

    Args:
        ledger: The ledger.
        plan_id: The plan being sent.
        answers: Receipts of open attempts.
        returned: Messages that certainly were not handed over, through no fault of theirs: due again at once.
        wanted: Claimed messages to open an attempt for.
        held: Of those, the ones in quiet hours and when these end.
        mode: How they would be handed over.
        now: The present moment.
    """
    with ledger.writing() as connection:
        _settle(connection, answers, now)
        _give_back(connection, returned, now)
        if not wanted:
            return Opened()
        state = connection.scalar(select(tables.plan.c.state).where(tables.plan.c.plan_id == plan_id))
        if state != "sending":
            return Opened(running=False)
        return _open(connection, _Gate(plan_id, held or {}, now), wanted, mode)


def waiting(ledger: Ledger, plan_id: str) -> Iterator[tuple[PlannedMessage, datetime]]:
    """Every message of the plan that may still go out, and from when it may; streamed, nothing is claimed."""
    table = tables.message.c
    states = (MessageState.DUE.value, MessageState.HELD.value, MessageState.CLAIMED.value)
    open_ones = (table.plan_id == plan_id, table.state.in_(states))
    query = select(*_COLUMNS, table.not_before).where(*open_ones).order_by(table.batch, table.not_before)
    with ledger.reading() as connection:
        for row in connection.execution_options(yield_per=1_000).execute(query):
            yield planned(row), row.not_before


def foresee(
    ledger: Ledger, messages: Sequence[PlannedMessage], *, held: Mapping[str, datetime], now: datetime
) -> list[MessageState | None]:
    """For each message the state that the gate would put it into now, or None when it would let it through."""
    gate = _Gate("", held, now)
    with ledger.reading() as connection:
        gate.look(connection, messages)
    verdicts = [gate.verdict(message) for message in messages]
    return [verdict[0] if verdict else None for verdict in verdicts]


def sample(ledger: Ledger, plan_id: str, arm: str, count: int) -> list[PlannedMessage]:
    """Some messages of an arm: the first by message id, which is a hash, so they are drawn as if at random."""
    table = tables.message.c
    query = select(*_COLUMNS).where(table.plan_id == plan_id, table.arm == arm).order_by(table.message_id).limit(count)
    with ledger.reading() as connection:
        return [planned(row) for row in connection.execute(query)]


def planned(row: Row[Any]) -> PlannedMessage:
    """The planned message of a row of the message table."""
    values = dict(row._mapping)
    values.pop("not_before", None)
    values["variables"] = variables.load(values["variables"])
    return PlannedMessage(**values)


def _settle(connection: Connection, answers: Sequence[Receipt], now: datetime) -> None:
    if not answers:
        return
    shared = {"at": now, "number": next_serial(connection)}
    closed = [
        {"key": a.message_id, "came": a.outcome.value, "provider": a.provider_id, "said": a.detail, **shared}
        for a in answers
    ]
    connection.execute(_CLOSE, closed)
    final = [answer for answer in answers if answer.outcome is not Outcome.NOT_SENT]
    if final:
        rows = [{"key": a.message_id, "to": a.outcome.value, "because": _reason(a), "at": now} for a in final]
        connection.execute(_MOVE, rows)
    postponed = [answer for answer in answers if answer.outcome is Outcome.NOT_SENT]
    if postponed:
        _put_off(connection, postponed, now)


def _put_off(connection: Connection, answers: Sequence[Receipt], now: datetime) -> None:
    """Makes the messages due again after a pause that doubles each time; after the last try they are given up."""
    table = tables.message.c
    query = select(table.message_id, table.deferrals).where(table.message_id.in_([a.message_id for a in answers]))
    times = {message_id: deferrals + 1 for message_id, deferrals in connection.execute(query)}
    rows = []
    for answer in answers:
        n = times[answer.message_id]
        row: dict[str, object] = {"key": answer.message_id, "times": n, "until": now + _FIRST_PAUSE * 2 ** (n - 1)}
        if n < TRIES:
            row |= {"to": MessageState.DUE.value, "because": _reason(answer), "at": None}
        else:
            because = f"gave up after {TRIES} tries, the last: {_reason(answer)}"
            row |= {"to": MessageState.REJECTED.value, "because": because, "at": now}
        rows.append(row)
    connection.execute(_POSTPONE, rows)


def _give_back(connection: Connection, message_ids: Sequence[str], now: datetime) -> None:
    if not message_ids:
        return
    closed = {"came": Outcome.NOT_SENT.value, "provider": "", "said": "not handed over", "at": now}
    closed["number"] = next_serial(connection)
    connection.execute(_CLOSE, [{"key": message_id, **closed} for message_id in message_ids])
    connection.execute(_RELEASE, [{"key": message_id} for message_id in message_ids])


def _reason(answer: Receipt) -> str:
    word = _WORDS[answer.outcome]
    return f"{word}: {answer.detail}" if answer.detail else word


class _Gate:
    """The last check before a hand-over, inside the transaction that opens the attempt."""

    def __init__(self, plan_id: str, held: Mapping[str, datetime], now: datetime) -> None:
        self.plan_id = plan_id
        self.held = held
        self.now = now
        self.suppressed: set[tuple[str, str]] = set()
        self.attempts: dict[str, int] = {}

    def look(self, connection: Connection, wanted: Sequence[PlannedMessage]) -> None:
        """Reads who has been suppressed meanwhile, and which messages are still ours."""
        keys = {address_key(message.channel, message.address) for message in wanted}
        table = tables.suppression.c
        channels = {message.channel for message in wanted}
        listed = select(table.channel, table.address).where(table.channel.in_(channels), table.address.in_(keys))
        self.suppressed = {(channel, address) for channel, address in connection.execute(listed)}
        column = tables.message.c
        # Only the key in SQL: with plan and state beside it SQLite walks the whole queue of the plan instead.
        query = select(column.message_id, column.plan_id, column.state, column.attempts).where(
            column.message_id.in_([message.message_id for message in wanted])
        )
        mine = (self.plan_id, MessageState.CLAIMED.value)
        rows = connection.execute(query)
        self.attempts = {row.message_id: row.attempts for row in rows if (row.plan_id, row.state) == mine}

    def verdict(self, message: PlannedMessage) -> tuple[MessageState, str] | None:
        """The state and reason that keep the message from going out; None when it may."""
        if (message.channel, address_key(message.channel, message.address)) in self.suppressed:
            return MessageState.SUPPRESSED, "suppressed before the hand-over"
        if message.expires_at <= self.now:
            return MessageState.EXPIRED, "its deadline has passed"
        until = self.held.get(message.message_id)
        if until is None:
            return None
        if until >= message.expires_at:
            return MessageState.EXPIRED, "quiet hours last until after its deadline"
        return MessageState.HELD, "quiet hours"


def _open(connection: Connection, gate: _Gate, wanted: Sequence[PlannedMessage], mode: Mode) -> Opened:
    gate.look(connection, wanted)
    opened: list[PlannedMessage] = []
    aside: Counter[MessageState] = Counter()
    for message in wanted:
        if message.message_id not in gate.attempts:
            continue
        verdict = gate.verdict(message)
        if verdict is None:
            opened.append(message)
        else:
            _set_aside(connection, gate, message, verdict)
            aside[verdict[0]] += 1
    if opened:
        numbered = [{"key": m.message_id, "n": gate.attempts[m.message_id] + 1} for m in opened]
        connection.execute(_COUNT_ATTEMPT, numbered)
        shared = {"channel": mode.channel, "opened_at": gate.now}
        rows = [{"message_id": row["key"], "n": row["n"], **shared} for row in numbered]
        connection.execute(insert(tables.attempt), rows)
    return Opened(tuple(opened), aside)


def _set_aside(connection: Connection, gate: _Gate, message: PlannedMessage, verdict: tuple[MessageState, str]) -> None:
    state, reason = verdict
    values: dict[str, object] = {"state": state.value, "reason": reason}
    values |= {"not_before": gate.held[message.message_id]} if state is MessageState.HELD else {"settled_at": gate.now}
    connection.execute(update(tables.message).where(tables.message.c.message_id == message.message_id).values(**values))
