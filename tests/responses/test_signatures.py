"""Signatures: the vendors' vectors, their libraries as oracles, and everything that may not pass."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from campanile.errors import CampanileError
from campanile.responses.signatures import (
    any_equal,
    generic_signature,
    generic_signed,
    sendgrid_keys,
    sendgrid_signed,
    twilio_signed,
)
from support.service import SendGrid

PAYLOADS = Path(__file__).parents[1] / "payloads"
SENDGRID = json.loads((PAYLOADS / "event_webhook_signature_vectors.json").read_text(encoding="utf-8"))["vectors"]
TWILIO = json.loads((PAYLOADS / "twilio_request_vectors.json").read_text(encoding="utf-8"))
NOW = datetime(2026, 3, 5, 12, tzinfo=UTC)


def test_there_are_thirteen_vectors() -> None:
    assert len(SENDGRID) + len(TWILIO["vectors"]) == 13
    assert "trailing CRLF" in SENDGRID[-1]["name"], "the one that was derived: a body that lost its end of line"


@pytest.mark.parametrize("vector", SENDGRID, ids=lambda vector: vector["name"])
def test_the_vectors_of_sendgrid(vector: dict[str, str]) -> None:
    keys = sendgrid_keys(vector["public_key"])
    signed = sendgrid_signed(keys, vector["payload"].encode(), vector["signature"], vector["timestamp"])
    assert signed is vector["valid"]


@pytest.mark.parametrize("vector", TWILIO["vectors"], ids=lambda vector: vector["name"])
def test_the_vectors_of_twilio(vector: dict[str, object]) -> None:
    params = vector.get("params") or {}
    fields = list(params.items()) if isinstance(params, dict) else [(name, value) for name, value in params]  # type: ignore[attr-defined]
    body = str(vector["body"]).encode() if "body" in vector else None
    signed = twilio_signed([TWILIO["auth_token"]], str(vector["url"]), fields, str(vector["signature"]), body=body)
    assert signed is vector["valid"]


def test_a_digit_cannot_move_from_the_timestamp_into_the_body() -> None:
    valid = SENDGRID[0]
    keys = sendgrid_keys(valid["public_key"])
    stamp, body = valid["timestamp"], valid["payload"].encode()
    assert not sendgrid_signed(keys, stamp[-1:].encode() + body, valid["signature"], stamp[:-1])
    assert not sendgrid_signed(keys, body[1:], valid["signature"], stamp + body[:1].decode())


def test_while_a_key_is_changed_both_hold() -> None:
    old, new = SendGrid(), SendGrid()
    body = b"[]\r\n"
    for signer in (old, new):
        headers = list(signer.headers(body).values())
        assert sendgrid_signed(sendgrid_keys(f"{old.public} {new.public}"), body, headers[0], headers[1])
    assert not sendgrid_signed(sendgrid_keys(new.public), body, *list(old.headers(body).values())[:2])
    assert not sendgrid_signed([], body, *list(old.headers(body).values())[:2])


def test_a_key_that_cannot_be_read_is_said_and_not_shown() -> None:
    with pytest.raises(CampanileError, match="cannot be read") as found:
        sendgrid_keys("c2VjcmV0")
    assert "c2VjcmV0" not in str(found.value)


@given(st.binary(max_size=80), st.text(max_size=60), st.text(max_size=15))
def test_no_nonsense_is_signed_or_breaks(body: bytes, signature: str, stamp: str) -> None:
    keys = sendgrid_keys(SENDGRID[0]["public_key"])
    assert not sendgrid_signed(keys, body, signature, stamp)
    assert not twilio_signed(["t"], "https://t.example.com/hooks", [("Body", stamp)], signature)
    assert not generic_signed(["s"], body, signature, stamp, now=NOW)


@given(st.dictionaries(st.sampled_from(["Body", "From", "MessageSid", "To"]), st.text(max_size=20), max_size=4))
def test_twilio_signs_as_its_own_library_says(fields: dict[str, str]) -> None:
    from twilio.request_validator import RequestValidator

    url = "https://t.example.com/hooks/twilio/inbound?a=1"
    signature = RequestValidator("token").compute_signature(url, fields)
    assert twilio_signed(["other", "token"], url, list(fields.items()), signature)
    assert not twilio_signed(["other"], url, list(fields.items()), signature)
    assert not twilio_signed(["token"], url.replace("t.example", "u.example"), list(fields.items()), signature)


def test_a_body_that_is_no_form_must_be_the_hashed_one() -> None:
    vector = next(each for each in TWILIO["vectors"] if "body" in each)
    token, url, signature = [TWILIO["auth_token"]], vector["url"], vector["signature"]
    assert not twilio_signed(token, url, [], signature, body=b"{}")
    assert not twilio_signed(token, url.partition("&bodySHA256")[0], [], signature, body=vector["body"].encode())


@pytest.mark.parametrize(("seconds", "holds"), [(0, True), (299, True), (-299, True), (301, False), (-301, False)])
def test_a_request_of_another_system_is_believed_for_five_minutes(seconds: int, *, holds: bool) -> None:
    stamp = str(int((NOW + timedelta(seconds=seconds)).timestamp()))
    assert generic_signed(["old", "new"], b"{}", generic_signature("new", stamp, b"{}"), stamp, now=NOW) is holds
    assert not generic_signed(["old"], b"{}", generic_signature("new", stamp, b"{}"), stamp, now=NOW)


@given(st.text(max_size=20))
def test_only_a_known_key_is_known(given_key: str) -> None:
    assert any_equal(["a", "bb"], given_key) is (given_key in {"a", "bb"})
