"""Every way in which a hand-over to Twilio can end, against real sockets, and what it means (delivery §2.2, §2.7)."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from campanile.channels import Channel, ChannelUnavailableError
from campanile.channels.twilio import TwilioChannel
from campanile.errors import CampanileError
from campanile.events import Message, Outcome, Receipt
from campanile.spec.settings import ChannelSettings
from support.plans import message_id
from support.smtp_sink import wait_until
from support.twilio_fake import ACCOUNT, KEY, NUMBER, SECRET, SERVICE, TwilioFake
from support.web_fake import running

TO, NEXT = "+8613800138000", "+8613800138001"


@pytest.fixture(autouse=True)
def _keys(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in (("ACCOUNT", ACCOUNT), ("KEY", KEY), ("SECRET", SECRET)):
        monkeypatch.setenv(f"TWILIO_{name}", value)


@pytest.fixture
def fake() -> Iterator[TwilioFake]:
    with running(TwilioFake()) as fake:
        yield fake


def settings(host: str, **changes: object) -> ChannelSettings:
    values: dict[str, object] = {
        "via": "twilio", "host": host, "account_sid_env": "TWILIO_ACCOUNT", "api_key_env": "TWILIO_KEY",
        "api_secret_env": "TWILIO_SECRET", "messaging_service": SERVICE, "connections": 2, "timeout": 2.0,
    }  # fmt: skip
    return ChannelSettings(**{**values, **changes})


def channel(fake: TwilioFake, **changes: object) -> TwilioChannel:
    return TwilioChannel(settings(fake.url, **changes), pauses=(0.05,))


def sms(to: str = TO, number: int = 1, **changes: object) -> Message:
    values: dict[str, object] = {
        "message_id": message_id("winback", number), "channel": "sms", "to": to, "text": "【优选】 a + b = 你好",
        "callback": "https://t.example.com/hooks/twilio/TOKEN",
    }  # fmt: skip
    return Message(**{**values, **changes})  # type: ignore[arg-type]


def send(channel: Channel, *messages: Message) -> list[Receipt]:
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
        ("", Outcome.ACCEPTED, "accepted", 1),
        ("slow", Outcome.ACCEPTED, "accepted", 1),
        ("hang", Outcome.UNKNOWN, "no answer within 2 s", 1),
        ("drip", Outcome.UNKNOWN, "no answer within 2 s", 1),
        ("close", Outcome.UNKNOWN, "connection lost before the answer (ServerDisconnectedError)", 1),
        ("reset", Outcome.UNKNOWN, "connection lost before the answer (ClientOSError)", 1),
        ("truncated", Outcome.UNKNOWN, "connection lost before the answer (ClientPayloadError)", 1),
        ("garbage", Outcome.UNKNOWN, "connection lost before the answer (ClientResponseError)", 1),
        ("503", Outcome.UNKNOWN, "503", 0),
        ("503taken", Outcome.UNKNOWN, "503", 1),
        ("500taken", Outcome.UNKNOWN, "500", 1),
        ("20500", Outcome.UNKNOWN, "500 20500", 0),
        ("408", Outcome.NOT_SENT, "408", 0),
        ("html", Outcome.UNKNOWN, "answered in a way that Twilio does not", 0),
        ("htmlerror", Outcome.UNKNOWN, "400", 0),
        ("redirect", Outcome.UNKNOWN, "302", 0),
        ("21610", Outcome.REJECTED, "400 21610", 0),
        ("21211", Outcome.REJECTED, "400 21211", 0),
        ("21619", Outcome.REJECTED, "400 21619", 0),
    ],
)
def test_what_each_ending_means(fake: TwilioFake, fate: str, outcome: Outcome, detail: str, taken: int) -> None:
    fake.faults[TO] = fate
    first, second = send(channel(fake), sms(), sms(NEXT, 2))
    assert (first.outcome, first.detail) == (outcome, detail)
    assert second.outcome is Outcome.ACCEPTED, "whatever happened, the next one goes out"
    assert fake.recipients().count(TO) == taken
    assert TO.strip("+") not in repr(first)
    assert len(fake.requests) == 2, "nothing is asked twice"


class TestRequest:
    def test_is_that_of_the_specification(self, fake: TwilioFake) -> None:
        (receipt,) = send(channel(fake), sms())
        taken = fake.taken[0]
        assert taken.form == {
            "To": TO, "MessagingServiceSid": SERVICE, "Body": "【优选】 a + b = 你好",
            "StatusCallback": "https://t.example.com/hooks/twilio/TOKEN#rc=5&rp=all",
        }  # fmt: skip
        assert receipt.provider_id == taken.sid

    def test_from_a_number_says_so_and_is_counted_at_once(self, fake: TwilioFake) -> None:
        fake.price = "-0.00750"
        (receipt,) = send(channel(fake, messaging_service="", number=NUMBER), sms())
        assert fake.taken[0].form["From"] == NUMBER
        assert (receipt.detail, receipt.parts) == ("queued", 1)
        assert (receipt.price, receipt.currency) == (Decimal("0.00750"), "USD")

    def test_leaves_the_price_open_while_twilio_does(self, fake: TwilioFake) -> None:
        (receipt,) = send(channel(fake), sms())
        assert (receipt.price, receipt.currency, receipt.parts) == (None, "", 0)

    @pytest.mark.parametrize(("good_for", "validity"), [(7_200.0, 7_199), (86_400.0, 36_000), (31.0, 30)])
    def test_lives_no_longer_in_the_queue_than_it_may_reach_anybody(
        self, fake: TwilioFake, good_for: float, validity: int
    ) -> None:
        send(channel(fake), sms(good_for=good_for))
        assert fake.taken[0].validity in (validity, min(validity + 1, 36_000))

    def test_is_not_made_when_quiet_hours_are_about_to_begin(self, fake: TwilioFake) -> None:
        (receipt,) = send(channel(fake), sms(good_for=12.0))
        assert (receipt.outcome, fake.requests) == (Outcome.NOT_SENT, [])

    @pytest.mark.parametrize(
        ("changes", "why"),
        [
            ({"to": "13800138000"}, "the number is not written as +, country and number"),
            ({"to": "+86138001380001234567"}, "the number is not written as +, country and number"),
            ({"to": "+8613800138000\r\n"}, "the number is not written as +, country and number"),
            ({"text": " \n"}, "the text is empty"),
            ({"text": "x" * 1601}, "the text has more than 1600 characters"),
        ],
    )
    def test_of_a_message_that_is_none_is_not_made(
        self, fake: TwilioFake, changes: dict[str, object], why: str
    ) -> None:
        first, second = send(channel(fake), sms(**changes), sms(NEXT, 2))  # type: ignore[arg-type]
        assert (first.outcome, first.detail) == (Outcome.REJECTED, why)
        assert second.outcome is Outcome.ACCEPTED
        assert len(fake.requests) == 1

    def test_carries_an_emoji(self, fake: TwilioFake) -> None:
        send(channel(fake), sms(text="🎉 It’s here"))
        assert fake.taken[0].body == "🎉 It’s here"


@pytest.mark.parametrize(
    ("code", "reason"), [("21610", "stop"), ("21211", "invalid"), ("21614", "invalid"), ("21619", "")]
)
def test_a_refusal_says_what_follows_for_the_number(fake: TwilioFake, code: str, reason: str) -> None:
    fake.faults[TO] = code
    (receipt,) = send(channel(fake), sms())
    assert (receipt.outcome, receipt.suppress) == (Outcome.REJECTED, reason)


class TestUnavailable:
    @pytest.mark.parametrize(
        ("code", "sentence"),
        [
            ("20003", "Twilio refuses the key (401 20003); check account SID, key and secret"),
            ("20404", "Twilio does not know the account (404 20404); check the account SID"),
            ("21606", "Twilio refuses the sender (400 21606); check number"),
            ("21408", "Twilio may not send to the country of a recipient (400 21408); allow the country"),
            ("30034", "Twilio refuses a sender that is not registered (400 30034); register it"),
        ],
    )
    def test_what_is_wrong_with_us_stops_the_run(self, fake: TwilioFake, code: str, sentence: str) -> None:
        fake.faults[TO] = code
        with pytest.raises(ChannelUnavailableError) as caught:
            send(channel(fake), sms())
        assert sentence in str(caught.value)
        assert TO.strip("+") not in str(caught.value)
        assert fake.taken == []

    def test_a_wrong_secret(self, fake: TwilioFake, monkeypatch: pytest.MonkeyPatch) -> None:
        fake.secret = "another"
        with pytest.raises(ChannelUnavailableError, match="refuses the key") as caught:
            send(channel(fake), sms())
        assert SECRET not in str(caught.value)

    @pytest.mark.parametrize("name", ["TWILIO_ACCOUNT", "TWILIO_KEY", "TWILIO_SECRET"])
    def test_no_key(self, fake: TwilioFake, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.delenv(name)
        with pytest.raises(CampanileError, match=f"the environment variable {name} with .* is not set"):
            send(channel(fake), sms())

    def test_a_number_that_is_not_ours(self, fake: TwilioFake) -> None:
        with pytest.raises(ChannelUnavailableError, match="refuses the sender"):
            send(channel(fake, messaging_service="", number="+15559999999"), sms())


class TestTooMany:
    def test_is_waited_for(self, fake: TwilioFake) -> None:
        fake.headers_of_429 = {"Retry-After": "1"}
        fake.faults[TO] = "once-429"
        begun = time.monotonic()
        (receipt,) = send(channel(fake), sms(good_for=3_600.0))
        assert receipt.outcome is Outcome.ACCEPTED
        assert 0.7 < time.monotonic() - begun < 20
        assert fake.recipients() == [TO]
        assert fake.taken[0].validity <= 3_599, "the wait counts"

    def test_a_full_queue_makes_the_messages_due_again_later(self, fake: TwilioFake) -> None:
        fake.faults[TO] = "21611"
        first, second = send(channel(fake), sms(), sms(NEXT, 2))
        assert (first.outcome, second.outcome) == (Outcome.NOT_SENT, Outcome.NOT_SENT)
        assert first.retry_at is not None
        assert timedelta(0) < first.retry_at - datetime.now(UTC) <= timedelta(minutes=10)
        assert len(fake.requests) == 1


class TestConnections:
    def test_last_and_are_few(self, fake: TwilioFake) -> None:
        numbers = [f"+86138001381{n:02d}" for n in range(12)]
        fake.faults = dict.fromkeys(numbers, "slow")

        async def run() -> None:
            twilio = channel(fake, connections=3)
            await twilio.open()
            await asyncio.to_thread(wait_until, lambda: fake.connections and not fake.open_now)
            fake.most_open = 0
            await asyncio.gather(*(twilio.hand_over(sms(number, n)) for n, number in enumerate(numbers)))
            await twilio.close()

        asyncio.run(run())
        assert fake.most_open == 3
        assert fake.connections <= 4, "one to look whether Twilio is there, three for the messages"
        assert sorted(fake.recipients()) == numbers


class TestRecords:
    """Lost answers, looked up in Twilio's list of messages (delivery §7.4)."""

    def found(self, fake: TwilioFake, *messages: Message, since: datetime | None = None) -> list[Receipt | None]:
        async def run() -> list[Receipt | None]:
            twilio = channel(fake)
            await twilio.open()
            try:
                return [await twilio.find(message, since=since or datetime.now(UTC)) for message in messages]
            finally:
                await twilio.close()

        return asyncio.run(run())

    def test_tell_what_was_taken_and_say_nothing_of_the_rest(self, fake: TwilioFake) -> None:
        fates = ("hang", "503taken", "503", "close")
        lost = [sms(f"+86138001380{n:02d}", n, text=f"【优选】 {n}") for n in range(len(fates))]
        fake.faults = {message.to: fate for message, fate in zip(lost, fates, strict=True)}
        assert {receipt.outcome for receipt in send(channel(fake), *lost)} == {Outcome.UNKNOWN}
        fake.faults = {}
        found = self.found(fake, *lost)
        assert [receipt and receipt.outcome for receipt in found] == [
            Outcome.ACCEPTED, Outcome.ACCEPTED, None, Outcome.ACCEPTED,
        ]  # fmt: skip
        assert [receipt.provider_id for receipt in found if receipt] == [each.sid for each in fake.taken]

    def test_of_another_text_or_an_earlier_day_are_another_message(self, fake: TwilioFake) -> None:
        send(channel(fake), sms(text="Hello"))
        assert self.found(fake, sms(text="Goodbye")) == [None]
        tomorrow = datetime.now(UTC) + timedelta(days=1)
        assert self.found(fake, sms(text="Hello"), since=tomorrow) == [None]
        assert self.found(fake, sms(text="Hello")) != [None]

    @pytest.mark.parametrize(
        ("fate", "said"),
        [("503", "its list answers 503"), ("html", "in a way that Twilio does"), ("close", "connection lost")],
    )
    def test_that_cannot_be_had_are_a_sentence(self, fake: TwilioFake, fate: str, said: str) -> None:
        fake.faults = {"": fate}
        with pytest.raises(ChannelUnavailableError, match=said):
            self.found(fake, sms())

    def test_are_refused_to_a_revoked_key(self, fake: TwilioFake) -> None:
        fake.secret = "another"
        with pytest.raises(ChannelUnavailableError, match=r"refuses the key \(401\)"):
            self.found(fake, sms())


def test_nothing_it_logs_holds_a_number_a_text_or_a_key(fake: TwilioFake, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    for name in ("twilio", "twilio.http_client", "twilio.async_http_client", "aiohttp.client", "asyncio"):
        logging.getLogger(name).setLevel(logging.NOTSET)
    fates = ("", "503", "html", "reset", "21610", "21211")
    numbers = [f"+86138001380{n:02d}" for n in range(len(fates))]
    fake.faults = dict(zip(numbers, fates, strict=True))
    send(channel(fake), *(sms(number, n) for n, number in enumerate(numbers)))
    assert len(fake.requests) == len(fates)
    for told in ("13800138", "优选", SECRET, KEY, ACCOUNT, "TOKEN"):
        assert told not in caplog.text
