"""What every channel promises, tested on every channel."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from campanile.channels import Channel, open_channel
from campanile.errors import CampanileError
from campanile.events import Message, Outcome, Receipt
from campanile.spec.settings import ChannelSettings
from support import gateway_fake, sendgrid_fake, twilio_fake
from support.plans import message_id, planned, render
from support.smtp_sink import running_sink
from support.web_fake import running


@dataclass
class Subject:
    """One channel, and what lies at its other end."""

    channel: Channel
    folder: Path | None = None
    taken: list[object] | None = None
    medium: str = "email"

    def message(self, number: int) -> Message:
        if self.medium == "email":
            return render(planned(number, address=f"li.wei{number}@mail.example"))
        return Message(message_id("winback", number), "sms", f"+86138001{number:05d}", text="Hello")

    def count(self) -> int:
        if self.folder is not None:
            return len([path for path in self.folder.iterdir() if not path.name.startswith(".")])
        assert self.taken is not None
        return len(self.taken)


def hand_over(channel: Channel, messages: list[Message]) -> list[Receipt]:
    """The receipts of messages handed over all at once."""

    async def run() -> list[Receipt]:
        await channel.open()
        try:
            return await asyncio.gather(*(channel.hand_over(message) for message in messages))
        finally:
            await channel.close()

    return asyncio.run(run())


class ChannelContract:
    """Subclasses give the channel."""

    @pytest.fixture
    def subject(self, tmp_path: Path) -> Iterator[Subject] | Subject:
        raise NotImplementedError

    def test_takes_a_message(self, subject: Subject) -> None:
        message = subject.message(1)
        (receipt,) = hand_over(subject.channel, [message])
        assert receipt.message_id == message.message_id
        assert receipt.outcome is Outcome.ACCEPTED
        assert subject.count() == 1

    def test_takes_many_at_once_and_answers_each(self, subject: Subject) -> None:
        messages = [subject.message(n) for n in range(60)]
        receipts = hand_over(subject.channel, messages)
        assert [r.message_id for r in receipts] == [m.message_id for m in messages]
        assert {r.outcome for r in receipts} == {Outcome.ACCEPTED}
        assert subject.count() == 60

    def test_no_receipt_holds_the_address(self, subject: Subject) -> None:
        (receipt,) = hand_over(subject.channel, [subject.message(1)])
        assert "li.wei" not in repr(receipt)
        assert "138001" not in repr(receipt)

    def test_says_whether_repeating_is_harmless(self, subject: Subject) -> None:
        message = subject.message(1)
        hand_over(subject.channel, [message])
        hand_over(subject.channel, [message])
        assert (subject.count() == 1) == subject.channel.idempotent

    def test_has_a_name_of_its_own(self, subject: Subject) -> None:
        assert subject.channel.name == type(subject.channel).__name__.removesuffix("Channel").lower()

    def test_may_be_closed_without_having_been_opened(self, subject: Subject) -> None:
        asyncio.run(subject.channel.close())


class TestSmtp(ChannelContract):
    @pytest.fixture
    def subject(self, tmp_path: Path) -> Iterator[Subject]:
        with running_sink() as sink:
            settings = ChannelSettings(
                via="smtp", host="127.0.0.1", port=sink.port, security="none", sender="Shop <news@m.example.com>"
            )
            yield Subject(open_channel("email", settings, tmp_path), taken=sink.taken)  # type: ignore[arg-type]


class TestSendgrid(ChannelContract):
    @pytest.fixture
    def subject(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Subject]:
        monkeypatch.setenv("SENDGRID_KEY", sendgrid_fake.KEY)
        with running(sendgrid_fake.SendgridFake()) as fake:
            settings = ChannelSettings(
                via="sendgrid", host=fake.url, api_key_env="SENDGRID_KEY", sender="Shop <news@m.example.com>"
            )
            yield Subject(open_channel("email", settings, tmp_path, run="r"), taken=fake.taken)  # type: ignore[arg-type]


class TestTwilio(ChannelContract):
    @pytest.fixture
    def subject(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Subject]:
        keys = {"account_sid_env": twilio_fake.ACCOUNT, "api_key_env": twilio_fake.KEY}
        keys["api_secret_env"] = twilio_fake.SECRET
        for name, value in keys.items():
            monkeypatch.setenv(name.upper(), value)
        with running(twilio_fake.TwilioFake()) as fake:
            names = {name: name.upper() for name in keys}
            settings = ChannelSettings(via="twilio", host=fake.url, messaging_service=twilio_fake.SERVICE, **names)
            yield Subject(open_channel("sms", settings, tmp_path), medium="sms", taken=fake.taken)  # type: ignore[arg-type]


class TestGateway(ChannelContract):
    @pytest.fixture
    def subject(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Subject]:
        monkeypatch.setenv("GATEWAY_KEY", gateway_fake.KEY)
        with running(gateway_fake.GatewayFake()) as fake:
            settings = ChannelSettings(via="http", gateway={"url": fake.url, **gateway_fake.GATEWAY})
            yield Subject(open_channel("sms", settings, tmp_path), medium="sms", taken=fake.taken)  # type: ignore[arg-type]


class Listed:
    """The rows of every list of a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __len__(self) -> int:
        return sum(len(path.read_text(encoding="utf-8-sig").splitlines()) - 1 for path in self.folder.glob("*.csv"))


class TestExport(ChannelContract):
    @pytest.fixture
    def subject(self, tmp_path: Path) -> Subject:
        folder = tmp_path / "winback" / "1"
        channel = open_channel("sms", ChannelSettings(via="export"), folder)
        return Subject(channel, medium="sms", taken=Listed(folder))  # type: ignore[arg-type]


class TestOutbox(ChannelContract):
    @pytest.fixture
    def subject(self, tmp_path: Path) -> Subject:
        folder = tmp_path / "outbox" / "winback"
        return Subject(open_channel("email", ChannelSettings(via="outbox"), folder), folder=folder)

    def test_writes_the_mail_as_it_is(self, tmp_path: Path) -> None:
        message = render(planned(1))
        hand_over(open_channel("email", ChannelSettings(via="outbox"), tmp_path), [message])
        assert (tmp_path / f"{message.message_id}.eml").read_bytes() == message.mime

    def test_writes_a_text_with_its_recipient(self, tmp_path: Path) -> None:
        message = Message("m1", "sms", "+8613800138000", text="【优选】你好")
        hand_over(open_channel("sms", ChannelSettings(via="outbox"), tmp_path), [message])
        assert (tmp_path / "m1.txt").read_text(encoding="utf-8") == "To: +8613800138000\n\n【优选】你好\n"

    def test_leaves_no_half_written_file(self, tmp_path: Path) -> None:
        hand_over(open_channel("sms", ChannelSettings(via="outbox"), tmp_path), [Message("m1", "sms", "+1", text="x")])
        assert [path.name for path in tmp_path.iterdir()] == ["m1.txt"]

    def test_a_folder_that_cannot_be_written_is_a_sentence(self, tmp_path: Path) -> None:
        (tmp_path / "file").write_text("in the way")
        with pytest.raises(CampanileError, match=r"the outbox .* cannot be written"):
            hand_over(open_channel("sms", ChannelSettings(via="outbox"), tmp_path / "file" / "x"), [])


def test_sms_goes_over_no_mail_server(tmp_path: Path) -> None:
    settings = ChannelSettings(via="smtp", host="127.0.0.1", sender="news@m.example.com")
    with pytest.raises(CampanileError, match="sms cannot go by smtp"):
        open_channel("sms", settings, tmp_path)
