"""The way of one message through the ledger: claim, gate, attempt, answer, recovery, decision."""

from __future__ import annotations

from datetime import datetime, timedelta
from decimal import Decimal

import pytest
from sqlalchemy import select

from campanile.errors import CampanileError, UsageError
from campanile.events import MessageState, Outcome, PlannedMessage, Receipt
from campanile.ledger import Ledger, Mode, Opened, Recovery, tables
from campanile.ledger.hand_overs import TRIES, claim, exchange, release
from campanile.sending.resolve import resolve
from support.ledgers import recover_dead
from support.plans import NOW, message_id, plan_record, planned, register, several

SMTP = Mode("smtp")
OUTBOX = Mode("outbox", idempotent=True)
PLAN = "plan-winback"


def take(ledger: Ledger, now: datetime = NOW, limit: int = 100) -> list[PlannedMessage]:
    return claim(ledger, PLAN, 0, now=now, limit=limit)


def open_all(ledger: Ledger, messages: list[PlannedMessage], **changes: object) -> Opened:
    options: dict[str, object] = {"mode": SMTP, "now": NOW, **changes}
    return exchange(ledger, PLAN, wanted=messages, **options)  # type: ignore[arg-type]


def answer(ledger: Ledger, number: int, outcome: Outcome, detail: str = "", now: datetime = NOW) -> None:
    receipt = Receipt(message_id("winback", number), outcome, detail=detail)
    exchange(ledger, PLAN, answers=[receipt], mode=SMTP, now=now)


def row(ledger: Ledger, number: int) -> tuple[str, str, datetime, int]:
    table = tables.message.c
    query = select(table.state, table.reason, table.not_before, table.attempts)
    with ledger.reading() as connection:
        found = connection.execute(query.where(table.message_id == message_id("winback", number))).one()
    return found.state, found.reason, found.not_before, found.attempts


class TestClaim:
    def test_takes_only_what_is_due_in_order_of_its_moment(self, ledger: Ledger) -> None:
        register(ledger, [planned(n, due_at=NOW + timedelta(minutes=n)) for n in (3, 1, 2, 60)])
        taken = take(ledger, now=NOW + timedelta(minutes=5))
        assert [message.customer_id for message in taken] == ["C000001", "C000002", "C000003"]

    def test_takes_no_more_than_asked_and_nothing_twice(self, ledger: Ledger) -> None:
        register(ledger, several(10))
        first, second, third = take(ledger, limit=4), take(ledger, limit=4), take(ledger, limit=4)
        assert [len(first), len(second), len(third)] == [4, 4, 2]
        assert len({m.message_id for m in (*first, *second, *third)}) == 10

    def test_released_messages_are_due_again(self, ledger: Ledger) -> None:
        register(ledger, several(3))
        release(ledger, [message.message_id for message in take(ledger)])
        assert len(take(ledger)) == 3


class TestGate:
    def test_opens_an_attempt_before_anything_leaves(self, ledger: Ledger) -> None:
        register(ledger, several(2))
        opened = open_all(ledger, take(ledger))
        assert len(opened.messages) == 2
        with ledger.reading() as connection:
            attempts = connection.execute(tables.attempt.select()).all()
        assert [(a.n, a.outcome, a.channel, a.opened_at) for a in attempts] == [(1, None, "smtp", NOW)] * 2

    def test_keeps_back_who_was_suppressed_after_the_claim(self, ledger: Ledger) -> None:
        register(ledger, several(3))
        taken = take(ledger)
        ledger.suppress("email", "C1@MAIL.example", reason="unsubscribed", source="link", at=NOW)
        opened = open_all(ledger, taken)
        assert [m.customer_id for m in opened.messages] == ["C000000", "C000002"]
        assert opened.aside == {MessageState.SUPPRESSED: 1}
        assert row(ledger, 1)[:2] == ("suppressed", "suppressed before the hand-over")

    def test_a_suppression_of_another_channel_does_not_count(self, ledger: Ledger) -> None:
        register(ledger, several(1))
        ledger.suppress("sms", "c0@mail.example", reason="stop", source="reply", at=NOW)
        assert len(open_all(ledger, take(ledger)).messages) == 1

    def test_keeps_back_what_is_too_late(self, ledger: Ledger) -> None:
        register(ledger, [planned(1, expires_at=NOW), planned(2, expires_at=NOW + timedelta(seconds=1))])
        opened = open_all(ledger, take(ledger))
        assert [m.customer_id for m in opened.messages] == ["C000002"]
        assert row(ledger, 1)[:2] == ("expired", "its deadline has passed")

    def test_holds_a_message_until_quiet_hours_end(self, ledger: Ledger) -> None:
        register(ledger, several(1))
        end = NOW + timedelta(hours=8)
        opened = open_all(ledger, take(ledger), held={message_id("winback", 0): end})
        assert not opened.messages
        assert row(ledger, 0)[:3] == ("held", "quiet hours", end)
        assert take(ledger, now=end - timedelta(seconds=1)) == []
        assert len(take(ledger, now=end)) == 1

    def test_lets_a_message_expire_when_quiet_lasts_past_its_deadline(self, ledger: Ledger) -> None:
        register(ledger, [planned(1, expires_at=NOW + timedelta(hours=2))])
        open_all(ledger, take(ledger), held={message_id("winback", 1): NOW + timedelta(hours=2)})
        assert row(ledger, 1)[:2] == ("expired", "quiet hours last until after its deadline")

    @pytest.mark.parametrize("state", ["planned", "sent"])
    def test_opens_nothing_unless_the_plan_is_being_sent(self, ledger: Ledger, state: str) -> None:
        register(ledger, several(2))
        taken = take(ledger)
        ledger.set_state(PLAN, state)  # type: ignore[arg-type]
        opened = open_all(ledger, taken)
        assert (opened.messages, opened.running) == ((), False)
        assert ledger.tally(PLAN)[MessageState.CLAIMED] == 2

    def test_opens_nothing_of_a_plan_that_was_replaced_meanwhile(self, ledger: Ledger) -> None:
        register(ledger, several(2))
        taken = take(ledger)
        ledger.register(plan_record(plan_id="new"), several(2))
        ledger.set_state("new", "sending")
        assert not open_all(ledger, taken).messages
        assert not exchange(ledger, "new", wanted=taken, mode=SMTP, now=NOW).messages
        assert ledger.tally("new")[MessageState.DUE] == 2

    def test_opens_nothing_twice(self, ledger: Ledger) -> None:
        register(ledger, several(1))
        taken = take(ledger)
        answer_all = open_all(ledger, taken)
        answer(ledger, 0, Outcome.UNKNOWN)
        assert len(answer_all.messages) == 1
        assert not open_all(ledger, taken).messages


class TestAnswers:
    @pytest.mark.parametrize(
        ("outcome", "detail", "state", "reason"),
        [
            (Outcome.ACCEPTED, "250 2.0.0", "accepted", "taken: 250 2.0.0"),
            (Outcome.REJECTED, "550 5.1.1", "rejected", "refused: 550 5.1.1"),
            (Outcome.UNKNOWN, "", "unknown", "answer lost"),
        ],
    )
    def test_are_final(self, ledger: Ledger, outcome: Outcome, detail: str, state: str, reason: str) -> None:
        register(ledger, several(1))
        open_all(ledger, take(ledger))
        answer(ledger, 0, outcome, detail)
        assert row(ledger, 0)[:2] == (state, reason)
        assert take(ledger, now=NOW + timedelta(days=1)) == []

    def test_put_off_waits_twice_as_long_each_time_then_gives_up(self, ledger: Ledger) -> None:
        register(ledger, several(1))
        now, pauses = NOW, []
        for _ in range(TRIES):
            open_all(ledger, take(ledger, now=now), now=now)
            answer(ledger, 0, Outcome.NOT_SENT, "451 4.7.1", now=now)
            state, reason, not_before, _ = row(ledger, 0)
            pauses.append((not_before - now) // timedelta(minutes=1))
            now = not_before
        assert pauses[:-1] == [1, 2, 4, 8]
        assert (state, reason) == ("rejected", "gave up after 5 tries, the last: put off: 451 4.7.1")
        assert row(ledger, 0)[3] == TRIES

    def test_returned_messages_are_due_at_once_and_lose_no_try(self, ledger: Ledger) -> None:
        register(ledger, several(1))
        for _ in range(TRIES + 2):
            open_all(ledger, take(ledger))
            exchange(ledger, PLAN, returned=[message_id("winback", 0)], mode=SMTP, now=NOW)
        assert row(ledger, 0)[0] == "due"
        assert row(ledger, 0)[2] == NOW

    def test_a_provider_that_says_when_costs_the_message_no_try(self, ledger: Ledger) -> None:
        register(ledger, several(1))
        for turn in range(TRIES + 2):
            now = NOW + timedelta(minutes=10 * turn)
            open_all(ledger, take(ledger, now=now), now=now)
            asked = Receipt(message_id("winback", 0), Outcome.NOT_SENT, retry_at=now + timedelta(minutes=10))
            exchange(ledger, PLAN, answers=[asked], mode=SMTP, now=now)
            assert row(ledger, 0)[2] == now + timedelta(minutes=10)
        assert row(ledger, 0)[0] == "due"

    def test_who_must_not_be_contacted_is_suppressed_with_the_answer(self, ledger: Ledger) -> None:
        register(ledger, several(2))
        open_all(ledger, take(ledger))
        stopped = [Receipt(message_id("winback", n), Outcome.REJECTED, suppress="stop") for n in (0, 1)]
        exchange(ledger, PLAN, answers=stopped, mode=SMTP, now=NOW)
        exchange(ledger, PLAN, answers=stopped, mode=SMTP, now=NOW)
        assert set(ledger.suppressions()) == {("email", "c0@mail.example"), ("email", "c1@mail.example")}

    def test_what_the_provider_counted_and_charged_is_kept(self, ledger: Ledger) -> None:
        register(ledger, several(1))
        open_all(ledger, take(ledger))
        told = Receipt(message_id("winback", 0), Outcome.ACCEPTED, parts=2, price=Decimal("0.00790"), currency="USD")
        exchange(ledger, PLAN, answers=[told], mode=SMTP, now=NOW)
        with ledger.reading() as connection:
            attempt = connection.execute(tables.attempt.select()).one()
        assert (attempt.parts, attempt.price, attempt.currency) == (2, "0.00790", "USD")

    def test_written_twice_change_nothing(self, ledger: Ledger) -> None:
        register(ledger, several(1))
        open_all(ledger, take(ledger))
        answer(ledger, 0, Outcome.NOT_SENT)
        before = row(ledger, 0)
        answer(ledger, 0, Outcome.NOT_SENT)
        answer(ledger, 0, Outcome.ACCEPTED)
        assert row(ledger, 0) == before


class TestDueMoment:
    """Whatever delays a message, its own moment stays: the offer's last day is counted from it."""

    def test_stays_when_held(self, ledger: Ledger) -> None:
        register(ledger, several(1))
        end = NOW + timedelta(hours=11)
        open_all(ledger, take(ledger), held={message_id("winback", 0): end})
        assert [message.due_at for message in take(ledger, now=end)] == [NOW]

    def test_stays_when_put_off(self, ledger: Ledger) -> None:
        register(ledger, several(1))
        open_all(ledger, take(ledger))
        answer(ledger, 0, Outcome.NOT_SENT)
        assert [message.due_at for message in take(ledger, now=NOW + timedelta(minutes=1))] == [NOW]

    def test_stays_when_a_person_orders_a_second_hand_over(self, ledger: Ledger) -> None:
        plan = register(ledger, several(1))
        open_all(ledger, take(ledger))
        answer(ledger, 0, Outcome.UNKNOWN)
        resolve(ledger, plan, "resend", who="Mei", why="provider's log of 5 March")
        assert [message.due_at for message in take(ledger, now=NOW + timedelta(days=10_000))] == [NOW]


class TestRecovery:
    def test_without_an_attempt_a_message_is_due(self, ledger: Ledger) -> None:
        register(ledger, several(3))
        take(ledger)
        assert recover_dead(ledger, PLAN, SMTP, NOW).due == 3
        assert ledger.tally(PLAN)[MessageState.DUE] == 3

    def test_with_an_open_attempt_nobody_can_know(self, ledger: Ledger) -> None:
        register(ledger, several(3))
        open_all(ledger, take(ledger)[:2])
        found = recover_dead(ledger, PLAN, SMTP, NOW)
        assert (found.due, found.unknown) == (1, 2)
        assert row(ledger, 0)[:2] == ("unknown", "answer lost: the sender stopped before it came")
        assert take(ledger, now=NOW + timedelta(days=1))[0].customer_id == "C000002"

    def test_over_an_idempotent_channel_it_is_due_again(self, ledger: Ledger) -> None:
        register(ledger, several(2))
        open_all(ledger, take(ledger), mode=OUTBOX)
        assert recover_dead(ledger, PLAN, OUTBOX, NOW).due == 2
        assert len(open_all(ledger, take(ledger), mode=OUTBOX).messages) == 2

    def test_a_channel_changed_since_does_not_make_it_repeatable(self, ledger: Ledger) -> None:
        register(ledger, several(1))
        open_all(ledger, take(ledger), mode=SMTP)
        assert recover_dead(ledger, PLAN, OUTBOX, NOW).unknown == 1

    def test_twice_changes_nothing(self, ledger: Ledger) -> None:
        register(ledger, several(3))
        open_all(ledger, take(ledger)[:1])
        recover_dead(ledger, PLAN, SMTP, NOW)
        before = ledger.tally(PLAN)
        assert recover_dead(ledger, PLAN, SMTP, NOW) == Recovery()
        assert ledger.tally(PLAN) == before

    def test_leaves_other_plans_alone(self, ledger: Ledger) -> None:
        register(ledger, several(2))
        register(ledger, several(2, campaign="spring"), campaign="spring")
        take(ledger)
        recover_dead(ledger, "plan-spring", SMTP, NOW)
        assert ledger.tally(PLAN)[MessageState.CLAIMED] == 2


class TestResolve:
    @pytest.fixture
    def unknown(self, ledger: Ledger) -> None:
        register(ledger, several(4))
        open_all(ledger, take(ledger))
        answer(ledger, 0, Outcome.ACCEPTED)
        for number in (1, 2, 3):
            answer(ledger, number, Outcome.UNKNOWN)
        ledger.set_state(PLAN, "sent")

    def decide(self, ledger: Ledger, decision: str, *numbers: int) -> int:
        ids = [message_id("winback", number) for number in numbers]
        plan = ledger.plan("winback")
        assert plan is not None
        return resolve(ledger, plan, decision, who="Mei", why="provider's log of 5 March", message_ids=ids)

    @pytest.mark.usefixtures("unknown")
    def test_every_unknown_message_by_default(self, ledger: Ledger) -> None:
        assert self.decide(ledger, "accepted") == 3
        assert ledger.tally(PLAN)[MessageState.ACCEPTED] == 4
        assert row(ledger, 1)[1] == "resolved as accepted by Mei: provider's log of 5 March"
        assert len(list(ledger.contacts())) == 4

    @pytest.mark.usefixtures("unknown")
    def test_leaves_an_event_for_each(self, ledger: Ledger) -> None:
        self.decide(ledger, "rejected", 1, 2)
        with ledger.reading() as connection:
            events = connection.execute(tables.event.select()).all()
        assert {event.message_id for event in events} == {message_id("winback", 1), message_id("winback", 2)}
        assert {(e.kind, e.who, e.why) for e in events} == {
            ("resolved as rejected", "Mei", "provider's log of 5 March")
        }
        assert ledger.tally(PLAN)[MessageState.UNKNOWN] == 1

    @pytest.mark.usefixtures("unknown")
    def test_resend_makes_it_due_now_and_the_plan_unfinished(self, ledger: Ledger) -> None:
        self.decide(ledger, "resend", 2)
        plan = ledger.plan("winback")
        assert plan is not None
        assert plan.state == "sending"
        again = take(ledger, now=NOW + timedelta(days=10_000))
        assert [message.customer_id for message in again] == ["C000002"]
        assert len(open_all(ledger, again).messages) == 1
        assert row(ledger, 2)[3] == 2

    @pytest.mark.usefixtures("unknown")
    def test_of_a_message_that_is_not_unknown_changes_nothing(self, ledger: Ledger) -> None:
        with pytest.raises(CampanileError, match="is not unknown; nothing was changed"):
            self.decide(ledger, "rejected", 1, 0)
        assert ledger.tally(PLAN)[MessageState.UNKNOWN] == 3

    @pytest.mark.usefixtures("unknown")
    def test_needs_a_person_and_a_reason(self, ledger: Ledger) -> None:
        plan = ledger.plan("winback")
        assert plan is not None
        with pytest.raises(UsageError, match="who makes it and why"):
            resolve(ledger, plan, "accepted", who=" ", why="x")
        with pytest.raises(UsageError, match='did you mean "accepted"'):
            resolve(ledger, plan, "acepted", who="Mei", why="x")
