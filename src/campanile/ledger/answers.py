"""What came back from customers, as events of the customer database: one per message and kind, people's only."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from sqlalchemy import Row, Select, and_, exists, or_, select

from campanile.events import EventType
from campanile.ledger import tables
from campanile.ledger.refusals import GLOBAL
from campanile.ledger.response_tables import delivery, delivery_event, redemption, refusal
from campanile.ledger.store import Ledger

_CHUNK = 2_000
#: Moment that a message folds to → the event that it is to the shop.
_MOMENTS = {
    "opened_at": "opened",
    "clicked_at": "clicked",
    "replied_at": "replied",
    "complained_at": "spam_report",
    "ended_at": "bounced",
}


def answers(ledger: Ledger) -> Iterator[dict[str, Any]]:
    """Every event with the columns of the customers' own table of responses; streamed.

    Opens and clicks of machines stay in the ledger. Whoever took a refusal back has not refused. A no to one topic is
    none to the channel, so it is left out.
    """
    with ledger.reading() as connection:
        for query in (_of_messages(), _refusals(), _redeemed()):
            for row in connection.execution_options(yield_per=_CHUNK).execute(query):
                yield from _events(row)


def _of_messages() -> Select[Any]:
    message, plan = tables.message, tables.plan
    moments = [delivery.c[name] for name in _MOMENTS]
    return (
        select(message.c.customer_id, message.c.channel, plan.c.campaign, delivery.c.status, *moments)
        .join(message, message.c.message_id == delivery.c.message_id)
        .join(plan, plan.c.plan_id == message.c.plan_id)
        .where(or_(*(moment.is_not(None) for moment in moments)))
    )


def _refusals() -> Select[Any]:
    """Who unsubscribed and has not taken it back, with the message that it was the answer to where there is one."""
    event, plan, listed = delivery_event.c, tables.plan.c, tables.suppression.c
    channel = exists().where(listed.channel == event.channel, listed.address == event.address)
    subjects = (event.channel + ":" + event.address, "customer:" + event.customer_id)
    everything = exists().where(refusal.c.scope == GLOBAL, refusal.c.subject.in_(subjects))
    return (
        select(event.customer_id, event.channel, plan.campaign, event.at.label("unsubscribed_at"))
        .join(tables.plan, plan.plan_id == event.plan_id)
        .where(event.type == EventType.UNSUBSCRIBED.value, event.customer_id != "")
        .where(or_(and_(event.scope == "", channel), and_(event.scope == GLOBAL, everything)))
    )


def _redeemed() -> Select[Any]:
    table, plan = redemption.c, tables.plan.c
    return (
        select(table.customer_id, plan.campaign, table.at.label("redeemed_at"))
        .join(tables.plan, plan.plan_id == table.plan_id)
        .where(table.customer_id != "")
    )


def _events(row: Row[Any]) -> Iterator[dict[str, Any]]:
    said = row._mapping
    shared = {
        "customer_id": said["customer_id"],
        "channel": said.get("channel"),
        "campaign": said["campaign"],
        "machine": None,
        "keyword": None,
        "kind": None,
    }
    for name, event in (*_MOMENTS.items(), ("unsubscribed_at", "unsubscribed"), ("redeemed_at", "used_coupon")):
        at = said.get(name)
        if at is None:
            continue
        more: dict[str, Any] = {}
        if event == "opened":
            more = {"machine": False}
        elif event == "bounced":
            more = {"kind": said["status"]}
        elif event == "used_coupon":
            more = {"kind": "coupon"}
        yield {**shared, "event": event, "at": at, **more}
