"""Our client through `prism proxy --errors` with the vendors' OpenAPI files to our fakes (delivery §3)."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from campanile.cli.main import main
from campanile.events import Outcome
from contract.test_openapi import (
    SENDGRID_VARIANTS,
    TWILIO_VARIANTS,
    hand_over,
    mails,
    sendgrid_channel,
    texts,
    twilio_channel,
)
from support import sendgrid_fake, twilio_fake
from support.openapi import SENDGRID, TWILIO
from support.plans import planned
from support.prism import proxied
from support.sent_project import write_plan, write_project
from support.web_fake import Reply, Request, running

pytestmark = pytest.mark.contract

SendgridPair = tuple[sendgrid_fake.SendgridFake, str]
TwilioPair = tuple[twilio_fake.TwilioFake, str]


@pytest.fixture(scope="module")
def sendgrid() -> Iterator[SendgridPair]:
    with running(sendgrid_fake.SendgridFake()) as fake, proxied(SENDGRID, fake.url) as url:
        yield fake, url


class DriftingTwilio(twilio_fake.TwilioFake):
    """Answers as Twilio never would when asked to."""

    drifts = False

    def answer(self, request: Request) -> Reply:
        reply = super().answer(request)
        return Reply.of(201, {**json.loads(reply.body), "sid": "oops", "status": "weird"}) if self.drifts else reply


@pytest.fixture(scope="module")
def twilio() -> Iterator[tuple[DriftingTwilio, str]]:
    with running(DriftingTwilio()) as fake, proxied(TWILIO, fake.url) as url:
        yield fake, url


@pytest.mark.parametrize("variant", SENDGRID_VARIANTS)
def test_mails_pass(sendgrid: SendgridPair, variant: dict[str, object], monkeypatch: pytest.MonkeyPatch) -> None:
    fake, url = sendgrid
    before = len(fake.requests)
    receipts = hand_over(sendgrid_channel(url, monkeypatch, **variant), mails())
    assert len(fake.requests) == before + 2, "Prism let both through"
    # Prism takes the sandbox's 200, which the file does not know, for an error of the server.
    expected = Outcome.UNKNOWN if variant.get("sandbox") else Outcome.ACCEPTED
    assert {receipt.outcome for receipt in receipts} == {expected}


@pytest.mark.parametrize("variant", TWILIO_VARIANTS)
def test_texts_pass(
    twilio: tuple[DriftingTwilio, str], variant: dict[str, object], monkeypatch: pytest.MonkeyPatch
) -> None:
    fake, url = twilio
    receipts = hand_over(twilio_channel(url, monkeypatch, **variant), texts())
    assert {receipt.outcome for receipt in receipts} == {Outcome.ACCEPTED}
    assert [receipt.provider_id for receipt in receipts] == [sms.sid for sms in fake.taken[-2:]]


def test_a_fake_that_drifts_is_caught(twilio: tuple[DriftingTwilio, str], monkeypatch: pytest.MonkeyPatch) -> None:
    fake, url = twilio
    fake.drifts = True
    try:
        receipts = hand_over(twilio_channel(url, monkeypatch, messaging_service=twilio_fake.SERVICE), texts())
    finally:
        fake.drifts = False
    assert {receipt.outcome for receipt in receipts} == {Outcome.UNKNOWN}, "Prism answers 500 instead"


def test_a_client_that_drifts_is_caught(sendgrid: SendgridPair) -> None:
    fake, url = sendgrid
    before = len(fake.requests)
    body = json.dumps({"personalizations": [{"to": [{"email": "a@b.example"}]}], "subject": "x"}).encode()
    headers = {"Authorization": f"Bearer {sendgrid_fake.KEY}", "Content-Type": "application/json"}
    request = urllib.request.Request(f"{url}/v3/mail/send", body, headers)
    with pytest.raises(urllib.error.HTTPError) as caught:
        urllib.request.urlopen(request, timeout=10)
    assert caught.value.code == 422
    assert len(fake.requests) == before, "the request without a sender went no further"


def test_a_whole_run_passes(
    sendgrid: SendgridPair, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("SENDGRID_KEY", sendgrid_fake.KEY)
    fake, url = sendgrid
    project = write_project(tmp_path, via="sendgrid", host=url, api_key_env="SENDGRID_KEY")
    messages = [planned(n, address=f"run{n}@mail.example") for n in range(30)]
    write_plan(project, messages)
    main(["run", "winback", "--project", str(tmp_path), "--mode", "send", "--now", "2026-03-05T10:30", "--json"])
    assert json.loads(capsys.readouterr().out)["accepted"] == 30
    assert {message.address for message in messages} <= set(fake.recipients())
