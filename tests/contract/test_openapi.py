"""Our requests, and the answers of our fakes, are those of the vendors' own files: neither can drift alone."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest

from campanile.channels import Channel, open_channel
from campanile.events import Message, Outcome, Receipt
from campanile.spec.settings import ChannelSettings
from support import sendgrid_fake, twilio_fake
from support.openapi import SENDGRID, TWILIO, answer_problems, known_answers, request_problems
from support.plans import message_id
from support.web_fake import running

MAIL_SEND = "/v3/mail/send"
MESSAGES = "/2010-04-01/Accounts/{AccountSid}/Messages.json"
SENDGRID_VARIANTS: tuple[dict[str, object], ...] = (
    {},
    {"reply_to": "Care <care@m.example.com>", "unsubscribe_group": 12},
    {"sandbox": True},
)
TWILIO_VARIANTS: tuple[dict[str, object], ...] = (
    {"messaging_service": twilio_fake.SERVICE},
    {"number": twilio_fake.NUMBER},
)


def mails() -> list[Message]:
    headers = {
        "List-Unsubscribe": "<https://t.example.com/u/x>, <mailto:no@m.example.com?subject=unsubscribe%20x>",
        "List-Unsubscribe-Post": "List-Unsubscribe=One-Click",
        "Feedback-ID": "winback:message:campanile:m.example.com",
    }
    whole = Message(message_id("w", 1), "email", "li@mail.example", "好久不见", "Hello", "<p>Hello</p>", b"", headers)
    return [whole, Message(message_id("w", 2), "email", "wei@mail.example", "Hello", "Hello")]


def texts() -> list[Message]:
    whole = Message(message_id("w", 1), "sms", "+8613800138000", text="【优选】你好 🎉", good_for=3_600.0)
    link = "https://t.example.com/hooks/twilio/TOKEN"
    return [whole, Message(message_id("w", 2), "sms", "+8613800138001", text="Hello", callback=link)]


def sendgrid_channel(host: str, monkeypatch: pytest.MonkeyPatch, **changes: object) -> Channel:
    monkeypatch.setenv("SENDGRID_KEY", sendgrid_fake.KEY)
    values = {"via": "sendgrid", "host": host, "api_key_env": "SENDGRID_KEY", "sender": "优选 <news@m.example.com>"}
    return open_channel("email", ChannelSettings(**{**values, **changes}), Path(), run="0123456789abcdef")


def twilio_channel(host: str, monkeypatch: pytest.MonkeyPatch, **changes: object) -> Channel:
    names = {"account_sid_env": "ACCOUNT", "api_key_env": "KEY", "api_secret_env": "SECRET"}
    for name in names.values():
        monkeypatch.setenv(name, getattr(twilio_fake, name))
    return open_channel("sms", ChannelSettings(**{"via": "twilio", "host": host, **names, **changes}), Path())


def hand_over(channel: Channel, messages: list[Message]) -> list[Receipt]:
    async def run() -> list[Receipt]:
        await channel.open()
        try:
            return [await channel.hand_over(message) for message in messages]
        finally:
            await channel.close()

    return asyncio.run(run())


@pytest.mark.parametrize("variant", SENDGRID_VARIANTS)
def test_mails_are_what_sendgrid_publishes(variant: dict[str, object], monkeypatch: pytest.MonkeyPatch) -> None:
    with running(sendgrid_fake.SendgridFake()) as fake:
        receipts = hand_over(sendgrid_channel(fake.url, monkeypatch, **variant), mails())
    assert {receipt.outcome for receipt in receipts} == {Outcome.ACCEPTED}
    for request in fake.requests:
        assert request_problems(SENDGRID, MAIL_SEND, "application/json", request.json) == []
    answers = known_answers(SENDGRID, MAIL_SEND)
    # The sandbox's 200 stands in the documents, not in the file (delivery §1.1).
    assert {str(reply.status) for reply in fake.replies} <= answers | ({"200"} if variant.get("sandbox") else set())


@pytest.mark.parametrize("variant", TWILIO_VARIANTS)
def test_texts_are_what_twilio_publishes(variant: dict[str, object], monkeypatch: pytest.MonkeyPatch) -> None:
    with running(twilio_fake.TwilioFake()) as fake:
        receipts = hand_over(twilio_channel(fake.url, monkeypatch, **variant), texts())
    assert {receipt.outcome for receipt in receipts} == {Outcome.ACCEPTED}
    for request in fake.requests:
        form: dict[str, object] = dict(twilio_fake.form_of(request))
        if "ValidityPeriod" in form:
            form["ValidityPeriod"] = int(str(form["ValidityPeriod"]))
        assert request_problems(TWILIO, MESSAGES, "application/x-www-form-urlencoded", form) == []
    for reply in fake.replies:
        assert answer_problems(TWILIO, MESSAGES, reply.status, json.loads(reply.body)) == []


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"from": {"name": "x"}}, "'email' is a required property"),
        ({"personalizations": [{"to": [{"email": "a@b.example"}]}] * 1001}, "is too long"),
        ({"categories": ["a"] * 2}, "has non-unique elements"),
        ({"categories": [str(n) for n in range(11)]}, "is too long"),
    ],
)
def test_the_file_catches_what_breaks_it(change: dict[str, object], said: str) -> None:
    mail = {"from": {"email": "a@b.example"}, "personalizations": [{"to": [{"email": "a@b.example"}]}], "subject": "x"}
    found = request_problems(SENDGRID, MAIL_SEND, "application/json", {**mail, **change})
    assert any(said in problem for problem in found), found


def test_the_file_catches_an_answer_that_breaks_it() -> None:
    found = answer_problems(TWILIO, MESSAGES, 201, {"sid": "oops", "status": "weird"})
    assert len(found) >= 2, found


GOOD = {
    "from": {"email": "news@m.example.com"}, "personalizations": [{"to": [{"email": "a@b.example"}]}],
    "subject": "x", "content": [{"type": "text/plain", "value": "x"}],
}  # fmt: skip


class TestRulesThatTheFileMisses:
    """Delivery §3: what Prism lets through although the documents forbid it, the fake refuses."""

    def test_a_good_request_is_good(self) -> None:
        assert sendgrid_fake.broken_rule(GOOD) is None

    @pytest.mark.parametrize(
        ("change", "field"),
        [
            ({"personalizations": []}, "personalizations"),
            ({"content": []}, "content"),
            ({"subject": ""}, "personalizations.0.subject"),
            ({"personalizations": [{"to": [{"email": "a@b.example"}]}, {"to": [{"email": "A@b.example"}]}]},
             "personalizations"),
            ({"personalizations": [{"to": [{"email": "a@b.example"}], "substitutions": {"%x%": "y" * 20_000}}]},
             "personalizations.0.substitutions"),
            ({"personalizations": [{"to": [{"email": "a@b.example"}], "custom_args": {"cmp_mid": 5}}]},
             "personalizations.0.custom_args"),
            ({"send_at": 4_000_000_000}, "personalizations.0.send_at"),
            ({"content": [{"type": "text/html", "value": "x"}, {"type": "text/plain", "value": "x"}]}, "content"),
            ({"personalizations": [{"to": [{"email": "a@b.example"}], "headers": {"Subject": "x"}}]},
             "personalizations.0.headers.Subject"),
            ({"personalizations": [{"to": [{"email": "a@b.example", "name": "a, b"}]}]},
             "personalizations.0.to.0.name"),
            ({"from": {"email": "news@m.example.com", "name": "优选"}}, "from.name"),
        ],
    )  # fmt: skip
    def test_and_a_broken_one_is_not(self, change: dict[str, object], field: str) -> None:
        wrong = sendgrid_fake.broken_rule({**GOOD, **change})
        assert wrong is not None
        assert wrong[0] == field

    @pytest.mark.parametrize(
        ("change", "code"),
        [
            ({}, 0),
            ({"Body": "x" * 1700}, 21617),
            ({"MessagingServiceSid": ""}, 21603),
            ({"Body": ""}, 21619),
            ({"To": "13800138000"}, 21211),
            ({"ValidityPeriod": "99999"}, 20001),
            ({"StatusCallback": "https://a_b.example/x"}, 21609),
        ],
    )
    def test_nor_is_a_broken_text(self, change: dict[str, str], code: int) -> None:
        form = {"To": "+8613800138000", "Body": "x", "MessagingServiceSid": twilio_fake.SERVICE, **change}
        assert twilio_fake.TwilioFake().broken_rule({key: value for key, value in form.items() if value}) == code
