"""Purchase histories in the engine: of millions of customers only the few distinct ones come to Python.

The likelihood of BG/NBD sees of a customer only repeat buying days, age at the last of them, and age now. Customers
with the same three numbers count as one row. Where a shop has too many distinct ones, ages are told to the week, then
to four weeks, then to the quarter.
"""

from __future__ import annotations

from datetime import date, datetime

import ibis
import ibis.expr.types as ir
import numpy as np
import pyarrow as pa

from campanile.customers import engine
from campanile.customers.database import CustomerDatabase
from campanile.customers.tables import ORDER
from campanile.customers.value.fitting import Numbers
from campanile.customers.value.purchases import Histories
from campanile.customers.value.spend import Spending
from campanile.customers.zones import shop_day
from campanile.spec.project import Project

#: How many distinct histories come to Python at most.
MOST_DISTINCT = 200_000
_STEPS = (1, 7, 28, 91)
#: Where amounts are told apart by less than this share of themselves, when there are too many distinct ones.
_AMOUNTS_APART = 0.005
_STORED = "campanile_histories"
KEYS = ("x", "t_x", "T")


def histories(project: Project, database: CustomerDatabase, as_of: datetime) -> ir.Table | None:
    """One row per customer with a valid order before a moment; None when the shop has no orders.

    People whom the customers table does not know are among them: their purchases teach as much as others.
    Columns: customer_id, `x` (buying days without the first), `t_x` and `T` (days from the first buying day to the last
    one and to the moment), `first_day`, and `spent`: minor units of the repeat buying days, NULL without amounts.
    """
    if ORDER not in database.tables():
        return None
    orders = _with_days(project, database, as_of)
    found = orders.group_by("customer_id").agg(
        days=engine.distinct_days(orders.day), first_day=orders.day.min(), last=orders.day.max()
    )
    found = _with_spent(found, orders)
    return _history(found, as_of.astimezone(project.zone).date()).select("customer_id", *KEYS, "first_day", "spent")


def of_buyers(project: Project, database: CustomerDatabase, as_of: datetime, buyers: ir.Table) -> ir.Table:
    """The same of buyers whose buying days, first and last day were read already."""
    found = buyers.select("customer_id", days="buying_days", first_day="_first_day", last="_last_day")
    orders = _with_days(project, database, as_of)
    return _history(_with_spent(found, orders), as_of.astimezone(project.zone).date())


def _with_days(project: Project, database: CustomerDatabase, as_of: datetime) -> ir.Table:
    """Valid orders before a moment: customer_id, the day as the shop counts them, and net."""
    orders = database.net_orders(as_of)
    since = database.table(ORDER)["at"].min().to_pyarrow().as_py()
    return orders.select("customer_id", "net", day=shop_day(orders["at"], project.zone, since=since))


def _with_spent(found: ir.Table, orders: ir.Table) -> ir.Table:
    """The customers with `spent`, what all their buying days but the first come to."""
    again = orders.inner_join(found.select("customer_id", "first_day"), "customer_id")
    again = again.filter(again.day > again.first_day).group_by("customer_id").agg(spent=ibis._.net.sum())
    joined = found.left_join(again, "customer_id")
    kept = [found[name] for name in found.columns]
    return joined.select(*kept, spent=ibis.ifelse(found.days == 1, 0, again.spent).cast("int64"))


def _history(buyers: ir.Table, today: date) -> ir.Table:
    return buyers.select(
        "customer_id",
        "first_day",
        x=(buyers.days - 1).cast("int64"),
        t_x=buyers["last"].delta(buyers.first_day, unit="day").cast("int64"),
        T=ibis.date(today).delta(buyers.first_day, unit="day").cast("int64"),
        spent=buyers.spent,
    )


def stored(database: CustomerDatabase, rows: ir.Table, name: str = "") -> ir.Table:
    """The rows as a temporary table, so that they are computed once."""
    return engine.store(database.ibis, f"{_STORED}{name}", rows, temp=True)


def told_apart(rows: ir.Table) -> ir.Table:
    """The histories with ages as exact as leaves few enough distinct: to the day, or to the middle of a step."""
    found = rows
    for step in _STEPS:
        found = rows.mutate(t_x=_middle(rows.t_x, step), T=_middle(rows["T"], step))
        if int(found.select(*KEYS).distinct().count().execute()) <= MOST_DISTINCT:
            break
    return found


def _middle(days: ir.IntegerColumn, step: int) -> ir.IntegerValue:
    return days if step == 1 else days - days % step + step // 2


def distinct(rows: ir.Table) -> pa.Table:
    """The distinct histories, and how many customers have each."""
    found: pa.Table = rows.group_by(*KEYS).agg(customers=rows.count()).order_by(*KEYS).to_pyarrow()
    return found


def as_histories(found: pa.Table) -> Histories:
    """Distinct histories as numbers; ages in weeks."""
    return Histories(*numbers(found), floats(found, "customers"))


def numbers(found: pa.Table) -> tuple[Numbers, Numbers, Numbers]:
    """x, t_x and T of distinct histories; ages in weeks."""
    return floats(found, "x"), floats(found, "t_x") / 7, floats(found, "T") / 7


def floats(found: pa.Table, column: str) -> Numbers:
    """A column as numbers."""
    return np.asarray(found[column].to_numpy(), dtype=np.float64)


def spending(rows: ir.Table, scale: int) -> Spending | None:
    """What repeat purchases were worth in major units; None when no customer has any with an amount.

    Args:
        rows: Histories.
        scale: Minor units in a major unit.
    """
    paid = rows.filter(rows.x > 0, rows.spent > 0)
    paid = paid.select("x", "spent", part=paid.spent)
    if int(paid.select("x", "part").distinct().count().execute()) > MOST_DISTINCT:
        paid = paid.mutate(part=(paid.spent.cast("float64").ln() / _AMOUNTS_APART).floor().cast("int64"))
    grouped = paid.group_by("x", "part").agg(customers=paid.count(), spent=paid.spent.mean()).order_by("x", "part")
    found = grouped.to_pyarrow()
    if not found.num_rows:
        return None
    x = floats(found, "x")
    return Spending(x, floats(found, "spent") / scale / x, floats(found, "customers"))
