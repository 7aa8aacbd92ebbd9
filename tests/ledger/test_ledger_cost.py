"""What a hand-over costs the ledger does not grow with the plan, nor with the list of suppressions."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import event

from campanile.events import Outcome, Receipt
from campanile.ledger import Ledger, Mode
from campanile.ledger.breakers import tripped
from campanile.ledger.hand_overs import claim, exchange
from campanile.spec.sending import Breakers
from support.plans import NOW, register, several

MODE = Mode("smtp", idempotent=False)


def work(path: Path, *, messages: int, suppressed: int = 0) -> int:
    """Hundreds of instructions of SQLite's machine for one claim, one opening and one settling of eight messages."""
    steps = [0]

    def count() -> int:
        steps[0] += 1
        return 0

    with Ledger.open(path) as ledger:
        for number in range(suppressed):
            ledger.suppress("email", f"gone{number}@mail.example", reason="left", source="test", at=NOW)
        plan = register(ledger, several(messages))
        event.listen(
            ledger.database.engine, "checkout", lambda connection, *_: connection.set_progress_handler(count, 100)
        )
        now = NOW + timedelta(minutes=1)
        wanted = claim(ledger, plan.plan_id, 0, now=now, limit=8)
        opened = exchange(ledger, plan.plan_id, wanted=wanted, mode=MODE, now=now)
        assert len(opened.messages) == 8
        answers = [Receipt(message.message_id, Outcome.ACCEPTED) for message in opened.messages]
        exchange(ledger, plan.plan_id, answers=answers, mode=MODE, now=now)
    return steps[0]


@pytest.mark.parametrize("more", [{"messages": 6000}, {"messages": 200, "suppressed": 600}])
def test_a_hand_over_costs_the_same_in_a_larger_ledger(tmp_path: Path, more: dict[str, int]) -> None:
    small = work(tmp_path / "small.sqlite", messages=200)
    large = work(tmp_path / "large.sqlite", **more)
    assert small > 10, "instructions are counted"
    assert large < small * 1.5


def looking(path: Path, *, answered: int) -> int:
    """Hundreds of instructions for one look of the breakers at the latest answers."""
    steps = [0]

    def count() -> int:
        steps[0] += 1
        return 0

    with Ledger.open(path) as ledger:
        plan = register(ledger, several(answered))
        while wanted := claim(ledger, plan.plan_id, 0, now=NOW, limit=500):
            exchange(ledger, plan.plan_id, wanted=wanted, mode=MODE, now=NOW)
            answers = [Receipt(message.message_id, Outcome.ACCEPTED, detail="250") for message in wanted]
            exchange(ledger, plan.plan_id, answers=answers, mode=MODE, now=NOW)
        engine = ledger.database.engine
        event.listen(engine, "checkout", lambda connection, *_: connection.set_progress_handler(count, 100))
        assert tripped(ledger, plan.plan_id, Breakers()) is None
    return steps[0]


def test_a_look_of_the_breakers_costs_the_same_in_a_longer_campaign(tmp_path: Path) -> None:
    small = looking(tmp_path / "small.sqlite", answered=3_000)
    large = looking(tmp_path / "large.sqlite", answered=12_000)
    assert small > 10, "instructions are counted"
    assert large < small * 1.5
