"""The last check before a hand-over, inside the transaction that opens the attempt. There is no way around it.

It asks again what planning has asked, because the world has moved on: who must not be contacted, who was written to by
other campaigns meanwhile, whose deadline has passed, where it is night, how many a domain may get today.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, time, timedelta
from zoneinfo import ZoneInfo

from sqlalchemy import BindParameter, Connection, bindparam, insert, or_, select, update

from campanile import clock
from campanile.events import CONTROL, MessageState, Outcome, PlannedMessage
from campanile.ledger import tables
from campanile.ledger.addresses import address_key
from campanile.ledger.refusals import refused
from campanile.ledger.rules import NO_RULES, Rules
from campanile.ledger.store import Ledger, plan_record_of
from campanile.spec.policy import EVERY_MEDIUM

_ARRIVED = (Outcome.ACCEPTED.value, Outcome.UNKNOWN.value)
_MESSAGE, _ATTEMPT, _SUPPRESSION = tables.message.c, tables.attempt.c, tables.suppression.c


def _among(name: str) -> BindParameter[Sequence[str]]:
    return bindparam(name, expanding=True)


# Made once: to make them anew for each transaction costs more than to run them.
# Only the key in SQL: with plan and state beside it SQLite walks the whole queue of the plan instead.
_OURS = select(
    _MESSAGE.message_id, _MESSAGE.plan_id, _MESSAGE.state, _MESSAGE.attempts, _MESSAGE.worker, _MESSAGE.arm
).where(_MESSAGE.message_id.in_(_among("ids")))
_CONTACTS = (
    select(_MESSAGE.customer_id, _MESSAGE.channel, _MESSAGE.plan_id, _ATTEMPT.opened_at)
    .join(tables.attempt, _ATTEMPT.message_id == _MESSAGE.message_id)
    .where(_MESSAGE.customer_id.in_(_among("who")), _ATTEMPT.opened_at > bindparam("since"))
    .where(or_(_ATTEMPT.outcome.is_(None), _ATTEMPT.outcome.in_(_ARRIVED)))
)
_SUPPRESSED = select(_SUPPRESSION.channel, _SUPPRESSION.address).where(
    _SUPPRESSION.channel.in_(_among("channels")), _SUPPRESSION.address.in_(_among("addresses"))
)


@dataclass(frozen=True, slots=True)
class Verdict:
    """What keeps a message from going out: the state it gets, why, and until when if it is held."""

    state: MessageState
    reason: str
    until: datetime | None = None


class Gate:
    """The gate of one transaction: `look`, then a verdict for each message in turn."""

    def __init__(self, plan_id: str, held: Mapping[str, datetime], now: datetime, rules: Rules = NO_RULES) -> None:
        self.plan_id = plan_id
        self.held = held
        self.now = now
        self.rules = rules
        self.attempts: dict[str, int] = {}
        self._suppressed: set[tuple[str, str]] = set()
        self._refused: set[str] = set()
        self._arms: dict[str, str] = {}
        self._contacts: dict[str, list[tuple[str, datetime]]] = defaultdict(list)
        self._today = clock_day(now, rules.zone)
        self._sent: dict[str, int] = {}
        self._counted: set[str] = set()

    def look(self, ledger: Ledger, connection: Connection, wanted: Sequence[PlannedMessage]) -> None:
        """Reads who has been suppressed meanwhile, and which messages are still ours."""
        if self.rules.caps:
            # Two campaigns at once must not both find room for the same customer.
            ledger.database.one_at_a_time(connection, [f"customer {message.customer_id}" for message in wanted])
            self._read_contacts(connection, wanted)
        if self.rules.warm_up is not None:
            self._read_sent(ledger, connection, wanted)
        self._suppressed = suppressed_among(connection, wanted)
        self._refused = refused(ledger, connection, wanted)
        mine = (self.plan_id, MessageState.CLAIMED.value, ledger.worker)
        found = connection.execute(_OURS, {"ids": [message.message_id for message in wanted]})
        rows = [row for row in found if (row.plan_id, row.state, row.worker) == mine]
        self.attempts = {row.message_id: row.attempts for row in rows}
        self._arms = {row.message_id: row.arm for row in rows}

    def verdict(self, message: PlannedMessage) -> Verdict | None:
        """What keeps the message from going out; None when it may."""
        if CONTROL in (message.arm, self._arms.get(message.message_id)):
            return Verdict(MessageState.SUPPRESSED, "in the control arm, which gets nothing")
        named = (message.channel, address_key(message.channel, message.address)) in self._suppressed
        if named or message.message_id in self._refused:
            return Verdict(MessageState.SUPPRESSED, "suppressed before the hand-over")
        if message.expires_at <= self.now:
            return Verdict(MessageState.EXPIRED, "its deadline has passed")
        quiet = (self.held.get(message.message_id), "quiet hours")
        for until, why in (quiet, self._capped(message), self._warm(message)):
            if until is None:
                continue
            if until >= message.expires_at:
                return Verdict(MessageState.EXPIRED, f"{why} last until after its deadline")
            return Verdict(MessageState.HELD, why, until)
        return None

    def count(self, message: PlannedMessage) -> None:
        """Nothing; the message goes out now, and those after it in this transaction find it there."""
        self._contacts[message.customer_id].append((message.channel, self.now))
        domain = domain_of(message)
        self._sent[domain] = self._sent.get(domain, 0) + 1

    def write_down(self, connection: Connection) -> None:
        """Nothing; how many each domain has got today is written."""
        if self.rules.warm_up is None:
            return
        table = tables.warm_up
        for domain, n in self._sent.items():
            key = (table.c.day == self._today, table.c.domain == domain)
            if domain in self._counted:
                connection.execute(update(table).where(*key).values(n=n))
            else:
                connection.execute(insert(table).values(day=self._today, domain=domain, n=n))

    def _capped(self, message: PlannedMessage) -> tuple[datetime | None, str]:
        """When the last cap that is full has room again."""
        until = None
        for scope, cap in self.rules.caps:
            since = cap.within.before(self.now)
            times = sorted(
                (
                    at
                    for channel, at in self._contacts[message.customer_id]
                    if at > since and scope in (channel, EVERY_MEDIUM)
                ),
                reverse=True,
            )
            if len(times) >= cap.at_most:
                free = cap.within.after(times[cap.at_most - 1])
                until = free if until is None else max(until, free)
        return until, "caps of messages per customer"

    def _warm(self, message: PlannedMessage) -> tuple[datetime | None, str]:
        """Midnight, when the domain has had its messages of today."""
        domain = domain_of(message)
        if self.rules.warm_up is None or not domain:
            return None, ""
        most = self.rules.warm_up.limit(domain, self.now.astimezone(self.rules.zone).date())
        if most is None or self._sent.get(domain, 0) < most:
            return None, ""
        tomorrow = self.now.astimezone(self.rules.zone).date() + timedelta(days=1)
        return clock.local_moment(tomorrow, time(), self.rules.zone), "limits of its domain's warm-up"

    def _read_contacts(self, connection: Connection, wanted: Sequence[PlannedMessage]) -> None:
        """What these customers got of marketing within the longest cap, other than by these messages."""
        since = min(cap.within.before(self.now) for _, cap in self.rules.caps)
        who = list({message.customer_id for message in wanted})
        rows = connection.execute(_CONTACTS, {"who": who, "since": since}).all()
        purposes = ledger_purposes(connection, {row.plan_id for row in rows})
        for row in rows:
            if purposes[row.plan_id] == "marketing":
                self._contacts[row.customer_id].append((row.channel, row.opened_at))

    def _read_sent(self, ledger: Ledger, connection: Connection, wanted: Sequence[PlannedMessage]) -> None:
        ledger.database.one_at_a_time(connection, ["warm-up"])
        table = tables.warm_up.c
        domains = {domain_of(message) for message in wanted} - {""}
        query = select(table.domain, table.n).where(table.day == self._today, table.domain.in_(domains))
        self._sent = {row.domain: row.n for row in connection.execute(query)}
        self._counted = set(self._sent)


def suppressed_among(connection: Connection, messages: Sequence[PlannedMessage]) -> set[tuple[str, str]]:
    """Channel and address, as `address_key` writes it, of those among the messages that must not be contacted."""
    keys = {address_key(message.channel, message.address) for message in messages}
    channels = {message.channel for message in messages}
    listed = connection.execute(_SUPPRESSED, {"channels": list(channels), "addresses": list(keys)})
    return {(channel, address) for channel, address in listed}


def ledger_purposes(connection: Connection, plan_ids: set[str]) -> dict[str, str]:
    """Purpose of each plan, as its frozen spec says."""
    table = tables.plan
    rows = connection.execute(select(table).where(table.c.plan_id.in_(plan_ids))) if plan_ids else ()
    return {row.plan_id: plan_record_of(row).purpose for row in rows}


def domain_of(message: PlannedMessage) -> str:
    """The domain of a mail address, in small letters; empty for other channels."""
    return message.address.rpartition("@")[2].strip().lower() if message.channel == "email" else ""


def clock_day(moment: datetime, zone: ZoneInfo) -> str:
    """The calendar day of a moment there.

    >>> from datetime import UTC
    >>> clock_day(datetime(2026, 3, 5, 22, tzinfo=UTC), ZoneInfo("Asia/Shanghai"))
    '2026-03-06'
    """
    return moment.astimezone(zone).date().isoformat()
