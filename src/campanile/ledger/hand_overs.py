"""The way of one message through the ledger: claimed, opened, answered. Each function is one durable transaction."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Row, bindparam, insert, select, update

from campanile.events import MessageState, Outcome, PlannedMessage, Receipt
from campanile.ledger import tables, variables
from campanile.ledger.addresses import address_key
from campanile.ledger.breakers import ASKED_TO_WAIT
from campanile.ledger.gate import Gate, Verdict
from campanile.ledger.pace import Buckets, close_until, sooner
from campanile.ledger.records import Mode, Opened
from campanile.ledger.store import Ledger
from campanile.ledger.workers import enlist, still_mine

#: After so many times that the provider put a message off, it is given up.
TRIES = 5
_FIRST_PAUSE = timedelta(minutes=1)
#: A provider that asks for more is asked again after this.
_LONGEST_WAIT = timedelta(hours=6)

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
_MINE = (
    _ID,
    tables.message.c.state == MessageState.CLAIMED.value,
    tables.message.c.worker == bindparam("me"),
)

_CLAIM = update(tables.message).where(_ID).values(state=MessageState.CLAIMED.value, worker=bindparam("me"))
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
    .where(
        tables.attempt.c.message_id == bindparam("key"),
        tables.attempt.c.outcome.is_(None),
        tables.attempt.c.worker == bindparam("me"),
    )
    .values(
        outcome=bindparam("came"),
        provider_id=bindparam("provider"),
        detail=bindparam("said"),
        closed_at=bindparam("at"),
        serial=bindparam("number"),
        parts=bindparam("counted"),
        price=bindparam("charged"),
        currency=bindparam("money"),
    )
)
_STATE = select(tables.plan.c.state).where(tables.plan.c.plan_id == bindparam("plan"))
_OPEN = insert(tables.attempt)
_COUNT_ATTEMPT = update(tables.message).where(*_MINE).values(attempts=bindparam("n"))


def claim(ledger: Ledger, plan_id: str, batch: int, *, now: datetime, limit: int) -> list[PlannedMessage]:
    """Up to `limit` messages of the batch whose moment has come, marked so that no other sender takes them."""
    table = tables.message.c
    claimed: list[PlannedMessage] = []
    with ledger.sharing() as connection:
        enlist(ledger, connection)
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
            me = ledger.worker
            connection.execute(_CLAIM, [{"key": message.message_id, "me": me} for message in claimed])
    return claimed


def release(ledger: Ledger, message_ids: Sequence[str]) -> None:
    """Gives claimed messages without an open attempt back: they are due."""
    if message_ids:
        with ledger.sharing() as connection:
            connection.execute(_RELEASE, [{"key": message_id, "me": ledger.worker} for message_id in message_ids])


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

    Raises:
        LeaseLostError: Others have settled what this worker had claimed; nothing is written.
    """
    with ledger.sharing() as connection:
        still_mine(ledger, connection)
        _Settlement(ledger, connection, mode, now).settle(answers, returned)
        if not wanted:
            return Opened()
        state = connection.scalar(_STATE, {"plan": plan_id})
        if state != "sending":
            return Opened(running=False)
        buckets = Buckets(ledger.database, connection, mode.rates)
        allowed = buckets.allow(len(wanted))
        gate = Gate(plan_id, held or {}, now, mode.rules)
        opened = _open(ledger, connection, gate, wanted[: allowed.count], mode)
        buckets.take(len(opened.messages))
        return replace(opened, left=tuple(wanted[allowed.count :]), wait=allowed.wait)


def waiting(ledger: Ledger, plan_id: str) -> Iterator[tuple[PlannedMessage, datetime]]:
    """Every message of the plan that may still go out, and from when it may; streamed, nothing is claimed."""
    table = tables.message.c
    states = (MessageState.DUE.value, MessageState.HELD.value, MessageState.CLAIMED.value)
    open_ones = (table.plan_id == plan_id, table.state.in_(states))
    query = select(*_COLUMNS, table.not_before).where(*open_ones).order_by(table.batch, table.not_before)
    with ledger.reading() as connection:
        for row in connection.execution_options(yield_per=1_000).execute(query):
            yield planned(row), row.not_before


def lost(ledger: Ledger, plan_id: str, channel: str) -> list[tuple[PlannedMessage, datetime]]:
    """The plan's unknown messages that went over that channel, and when; they are as many as were in flight."""
    message, attempt = tables.message.c, tables.attempt.c
    query = (
        select(*_COLUMNS, attempt.opened_at)
        .join(tables.attempt, attempt.message_id == message.message_id)
        .where(message.plan_id == plan_id, message.state == MessageState.UNKNOWN.value)
        .where(attempt.outcome == Outcome.UNKNOWN.value, attempt.channel == channel)
        .order_by(attempt.opened_at, message.message_id)
    )
    with ledger.reading() as connection:
        return [(planned(row), row.opened_at) for row in connection.execute(query)]


def foresee(
    ledger: Ledger, messages: Sequence[PlannedMessage], *, held: Mapping[str, datetime], now: datetime
) -> list[MessageState | None]:
    """For each message the state that the gate would put it into now, or None when it would let it through."""
    gate = Gate("", held, now)
    with ledger.reading() as connection:
        gate.look(ledger, connection, messages)
    verdicts = [gate.verdict(message) for message in messages]
    return [verdict.state if verdict else None for verdict in verdicts]


def sample(ledger: Ledger, plan_id: str, arm: str, count: int) -> list[PlannedMessage]:
    """Some messages of an arm: the first by message id, which is a hash, so they are drawn as if at random."""
    table = tables.message.c
    query = select(*_COLUMNS).where(table.plan_id == plan_id, table.arm == arm).order_by(table.message_id).limit(count)
    with ledger.reading() as connection:
        return [planned(row) for row in connection.execute(query)]


def planned(row: Row[Any]) -> PlannedMessage:
    """The planned message of a row of the message table."""
    values = dict(row._mapping)
    for more in ("not_before", "opened_at"):
        values.pop(more, None)
    values["variables"] = variables.load(values["variables"])
    return PlannedMessage(**values)


class _Settlement:
    """Answers written down inside one transaction."""

    def __init__(self, ledger: Ledger, connection: Connection, mode: Mode, now: datetime) -> None:
        self._ledger, self._connection, self._mode, self._now = ledger, connection, mode, now
        self._me = {"me": ledger.worker}

    def settle(self, answers: Sequence[Receipt], returned: Sequence[str]) -> None:
        """Closes the attempts, and moves each message to where its answer puts it."""
        if not answers and not returned:
            return
        shared = {**self._me, "at": self._now, "number": self._ledger.database.next_serial(self._connection)}
        closed = [{**_said(answer), **shared} for answer in answers]
        closed += [{**_said(Receipt(key, Outcome.NOT_SENT, detail="not handed over")), **shared} for key in returned]
        self._connection.execute(_CLOSE, closed)
        if returned:
            self._connection.execute(_RELEASE, [{"key": message_id, **self._me} for message_id in returned])
        final = [answer for answer in answers if answer.outcome is not Outcome.NOT_SENT]
        if final:
            shared = {**self._me, "at": self._now}
            rows = [{"key": a.message_id, "to": a.outcome.value, "because": _reason(a), **shared} for a in final]
            self._connection.execute(_MOVE, rows)
        self._suppress([answer for answer in answers if answer.suppress])
        postponed = [answer for answer in answers if answer.outcome is Outcome.NOT_SENT]
        if postponed:
            self._put_off(postponed)
            self._wait(postponed)

    def _suppress(self, answers: Sequence[Receipt]) -> None:
        """Keeps every later message away from those of whom the provider says that they must not be contacted."""
        table = tables.message.c
        why = {answer.message_id: answer.suppress for answer in answers}
        if not why:
            return
        query = select(table.message_id, table.channel, table.address).where(table.message_id.in_(why))
        facts = {"source": self._mode.channel, "at": self._now}
        keys = {
            (row.channel, address_key(row.channel, row.address)): why[row.message_id]
            for row in self._connection.execute(query)
        }
        self._ledger.database.one_at_a_time(self._connection, [f"suppression {key}" for key in keys])
        for (channel, address), reason in keys.items():
            key = {"channel": channel, "address": address}
            if self._connection.scalar(select(tables.suppression.c.at).filter_by(**key)) is None:
                self._connection.execute(insert(tables.suppression).values(**key, reason=reason, **facts))

    def _put_off(self, answers: Sequence[Receipt]) -> None:
        """Makes the messages due again later; see `_later`."""
        table = tables.message.c
        query = select(table.message_id, table.deferrals).where(table.message_id.in_([a.message_id for a in answers]))
        times = {row.message_id: row.deferrals for row in self._connection.execute(query)}
        rows = [self._later(answer, times[answer.message_id]) for answer in answers if answer.message_id in times]
        self._connection.execute(_POSTPONE, rows)

    def _later(self, answer: Receipt, times: int) -> dict[str, object]:
        """Due again after a pause that doubles each time, or when the provider says; given up after the last try."""
        row: dict[str, object] = {"key": answer.message_id, **self._me}
        if answer.retry_at is not None:
            until = sooner(answer.retry_at, self._now, _LONGEST_WAIT)
            return {**row, "times": times, "until": until, **_due(answer)}
        row |= {"times": times + 1, "until": self._now + _FIRST_PAUSE * 2**times}
        if times + 1 < TRIES:
            return row | _due(answer)
        because = f"gave up after {TRIES} tries, the last: {_reason(answer)}"
        return row | {"to": MessageState.REJECTED.value, "because": because, "at": self._now}

    def _wait(self, answers: Sequence[Receipt]) -> None:
        """Lets nobody begin anything before the provider takes messages again."""
        named = [answer.retry_at for answer in answers if answer.retry_at is not None]
        if named and self._mode.rates:
            names = [rate.name for rate in self._mode.rates]
            database = self._ledger.database
            database.one_at_a_time(self._connection, names)
            until = sooner(max(named), database.now(self._connection), _LONGEST_WAIT)
            close_until(database, self._connection, names[0], until)


def _said(answer: Receipt) -> dict[str, object]:
    """An answer as its attempt keeps it."""
    detail = answer.detail if answer.retry_at is None else f"{ASKED_TO_WAIT} {answer.detail}".strip()
    price = "" if answer.price is None else str(answer.price)
    came = {"key": answer.message_id, "came": answer.outcome.value, "provider": answer.provider_id, "said": detail}
    return {**came, "counted": answer.parts, "charged": price, "money": answer.currency}


def _due(answer: Receipt) -> dict[str, object]:
    return {"to": MessageState.DUE.value, "because": _reason(answer), "at": None}


def _reason(answer: Receipt) -> str:
    word = _WORDS[answer.outcome]
    return f"{word}: {answer.detail}" if answer.detail else word


def _open(ledger: Ledger, connection: Connection, gate: Gate, wanted: Sequence[PlannedMessage], mode: Mode) -> Opened:
    gate.look(ledger, connection, wanted)
    opened: list[PlannedMessage] = []
    aside: Counter[MessageState] = Counter()
    for message in wanted:
        if message.message_id not in gate.attempts:
            continue
        verdict = gate.verdict(message)
        if verdict is None:
            gate.count(message)
            opened.append(message)
        else:
            _set_aside(connection, gate, message, verdict)
            aside[verdict.state] += 1
    if opened:
        me = ledger.worker
        numbered = [{"key": m.message_id, "n": gate.attempts[m.message_id] + 1} for m in opened]
        connection.execute(_COUNT_ATTEMPT, [{**row, "me": me} for row in numbered])
        shared = {"channel": mode.channel, "opened_at": gate.now, "worker": me}
        rows = [{"message_id": row["key"], "n": row["n"], **shared} for row in numbered]
        connection.execute(_OPEN, rows)
        gate.write_down(connection)
    return Opened(tuple(opened), aside)


def _set_aside(connection: Connection, gate: Gate, message: PlannedMessage, verdict: Verdict) -> None:
    values: dict[str, object] = {"state": verdict.state.value, "reason": verdict.reason}
    values |= {"not_before": verdict.until} if verdict.until is not None else {"settled_at": gate.now}
    connection.execute(update(tables.message).where(tables.message.c.message_id == message.message_id).values(**values))
