"""Unknown hand-overs, settled by the provider's own records."""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import select

from campanile.channels import ChannelUnavailableError
from campanile.errors import CampanileError
from campanile.events import Message, MessageState, Outcome, PlannedMessage, Receipt
from campanile.ledger import Ledger, Mode, PlanRecord, tables
from campanile.ledger.hand_overs import claim, exchange
from campanile.ledger.repair import public_reason
from campanile.sending.ask import Asked, ask_provider
from campanile.sending.run import ask_about
from support.ledgers import KINDS, ledger_place
from support.plans import NOW, message_id, register, render, several
from support.sent_project import write_plan, write_project

PLAN = "plan-winback"
LATER = NOW + timedelta(minutes=15)


class Provider:
    """A channel whose provider keeps records: what it has taken, what it has refused, and up to what it is complete."""

    name = "kept"
    idempotent = False

    def __init__(self, records: dict[str, Receipt | None]) -> None:
        self.records = records
        self.asked: list[Message] = []
        self.is_open, self.down_after = False, 10**9

    async def open(self) -> None:
        self.is_open = True

    async def close(self) -> None:
        self.is_open = False

    async def hand_over(self, message: Message) -> Receipt:
        raise AssertionError("asking hands nothing over")

    async def find(self, message: Message, *, since: datetime) -> Receipt | None:
        assert self.is_open
        assert since == NOW
        if len(self.asked) >= self.down_after:
            raise ChannelUnavailableError("the provider does not answer", "try again later")
        self.asked.append(message)
        return self.records.get(message.message_id)


def records(*outcomes: Outcome | None) -> dict[str, Receipt | None]:
    ids = [message_id("winback", number) for number in range(len(outcomes))]
    return {
        key: outcome and Receipt(key, outcome, provider_id=f"SM{key[:4]}", detail="delivered")
        for key, outcome in zip(ids, outcomes, strict=True)
    }


def lose(ledger: Ledger, count: int) -> PlanRecord:
    """A plan whose first answers were lost."""
    plan = register(ledger, several(count))
    wanted = claim(ledger, PLAN, 0, now=NOW, limit=count)
    exchange(ledger, PLAN, wanted=wanted, mode=Mode("kept"), now=NOW)
    answers = [Receipt(message.message_id, Outcome.UNKNOWN) for message in wanted]
    exchange(ledger, PLAN, answers=answers, mode=Mode("kept"), now=NOW)
    ledger.set_state(PLAN, "sent")
    return plan


def ask(ledger: Ledger, plan: PlanRecord, provider: object) -> Asked:
    moments: list[datetime] = []

    def rendered(planned: PlannedMessage, at: datetime) -> Message:
        moments.append(at)
        return render(planned)

    found = asyncio.run(ask_provider(ledger, plan, provider, render=rendered, now=LATER))  # type: ignore[arg-type]
    assert set(moments) <= {NOW}, "as they were when they were handed over"
    return found


@pytest.fixture(params=KINDS)
def ledger(request: pytest.FixtureRequest, tmp_path: Path):  # type: ignore[no-untyped-def]
    with ledger_place(request.param, tmp_path) as place, Ledger.open(place) as opened:
        yield opened


def test_each_is_settled_as_the_records_say(ledger: Ledger) -> None:
    plan = lose(ledger, 5)
    provider = Provider(records(Outcome.ACCEPTED, Outcome.REJECTED, Outcome.NOT_SENT, None, Outcome.UNKNOWN))
    assert ask(ledger, plan, provider) == Asked(accepted=1, rejected=1, not_sent=1, unknown=2)
    tally = ledger.tally(PLAN)
    assert {state: n for state, n in tally.counts.items() if n} == {
        MessageState.ACCEPTED: 1, MessageState.REJECTED: 1, MessageState.DUE: 1, MessageState.UNKNOWN: 2,
    }  # fmt: skip
    again = claim(ledger, PLAN, 0, now=LATER, limit=10)
    assert [message.customer_id for message in again] == ["C000002"], "certainly not taken: due again, once"
    assert not provider.is_open


def test_the_providers_id_and_word_are_kept(ledger: Ledger) -> None:
    plan = lose(ledger, 1)
    ask(ledger, plan, Provider(records(Outcome.ACCEPTED)))
    with ledger.reading() as connection:
        attempt = connection.execute(select(tables.attempt)).one()
        reason = connection.scalar(select(tables.message.c.reason))
    assert attempt.provider_id == f"SM{message_id('winback', 0)[:4]}"
    assert reason == "resolved as accepted by the provider: delivered"
    assert public_reason(reason) == reason


def test_asked_again_only_what_is_still_unknown_is_sought(ledger: Ledger) -> None:
    plan = lose(ledger, 3)
    provider = Provider(records(Outcome.ACCEPTED, None, None))
    ask(ledger, plan, provider)
    ask(ledger, plan, provider)
    assert len(provider.asked) == 3 + 2


def test_a_provider_that_goes_away_keeps_what_it_said(ledger: Ledger) -> None:
    plan = lose(ledger, 4)
    provider = Provider(records(*[Outcome.ACCEPTED] * 4))
    provider.down_after = 2
    with pytest.raises(ChannelUnavailableError, match="does not answer"):
        ask(ledger, plan, provider)
    assert ledger.tally(PLAN)[MessageState.ACCEPTED] == 2
    assert ledger.tally(PLAN)[MessageState.UNKNOWN] == 2


def test_what_went_over_another_channel_is_not_asked(ledger: Ledger) -> None:
    plan = lose(ledger, 2)
    provider = Provider(records(Outcome.ACCEPTED, Outcome.ACCEPTED))
    provider.name = "another"
    assert ask(ledger, plan, provider) == Asked()


def test_a_channel_that_cannot_be_asked_says_what_to_do_instead(tmp_path: Path) -> None:
    project = write_project(tmp_path)
    write_plan(project, several(2))
    with pytest.raises(CampanileError, match="cannot be asked what it has taken; look at its own log"):
        ask_about(project, "winback")
