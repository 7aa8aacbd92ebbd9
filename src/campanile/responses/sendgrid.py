"""SendGrid's event webhook, understood: each event as one of ours."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from campanile.events import DeliveryEvent, EventType, RejectReason
from campanile.responses.identity import message_id_of

PROVIDER = "sendgrid"
#: The custom argument in which a message carries its own id.
MESSAGE_ARGUMENT = "cmp_mid"

_TYPES = {
    "processed": EventType.QUEUED,
    "dropped": EventType.REJECTED,
    "delivered": EventType.DELIVERED,
    "deferred": EventType.DEFERRED,
    "bounce": EventType.BOUNCED,
    "open": EventType.OPENED,
    "click": EventType.CLICKED,
    "spamreport": EventType.COMPLAINED,
    "unsubscribe": EventType.UNSUBSCRIBED,
    "group_unsubscribe": EventType.UNSUBSCRIBED,
    "group_resubscribe": EventType.SUBSCRIBED,
}
#: How the reason of a dropped message begins.
_DROPPED = {
    "Invalid": RejectReason.INVALID,
    "Unsubscribed Address": RejectReason.UNSUBSCRIBED,
    "Bounced Address": RejectReason.BOUNCED,
    "Spam Reporting Address": RejectReason.SPAM,
    "Spam Content": RejectReason.SPAM,
    "Recipient List over Package Quota": RejectReason.OTHER,
}
#: Classes of bounces that say nothing of the mailbox.
_PASSING = frozenset({"technical failure", "content", "frequency or volume too high", "reputation", "technical"})
#: Milliseconds where seconds were meant.
_MILLISECONDS = 100_000_000_000
_LONGEST = 100


def event_id(event: Mapping[str, Any]) -> str:
    """SendGrid's id of the event; "" when it has none."""
    found = event.get("sg_event_id")
    return found[:_LONGEST] if isinstance(found, str) else ""


def understand(event: Mapping[str, Any], key: str) -> DeliveryEvent:
    """The event in our words; ValueError when it is none.

    Args:
        event: One item of the webhook's list.
        key: Its id in the inbox.
    """
    name = event.get("event")
    kind = _TYPES.get(name, EventType.UNKNOWN) if isinstance(name, str) else EventType.UNKNOWN
    address = event.get("email")
    return DeliveryEvent(
        provider=PROVIDER,
        event_id=key,
        message_id=message_id_of(event.get(MESSAGE_ARGUMENT)),
        type=kind,
        at=moment(event.get("timestamp")),
        machine=event.get("sg_machine_open") is True,
        reject_reason=_reason(kind, event),
        detail=_code(event.get("status")),
        channel="email",
        address=address if isinstance(address, str) else "",
    )


def moment(value: object) -> datetime:
    """The moment that unix seconds mean, or milliseconds; ValueError when there is none.

    >>> moment(1513299569) == moment(1513299569000)
    True
    """
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise ValueError("an event without its moment")  # noqa: TRY004 - what was sent is wrong, not who calls
    seconds = float(value)
    seconds = seconds / 1000 if seconds > _MILLISECONDS else seconds
    if not 0 < seconds < 4_102_444_800:
        raise ValueError("an event of no year")
    return datetime.fromtimestamp(seconds, UTC)


def _reason(kind: EventType, event: Mapping[str, Any]) -> RejectReason | None:
    if kind is EventType.REJECTED:
        said = str(event.get("reason") or "")
        return next((reason for start, reason in _DROPPED.items() if said.startswith(start)), RejectReason.OTHER)
    if kind is not EventType.BOUNCED:
        return None
    passing = str(event.get("bounce_classification") or "").lower() in _PASSING
    return RejectReason.BLOCKED if event.get("type") == "blocked" or passing else RejectReason.BOUNCED


def _code(value: object) -> str:
    """An SMTP status such as 5.1.1, and nothing else: reasons may quote the address."""
    text = value if isinstance(value, str) else ""
    return text[:12] if text and all(each in "0123456789." for each in text) else ""
