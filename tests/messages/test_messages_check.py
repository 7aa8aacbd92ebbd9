"""What rendering everyone comes to, by arm."""

from __future__ import annotations

from datetime import UTC, datetime

from campanile.events import Message, PlannedMessage
from campanile.messages.check import check_all

DUE = datetime(2026, 3, 5, 2, 30, tzinfo=UTC)


def planned(number: int, arm: str) -> PlannedMessage:
    return PlannedMessage(
        f"{number:032x}", f"C{number}", arm, "message", "sms", "+861000000000", {}, DUE, DUE, "Asia/Shanghai", 0
    )


def render(message: PlannedMessage) -> Message:
    text = "短信" * (20 if message.arm == "brief" else 60)
    return Message(message_id=message.message_id, channel="sms", to=message.address, text=text)


def test_sms_parts_are_kept_by_arm() -> None:
    found = check_all(render, [planned(number, "brief" if number < 3 else "wordy") for number in range(5)])
    assert found.by_arm == {"brief": (3, 3), "wordy": (2, 4)}
    assert (found.messages, found.segments, found.segments_total) == (5, (1, 1, 2), 7)
