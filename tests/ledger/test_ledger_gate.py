"""The gate asks again, in the transaction that opens a hand-over, what may have changed since the plan."""

from __future__ import annotations

import threading
from datetime import date, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import select, text

from campanile.clock import Duration
from campanile.events import MessageState, Outcome, PlannedMessage, Receipt
from campanile.ledger import Ledger, Mode, Opened, tables
from campanile.ledger.hand_overs import claim, exchange
from campanile.ledger.pausing import pause, paused, resume, standing_still
from campanile.ledger.rules import Rules
from campanile.spec.policy import Cap
from campanile.spec.sending import WarmUp
from support.ledgers import ledger_place
from support.plans import NOW, message_id, planned, register, several

WEEK = Duration(days=7)
CAPPED = Mode("smtp", rules=Rules(caps=(("email", Cap(at_most=1, within=WEEK)),)))
PLAN = "plan-winback"


def send(ledger: Ledger, campaign: str, *, mode: Mode, now: datetime = NOW, outcome: Outcome | None = None) -> Opened:
    """What the gate says of everything due of a campaign; what it lets through gets the outcome."""
    plan_id = f"plan-{campaign}"
    wanted = claim(ledger, plan_id, 0, now=now, limit=100)
    opened = exchange(ledger, plan_id, wanted=wanted, mode=mode, now=now)
    if outcome is not None:
        answers = [Receipt(message.message_id, outcome) for message in opened.messages]
        exchange(ledger, plan_id, answers=answers, mode=mode, now=now)
    return opened


def other(
    ledger: Ledger, outcome: Outcome | None, *, at: datetime = NOW, objective: str = "growth", **who: object
) -> None:
    """Another campaign writes to customer C000000."""
    message = planned(0, campaign="spring", due_at=at, **who)
    register(ledger, [message], campaign="spring", spec={"campaign": {"objective": objective}})
    assert len(send(ledger, "spring", mode=Mode("smtp"), now=at, outcome=outcome).messages) == 1


def state(ledger: Ledger, number: int) -> tuple[str, str, datetime]:
    table = tables.message.c
    query = select(table.state, table.reason, table.not_before).where(table.message_id == message_id("winback", number))
    with ledger.reading() as connection:
        found = connection.execute(query).one()
    return found.state, found.reason, found.not_before


class TestCaps:
    @pytest.mark.parametrize("outcome", [Outcome.ACCEPTED, Outcome.UNKNOWN, None])
    def test_who_got_a_message_of_another_campaign_meanwhile_waits_for_the_cap(
        self, ledger: Ledger, outcome: Outcome | None
    ) -> None:
        before = NOW - timedelta(days=5)
        other(ledger, outcome, at=before)
        register(ledger, several(2))
        opened = send(ledger, "winback", mode=CAPPED)
        assert [message.customer_id for message in opened.messages] == ["C000001"]
        assert state(ledger, 0) == ("held", "caps of messages per customer", before + timedelta(days=7))
        assert not send(ledger, "winback", mode=CAPPED, now=NOW + timedelta(days=1, hours=23)).messages
        assert len(send(ledger, "winback", mode=CAPPED, now=before + timedelta(days=7)).messages) == 1

    @pytest.mark.parametrize("outcome", [Outcome.REJECTED, Outcome.NOT_SENT])
    def test_what_did_not_arrive_does_not_count(self, ledger: Ledger, outcome: Outcome) -> None:
        other(ledger, outcome)
        register(ledger, several(1))
        assert len(send(ledger, "winback", mode=CAPPED).messages) == 1

    def test_messages_of_service_do_not_count(self, ledger: Ledger) -> None:
        other(ledger, Outcome.ACCEPTED, objective="service")
        register(ledger, several(1))
        assert len(send(ledger, "winback", mode=CAPPED).messages) == 1

    def test_a_cap_over_all_counts_other_channels_and_one_of_a_medium_does_not(self, ledger: Ledger) -> None:
        other(ledger, Outcome.ACCEPTED, channel="sms", address="+8613800138000")
        register(ledger, several(1))
        over_all = Mode("smtp", rules=Rules(caps=(("all", Cap(at_most=1, within=WEEK)),)))
        assert not send(ledger, "winback", mode=over_all).messages
        assert state(ledger, 0)[0] == "expired", "seven days are later than its deadline"
        register(ledger, several(1, campaign="third"), campaign="third")
        assert len(send(ledger, "third", mode=CAPPED).messages) == 1

    def test_too_late_for_the_cap_is_too_late(self, ledger: Ledger) -> None:
        other(ledger, Outcome.ACCEPTED)
        register(ledger, several(1))
        assert send(ledger, "winback", mode=CAPPED).aside == {MessageState.EXPIRED: 1}
        assert state(ledger, 0)[1] == "caps of messages per customer last until after its deadline"

    def test_two_steps_to_one_customer_in_one_transaction_count_for_each_other(self, ledger: Ledger) -> None:
        twins = [planned(0), planned(1, customer_id="C000000", step="reminder")]
        register(ledger, twins)
        assert len(send(ledger, "winback", mode=CAPPED).messages) == 1

    def test_two_campaigns_at_the_same_moment_do_not_both_find_room(self, tmp_path: Path) -> None:
        with ledger_place("postgres", tmp_path) as place, Ledger.open(place) as ledger:
            names = [f"c{n}" for n in range(6)]
            for name in names:
                register(ledger, several(20, campaign=name), campaign=name)
            barrier, opened = threading.Barrier(len(names)), []

            def work(name: str) -> None:
                with Ledger.open(place) as mine:
                    wanted = claim(mine, f"plan-{name}", 0, now=NOW, limit=20)
                    barrier.wait(10)
                    opened.extend(exchange(mine, f"plan-{name}", wanted=wanted, mode=CAPPED, now=NOW).messages)

            threads = [threading.Thread(target=work, args=(name,)) for name in names]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join(30)
            assert sorted(message.customer_id for message in opened) == [f"C{n:06d}" for n in range(20)]


class TestWarmUp:
    WARM = WarmUp(start=date(2026, 3, 5), per_day=(3, 5), domains={"gmail.com": (1,)})
    MODE = Mode("smtp", rules=Rules(warm_up=WARM, zone=ZoneInfo("Asia/Shanghai")))
    #: The midnight after NOW in Shanghai.
    MIDNIGHT = datetime.fromisoformat("2026-03-05T16:00:00+00:00")

    def test_what_a_domain_may_not_get_today_waits_for_midnight(self, ledger: Ledger) -> None:
        gmail = [planned(n, address=f"c{n}@GMail.com") for n in range(10, 13)]
        register(ledger, [*several(8), *gmail])
        first = send(ledger, "winback", mode=self.MODE, outcome=Outcome.ACCEPTED)
        domains = [message.address.partition("@")[2].lower() for message in first.messages]
        assert (domains.count("mail.example"), domains.count("gmail.com")) == (3, 1)
        assert first.aside == {MessageState.HELD: 7}
        assert ledger.next_due(PLAN) == self.MIDNIGHT
        second = send(ledger, "winback", mode=self.MODE, now=self.MIDNIGHT)
        assert len(second.messages) == 5 + 2, "the second day's five, and gmail.com is warm"

    def test_workers_share_the_count(self, ledger: Ledger) -> None:
        register(ledger, several(8))
        for _ in range(4):
            wanted = claim(ledger, PLAN, 0, now=NOW, limit=2)
            exchange(ledger, PLAN, wanted=wanted, mode=self.MODE, now=NOW)
        with ledger.reading() as connection:
            assert connection.execute(select(tables.warm_up)).all() == [("2026-03-05", "mail.example", 3)]


class TestControl:
    def test_a_message_that_came_to_control_behind_the_constraint_is_not_let_through(self, ledger: Ledger) -> None:
        register(ledger, several(2))
        wanted = claim(ledger, PLAN, 0, now=NOW, limit=2)
        with ledger.writing() as connection:
            if ledger.database.shared:
                connection.execute(text("ALTER TABLE message DROP CONSTRAINT control_gets_nothing"))
            else:
                connection.execute(text("PRAGMA ignore_check_constraints = ON"))
            connection.execute(text("UPDATE message SET arm = 'control' WHERE customer_id = 'C000000'"))
        opened = exchange(ledger, PLAN, wanted=wanted, mode=Mode("smtp"), now=NOW)
        assert [message.customer_id for message in opened.messages] == ["C000001"]
        assert state(ledger, 0)[:2] == ("suppressed", "in the control arm, which gets nothing")


class TestPause:
    @pytest.fixture
    def claimed(self, ledger: Ledger) -> list[PlannedMessage]:
        register(ledger, several(4))
        return claim(ledger, PLAN, 0, now=NOW, limit=4)

    def test_opens_nothing_until_it_is_resumed(self, ledger: Ledger, claimed: list[PlannedMessage]) -> None:
        plan = ledger.plan("winback")
        assert plan is not None
        assert pause(ledger, plan, who="Mei", why="wrong price", now=NOW)
        assert not pause(ledger, plan, who="Li", why="again", now=NOW)
        found = exchange(ledger, PLAN, wanted=claimed, mode=Mode("smtp"), now=NOW)
        assert (found.messages, found.running) == ((), False)
        why = paused(ledger, PLAN)
        assert why is not None
        assert (why.who, why.why, why.at) == ("Mei", "wrong price", NOW)
        resume(ledger, plan, who="Mei", why="mended", now=NOW)
        assert paused(ledger, PLAN) is None
        assert len(exchange(ledger, PLAN, wanted=claimed, mode=Mode("smtp"), now=NOW).messages) == 4

    def test_answers_under_way_are_written_down(self, ledger: Ledger, claimed: list[PlannedMessage]) -> None:
        plan = ledger.plan("winback")
        assert plan is not None
        opened = exchange(ledger, PLAN, wanted=claimed[:2], mode=Mode("smtp"), now=NOW).messages
        pause(ledger, plan, who="Mei", why="wrong price", now=NOW)
        answers = [Receipt(message.message_id, Outcome.ACCEPTED) for message in opened]
        exchange(ledger, PLAN, answers=answers, wanted=claimed[2:], mode=Mode("smtp"), now=NOW)
        assert ledger.tally(PLAN)[MessageState.ACCEPTED] == 2

    def test_a_pause_of_one_wave_holds_the_next_and_both_are_resumed(self, ledger: Ledger) -> None:
        first = register(ledger, several(1), plan_id="one", wave="2026-03-05")
        second = register(ledger, several(1, campaign="again"), plan_id="two", wave="2026-03-12")
        assert pause(ledger, first, who="breaker", why="too many bounces", now=NOW)
        assert paused(ledger, second.plan_id) is None
        why = standing_still(ledger, "winback")
        assert why is not None
        assert why.why == "too many bounces"
        assert standing_still(ledger, "spring") is None
        resume(ledger, second, who="Mei", why="a new list", now=NOW)
        assert standing_still(ledger, "winback") is None
