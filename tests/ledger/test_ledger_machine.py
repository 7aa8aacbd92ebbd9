"""Any order of claiming, opening, answering, dying, taking over, suppressing and pausing keeps the promise.

On SQLite one worker sends at a time, on PostgreSQL two do, and either may be taken for dead while it lives.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from sqlalchemy import delete, func, select, update

from campanile.events import MessageState, Outcome, PlannedMessage, Receipt
from campanile.ledger import Ledger, Mode, tables
from campanile.ledger.hand_overs import claim, exchange, release
from campanile.ledger.pausing import pause, resume
from campanile.ledger.repair import recover
from campanile.ledger.rules import Rate
from campanile.ledger.workers import LeaseLostError
from campanile.spec.places import LedgerPlace
from support.ledgers import postgres_place
from support.plans import NOW, message_id, planned, register

PLAN = "plan-winback"
MESSAGES = 6
SMTP = Mode("smtp", rates=(Rate("email"),))
#: Thousands of durable commits: in memory where the machine has such a folder.
MEMORY = "/dev/shm" if Path("/dev/shm").is_dir() else None
FINAL = {
    MessageState.ACCEPTED,
    MessageState.REJECTED,
    MessageState.UNKNOWN,
    MessageState.SUPPRESSED,
    MessageState.EXPIRED,
}
INDEX = st.integers(0, 5)


@dataclass
class Worker:
    """A sender's memory: it is lost at its death."""

    ledger: Ledger
    claimed: list[PlannedMessage] = field(default_factory=list)
    open: list[PlannedMessage] = field(default_factory=list)
    answers: list[Receipt] = field(default_factory=list)


class LedgerMachine(RuleBasedStateMachine):
    """The provider is a list: whoever is in it has the message."""

    workers = 1

    def __init__(self) -> None:
        super().__init__()
        self.stack = ExitStack()
        self.place = self.make_place()
        self.senders = [Worker(Ledger.open(self.place)) for _ in range(self.workers)]
        self.now = NOW
        self.handed: list[str] = []
        self.suppressed: set[str] = set()
        self.paused = False
        self.final: dict[str, MessageState] = {}

    def make_place(self) -> LedgerPlace:
        return Path(self.stack.enter_context(tempfile.TemporaryDirectory(dir=MEMORY))) / "ledger.sqlite"

    @property
    def ledger(self) -> Ledger:
        return self.senders[0].ledger

    def sender(self, index: int) -> Worker:
        return self.senders[index % len(self.senders)]

    @initialize()
    def plan(self) -> None:
        short = timedelta(hours=3)
        register(self.ledger, (planned(n, expires_at=NOW + short * (n + 1)) for n in range(MESSAGES)))

    @rule(who=INDEX, limit=st.integers(1, 4))
    def claim(self, who: int, limit: int) -> None:
        sender = self.sender(who)
        sender.claimed += claim(sender.ledger, PLAN, 0, now=self.now, limit=limit)

    @rule(who=INDEX, limit=st.integers(1, 4))
    def begin(self, who: int, limit: int) -> None:
        """What a sender does most: claim some and open them at once."""
        self.claim(who, limit)
        self.exchange(who, limit, quiet=False)

    @rule(who=INDEX, count=st.integers(0, 3), quiet=st.booleans())
    def exchange(self, who: int, count: int, quiet: bool) -> None:
        sender = self.sender(who)
        wanted, sender.claimed = sender.claimed[:count], sender.claimed[count:]
        held = {wanted[0].message_id: self.now + timedelta(hours=1)} if quiet and wanted else {}
        try:
            opened = exchange(
                sender.ledger, PLAN, answers=sender.answers, wanted=wanted, held=held, mode=SMTP, now=self.now
            )
        except LeaseLostError:
            # It ends: what it has handed over, or is handing over, is out of its hands.
            self.die(who, reached=len(sender.open))
            return
        sender.answers = []
        assert not (self.paused and opened.messages), "handed over although paused"
        for message in opened.messages:
            assert message.customer_id not in self.suppressed, "handed over although suppressed before"
            assert message.expires_at > self.now
            assert message.message_id not in held
        sender.open += opened.messages
        if not opened.running:
            sender.claimed = wanted + sender.claimed

    @rule(who=INDEX, outcome=st.sampled_from(list(Outcome)), index=INDEX, reached=st.booleans(), wait=st.booleans())
    def answer(self, who: int, outcome: Outcome, index: int, reached: bool, wait: bool) -> None:
        sender = self.sender(who)
        if not sender.open:
            return
        message = sender.open.pop(index % len(sender.open))
        if outcome is Outcome.ACCEPTED or (outcome is Outcome.UNKNOWN and reached):
            self.handed.append(message.message_id)
        retry_at = self.now + timedelta(minutes=5) if wait and outcome is Outcome.NOT_SENT else None
        sender.answers.append(Receipt(message.message_id, outcome, retry_at=retry_at))

    @rule(who=INDEX)
    def withdraw(self, who: int) -> None:
        sender = self.sender(who)
        if sender.open:
            message = sender.open.pop()
            try:
                exchange(sender.ledger, PLAN, returned=[message.message_id], mode=SMTP, now=self.now)
            except LeaseLostError:
                self.die(who, reached=0)

    @rule(who=INDEX)
    def give_back(self, who: int) -> None:
        sender = self.sender(who)
        release(sender.ledger, [message.message_id for message in sender.claimed])
        sender.claimed = []

    @rule(who=INDEX, reached=st.integers(0, 2))
    def die(self, who: int, reached: int) -> None:
        """The process dies: some of what was under way has arrived, and nobody remembers anything."""
        sender = self.sender(who)
        self.handed += [message.message_id for message in sender.open[:reached]]
        dead = sender.ledger
        self.senders[who % len(self.senders)] = Worker(Ledger.open(self.place))
        self.lapse(dead)
        dead.close()
        recover(self.sender(who).ledger, PLAN, SMTP, self.now)

    @precondition(lambda self: self.workers > 1)
    @rule(who=INDEX)
    def be_taken_for_dead(self, who: int) -> None:
        """A worker is silent for too long; another one takes over, and then the first one goes on."""
        self.lapse(self.sender(who).ledger)
        recover(self.sender(who + 1).ledger, PLAN, SMTP, self.now)

    def lapse(self, ledger: Ledger) -> None:
        with ledger.writing() as connection:
            past = ledger.database.now(connection) - timedelta(seconds=1)
            mine = tables.worker.c.worker_id == ledger.worker
            connection.execute(update(tables.worker).where(mine).values(lease_until=past))

    @rule(number=st.integers(0, MESSAGES - 1))
    def suppress(self, number: int) -> None:
        message = planned(number)
        self.ledger.suppress("email", message.address, reason="unsubscribed", source="link", at=self.now)
        if message.message_id not in {m.message_id for sender in self.senders for m in sender.open}:
            self.suppressed.add(message.customer_id)

    @rule()
    def pause_or_resume(self) -> None:
        plan = self.ledger.plan("winback")
        assert plan is not None
        if self.paused:
            resume(self.ledger, plan, who="Mei", why="mended", now=self.now)
        else:
            assert pause(self.ledger, plan, who="Mei", why="wrong price", now=self.now)
        self.paused = not self.paused

    @rule(minutes=st.integers(1, 200))
    def wait(self, minutes: int) -> None:
        self.now += timedelta(minutes=minutes)

    @invariant()
    def nobody_gets_it_twice(self) -> None:
        assert len(self.handed) == len(set(self.handed))

    @invariant()
    def states_add_up(self) -> None:
        tally = self.ledger.tally(PLAN)
        assert tally.planned in (0, MESSAGES)
        assert tally.adds_up

    @invariant()
    def no_attempt_after_one_that_may_have_been_accepted(self) -> None:
        attempt = tables.attempt.c
        possible = (attempt.outcome.is_(None)) | attempt.outcome.in_(["accepted", "unknown"])
        latest = select(attempt.message_id, func.max(attempt.n).label("n")).group_by(attempt.message_id).subquery()
        query = select(func.count()).select_from(tables.attempt).join(latest, latest.c.message_id == attempt.message_id)
        with self.ledger.reading() as connection:
            assert connection.scalar(query.where(possible, attempt.n < latest.c.n)) == 0

    @invariant()
    def every_claim_has_a_worker(self) -> None:
        message, worker = tables.message.c, tables.worker.c
        orphans = select(func.count()).where(
            message.state == MessageState.CLAIMED.value, message.worker.not_in(select(worker.worker_id))
        )
        with self.ledger.reading() as connection:
            assert connection.scalar(orphans) == 0

    @invariant()
    def final_states_stay_and_have_a_reason(self) -> None:
        table = tables.message.c
        with self.ledger.reading() as connection:
            rows = connection.execute(select(table.message_id, table.state, table.reason)).all()
        for row in rows:
            state = MessageState(row.state)
            assert self.final.get(row.message_id, state) == state
            if state in FINAL:
                assert row.reason
                self.final[row.message_id] = state

    def teardown(self) -> None:
        """Whatever is left in the air was accepted, rejected or unknown: nothing accepted is called anything else."""
        for sender in self.senders:
            self.lapse(sender.ledger)
        recover(self.ledger, PLAN, SMTP, self.now)
        table = tables.message.c
        with self.ledger.reading() as connection:
            states = {row.message_id: row.state for row in connection.execute(select(table.message_id, table.state))}
        for handed in self.handed:
            assert states[handed] in ("accepted", "unknown")
        assert set(states) in (set(), {message_id("winback", n) for n in range(MESSAGES)})
        for sender in self.senders:
            sender.ledger.close()
        self.stack.close()


class OnPostgres(LedgerMachine):
    """One schema for all stories, emptied before each."""

    workers = 2
    shared_place: LedgerPlace

    def make_place(self) -> LedgerPlace:
        with Ledger.open(self.shared_place) as ledger, ledger.writing() as connection:
            for table in reversed(tables.metadata.sorted_tables):
                if table is not tables.meta:
                    connection.execute(delete(table))
        return self.shared_place


@pytest.fixture(scope="class")
def _server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    with postgres_place(tmp_path_factory.mktemp("machine")) as place:
        OnPostgres.shared_place = place
        yield


TestOnSqlite = LedgerMachine.TestCase


@pytest.mark.usefixtures("_server")
class TestOnPostgres(OnPostgres.TestCase):  # type: ignore[name-defined,misc]
    """The machine on PostgreSQL."""


# A story of 25 steps is short enough to read; making it shorter takes minutes of real commits.
_STORIES = {"stateful_step_count": 25, "deadline": None, "phases": (Phase.explicit, Phase.reuse, Phase.generate)}
TestOnSqlite.settings = settings(max_examples=80, **_STORIES)  # type: ignore[arg-type]
TestOnPostgres.settings = settings(max_examples=30, **_STORIES)  # type: ignore[arg-type]
