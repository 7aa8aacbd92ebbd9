"""A gateway that campanile.yaml describes: what is asked, and what each of its answers means."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Iterator

import pytest
from pydantic import ValidationError

from campanile.channels import ChannelUnavailableError
from campanile.channels.gateway import GatewayChannel, request, values
from campanile.errors import CampanileError
from campanile.events import Message, Outcome, Receipt
from campanile.spec.gateway import Gateway
from campanile.spec.settings import ChannelSettings
from support.gateway_fake import GATEWAY, KEY, GatewayFake
from support.plans import message_id
from support.web_fake import running

TO, NATIONAL = "+8613800138000", "13800138000"


@pytest.fixture(autouse=True)
def _key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GATEWAY_KEY", KEY)


@pytest.fixture
def fake() -> Iterator[GatewayFake]:
    with running(GatewayFake()) as fake:
        yield fake


def gateway(**changes: object) -> dict[str, object]:
    return {"url": "https://sms.example.cn/send", **GATEWAY, **changes}


def channel(fake: GatewayFake, **changes: object) -> GatewayChannel:
    settings = ChannelSettings(via="http", gateway=gateway(url=fake.url + "/send", **changes), timeout=2, connections=2)
    return GatewayChannel(settings, pauses=(0.05,))


def sms(to: str = TO, number: int = 1, **changes: object) -> Message:
    more = {"text": "【优选】好久不见 & {key}=1", **changes}
    return Message(message_id("winback", number), "sms", to, callback="https://t.example.com/x", **more)  # type: ignore[arg-type]


def send(channel: GatewayChannel, *messages: Message) -> list[Receipt]:
    async def run() -> list[Receipt]:
        await channel.open()
        try:
            return [await channel.hand_over(message) for message in messages]
        finally:
            await channel.close()

    return asyncio.run(run())


@pytest.mark.parametrize(
    ("fate", "outcome", "detail", "suppress", "taken"),
    [
        ("", Outcome.ACCEPTED, "200 0", "", 1),
        ("slow", Outcome.ACCEPTED, "200 0", "", 1),
        ("2001", Outcome.REJECTED, "200 2001", "stop", 0),
        ("4004", Outcome.REJECTED, "200 4004", "", 0),
        ("9999", Outcome.UNKNOWN, "200 9999", "", 0),
        ("hang", Outcome.UNKNOWN, "no answer within 2 s", "", 1),
        ("close", Outcome.UNKNOWN, "connection lost before the answer (ServerDisconnectedError)", "", 1),
        ("truncated", Outcome.UNKNOWN, "connection lost before the answer (ClientPayloadError)", "", 1),
        ("503", Outcome.UNKNOWN, "503", "", 0),
        ("500taken", Outcome.UNKNOWN, "500", "", 1),
        ("html", Outcome.UNKNOWN, "200", "", 0),
        ("htmlerror", Outcome.UNKNOWN, "400", "", 0),
        ("redirect", Outcome.UNKNOWN, "302", "", 0),
    ],
)
def test_what_each_answer_means(  # noqa: PLR0917
    fake: GatewayFake, fate: str, outcome: Outcome, detail: str, suppress: str, taken: int
) -> None:
    fake.faults[NATIONAL] = fate
    first, second = send(channel(fake), sms(), sms("+8613800138001", 2))
    assert (first.outcome, first.detail, first.suppress) == (outcome, detail, suppress)
    assert second.outcome is Outcome.ACCEPTED
    assert [form["mobile"] for form in fake.taken].count(NATIONAL) == taken
    assert NATIONAL not in repr(first)


class TestRequest:
    def test_says_what_the_description_says(self, fake: GatewayFake) -> None:
        (receipt,) = send(channel(fake), sms())
        assert receipt.provider_id == "G000001"
        assert fake.taken == [
            {
                "mobile": NATIONAL,
                "content": "【优选】好久不见 & {key}=1",
                "uid": message_id("winback", 1),
                "report": "https://t.example.com/x",
            }
        ]

    def test_as_json_keeps_numbers_and_nests(self) -> None:
        body = {"to": ["{to}"], "message": {"text": "{text}", "ttl": 60, "flash": False}, "id": "{message_id}"}
        described = Gateway(**gateway(form={}, json=body))
        url, headers, content = request(described, {**values(sms(text='a "b" \\n')), "key": KEY})
        assert json.loads(content or b"") == {
            "to": [TO],
            "message": {"text": 'a "b" \\n', "ttl": 60, "flash": False},
            "id": message_id("winback", 1),
        }
        assert (url, headers["X-Key"]) == ("https://sms.example.cn/send", KEY)

    def test_in_the_address_is_encoded(self) -> None:
        described = Gateway(**gateway(method="GET", form={}, query={"m": "{to_digits}", "t": "{text}&x=1"}))
        url, _, content = request(described, {**values(sms(text="a b&c")), "key": KEY})
        assert url == "https://sms.example.cn/send?m=8613800138000&t=a+b%26c%26x%3D1"
        assert content is None

    def test_of_a_gateway_that_answers_in_text(self) -> None:
        with running(GatewayFake(text=True)) as fake:
            (receipt,) = send(channel(fake, answers={"accepted": {"starts": "0,"}}), sms())
        assert (receipt.outcome, receipt.provider_id) == (Outcome.ACCEPTED, "G000001")

    @pytest.mark.parametrize(
        ("changes", "why"),
        [
            ({"to": "13800138000"}, "the number is not written as +, country and number"),
            ({"to": "+9991234567"}, "the number is not written as +, country and number"),
            ({"text": ""}, "the text is empty"),
            ({"text": "长" * 1601}, "the text has more than 1600 characters"),
        ],
    )
    def test_of_no_message_is_not_made(self, fake: GatewayFake, changes: dict[str, str], why: str) -> None:
        (receipt,) = send(channel(fake), sms(**{"to": TO, **changes}))
        assert (receipt.outcome, receipt.detail, fake.requests) == (Outcome.REJECTED, why, [])


class TestUnavailable:
    def test_a_refused_account_stops_the_run(self, fake: GatewayFake) -> None:
        fake.faults[NATIONAL] = "3003"
        with pytest.raises(ChannelUnavailableError, match=r"the gateway 127.0.0.1:\d+ refuses us \(200 3003\)"):
            send(channel(fake), sms())

    def test_a_wrong_key_stops_the_run(self, fake: GatewayFake, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("GATEWAY_KEY", "wrong-key")
        with pytest.raises(ChannelUnavailableError, match=r"refuses us \(401 3001\)") as caught:
            send(channel(fake), sms())
        assert "wrong-key" not in str(caught.value)

    def test_no_key(self, fake: GatewayFake, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.delenv("GATEWAY_KEY")
        with pytest.raises(CampanileError, match="the environment variable GATEWAY_KEY with key of the gateway"):
            send(channel(fake), sms())

    def test_a_word_that_means_later_is_waited_for(self, fake: GatewayFake) -> None:
        fake.faults[NATIONAL] = "once-1011"
        (receipt,) = send(channel(fake), sms())
        assert receipt.outcome is Outcome.ACCEPTED
        assert len(fake.requests) == 2
        assert len(fake.taken) == 1


class TestDescription:
    def refused(self, **changes: object) -> str:
        with pytest.raises(ValidationError) as caught:
            Gateway(**gateway(**changes))
        return str(caught.value)

    @pytest.mark.parametrize(
        ("changes", "said"),
        [
            ({"form": {"m": "{to}", "t": "{txt}"}}, 'no placeholder {txt}; did you mean "text"?'),
            ({"form": {"m": "{to}"}}, "the request says not whom or what to write; use {to} and {text}"),
            ({"json": {"a": "{to}{text}"}}, "a request has one body; write form or json, not both"),
            ({"method": "GET"}, "GET has no body; write query, or method: POST"),
            ({"headers": {"X-To": "{to}"}}, "headers hold keys and {message_id} only"),
            ({"headers": {"X Key": "{key}"}}, "cannot be sent"),
            ({"answers": {"accepted": {}}}, "an empty meaning fits every answer; write status, where or starts"),
            ({"answers": {"accepted": {"where": {"a..b": 0}}}}, "wants a place in the answer"),
        ],
    )
    def test_that_cannot_work_is_a_problem(self, changes: dict[str, object], said: str) -> None:
        assert said in self.refused(**changes)

    def test_without_protection_is_a_problem(self) -> None:
        with pytest.raises(ValidationError, match="the key would cross the network unprotected"):
            ChannelSettings(via="http", gateway=gateway(url="http://sms.example.cn/send"))


def test_nothing_it_logs_holds_a_number_a_text_or_a_key(fake: GatewayFake, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    logging.getLogger("aiohttp").setLevel(logging.NOTSET)
    numbers = [f"+86138001380{n:02d}" for n in range(4)]
    fake.faults = dict(zip([number[3:] for number in numbers], ("", "503", "2001", "reset"), strict=True))
    send(channel(fake), *(sms(number, n) for n, number in enumerate(numbers)))
    assert len(fake.requests) == 4
    for told in ("1380013", "好久不见", KEY):
        assert told not in caplog.text
