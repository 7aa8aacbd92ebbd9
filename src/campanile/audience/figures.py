"""Measures: what is taken of a customer's events. One function per measure, listed in `MEASURES`.

Each asks for the columns it needs and returns how to read the figure from the joined relation. No event at all: counts
and sums are 0, everything else is unknown. Averages are compared after rounding to a millionth, so that engines agree.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import cast

import ibis
import ibis.expr.types as ir

from campanile.audience.aggregates import Aggregates, Column, Events
from campanile.audience.compare import DECIMALS, Figure, surely
from campanile.customers.zones import shop_day
from campanile.spec.conditions import EventUse, Measure
from campanile.spec.vocabulary import FieldType

Reading = Callable[[ir.Table], Figure]


def figure_of(use: EventUse, measure: Measure, aggregates: Aggregates) -> Reading:
    """How to read a measure of an event use from the joined relation."""
    return MEASURES[measure.kind](use, measure, aggregates)


# --- columns of an aggregate -----------------------------------------------------------------------------------------
def _count(events: Events) -> ir.Scalar:
    """Events; of a kind that is counted by a field its distinct values, and every event that has none by itself."""
    if events.type.count_by is None:
        return events.known(events.count())
    by = cast(ir.Column, events.field(events.type.count_by))
    nameless = by.isnull().sum(where=events.match).fill_null(0)
    return events.known(cast(ir.IntegerScalar, by.nunique(where=events.match)) + nameless)


def _sum(field: str) -> Column:
    return lambda events: events.known(_number(events, field).sum(where=events.match).fill_null(0))


def _distinct(field: str) -> Column:
    return lambda events: events.known(cast(ir.Column, events.field(field)).nunique(where=events.match))


def _number(events: Events, field: str) -> ir.NumericColumn:
    return cast(ir.NumericColumn, events.field(field))


def _days(events: Events) -> ir.Scalar:
    return events.known(cast(ir.DateColumn, events.day).nunique(where=events.match))


def _earliest(events: Events) -> ir.Scalar:
    return events.at.min(where=events.match)


def _latest(events: Events) -> ir.Scalar:
    return events.at.max(where=events.match)


# --- measures --------------------------------------------------------------------------------------------------------
def _rounded(value: ir.Value) -> ir.Value:
    """Floating-point figures that may differ in the last bits from engine to engine."""
    number = cast(ir.NumericValue, value)
    return number.round(DECIMALS) if number.type().is_floating() else value


def _read(name: str, type_: FieldType) -> Reading:
    return lambda joined: Figure.of(_rounded(joined[name]), type_)


def _read_or_zero(name: str, type_: FieldType) -> Reading:
    """0 without an event; but only customers with one are ranked."""

    def read(joined: ir.Table) -> Figure:
        value = _rounded(joined[name])
        return Figure(value.fill_null(0), type_, value)

    return read


def _happened_measure(use: EventUse, measure: Measure, aggregates: Aggregates) -> Reading:
    name = aggregates.ask(use, "happened", lambda events: events.count() > 0)
    return lambda joined: Figure.of(surely(joined[name]), measure.type)


def _count_measure(use: EventUse, measure: Measure, aggregates: Aggregates) -> Reading:
    return _read_or_zero(aggregates.ask(use, "count", _count), measure.type)


def _days_measure(use: EventUse, measure: Measure, aggregates: Aggregates) -> Reading:
    return _read_or_zero(aggregates.ask(use, "days", _days), measure.type)


def _sum_measure(use: EventUse, measure: Measure, aggregates: Aggregates) -> Reading:
    return _read_or_zero(aggregates.ask(use, f"sum {measure.field}", _sum(_field(measure))), measure.type)


def _distinct_measure(use: EventUse, measure: Measure, aggregates: Aggregates) -> Reading:
    field = _field(measure)
    return _read_or_zero(aggregates.ask(use, f"distinct {field}", _distinct(field)), measure.type)


def _number_measure(use: EventUse, measure: Measure, aggregates: Aggregates) -> Reading:
    field = _field(measure)
    take = _NUMBER_COLUMNS[measure.kind]
    return _read(
        aggregates.ask(use, f"{measure.kind} {field}", lambda events: take(_number(events, field), events.match)),
        measure.type,
    )


_NUMBER_COLUMNS: Mapping[str, Callable[[ir.NumericColumn, ir.BooleanValue | None], ir.Scalar]] = {
    "avg": lambda column, match: column.mean(where=match),
    "min": lambda column, match: column.min(where=match),
    "max": lambda column, match: column.max(where=match),
    "median": lambda column, match: column.median(where=match),
}


def _share_measure(use: EventUse, measure: Measure, aggregates: Aggregates) -> Reading:
    """Matching of all events of that kind in the window, by count or by sum; unknown without any."""
    name, column = ("count", _count) if measure.field is None else (f"sum {measure.field}", _sum(measure.field))
    part = aggregates.ask(use, name, column)
    whole = aggregates.ask(replace(use, where=()), name, column)

    def read(joined: ir.Table) -> Figure:
        total = cast(ir.NumericValue, joined[whole]).nullif(0)
        matching = cast(ir.NumericValue, joined[part]).fill_null(0)
        return Figure.of(_rounded(matching.cast("float64") / total), measure.type)

    return read


def _edge_measure(use: EventUse, measure: Measure, aggregates: Aggregates) -> Reading:
    """The field's value at the first or last event; of several at that moment the smallest known one."""
    field, first = _field(measure), measure.kind == "first"

    def column(events: Events) -> ir.Scalar:
        value = cast(ir.Column, events.field(field))
        order = [events.at.asc() if first else events.at.desc(), value.asc(nulls_first=False)]
        return value.first(order_by=order, include_null=True, where=events.match)

    return _read(aggregates.ask(use, f"{measure.kind} {field}", column), measure.type)


def _usual_measure(use: EventUse, measure: Measure, aggregates: Aggregates) -> Reading:
    """The most frequent known value; of several the smallest."""
    field = _field(measure)

    def column(events: Events) -> ir.Scalar:
        value = events.table[field]
        return value.first(order_by=[events.table["times"].desc(), value.asc()])

    return _read(aggregates.ask(use, f"usual {field}", column, counted_by=field), measure.type)


def _since_measure(use: EventUse, measure: Measure, aggregates: Aggregates) -> Reading:
    """Calendar days in the shop's time zone."""
    name = aggregates.ask(
        use, *{"since_last": ("latest", _latest), "since_first": ("earliest", _earliest)}[measure.kind]
    )
    frame = aggregates.frame

    def read(joined: ir.Table) -> Figure:
        day = shop_day(cast(ir.TimestampValue, joined[name]), frame.zone)
        return Figure.of(ibis.date(frame.today).delta(day, unit="day"), measure.type)

    return read


def _gap_measure(use: EventUse, measure: Measure, aggregates: Aggregates) -> Reading:
    """Mean number of days between days with an event; unknown below two such days."""
    days = aggregates.ask(use, "days", _days)
    latest = aggregates.ask(use, "latest", _latest)
    earliest = aggregates.ask(use, "earliest", _earliest)
    zone = aggregates.frame.zone

    def read(joined: ir.Table) -> Figure:
        last, first = (shop_day(cast(ir.TimestampValue, joined[name]), zone) for name in (latest, earliest))
        gaps = (cast(ir.IntegerValue, joined[days]) - 1).nullif(0)
        return Figure.of(_rounded(last.delta(first, unit="day").cast("float64") / gaps), measure.type)

    return read


def _field(measure: Measure) -> str:
    return measure.field or ""


MEASURES: Mapping[str, Callable[[EventUse, Measure, Aggregates], Reading]] = {
    "happened": _happened_measure,
    "count": _count_measure,
    "days": _days_measure,
    "sum": _sum_measure,
    "avg": _number_measure,
    "min": _number_measure,
    "max": _number_measure,
    "median": _number_measure,
    "distinct": _distinct_measure,
    "share": _share_measure,
    "usual": _usual_measure,
    "first": _edge_measure,
    "last": _edge_measure,
    "since_last": _since_measure,
    "since_first": _since_measure,
    "gap": _gap_measure,
}
