"""What had happened in a shop before a moment, and days as the shop counts them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from functools import cached_property
from typing import TYPE_CHECKING

import ibis
import ibis.expr.types as ir

from campanile.clock import Duration
from campanile.customers.orders import before
from campanile.customers.tables import ORDER
from campanile.customers.zones import naive, shop_day
from campanile.spec.project import Project

if TYPE_CHECKING:
    from campanile.customers.database import CustomerDatabase

YEAR = Duration(days=365)
_NO_ORDERS = {"customer_id": "string", "at": "timestamp", "order_id": "string", "amount": "int64", "net": "int64"}


@dataclass(frozen=True)
class Past:
    """A shop as it was known at a moment: nothing at or after `as_of` (aware) is in it."""

    project: Project
    database: CustomerDatabase
    as_of: datetime

    @property
    def today(self) -> date:
        """The calendar date of the moment in the shop's zone."""
        return self.as_of.astimezone(self.project.zone).date()

    @property
    def orders(self) -> ir.Table:
        """Valid orders, with `net` in minor units; none where the shop has none."""
        if ORDER not in self.database.tables():
            return ibis.memtable([], schema=ibis.schema(_NO_ORDERS))
        return self.database.net_orders(self.as_of)

    def events(self, kind: str, *columns: str) -> ir.Table | None:
        """The events of a kind; None where the shop has no such table, or the table not all of these columns."""
        if kind not in self.database.tables():
            return None
        rows = before(self.database.table(kind), self.as_of)
        return rows if set(columns) <= set(rows.columns) else None

    @cached_property
    def first_order(self) -> datetime | None:
        """When the oldest order was placed, naive UTC: the engine knows it without looking."""
        if ORDER not in self.database.tables():
            return None
        first: datetime | None = self.database.table(ORDER)["at"].min().to_pyarrow().as_py()
        return first

    def order_day(self, at: ir.TimestampValue) -> ir.DateValue:
        """The shop's calendar date of the moment of an order."""
        return shop_day(at, self.project.zone, since=self.first_order)

    def day(self, at: ir.TimestampValue) -> ir.DateValue:
        """The shop's calendar date of a moment."""
        return shop_day(at, self.project.zone)

    def days_since(self, day: ir.DateValue) -> ir.IntegerValue:
        """Calendar days from a date to the moment's own."""
        days: ir.IntegerValue = ibis.date(self.today).delta(day, unit="day").cast("int64")
        return days

    def start_of(self, window: Duration) -> ir.TimestampValue:
        """Where a window that ends at the moment begins."""
        return ibis.timestamp(naive(window.before(self.as_of)))

    @property
    def moment(self) -> ir.TimestampValue:
        """The moment itself, as the engine keeps it."""
        return ibis.timestamp(naive(self.as_of))
