"""What became of a message: a fold over its events, the same for any order and any number of duplicates.

Events are facts with the moment at which they happened; when they arrive says nothing. Machines follow links too, so
what they did is counted apart and never deleted.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from campanile.events import DeliveryEvent, EventType

#: Which rules told machines from people. Written beside every state, and raised when a rule changes.
RULES = "2026-11"
#: A person has not read a message so soon after it arrived.
SOON = timedelta(seconds=10)
#: Who follows two links of a message within this time is a scanner.
AT_ONCE = timedelta(seconds=2)

#: How far a message came, from the least to the most.
_STEPS = (EventType.QUEUED, EventType.DEFERRED, EventType.SENT, EventType.DELIVERED)
_ENDS = frozenset({EventType.BOUNCED, EventType.REJECTED, EventType.FAILED})
_HITS = frozenset({EventType.OPENED, EventType.CLICKED})
#: These show that the message arrived, whatever the provider says of it.
_SEEN = frozenset({EventType.OPENED, EventType.CLICKED, EventType.INBOUND, EventType.COMPLAINED})


@dataclass(frozen=True, slots=True)
class DeliveryState:
    """What became of one message.

    Attributes:
        status: The furthest step, the way it ended, or `bounced_after_delivery`; `unknown` when nothing tells.
        delivered_at: When it arrived, as the provider says.
        ended_at: When it bounced or was refused.
        opened_at: When a person first opened it, as far as anybody can know.
        clicked_at: When a person first followed a link.
        replied_at: When a person first answered.
        clicks: How often people followed links.
        machine_hits: Opens and clicks that programs did.
    """

    status: str = EventType.UNKNOWN.value
    delivered_at: datetime | None = None
    ended_at: datetime | None = None
    opened_at: datetime | None = None
    clicked_at: datetime | None = None
    replied_at: datetime | None = None
    complained_at: datetime | None = None
    unsubscribed_at: datetime | None = None
    clicks: int = 0
    machine_hits: int = 0


def fold(events: Iterable[DeliveryEvent]) -> DeliveryState:
    """The state that the events of one message come to.

    >>> from datetime import UTC
    >>> at = datetime(2026, 3, 5, tzinfo=UTC)
    >>> bounced = DeliveryEvent("sendgrid", "2", "m", EventType.BOUNCED, at + timedelta(hours=1))
    >>> delivered = DeliveryEvent("sendgrid", "1", "m", EventType.DELIVERED, at)
    >>> fold([bounced, delivered, bounced]).status
    'bounced_after_delivery'
    """
    # Two of one key should say the same. When a provider contradicts itself, the order must still not matter.
    once: dict[tuple[str, str], DeliveryEvent] = {}
    for event in events:
        key = (event.provider, event.event_id)
        other = once.setdefault(key, event)
        if other is not event and _canonical(event) < _canonical(other):
            once[key] = event
    known = list(once.values())
    delivered = _first(known, EventType.DELIVERED)
    hits = [event for event in known if event.type in _HITS]
    people = [event for event in hits if not _by_machine(event, hits, delivered)]
    clicks = [event for event in people if event.type is EventType.CLICKED]
    return DeliveryState(
        status=_status(known),
        delivered_at=delivered,
        ended_at=_first(known, *_ENDS),
        opened_at=_first(people, EventType.OPENED),
        clicked_at=_first(clicks, EventType.CLICKED),
        replied_at=_first(known, EventType.INBOUND),
        complained_at=_first(known, EventType.COMPLAINED),
        unsubscribed_at=_first(known, EventType.UNSUBSCRIBED),
        clicks=len(clicks),
        machine_hits=len(hits) - len(people),
    )


def _canonical(event: DeliveryEvent) -> tuple[object, ...]:
    return (event.at, event.type, event.machine, event.link, event.reject_reason or "", event.detail, event.words)


def _first(events: Iterable[DeliveryEvent], *types: EventType) -> datetime | None:
    return min((event.at for event in events if event.type in types), default=None)


def _status(events: list[DeliveryEvent]) -> str:
    types = {event.type for event in events}
    ended = _first(events, *_ENDS)
    arrived = EventType.DELIVERED in types
    if ended is not None:
        last = max((event.at, event.type.value) for event in events if event.type in _ENDS)[1]
        return "bounced_after_delivery" if arrived and last == EventType.BOUNCED else last
    if types & _SEEN:
        return EventType.DELIVERED.value
    steps = [step for step in _STEPS if step in types]
    return steps[-1].value if steps else EventType.UNKNOWN.value


def _by_machine(event: DeliveryEvent, hits: list[DeliveryEvent], delivered: datetime | None) -> bool:
    if event.machine or (delivered is not None and event.at - delivered < SOON):
        return True
    return _is_click(event) and any(
        other.link != event.link and _is_click(other) and abs(other.at - event.at) <= AT_ONCE for other in hits
    )


def _is_click(event: DeliveryEvent) -> bool:
    return event.type is EventType.CLICKED
