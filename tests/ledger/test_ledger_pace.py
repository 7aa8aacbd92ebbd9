"""Token buckets: workers together begin no more than a rate allows, and a provider's wait holds for all of them."""

from __future__ import annotations

import threading
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import insert, update

from campanile.events import Outcome, PlannedMessage, Receipt
from campanile.ledger import Ledger, Mode, Opened, tables
from campanile.ledger.breakers import Answer, tripped, weigh
from campanile.ledger.hand_overs import claim, exchange
from campanile.ledger.pausing import pause, resume
from campanile.ledger.response_tables import delivery
from campanile.ledger.rules import Rate
from campanile.spec.sending import Breaker, Breakers, Filtered
from support.ledgers import ledger_place
from support.plans import NOW, message_id, register, several

PLAN = "plan-winback"
ACCEPTED, REJECTED, NOT_SENT = Outcome.ACCEPTED, Outcome.REJECTED, Outcome.NOT_SENT


@pytest.fixture
def claimed(ledger: Ledger) -> list[PlannedMessage]:
    register(ledger, several(60))
    return claim(ledger, PLAN, 0, now=NOW, limit=60)


def open_with(ledger: Ledger, wanted: list[PlannedMessage], *rates: Rate) -> Opened:
    return exchange(ledger, PLAN, wanted=wanted, mode=Mode("smtp", rates=rates), now=NOW)


class TestRates:
    def test_lets_a_burst_through_and_then_says_how_long_to_wait(
        self, ledger: Ledger, claimed: list[PlannedMessage]
    ) -> None:
        rate = Rate("email", per_second=2.0, burst=10.0)
        first = open_with(ledger, claimed[:30], rate)
        assert (len(first.messages), len(first.left)) == (10, 20)
        assert 0 < first.wait <= 0.5
        assert not open_with(ledger, list(first.left), rate).messages
        time.sleep(first.wait + 0.05)
        assert len(open_with(ledger, list(first.left), rate).messages) == 1

    def test_the_tightest_of_several_rates_holds(self, ledger: Ledger, claimed: list[PlannedMessage]) -> None:
        rates = (Rate("email", 100.0, 100.0), Rate("news@m.example.com", 1.0, 3.0))
        assert len(open_with(ledger, claimed[:30], *rates).messages) == 3
        assert len(open_with(ledger, claimed[30:], rates[0]).messages) == 30, "what was not begun costs no token"

    def test_what_the_gate_keeps_back_costs_no_token(self, ledger: Ledger, claimed: list[PlannedMessage]) -> None:
        for message in claimed[:5]:
            ledger.suppress("email", message.address, reason="x", source="y", at=NOW)
        rate = Rate("email", 0.001, 10.0)
        assert len(open_with(ledger, claimed[:10], rate).messages) == 5
        assert len(open_with(ledger, claimed[10:], rate).messages) == 5

    @pytest.mark.parametrize("jump", [timedelta(days=-400), timedelta(days=400)])
    def test_a_clock_that_jumps_gives_at_most_one_burst(
        self, ledger: Ledger, claimed: list[PlannedMessage], jump: timedelta
    ) -> None:
        rate = Rate("email", 0.001, 4.0)
        assert len(open_with(ledger, claimed[:20], rate).messages) == 4
        with ledger.writing() as connection:
            connection.execute(update(tables.pace).values(at=datetime.now(UTC) - jump))
        assert len(open_with(ledger, claimed[20:], rate).messages) == (4 if jump > timedelta(0) else 0)

    def test_eight_workers_share_one_bucket(self, tmp_path: Path) -> None:
        with ledger_place("postgres", tmp_path) as place, Ledger.open(place) as ledger:
            register(ledger, several(400))
            opened: list[str] = []
            began, rate = time.monotonic(), Rate("email", per_second=40.0, burst=5.0)

            def work() -> None:
                with Ledger.open(place) as mine:
                    wanted = claim(mine, PLAN, 0, now=NOW, limit=50)
                    while time.monotonic() < began + 1.5 and wanted:
                        found = open_with(mine, wanted, rate)
                        opened.extend(message.message_id for message in found.messages)
                        wanted = list(found.left)
                        time.sleep(found.wait)

            threads = [threading.Thread(target=work) for _ in range(8)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join(30)
            most = 5 + 40 * (time.monotonic() - began) + 1
            assert 20 < len(opened) <= most
            assert len(set(opened)) == len(opened)


class TestProvidersWord:
    def test_a_provider_that_asks_for_time_gets_it_from_every_worker(
        self, ledger: Ledger, claimed: list[PlannedMessage]
    ) -> None:
        rates = (Rate("email"),)
        (message,) = open_with(ledger, claimed[:1], *rates).messages
        until = datetime.now(UTC) + timedelta(seconds=90)
        asked = Receipt(message.message_id, NOT_SENT, detail="429", retry_at=until)
        mode = Mode("smtp", rates=rates)
        found = exchange(ledger, PLAN, answers=[asked], wanted=claimed[1:], mode=mode, now=datetime.now(UTC))
        assert (found.messages, len(found.left)) == ((), 59)
        assert 85 < found.wait <= 90
        assert not open_with(ledger, claimed[1:], *rates).messages
        assert len(open_with(ledger, claimed[1:3], Rate("sms")).messages) == 2, "another channel does not wait"

    def test_it_is_no_error_of_ours(self, ledger: Ledger) -> None:
        register(ledger, several(60))
        wanted = claim(ledger, PLAN, 0, now=NOW, limit=60)
        exchange(ledger, PLAN, wanted=wanted, mode=Mode("smtp"), now=NOW)
        until = NOW + timedelta(minutes=1)
        asked = [Receipt(message.message_id, NOT_SENT, detail="429", retry_at=until) for message in wanted]
        exchange(ledger, PLAN, answers=asked, mode=Mode("smtp"), now=NOW)
        assert tripped(ledger, PLAN, Breakers()) is None


class TestBreakers:
    LIMITS = Breakers(
        bounces=Breaker(above="5%", of=200),  # type: ignore[arg-type]
        filtered=Filtered(above="2%", of=500, codes=("30007",)),  # type: ignore[arg-type]
        errors_in_a_row=25,
    )

    def test_more_refusals_than_their_share_of_the_window(self) -> None:
        fine = [Answer(ACCEPTED)] * 300
        assert weigh([Answer(REJECTED)] * 10 + fine, self.LIMITS) is None
        said = weigh([Answer(REJECTED)] * 11 + fine, self.LIMITS)
        assert said == "11 of the latest 200 recipients were refused for good: more than 5% of 200"
        assert weigh(fine[:200] + [Answer(REJECTED)] * 50, self.LIMITS) is None, "what is long ago does not count"

    def test_refusals_among_few_answers_count_as_soon_as_they_are_too_many(self) -> None:
        assert weigh([Answer(REJECTED)] * 11, self.LIMITS) is not None

    def test_messages_filtered_as_spam(self) -> None:
        codes = [Answer(ACCEPTED, "delivered")] * 300 + [Answer(Outcome.UNKNOWN, "30007 filtered")] * 11
        assert weigh(codes, self.LIMITS) == "11 of the latest 311 messages were filtered as spam"
        assert weigh(codes[:-1], self.LIMITS) is None

    def test_errors_in_a_row(self) -> None:
        errors = [Answer(NOT_SENT, "451"), Answer(Outcome.UNKNOWN)] * 13
        assert weigh(errors[:24] + [Answer(ACCEPTED)] + errors, self.LIMITS) is None
        said = weigh(errors[:25] + [Answer(ACCEPTED)], self.LIMITS)
        assert said == "25 hand-overs in a row were put off or got no answer, the last: 451"

    def test_are_asked_of_one_plan_and_forget_at_a_resumption(self, ledger: Ledger) -> None:
        plan = register(ledger, several(30))
        register(ledger, several(30, campaign="spring"), campaign="spring")
        wanted = claim(ledger, PLAN, 0, now=NOW, limit=30)
        exchange(ledger, PLAN, wanted=wanted, mode=Mode("smtp"), now=NOW)
        refused = [Receipt(message.message_id, REJECTED, detail="550 5.1.1") for message in wanted]
        exchange(ledger, PLAN, answers=refused, mode=Mode("smtp"), now=NOW)
        assert tripped(ledger, "plan-spring", self.LIMITS) is None
        why = tripped(ledger, PLAN, self.LIMITS)
        assert why == "30 of the latest 30 recipients were refused for good: more than 5% of 200"
        pause(ledger, plan, who="breaker", why=why, now=NOW)
        resume(ledger, plan, who="Mei", why="the list is mended", now=NOW)
        assert tripped(ledger, PLAN, self.LIMITS) is None

    def test_count_what_providers_report_later(self, ledger: Ledger) -> None:
        plan = register(ledger, several(30))
        at = NOW + timedelta(hours=1)
        rows = [
            {"message_id": message_id("winback", n), "plan_id": PLAN, "status": "delivered", "rules": "1"}
            for n in range(30)
        ]
        with ledger.writing() as connection:
            connection.execute(insert(delivery), rows)
        assert tripped(ledger, PLAN, self.LIMITS) is None
        with ledger.writing() as connection:
            four = delivery.c.message_id.in_([row["message_id"] for row in rows[:4]])
            connection.execute(update(delivery).where(four).values(complained_at=at))
        assert tripped(ledger, PLAN, self.LIMITS) == "4 recipients of 30 called it spam: more than 0.3% of 1000"
        pause(ledger, plan, who="breaker", why="spam", now=at)
        resume(ledger, plan, who="Mei", why="the list is mended", now=at + timedelta(hours=1))
        assert tripped(ledger, PLAN, self.LIMITS) is None
        with ledger.writing() as connection:
            later = {"status": "bounced", "ended_at": at + timedelta(hours=2)}
            connection.execute(update(delivery).where(delivery.c.plan_id == PLAN).values(**later))
        assert tripped(ledger, PLAN, self.LIMITS) == "30 messages of 30 bounced: more than 5% of 200"
