"""Several workers at once: nobody's claim is another's, a dead one's are settled, and no number is missed."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import select, update

from campanile.errors import CampanileError
from campanile.events import MessageState, Outcome, PlannedMessage, Receipt
from campanile.ledger import Ledger, Mode, tables
from campanile.ledger.hand_overs import claim, exchange, release
from campanile.ledger.place import keep_place, move_here
from campanile.ledger.repair import recover
from campanile.ledger.workers import LeaseLostError, discharge, enlist, others, renew
from campanile.spec.places import LedgerPlace
from support.ledgers import end_connections, lapse, ledger_place
from support.plans import NOW, planned, register, several

PLAN = "plan-winback"
SMTP = Mode("smtp")


@pytest.fixture
def place(tmp_path: Path) -> Iterator[LedgerPlace]:
    with ledger_place("postgres", tmp_path) as found:
        yield found


@pytest.fixture
def pair(place: LedgerPlace) -> Iterator[tuple[Ledger, Ledger]]:
    """Two workers on one ledger."""
    with Ledger.open(place, patience=5) as one, Ledger.open(place, patience=5) as two:
        yield one, two


def open_some(ledger: Ledger, count: int) -> list[PlannedMessage]:
    wanted = claim(ledger, PLAN, 0, now=NOW, limit=count)
    return list(exchange(ledger, PLAN, wanted=wanted, mode=SMTP, now=NOW).messages)


def accepted(messages: list[PlannedMessage]) -> list[Receipt]:
    return [Receipt(message.message_id, Outcome.ACCEPTED) for message in messages]


def test_eight_workers_send_every_message_once(place: LedgerPlace) -> None:
    with Ledger.open(place) as ledger:
        register(ledger, several(400))
    handed: Counter[str] = Counter()
    guard, failures = threading.Lock(), []

    def work() -> None:
        try:
            with Ledger.open(place) as mine:
                while opened := open_some(mine, 7):
                    with guard:
                        handed.update(message.message_id for message in opened)
                    exchange(mine, PLAN, answers=accepted(opened), mode=SMTP, now=NOW)
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert not failures
    assert set(handed.values()) == {1}
    with Ledger.open(place) as ledger:
        assert ledger.tally(PLAN)[MessageState.ACCEPTED] == 400
        serials = [contact.serial for contact in ledger.contacts()]
    assert len(serials) == 400
    assert serials == sorted(serials)


def test_a_living_workers_claims_are_left_alone(pair: tuple[Ledger, Ledger]) -> None:
    one, two = pair
    register(one, several(10))
    mine = claim(one, PLAN, 0, now=NOW, limit=4)
    found = recover(two, PLAN, SMTP, NOW)
    assert (found.due, found.unknown) == (0, 0)
    release(two, [message.message_id for message in mine])
    assert two.tally(PLAN)[MessageState.CLAIMED] == 4
    assert not exchange(two, PLAN, wanted=claim(two, PLAN, 0, now=NOW, limit=0) or mine, mode=SMTP, now=NOW).messages
    assert len(exchange(one, PLAN, wanted=mine, mode=SMTP, now=NOW).messages) == 4


def test_a_worker_whose_lease_ended_opens_nothing_more(pair: tuple[Ledger, Ledger]) -> None:
    one, two = pair
    register(one, several(10))
    under_way = open_some(one, 3)
    rest = claim(one, PLAN, 0, now=NOW, limit=4)
    lapse(two)
    found = recover(two, PLAN, SMTP, NOW)
    assert (found.due, found.unknown) == (4, 3)
    assert not renew(one)
    with pytest.raises(LeaseLostError, match="was silent for too long"):
        exchange(one, PLAN, answers=accepted(under_way), wanted=rest, mode=SMTP, now=NOW)
    assert two.tally(PLAN)[MessageState.UNKNOWN] == 3
    again = open_some(two, 10)
    assert {m.message_id for m in again}.isdisjoint(m.message_id for m in under_way)
    assert len(again) == 7


def test_a_worker_that_was_buried_claims_nothing_more(pair: tuple[Ledger, Ledger]) -> None:
    one, two = pair
    register(one, several(10))
    with one.sharing() as connection:
        enlist(one, connection)
    one.enlisted = True
    claim(one, PLAN, 0, now=NOW, limit=2)
    lapse(two)
    recover(two, PLAN, SMTP, NOW)
    with pytest.raises(LeaseLostError):
        claim(one, PLAN, 0, now=NOW, limit=2)
    assert two.tally(PLAN)[MessageState.DUE] == 10


def test_a_lease_that_ended_but_was_not_taken_over_begins_anew(pair: tuple[Ledger, Ledger]) -> None:
    one, two = pair
    register(one, several(3))
    under_way = open_some(one, 3)
    lapse(two)
    assert others(two) == []
    assert renew(one)
    assert len(others(two)) == 1
    assert recover(two, PLAN, SMTP, NOW).unknown == 0
    exchange(one, PLAN, answers=accepted(under_way), mode=SMTP, now=NOW)
    assert two.tally(PLAN)[MessageState.ACCEPTED] == 3


def test_a_worker_that_is_done_is_off_the_list(pair: tuple[Ledger, Ledger]) -> None:
    one, two = pair
    register(one, several(3))
    under_way = open_some(one, 3)
    discharge(one)
    assert len(others(two)) == 1, "it still has claims"
    exchange(one, PLAN, answers=accepted(under_way), mode=SMTP, now=NOW)
    discharge(one)
    assert others(two) == []


def test_who_is_suppressed_beside_a_hand_over_under_way_waits_for_its_commit(pair: tuple[Ledger, Ledger]) -> None:
    """A suppression that has returned is seen by every hand-over after it."""
    one, two = pair
    register(one, several(2))
    done = threading.Event()

    def suppress() -> None:
        two.suppress("email", "c0@mail.example", reason="x", source="y", at=NOW)
        done.set()

    with one.sharing():
        thread = threading.Thread(target=suppress)
        thread.start()
        assert not done.wait(0.3), "not beside a transaction that may open a hand-over"
    assert done.wait(5)
    thread.join()
    assert [message.customer_id for message in open_some(one, 2)] == ["C000001"]


def test_no_number_is_missed_when_transactions_end_in_another_order(pair: tuple[Ledger, Ledger]) -> None:
    one, two = pair
    register(one, several(4))
    slow, fast = open_some(one, 2), open_some(two, 2)
    told: list[int] = []
    reader = threading.Thread(target=lambda: told.append(two.last_serial()))
    with one.sharing() as connection:
        low = one.database.next_serial(connection)
        exchange(two, PLAN, answers=accepted(fast), mode=SMTP, now=NOW)
        reader.start()
        reader.join(0.3)
        assert not told, "who reads up to a number waits for those that have a lower one"
        ids = [message.message_id for message in slow]
        change = update(tables.attempt).where(tables.attempt.c.message_id.in_(ids))
        connection.execute(change.values(outcome="accepted", serial=low))
    reader.join(5)
    assert told[0] > low
    assert len([contact for contact in two.contacts() if contact.serial <= told[0]]) == 4


def test_a_connection_that_the_server_ends_loses_nothing(place: LedgerPlace, pair: tuple[Ledger, Ledger]) -> None:
    one, _ = pair
    register(one, several(6))
    under_way = open_some(one, 3)
    end_connections(place)
    with pytest.raises(CampanileError, match="does not answer; check that PostgreSQL runs"):
        exchange(one, PLAN, answers=accepted(under_way), mode=SMTP, now=NOW)
    exchange(one, PLAN, answers=accepted(under_way), mode=SMTP, now=NOW)
    with Ledger.open(place) as another:
        assert another.tally(PLAN)[MessageState.ACCEPTED] == 3


def test_a_copy_of_the_schema_cannot_send(tmp_path: Path, place: LedgerPlace) -> None:
    with Ledger.open(place) as ledger:
        register(ledger, several(2))
        keep_place(ledger, cure="say so")
        rows = {}
        with ledger.reading() as connection:
            for table in tables.metadata.sorted_tables:
                rows[table.name] = [dict(row._mapping) for row in connection.execute(select(table))]
    with ledger_place("postgres", tmp_path) as elsewhere, Ledger.open(elsewhere) as copy:
        with copy.writing() as connection:
            connection.execute(tables.meta.delete())
            for table in tables.metadata.sorted_tables:
                if rows[table.name]:
                    connection.execute(table.insert(), rows[table.name])
        with pytest.raises(CampanileError, match=r"is a copy or was moved: it belongs to .*schema campanile_ledger_"):
            keep_place(copy, cure="say so")
        move_here(copy)
        keep_place(copy, cure="say so")


def test_a_schema_that_plans_were_made_with_is_not_made_anew(tmp_path: Path, place: LedgerPlace) -> None:
    snapshot = tmp_path / "snapshots" / "winback" / f"{'0a' * 8}.parquet"
    snapshot.parent.mkdir(parents=True)
    snapshot.touch()
    with pytest.raises(CampanileError, match="is empty, but campaigns were planned with it"):
        Ledger.open(place)


def test_without_its_variable_it_says_which_one(place: LedgerPlace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CAMPANILE_TEST_LEDGER")
    with pytest.raises(CampanileError, match="environment variable CAMPANILE_TEST_LEDGER with the address"):
        Ledger.open(place)


def test_where_no_server_answers_it_says_so_and_quotes_no_password(
    place: LedgerPlace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CAMPANILE_TEST_LEDGER", "postgresql://shop:secret@127.0.0.1:1/none")
    with pytest.raises(CampanileError, match="does not answer") as caught:
        Ledger.open(place)
    assert "secret" not in str(caught.value)
    assert caught.value.__cause__ is None


def test_a_lease_is_a_minute_by_the_servers_clock(place: LedgerPlace) -> None:
    with Ledger.open(place) as ledger:
        register(ledger, [planned(1)])
        claim(ledger, PLAN, 0, now=NOW + timedelta(days=900), limit=1)
        with ledger.reading() as connection:
            row = connection.execute(select(tables.worker)).one()
            seconds = (row.lease_until - ledger.database.now(connection)).total_seconds()
        assert 50 < seconds <= 60
