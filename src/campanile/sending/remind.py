"""Who needs no reminder any more: looked up just before reminders go out, because until then people still order."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

import ibis.expr.types as ir

from campanile.customers.database import CustomerDatabase
from campanile.customers.engine import batches, parquet_rows
from campanile.errors import CampanileError
from campanile.ledger import Ledger, PlanRecord
from campanile.ledger.steps import leave_out, step_is_due
from campanile.spec.campaign import REMINDER
from campanile.spec.project import Project

RESPONDED = "responded"


def leave_out_responders(project: Project, ledger: Ledger, plan: PlanRecord, now: datetime) -> int:
    """How many reminders will not go out, because the customer has ordered since the first message was due.

    Nothing is looked up before a reminder is due.

    Raises:
        CampanileError: No order is known since the first message: nobody can say who has responded.
    """
    if not step_is_due(ledger, plan.plan_id, REMINDER, now):
        return 0
    with CustomerDatabase.open(project, read_only=True) as database:
        return leave_out(
            ledger, plan.plan_id, REMINDER, _responders(project, database, plan, now), reason=RESPONDED, now=now
        )


def _responders(project: Project, database: CustomerDatabase, plan: PlanRecord, now: datetime) -> Iterator[str]:
    """The assigned records whose person has a valid order since the record was due."""
    units = parquet_rows(database, project.home / plan.snapshot).select("customer_id", "due_at")
    persons = database.by_person(units.mutate(record=units["customer_id"]))
    orders = database.net_orders(now)
    found = persons.inner_join(orders.select("customer_id", "at"), "customer_id")
    _check_current(plan, orders, units)
    for batch in batches(database, found.filter(found["at"] >= found["due_at"]).select("record").distinct()):
        yield from (str(value) for value in batch.column(0).to_pylist())


def _check_current(plan: PlanRecord, orders: ir.Table, units: ir.Table) -> None:
    newest, first = orders["at"].max().to_pyarrow().as_py(), units["due_at"].min().to_pyarrow().as_py()
    if newest is None or newest < first:
        raise CampanileError(
            f"no order is known since {plan.campaign} was sent, so nobody can say who needs no reminder",
            "run `campanile import`, then run again",
        )
