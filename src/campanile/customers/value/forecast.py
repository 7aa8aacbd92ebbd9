"""The forecast of every customer: probability to be alive, orders and money of the next twelve months."""

from __future__ import annotations

from datetime import datetime
from typing import cast

import ibis
import ibis.expr.types as ir
import numpy as np
import pyarrow as pa

from campanile.customers import engine
from campanile.customers.database import CustomerDatabase
from campanile.customers.value.fitting import Numbers
from campanile.customers.value.histories import KEYS, distinct, histories, numbers, stored, told_apart
from campanile.customers.value.models import Model, model_of
from campanile.customers.value.purchases import PurchaseModel
from campanile.customers.value.spend import SpendModel
from campanile.spec.project import Project

_YEAR_WEEKS = 365 / 7
_MONTHS = 12
_SCORED = "campanile_scored_histories"


def forecast(
    project: Project, database: CustomerDatabase, as_of: datetime, rows: ir.Table | None = None
) -> ir.Table | None:
    """customer_id and the forecast of everybody who has bought; None when nothing can be told of anybody.

    Args:
        project: Its settings say how to discount.
        database: Where the model is kept.
        as_of: Aware.
        rows: The histories as of that moment, where somebody has read them already.
    """
    model = model_of(project, database, as_of)
    rows = histories(project, database, as_of) if rows is None else rows
    if model.orders is None or rows is None:
        return None
    rows = stored(database, rows)
    scored = _scored(database, told_apart(rows), model.orders, float(project.settings.policy.value.discount))
    value = scored.discounted * _worth(scored, model, project)
    return scored.select("customer_id", "p_alive", "expected_orders_12m", clv_12m=value.round().cast("int64"))


def discounted_orders(
    model: PurchaseModel,
    discount: float,
    x: Numbers,
    t_x: Numbers,
    T: Numbers,  # noqa: N803 - the literature's letters
) -> tuple[Numbers, Numbers]:
    """The purchases expected in twelve months: as they are, and each month's discounted from its middle to today.

    Args:
        model: How customers buy.
        discount: Yearly rate, as in 0.1.
        x: Repeat purchases.
        t_x: Age at the last one, in weeks.
        T: Age now, in weeks.

    >>> model = PurchaseModel(0.243, 4.414, 0.793, 2.426)
    >>> one = [np.array([value]) for value in (2.0, 30.43, 38.86)]
    >>> [each.round(3).tolist() for each in discounted_orders(model, 0.1, *one)]
    [[1.562], [1.495]]
    """
    before, discounted = np.zeros_like(x), np.zeros_like(x)
    for month in range(1, _MONTHS + 1):
        until = model.expected_orders(_YEAR_WEEKS * month / _MONTHS, x, t_x, T)
        discounted += (until - before) / (1 + discount) ** ((month - 0.5) / _MONTHS)
        before = until
    return before, discounted


def _scored(database: CustomerDatabase, rows: ir.Table, model: PurchaseModel, discount: float) -> ir.Table:
    """The histories with what the model says: only distinct ones are computed, the engine joins them back."""
    found = distinct(rows)
    x, t_x, age = numbers(found)
    orders, discounted = discounted_orders(model, discount, x, t_x, age)
    columns = {"p_alive": model.p_alive(x, t_x, age), "expected_orders_12m": orders, "discounted": discounted}
    table = pa.table({key: found[key] for key in KEYS} | {name: pa.array(values) for name, values in columns.items()})
    scores = engine.store(database.ibis, _SCORED, ibis.memtable(table), temp=True)
    return rows.inner_join(scores, list(KEYS)).select(rows, *columns)


def _worth(rows: ir.Table, model: Model, project: Project) -> ir.NumericValue:
    """The margin of a purchase of each customer in minor units; NULL where no model says what one is worth."""
    money = model.money
    if money is None:
        return ibis.null("float64")
    margin = float(project.settings.economics.margin_rate)
    return margin * _expected_amount(rows, money, project.currency.scale)


def _expected_amount(rows: ir.Table, money: SpendModel, scale: int) -> ir.NumericValue:
    """`SpendModel.expected` in the engine and in minor units; repeat days without an amount count as none."""
    known = rows.spent > 0
    spent, repeats = (ibis.ifelse(known, column, 0).cast("float64") for column in (rows.spent, rows.x))
    spent, repeats = spent.fill_null(0.0), repeats.fill_null(0.0)
    return cast(ir.NumericValue, money.p * (money.gamma * scale + spent) / (money.p * repeats + money.q - 1))
