"""The words of sending: what is planned, handed over, answered and reported."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from enum import StrEnum

#: The arm that gets nothing. The ledger refuses a message for it.
CONTROL = "control"


class Outcome(StrEnum):
    """What a hand-over came to."""

    #: The provider has taken the message.
    ACCEPTED = "accepted"
    #: The provider refused this message for good.
    REJECTED = "rejected"
    #: The provider certainly does not have it; it may be tried again.
    NOT_SENT = "not_sent"
    #: The answer was lost: the provider may or may not have it. Never resent by itself.
    UNKNOWN = "unknown"


class MessageState(StrEnum):
    """Where a planned message stands. Every planned message is in exactly one."""

    DUE = "due"  #: planned, and may be claimed from its due moment on
    HELD = "held"  #: waits for quiet hours, a cap or the warm-up to let it go
    CLAIMED = "claimed"  #: a running sender has it; at most `in_flight` of them have an open attempt
    ACCEPTED = "accepted"
    REJECTED = "rejected"
    UNKNOWN = "unknown"
    SUPPRESSED = "suppressed"  #: must not be contacted any more
    EXPIRED = "expired"  #: came too late to be sent


@dataclass(frozen=True, slots=True)
class PlannedMessage:
    """One message of a plan as the ledger keeps it. The only row that holds an address."""

    message_id: str
    customer_id: str
    arm: str
    step: str
    channel: str
    address: str
    #: What the template needs, frozen at plan time.
    variables: Mapping[str, object]
    #: Its moment in the plan. Never changes, so the offer ends when it was planned to, however late the message leaves.
    due_at: datetime
    expires_at: datetime
    #: IANA name of the time zone that quiet hours and the last day of the offer mean: the recipient's, or the shop's.
    zone: str
    batch: int


@dataclass(frozen=True, slots=True)
class Message:
    """A rendered message. Lives in memory only."""

    message_id: str
    channel: str
    to: str
    subject: str = ""
    text: str = ""
    html: str = ""
    #: Complete RFC 5322 bytes for channels that carry mail.
    mime: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    #: Where the provider may report what becomes of it; "" for nowhere.
    callback: str = ""
    #: Seconds from its rendering after which it must reach nobody: quiet hours begin, or its deadline passes.
    good_for: float | None = None


@dataclass(frozen=True, slots=True)
class Receipt:
    """A provider's answer to one hand-over. `detail` never holds an address."""

    message_id: str
    outcome: Outcome
    provider_id: str = ""
    detail: str = ""
    #: Of a message that was not sent: when the provider will take it, which costs it no try; None when it did not say.
    retry_at: datetime | None = None
    #: Why the recipient must not be contacted by this channel any more: `stop` or `invalid`; "" when nothing says so.
    suppress: str = ""
    #: SMS parts that the provider counted; 0 when it did not say.
    parts: int = 0
    #: What the provider charges for it, in `currency`; None when it did not say.
    price: Decimal | None = None
    currency: str = ""


class EventType(StrEnum):
    """What a provider, a link or a person tells about a message, in the words of django-anymail."""

    QUEUED = "queued"  #: the provider has it, and means to try
    SENT = "sent"  #: it left the provider; nobody knows more
    REJECTED = "rejected"  #: the provider will not send it
    FAILED = "failed"  #: the provider broke
    BOUNCED = "bounced"
    DEFERRED = "deferred"
    DELIVERED = "delivered"
    AUTORESPONDED = "autoresponded"
    OPENED = "opened"
    CLICKED = "clicked"
    COMPLAINED = "complained"
    UNSUBSCRIBED = "unsubscribed"
    SUBSCRIBED = "subscribed"
    INBOUND = "inbound"  #: a person answered
    INBOUND_FAILED = "inbound_failed"
    UNKNOWN = "unknown"


class RejectReason(StrEnum):
    """Why a provider did not deliver."""

    INVALID = "invalid"
    BOUNCED = "bounced"
    TIMED_OUT = "timed_out"
    BLOCKED = "blocked"
    SPAM = "spam"
    UNSUBSCRIBED = "unsubscribed"
    OTHER = "other"


@dataclass(frozen=True, slots=True)
class DeliveryEvent:
    """One thing that came back, whoever told it. The bytes it came in stay in the inbox under provider and id.

    Attributes:
        provider: Who told it: sendgrid, twilio, web, csv or the name of another system.
        event_id: The provider's id of the event; the same one again is the same event.
        message_id: Our message; "" when nobody can say which.
        at: When it happened, by the provider's clock.
        machine: Whether a program did it, as the event alone shows.
        link: Which link of the message was followed.
        detail: A code of the provider, never an address.
        scope: How far a refusal goes: "" the channel, `global`, `topic:…` or `signature:…`.
        words: What a person wrote.
        channel: Medium of the address; "" when the message says it.
        address: Address it is about; "" when the message says it.
    """

    provider: str
    event_id: str
    message_id: str
    type: EventType
    at: datetime
    machine: bool = False
    link: int = 0
    reject_reason: RejectReason | None = None
    detail: str = ""
    scope: str = ""
    words: str = ""
    channel: str = ""
    address: str = ""
