"""Coupon codes: whose each is, and which orders used it. Shown beside the effect of a campaign, never instead of it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from itertools import islice

from sqlalchemy import ColumnElement, Connection, func, select

from campanile.ledger import Ledger, PlanRecord, tables, variables
from campanile.ledger.response_tables import coupon, insert_new, redemption
from campanile.ledger.response_tables import replace as put
from campanile.ledger.store import plan_record_of
from campanile.messages.context import ONE_PER_CUSTOMER
from campanile.messages.tokens import KeyRing
from campanile.plan.codes import CODE, hands_out_codes
from campanile.spec.campaign import REMINDER

_CHUNK = 5_000


@dataclass(frozen=True, slots=True)
class Redeemed:
    """An order that used a code.

    Attributes:
        amount: What was paid, in minor units; None when the till did not say.
        customer_id: Who bought, when the till knows.
    """

    code: str
    order_id: str
    at: datetime
    amount: int | None = None
    customer_id: str = ""


@dataclass(frozen=True, slots=True)
class Answer:
    """What the till is told.

    Attributes:
        state: `redeemed`, `known` for the same order again, `used` for another order, `unknown` for no code of ours.
    """

    state: str
    campaign: str = ""

    def to_json(self) -> dict[str, object]:
        """The answer as plain JSON values."""
        valid = self.state in {"redeemed", "known"}
        return {"contract": 1, "valid": valid, "state": self.state, "campaign": self.campaign or None}


def redeem(ledger: Ledger, wanted: Redeemed) -> Answer:
    """What became of it: a code of one customer is good for one order, a code for everybody for many."""
    table = redemption.c
    with ledger.writing() as connection:
        owner = _owner(connection, wanted.code)
        if owner is None:
            return Answer("unknown")
        plan_id, campaign, message_id = owner
        used = set(connection.scalars(select(table.order_id).where(table.code == wanted.code)))
        if wanted.order_id in used:
            return Answer("known", campaign)
        if message_id and used:
            return Answer("used", campaign)
        row = {
            "code": wanted.code,
            "order_id": wanted.order_id,
            "at": wanted.at,
            "amount": wanted.amount,
            "plan_id": plan_id,
            "message_id": message_id,
            "customer_id": _customer(connection, message_id) or wanted.customer_id,
        }
        insert_new(connection, redemption, [row])
    return Answer("redeemed", campaign)


def index_codes(ledger: Ledger, ring: KeyRing) -> int:
    """How many codes were written down: all of each plan that gives every customer one, when some were missing."""
    written = 0
    for plan in ledger.plans():
        if not hands_out_codes(plan) and not any(code == ONE_PER_CUSTOMER for code in _codes_of(plan)):
            continue
        query = select(func.count()).where(coupon.c.plan_id == plan.plan_id)
        with ledger.reading() as connection:
            if connection.scalar(query) == connection.scalar(select(func.count()).where(*_first(plan.plan_id))):
                continue
        written += _index(ledger, plan, ring)
    return written


def _index(ledger: Ledger, plan: PlanRecord, ring: KeyRing) -> int:
    written = 0
    messages = _messages(ledger, plan.plan_id)
    pooled = hands_out_codes(plan)
    while chunk := list(islice(messages, _CHUNK)):
        rows = [
            {"code": _code_of(each, text, ring, pooled=pooled), "message_id": each, "plan_id": plan.plan_id}
            for each, text in chunk
        ]
        with ledger.writing() as connection:
            put(connection, coupon, rows)
        written += len(rows)
    return written


def _first(plan_id: str) -> tuple[ColumnElement[bool], ...]:
    """The first message to each customer: a reminder repeats its code."""
    return tables.message.c.plan_id == plan_id, tables.message.c.step != REMINDER


def _messages(ledger: Ledger, plan_id: str) -> Iterator[tuple[str, str]]:
    with ledger.reading() as connection:
        column = tables.message.c
        query = select(column.message_id, column.variables).where(*_first(plan_id))
        for row in connection.execution_options(yield_per=_CHUNK).execute(query):
            yield row.message_id, row.variables


def _code_of(message_id: str, text: str, ring: KeyRing, *, pooled: bool) -> str:
    """The code of a message as tills write it: from the file where it got one, else the one that is made."""
    own = variables.load(text).get(CODE) if pooled else None
    return str(own).upper() if own else ring.code(message_id)


def _owner(connection: Connection, code: str) -> tuple[str, str, str] | None:
    """Plan, campaign and message of a code; a code for everybody has no message. None when it is none of ours."""
    plan = tables.plan.c
    # Through the message: a plan that was made anew has other messages, and one that is gone was never sent.
    query = (
        select(coupon.c.message_id, plan.plan_id, plan.campaign)
        .join(tables.message, tables.message.c.message_id == coupon.c.message_id)
        .join(tables.plan, plan.plan_id == tables.message.c.plan_id)
    )
    row = connection.execute(query.where(coupon.c.code == code)).first()
    if row is not None:
        return row.plan_id, row.campaign, row.message_id
    newest = select(tables.plan).order_by(plan.created_at.desc(), plan.plan_id)
    for found in connection.execute(newest):
        record = plan_record_of(found)
        if code in {each.upper() for each in _codes_of(record)} - {ONE_PER_CUSTOMER.upper()}:
            return record.plan_id, record.campaign, ""
    return None


def _codes_of(plan: PlanRecord) -> Iterator[str]:
    """What `code:` says in the offers of a plan: of the campaign and of its arms."""
    return (str(offer["code"]) for offer in plan.offers if offer.get("code"))


def _customer(connection: Connection, message_id: str) -> str:
    query = select(tables.message.c.customer_id).where(tables.message.c.message_id == message_id)
    return connection.scalar(query) or ""
