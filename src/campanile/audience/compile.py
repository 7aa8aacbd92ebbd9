"""Conditions as booleans over one relation: customers joined with the aggregates that the conditions share."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import reduce
from operator import add, and_, or_
from typing import Any

import ibis.expr.types as ir

from campanile.audience.aggregates import Aggregates
from campanile.audience.compare import Figure, beside_multiple, checked, holds
from campanile.audience.figures import Reading, figure_of
from campanile.audience.frame import Frame
from campanile.errors import CampanileError
from campanile.spec.conditions import (
    All,
    AnyOf,
    AtLeastOf,
    Comparison,
    Condition,
    Fields,
    Happened,
    InSegment,
    NoneOf,
    Times,
)
from campanile.spec.shop_tables import HOLD_OUT, HOLDOUT
from campanile.spec.vocabulary import FieldType, field_type

#: Ibis and its writer of SQL go down one call deeper for each value in a row.
_IN_A_ROW = 40
#: Reads from the joined relation whether something holds; never unknown.
Verdict = Callable[[ir.Table], ir.BooleanValue]


def compile_condition(condition: Condition, aggregates: Aggregates) -> Verdict:
    """How to read from the joined relation whether a condition holds; asks for the aggregates it needs."""
    return _COMPILERS[type(condition)](condition, aggregates)


def customer_column(customers: ir.Table, name: str, type_: FieldType, frame: Frame) -> ir.Value:
    """A field of the customers; CampanileError when the shop has no such column."""
    if name not in customers.columns:
        cure = HOLD_OUT if name == HOLDOUT else "map a column for it in campanile.yaml, under import: customers:"
        raise CampanileError(f'the customer database has no field "{name}"', cure)
    return checked(customers[name], type_, name, frame)


def _fields(condition: Fields, aggregates: Aggregates) -> Verdict:
    return every(
        [_compared(named_figure(test.field, aggregates), test.comparison, aggregates) for test in condition.tests]
    )


def named_figure(name: str, aggregates: Aggregates) -> Reading:
    """How to read a metric, or a field of the customers, from the joined relation."""
    frame = aggregates.frame
    if metric := frame.metrics.get(name):
        return figure_of(metric.use, metric.measure, aggregates)
    if refusal := frame.refused.get(name):
        raise CampanileError(*refusal)
    type_ = field_type(name)
    return lambda joined: Figure.of(customer_column(joined, name, type_, frame), type_)


def _compared(figure: Reading, comparison: Comparison, aggregates: Aggregates) -> Verdict:
    frame = aggregates.frame
    if not isinstance(comparison, Times):
        return lambda joined: holds(figure(joined), comparison, frame)
    other = named_figure(comparison.name, aggregates)
    return lambda joined: beside_multiple(figure(joined), other(joined), comparison, frame)


def _happened(condition: Happened, aggregates: Aggregates) -> Verdict:
    return _compared(figure_of(condition.use, condition.measure, aggregates), condition.comparison, aggregates)


def _in_segment(condition: InSegment, aggregates: Aggregates) -> Verdict:
    return _all(All(aggregates.frame.segments[condition.name].conditions), aggregates)


def _all(condition: All, aggregates: Aggregates) -> Verdict:
    return every([compile_condition(each, aggregates) for each in condition.conditions])


def _any_of(condition: AnyOf, aggregates: Aggregates) -> Verdict:
    return _some([compile_condition(each, aggregates) for each in condition.conditions])


def _none_of(condition: NoneOf, aggregates: Aggregates) -> Verdict:
    some = _some([compile_condition(each, aggregates) for each in condition.conditions])
    return lambda joined: ~some(joined)


def _at_least_of(condition: AtLeastOf, aggregates: Aggregates) -> Verdict:
    verdicts = [compile_condition(each, aggregates) for each in condition.conditions]
    return lambda joined: _folded(add, [verdict(joined).cast("int16") for verdict in verdicts]) >= condition.number


def every(verdicts: Sequence[Verdict]) -> Verdict:
    """Whether all of them hold."""
    return lambda joined: _folded(and_, [verdict(joined) for verdict in verdicts])


def _some(verdicts: Sequence[Verdict]) -> Verdict:
    return lambda joined: _folded(or_, [verdict(joined) for verdict in verdicts])


def _folded(operation: Callable[[Any, Any], Any], values: Sequence[ir.Value]) -> Any:
    """What the operation makes of all of them; nested so little that a thousand conditions are no deeper than some."""
    while len(values) > _IN_A_ROW:
        values = [reduce(operation, values[at : at + _IN_A_ROW]) for at in range(0, len(values), _IN_A_ROW)]
    return reduce(operation, values)


_COMPILERS: Mapping[type, Callable[[Any, Aggregates], Verdict]] = {
    Fields: _fields,
    Happened: _happened,
    InSegment: _in_segment,
    All: _all,
    AnyOf: _any_of,
    NoneOf: _none_of,
    AtLeastOf: _at_least_of,
}
