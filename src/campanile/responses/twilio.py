"""Twilio's status callbacks and inbound messages, understood."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from campanile.events import DeliveryEvent, EventType, RejectReason
from campanile.responses.identity import message_id_of
from campanile.responses.optout import read_answer

STATUS, INBOUND = "twilio", "twilio-inbound"
#: The only fields that are kept: keys and values are signed as one run of text, so that others prove nothing.
STATUS_FIELDS = ("MessageSid", "MessageStatus", "ErrorCode", "SmsSid", "SmsStatus")
INBOUND_FIELDS = ("MessageSid", "From", "To", "Body", "OptOutType", "NumMedia", "NumSegments")

_TYPES = {
    **dict.fromkeys(("accepted", "scheduled", "queued", "sending"), EventType.QUEUED),
    "sent": EventType.SENT,
    "delivered": EventType.DELIVERED,
    "read": EventType.OPENED,
    "undelivered": EventType.BOUNCED,
    "failed": EventType.FAILED,
    "canceled": EventType.REJECTED,
}
#: Error codes by what they say of the number.
_CODES = {
    **dict.fromkeys(("21211", "21614", "30005", "30006"), RejectReason.INVALID),
    **dict.fromkeys(("30004", "30007"), RejectReason.BLOCKED),
    "21610": RejectReason.UNSUBSCRIBED,
    **dict.fromkeys(("30003", "30008", "30009", "30001"), RejectReason.OTHER),
}
_ANSWERS = {"stop": EventType.UNSUBSCRIBED, "start": EventType.SUBSCRIBED}


def status_id(fields: Mapping[str, str]) -> str:
    """What tells one status of a message from another; "" when the callback names no message."""
    sid, status = fields.get("MessageSid") or fields.get("SmsSid", ""), _status(fields)
    return f"{sid}:{status}:{fields.get('ErrorCode', '')}"[:120] if sid and status else ""


def understand_status(fields: Mapping[str, str], key: str, at: datetime) -> DeliveryEvent:
    """The callback in our words; `at` is when it arrived, because callbacks bear no moment."""
    kind = _TYPES.get(_status(fields), EventType.UNKNOWN)
    code = fields.get("ErrorCode", "")
    ended = kind in {EventType.BOUNCED, EventType.FAILED, EventType.REJECTED}
    return DeliveryEvent(
        provider=STATUS,
        event_id=key,
        message_id=message_id_of(fields.get("message_id")),
        type=kind,
        at=at,
        reject_reason=_CODES.get(code, RejectReason.OTHER) if ended else None,
        detail=code if code.isascii() and code.isdigit() and len(code) <= 6 else "",
        channel="sms",
    )


def understand_inbound(fields: Mapping[str, str], key: str, at: datetime) -> DeliveryEvent:
    """The text that a person wrote, in our words. What Twilio says of it (OptOutType) comes before our own reading."""
    words = fields.get("Body", "")
    answer = {"STOP": "stop", "START": "start", "HELP": "help"}.get(fields.get("OptOutType", "").upper())
    answer = answer or read_answer(words)
    return DeliveryEvent(
        provider=INBOUND,
        event_id=key,
        message_id="",
        type=_ANSWERS.get(answer, EventType.INBOUND),
        at=at,
        detail=answer,
        words=words[:1600],
        channel="sms",
        address=fields.get("From", ""),
    )


def _status(fields: Mapping[str, str]) -> str:
    return fields.get("MessageStatus") or fields.get("SmsStatus", "")
