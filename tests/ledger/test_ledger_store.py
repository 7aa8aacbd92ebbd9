"""Plans, tallies, suppressions, registrations and history of the ledger."""

from __future__ import annotations

import stat
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from sqlalchemy import insert, text

from campanile.errors import CampanileError
from campanile.events import MessageState, Outcome, PlannedMessage, Receipt
from campanile.ledger import Ledger, Mode, tables
from campanile.ledger.hand_overs import claim, exchange, waiting
from campanile.ledger.repair import settle_unknown
from support.ledgers import recover_dead
from support.plans import NOW, message_id, plan_record, planned, register, several

SMTP = Mode("smtp")


def hand_over(ledger: Ledger, plan_id: str, outcomes: dict[int, Outcome], *, campaign: str = "winback") -> None:
    """Claims everything due and gives each numbered message its outcome."""
    wanted = claim(ledger, plan_id, 0, now=NOW, limit=1000)
    by_id = {message_id(campaign, number): outcome for number, outcome in outcomes.items()}
    wanted = [message for message in wanted if message.message_id in by_id]
    exchange(ledger, plan_id, wanted=wanted, mode=SMTP, now=NOW)
    answers = [Receipt(message.message_id, by_id[message.message_id]) for message in wanted]
    exchange(ledger, plan_id, answers=answers, mode=SMTP, now=NOW)


class TestRegister:
    def test_a_plan_comes_back_as_it_was_written(self, ledger: Ledger) -> None:
        plan = plan_record(spec={"campaign": {"objective": "retention"}, "名": [1, 2.5, None]})
        ledger.register(plan, several(3))
        assert ledger.plan("winback") == plan
        assert ledger.plan("winback", "1") == plan
        assert ledger.plan("winback", "2") is None
        assert ledger.plans() == [plan]

    def test_messages_come_back_as_they_were_planned(self, ledger: Ledger) -> None:
        values = {
            "name": "李",
            "sum": Decimal("50.10"),
            "until": date(2026, 3, 5),
            "at": NOW,
            "on": True,
            "n": {"x": [1]},
        }
        message = planned(1, variables=values, due_at=NOW.astimezone(None))
        register(ledger, [message])
        assert list(waiting(ledger, "plan-winback")) == [(message, NOW)]

    def test_the_same_plan_again_changes_nothing(self, ledger: Ledger) -> None:
        plan = register(ledger, several(3))
        hand_over(ledger, plan.plan_id, {0: Outcome.ACCEPTED})
        ledger.register(plan_record(), several(5))
        assert ledger.tally(plan.plan_id).planned == 3
        assert ledger.tally(plan.plan_id)[MessageState.ACCEPTED] == 1

    def test_another_plan_replaces_one_that_never_began(self, ledger: Ledger) -> None:
        old = register(ledger, several(3))
        ledger.register_experiment(old.plan_id, "winback", "f", "{}", NOW)
        claim(ledger, old.plan_id, 0, now=NOW, limit=2)
        ledger.register(plan_record(plan_id="new"), several(4))
        found = ledger.plan("winback")
        assert found is not None
        assert found.plan_id == "new"
        assert ledger.tally("new").planned == 4
        assert ledger.tally("new")[MessageState.DUE] == 4
        assert ledger.tally(old.plan_id).counts == {}
        assert ledger.registration("winback", "1") is None

    @pytest.mark.parametrize("outcome", list(Outcome))
    def test_another_plan_is_refused_once_a_hand_over_began(self, ledger: Ledger, outcome: Outcome) -> None:
        plan = register(ledger, several(3))
        hand_over(ledger, plan.plan_id, {1: outcome})
        with pytest.raises(CampanileError, match="has already begun to send") as caught:
            ledger.register(plan_record(plan_id="new"), several(3))
        assert "campanile run winback" in str(caught.value)
        found = ledger.plan("winback")
        assert found is not None
        assert found.plan_id == plan.plan_id
        assert ledger.tally(plan.plan_id).adds_up

    def test_a_message_for_control_is_refused_and_nothing_is_written(self, ledger: Ledger) -> None:
        messages = [*several(4), planned(5, arm="control")]
        with pytest.raises(CampanileError, match="control"):
            ledger.register(plan_record(), messages)
        assert ledger.plan("winback") is None
        assert ledger.tally("plan-winback").counts == {}

    def test_the_table_itself_refuses_a_message_for_control(self, ledger: Ledger) -> None:
        register(ledger, several(1))
        row = "UPDATE message SET arm = 'control'"
        with pytest.raises(CampanileError, match="control"), ledger.writing() as connection:
            connection.execute(text(row))

    def test_two_messages_for_one_customer_and_step_are_refused(self, ledger: Ledger) -> None:
        twins = [planned(1), planned(2, customer_id="C000001")]
        with pytest.raises(CampanileError, match="two messages for one customer"):
            ledger.register(plan_record(), twins)
        assert ledger.plan("winback") is None

    def test_a_message_of_another_plan_is_refused(self, ledger: Ledger) -> None:
        register(ledger, several(2))
        with pytest.raises(CampanileError, match="another plan holds already"):
            ledger.register(plan_record("spring"), several(2))

    def test_a_source_that_fails_half_way_leaves_nothing(self, ledger: Ledger) -> None:
        def broken() -> Iterator[PlannedMessage]:
            yield from several(25_000)
            raise OSError("the engine died")

        with pytest.raises(OSError, match="engine"):
            ledger.register(plan_record(), broken())
        assert ledger.plans() == []
        assert ledger.tally("plan-winback").counts == {}

    def test_the_error_names_no_address(self, ledger: Ledger) -> None:
        twins = [planned(1, address="li@mail.example"), planned(2, customer_id="C000001", address="li@mail.example")]
        with pytest.raises(CampanileError) as caught:
            ledger.register(plan_record(), twins)
        assert "li@mail" not in str(caught.value)
        assert caught.value.__cause__ is None


class TestTally:
    def test_counts_every_state_and_adds_up(self, ledger: Ledger) -> None:
        plan = register(ledger, several(7))
        fates = {0: Outcome.ACCEPTED, 1: Outcome.REJECTED, 2: Outcome.UNKNOWN, 3: Outcome.NOT_SENT, 4: Outcome.ACCEPTED}
        hand_over(ledger, plan.plan_id, fates)
        tally = ledger.tally(plan.plan_id)
        assert tally.planned == 7
        assert tally.adds_up
        assert (tally[MessageState.ACCEPTED], tally[MessageState.REJECTED], tally[MessageState.UNKNOWN]) == (2, 1, 1)
        assert (tally[MessageState.DUE], tally[MessageState.CLAIMED]) == (1, 2)
        assert tally.unfinished == 3

    def test_of_one_batch(self, ledger: Ledger) -> None:
        plan = register(ledger, [planned(n, batch=n % 3) for n in range(10)])
        assert ledger.batches(plan.plan_id) == [0, 1, 2]
        assert [ledger.tally(plan.plan_id, batch).planned for batch in (0, 1, 2)] == [4, 3, 3]

    def test_next_due_is_the_earliest_waiting_moment(self, ledger: Ledger) -> None:
        later = NOW + timedelta(hours=3)
        plan = register(ledger, [planned(1, due_at=later), planned(2, due_at=later + timedelta(hours=1))])
        assert ledger.next_due(plan.plan_id) == later
        assert ledger.next_due("nothing") is None


class TestSuppression:
    @pytest.mark.parametrize(
        ("channel", "kept", "asked"),
        [
            ("email", "Li.Wei@Mail.Example", " li.wei@mail.example"),
            ("sms", "+86 138-0013-8000", "+8613800138000"),
        ],
    )
    def test_holds_however_the_address_is_typed(self, ledger: Ledger, channel: str, kept: str, asked: str) -> None:
        assert not ledger.is_suppressed(channel, asked)
        ledger.suppress(channel, kept, reason="unsubscribed", source="link", at=NOW)
        assert ledger.is_suppressed(channel, asked)

    def test_is_per_channel(self, ledger: Ledger) -> None:
        ledger.suppress("email", "a@b.example", reason="complaint", source="provider", at=NOW)
        assert not ledger.is_suppressed("sms", "a@b.example")

    def test_the_first_reason_stays(self, ledger: Ledger) -> None:
        ledger.suppress("email", "a@b.example", reason="complaint", source="provider", at=NOW)
        ledger.suppress("email", "a@b.example", reason="unsubscribed", source="link", at=NOW + timedelta(days=1))
        with ledger.reading() as connection:
            rows = connection.execute(tables.suppression.select()).all()
        assert [(row.reason, row.at) for row in rows] == [("complaint", NOW)]


class TestRegistration:
    def test_the_first_one_stays(self, ledger: Ledger) -> None:
        plan = register(ledger, several(1))
        assert ledger.registration("winback", "1") is None
        ledger.register_experiment(plan.plan_id, "winback", "first", '{"alpha": 0.05}', NOW)
        ledger.register_experiment(plan.plan_id, "winback", "second", "{}", NOW + timedelta(days=1))
        kept = ledger.registration("winback", "1")
        assert kept is not None
        assert (kept.fingerprint, kept.spec_json, kept.at, kept.wave) == ("first", '{"alpha": 0.05}', NOW, "1")

    def test_of_a_plan_that_does_not_exist_is_not_kept(self, ledger: Ledger) -> None:
        ledger.register_experiment("nothing", "winback", "f", "{}", NOW)
        assert ledger.registration("winback", "1") is None


class TestHistory:
    def test_contacts_are_what_providers_took_or_may_have(self, ledger: Ledger) -> None:
        plan = register(ledger, several(4))
        hand_over(
            ledger, plan.plan_id, {0: Outcome.ACCEPTED, 1: Outcome.REJECTED, 2: Outcome.UNKNOWN, 3: Outcome.NOT_SENT}
        )
        found = {contact.customer_id: contact for contact in ledger.contacts()}
        assert {name: contact.arrived for name, contact in found.items()} == {
            "C000000": True, "C000001": False, "C000002": True, "C000003": False,
        }  # fmt: skip
        assert (found["C000000"].campaign, found["C000000"].at) == ("winback", NOW)
        assert list(ledger.contacts(ledger.last_serial())) == []

    def test_a_message_tried_twice_comes_last_as_it_ended(self, ledger: Ledger) -> None:
        plan = register(ledger, several(1))
        hand_over(ledger, plan.plan_id, {0: Outcome.NOT_SENT})
        later = NOW + timedelta(minutes=2)
        again = claim(ledger, plan.plan_id, 0, now=later, limit=10)
        exchange(ledger, plan.plan_id, wanted=again, mode=SMTP, now=later)
        answers = [Receipt(again[0].message_id, Outcome.ACCEPTED)]
        exchange(ledger, plan.plan_id, answers=answers, mode=SMTP, now=later)
        assert [(contact.at, contact.arrived) for contact in ledger.contacts()] == [(NOW, False), (later, True)]

    def test_what_was_written_since_a_number_is_told_whatever_the_clock_says(self, ledger: Ledger) -> None:
        plan = register(ledger, several(6))
        hand_over(ledger, plan.plan_id, {0: Outcome.ACCEPTED, 1: Outcome.UNKNOWN})
        recover_dead(ledger, plan.plan_id, SMTP, NOW)
        read = ledger.last_serial()
        wanted = claim(ledger, plan.plan_id, 0, now=NOW, limit=1)
        earlier = NOW - timedelta(days=2)
        exchange(ledger, plan.plan_id, wanted=wanted, mode=SMTP, now=earlier)
        exchange(
            ledger, plan.plan_id, answers=[Receipt(wanted[0].message_id, Outcome.ACCEPTED)], mode=SMTP, now=earlier
        )
        unknown = message_id("winback", 1)
        settle_unknown(ledger, plan.plan_id, [unknown], verdict="rejected", who="Mei", why="log", now=earlier)
        exchange(ledger, plan.plan_id, wanted=claim(ledger, plan.plan_id, 0, now=NOW, limit=1), mode=SMTP, now=earlier)
        recover_dead(ledger, plan.plan_id, SMTP, earlier)
        told = {contact.message_id: contact.arrived for contact in ledger.contacts(read)}
        assert len(told) == 3
        assert told[unknown] is False
        assert told[wanted[0].message_id] is True

    def test_every_ledger_has_an_identity_of_its_own(self, ledger: Ledger, tmp_path: Path) -> None:
        with Ledger.open(tmp_path / "another.sqlite") as another:
            assert another.identity != ledger.identity
        assert len(ledger.identity) == 32

    def test_export_holds_every_message_and_no_address(self, ledger: Ledger, tmp_path: Path) -> None:
        plan = register(ledger, several(5))
        hand_over(ledger, plan.plan_id, {0: Outcome.ACCEPTED, 1: Outcome.REJECTED})
        path = tmp_path / "deep" / "messages.parquet"
        ledger.export_messages(plan.plan_id, path)
        table = pq.read_table(path)
        assert table.column_names == [
            "message_id", "customer_id", "arm", "step", "channel", "state", "reason", "attempts",
        ]  # fmt: skip
        rows = {row["customer_id"]: row for row in table.to_pylist()}
        assert len(rows) == 5
        assert (rows["C000000"]["state"], rows["C000000"]["attempts"]) == ("accepted", 1)
        assert rows["C000001"]["reason"] == "refused"
        assert b"mail.example" not in path.read_bytes()

    def test_export_of_nothing_is_an_empty_table(self, ledger: Ledger, tmp_path: Path) -> None:
        ledger.export_messages("nothing", tmp_path / "m.parquet")
        assert pq.read_table(tmp_path / "m.parquet").num_rows == 0


def test_the_file_is_readable_by_its_owner_only(tmp_path: Path) -> None:
    with Ledger.open(tmp_path / "deep" / "ledger.sqlite") as ledger:
        register(ledger, several(1))
        for path in (tmp_path / "deep").glob("ledger.sqlite*"):
            assert stat.S_IMODE(path.stat().st_mode) == 0o600, path.name


def test_commits_are_durable_at_once(ledger: Ledger) -> None:
    with ledger.reading() as connection:
        if ledger.database.shared:
            assert connection.exec_driver_sql("SHOW synchronous_commit").scalar() == "on"
            return
        assert connection.exec_driver_sql("PRAGMA journal_mode").scalar() == "wal"
        assert connection.exec_driver_sql("PRAGMA synchronous").scalar() == 2
        assert connection.exec_driver_sql("PRAGMA foreign_keys").scalar() == 1


def test_a_second_open_attempt_is_refused_by_the_table(ledger: Ledger) -> None:
    plan = register(ledger, several(1))
    claimed = claim(ledger, plan.plan_id, 0, now=NOW, limit=1)
    exchange(ledger, plan.plan_id, wanted=claimed, mode=SMTP, now=NOW)
    row = {"message_id": claimed[0].message_id, "n": 2, "channel": "smtp", "opened_at": NOW}
    with pytest.raises(CampanileError, match="handed over twice"), ledger.writing() as connection:
        connection.execute(insert(tables.attempt).values(**row))


def test_moments_keep_their_instant(ledger: Ledger) -> None:
    due = datetime(2026, 3, 5, 10, 30, tzinfo=UTC)
    register(ledger, [planned(1, due_at=due)])
    message, not_before = next(iter(waiting(ledger, "plan-winback")))
    assert message.due_at == not_before == due
