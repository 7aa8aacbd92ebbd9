"""Pace, breakers and pauses of whole runs; runs beside each other on PostgreSQL."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from campanile.errors import CampanileError
from campanile.events import Message, MessageState, Outcome, Receipt
from campanile.ledger import Ledger, PlanRecord, Tally
from campanile.ledger.pausing import paused, resume
from campanile.ledger.rules import Rate
from campanile.sending import send
from campanile.sending.care import Care, care_of
from campanile.sending.late import refuse_late
from campanile.sending.run import RunReport, run_campaign
from campanile.sending.send import send_batch
from campanile.spec.project import Project, load_project
from campanile.spec.sending import Breakers
from support.ledgers import KINDS, VARIABLE, ledger_place, postgres_schema
from support.plans import NOW, message_id, planned, register, render, several
from support.sent_project import write_plan, write_project
from support.smtp_sink import running_sink

PLAN = "plan-winback"
SETTINGS = """
sending:
  pace:
    email: {per_second: 30, burst: 5}
    "Shop <news@m.example.com>": {per_second: 1000}
  warm_up: {start: 2026-03-05, per_day: [1000]}
"""


@pytest.fixture(params=KINDS)
def ledger(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Ledger]:
    with ledger_place(request.param, tmp_path) as place, Ledger.open(place) as opened:
        yield opened


class Scripted:
    """A channel that does what the test says."""

    name = "scripted"
    idempotent = False

    def __init__(self, act: Callable[[Message], Receipt]) -> None:
        self.act = act
        self.handed: list[float] = []

    async def open(self) -> None: ...

    async def close(self) -> None: ...

    async def hand_over(self, message: Message) -> Receipt:
        self.handed.append(time.monotonic())
        await asyncio.sleep(0.001)
        return self.act(message)


def taken(message: Message) -> Receipt:
    return Receipt(message.message_id, Outcome.ACCEPTED)


def run(ledger: Ledger, plan: PlanRecord, channel: Scripted, care: Care, now: datetime = NOW) -> Tally:
    async def go() -> Tally:
        return await send_batch(
            ledger,
            plan,
            0,
            channel=channel,
            render=render,
            now=lambda: now,
            stop=asyncio.Event(),
            in_flight=8,
            care=care,
        )

    return asyncio.run(go())


class TestPace:
    def test_a_batch_takes_as_long_as_its_rate_says(self, ledger: Ledger) -> None:
        plan, channel = register(ledger, several(40)), Scripted(taken)
        began = time.monotonic()
        tally = run(ledger, plan, channel, Care(rates=(Rate("email", per_second=25.0, burst=5.0),)))
        assert tally[MessageState.ACCEPTED] == 40
        assert time.monotonic() - began > 35 / 25 - 0.1
        for start in channel.handed:
            within = sum(start <= moment < start + 0.4 for moment in channel.handed)
            assert within <= 5 + 0.4 * 25 + 1, "no more than a burst and what the rate lets through"

    def test_a_provider_that_asks_for_a_moment_gets_it(self, ledger: Ledger) -> None:
        plan, asked = register(ledger, several(30)), []

        def act(message: Message) -> Receipt:
            if message.message_id == message_id("winback", 10) and not asked:
                asked.append(datetime.now(UTC) + timedelta(seconds=0.8))
                return Receipt(message.message_id, Outcome.NOT_SENT, detail="429", retry_at=asked[0])
            return taken(message)

        channel = Scripted(act)
        began = time.monotonic()
        run(ledger, plan, channel, Care(rates=(Rate("email"),)))
        assert ledger.tally(PLAN)[MessageState.ACCEPTED] == 29
        assert time.monotonic() - began > 0.7
        later = NOW + timedelta(hours=7)
        assert run(ledger, plan, channel, Care(rates=(Rate("email"),)), now=later)[MessageState.ACCEPTED] == 30

    def test_a_provider_that_asks_for_long_ends_the_run(self, ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(send, "PATIENCE", 5.0)
        plan = register(ledger, several(30))
        until = datetime.now(UTC) + timedelta(minutes=30)
        channel = Scripted(lambda message: Receipt(message.message_id, Outcome.NOT_SENT, detail="429", retry_at=until))
        with pytest.raises(CampanileError, match="scripted takes no messages for the next 30 minutes; run again then"):
            run(ledger, plan, channel, Care(rates=(Rate("email"),)))
        assert len(channel.handed) <= 8
        tally = ledger.tally(PLAN)
        assert (tally.adds_up, tally[MessageState.CLAIMED]) == (True, 0)


class TestBreakers:
    def test_refusals_pause_the_campaign_and_say_why(self, ledger: Ledger) -> None:
        plan = register(ledger, several(2_000))
        channel = Scripted(lambda message: Receipt(message.message_id, Outcome.REJECTED, detail="550 5.1.1"))
        tally = run(ledger, plan, channel, Care(breakers=Breakers()))
        assert 11 <= tally[MessageState.REJECTED] < 1_500
        assert tally[MessageState.DUE] == 2_000 - tally[MessageState.REJECTED]
        why = paused(ledger, PLAN)
        assert why is not None
        assert (why.who, why.at) == ("breaker", NOW)
        assert "were refused for good: more than 5% of 200" in why.why

    def test_a_provider_without_answers_pauses_the_campaign(self, ledger: Ledger) -> None:
        plan = register(ledger, several(60))
        channel = Scripted(lambda message: Receipt(message.message_id, Outcome.UNKNOWN, detail="no answer within 30 s"))
        run(ledger, plan, channel, Care(breakers=Breakers()))
        why = paused(ledger, PLAN)
        assert why is not None
        assert why.why.endswith("the last: no answer within 30 s")

    def test_what_goes_well_pauses_nothing(self, ledger: Ledger) -> None:
        plan = register(ledger, several(300))
        run(ledger, plan, Scripted(taken), Care(breakers=Breakers()))
        assert paused(ledger, PLAN) is None


class TestRuns:
    def test_a_run_that_a_breaker_stops_refuses_to_start_until_it_is_resumed(self, tmp_path: Path) -> None:
        with running_sink() as sink:
            project = write_project(tmp_path, port=sink.port)
            write_plan(project, (planned(n, address=f"rcpt550.{n}@mail.example") for n in range(400)))
            report = started(project)
            assert report.status["state"] == "paused"
            assert report.stopped
            assert "paused by breaker" in report.text(project.zone)
            assert "`campanile resume winback` and run again" in report.text(project.zone)
            with pytest.raises(
                CampanileError, match="winback was paused by breaker: .* refused for good.*campanile resume"
            ):
                started(project)
            with Ledger.open(project.ledger_place) as ledger:
                plan = ledger.plan("winback")
                assert plan is not None
                resume(ledger, plan, who="Mei", why="a new list", now=NOW)
            assert started(project).status["rejected"] > report.status["rejected"]

    def test_settings_become_care(self, tmp_path: Path) -> None:
        write_project(tmp_path)
        with (tmp_path / "campanile.yaml").open("a", encoding="utf-8") as file:
            file.write(SETTINGS)
        project = load_project(tmp_path)
        care = care_of(project, write_plan(project, several(40)))
        assert care.rates == (Rate("email", 30.0, 5.0), Rate("Shop <news@m.example.com>", 1000.0, 1000.0))
        assert [f"{scope} {cap}" for scope, cap in care.rules.caps] == ["email 2 in 7d", "all 3 in 7d"]
        began = time.monotonic()
        assert started(project).status["accepted"] == 40
        assert time.monotonic() - began > 1.0

    def test_a_schedule_that_comes_too_late_does_not_fire(self, tmp_path: Path) -> None:
        project = write_project(tmp_path)
        refuse_late(project, "winback", scheduled=None, now=NOW)
        refuse_late(project, "winback", scheduled=NOW, now=NOW + timedelta(hours=12))
        with pytest.raises(
            CampanileError, match=r"was to start on 2026-03-05 10:30 \(Asia/Shanghai\), more than 12h ago"
        ):
            refuse_late(project, "winback", scheduled=NOW, now=NOW + timedelta(hours=12, seconds=1))


SENDER = """
import json, sys
from datetime import datetime, UTC
from pathlib import Path
from campanile.sending.run import run_campaign
from campanile.spec.project import load_project
now = datetime(2026, 3, 5, 2, 30, tzinfo=UTC)
print(json.dumps(run_campaign(load_project(Path(sys.argv[1])), "winback", mode="send", now=lambda: now).to_json()))
"""


class TestOnPostgres:
    @pytest.fixture
    def shop(self, tmp_path: Path) -> Iterator[Callable[[int], Project]]:
        with postgres_schema() as schema:

            def make(port: int) -> Project:
                write_project(tmp_path, port=port)
                with (tmp_path / "campanile.yaml").open("a", encoding="utf-8") as file:
                    file.write(f"\nledger: {{postgres: {VARIABLE}, schema: {schema}}}\n")
                return load_project(tmp_path)

            yield make

    def test_a_whole_run(self, shop: Callable[[int], Project]) -> None:
        with running_sink() as sink:
            project = shop(sink.port)
            write_plan(project, several(50))
            report = started(project)
            assert (report.status["accepted"], report.status["state"]) == (50, "sent")
            assert started(project).status["accepted"] == 50
            assert len(sink.taken) == 50
        assert not list(project.home.glob("ledger.sqlite*"))

    def test_processes_beside_each_other_send_every_message_once(self, shop: Callable[[int], Project]) -> None:
        with running_sink() as sink:
            project = shop(sink.port)
            write_plan(project, (planned(n, batch=n // 150) for n in range(600)))
            command = [sys.executable, "-c", SENDER, str(project.root)]
            environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
            running = [subprocess.Popen(command, stdout=subprocess.PIPE, env=environment) for _ in range(3)]
            for process in running:
                said, _ = process.communicate(timeout=120)
                assert process.returncode == 0
                assert json.loads(said)["unknown"] == 0
            assert len(sink.taken) == len(set(sink.recipients())) == 600
        with Ledger.open(project.ledger_place) as ledger:
            assert ledger.tally(PLAN)[MessageState.ACCEPTED] == 600


def started(project: Project) -> RunReport:
    return run_campaign(project, "winback", mode="send", now=lambda: NOW)
