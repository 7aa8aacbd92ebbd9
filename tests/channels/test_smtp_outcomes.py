"""Every way in which a hand-over by SMTP can end, against real sockets, and what it means (delivery §2.7)."""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from campanile.channels import ChannelUnavailableError, SmtpChannel, WithdrawnError
from campanile.channels.smtp import FAILURES_IN_A_ROW
from campanile.errors import CampanileError
from campanile.events import Message, Outcome, Receipt
from campanile.spec.settings import ChannelSettings
from support.certificates import server_context
from support.plans import planned, render
from support.smtp_sink import Sink, SinkSettings, running_sink, wait_until


def settings(port: int, **changes: object) -> ChannelSettings:
    values: dict[str, object] = {
        "via": "smtp", "host": "127.0.0.1", "port": port, "security": "none", "sender": "Shop <news@m.example.com>",
        "connections": 2, "timeout": 2.0,
    }  # fmt: skip
    return ChannelSettings(**{**values, **changes})


def channel(port: int, **changes: object) -> SmtpChannel:
    return SmtpChannel(settings(port, **changes), pauses=(0.05,))


def mail(address: str, number: int = 1) -> Message:
    return render(planned(number, address=address))


def send(port: int, *addresses: str, **changes: object) -> list[Receipt]:
    """The receipts of mails handed over one after the other over one channel."""

    async def run() -> list[Receipt]:
        smtp = channel(port, **changes)
        await smtp.open()
        try:
            return [await smtp.hand_over(mail(address, n)) for n, address in enumerate(addresses)]
        finally:
            await smtp.close()

    return asyncio.run(run())


@pytest.mark.parametrize(
    ("fate", "outcome", "detail", "taken"),
    [
        ("fine", Outcome.ACCEPTED, "250 2.0.0", 1),
        ("rcpt550", Outcome.REJECTED, "550 5.1.1", 0),
        ("rcpt451", Outcome.NOT_SENT, "451 4.7.1", 0),
        ("rcpt421", Outcome.NOT_SENT, "connection lost before the text", 0),
        ("droprcpt", Outcome.NOT_SENT, "connection lost before the text", 0),
        ("hangrcpt", Outcome.NOT_SENT, "connection lost before the text", 0),
        ("dropdata", Outcome.NOT_SENT, "connection lost before the text", 0),
        ("dot554", Outcome.REJECTED, "554 5.7.1", 0),
        ("dot452", Outcome.NOT_SENT, "452 4.2.2", 0),
        ("dot421", Outcome.NOT_SENT, "421 4.3.2", 0),
        ("dropmid", Outcome.UNKNOWN, "connection lost after the text began", 0),
        ("dropdot", Outcome.UNKNOWN, "connection lost after the text began", 1),
        ("hangdot", Outcome.UNKNOWN, "no answer within 2 s", 0),
        ("garbledot", Outcome.UNKNOWN, "connection lost after the text began", 1),
        ("slow", Outcome.ACCEPTED, "250 2.0.0", 1),
    ],
)
def test_what_each_ending_means(fate: str, outcome: Outcome, detail: str, taken: int) -> None:
    address = f"{fate}.li.wei@mail.example"
    with running_sink() as sink:
        first, second = send(sink.port, address, "next@mail.example")
        assert (first.outcome, first.detail) == (outcome, detail)
        assert second.outcome is Outcome.ACCEPTED, "whatever happened, the next mail goes out"
        assert sink.recipients().count(address) == taken
        assert sink.recipients().count("next@mail.example") == 1
    assert "li.wei" not in repr(first)


def test_a_server_gone_before_the_first_byte_of_the_text_has_nothing() -> None:
    with running_sink() as sink:
        (receipt,) = send(sink.port, "drop354.li.wei@mail.example")
        # Whether the end of the connection is seen before the text is written is a matter of microseconds.
        assert receipt.outcome in (Outcome.NOT_SENT, Outcome.UNKNOWN)
        assert not sink.taken


def test_a_taken_mail_is_the_mail_and_has_the_servers_own_id() -> None:
    message = render(planned(7))
    dots = Message(message.message_id, "email", message.to, mime=message.mime + b"..\r\n.\r\nend")
    with running_sink() as sink:

        async def run() -> Receipt:
            smtp = channel(sink.port)
            await smtp.open()
            receipt = await smtp.hand_over(dots)
            await smtp.close()
            return receipt

        receipt = asyncio.run(run())
        assert receipt.provider_id == "4F2A1B3C"
        assert sink.taken[0].content == dots.mime + b"\r\n"
        assert sink.taken[0].sender == "news@m.example.com"


def test_bare_line_feeds_cannot_smuggle_a_second_mail() -> None:
    smuggled = b"Subject: x\r\n\r\nHello\n.\nMAIL FROM:<a@b.example>\r.\rRCPT TO:<victim@mail.example>\n"
    with running_sink() as sink:

        async def run() -> None:
            smtp = channel(sink.port)
            await smtp.open()
            await smtp.hand_over(Message("m1", "email", "c1@mail.example", mime=smuggled))
            await smtp.close()

        asyncio.run(run())
        assert sink.recipients() == ["c1@mail.example"]
        assert b"\r\n.\r\nMAIL FROM" in sink.taken[0].content


@pytest.mark.parametrize(
    "address",
    [
        "c1@mail.example> SIZE=1",
        "c1@m.example\r\nRCPT TO:<v@m.example>",
        "<c1@mail.example",
        "李@邮件.example",
        "",
        "nobody",
    ],
)
def test_an_address_that_smtp_cannot_carry_is_refused_before_the_server_hears_of_it(address: str) -> None:
    with running_sink() as sink:

        async def run() -> Receipt:
            smtp = channel(sink.port)
            await smtp.open()
            receipt = await smtp.hand_over(Message("m1", "email", address, mime=b"Subject: x\r\n\r\nx\r\n"))
            await smtp.close()
            return receipt

        assert asyncio.run(run()).outcome is Outcome.REJECTED
        assert not sink.taken
        assert not any(command.startswith(("MAIL", "RCPT")) for command in sink.commands)


class TestConnections:
    def test_last_from_mail_to_mail(self) -> None:
        with running_sink() as sink:
            send(sink.port, *(f"c{n}@mail.example" for n in range(10)))
            assert sink.connections == 1

    def test_are_no_more_than_the_settings_say(self) -> None:
        with running_sink() as sink:

            async def run() -> None:
                smtp = channel(sink.port, connections=3)
                await smtp.open()
                await asyncio.gather(*(smtp.hand_over(mail(f"slow.{n}@mail.example", n)) for n in range(12)))
                await smtp.close()

            asyncio.run(run())
            assert sink.most_open == 3
            assert len(sink.taken) == 12

    def test_closed_by_an_idle_server_are_made_anew(self) -> None:
        with running_sink(SinkSettings(idle=0.15)) as sink:

            async def run() -> list[Outcome]:
                smtp = channel(sink.port, connections=1)
                await smtp.open()
                outcomes = []
                for n in range(3):
                    outcomes.append((await smtp.hand_over(mail(f"c{n}@mail.example", n))).outcome)
                    await asyncio.sleep(0.4)
                await smtp.close()
                return outcomes

            assert asyncio.run(run()) == [Outcome.ACCEPTED] * 3
            assert sink.connections == 3

    def test_are_made_anew_when_the_server_takes_only_so_many_mails_over_one(self) -> None:
        with running_sink(SinkSettings(most_per_connection=2)) as sink:
            receipts = send(sink.port, *(f"c{n}@mail.example" for n in range(7)))
            assert {receipt.outcome for receipt in receipts} == {Outcome.ACCEPTED}
            assert sorted(sink.recipients()) == [f"c{n}@mail.example" for n in range(7)]
            assert sink.connections == 4

    def test_are_reset_after_a_refusal_only(self) -> None:
        with running_sink() as sink:
            send(sink.port, "c1@mail.example", "rcpt550.x@mail.example", "c2@mail.example")
            assert sink.commands.count("RSET") == 1
            assert sink.connections == 1

    def test_say_goodbye(self) -> None:
        with running_sink() as sink:
            send(sink.port, "c1@mail.example")
            assert sink.commands[-1] == "QUIT"


class TestUnavailable:
    def refusal(self, port: int, **changes: object) -> str:
        with pytest.raises(CampanileError) as caught:
            send(port, "c1@mail.example", **changes)
        return str(caught.value)

    def test_a_server_that_is_not_there(self) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        sentence = self.refusal(port)
        assert sentence == (
            f"the mail server 127.0.0.1:{port} refuses connections; "
            "check host and port, and whether it runs; then run again"
        )

    def test_a_server_that_comes_back_within_seconds_is_waited_for(self) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]

        async def run() -> Receipt:
            smtp = SmtpChannel(settings(port), pauses=(0.3, 0.3, 0.3))
            opening = asyncio.create_task(smtp.open())
            await asyncio.sleep(0.2)
            with running_sink(port=port):
                await opening
                receipt = await smtp.hand_over(mail("c1@mail.example"))
                await smtp.close()
            return receipt

        assert asyncio.run(run()).outcome is Outcome.ACCEPTED

    def test_a_name_that_nobody_knows(self) -> None:
        assert "is not known to the name service; check host" in self.refusal(25, host="mail.invalid")

    def test_a_server_that_is_silent(self) -> None:
        with socket.socket() as mute:
            mute.bind(("127.0.0.1", 0))
            mute.listen()
            sentence = self.refusal(mute.getsockname()[1], timeout=0.3)
        assert "does not answer within 0.3 s" in sentence

    def test_a_server_that_does_not_want_us(self) -> None:
        with running_sink(SinkSettings(greeting=b"554 5.3.2 go away")) as sink:
            assert "does not let us in (554)" in self.refusal(sink.port)

    def test_a_wrong_password(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("SHOP_SMTP", "wrong")
        with running_sink(SinkSettings(login=("shop", "right"))) as sink:
            sentence = self.refusal(sink.port, username="shop", password_env="SHOP_SMTP")
        assert "refuses the login of shop (535); check username and the password in SHOP_SMTP" in sentence
        assert "wrong" not in sentence

    def test_no_password(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.delenv("SHOP_SMTP", raising=False)
        with running_sink(SinkSettings(login=("shop", "right"))) as sink:
            assert "environment variable SHOP_SMTP" in self.refusal(
                sink.port, username="shop", password_env="SHOP_SMTP"
            )

    def test_a_login_that_was_forgotten(self) -> None:
        with running_sink(SinkSettings(login=("shop", "right"))) as sink:
            assert "refuses the sender (530 5.7.0)" in self.refusal(sink.port)

    def test_a_relay_that_wants_a_login_at_rcpt(self) -> None:
        with running_sink() as sink, pytest.raises(ChannelUnavailableError, match="refuses mail without a login"):
            send(sink.port, "rcpt530.x@mail.example")

    def test_a_sender_that_is_refused(self) -> None:
        with running_sink(SinkSettings(mail=b"550 5.7.1 not your domain news@m.example.com")) as sink:
            sentence = self.refusal(sink.port)
        assert "refuses the sender (550 5.7.1); check sender" in sentence

    def test_a_sender_that_is_put_off_costs_the_message_a_try(self) -> None:
        with running_sink(SinkSettings(mail=b"451 4.3.0 busy")) as sink:
            (receipt,) = send(sink.port, "c1@mail.example")
        assert (receipt.outcome, receipt.detail) == (Outcome.NOT_SENT, "451 4.3.0")

    @pytest.mark.parametrize(("fate", "outcome"), [("dropdot", Outcome.UNKNOWN), ("dropdata", Outcome.NOT_SENT)])
    def test_a_server_that_only_fails_is_given_up(self, fate: str, outcome: Outcome) -> None:
        async def run(port: int) -> list[Outcome]:
            smtp = channel(port)
            await smtp.open()
            outcomes = []
            for n in range(FAILURES_IN_A_ROW):
                outcomes.append((await smtp.hand_over(mail(f"{fate}.{n}@mail.example", n))).outcome)
            with pytest.raises(ChannelUnavailableError, match=f"failed {FAILURES_IN_A_ROW} times in a row"):
                await smtp.hand_over(mail("c1@mail.example"))
            await smtp.close()
            return outcomes

        with running_sink() as sink:
            assert asyncio.run(run(sink.port)) == [outcome] * FAILURES_IN_A_ROW

    def test_refusals_of_single_recipients_are_no_failure_of_the_server(self) -> None:
        with running_sink() as sink:
            receipts = send(sink.port, *(f"rcpt550.{n}@mail.example" for n in range(FAILURES_IN_A_ROW + 5)))
        assert {receipt.outcome for receipt in receipts} == {Outcome.REJECTED}


class TestTls:
    @pytest.mark.parametrize("security", ["tls", "starttls"])
    def test_protects_the_connection_and_the_login(
        self, security: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        context, trusted = server_context(tmp_path)
        monkeypatch.setenv("SSL_CERT_FILE", str(trusted))
        monkeypatch.setenv("SHOP_SMTP", "right")
        how = SinkSettings(login=("shop", "right"), **{security: context})  # type: ignore[arg-type]
        with running_sink(how) as sink:
            (receipt,) = send(
                sink.port, "c1@mail.example", security=security, username="shop", password_env="SHOP_SMTP"
            )
        assert receipt.outcome is Outcome.ACCEPTED

    @pytest.mark.parametrize("security", ["tls", "starttls"])
    def test_trusts_nobody_unknown(self, security: str, tmp_path: Path) -> None:
        context, _ = server_context(tmp_path)
        how = SinkSettings(**{security: context})  # type: ignore[arg-type]
        with running_sink(how) as sink, pytest.raises(CampanileError, match="cannot agree on TLS"):
            send(sink.port, "c1@mail.example", security=security)
        assert not sink.taken

    def test_never_goes_on_unprotected(self) -> None:
        with running_sink() as sink, pytest.raises(CampanileError, match="offers no STARTTLS"):
            send(sink.port, "c1@mail.example", security="starttls")
        assert not sink.taken


class TestBounces:
    def senders(self, sink: Sink) -> list[str]:
        return [command for command in sink.commands if command.startswith("MAIL")]

    def test_come_back_to_the_sender(self) -> None:
        with running_sink() as sink:
            send(sink.port, "c1@mail.example")
        assert self.senders(sink) == ["MAIL FROM:<news@m.example.com>"]

    def test_come_back_to_an_address_that_names_the_message(self) -> None:
        with running_sink() as sink:
            (receipt,) = send(sink.port, "c1@mail.example", bounces="Bounces <bounces@m.example.com>")
        assert self.senders(sink) == [f"MAIL FROM:<bounces+{receipt.message_id}@m.example.com>"]

    def test_are_reported_with_the_id_by_servers_that_can(self) -> None:
        with running_sink(SinkSettings(extensions=("8BITMIME", "DSN"))) as sink:
            (receipt,) = send(sink.port, "c1@mail.example")
        assert self.senders(sink) == [f"MAIL FROM:<news@m.example.com> RET=HDRS ENVID={receipt.message_id}"]


class TestCancelled:
    def cancelled(self, sink: Sink, address: str, seen: Callable[[], bool]) -> Receipt | BaseException:
        async def run() -> Receipt | BaseException:
            smtp = channel(sink.port, connections=1, timeout=30.0)
            await smtp.open()
            task = asyncio.create_task(smtp.hand_over(mail(address)))
            await asyncio.to_thread(wait_until, seen)
            await asyncio.sleep(0.1)
            task.cancel()
            (result,) = await asyncio.gather(task, return_exceptions=True)
            await smtp.close()
            return result

        return asyncio.run(run())

    def test_before_the_text_nothing_was_handed_over(self) -> None:
        with running_sink() as sink:
            result = self.cancelled(
                sink, "hangrcpt.x@mail.example", lambda: "RCPT TO:<hangrcpt.x@mail.example>" in sink.commands
            )
        assert isinstance(result, WithdrawnError)

    def test_after_the_text_began_nobody_can_know(self) -> None:
        with running_sink() as sink:
            result = self.cancelled(sink, "hangdot.x@mail.example", lambda: "DATA" in sink.commands)
        assert isinstance(result, Receipt)
        assert (result.outcome, result.detail) == (Outcome.UNKNOWN, "stopped while waiting for the answer")

    def test_while_waiting_for_a_connection_nothing_was_handed_over(self) -> None:
        with running_sink() as sink:

            async def run() -> BaseException | Receipt:
                smtp = channel(sink.port, connections=1)
                await smtp.open()
                first = asyncio.create_task(smtp.hand_over(mail("slow.1@mail.example", 1)))
                second = asyncio.create_task(smtp.hand_over(mail("c2@mail.example", 2)))
                await asyncio.sleep(0.05)
                second.cancel()
                _, result = await asyncio.gather(first, second, return_exceptions=True)
                await smtp.close()
                return result

            assert isinstance(asyncio.run(run()), WithdrawnError)
            assert sink.recipients() == ["slow.1@mail.example"]


def test_nothing_it_logs_holds_an_address(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    with running_sink() as sink:
        send(sink.port, "li.wei@mail.example", "rcpt550.li@mail.example", "dropdot.li@mail.example")
    assert "mail.example" not in caplog.text
