"""The same answers on SQLite and PostgreSQL: kept once, folded, in force, replayed to the same."""

from __future__ import annotations

import random
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from campanile.events import MessageState
from campanile.ledger import Ledger, Mode, tables
from campanile.ledger.answers import answers
from campanile.ledger.attribution import answers_of
from campanile.ledger.erasing import replace_customer, stranger_of
from campanile.ledger.hand_overs import claim, exchange
from campanile.ledger.refusals import Refused, erased_among, refused_in, suppress_all, suppression_list
from campanile.ledger.response_tables import consent, delivery, delivery_event, inbox, refusal
from campanile.messages.tokens import KeyRing
from campanile.responses import own
from campanile.responses.coupons import Redeemed, index_codes, redeem
from campanile.responses.inbox import Arrival, forget_understood, keep
from campanile.responses.process import process
from campanile.responses.reconcile import reconcile
from support.ledgers import KINDS, ledger_place
from support.plans import NOW, message_id, plan_record, register, several

RING = KeyRing({1: b"k" * 32})
CODED = {"campaign": {"offer": {"kind": "coupon", "amount": 50, "code": "one per customer"}}}


@pytest.fixture(params=KINDS)
def ledger(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Ledger]:
    with ledger_place(request.param, tmp_path) as place, Ledger.open(place) as opened:
        register(opened, several(8), spec=CODED, arms={"control": 8, "treatment": 8})
        yield opened


def arrival(number: int, kind: str, key: str, minutes: int = 60, **more: object) -> Arrival:
    at = (NOW + timedelta(minutes=minutes)).isoformat()
    said = {"type": kind, "message_id": message_id("winback", number), "at": at, **more}
    return Arrival(own.GENERIC, key, own.written(said))


STORY = [
    arrival(0, "queued", "a"), arrival(0, "delivered", "b", 61), arrival(0, "clicked", "c", 70),
    arrival(0, "clicked", "d", 71),
    arrival(1, "bounced", "e", reject_reason="bounced"), arrival(2, "unsubscribed", "f"),
    arrival(2, "subscribed", "g", 90, scope="global"), arrival(3, "unsubscribed", "h", scope="global"),
    arrival(4, "complained", "i"), arrival(5, "inbound", "j", words="call me"),
]  # fmt: skip


def told(ledger: Ledger, arrivals: list[Arrival]) -> None:
    with ledger.sharing() as connection:
        keep(connection, arrivals, NOW)


def made(ledger: Ledger) -> list[Any]:
    with ledger.reading() as connection:
        found = []
        for table in (delivery, delivery_event, consent, refusal, tables.suppression):
            rows = [tuple(row) for row in connection.execute(select(table))]
            found.append(sorted(rows, key=str))
        return found


def test_any_order_and_any_chunks_come_to_the_same(ledger: Ledger) -> None:
    told(ledger, STORY)
    assert process(ledger).events == len(STORY)
    before = made(ledger)
    forget_understood(ledger)
    chance = random.Random(3)
    with ledger.writing() as connection:
        numbers = list(connection.scalars(select(inbox.c.number)))
        shuffled = chance.sample(range(1_000, 2_000), len(numbers))
        for number, other in zip(numbers, shuffled, strict=True):
            connection.execute(inbox.update().where(inbox.c.number == number).values(number=other))
    told(ledger, chance.choices(STORY, k=6))
    while process(ledger, most=3).read:
        pass
    assert made(ledger) == before


def test_what_it_came_to(ledger: Ledger) -> None:
    told(ledger, STORY)
    process(ledger)
    assert {row.address for row in suppression_list(ledger)} == {"c1@mail.example", "c4@mail.example"}
    assert set(refused_in(ledger, [])) == {
        ("email", "c1@mail.example"), ("email", "c3@mail.example"), ("email", "c4@mail.example"),
        ("customer", "C000003"),
    }  # fmt: skip
    events = sorted((row["customer_id"], row["event"]) for row in answers(ledger))
    assert events == [
        ("C000000", "clicked"), ("C000001", "bounced"), ("C000003", "unsubscribed"), ("C000004", "spam_report"),
        ("C000005", "replied"),
    ]  # fmt: skip
    plan = ledger.plan("winback")
    assert plan is not None
    arm = answers_of(ledger, [plan])[0]
    assert (arm.clicked, arm.clicks, arm.failed, arm.replied, arm.complained) == (1, 2, 1, 1, 1)
    assert reconcile(ledger, now=NOW, silence=timedelta(days=1)).settled == 0


def test_the_gate_keeps_back_whoever_refused_since_the_plan_was_made(ledger: Ledger) -> None:
    told(ledger, STORY)
    process(ledger)
    plan_id = plan_record().plan_id
    wanted = claim(ledger, plan_id, 0, now=NOW, limit=10)
    opened = exchange(ledger, plan_id, wanted=wanted, mode=Mode("smtp"), now=NOW)
    assert {each.customer_id for each in opened.messages} == {f"C{n:06d}" for n in (0, 2, 5, 6, 7)}
    assert opened.aside == {MessageState.SUPPRESSED: 3}


def test_a_code_is_found_and_good_for_one_order(ledger: Ledger) -> None:
    assert index_codes(ledger, RING) == 8
    assert index_codes(ledger, RING) == 0
    code = RING.code(message_id("winback", 6))
    said = [redeem(ledger, Redeemed(code, order, NOW, 9_900)).state for order in ("O1", "O1", "O2")]
    assert said == ["redeemed", "known", "used"]
    assert redeem(ledger, Redeemed("NOSUCHCODE", "O1", NOW)).state == "unknown"
    assert [row["event"] for row in answers(ledger)] == ["used_coupon"]


def test_a_stranger_in_the_place_of_a_customer(ledger: Ledger) -> None:
    told(ledger, STORY)
    process(ledger)
    suppress_all(ledger, [Refused("email", "c1@mail.example", "x", "file x.csv", NOW)])
    stranger = stranger_of(ledger, "C000001", why="asked", now=NOW)
    assert stranger_of(ledger, "C000001", why="asked", now=NOW) == stranger
    addresses = [("email", "c1@mail.example")]
    for _ in range(2):
        replace_customer(ledger, "C000001", stranger, addresses=addresses, now=NOW)
    with ledger.reading() as connection:
        every = repr([connection.execute(select(table)).all() for table in tables.metadata.tables.values()])
    for trace in ("C000001", "c1@mail.example", message_id("winback", 1)):
        assert trace not in every
    assert list(erased_among(ledger, [*addresses, ("email", "c2@mail.example")])) == addresses
    assert ledger.tally(plan_record().plan_id).adds_up
