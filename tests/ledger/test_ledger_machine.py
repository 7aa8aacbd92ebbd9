"""Any order of claiming, opening, answering, crashing, recovering, suppressing and resolving keeps the promise."""

from __future__ import annotations

import tempfile
from datetime import timedelta
from pathlib import Path

from hypothesis import Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from sqlalchemy import func, select

from campanile.events import MessageState, Outcome, PlannedMessage, Receipt
from campanile.ledger import Ledger, Mode, tables
from campanile.ledger.hand_overs import claim, exchange, release
from campanile.ledger.repair import recover
from support.plans import NOW, message_id, planned, register

PLAN = "plan-winback"
MESSAGES = 6
#: Thousands of durable commits: in memory where the machine has such a folder.
MEMORY = "/dev/shm" if Path("/dev/shm").is_dir() else None
FINAL = {
    MessageState.ACCEPTED,
    MessageState.REJECTED,
    MessageState.UNKNOWN,
    MessageState.SUPPRESSED,
    MessageState.EXPIRED,
}


class LedgerMachine(RuleBasedStateMachine):
    """The provider is a set: whoever is in it has the message. The sender's memory is lost at a crash."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory(dir=MEMORY)
        self.ledger = Ledger.open(Path(self.folder.name) / "ledger.sqlite")
        self.now = NOW
        self.claimed: list[PlannedMessage] = []
        self.open: list[PlannedMessage] = []
        self.answers: list[Receipt] = []
        self.handed: list[str] = []
        self.suppressed: set[str] = set()
        self.final: dict[str, MessageState] = {}

    @initialize()
    def plan(self) -> None:
        short = timedelta(hours=3)
        register(self.ledger, (planned(n, expires_at=NOW + short * (n + 1)) for n in range(MESSAGES)))

    @rule(limit=st.integers(1, 4))
    def claim(self, limit: int) -> None:
        self.claimed += claim(self.ledger, PLAN, 0, now=self.now, limit=limit)

    @rule(limit=st.integers(1, 4))
    def begin(self, limit: int) -> None:
        """What a sender does most: claim some and open them at once."""
        self.claim(limit)
        self.exchange(limit, quiet=False)

    @precondition(lambda self: self.claimed)
    @rule(count=st.integers(1, 3), quiet=st.booleans())
    def exchange(self, count: int, quiet: bool) -> None:
        wanted, self.claimed = self.claimed[:count], self.claimed[count:]
        held = {wanted[0].message_id: self.now + timedelta(hours=1)} if quiet and wanted else {}
        opened = exchange(
            self.ledger, PLAN, answers=self.answers, wanted=wanted, held=held, mode=Mode("smtp"), now=self.now
        )
        self.answers = []
        for message in opened.messages:
            assert message.customer_id not in self.suppressed, "handed over although suppressed before"
            assert message.expires_at > self.now
            assert message.message_id not in held
        self.open += opened.messages

    @precondition(lambda self: self.open)
    @rule(outcome=st.sampled_from(list(Outcome)), index=st.integers(0, 5), reached=st.booleans())
    def answer(self, outcome: Outcome, index: int, reached: bool) -> None:
        message = self.open.pop(index % len(self.open))
        if outcome is Outcome.ACCEPTED or (outcome is Outcome.UNKNOWN and reached):
            self.handed.append(message.message_id)
        self.answers.append(Receipt(message.message_id, outcome))

    @rule()
    def commit(self) -> None:
        exchange(self.ledger, PLAN, answers=self.answers, mode=Mode("smtp"), now=self.now)
        self.answers = []

    @precondition(lambda self: self.open)
    @rule()
    def withdraw(self) -> None:
        message = self.open.pop()
        exchange(self.ledger, PLAN, returned=[message.message_id], mode=Mode("smtp"), now=self.now)

    @precondition(lambda self: self.claimed)
    @rule()
    def give_back(self) -> None:
        release(self.ledger, [message.message_id for message in self.claimed])
        self.claimed = []

    @rule(reached=st.integers(0, 2))
    def crash_and_recover(self, reached: int) -> None:
        """The process dies: some of what was under way has arrived, and nobody remembers anything."""
        self.handed += [message.message_id for message in self.open[:reached]]
        self.claimed, self.open, self.answers = [], [], []
        self.ledger.close()
        self.ledger = Ledger.open(Path(self.folder.name) / "ledger.sqlite")
        recover(self.ledger, PLAN, Mode("smtp"), self.now)

    @rule(number=st.integers(0, MESSAGES - 1))
    def suppress(self, number: int) -> None:
        message = planned(number)
        self.ledger.suppress("email", message.address, reason="unsubscribed", source="link", at=self.now)
        if message.message_id not in {m.message_id for m in self.open}:
            self.suppressed.add(message.customer_id)

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
        recover(self.ledger, PLAN, Mode("smtp"), self.now)
        table = tables.message.c
        with self.ledger.reading() as connection:
            states = {row.message_id: row.state for row in connection.execute(select(table.message_id, table.state))}
        for handed in self.handed:
            assert states[handed] in ("accepted", "unknown")
        assert set(states) in (set(), {message_id("winback", n) for n in range(MESSAGES)})
        self.ledger.close()
        self.folder.cleanup()


TestLedgerMachine = LedgerMachine.TestCase
# A story of 25 steps is short enough to read; making it shorter takes minutes of real commits.
TestLedgerMachine.settings = settings(
    max_examples=80,
    stateful_step_count=25,
    deadline=None,
    phases=(Phase.explicit, Phase.reuse, Phase.generate),
)
