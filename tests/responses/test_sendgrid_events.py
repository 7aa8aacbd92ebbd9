"""SendGrid's events in our words, with django-anymail's parser as the oracle."""

from __future__ import annotations

import json
import warnings
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from campanile.events import EventType, RejectReason
from campanile.responses.sendgrid import event_id, understand

PAYLOADS = Path(__file__).parents[1] / "payloads"


def examples() -> list[dict[str, Any]]:
    names = ("event_webhook_all_types.json", "event_webhook_single_examples.json")
    found = [each for name in names for each in json.loads((PAYLOADS / name).read_text(encoding="utf-8"))]
    return [event for each in found for event in (each if isinstance(each, list) else [each])]


EXAMPLES = examples()


def anymail(event: dict[str, Any]) -> Any:
    from django.conf import settings

    if not settings.configured:
        settings.configure(ANYMAIL={}, USE_TZ=True)
    from anymail.webhooks.sendgrid import SendGridTrackingWebhookView

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return SendGridTrackingWebhookView().esp_to_anymail_event(event)


def test_there_are_thirty_six_examples() -> None:
    assert len(EXAMPLES) == 36


@pytest.mark.parametrize("event", EXAMPLES, ids=lambda event: event["event"])
def test_the_examples_mean_what_anymail_says(event: dict[str, Any]) -> None:
    # One of the examples writes its moment as text, which anymail does not read.
    ours, theirs = understand(event, event_id(event)), anymail({**event, "timestamp": int(event["timestamp"])})
    assert ours.type.value == theirs.event_type
    assert ours.event_id == (theirs.event_id or "")
    assert ours.address == (theirs.recipient or "")
    if int(event["timestamp"]) < 100_000_000_000:
        assert ours.at == theirs.timestamp
    if ours.type is EventType.REJECTED:
        assert ours.reject_reason is not None
        assert ours.reject_reason.value == theirs.reject_reason


@pytest.mark.parametrize("name", [word.value for word in EventType])
def test_our_words_are_those_of_anymail(name: str) -> None:
    from anymail.signals import EventType as Theirs

    assert name in {value for key, value in vars(Theirs).items() if key.isupper()}


@pytest.mark.parametrize("name", [word.value for word in RejectReason])
def test_our_reasons_are_those_of_anymail(name: str) -> None:
    from anymail.signals import RejectReason as Theirs

    assert name in {value for key, value in vars(Theirs).items() if key.isupper()}


_NAMES = ("processed", "dropped", "delivered", "deferred", "bounce", "open", "click", "spamreport", "new_kind")


@given(st.sampled_from(_NAMES), st.integers(1, 4_000_000_000), st.sampled_from(["", "Invalid", "Bounced Address"]))
def test_any_event_means_what_anymail_says(name: str, moment: int, reason: str) -> None:
    event = {"event": name, "timestamp": moment, "email": "a@b.example", "sg_event_id": "x", "reason": reason}
    ours, theirs = understand(event, "x"), anymail(event)
    assert (ours.type.value, ours.at) == (theirs.event_type, theirs.timestamp)
    if ours.reject_reason is not None and ours.type is EventType.REJECTED:
        assert ours.reject_reason.value == theirs.reject_reason


_BOUNCES = [
    ({"type": "bounce"}, RejectReason.BOUNCED),
    ({"type": "blocked"}, RejectReason.BLOCKED),
    ({"type": "bounce", "bounce_classification": "Technical Failure"}, RejectReason.BLOCKED),
    ({"type": "bounce", "bounce_classification": "Invalid Address"}, RejectReason.BOUNCED),
    ({}, RejectReason.BOUNCED),
]


@pytest.mark.parametrize(("said", "reason"), _BOUNCES)
def test_a_bounce_says_whether_the_mailbox_is_gone(said: dict[str, str], reason: RejectReason) -> None:
    """Here we know more than anymail, which gives no reason for bounces."""
    event = {"event": "bounce", "timestamp": 1, "sg_event_id": "x", "reason": "550 <a@b.example> no", **said}
    found = understand(event, "x")
    assert found.reject_reason is reason
    assert "@" not in found.detail


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=30),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)
_KEYS = st.sampled_from(["event", "timestamp", "email", "sg_event_id", "reason", "status", "type", "cmp_mid", "x"])


@given(st.dictionaries(_KEYS, _JSON, max_size=9))
def test_whatever_comes_is_an_event_or_a_value_error(event: dict[str, Any]) -> None:
    key = event_id(event)
    try:
        found = understand(event, key)
    except ValueError:
        return
    assert found.type in EventType
    assert found.message_id == "" or len(found.message_id) == 32
