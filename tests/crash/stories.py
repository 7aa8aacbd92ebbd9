"""Stories of senders that die: a fresh plan, some deaths, a last run, and an account of every recipient.

A story runs real sending processes, forked from one that has everything imported, against a real mail server or the
outbox, on a real ledger. What counts is what the other end has taken.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path

from sqlalchemy import delete, select

from campanile.ledger import Ledger, tables, workers
from campanile.ledger.engine.postgres import Postgres
from campanile.ledger.engine.sqlite import Sqlite
from campanile.sending.run import run_campaign
from campanile.spec.project import Project, load_project
from crash.wal import cut_power
from support.ledgers import VARIABLE, end_connections
from support.plans import NOW, planned
from support.sendgrid_fake import KEY
from support.sent_project import write_plan, write_project

TESTS = Path(__file__).parents[1]
MESSAGES = 40
CONNECTIONS = 2
#: Attempts that may be open when a sender dies.
IN_FLIGHT = CONNECTIONS * 4
LEASE = timedelta(seconds=0.5)
#: What happens to recipients: most are fine, the rest keep the other paths busy.
KIND = ("fine",) * 14 + ("rcpt550", "once-rcpt451", "once-dropdata", "once-dot452", "dropdot", "take554")
UNKIND = ("fine",) * 4 + ("takehang", "dropdot", "take554", "hangdot", "drop354", "once-dot452", "dropmid", "rcpt550")
#: The same words where mail goes to SendGrid's stand-in.
WEB_KIND = ("fine",) * 14 + ("once-429", "once-429", "503taken", "reset", "close", "503")
WEB_UNKIND = ("fine",) * 4 + ("hang", "reset", "close", "503taken", "500taken", "truncated", "garbage", "once-429")
#: Those whose answer the provider itself withholds, or that mean nothing.
SILENT = (
    *("takehang", "dropdot", "hangdot", "drop354", "dropmid"),
    *("503", "503taken", "500taken", "hang", "reset", "close", "truncated", "garbage"),
)
_CARE = """
sending: {breakers: {errors_in_a_row: 1000, bounces: {above: 100%, of: 1000}}}
"""


@dataclass
class Account:
    """What became of every recipient of some stories."""

    kills: int = 0
    stories: int = 0
    messages: int = 0
    accepted: int = 0
    rejected: int = 0
    unknown: int = 0
    aside: int = 0
    taken_unknown: int = 0
    twice: int = 0
    lost: int = 0
    uncounted: int = 0
    #: Unknown beyond what was in flight at the deaths; it would be a batch that was given up whole.
    beyond: int = 0

    def add(self, other: Account) -> None:
        for name, value in vars(other).items():
            setattr(self, name, getattr(self, name) + value)


@dataclass
class Stage:
    """Where stories play: one project, one ledger, one provider.

    Attributes:
        ledger: sqlite or postgres.
        channel: smtp, outbox or sendgrid.
        schema: On PostgreSQL.
    """

    root: Path
    ledger: str
    channel: str
    port: int
    record: Path
    schema: str
    random: random.Random

    def set(self) -> Project:
        """The project, written anew."""
        settings: dict[str, object] = {"connections": CONNECTIONS, "timeout": 0.3}
        if self.channel == "sendgrid":
            os.environ["CRASH_SENDGRID_KEY"] = KEY
            host = f"http://127.0.0.1:{self.port}"
            settings |= {"via": "sendgrid", "host": host, "api_key_env": "CRASH_SENDGRID_KEY"}
            write_project(self.root, **settings)
        elif self.channel == "outbox":
            write_project(self.root)
        else:
            write_project(self.root, port=self.port, **settings)
        text = _CARE
        if self.ledger == "postgres":
            text += f"\nledger: {{postgres: {VARIABLE}, schema: {self.schema}}}\n"
        with (self.root / "campanile.yaml").open("a", encoding="utf-8") as file:
            file.write(text)
        return load_project(self.root)

    def fresh(self, fates: tuple[str, ...], count: int = MESSAGES) -> Project:
        """The project with a plan of which nothing is sent, and a provider that has taken nothing."""
        project = load_project(self.root)
        if self.ledger == "sqlite":
            for path in project.home.glob("ledger.sqlite*"):
                path.unlink()
            shutil.rmtree(project.snapshots_dir, ignore_errors=True)
        else:
            with Ledger.open(project.ledger_place) as ledger, ledger.writing() as connection:
                for table in reversed(tables.metadata.sorted_tables):
                    if table is not tables.meta:
                        connection.execute(delete(table))
        shutil.rmtree(project.outbox_dir, ignore_errors=True)
        self.record.write_text("")
        if self.channel == "sendgrid":
            fates = WEB_UNKIND if fates is UNKIND else WEB_KIND
        chosen = [self.random.choice(fates) for _ in range(count)]
        write_plan(project, (planned(n, address=f"{fate}.{n}@mail.example") for n, fate in enumerate(chosen)))
        return project

    def taken(self, project: Project) -> Counter[str]:
        """How often the other end has taken the message of each address."""
        if self.channel != "outbox":
            return self.taken_mails()
        lines = (path.read_text(encoding="utf-8").splitlines() for path in project.outbox_dir.rglob("*.eml"))
        return Counter(next(line for line in text if line.startswith("To: ")).removeprefix("To: ") for text in lines)

    def taken_mails(self) -> Counter[str]:
        """How often the mail server has taken a mail to each address."""
        return Counter(json.loads(line)["to"] for line in self.record.read_text().splitlines())

    def seen(self, project: Project) -> int:
        """How far the other end has got."""
        if self.channel != "outbox":
            return self.record.read_bytes().count(b"\n")
        return sum(1 for _ in project.outbox_dir.rglob("*.eml"))


def start(project: Project, now: Callable[[], datetime], prepare: Callable[[], None] = lambda: None) -> int:
    """The pid of a sender of its own."""
    pid = os.fork()
    if pid == 0:
        status = 1
        try:
            # A story tells by its account; the sentences of senders that are in each other's way would drown it.
            os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
            signal.signal(signal.SIGINT, signal.SIG_DFL)
            workers.LEASE = LEASE
            prepare()
            run_campaign(project, "winback", mode="send", now=now)
            status = 0
        finally:
            os._exit(status)
    return pid


def at(minute: float) -> Callable[[], datetime]:
    moment = NOW + timedelta(minutes=minute)
    return lambda: moment


def killed(pid: int) -> int:
    """1 when the kill met the process alive."""
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)
    _, status = os.waitpid(pid, 0)
    return int(os.WIFSIGNALED(status))


def finish(stage: Stage, project: Project, minute: float) -> None:
    """Runs until nothing is left to do: postponed messages want later minutes, dead workers' leases must end."""
    for turn in range(12):
        if stage.ledger == "postgres":
            time.sleep(LEASE.total_seconds() * 1.1)
        os.waitpid(start(project, at(minute + 20 * (turn + 1))), 0)
        with Ledger.open(project.ledger_place) as ledger:
            plan = ledger.plan("winback")
            assert plan is not None
            if plan.state == "sent":
                return
    raise AssertionError("the campaign does not come to an end")


def settle(stage: Stage, project: Project, kills: int, *, senders: int) -> Account:
    """The account of a story that is over, in which so many senders were started that did not end well."""
    taken = stage.taken(project)
    table = tables.message.c
    with Ledger.open(project.ledger_place) as ledger:
        plan = ledger.plan("winback")
        assert plan is not None
        tally = ledger.tally(plan.plan_id)
        with ledger.reading() as connection:
            rows = connection.execute(select(table.address, table.state)).all()
            if stage.ledger == "sqlite":
                assert connection.exec_driver_sql("PRAGMA integrity_check").scalar() == "ok"
    account = Account(kills=kills, stories=1, messages=tally.planned, uncounted=tally.planned - len(rows))
    silent = 0
    for address, state in rows:
        account.accepted += state == "accepted"
        account.rejected += state == "rejected"
        account.unknown += state == "unknown"
        account.aside += state in ("expired", "suppressed")
        account.uncounted += state in ("due", "held", "claimed")
        account.taken_unknown += state == "unknown" and taken[address] > 0
        account.twice += taken[address] > 1
        account.lost += state == "accepted" and taken[address] == 0
        silent += state == "unknown" and address.partition(".")[0] in SILENT
    account.beyond = max(0, account.unknown - silent - senders * IN_FLIGHT)
    return account


def at_random(stage: Stage, deaths: int, fates: tuple[str, ...] = KIND) -> Account:
    """SIGKILL a random time after a random number of messages."""
    project, kills = stage.fresh(fates), 0
    for minute in range(deaths):
        goal = stage.seen(project) + stage.random.randrange(8)
        by_clock = stage.random.random() < 0.3
        end = time.monotonic() + (stage.random.random() * 0.25 if by_clock else 2.0)
        pid = start(project, at(minute))
        while time.monotonic() < end and (by_clock or stage.seen(project) <= goal) and not _over(pid):
            time.sleep(0.001)
        time.sleep(stage.random.random() * 0.004)
        kills += killed(pid)
    finish(stage, project, deaths)
    return settle(stage, project, kills, senders=2 * deaths)


def unkind(stage: Stage, deaths: int) -> Account:
    """The same, and the provider takes and hangs, takes and cuts, takes and refuses, stays silent, cuts half-way."""
    return at_random(stage, deaths, UNKIND)


def at_commit(stage: Stage, number: int, *, after: bool) -> Account:
    """SIGKILL right before, or right after, a certain commit of the sender."""
    project = stage.fresh(KIND, 16)
    pid = start(project, at(0), lambda: _die_at_commit(number, after=after))
    _, status = os.waitpid(pid, 0)
    finish(stage, project, 1)
    return settle(stage, project, int(os.WIFSIGNALED(status)), senders=1)


def _die_at_commit(number: int, *, after: bool) -> None:
    counted = 0

    def lethal(transaction: Callable[..., object]) -> Callable[..., object]:
        @contextmanager
        def wrapped(self: object) -> Iterator[object]:
            nonlocal counted
            with transaction(self) as connection:  # type: ignore[attr-defined]
                yield connection
                counted += 1
                if counted == number and not after:
                    os.kill(os.getpid(), signal.SIGKILL)
            if counted == number and after:
                os.kill(os.getpid(), signal.SIGKILL)

        return wrapped

    for database in (Sqlite, Postgres):
        for name in ("writing", "sharing"):
            setattr(database, name, lethal(getattr(database, name)))


def two_at_once(stage: Stage, deaths: int) -> Account:
    """Two senders are started at the same time, and one or both are killed."""
    project, kills = stage.fresh(KIND), 0
    for minute in range(max(1, deaths // 2)):
        pids = [start(project, at(minute)) for _ in range(2)]
        for pid in pids:
            time.sleep(stage.random.random() * 0.15)
            kills += killed(pid)
    finish(stage, project, deaths)
    return settle(stage, project, kills, senders=2 * deaths)


def taken_for_dead(stage: Stage, deaths: int) -> Account:
    """A sender stands still for longer than its lease, another takes over, the first goes on; then both are killed."""
    project, kills = stage.fresh(KIND), 0
    for minute in range(max(1, deaths // 2)):
        slow = start(project, at(minute))
        time.sleep(0.05 + stage.random.random() * 0.12)
        with suppress(ProcessLookupError):
            os.kill(slow, signal.SIGSTOP)
        time.sleep(LEASE.total_seconds() * 1.1)
        other = start(project, at(minute))
        time.sleep(stage.random.random() * 0.15)
        with suppress(ProcessLookupError):
            os.kill(slow, signal.SIGCONT)
        time.sleep(stage.random.random() * 0.1)
        kills += killed(slow) + killed(other)
    finish(stage, project, deaths)
    return settle(stage, project, kills, senders=2 * deaths)


def clock_jumps(stage: Stage, deaths: int) -> Account:
    """The sender's clock jumps by hours, forth and back, while it sends; then it is killed."""
    project, kills = stage.fresh(KIND), 0
    for minute in range(deaths):
        pid = start(project, partial(_jumping, minute, random.Random(stage.random.random())))
        time.sleep(0.05 + stage.random.random() * 0.15)
        kills += killed(pid)
    finish(stage, project, deaths + 240)
    return settle(stage, project, kills, senders=2 * deaths)


def _jumping(minute: int, dice: random.Random) -> datetime:
    return NOW + timedelta(minutes=minute + dice.choice((0, 0, 0, -180, 180)))


def power_cuts(stage: Stage, deaths: int) -> Account:
    """As `at_random`, and what SQLite had not yet been promised to keep is cut off, or is rubbish, at each death."""
    project, kills = stage.fresh(KIND), 0
    for minute in range(deaths):
        pid = start(project, at(minute))
        time.sleep(0.05 + stage.random.random() * 0.2)
        kills += killed(pid)
        cut_power(project.ledger_path, stage.random)
    finish(stage, project, deaths)
    return settle(stage, project, kills, senders=2 * deaths)


def restarts(stage: Stage, deaths: int) -> Account:
    """The server ends every connection while a sender works, and then the sender is killed."""
    project, kills = stage.fresh(KIND), 0
    for minute in range(deaths):
        pid = start(project, at(minute))
        time.sleep(0.05 + stage.random.random() * 0.12)
        end_connections(project.ledger_place)
        time.sleep(stage.random.random() * 0.05)
        kills += killed(pid)
    finish(stage, project, deaths)
    return settle(stage, project, kills, senders=2 * deaths)


def _over(pid: int) -> bool:
    """Whether the process has ended by itself; it is still to be waited for."""
    return os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None


@contextmanager
def mail_server(folder: Path) -> Iterator[tuple[int, Path]]:
    """Port of a mail server in a process of its own, and the file in which it records every mail it has taken."""
    with _server(folder / "taken.jsonl", TESTS / "support" / "smtp_sink.py", "--pause", "0.001") as found:
        yield found


@contextmanager
def web_server(folder: Path) -> Iterator[tuple[int, Path]]:
    """The same of SendGrid's stand-in."""
    with _server(folder / "posted.jsonl", TESTS / "crash" / "web_server.py") as found:
        yield found


@contextmanager
def _server(record: Path, script: Path, *options: str) -> Iterator[tuple[int, Path]]:
    command = [sys.executable, str(script), "--record", str(record), *options]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        try:
            yield int(server.stdout.readline()), record
        finally:
            server.kill()
