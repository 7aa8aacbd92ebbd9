"""Whatever comes is an event or is refused: every parser against nonsense, and words against their lists."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from campanile.events import EventType
from campanile.responses import own, twilio
from campanile.responses.identity import message_id_of
from campanile.responses.inbox import Kept
from campanile.responses.limits import Buckets
from campanile.responses.machines import is_machine
from campanile.responses.optout import read_answer
from campanile.responses.process import understand
from campanile.spec.connections import destination
from campanile.spec.fields import Unreadable

AT = datetime(2026, 3, 5, tzinfo=UTC)
_VALUES = st.none() | st.booleans() | st.integers() | st.text(max_size=40) | st.lists(st.text(max_size=4), max_size=2)
_KEYS = st.sampled_from(
    ["type", "at", "message_id", "channel", "address", "link", "words", "scope", "machine", "reject_reason", "x"]
)
_TYPES = st.sampled_from([word.value for word in EventType])


@given(st.dictionaries(_KEYS, _VALUES, max_size=8), st.sampled_from(["web", "file", "generic"]))
def test_our_own_words(said: dict[str, Any], provider: str) -> None:
    try:
        found = own.understand(said, provider, "k", AT)
    except (ValueError, TypeError, OverflowError):
        return
    assert found.message_id or (found.channel in {"email", "sms"} and found.address)
    assert found.at.tzinfo is not None


@given(_TYPES, st.datetimes(min_value=datetime(2000, 1, 1), max_value=datetime(2099, 1, 1)))
def test_what_we_write_we_understand(kind: str, moment: datetime) -> None:
    said = {"type": kind, "message_id": "ab" * 16, "at": moment.replace(tzinfo=UTC).isoformat(), "link": 3}
    kept = Kept(1, "generic", own.event_id(said), own.written(said), AT)
    found = understand(kept)
    assert (found.type.value, found.at, found.link) == (kind, moment.replace(tzinfo=UTC), 3)
    assert own.event_id(said) == own.event_id(dict(reversed(said.items())))


_FIELDS = st.dictionaries(
    st.sampled_from([*twilio.STATUS_FIELDS, *twilio.INBOUND_FIELDS, "message_id"]), st.text(max_size=60), max_size=9
)


@given(_FIELDS)
def test_callbacks_and_texts_of_twilio(fields: dict[str, str]) -> None:
    assert len(twilio.status_id(fields)) <= 120
    for found in (twilio.understand_status(fields, "k", AT), twilio.understand_inbound(fields, "k", AT)):
        assert found.type in EventType
        assert found.detail.isascii() or found.detail == ""


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        ("queued", "queued"), ("scheduled", "queued"), ("sending", "queued"), ("sent", "sent"),
        ("delivered", "delivered"),
        ("read", "opened"), ("undelivered", "bounced"), ("failed", "failed"), ("canceled", "rejected"),
        ("new", "unknown"),
    ],
)  # fmt: skip
def test_every_status_of_twilio(status: str, kind: str) -> None:
    fields = {"MessageSid": "SM1", "MessageStatus": status, "ErrorCode": "30003"}
    assert twilio.understand_status(fields, "k", AT).type.value == kind


@pytest.mark.parametrize("raw", ["", "[]", "1", "null", '"x"', "{", '{"type": 1}', "[" * 5_000])
@pytest.mark.parametrize("provider", ["sendgrid", "twilio", "twilio-inbound", "web", "nobody"])
def test_a_broken_row_of_the_inbox_is_said_to_be_unreadable(raw: str, provider: str) -> None:
    if raw == '{"type": 1}' and provider.startswith("twilio"):
        return
    with pytest.raises((ValueError, TypeError, KeyError, RecursionError)):
        understand(Kept(1, provider, "k", raw, AT))


@pytest.mark.parametrize(
    "words",
    [
        "stop", "STOP", "Stop.", " stop\n", "ｓｔｏｐ", "STOPALL", "unsubscribe", "Opt out", "optout", "退订",
        "拒收", "T", "TD", "R",
        "n", "取消", "baja", "arrêt", "Abmelden!", "REVOKE", "end", "quit", "cancel",
    ],
)  # fmt: skip
def test_these_words_alone_are_a_no(words: str) -> None:
    assert read_answer(words) == "stop"


@pytest.mark.parametrize(
    ("words", "answer"),
    [
        ("please stop sending me this", "review"), ("我要退订这个短信", "review"), ("I cancel my order", "review"),
        ("thank you", ""), ("", ""), ("R u open?", ""), ("start", "start"), ("help", "help"), ("1", ""),
    ],
)  # fmt: skip
def test_others_are_no_refusal_and_some_want_a_person(words: str, answer: str) -> None:
    assert read_answer(words) == answer


@given(st.text(max_size=200))
def test_reading_an_answer_never_breaks(words: str) -> None:
    assert read_answer(words) in {"stop", "start", "help", "review", ""}


@given(st.text(max_size=60))
def test_an_id_is_ours_or_none(text: str) -> None:
    found = message_id_of(text)
    assert found == "" or (len(found) == 32 and int(found, 16) >= 0)


_URLS = st.one_of(
    st.text(max_size=60),
    st.text(alphabet="htps:/\\@.x?#%\t\r\n ", max_size=30),
    st.builds(
        "{}://{}{}".format,
        st.sampled_from(["http", "https", "javascript", "data", "HTTP"]),
        st.text(max_size=20),
        st.text(max_size=20),
    ),
)


@given(_URLS)
def test_links_lead_to_plain_web_pages_only(url: str) -> None:
    try:
        found = destination(url)
    except Unreadable:
        return
    assert found == url
    if found:
        parts = urlsplit(found)
        assert parts.scheme in {"http", "https"}
        assert parts.hostname
        assert parts.username is None
        assert not set(found) & set('\r\n\t\\ <>"')


@pytest.mark.parametrize(
    ("agent", "machine"),
    [
        ("Mozilla/5.0 (iPhone; CPU iPhone OS 26_0 like Mac OS X) AppleWebKit/605.1.15 Safari/604.1", False),
        ("Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 Chrome/142.0 Safari/537.36 Edg/142.0", False),
        ("Mozilla/5.0 (Linux; Android 16) AppleWebKit/537.36 MicroMessenger/8.0", False),
        ("Mozilla/5.0 (compatible; bingbot/2.0)", True), ("Mozilla/5.0 (via ggpht.com GoogleImageProxy)", True),
        ("Slackbot-LinkExpanding 1.0", True), ("curl/8.5.0", True), ("python-requests/2.32", True), ("", True),
        ("Mozilla/5.0 HeadlessChrome/142.0", True), ("WhatsApp/2.24", True),
    ],
)  # fmt: skip
def test_who_is_a_program(agent: str, *, machine: bool) -> None:
    assert is_machine("GET", agent) is machine


def test_a_bucket_fills_again_and_each_network_has_its_own() -> None:
    buckets = Buckets(2)
    assert [buckets.allows("a", 0.0) for _ in range(9)] == [True] * 8 + [False]
    assert buckets.allows("b", 0.0)
    assert buckets.allows("a", 0.6)
    assert not buckets.allows("a", 0.6)
    assert [buckets.allows("a", 100.0) for _ in range(9)] == [True] * 8 + [False]


def test_rows_of_the_inbox_hold_text_as_it_was_written() -> None:
    said = {"words": "退订 ✓ \u2028", "type": "inbound", "message_id": "cd" * 16}
    assert json.loads(own.written(said)) == said
