"""Checks of one table of events: completeness, moments, amounts, repeats. One scan for all that needs one row only."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, cast
from zoneinfo import ZoneInfo

import ibis
import ibis.expr.types as ir

from campanile.customers.audit.findings import Completeness, Finding
from campanile.customers.audit.tally import missing, surplus, tallied
from campanile.customers.tables import BOUGHT, CUSTOMERS, ORDER, RETURNED
from campanile.customers.zones import shop_day

if TYPE_CHECKING:
    from campanile.customers.database import CustomerDatabase

#: The tables whose rows are money.
MONEY_TABLES = (ORDER, BOUGHT, RETURNED)
#: An amount above so many times the median is a slip of the keyboard.
_ABSURD = 1_000
_REGISTERED = "campanile_registered"
_KNOWN = "campanile_known"


@dataclass(frozen=True)
class Rows:
    """What the scan of one table came to."""

    table: str
    rows: int
    unseen: int
    newest: datetime | None
    completeness: tuple[Completeness, ...]
    findings: tuple[Finding, ...]


@dataclass(frozen=True)
class Moment:
    """From when the audit looks, and up to when anything can have happened; naive UTC, and the shop's zone."""

    as_of: datetime
    imported: datetime
    zone: ZoneInfo

    @property
    def ends(self) -> tuple[datetime, datetime]:
        """Both moments."""
        return self.as_of, self.imported


@dataclass(frozen=True)
class _Check:
    check: str
    field: str
    words: str
    fails: ir.BooleanValue


def look_at_events(database: CustomerDatabase, table: str, moment: Moment) -> Rows:
    """What one scan of a table says: of its rows before the moment, and of those that lie in the future."""
    rows, asked = database.table(table), database.table(table).columns
    seen = rows["at"] < ibis.timestamp(moment.as_of)
    rows = _with_customers(database, rows) if table in MONEY_TABLES else rows
    checks = [
        _Check("impossible_dates", "at", "are later than the import", rows["at"] > ibis.timestamp(moment.imported))
    ]
    if table in MONEY_TABLES:
        checks += [
            _Check(each.check, each.field, each.words, seen & each.fails)
            for each in (*_amount_checks(rows, seen), *_customer_checks(rows, table, moment.zone))
        ]
    flags = {**{f"no {name}": seen & missing(rows[name]) for name in asked}, **_numbered(checks)}
    figures = {"all": rows.count(), "rows": seen.sum(), "newest": rows["at"].max(where=seen)}
    example = "order_id" if "order_id" in asked else "customer_id"
    tallies, found = tallied(rows, flags, figures, example=example)
    size = found["rows"] or 0
    return Rows(
        table=table,
        rows=size,
        unseen=(found["all"] or 0) - size,
        newest=found["newest"],
        completeness=tuple(Completeness(table, name, size - tallies[f"no {name}"].count, size) for name in asked),
        findings=tuple(
            Finding(
                each.check, table, each.field, tallies[str(number)].count, size if number else found["all"] or 0,
                each.words, tallies[str(number)].examples,
            )
            for number, each in enumerate(checks)
        ),
    )  # fmt: skip


def _numbered(checks: list[_Check]) -> dict[str, ir.BooleanValue]:
    return {str(number): check.fails for number, check in enumerate(checks)}


def _with_customers(database: CustomerDatabase, rows: ir.Table) -> ir.Table:
    """The rows with whether their customer is known, and since when."""
    if CUSTOMERS not in database.tables():
        return rows
    customers = database.table(CUSTOMERS)
    registered = customers["registered_at"] if "registered_at" in customers.columns else ibis.null("date")
    if not isinstance(registered, ir.DateValue):
        registered = registered.try_cast("date")
    known = customers.select(**{_KNOWN: customers["customer_id"], _REGISTERED: registered})
    joined = rows.left_join(known, rows["customer_id"] == known[_KNOWN])
    return joined.select(*rows.columns, _KNOWN, _REGISTERED)


def _amount_checks(rows: ir.Table, seen: ir.BooleanValue) -> Iterator[_Check]:
    if "amount" not in rows.columns:
        return
    amount = cast(ir.IntegerColumn, rows["amount"])
    yield _Check("impossible_amounts", "amount", "have an amount below zero", amount < 0)
    median = rows.filter(seen & (amount > 0))["amount"].approx_median().to_pyarrow().as_py()
    if median:
        words = f"have an amount above {_ABSURD:,} times the median"
        yield _Check("impossible_amounts", "amount", words, amount > _ABSURD * median)
    yield _Check("zero_amounts", "amount", "have an amount of zero", amount == 0)


def _customer_checks(rows: ir.Table, table: str, zone: ZoneInfo) -> Iterator[_Check]:
    if _KNOWN not in rows.columns:
        return
    words = "are of customers that the table customers does not have"
    yield _Check("orders_without_customer", "customer_id", words, rows[_KNOWN].isnull())
    if table == ORDER:
        words = "are of a day before their customer registered"
        early = shop_day(rows["at"], zone) < rows[_REGISTERED]
        yield _Check("orders_before_registration", "at", words, early)


def look_at_repeats(database: CustomerDatabase, table: str, moment: Moment) -> Iterator[Finding]:
    """Rows that are there already; of orders also those whose id another one has, and days with several."""
    rows = database.table(table)
    rows = rows.filter(rows["at"] < ibis.timestamp(moment.as_of))
    size, once = int(rows.count().execute()), False
    if table == ORDER and "order_id" in rows.columns:
        named = rows.filter(rows["order_id"].notnull())
        tally = surplus(named, {"order_id": named["order_id"]}, example="order_id")
        words = "have the order_id of another one"
        yield Finding("duplicate_orders", table, "order_id", tally.count, size, words, tally.examples)
        once = not tally.count and int(named.count().execute()) == size
    if not once:
        tally = surplus(rows, {name: rows[name] for name in rows.columns})
        words = "are equal to another one in everything"
        yield Finding("duplicate_rows", table, "", tally.count, size, words, tally.examples)
    if table == ORDER:
        yield _customer_days(rows, moment.zone)


def _customer_days(rows: ir.Table, zone: ZoneInfo) -> Finding:
    days = rows.group_by(customer=rows["customer_id"], day=shop_day(rows["at"], zone)).agg(rows=rows.count())
    tallies, figures = tallied(days, {"several": days["rows"] > 1}, {"days": days.count()}, example="customer")
    several = tallies["several"]
    return Finding(
        "several_a_day", ORDER, "at", several.count, figures["days"] or 0, "have several orders", several.examples
    )


def look_at_links(database: CustomerDatabase, moment: Moment) -> Iterator[Finding]:
    """Orders without lines, lines without orders, and returns of more than was paid."""
    there = {
        table: rows.filter(rows["at"] < ibis.timestamp(moment.as_of))
        for table in MONEY_TABLES
        if table in database.tables() and "order_id" in (rows := database.table(table)).columns
    }
    if ORDER not in there:
        return
    orders = there[ORDER]
    if BOUGHT in there:
        lines = there[BOUGHT].filter(there[BOUGHT]["order_id"].notnull())
        yield _unlinked("lines_without_order", BOUGHT, lines, orders, "belong to no order that is there")
        yield _unlinked("orders_without_lines", ORDER, orders, lines, "have no order line")
    if RETURNED in there and "amount" in there[RETURNED].columns and "amount" in orders.columns:
        yield _returned_too_much(orders, there[RETURNED])


def _unlinked(check: str, table: str, rows: ir.Table, others: ir.Table, words: str) -> Finding:
    alone = rows.anti_join(others, "order_id")
    found = tallied(alone, {"alone": alone["order_id"].notnull()}, {}, example="order_id")[0]["alone"]
    return Finding(check, table, "order_id", found.count, int(rows.count().execute()), words, found.examples)


def _returned_too_much(orders: ir.Table, returned: ir.Table) -> Finding:
    known = returned.filter(returned["order_id"].notnull())
    back = known.group_by("order_id").agg(back=known["amount"].sum())
    paid = orders.group_by("order_id").agg(paid=orders["amount"].sum())
    joined = paid.inner_join(back, "order_id")
    tallies, figures = tallied(
        joined, {"more": joined["back"] > joined["paid"]}, {"rows": joined.count()}, example="order_id"
    )
    words = "got back more than was paid"
    more = tallies["more"]
    return Finding("returns_above_order", ORDER, "amount", more.count, figures["rows"] or 0, words, more.examples)
