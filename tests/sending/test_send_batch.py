"""The send loop: what it hands over, what it never does, and how it ends."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import func, select

from campanile.channels import ChannelUnavailableError, SmtpChannel, WithdrawnError
from campanile.errors import CampanileError
from campanile.events import Message, MessageState, Outcome, PlannedMessage, Receipt
from campanile.ledger import Ledger, Mode, PlanRecord, Tally, tables
from campanile.ledger.repair import recover
from campanile.sending import send
from campanile.sending.send import send_batch
from campanile.spec.settings import ChannelSettings
from support.disks import fill, small_disk
from support.plans import NOW, message_id, planned, register, render, several
from support.smtp_sink import SinkSettings, running_sink, wait_until

PLAN = "plan-winback"
QUIET = {"campaign": {"timing": {"start": "2026-03-05", "at": "10:30", "quiet": "21:00-09:00"}}}


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    with Ledger.open(tmp_path / "ledger.sqlite", patience=1) as opened:
        yield opened


class Scripted:
    """A channel that does what the test says, and knows how many messages it held at once."""

    name = "scripted"

    def __init__(self, act: Callable[[Message], Receipt | None] | None = None, *, idempotent: bool = False) -> None:
        self.idempotent = idempotent
        self.act = act or (lambda message: Receipt(message.message_id, Outcome.ACCEPTED))
        self.handed: list[str] = []
        self.now, self.most = 0, 0
        self.hang: set[str] = set()

    async def open(self) -> None: ...

    async def close(self) -> None: ...

    async def hand_over(self, message: Message) -> Receipt:
        self.handed.append(message.message_id)
        self.now += 1
        self.most = max(self.most, self.now)
        try:
            await asyncio.sleep(3600 if message.message_id in self.hang else 0.001)
            receipt = self.act(message)
        finally:
            self.now -= 1
        if receipt is None:
            raise WithdrawnError
        return receipt


def run(ledger: Ledger, plan: PlanRecord, channel: object, **changes: object) -> Tally:
    """The tally of batch 0 after it was sent."""

    async def go() -> Tally:
        stop = changes.pop("stop", None) or asyncio.Event()
        options: dict[str, object] = {"render": render, "now": lambda: NOW, "in_flight": 8, **changes}
        return await send_batch(ledger, plan, 0, channel=channel, stop=stop, **options)  # type: ignore[arg-type]

    return asyncio.run(go())


def open_attempts(ledger: Ledger) -> int:
    query = select(func.count()).where(tables.attempt.c.outcome.is_(None))
    with ledger.reading() as connection:
        return connection.scalar(query) or 0


def counts(tally: Tally) -> dict[str, int]:
    return {str(state): tally[state] for state in MessageState if tally[state]}


class TestSending:
    def test_every_due_message_is_handed_over_once(self, ledger: Ledger) -> None:
        plan, channel = register(ledger, several(700)), Scripted()
        tally = run(ledger, plan, channel)
        assert counts(tally) == {"accepted": 700}
        assert sorted(channel.handed) == sorted(message_id("winback", n) for n in range(700))

    def test_again_hands_over_nothing(self, ledger: Ledger) -> None:
        plan, channel = register(ledger, several(20)), Scripted()
        run(ledger, plan, channel)
        run(ledger, plan, channel)
        assert len(channel.handed) == 20

    def test_leaves_what_is_not_due_and_what_is_of_another_batch(self, ledger: Ledger) -> None:
        messages = [planned(1), planned(2, due_at=NOW + timedelta(seconds=1)), planned(3, batch=1)]
        plan, channel = register(ledger, messages), Scripted()
        run(ledger, plan, channel)
        assert channel.handed == [message_id("winback", 1)]
        assert ledger.tally(PLAN)[MessageState.DUE] == 2

    @pytest.mark.parametrize("in_flight", [1, 3, 8])
    def test_attempts_under_way_never_exceed_in_flight(self, ledger: Ledger, in_flight: int) -> None:
        plan, seen = register(ledger, several(60)), []

        def act(message: Message) -> Receipt:
            seen.append(open_attempts(ledger))
            return Receipt(message.message_id, Outcome.ACCEPTED)

        channel = Scripted(act)
        run(ledger, plan, channel, in_flight=in_flight)
        assert max(seen) <= in_flight
        assert channel.most <= in_flight
        assert len(channel.handed) == 60

    def test_an_attempt_is_committed_before_its_message_leaves(self, ledger: Ledger) -> None:
        plan = register(ledger, several(30))
        table = tables.attempt.c
        found = []

        def act(message: Message) -> Receipt:
            query = select(table.outcome).where(table.message_id == message.message_id)
            with ledger.reading() as connection:
                found.append(connection.execute(query).all())
            return Receipt(message.message_id, Outcome.ACCEPTED)

        run(ledger, plan, Scripted(act))
        assert found == [[(None,)]] * 30

    def test_progress_counts_final_states(self, ledger: Ledger) -> None:
        outcomes = [Outcome.ACCEPTED, Outcome.REJECTED, Outcome.UNKNOWN, Outcome.NOT_SENT]
        plan = register(ledger, several(40))
        told: list[int] = []
        ledger.suppress("email", "c0@mail.example", reason="x", source="y", at=NOW)

        def act(message: Message) -> Receipt:
            return Receipt(message.message_id, outcomes[int(message.to[1:].split("@")[0]) % 4])

        tally = run(ledger, plan, Scripted(act), progress=told.append)
        assert sum(told) == tally.planned - tally.unfinished == 30
        assert counts(tally) == {"accepted": 9, "rejected": 10, "unknown": 10, "due": 10, "suppressed": 1}


class TestGate:
    def test_who_is_suppressed_while_the_batch_runs_is_not_handed_over(self, ledger: Ledger) -> None:
        plan = register(ledger, several(100))
        for number in range(50, 100):
            ledger.suppress("email", f"c{number}@mail.example", reason="x", source="y", at=NOW)
        late = {f"c{number}@mail.example" for number in range(40, 50)}

        def act(message: Message) -> Receipt:
            while late:
                ledger.suppress("email", late.pop(), reason="clicked", source="link", at=NOW)
            return Receipt(message.message_id, Outcome.ACCEPTED)

        channel = Scripted(act)
        tally = run(ledger, plan, channel, in_flight=2)
        assert counts(tally) == {"accepted": 40, "suppressed": 60}
        assert set(channel.handed) == {message_id("winback", n) for n in range(40)}

    def test_quiet_hours_hold_each_recipient_by_their_own_clock(self, ledger: Ledger) -> None:
        zones = ["Asia/Shanghai", "Europe/Madrid", "America/New_York", "Asia/Tokyo"]
        plan = register(ledger, [planned(n, zone=zone) for n, zone in enumerate(zones)], spec=QUIET)
        channel = Scripted()
        tally = run(ledger, plan, channel)
        assert counts(tally) == {"accepted": 2, "held": 2}
        assert set(channel.handed) == {message_id("winback", 0), message_id("winback", 3)}
        morning = NOW.replace(hour=8, minute=0)
        assert ledger.next_due(PLAN) == morning
        run(ledger, plan, channel, now=lambda: morning)
        assert counts(ledger.tally(PLAN)) == {"accepted": 3, "held": 1}
        run(ledger, plan, channel, now=lambda: morning + timedelta(hours=6))
        assert counts(ledger.tally(PLAN)) == {"accepted": 4}

    def test_what_is_too_late_expires(self, ledger: Ledger) -> None:
        plan, channel = register(ledger, several(5)), Scripted()
        tally = run(ledger, plan, channel, now=lambda: NOW + timedelta(days=3))
        assert counts(tally) == {"expired": 5}
        assert not channel.handed


class TestEnds:
    def test_stopped_it_waits_for_answers_and_gives_the_rest_back(self, ledger: Ledger) -> None:
        plan, stop = register(ledger, several(300)), asyncio.Event()

        def act(message: Message) -> Receipt:
            if len(channel.handed) > 50:
                stop.set()
            return Receipt(message.message_id, Outcome.ACCEPTED)

        channel = Scripted(act)
        tally = run(ledger, plan, channel, stop=stop)
        assert counts(tally) == {"accepted": len(channel.handed), "due": 300 - len(channel.handed)}
        assert 50 < len(channel.handed) < 80
        assert open_attempts(ledger) == 0
        run(ledger, plan, channel)
        assert counts(ledger.tally(PLAN)) == {"accepted": 300}
        assert len(set(channel.handed)) == len(channel.handed) == 300

    def test_stopped_it_does_not_wait_for_ever(self, ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(send, "GRACE", 0.2)
        plan, stop = register(ledger, several(20)), asyncio.Event()

        def act(message: Message) -> Receipt:
            stop.set()
            return Receipt(message.message_id, Outcome.ACCEPTED)

        channel = Scripted(act)
        channel.hang = {message_id("winback", 2)}
        tally = run(ledger, plan, channel, stop=stop)
        assert tally[MessageState.UNKNOWN] == 1
        assert tally[MessageState.CLAIMED] == 0
        assert tally.adds_up

    def test_cancelled_it_ends_the_same_way(self, ledger: Ledger) -> None:
        plan, channel = register(ledger, several(2_000)), Scripted()

        async def go() -> None:
            sending = asyncio.create_task(
                send_batch(ledger, plan, 0, channel=channel, render=render, now=lambda: NOW, stop=asyncio.Event())
            )
            await asyncio.wait_for(asyncio.to_thread(wait_until, lambda: len(channel.handed) >= 100), 20)
            sending.cancel()
            with suppress(asyncio.CancelledError):
                await sending

        asyncio.run(go())
        tally = ledger.tally(PLAN)
        assert counts(tally) == {"accepted": len(channel.handed), "due": 2_000 - len(channel.handed)}

    def test_stopped_in_the_ledger_it_opens_nothing_more(self, ledger: Ledger) -> None:
        plan, stop = register(ledger, several(300)), asyncio.Event()

        def act(message: Message) -> Receipt:
            ledger.set_state(PLAN, "planned")
            return Receipt(message.message_id, Outcome.ACCEPTED)

        channel = Scripted(act)
        tally = run(ledger, plan, channel, stop=stop)
        assert counts(tally) == {"accepted": len(channel.handed), "due": 300 - len(channel.handed)}
        assert len(channel.handed) <= 16
        assert stop.is_set()

    def test_a_message_that_cannot_be_rendered_stops_the_run_and_stays_due(self, ledger: Ledger) -> None:
        plan, channel = register(ledger, several(40)), Scripted()

        def broken(message: PlannedMessage) -> Message:
            if message.customer_id == "C000025":
                raise ZeroDivisionError(f"for {message.address}")
            return render(message)

        with pytest.raises(CampanileError) as caught:
            run(ledger, plan, channel, render=broken)
        sentence = str(caught.value)
        assert message_id("winback", 25) in sentence
        assert "ZeroDivisionError" in sentence
        assert "c25@" not in sentence
        assert message_id("winback", 25) not in channel.handed
        assert counts(ledger.tally(PLAN)) == {"accepted": len(channel.handed), "due": 40 - len(channel.handed)}

    def test_a_provider_that_goes_away_stops_the_run_and_costs_no_message_a_try(self, ledger: Ledger) -> None:
        plan = register(ledger, several(100))

        def act(message: Message) -> Receipt:
            if len(channel.handed) > 20:
                raise ChannelUnavailableError("the mail server is down", "start it")
            return Receipt(message.message_id, Outcome.ACCEPTED)

        channel = Scripted(act)
        with pytest.raises(ChannelUnavailableError, match="the mail server is down; start it"):
            run(ledger, plan, channel)
        tally = ledger.tally(PLAN)
        assert tally.adds_up
        assert tally[MessageState.ACCEPTED] + tally[MessageState.DUE] == 100
        with ledger.reading() as connection:
            assert connection.scalar(select(func.max(tables.message.c.deferrals))) == 0
            assert connection.scalar(select(func.max(tables.message.c.not_before))) == NOW
        channel.act = lambda message: Receipt(message.message_id, Outcome.ACCEPTED)
        assert counts(run(ledger, plan, channel)) == {"accepted": 100}

    def test_withdrawn_messages_are_due_again(self, ledger: Ledger) -> None:
        plan, channel = register(ledger, several(3)), Scripted()
        answers = iter([None, None, None])
        channel.act = lambda message: next(answers, Receipt(message.message_id, Outcome.ACCEPTED))
        run(ledger, plan, channel)
        assert counts(run(ledger, plan, channel)) == {"accepted": 3}

    def test_a_channel_that_breaks_its_promise_leaves_one_message_unknown_and_stops(self, ledger: Ledger) -> None:
        plan = register(ledger, several(50))

        def act(message: Message) -> Receipt:
            if message.message_id == message_id("winback", 9):
                raise KeyError(message.to)
            return Receipt(message.message_id, Outcome.ACCEPTED)

        with pytest.raises(CampanileError, match="the channel scripted broke at message") as caught:
            run(ledger, plan, Scripted(act))
        assert "c9@" not in str(caught.value)
        tally = ledger.tally(PLAN)
        assert tally[MessageState.UNKNOWN] == 1
        assert tally.adds_up
        assert tally[MessageState.DUE] > 0

    def test_a_ledger_that_fails_for_a_moment_loses_no_answer(self, ledger: Ledger) -> None:
        """Another process takes the lock while answers are on their way, and lets go a second later."""
        plan = register(ledger, several(30))
        other = sqlite3.connect(ledger.database.path, isolation_level=None)

        def act(message: Message) -> Receipt:
            if not other.in_transaction:
                other.execute("BEGIN IMMEDIATE")
                asyncio.get_running_loop().call_later(0.8, other.execute, "ROLLBACK")
            return Receipt(message.message_id, Outcome.ACCEPTED)

        channel = Scripted(act)
        with (
            Ledger.open(ledger.database.path, patience=0.1) as impatient,
            pytest.raises(CampanileError, match="held by another process"),
        ):
            run(impatient, plan, channel)
        assert counts(ledger.tally(PLAN)) == {"accepted": len(channel.handed), "due": 30 - len(channel.handed)}
        assert len(channel.handed) == 8

    def test_answers_that_cannot_be_written_become_unknown(
        self, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(send, "_PAUSES", (0.01,))
        plan = register(ledger, several(30))
        other = sqlite3.connect(ledger.database.path, isolation_level=None)

        def act(message: Message) -> Receipt:
            if not other.in_transaction:
                other.execute("BEGIN IMMEDIATE")
            return Receipt(message.message_id, Outcome.ACCEPTED)

        channel = Scripted(act)
        with (
            Ledger.open(ledger.database.path, patience=0.1) as impatient,
            pytest.raises(CampanileError, match="8 answers could not be written down and will be shown as unknown"),
        ):
            run(impatient, plan, channel)
        other.execute("ROLLBACK")
        found = recover(ledger, PLAN, Mode("scripted"), NOW)
        assert (found.unknown, len(channel.handed)) == (8, 8)
        assert counts(ledger.tally(PLAN)) == {"unknown": 8, "due": 22}

    def test_a_disk_that_fills_up_stops_the_run_and_nobody_gets_it_twice(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(send, "_PAUSES", (0.01,))
        with small_disk(tmp_path / "disk", "8m") as disk, Ledger.open(disk / "ledger.sqlite") as ledger:
            plan, ballast = register(ledger, several(800)), disk / "ballast"

            def act(message: Message) -> Receipt:
                if len(channel.handed) > 20 and not ballast.exists():
                    fill(ballast)
                return Receipt(message.message_id, Outcome.ACCEPTED)

            channel = Scripted(act)
            with pytest.raises(CampanileError, match=r"no room left|disk fails"):
                run(ledger, plan, channel)
            assert ledger.tally(PLAN).adds_up
            ballast.unlink()
            lost = recover(ledger, PLAN, Mode("scripted"), NOW).unknown
            channel.act = lambda message: Receipt(message.message_id, Outcome.ACCEPTED)
            tally = run(ledger, plan, channel)
            assert counts(tally) == {"accepted": 800 - lost, "unknown": lost} if lost else {"accepted": 800}
            assert lost <= 8
            assert len(channel.handed) == len(set(channel.handed)) == 800

    def test_a_locked_ledger_stops_the_run_in_a_sentence(self, ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(send, "_PAUSES", (0.01,))
        plan = register(ledger, several(50))
        with (
            Ledger.open(ledger.database.path, patience=0.1) as impatient,
            ledger.writing(),
            pytest.raises(CampanileError, match="held by another process"),
        ):
            run(impatient, plan, Scripted())
        assert counts(ledger.tally(PLAN)) == {"due": 50}


class TestOverSmtp:
    def test_a_mixed_audience_is_accounted_for(self, ledger: Ledger) -> None:
        fates = [
            "fine",
            "rcpt550",
            "rcpt451",
            "dot554",
            "dot452",
            "dropdot",
            "dropmid",
            "dropdata",
            "droprcpt",
            "rcpt421",
        ]
        messages = [planned(n, address=f"{fates[n % 10]}.{n}@mail.example") for n in range(100)]
        plan = register(ledger, messages)
        with running_sink() as sink:
            tally = self.send(ledger, plan, sink.port)
            assert counts(tally) == {"accepted": 10, "rejected": 20, "unknown": 20, "due": 50}
            assert len(sink.taken) == 20, "ten accepted, ten taken whose answer was lost"
            later = NOW + timedelta(minutes=1)
            assert counts(self.send(ledger, plan, sink.port, now=later)) == counts(tally)
            assert len(sink.taken) == 20

    def test_put_off_recipients_get_it_later(self, ledger: Ledger) -> None:
        plan = register(ledger, [planned(n, address=f"once-rcpt451.{n}@mail.example") for n in range(10)])
        with running_sink() as sink:
            assert counts(self.send(ledger, plan, sink.port)) == {"due": 10}
            assert counts(self.send(ledger, plan, sink.port, now=NOW + timedelta(seconds=59))) == {"due": 10}
            assert counts(self.send(ledger, plan, sink.port, now=NOW + timedelta(minutes=1))) == {"accepted": 10}
            assert len(sink.taken) == 10

    def test_a_server_that_refuses_the_sender_stops_the_run_with_everything_due(self, ledger: Ledger) -> None:
        plan = register(ledger, several(60))
        with (
            running_sink(SinkSettings(mail=b"553 5.7.1 no")) as sink,
            pytest.raises(ChannelUnavailableError, match=r"refuses the sender \(553 5.7.1\)"),
        ):
            self.send(ledger, plan, sink.port)
        assert counts(ledger.tally(PLAN)) == {"due": 60}

    def send(self, ledger: Ledger, plan: PlanRecord, port: int, now: object = NOW) -> Tally:
        settings = ChannelSettings(
            via="smtp",
            host="127.0.0.1",
            port=port,
            security="none",
            sender="news@m.example.com",
            connections=4,
            timeout=5,
        )

        async def go() -> Tally:
            channel = SmtpChannel(settings, pauses=(0.05,))
            await channel.open()
            try:
                return await send_batch(
                    ledger,
                    plan,
                    0,
                    channel=channel,
                    render=render,
                    now=lambda: now,  # type: ignore[arg-type,return-value]
                    stop=asyncio.Event(),
                    in_flight=8,
                )
            finally:
                await channel.close()

        return asyncio.run(go())
