"""Every way in which a hand-over to SendGrid can end, against real sockets, and what it means (delivery §2.7)."""

from __future__ import annotations

import asyncio
import logging
import socket
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from campanile.channels import Channel, ChannelUnavailableError, WithdrawnError, web_channel
from campanile.channels.sendgrid import SendgridChannel, payload, unfit
from campanile.channels.web_channel import FAILURES_IN_A_ROW
from campanile.errors import CampanileError
from campanile.events import Message, Outcome, Receipt
from campanile.spec.settings import ChannelSettings
from support.certificates import server_context
from support.plans import message_id
from support.sendgrid_fake import KEY, SendgridFake
from support.smtp_sink import wait_until
from support.web_fake import running


@pytest.fixture(autouse=True)
def _key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SENDGRID_KEY", KEY)


@pytest.fixture
def fake() -> Iterator[SendgridFake]:
    with running(SendgridFake()) as fake:
        yield fake


def settings(host: str, **changes: object) -> ChannelSettings:
    values: dict[str, object] = {
        "via": "sendgrid", "host": host, "api_key_env": "SENDGRID_KEY", "sender": "优选 <news@m.example.com>",
        "connections": 2, "timeout": 2.0,
    }  # fmt: skip
    return ChannelSettings(**{**values, **changes})


def channel(fake: SendgridFake, **changes: object) -> SendgridChannel:
    return SendgridChannel(settings(fake.url, **changes), "0123456789abcdef", pauses=(0.05,))


def mail(address: str, number: int = 1, **changes: object) -> Message:
    headers = {"List-Unsubscribe": "<https://t.example.com/u/x>", "List-Unsubscribe-Post": "List-Unsubscribe=One-Click"}
    values: dict[str, object] = {
        "message_id": message_id("winback", number), "channel": "email", "to": address, "subject": "好久不见",
        "text": "Hello", "html": "<p>Hello</p>", "mime": b"x", "headers": headers,
    }  # fmt: skip
    return Message(**{**values, **changes})  # type: ignore[arg-type]


def send(channel: Channel, *messages: Message) -> list[Receipt]:
    """The receipts of mails handed over one after the other."""

    async def run() -> list[Receipt]:
        await channel.open()
        try:
            return [await channel.hand_over(message) for message in messages]
        finally:
            await channel.close()

    return asyncio.run(run())


@pytest.mark.parametrize(
    ("fate", "outcome", "detail", "taken"),
    [
        ("fine", Outcome.ACCEPTED, "202", 1),
        ("slow", Outcome.ACCEPTED, "202", 1),
        ("hang", Outcome.UNKNOWN, "no answer within 2 s", 1),
        ("drip", Outcome.UNKNOWN, "no answer within 2 s", 1),
        ("close", Outcome.UNKNOWN, "connection lost before the answer (ServerDisconnectedError)", 1),
        ("reset", Outcome.UNKNOWN, "connection lost before the answer (ClientOSError)", 1),
        ("truncated", Outcome.UNKNOWN, "connection lost before the answer (ClientPayloadError)", 1),
        ("garbage", Outcome.UNKNOWN, "connection lost before the answer (ClientResponseError)", 1),
        ("503", Outcome.UNKNOWN, "503", 0),
        ("503taken", Outcome.UNKNOWN, "503", 1),
        ("500taken", Outcome.UNKNOWN, "500", 1),
        ("408", Outcome.NOT_SENT, "408", 0),
        ("html", Outcome.UNKNOWN, "answered 200, which SendGrid does not say to a mail", 0),
        ("htmlerror", Outcome.UNKNOWN, "400, a page", 0),
        ("redirect", Outcome.UNKNOWN, "302", 0),
    ],
)
def test_what_each_ending_means(fake: SendgridFake, fate: str, outcome: Outcome, detail: str, taken: int) -> None:
    address = f"{fate}.li.wei@mail.example"
    first, second = send(channel(fake), mail(address), mail("next@mail.example", 2))
    assert (first.outcome, first.detail) == (outcome, detail)
    assert second.outcome is Outcome.ACCEPTED, "whatever happened, the next mail goes out"
    assert fake.recipients().count(address) == taken
    assert "li.wei" not in repr(first)
    assert len(fake.requests) == 2, "nothing is asked twice"


class TestRequest:
    def test_is_that_of_the_specification(self, fake: SendgridFake) -> None:
        (receipt,) = send(channel(fake), mail("li@mail.example"))
        assert receipt.provider_id
        assert fake.taken[0].request == {
            "from": {"email": "news@m.example.com", "name": "=?utf-8?b?5LyY6YCJ?="},
            "personalizations": [
                {
                    "to": [{"email": "li@mail.example"}],
                    "custom_args": {"cmp_mid": message_id("winback", 1), "cmp_run": "0123456789abcdef"},
                    "headers": {
                        "List-Unsubscribe": "<https://t.example.com/u/x>",
                        "List-Unsubscribe-Post": "List-Unsubscribe=One-Click",
                    },
                }
            ],
            "subject": "好久不见",
            "content": [{"type": "text/plain", "value": "Hello"}, {"type": "text/html", "value": "<p>Hello</p>"}],
            "categories": ["run:0123456789abcdef"],
            "tracking_settings": {
                "click_tracking": {"enable": False},
                "open_tracking": {"enable": False},
                "subscription_tracking": {"enable": False},
            },
            "mail_settings": {"sandbox_mode": {"enable": False}},
        }

    def test_holds_what_the_settings_say(self, fake: SendgridFake) -> None:
        send(channel(fake, reply_to="Care <care@m.example.com>", unsubscribe_group=12), mail("li@mail.example"))
        asked = fake.taken[0].request
        assert asked["reply_to"] == {"email": "care@m.example.com", "name": "Care"}
        assert asked["asm"] == {"group_id": 12}

    def test_of_a_sandbox_is_taken_with_200(self, fake: SendgridFake) -> None:
        (receipt,) = send(channel(fake, sandbox=True), mail("li@mail.example"))
        assert (receipt.outcome, fake.taken) == (Outcome.ACCEPTED, [])

    @pytest.mark.parametrize(
        ("changes", "why"),
        [
            ({"subject": "Hi\r\nBcc: x@y.example"}, "the subject holds a line break or a control character"),
            ({"subject": "a\x00b"}, "the subject holds a line break or a control character"),
            ({"subject": "a\u2028b"}, "the subject holds a line break or a control character"),
            ({"subject": " "}, "the subject is empty"),
            ({"subject": "x" * 251}, "the subject has more than 250 characters"),
            ({"subject": "x" * 998}, "the subject is longer than a header may be"),
            ({"to": "li@mail.example\r\nBcc: x@y.example"}, "the address holds a line break or a control character"),
            (
                {"headers": {"List-Unsubscribe": "<a>\n"}},
                "the List-Unsubscribe holds a line break or a control character",
            ),
            ({"headers": {"Feedback-ID": "a" * 998}}, "the Feedback-ID is longer than a header may be"),
            ({"text": "", "html": ""}, "the mail is empty"),
        ],
    )
    def test_of_a_mail_that_is_none_is_not_made(self, fake: SendgridFake, changes: dict[str, object], why: str) -> None:
        first, second = send(channel(fake), mail("li@mail.example", **changes), mail("next@mail.example", 2))
        assert (first.outcome, first.detail) == (Outcome.REJECTED, why)
        assert second.outcome is Outcome.ACCEPTED
        assert len(fake.requests) == 1

    def test_that_sendgrid_refuses_names_the_field_and_never_the_address(self, fake: SendgridFake) -> None:
        first, second = send(
            channel(fake), mail("li.wei@mail.example", headers={"Feedback-ID": "ü"}), mail("next@mail.example", 2)
        )
        assert (first.outcome, first.detail) == (Outcome.REJECTED, "400 personalizations.0.headers")
        assert second.outcome is Outcome.ACCEPTED

    @pytest.mark.parametrize("fate", ["fromfield", "asmfield"])
    def test_whose_settings_sendgrid_refuses_stops_the_run(self, fake: SendgridFake, fate: str) -> None:
        fake.refused_field = {"fromfield": "from.email", "asmfield": "asm.group_id"}[fate]
        with pytest.raises(ChannelUnavailableError, match="refuses our settings .400 (from.email|asm.group_id)"):
            send(channel(fake), mail("li@mail.example"))

    def test_holds_nothing_that_a_mail_may_not_set(self) -> None:
        made = payload(mail("li@mail.example", headers={"Subject": "x", "X-Other": "y", "Feedback-ID": "a:b"}), "r", {})
        assert made["personalizations"][0]["headers"] == {"Feedback-ID": "a:b"}

    def test_fits_are_fit(self) -> None:
        assert unfit(mail("li@mail.example")) == ""


class TestTooMany:
    def test_is_waited_for_until_the_moment_that_sendgrid_names(self, fake: SendgridFake) -> None:
        fake.headers_of_429 = {"X-RateLimit-Reset": str(int(time.time()) + 2)}
        begun = time.monotonic()
        (receipt,) = send(channel(fake), mail("once-429.li@mail.example"))
        assert receipt.outcome is Outcome.ACCEPTED
        assert 0.5 < time.monotonic() - begun < 20
        assert fake.recipients() == ["once-429.li@mail.example"]

    def test_holds_everybody_back(self, fake: SendgridFake) -> None:
        fake.headers_of_429 = {"Retry-After": "1"}

        async def run() -> float:
            sendgrid = channel(fake)
            await sendgrid.open()
            limited = asyncio.create_task(sendgrid.hand_over(mail("once-429.li@mail.example")))
            await asyncio.to_thread(wait_until, lambda: len(fake.requests) == 1)
            await asyncio.sleep(0.1)
            begun = time.monotonic()
            await sendgrid.hand_over(mail("next@mail.example", 2))
            await limited
            await sendgrid.close()
            return time.monotonic() - begun

        assert asyncio.run(run()) > 0.7
        assert len(fake.requests) == 3

    def test_for_long_makes_the_message_due_again_then(self, fake: SendgridFake) -> None:
        until = datetime.now(UTC).replace(microsecond=0) + timedelta(hours=1)
        fake.headers_of_429 = {"X-RateLimit-Reset": str(int(until.timestamp()))}
        first, second = send(channel(fake), mail("429.li@mail.example"), mail("next@mail.example", 2))
        assert (first.outcome, first.retry_at) == (Outcome.NOT_SENT, until)
        assert (second.outcome, second.retry_at) == (Outcome.NOT_SENT, until)
        assert len(fake.requests) == 1, "nobody else is asked before that moment"

    def test_without_a_moment_backs_off_and_gives_the_message_back(
        self, fake: SendgridFake, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(web_channel, "DEFAULT_PAUSE", 0.02)
        (receipt,) = send(channel(fake), mail("429.li@mail.example"))
        assert receipt.outcome is Outcome.NOT_SENT
        assert receipt.retry_at is not None
        assert fake.taken == []
        assert 2 <= len(fake.requests) <= 5

    def test_can_be_stopped_while_it_is_waited_for(self, fake: SendgridFake) -> None:
        fake.headers_of_429 = {"Retry-After": "20"}

        async def run() -> object:
            sendgrid = channel(fake)
            await sendgrid.open()
            task = asyncio.create_task(sendgrid.hand_over(mail("once-429.li@mail.example")))
            await asyncio.to_thread(wait_until, lambda: len(fake.requests) == 1)
            await asyncio.sleep(0.1)
            task.cancel()
            (result,) = await asyncio.gather(task, return_exceptions=True)
            await sendgrid.close()
            return result

        assert isinstance(asyncio.run(run()), WithdrawnError)


class TestUnavailable:
    def refusal(self, channel: Channel) -> str:
        with pytest.raises(CampanileError) as caught:
            send(channel, mail("li.wei@mail.example"))
        assert "li.wei" not in str(caught.value)
        assert KEY not in str(caught.value)
        return str(caught.value)

    def test_a_revoked_key(self, fake: SendgridFake) -> None:
        fake.key = "another"
        assert self.refusal(channel(fake)) == (
            "SendGrid refuses the key (401); check the key in SENDGRID_KEY: it may have been revoked; then run again"
        )

    def test_a_sender_that_is_not_verified(self, fake: SendgridFake) -> None:
        fake.verified = "other@m.example.com"
        assert "SendGrid forbids us to send (403); check the rights of the key in SENDGRID_KEY" in self.refusal(
            channel(fake)
        )

    def test_a_refused_key_stops_those_who_wait(self, fake: SendgridFake) -> None:
        fake.key = "another"

        async def run() -> list[object]:
            sendgrid = channel(fake)
            await sendgrid.open()
            mails = (sendgrid.hand_over(mail(f"c{n}@mail.example", n)) for n in range(10))
            results = await asyncio.gather(*mails, return_exceptions=True)
            with pytest.raises(ChannelUnavailableError):
                await sendgrid.hand_over(mail("c11@mail.example", 11))
            await sendgrid.close()
            return results  # type: ignore[return-value]

        assert {type(result) for result in asyncio.run(run())} == {ChannelUnavailableError}
        assert fake.taken == []

    def test_no_key(self, fake: SendgridFake, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.delenv("SENDGRID_KEY")
        assert "the environment variable SENDGRID_KEY with the key of SendGrid is not set" in self.refusal(
            channel(fake)
        )

    def test_a_key_with_a_line_break(self, fake: SendgridFake, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("SENDGRID_KEY", "SG.x\r\nX-Evil: 1")
        assert "the environment variable SENDGRID_KEY holds what no key can be" in self.refusal(channel(fake))

    def test_a_server_that_is_not_there(self) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        away = SendgridChannel(settings(f"http://127.0.0.1:{port}"), "r", pauses=(0.01,))
        assert "SendGrid refuses connections; check host, and whether it runs; then run again" in self.refusal(away)

    def test_a_server_that_goes_away_hands_nothing_over(self) -> None:
        async def run() -> Receipt:
            with running(SendgridFake()) as fake:
                sendgrid = channel(fake)
                await sendgrid.open()
                receipt = await sendgrid.hand_over(mail("c1@mail.example"))
            with pytest.raises(ChannelUnavailableError, match="refuses connections"):
                await sendgrid.hand_over(mail("c2@mail.example", 2))
            await sendgrid.close()
            return receipt

        assert asyncio.run(run()).outcome is Outcome.ACCEPTED

    def test_a_name_that_nobody_knows(self) -> None:
        unknown = SendgridChannel(settings("https://sendgrid.invalid"), "r", pauses=())
        assert "SendGrid is not known to the name service" in self.refusal(unknown)

    def test_a_server_that_is_silent(self) -> None:
        with socket.socket() as mute:
            mute.bind(("127.0.0.1", 0))
            mute.listen()
            port = mute.getsockname()[1]
            silent = SendgridChannel(settings(f"https://127.0.0.1:{port}", timeout=0.3), "r", pauses=())
            assert "SendGrid does not answer within 0.3 s" in self.refusal(silent)

    def test_a_certificate_that_nobody_trusts(self, tmp_path: Path) -> None:
        context, _ = server_context(tmp_path)
        with running(SendgridFake(), tls=context) as fake:
            sentence = self.refusal(SendgridChannel(settings(f"https://127.0.0.1:{fake.port}"), "r"))
        assert "SendGrid cannot agree on TLS with us" in sentence
        assert fake.requests == []

    def test_a_server_that_only_fails_is_given_up(self, fake: SendgridFake) -> None:
        async def run() -> list[Outcome]:
            sendgrid = channel(fake)
            await sendgrid.open()
            mails = [mail(f"503taken.{n}@mail.example", n) for n in range(FAILURES_IN_A_ROW)]
            outcomes = [(await sendgrid.hand_over(each)).outcome for each in mails]
            with pytest.raises(ChannelUnavailableError, match=f"failed {FAILURES_IN_A_ROW} times in a row"):
                await sendgrid.hand_over(mail("c1@mail.example"))
            await sendgrid.close()
            return outcomes

        assert asyncio.run(run()) == [Outcome.UNKNOWN] * FAILURES_IN_A_ROW


class TestConnections:
    def test_last_from_mail_to_mail(self, fake: SendgridFake) -> None:
        send(channel(fake, connections=1), *(mail(f"c{n}@mail.example", n) for n in range(10)))
        assert fake.connections == 2, "one to look whether SendGrid is there, one for the mails"

    def test_are_no_more_than_the_settings_say(self, fake: SendgridFake) -> None:
        async def run() -> None:
            sendgrid = channel(fake, connections=3)
            await sendgrid.open()
            await asyncio.to_thread(wait_until, lambda: fake.connections and not fake.open_now)
            fake.most_open = 0
            await asyncio.gather(*(sendgrid.hand_over(mail(f"slow.{n}@mail.example", n)) for n in range(12)))
            await sendgrid.close()

        asyncio.run(run())
        assert fake.most_open == 3
        assert len(fake.taken) == 12

    def test_closed_by_an_idle_server_are_made_anew(self, fake: SendgridFake) -> None:
        fake.idle = 0.15

        async def run() -> list[Outcome]:
            sendgrid = channel(fake, connections=1)
            await sendgrid.open()
            outcomes = []
            for n in range(3):
                outcomes.append((await sendgrid.hand_over(mail(f"c{n}@mail.example", n))).outcome)
                await asyncio.sleep(0.4)
            await sendgrid.close()
            return outcomes

        assert asyncio.run(run()) == [Outcome.ACCEPTED] * 3

    def test_are_protected(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        context, trusted = server_context(tmp_path)
        monkeypatch.setenv("SSL_CERT_FILE", str(trusted))
        with running(SendgridFake(), tls=context) as fake:
            (receipt,) = send(SendgridChannel(settings(f"https://127.0.0.1:{fake.port}"), "r"), mail("c1@mail.example"))
        assert receipt.outcome is Outcome.ACCEPTED


class TestCancelled:
    def cancelled(self, fake: SendgridFake, address: str, seen: Callable[[], bool]) -> object:
        async def run() -> object:
            sendgrid = channel(fake, connections=1, timeout=30.0)
            await sendgrid.open()
            task = asyncio.create_task(sendgrid.hand_over(mail(address)))
            await asyncio.to_thread(wait_until, seen)
            await asyncio.sleep(0.1)
            task.cancel()
            (result,) = await asyncio.gather(task, return_exceptions=True)
            await sendgrid.close()
            return result

        return asyncio.run(run())

    def test_after_the_request_began_nobody_can_know(self, fake: SendgridFake) -> None:
        result = self.cancelled(fake, "hang.x@mail.example", lambda: bool(fake.taken))
        assert isinstance(result, Receipt)
        assert (result.outcome, result.detail) == (Outcome.UNKNOWN, "stopped while waiting for the answer")

    def test_while_waiting_for_a_connection_nothing_was_handed_over(self, fake: SendgridFake) -> None:
        async def run() -> object:
            sendgrid = channel(fake, connections=1)
            await sendgrid.open()
            first = asyncio.create_task(sendgrid.hand_over(mail("slow.1@mail.example", 1)))
            await asyncio.to_thread(wait_until, lambda: bool(fake.requests))
            second = asyncio.create_task(sendgrid.hand_over(mail("c2@mail.example", 2)))
            await asyncio.sleep(0.05)
            second.cancel()
            _, result = await asyncio.gather(first, second, return_exceptions=True)
            await sendgrid.close()
            return result

        assert isinstance(asyncio.run(run()), WithdrawnError)
        assert fake.recipients() == ["slow.1@mail.example"]


class TestRecords:
    """Lost answers, looked up in SendGrid's mail log (delivery §7.4)."""

    def found(self, fake: SendgridFake, *messages: Message) -> list[Receipt | None]:
        async def run() -> list[Receipt | None]:
            sendgrid = channel(fake)
            await sendgrid.open()
            try:
                return [await sendgrid.find(message, since=datetime.now(UTC)) for message in messages]
            finally:
                await sendgrid.close()

        return asyncio.run(run())

    def test_tell_what_was_taken_and_say_nothing_of_the_rest(self, fake: SendgridFake) -> None:
        lost = [mail(f"{fate}@mail.example", n) for n, fate in enumerate(("hang", "503taken", "503", "close"))]
        assert {receipt.outcome for receipt in send(channel(fake), *lost)} == {Outcome.UNKNOWN}
        fake.faults = {"": "", **{message.to: "fine" for message in lost}}
        found = self.found(fake, *lost)
        assert [receipt and receipt.outcome for receipt in found] == [
            Outcome.ACCEPTED, Outcome.ACCEPTED, None, Outcome.ACCEPTED,
        ]  # fmt: skip
        assert found[0] is not None
        assert (found[0].provider_id, found[0].detail) == ("log-0", "in its log as delivered")

    def test_tell_messages_of_one_run_to_one_person_apart(self, fake: SendgridFake) -> None:
        send(channel(fake), mail("li@mail.example", 1))
        (found,) = self.found(fake, mail("li@mail.example", 2))
        assert found is None, "the same person in the same run, another message"

    def test_wait_for_a_rate_limit(self, fake: SendgridFake) -> None:
        send(channel(fake), mail("li@mail.example", 1))
        fake.headers_of_429 = {"Retry-After": "1"}
        fake.faults = {"": "once-429"}
        (found,) = self.found(fake, mail("li@mail.example", 1))
        assert found is not None

    def test_of_an_odd_address_are_not_asked(self, fake: SendgridFake) -> None:
        assert self.found(fake, mail("o'hara@mail.example", 1)) == [None]
        assert fake.requests == []

    @pytest.mark.parametrize(
        ("fate", "said"), [("503", "its log answers 503"), ("html", "in a way that SendGrid does")]
    )
    def test_that_cannot_be_had_are_a_sentence(self, fake: SendgridFake, fate: str, said: str) -> None:
        fake.faults = {"": fate}
        with pytest.raises(ChannelUnavailableError, match=said):
            self.found(fake, mail("li@mail.example", 1))

    def test_are_refused_to_a_revoked_key(self, fake: SendgridFake) -> None:
        fake.key = "another"
        with pytest.raises(ChannelUnavailableError, match="refuses the key"):
            self.found(fake, mail("li@mail.example", 1))


def test_nothing_it_logs_holds_an_address_or_the_key(fake: SendgridFake, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    for name in ("python_http_client", "python_http_client.client", "aiohttp.client", "asyncio", "sendgrid"):
        logging.getLogger(name).setLevel(logging.NOTSET)
    mails = [mail(f"{fate}.wei@mail.example", n) for n, fate in enumerate(("fine", "503", "html", "reset", "close"))]
    send(channel(fake), *mails)
    assert len(fake.requests) == len(mails)
    assert "mail.example" not in caplog.text
    assert KEY not in caplog.text
    assert "好久不见" not in caplog.text
