"""Does the forecast predict? Made as of some time ago, and held against what customers have done since."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta

import ibis
import ibis.expr.types as ir
import numpy as np
import pyarrow as pa

from campanile.customers.database import CustomerDatabase
from campanile.customers.value.fitting import Numbers
from campanile.customers.value.histories import KEYS, floats, histories, numbers, stored, told_apart
from campanile.customers.value.models import model_of
from campanile.customers.zones import naive, shop_day
from campanile.spec.project import Project

_PARTS = 10


@dataclass(frozen=True)
class Part:
    """A tenth of the customers, by what was expected of them: purchases per customer, expected and made."""

    customers: float
    expected: float
    actual: float


@dataclass(frozen=True)
class Holdout:
    """What was expected of all customers over some days, and what they did; tenths from the best down."""

    days: int
    customers: int
    expected: float
    actual: int
    parts: tuple[Part, ...]

    @property
    def sentence(self) -> str:
        """The check in words.

        >>> Holdout(90, 100, 50.0, 40, (Part(10.0, 2.0, 1.5),)).sentence
        '50 repeat orders expected in the last 90 days, 40 made (+25.0%); by the best tenth 2.00 each, made 1.50'
        """
        best = self.parts[0]
        off = f" ({self.expected / self.actual - 1:+.1%})" if self.actual else ""
        return (
            f"{self.expected:,.0f} repeat orders expected in the last {self.days} days, {self.actual:,} made{off}; "
            f"by the best tenth {best.expected:.2f} each, made {best.actual:.2f}"
        )


def check(project: Project, database: CustomerDatabase, as_of: datetime) -> Holdout | None:
    """The forecast of some days ago, held against what was bought since; None when there was none then."""
    days = project.settings.policy.value.holdout
    day = as_of.astimezone(project.zone).date() - timedelta(days=days)
    cutoff = datetime.combine(day, time(), project.zone).astimezone(UTC)
    model = model_of(project, database, cutoff).orders
    rows = histories(project, database, cutoff)
    if model is None or rows is None:
        return None
    found = _with_actual(project, database, told_apart(stored(database, rows, "_before")), (cutoff, as_of))
    weeks = (as_of - cutoff) / timedelta(weeks=1)
    expected = model.expected_orders(weeks, *numbers(found))
    customers, actual = floats(found, "customers"), floats(found, "actual")
    return Holdout(
        days=days,
        customers=int(customers.sum()),
        expected=float(customers @ expected),
        actual=int(actual.sum()),
        parts=parts(customers, expected, actual),
    )


def _with_actual(
    project: Project, database: CustomerDatabase, rows: ir.Table, window: tuple[datetime, datetime]
) -> pa.Table:
    """The distinct histories: how many customers have each, and on how many days they bought in the window."""
    begin, end = window
    orders = database.net_orders(end)
    later = orders.filter(orders["at"] >= ibis.timestamp(naive(begin)))
    days = later.select("customer_id", day=shop_day(later["at"], project.zone)).distinct()
    made = days.group_by("customer_id").agg(made=days.count())
    joined = rows.left_join(made, "customer_id").select(*KEYS, "made")
    grouped = joined.group_by(*KEYS).agg(customers=joined.count(), actual=joined.made.sum().fill_null(0))
    found: pa.Table = grouped.order_by(*KEYS).to_pyarrow()
    return found


def parts(customers: Numbers, expected: Numbers, actual: Numbers) -> tuple[Part, ...]:
    """Tenths of the customers from those of whom most was expected down; equals are spread evenly over the border.

    Args:
        customers: How many customers have each history.
        expected: Purchases expected of each of them.
        actual: Purchases that all of them together have made.

    >>> parts(np.array([10.0, 10.0]), np.array([1.0, 3.0]), np.array([5.0, 40.0]))[0]
    Part(customers=2.0, expected=3.0, actual=4.0)
    """
    order = np.argsort(-expected, kind="stable")
    size = np.concatenate([[0.0], np.cumsum(customers[order])])
    bounds = np.linspace(0, size[-1], _PARTS + 1)
    sums = [
        np.diff(np.interp(bounds, size, np.concatenate([[0.0], np.cumsum(values[order])])))
        for values in (customers, customers * expected, actual)
    ]
    return tuple(Part(float(n), float(made / n), float(done / n)) for n, made, done in zip(*sums, strict=True))
