"""What should have come and did not: hand-overs nobody heard of again, providers that fell silent.

An event of a message shows that the provider had it. Without one nothing is guessed: the message stays unknown, and is
listed with what a person would ask the provider.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, func, select

from campanile import clock
from campanile.events import MessageState, Outcome
from campanile.ledger import Ledger, tables
from campanile.ledger.response_tables import delivery_event, inbox
from campanile.responses.process import settle

#: Channels whose providers tell what becomes of messages, and under which names their events are kept.
_TELLING = {"sendgrid": ("sendgrid",), "twilio": ("twilio", "twilio-inbound"), "gateway": ("generic",)}
#: Channels whose providers' own records `campanile resolve --ask-provider` reads.
CAN_BE_ASKED = frozenset({"sendgrid", "twilio"})
#: What a person asks the provider about a message whose answer was lost.
_ASK = {
    "smtp": "the mail server's log: Message-ID",
}
#: A lost answer is asked about only after events had time to come.
_SETTLES = timedelta(minutes=15)


@dataclass(frozen=True, slots=True)
class Lost:
    """Messages of a plan whose answer was lost and that no event tells of."""

    campaign: str
    wave: str
    channel: str
    messages: int
    since: str
    ask: str


@dataclass(frozen=True, slots=True)
class Silence:
    """A provider that took messages and tells nothing."""

    provider: str
    accepted: int
    last_event: str | None
    sentence: str


@dataclass(frozen=True, slots=True)
class Reconciled:
    """What was settled, and what a person must look at."""

    settled: int
    lost: tuple[Lost, ...]
    silent: tuple[Silence, ...]

    def to_json(self) -> dict[str, Any]:
        """The report as plain JSON values."""
        return {
            "contract": 1,
            "settled": self.settled,
            "lost": [asdict(each) for each in self.lost],
            "silent": [asdict(each) for each in self.silent],
        }

    def text(self) -> str:
        """The report for people."""
        lines = [f"{self.settled:,} unknown hand-overs settled by events that came"]
        for each in self.lost:
            lost = f"{each.campaign}, wave {each.wave}: {each.messages:,} still unknown since {each.since}"
            by_hand = f"ask {each.ask}, then `campanile resolve {each.campaign}`"
            asked = f"`campanile resolve {each.campaign} --ask-provider` reads its records"
            lines.append(f"{lost}; {asked if each.channel in CAN_BE_ASKED else by_hand}")
        lines += [each.sentence for each in self.silent]
        return "\n".join(lines)


def reconcile(ledger: Ledger, *, now: datetime, silence: timedelta) -> Reconciled:
    """What the events settle, what stays unknown, and which provider has told nothing for so long."""
    settled = settle(ledger, _unknown_with_events(ledger))
    with ledger.reading() as connection:
        return Reconciled(settled, _lost(connection, now), _silent(connection, now, silence))


def _unknown_with_events(ledger: Ledger) -> list[str]:
    message = tables.message.c
    query = (
        select(message.message_id)
        .join(delivery_event, delivery_event.c.message_id == message.message_id)
        .where(message.state == MessageState.UNKNOWN.value)
        .distinct()
    )
    with ledger.reading() as connection:
        return list(connection.scalars(query))


def _lost(connection: Connection, now: datetime) -> tuple[Lost, ...]:
    message, attempt, plan = tables.message.c, tables.attempt.c, tables.plan.c
    query = (
        select(
            plan.campaign, plan.wave, attempt.channel, func.count().label("n"), func.min(attempt.opened_at).label("at")
        )
        .join(tables.message, message.message_id == attempt.message_id)
        .join(tables.plan, plan.plan_id == message.plan_id)
        .where(attempt.outcome == Outcome.UNKNOWN.value, attempt.opened_at <= now - _SETTLES)
        .group_by(plan.campaign, plan.wave, attempt.channel)
        .order_by(plan.campaign, plan.wave)
    )
    return tuple(
        Lost(row.campaign, row.wave, row.channel, row.n, clock.iso(row.at), _ASK.get(row.channel, "the provider"))
        for row in connection.execute(query)
    )


def _silent(connection: Connection, now: datetime, silence: timedelta) -> tuple[Silence, ...]:
    """Providers that took messages longer ago than `silence`, and told nothing since they did."""
    found = []
    attempt = tables.attempt.c
    for channel, providers in _TELLING.items():
        since = now - 7 * silence
        taken = (attempt.channel == channel, attempt.outcome == Outcome.ACCEPTED.value)
        between = (attempt.opened_at > since, attempt.opened_at <= now - silence)
        accepted, first = connection.execute(
            select(func.count(), func.min(attempt.opened_at)).where(*taken, *between)
        ).one()
        last: datetime | None = connection.scalar(
            select(func.max(inbox.c.received_at)).where(inbox.c.provider.in_(providers))
        )
        if not accepted or (last is not None and last >= max(first, now - silence)):
            continue
        heard = f"since {clock.iso(last)}" if last else "ever"
        sentence = (
            f"{channel} took {accepted:,} messages and has told nothing {heard}: check its webhook address and keys, "
            f"and that `campanile serve` is reached; what it would have told is in its own log for some days"
        )
        found.append(Silence(channel, accepted, clock.iso(last) if last else None, sentence))
    return tuple(found)
