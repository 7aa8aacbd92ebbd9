"""Who a token means: the message, its plan, where its link leads. What was read once is remembered for a while."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass

from sqlalchemy import select

from campanile.ledger import Ledger, PlanRecord, tables, variables
from campanile.ledger.store import plan_record_of
from campanile.spec.connections import destination, tagged
from campanile.spec.fields import Unreadable

_REMEMBERED = 20_000


@dataclass(frozen=True, slots=True)
class Recipient:
    """The message that a token names, as far as pages show it."""

    message_id: str
    customer_id: str
    channel: str
    plan: PlanRecord
    #: Where its link leads; "" when no page was planned.
    destination: str


class Recipients:
    """Finds recipients by message id."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._known: OrderedDict[str, Recipient] = OrderedDict()
        self._plans: dict[str, PlanRecord] = {}

    def known(self, message_id: str) -> Recipient | None:
        """The recipient if it was read lately; asks nobody."""
        found = self._known.get(message_id)
        if found is not None:
            self._known.move_to_end(message_id)
        return found

    def find(self, message_id: str) -> Recipient | None:
        """The recipient of a message; None when there is no such message."""
        table = tables.message.c
        query = select(table.customer_id, table.channel, table.plan_id, table.arm).where(table.message_id == message_id)
        with self._ledger.reading() as connection:
            row = connection.execute(query).first()
            if row is None:
                return None
            plan = self._plans.get(row.plan_id)
            if plan is None:
                asked = select(tables.plan).where(tables.plan.c.plan_id == row.plan_id)
                plan = self._plans[row.plan_id] = plan_record_of(connection.execute(asked).one())
        page = safe_destination(plan)
        if page and plan.tags_links:
            page = tagged(page, medium=row.channel, campaign=plan.campaign, arm=row.arm)
        found = Recipient(message_id, row.customer_id, row.channel, plan, page)
        self._known[message_id] = found
        if len(self._known) > _REMEMBERED:
            self._known.popitem(last=False)
        return found

    def fields(self, message_id: str) -> Mapping[str, object]:
        """The customer's fields that were frozen for the message."""
        query = select(tables.message.c.variables).where(tables.message.c.message_id == message_id)
        with self._ledger.reading() as connection:
            text = connection.scalar(query)
        return variables.load(text) if text else {}


def safe_destination(plan: PlanRecord) -> str:
    """The page that the plan's links lead to; "" when it has none, or one that no check would have let through."""
    try:
        return destination(plan.destination)
    except Unreadable:
        return ""
