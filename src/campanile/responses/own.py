"""Events in our own words: from our pages, from files, and from other systems over the generic webhook."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from campanile.events import DeliveryEvent, EventType, RejectReason
from campanile.responses.identity import message_id_of
from campanile.spec.fields import MEDIA

WEB, FILE, GENERIC = "web", "file", "generic"
_KNOWN = frozenset({
    "event_id", "type", "at", "message_id", "channel", "address", "machine", "link", "reject_reason", "detail",
    "scope", "words", "method", "network",
})  # fmt: skip
_LONGEST_WORDS = 4_000


def written(event: Mapping[str, Any]) -> str:
    """One event as the inbox keeps it.

    >>> written({"type": "clicked", "link": 0})
    '{"link":0,"type":"clicked"}'
    """
    return json.dumps(event, ensure_ascii=False, sort_keys=True, separators=(",", ":"), default=str)


def event_id(event: Mapping[str, Any]) -> str:
    """The id that the other system gave the event, else a hash of what it says."""
    found = event.get("event_id")
    return found[:120] if isinstance(found, str) and found else hashlib.sha256(written(event).encode()).hexdigest()


def understand(event: Mapping[str, Any], provider: str, key: str, received_at: datetime) -> DeliveryEvent:
    """The event in our types; ValueError says what is wrong with it.

    Args:
        event: Plain JSON values; see docs/how-to/collect-responses.md.
        provider: Where it came from.
        key: Its id in the inbox.
        received_at: Stands in for a missing `at`.
    """
    unknown = event.keys() - _KNOWN
    if unknown:
        raise ValueError(f"unknown key {sorted(unknown)[0][:40]!r}")
    message_id = message_id_of(event.get("message_id"))
    channel, address = _text(event, "channel", 20), _text(event, "address", 254)
    if not message_id and not (channel in MEDIA and address):
        raise ValueError("neither a message_id nor channel and address")
    reason = _text(event, "reject_reason", 20)
    return DeliveryEvent(
        provider=provider,
        event_id=key,
        message_id=message_id,
        type=EventType(_text(event, "type", 20)),
        at=_moment(event.get("at"), received_at),
        machine=event.get("machine") is True,
        link=_link(event.get("link", 0)),
        reject_reason=RejectReason(reason) if reason else None,
        detail=_text(event, "detail", 80),
        scope=_text(event, "scope", 80),
        words=_text(event, "words", _LONGEST_WORDS),
        channel=channel,
        address=address,
    )


def _text(event: Mapping[str, Any], name: str, longest: int) -> str:
    value = event.get(name, "")
    if not isinstance(value, str):
        raise ValueError(f"{name} is no text")  # noqa: TRY004 - what was sent is wrong, not who calls
    return value[:longest]


def _link(value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < 65_536:
        raise ValueError("link is no number of a link")
    return value


def _moment(value: object, otherwise: datetime) -> datetime:
    if value is None:
        return otherwise
    if not isinstance(value, str):
        raise ValueError("at is no ISO 8601 text")  # noqa: TRY004
    moment = datetime.fromisoformat(value)
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).astimezone(UTC)
