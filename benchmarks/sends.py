"""Sending a prepared plan: by the product, and its parts alone. Each work is one for `benchmarks.child`.

The mail is the winback of this repository: a sandboxed template, one token and one code for each recipient.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from datetime import timedelta
from email.utils import parseaddr
from functools import partial
from itertools import cycle, islice
from typing import TYPE_CHECKING, Any

from benchmarks.harness import paused
from benchmarks.raw_mail import replay
from benchmarks.shop import CAMPAIGN, ROOT, SENT_AT
from benchmarks.sink import running_sink

if TYPE_CHECKING:
    from campanile.events import Message, PlannedMessage
    from campanile.ledger import PlanRecord
    from campanile.spec.project import Project

HOME = ROOT / "runs" / "bench" / "sends"
SCHEMA = "campanile_bench_sends"
VARIABLE = "CAMPANILE_POSTGRES"
#: Messages in one batch, as planning cuts them; finished mails that bare loops send again and again.
_BATCH, _READY = 5_000, 500


def project_of(ledger: str, *, via: str = "smtp", port: int = 0) -> Project:
    """The repository's project with stores of its own, its mail going to `port` of this machine or to files."""
    from campanile.spec.project import load_project

    project = load_project(ROOT, home=HOME / ledger)
    settings = project.settings
    changes = {"via": via, "host": "127.0.0.1", "port": port, "security": "none", "username": ""}
    stores: dict[str, Any] = {
        "channels": {**settings.channels, "email": settings.channels["email"].model_copy(update=changes)}
    }
    if ledger == "postgres":
        stores["ledger"] = settings.ledger.model_copy(update={"postgres": VARIABLE, "place": SCHEMA})
    return replace(project, settings=settings.model_copy(update=stores))


def prepare(ledger: str, count: int) -> Callable[[], Any]:
    """Registers a plan of so many messages, of which nothing is sent."""
    from campanile.ledger import Ledger

    def work() -> Any:
        shutil.rmtree(HOME / ledger, ignore_errors=True)
        project = project_of(ledger)
        if ledger == "postgres":
            drop_schema()
        with Ledger.open(project.ledger_place) as opened:
            opened.register(_plan(project), messages(count))
            _renderer(project)  # makes the keys of links while nothing is sent
            return opened.tally("bench").planned

    return work


def messages(count: int) -> Iterator[PlannedMessage]:
    """The plan's messages."""
    from campanile.events import PlannedMessage

    for n in range(count):
        yield PlannedMessage(
            message_id=hashlib.sha256(f"bench:{n}".encode()).hexdigest()[:32],
            customer_id=f"C{n:08d}",
            arm="treatment",
            step="message",
            channel="email",
            address=f"c{n}@mail.example",
            variables={"name": "李伟"},
            due_at=SENT_AT,
            expires_at=SENT_AT + timedelta(days=3),
            zone="Asia/Shanghai",
            batch=n // _BATCH,
        )


def send(ledger: str, via: str = "smtp", latency: float = 0.0, port: int = 0) -> Callable[[], Any]:
    """`run_campaign` over the prepared plan; answers with the mails accepted, and what its own sink has seen."""
    from campanile.sending.run import run_campaign

    stack = ExitStack()
    sink = stack.enter_context(running_sink(latency)) if via == "smtp" and not port else None
    project = project_of(ledger, via=via, port=sink.port if sink else port)

    def work() -> Any:
        began = time.monotonic()
        now = partial(_later, began)
        report = run_campaign(project, CAMPAIGN, mode="send", now=now, moved=True)
        with paused(), stack:
            taken = sink.stop() if sink else None
            return [report.status["accepted"], *((taken.mails, taken.answers) if taken else ())]

    return work


def _later(began: float) -> Any:
    return SENT_AT + timedelta(seconds=time.monotonic() - began)


def aiosmtplib(ledger: str, count: int, latency: float = 0.0) -> Callable[[], Any]:
    """As many finished mails over as many connections by aiosmtplib, nothing written down."""
    from benchmarks.sending import _send

    project = project_of(ledger)
    settings = project.settings.channels["email"]
    ready = [(message.to, message.mime) for message in letters(project)]
    return _bare(
        latency,
        lambda port: _send(islice(cycle(ready), count), parseaddr(settings.sender)[1], port, settings.connections),
    )


def raw(ledger: str, count: int) -> Callable[[], Any]:
    """The same mails written by eight bare sockets, all of a mail at once: what the sink can take."""
    project = project_of(ledger)
    ready = [(message.to, message.mime) for message in letters(project)]
    return _bare(0.0, lambda port: replay(islice(cycle(ready), count), port))


def _bare(latency: float, sending: Callable[[int], Any]) -> Callable[[], Any]:
    stack = ExitStack()
    sink = stack.enter_context(running_sink(latency))

    def work() -> Any:
        asyncio.run(sending(sink.port))
        with paused(), stack:
            taken = sink.stop()
            return [taken.mails, taken.answers]

    return work


def render(ledger: str, count: int) -> Callable[[], Any]:
    """Every message rendered, and let go."""
    rendered = _renderer(project_of(ledger))
    return lambda: sum(len(rendered(message).mime) > 0 for message in messages(count))


def letters(project: Project) -> list[Message]:
    """Some of the plan's mails, finished."""
    rendered = _renderer(project)
    return [rendered(message) for message in messages(_READY)]


def _renderer(project: Project) -> Callable[[PlannedMessage], Message]:
    from campanile.messages.render import open_messages

    opened = open_messages(project, CAMPAIGN)
    return lambda message: opened.render(message, at=SENT_AT)


def record(ledger: str) -> Callable[[], Any]:
    """Every message of the plan claimed, opened and answered in the ledger, nothing rendered or handed over."""
    from campanile.events import Outcome, Receipt
    from campanile.ledger import Ledger, Mode
    from campanile.ledger.hand_overs import claim, exchange
    from campanile.sending.care import care_of

    project = project_of(ledger)

    def work() -> Any:
        with Ledger.open(project.ledger_place) as opened:
            plan = opened.plan(CAMPAIGN)
            assert plan is not None
            opened.set_state(plan.plan_id, "sending")
            care = care_of(project, plan)
            mode, answers, done = Mode("smtp", rates=care.rates, rules=care.rules), [], 0
            for batch in opened.batches(plan.plan_id):
                while wanted := claim(opened, plan.plan_id, batch, now=SENT_AT, limit=200):
                    for start in range(0, len(wanted), 16):
                        part = wanted[start : start + 16]
                        got = exchange(opened, plan.plan_id, answers=answers, wanted=part, mode=mode, now=SENT_AT)
                        answers = [Receipt(m.message_id, Outcome.ACCEPTED, detail="250 2.0.0") for m in got.messages]
                        done += len(answers)
            exchange(opened, plan.plan_id, answers=answers, mode=mode, now=SENT_AT)
            return done

    return work


def files(ledger: str, count: int) -> Callable[[], Any]:
    """The same mails written to files, each of them durable: what the outbox cannot do without."""
    ready = [message.mime for message in letters(project_of(ledger))]
    folder = HOME / ledger / "bare"

    def work() -> Any:
        folder.mkdir(parents=True, exist_ok=True)
        place = os.open(folder, os.O_RDONLY)
        for n, mime in enumerate(islice(cycle(ready), count)):
            with (folder / f"{n}.part").open("wb") as file:
                file.write(mime)
                file.flush()
                os.fsync(file.fileno())
            (folder / f"{n}.part").replace(folder / f"{n}.eml")
            os.fsync(place)
        os.close(place)
        return count

    return work


def _plan(project: Project) -> PlanRecord:
    from campanile.ledger import PlanRecord
    from campanile.plan.freeze import fingerprint, frozen_spec

    snapshot = project.snapshots_dir / CAMPAIGN / "bench.parquet"
    snapshot.parent.mkdir(parents=True, exist_ok=True)
    snapshot.write_bytes(b"who is in which arm")
    spec = json.loads(json.dumps(frozen_spec(project, CAMPAIGN)))
    return PlanRecord(
        plan_id="bench",
        campaign=CAMPAIGN,
        wave="1",
        as_of=SENT_AT,
        created_at=SENT_AT,
        fingerprint=fingerprint(spec),
        spec=spec,
        snapshot=snapshot.relative_to(project.home).as_posix(),
        snapshot_sha256=hashlib.sha256(snapshot.read_bytes()).hexdigest(),
        arms={"treatment": 1},
    )


def drop_schema() -> None:
    import psycopg

    with psycopg.connect(os.environ[VARIABLE], autocommit=True) as server:
        server.execute(f'DROP SCHEMA IF EXISTS "{SCHEMA}" CASCADE')
