"""Plans and messages for tests of the ledger and of sending."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime, timedelta

from campanile.events import Message, PlannedMessage
from campanile.ledger import Ledger, PlanRecord

NOW = datetime(2026, 3, 5, 2, 30, tzinfo=UTC)


def message_id(campaign: str, number: int) -> str:
    return hashlib.sha256(f"{campaign}:{number}".encode()).hexdigest()[:32]


def planned(number: int, *, campaign: str = "winback", address: str | None = None, **changes: object) -> PlannedMessage:
    """One planned message, due at NOW."""
    values: dict[str, object] = {
        "message_id": message_id(campaign, number),
        "customer_id": f"C{number:06d}",
        "arm": "treatment",
        "step": "message",
        "channel": "email",
        "address": address or f"c{number}@mail.example",
        "variables": {"name": "李伟"},
        "due_at": NOW,
        "expires_at": NOW + timedelta(days=3),
        "zone": "Asia/Shanghai",
        "batch": 0,
    }
    return PlannedMessage(**{**values, **changes})  # type: ignore[arg-type]


def plan_record(
    campaign: str = "winback",
    *,
    plan_id: str = "",
    messages: int = 0,
    spec: Mapping[str, object] | None = None,
    **changes: object,
) -> PlanRecord:
    values: dict[str, object] = {
        "plan_id": plan_id or f"plan-{campaign}",
        "campaign": campaign,
        "wave": "1",
        "as_of": NOW - timedelta(days=1),
        "created_at": NOW - timedelta(hours=1),
        "fingerprint": "f" * 64,
        "spec": spec or {},
        "snapshot": "snapshots/winback/s.parquet",
        "snapshot_sha256": "0" * 64,
        "arms": {"control": messages, "treatment": messages},
    }
    return PlanRecord(**{**values, **changes})  # type: ignore[arg-type]


def register(
    ledger: Ledger, messages: Iterable[PlannedMessage], *, state: str = "sending", **changes: object
) -> PlanRecord:
    """A plan of these messages, registered and being sent."""
    plan = plan_record(**changes)  # type: ignore[arg-type]
    ledger.register(plan, messages)
    ledger.set_state(plan.plan_id, state)  # type: ignore[arg-type]
    return plan


def several(count: int, **changes: object) -> Iterator[PlannedMessage]:
    for number in range(count):
        yield planned(number, **changes)  # type: ignore[arg-type]


def render(message: PlannedMessage) -> Message:
    """A small mail: enough for a server that reads Message-ID."""
    mime = (
        f"Message-ID: <{message.message_id}@m.example.com>\r\nTo: {message.address}\r\n"
        f"Subject: Hello\r\n\r\nHello {message.customer_id}\r\n.a line that starts with a dot\r\n"
    ).encode()
    return Message(message.message_id, message.channel, message.address, "Hello", "Hello", mime=mime)
