"""One scan of each event table, shared by every condition that asks for something of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property, reduce
from operator import and_, or_
from typing import TYPE_CHECKING, cast

import ibis
import ibis.expr.types as ir

from campanile.audience.compare import Figure, checked, holds, surely
from campanile.audience.frame import Frame
from campanile.audience.moments import span_of
from campanile.clock import Duration
from campanile.customers.zones import naive, shop_time
from campanile.errors import CampanileError
from campanile.spec.conditions import Around, EventUse, Since
from campanile.spec.vocabulary import CLOCK_FIELDS, WEEKDAYS, EventType, load_vocabulary

if TYPE_CHECKING:
    from campanile.customers.database import CustomerDatabase


@dataclass(frozen=True)
class Events:
    """Rows of one event table, and what can be read from them.

    Attributes:
        name: The kind of event.
        table: The rows.
        frame: What surrounds the selection.
        match: Which of the rows count; all when None.
    """

    name: str
    table: ir.Table
    frame: Frame
    match: ir.BooleanValue | None = None

    @property
    def type(self) -> EventType:
        """What the vocabulary says of this kind of event."""
        return load_vocabulary().events[self.name]

    @cached_property
    def local(self) -> ir.TimestampValue:
        """The moment of the event on the shop's clock."""
        return shop_time(self.at, self.frame.zone)

    @property
    def at(self) -> ir.TimestampColumn:
        """The moment of the event, naive UTC."""
        return cast(ir.TimestampColumn, self.table["at"])

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

    def count(self) -> ir.IntegerScalar:
        """How many of the rows count."""
        return cast(ir.IntegerScalar, self.table.count(where=self.match))

    def known(self, figure: ir.Scalar) -> ir.Scalar:
        """The figure where a row counts; NULL where none does, so that it is not ranked."""
        return figure if self.match is None else ibis.ifelse(self.count() > 0, figure, ibis.null())

    def counted_by(self, name: str) -> Events:
        """One row per customer and known value of a field: the value under the field's name, and how many `times`."""
        value = self.field(name)
        table = self.table.select("customer_id", value.name(name)).filter(ibis._[name].notnull())
        grouped = table.group_by("customer_id", name).aggregate(times=ibis._.count())
        return Events(self.name, grouped, self.frame)


Column = Callable[[Events], ir.Scalar]
Edge = tuple[str, str]  #: kind of event; first or last
Kind = tuple[str, bool]  #: kind of event; whether orders of every state are among them


@dataclass
class _Aggregate:
    """The columns asked of one event use; `counted_by` counts the values of that field first."""

    use: EventUse
    counted_by: str | None
    prefix: str
    columns: dict[str, Column] = field(default_factory=dict)

    def of(self, events: Events) -> dict[str, ir.Scalar]:
        """The columns by the names that they have in the joined relation."""
        return {f"{self.prefix} {name}": column(events) for name, column in self.columns.items()}


@dataclass
class Aggregates:
    """Everything that the conditions of one target ask of the event tables."""

    database: CustomerDatabase
    frame: Frame
    _tables: dict[Kind, ir.Table] = field(default_factory=dict)
    _asked: dict[tuple[EventUse, str | None], _Aggregate] = field(default_factory=dict)
    _beside: list[ir.Table] = field(default_factory=list)

    def ask(self, use: EventUse, name: str, column: Column, *, counted_by: str | None = None) -> str:
        """The name that a column will have in the joined relation; NULL there for customers without such an event."""
        prefix = f"_e{len(self._asked)}"
        aggregate = self._asked.setdefault((use, counted_by), _Aggregate(use, counted_by, prefix))
        aggregate.columns.setdefault(name, column)
        return f"{aggregate.prefix} {name}"

    def ask_beside(self, rows: ir.Table, **columns: ir.Scalar) -> dict[str, str]:
        """By the name of each column, the one it will have in the joined relation; NULL there for who has no row.

        Args:
            rows: Of any table with a customer_id.
            columns: Taken of the rows of each customer.
        """
        unit = f"_b{len(self._beside)}"
        names = {name: f"{unit} {name}" for name in columns}
        grouped = rows.group_by(rows["customer_id"].name(unit)).aggregate(
            **{names[name]: column for name, column in columns.items()}
        )
        self._beside.append(grouped)
        return names

    def joined(self, customers: ir.Table) -> ir.Table:
        """Customers, left joined with every aggregate asked for: as many rows as customers."""
        for number, grouped in enumerate(self._beside):
            customers = customers.left_join(grouped, [("customer_id", f"_b{number}")])
        for number, (events, columns) in enumerate(self._scans()):
            unit = f"_s{number}"
            grouped = events.table.group_by(events.table["customer_id"].name(unit)).aggregate(**columns)
            customers = customers.left_join(grouped, [("customer_id", unit)])
        return customers

    def _scans(self) -> Iterator[tuple[Events, Mapping[str, ir.Scalar]]]:
        """Rows to be grouped by customer, each with the columns taken of them."""
        together: dict[Kind, list[_Aggregate]] = {}
        for aggregate in self._asked.values():
            if aggregate.counted_by:
                events = self.events(aggregate.use).counted_by(aggregate.counted_by)
                yield events, aggregate.of(events)
            else:
                use = aggregate.use
                together.setdefault((use.event, use.every_state), []).append(aggregate)
        for aggregates in together.values():
            yield self._scan(aggregates)

    def _scan(self, aggregates: Sequence[_Aggregate]) -> tuple[Events, Mapping[str, ir.Scalar]]:
        """One pass over a table for all who ask something of it."""
        if len(aggregates) == 1:
            events = self.events(aggregates[0].use)
            return events, aggregates[0].of(events)
        uses = [aggregate.use for aggregate in aggregates]
        every = self._since_earliest(self._every(uses), uses)
        flags = {aggregate.prefix: self._matches(every, aggregate.use) for aggregate in aggregates}
        flagged = every.table.mutate(**flags)
        wanted = Events(every.name, flagged.filter(reduce(or_, [flagged[name] for name in flags])), self.frame)
        columns: dict[str, ir.Scalar] = {}
        for aggregate in aggregates:
            match = cast(ir.BooleanValue, wanted.table[aggregate.prefix])
            columns |= aggregate.of(Events(wanted.name, wanted.table, self.frame, match))
        return wanted, columns

    def events(self, use: EventUse) -> Events:
        """The rows that match an event use."""
        every = self._every([use])
        return Events(use.event, every.table.filter(self._matches(every, use)), self.frame)

    def _every(self, uses: Sequence[EventUse]) -> Events:
        """All rows of one kind before as_of, with the moments that windows start from."""
        event = uses[0].event
        table = self._table(event, uses[0].every_state)
        edges = dict.fromkeys(
            (use.window.event, use.window.edge) for use in uses if isinstance(use.window, Since | Around)
        )
        for kind, edge in edges:
            name = _edge_name((kind, edge))
            found = self._table(kind, False)  # noqa: FBT003 - an event that counts
            moment = found["at"].min() if edge == "first" else found["at"].max()
            anchors = found.group_by(found["customer_id"].name(f"{name} of")).aggregate(**{name: moment})
            table = table.left_join(anchors, [("customer_id", f"{name} of")]).drop(f"{name} of")
        return Events(event, table, self.frame)

    def _since_earliest(self, events: Events, uses: Sequence[EventUse]) -> Events:
        """Without rows that lie before every window: the engine can leave them out while it scans."""
        starts = [span_of(use.window, self.frame.as_of, self.frame.zone).start for use in uses]
        known = [start for start in starts if start]
        if len(known) < len(starts):
            return events
        recent = events.table.filter(events.at >= ibis.timestamp(naive(min(known))))
        return Events(events.name, recent, self.frame)

    def _table(self, event: str, every_state: bool) -> ir.Table:  # noqa: FBT001
        kind = (event, every_state)
        if kind not in self._tables:
            self._tables[kind] = self.database.events(event, self.frame.as_of, every_state=every_state)
        return self._tables[kind]

    def _matches(self, events: Events, use: EventUse) -> ir.BooleanValue:
        """Which of the rows are in the window and pass `where`; never unknown."""
        tests = list(self._in_window(events, use))
        for test in use.where:
            tests.append(holds(Figure.of(events.field(test.field), test.type), test.comparison, self.frame))
        return reduce(and_, tests) if tests else cast(ir.BooleanValue, ibis.literal(value=True))

    def _in_window(self, events: Events, use: EventUse) -> Iterator[ir.BooleanValue]:
        if isinstance(use.window, Since | Around):
            yield surely(_after_edge(events, use.window, self.frame))
        span = span_of(use.window, self.frame.as_of, self.frame.zone)
        if span.start:
            yield events.at >= ibis.timestamp(naive(span.start))
        if span.end and span.end < self.frame.as_of:
            yield events.at < ibis.timestamp(naive(span.end))


def _edge_name(edge: Edge) -> str:
    return "_{1} {0}".format(*edge)


def _after_edge(events: Events, window: Since | Around, frame: Frame) -> ir.BooleanValue:
    """Whether a row lies after, or before, the customer's own moment; unknown for customers without one."""
    moment = cast(ir.TimestampColumn, events.table[_edge_name((window.event, window.edge))])
    if isinstance(window, Since):
        return events.at > moment
    end = _moved(moment, window.length, window.side, frame)
    if window.side == "after":
        return cast(ir.BooleanValue, (events.at > moment) & (end >= _clock_of(events, window.length)))
    return cast(ir.BooleanValue, (events.at < moment) & (end <= _clock_of(events, window.length)))


def _clock_of(events: Events, length: Duration) -> ir.TimestampValue:
    """Hours are hours that pass; days and months are those of the shop's calendar."""
    return events.at if length.hours else events.local


def _moved(moment: ir.TimestampColumn, length: Duration, side: str, frame: Frame) -> ir.TimestampValue:
    start = moment if length.hours else shop_time(moment, frame.zone)
    step = ibis.interval(months=length.months, days=length.days, hours=length.hours)
    return cast(ir.TimestampValue, start + step if side == "after" else start - step)
