"""One aggregate per distinct event, filter and window, shared by every condition that asks for it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, cast

import ibis
import ibis.expr.types as ir

from campanile.audience.compare import Figure, checked, holds
from campanile.audience.frame import Frame, naive
from campanile.audience.moments import Span, span_of
from campanile.customers.zones import shop_time
from campanile.errors import CampanileError
from campanile.spec.conditions import EventUse
from campanile.spec.vocabulary import CLOCK_FIELDS, WEEKDAYS, EventType, load_vocabulary

if TYPE_CHECKING:
    from campanile.customers.database import CustomerDatabase


@dataclass(frozen=True)
class Events:
    """The rows of one event table inside a window, and what can be read from them."""

    name: str
    table: ir.Table
    span: Span
    frame: Frame

    @property
    def type(self) -> EventType:
        """What the vocabulary says of this kind of event."""
        return load_vocabulary().events[self.name]

    @cached_property
    def local(self) -> ir.TimestampValue:
        """The moment of the event on the shop's clock."""
        since = naive(self.span.start) if self.span.start else None
        return shop_time(cast(ir.TimestampValue, self.table["at"]), self.frame.zone, since=since)

    @property
    def day(self) -> ir.DateValue:
        """The calendar date of the event in the shop's time zone."""
        return self.local.date()

    def field(self, name: str) -> ir.Value:
        """A field of the event; CampanileError when the shop's table has no such column."""
        if name in CLOCK_FIELDS and name not in self.type.fields:
            return self._clock_field(name)
        if name not in self.table.columns:
            cure = f"map a column for it in campanile.yaml, under import: {self.name}:"
            raise CampanileError(f'the table "{self.name}" has no column "{name}"', cure)
        return checked(self.table[name], self.type.fields[name], f"{self.name}.{name}", self.frame)

    def _clock_field(self, name: str) -> ir.Value:
        if name == "weekday":
            return self.local.day_of_week.index().cases(*enumerate(WEEKDAYS))
        return {"hour": self.local.hour, "month": self.local.month, "day": self.local.day}[name]()

    def where(self, condition: ir.BooleanValue) -> Events:
        """Only the rows for which the condition is true."""
        return Events(self.name, self.table.filter(condition), self.span, self.frame)

    def counted_by(self, name: str) -> Events:
        """One row per customer and known value of a field: the value under the field's name, and how many `times`."""
        value = self.field(name)
        table = self.table.select("customer_id", value.name(name)).filter(ibis._[name].notnull())
        grouped = table.group_by("customer_id", name).aggregate(times=ibis._.count())
        return Events(self.name, grouped, self.span, self.frame)


Column = Callable[[Events], ir.Scalar]


@dataclass
class _Aggregate:
    """The columns asked of one event use; `counted_by` counts the values of that field first."""

    use: EventUse
    counted_by: str | None
    columns: dict[str, Column] = field(default_factory=dict)


@dataclass
class Aggregates:
    """Everything that the conditions of one target ask of the event tables."""

    database: CustomerDatabase
    frame: Frame
    _tables: dict[str, ir.Table] = field(default_factory=dict)
    _asked: dict[tuple[EventUse, str | None], _Aggregate] = field(default_factory=dict)

    def ask(self, use: EventUse, name: str, column: Column, *, counted_by: str | None = None) -> str:
        """The name that a column will have in the joined relation; NULL there for customers without such an event."""
        aggregate = self._asked.setdefault((use, counted_by), _Aggregate(use, counted_by))
        aggregate.columns.setdefault(name, column)
        return f"{self._prefix(aggregate)} {name}"

    def _prefix(self, aggregate: _Aggregate) -> str:
        return f"_e{list(self._asked).index((aggregate.use, aggregate.counted_by))}"

    def joined(self, customers: ir.Table) -> ir.Table:
        """Customers, left joined with every aggregate asked for: as many rows as customers."""
        for aggregate in self._asked.values():
            relation = self._relation(aggregate)
            customers = customers.left_join(relation, [("customer_id", self._prefix(aggregate))])
        return customers

    def _relation(self, aggregate: _Aggregate) -> ir.Table:
        events = self.events(aggregate.use)
        if aggregate.counted_by:
            events = events.counted_by(aggregate.counted_by)
        prefix = self._prefix(aggregate)
        columns = {f"{prefix} {name}": column(events) for name, column in aggregate.columns.items()}
        grouped = events.table.group_by(events.table["customer_id"].name(prefix))
        return grouped.aggregate(**columns) if columns else grouped.aggregate()

    def events(self, use: EventUse) -> Events:
        """The rows that match an event use."""
        span = span_of(use.window, self.frame.as_of, self.frame.zone)
        if use.event not in self._tables:
            self._tables[use.event] = self.database.events(use.event, self.frame.as_of)
        events = Events(use.event, self._tables[use.event], span, self.frame)
        if span.start:
            events = events.where(events.table["at"] >= ibis.timestamp(naive(span.start)))
        if span.end and span.end < self.frame.as_of:
            events = events.where(events.table["at"] < ibis.timestamp(naive(span.end)))
        for test in use.where:
            events = events.where(holds(Figure.of(events.field(test.field), test.type), test.comparison, self.frame))
        return events
