"""From the inbox to what it means: events, what messages came to, who refused, what settles an unknown hand-over.

Each chunk is one transaction, and every step of it gives the same however often it is done.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import Connection, Row, delete, select

from campanile import clock
from campanile.errors import CampanileError
from campanile.events import DeliveryEvent, EventType, MessageState, RejectReason
from campanile.ledger import Ledger, tables
from campanile.ledger.addresses import address_key
from campanile.ledger.refusals import GLOBAL, Refused, refuse, set_suppression
from campanile.ledger.repair import settle_unknown
from campanile.ledger.response_tables import (
    DONE,
    UNREADABLE,
    consent,
    delivery,
    delivery_event,
    insert_new,
    refusal,
)
from campanile.ledger.response_tables import replace as put
from campanile.responses import optout, own, sendgrid, twilio
from campanile.responses.fold import RULES, fold
from campanile.responses.inbox import Kept, mark, waiting
from campanile.responses.standing import TELLING, standing

#: Who settles unknown messages when an event shows that the provider had them.
SETTLER = "campanile responses"
#: In the table of suppressions: this one follows from events, and goes when they say so.
SOURCE = "responses"
_CHUNK = 500
#: Keys in one question to the database.
_ASKED = 500
_DECISIONS = {
    EventType.UNSUBSCRIBED: "no",
    EventType.COMPLAINED: "no",
    EventType.SUBSCRIBED: "yes",
}


@dataclass(frozen=True, slots=True)
class Processed:
    """What a run of processing came to."""

    read: int = 0
    events: int = 0
    unreadable: int = 0
    settled: int = 0

    def __add__(self, other: Processed) -> Processed:
        return Processed(
            self.read + other.read,
            self.events + other.events,
            self.unreadable + other.unreadable,
            self.settled + other.settled,
        )

    def to_json(self) -> dict[str, int]:
        """The counts as plain JSON values."""
        return {"read": self.read, "events": self.events, "unreadable": self.unreadable, "settled": self.settled}


def process(ledger: Ledger, *, most: int | None = None) -> Processed:
    """What became of everything that waited in the inbox, or of the oldest `most` rows."""
    total = Processed()
    while most is None or total.read < most:
        limit = _CHUNK if most is None else min(_CHUNK, most - total.read)
        with ledger.writing() as connection:
            rows = waiting(connection, limit)
            done, touched = digest(connection, rows)
        total += done
        total += Processed(settled=settle(ledger, touched))
        if len(rows) < limit:
            break
    return total


def digest(connection: Connection, rows: Sequence[Kept]) -> tuple[Processed, set[str]]:
    """What the rows came to, and the messages they tell of; in the caller's transaction."""
    understood: list[DeliveryEvent] = []
    unreadable: list[int] = []
    for row in rows:
        try:
            understood.append(understand(row))
        except (ValueError, TypeError, KeyError, OverflowError, RecursionError):
            unreadable.append(row.number)
    events = _with_messages(connection, understood)
    new = insert_new(connection, delivery_event, [_event_row(*each) for each in events])
    touched = {event.message_id for event, message in events if message is not None}
    _fold(connection, touched)
    telling = [event for event, _ in events if event.type in TELLING and event.address]
    _log_consent(connection, events)
    for channel, address in sorted({(event.channel, event.address) for event in telling}):
        _set_standing(connection, channel, address)
    bad = set(unreadable)
    mark(connection, unreadable, UNREADABLE)
    mark(connection, [row.number for row in rows if row.number not in bad], DONE)
    return Processed(len(rows), new, len(unreadable)), touched


def understand(row: Kept) -> DeliveryEvent:
    """The event of a row of the inbox; ValueError and the like when it is none."""
    said = json.loads(row.raw)
    if not isinstance(said, dict):
        raise ValueError("no event")  # noqa: TRY004 - what was sent is wrong, not who calls
    if row.provider == sendgrid.PROVIDER:
        return sendgrid.understand(said, row.event_id)
    if row.provider == twilio.STATUS:
        return twilio.understand_status(said, row.event_id, row.received_at)
    if row.provider == twilio.INBOUND:
        return twilio.understand_inbound(said, row.event_id, row.received_at)
    return own.understand(said, row.provider, row.event_id, row.received_at)


def settle(ledger: Ledger, message_ids: Iterable[str]) -> int:
    """How many of these messages were unknown: an event of theirs shows that the provider has them."""
    unknown: dict[str, list[str]] = {}
    table = tables.message.c
    with ledger.reading() as connection:
        for chunk in _chunks(sorted(message_ids)):
            query = select(table.plan_id, table.message_id)
            found = query.where(table.message_id.in_(chunk), table.state == MessageState.UNKNOWN.value)
            for plan_id, message_id in connection.execute(found):
                unknown.setdefault(plan_id, []).append(message_id)
    settled = 0
    for plan_id, ids in unknown.items():
        try:
            settled += settle_unknown(
                ledger, plan_id, ids, verdict="accepted", who=SETTLER, why="an event of the message came",
                now=clock.now(),
            )  # fmt: skip
        except CampanileError:
            continue  # A person was quicker; the next run settles the others.
    return settled


def event_of(row: Row[Any]) -> DeliveryEvent:
    """The event of a row of the table of events."""
    return DeliveryEvent(
        provider=row.provider,
        event_id=row.event_id,
        message_id=row.message_id,
        type=EventType(row.type),
        at=row.at,
        machine=row.machine,
        link=row.link,
        reject_reason=RejectReason(row.reject_reason) if row.reject_reason else None,
        detail=row.detail,
        scope=row.scope,
        words=row.words,
        channel=row.channel,
        address=row.address,
    )


def _with_messages(
    connection: Connection, events: Sequence[DeliveryEvent]
) -> list[tuple[DeliveryEvent, Row[Any] | None]]:
    """Each event with the row of its message; channel and address are the message's where there is one."""
    messages = _messages(connection, {event.message_id for event in events if event.message_id})
    found = []
    for event in events:
        message = messages.get(event.message_id)
        channel, address = (message.channel, message.address) if message else (event.channel, event.address)
        key = address_key(channel, address) if address else ""
        known = replace(event, channel=channel, address=key, message_id=event.message_id if message else "")
        found.append((known, message))
    return found


def _messages(connection: Connection, ids: set[str]) -> Mapping[str, Row[Any]]:
    table = tables.message.c
    query = select(table.message_id, table.plan_id, table.customer_id, table.channel, table.address)
    return {
        row.message_id: row
        for chunk in _chunks(sorted(ids))
        for row in connection.execute(query.where(table.message_id.in_(chunk)))
    }


def _event_row(event: DeliveryEvent, message: Row[Any] | None) -> dict[str, Any]:
    return {
        "provider": event.provider,
        "event_id": event.event_id,
        "message_id": event.message_id,
        "plan_id": message.plan_id if message else "",
        "customer_id": message.customer_id if message else "",
        "channel": event.channel,
        "address": event.address,
        "type": event.type.value,
        "at": event.at,
        "machine": event.machine,
        "link": event.link,
        "reject_reason": event.reject_reason.value if event.reject_reason else "",
        "detail": event.detail,
        "scope": event.scope,
        "words": event.words,
    }


def _fold(connection: Connection, message_ids: set[str]) -> None:
    """Writes what the messages came to, from all of their events."""
    for chunk in _chunks(sorted(message_ids)):
        by_message: dict[str, list[DeliveryEvent]] = {}
        plans: dict[str, str] = {}
        query = select(delivery_event).where(delivery_event.c.message_id.in_(chunk))
        for row in connection.execute(query):
            by_message.setdefault(row.message_id, []).append(event_of(row))
            plans[row.message_id] = row.plan_id
        put(connection, delivery, [_delivery_row(key, plans[key], events) for key, events in by_message.items()])


def _delivery_row(message_id: str, plan_id: str, events: Sequence[DeliveryEvent]) -> dict[str, Any]:
    state = fold(events)
    names = [name for name in delivery.c.keys() if name not in {"message_id", "plan_id", "rules"}]  # noqa: SIM118
    return {
        "message_id": message_id,
        "plan_id": plan_id,
        "rules": RULES,
        **{name: getattr(state, name) for name in names},
    }


def _log_consent(connection: Connection, events: Sequence[tuple[DeliveryEvent, Row[Any] | None]]) -> None:
    rows = [
        {
            "provider": event.provider,
            "event_id": event.event_id,
            "at": event.at,
            "channel": event.channel,
            "address": event.address,
            "customer_id": message.customer_id if message else "",
            "decision": _DECISIONS[event.type],
            "scope": event.scope,
            "source": f"{event.provider} {event.type.value}",
            "text_version": optout.VERSION if event.provider == twilio.INBOUND else event.detail,
            "words": event.words,
        }
        for event, message in events
        if event.type in _DECISIONS
    ]
    insert_new(connection, consent, rows)


def _set_standing(connection: Connection, channel: str, address: str) -> None:
    """Makes suppression and refusals of an address what all of its events say."""
    table = delivery_event.c
    query = select(delivery_event).where(
        table.channel == channel, table.address == address, table.type.in_(sorted(TELLING))
    )
    rows = connection.execute(query).all()
    refused = standing([event_of(row) for row in rows])
    whole = refused.get("")
    line = Refused(channel, address, whole.reason, SOURCE, whole.at) if whole else None
    set_suppression(connection, line, channel=channel, address=address, source=SOURCE)
    subject = f"{channel}:{address}"
    connection.execute(delete(refusal).where(refusal.c.subject == subject, refusal.c.source == SOURCE))
    for scope, found in refused.items():
        if scope:
            refuse(connection, subject, scope, Refused(channel, address, found.reason, SOURCE, found.at))
    for customer_id in sorted({row.customer_id for row in rows if row.scope == GLOBAL and row.customer_id}):
        _set_customer(connection, customer_id)


def _set_customer(connection: Connection, customer_id: str) -> None:
    """Makes the customer's no to everything what the events of all their addresses say."""
    table = delivery_event.c
    query = select(delivery_event).where(table.customer_id == customer_id, table.scope == GLOBAL)
    found = standing([event_of(row) for row in connection.execute(query)]).get(GLOBAL)
    subject = f"customer:{customer_id}"
    connection.execute(delete(refusal).where(refusal.c.subject == subject, refusal.c.source == SOURCE))
    if found is not None:
        refuse(connection, subject, GLOBAL, Refused("", "", found.reason, SOURCE, found.at))


def _chunks(keys: Sequence[str]) -> Iterator[Sequence[str]]:
    for start in range(0, len(keys), _ASKED):
        yield keys[start : start + _ASKED]
