"""Whether an address may be written to, as its events tell: a fold, the same for any order and any duplicates."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from campanile.events import DeliveryEvent, EventType, RejectReason
from campanile.ledger.refusals import GLOBAL

#: A mailbox or handset that failed so often within this time is left alone.
_FAILURES, _WITHIN = 3, timedelta(days=30)
#: Codes that say nothing of the recipient: the text was taken for spam, the queue was full.
_NOT_THEIRS = frozenset({"30007", "30001"})
#: Blocked by carrier or recipient: the second time counts.
_BLOCKED, _BLOCKS = "30004", 2

_ENDS = frozenset({EventType.BOUNCED, EventType.REJECTED, EventType.FAILED})
_FINAL: Mapping[RejectReason, str] = {
    RejectReason.INVALID: "bounced",
    RejectReason.BOUNCED: "bounced",
    RejectReason.SPAM: "complained",
    RejectReason.UNSUBSCRIBED: "unsubscribed",
}
#: Events that say whether somebody may be written to.
TELLING = _ENDS | {EventType.UNSUBSCRIBED, EventType.SUBSCRIBED, EventType.COMPLAINED}


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why nothing of that scope may be sent; "" is the channel."""

    scope: str
    reason: str
    at: datetime


def standing(events: Iterable[DeliveryEvent]) -> dict[str, Refusal]:
    """What an address refuses, by scope, after all its events; bounces and complaints are not taken back by a yes.

    >>> from datetime import UTC
    >>> at = datetime(2026, 3, 5, tzinfo=UTC)
    >>> no = DeliveryEvent("web", "1", "m", EventType.UNSUBSCRIBED, at)
    >>> yes = DeliveryEvent("web", "2", "m", EventType.SUBSCRIBED, at + timedelta(days=1))
    >>> sorted(standing([yes, no])), standing([no])[""].reason
    ([], 'unsubscribed')
    """
    known = sorted({(e.provider, e.event_id): e for e in events if e.type in TELLING}.values(), key=_order)
    refused = _wanted(known)
    for found in (_final(known), _failing(known)):
        before = refused.get("")
        if found is not None and (before is None or found.at <= before.at):
            refused[""] = found
    return refused


def _order(event: DeliveryEvent) -> tuple[object, ...]:
    """By moment; of two at one moment the no comes last, and holds."""
    return (event.at, event.type is not EventType.SUBSCRIBED, event.provider, event.event_id)


def _wanted(events: Iterable[DeliveryEvent]) -> dict[str, Refusal]:
    refused: dict[str, Refusal] = {}
    for event in events:
        if event.type is EventType.SUBSCRIBED:
            # Who says yes to everything takes back every no; a yes to the channel leaves the wider no alone.
            for scope in list(refused) if event.scope == GLOBAL else [event.scope]:
                refused.pop(scope, None)
        elif event.type is EventType.UNSUBSCRIBED:
            reason = "stop" if event.detail == "stop" else "unsubscribed"
            refused.setdefault(event.scope, Refusal(event.scope, reason, event.at))
    return refused


def _final(events: Iterable[DeliveryEvent]) -> Refusal | None:
    """The first complaint, or the first failure that no other try would mend."""
    for event in events:
        if event.type is EventType.COMPLAINED:
            return Refusal("", "complained", event.at)
        reason = _FINAL.get(event.reject_reason) if event.reject_reason else None
        if event.type in _ENDS and reason:
            return Refusal("", reason, event.at)
    return None


def _failing(events: Iterable[DeliveryEvent]) -> Refusal | None:
    """The failure that was one too many."""
    failures = [e for e in events if e.type in _ENDS and e.reject_reason not in _FINAL and e.detail not in _NOT_THEIRS]
    blocks = [event for event in failures if event.detail == _BLOCKED]
    for found, most in ((failures, _FAILURES), (blocks, _BLOCKS)):
        for first, last in zip(found, found[most - 1 :], strict=False):
            if last.at - first.at <= _WITHIN:
                return Refusal("", "unreachable", last.at)
    return None
