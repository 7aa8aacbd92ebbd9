"""Conditions as booleans over one relation: customers joined with the aggregates that the conditions share."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import reduce
from operator import and_, or_
from typing import Any

import ibis.expr.types as ir

from campanile.audience.aggregates import Aggregates
from campanile.audience.compare import Figure, checked, holds
from campanile.audience.figures import figure_of
from campanile.audience.frame import Frame
from campanile.errors import CampanileError
from campanile.spec.conditions import (
    All,
    AnyOf,
    Condition,
    Fields,
    FieldTest,
    Happened,
    InSegment,
    NoneOf,
)
from campanile.spec.vocabulary import FieldType

#: Reads from the joined relation whether something holds; never unknown.
Verdict = Callable[[ir.Table], ir.BooleanValue]


def compile_condition(condition: Condition, aggregates: Aggregates) -> Verdict:
    """How to read from the joined relation whether a condition holds; asks for the aggregates it needs."""
    return _COMPILERS[type(condition)](condition, aggregates)


def customer_column(customers: ir.Table, name: str, type_: FieldType, frame: Frame) -> ir.Value:
    """A field of the customers; CampanileError when the shop has no such column."""
    if name not in customers.columns:
        cure = "map a column for it in campanile.yaml, under import: customers:"
        raise CampanileError(f'the customer database has no field "{name}"', cure)
    return checked(customers[name], type_, name, frame)


def _fields(condition: Fields, aggregates: Aggregates) -> Verdict:
    return _every([_field_test(test, aggregates.frame) for test in condition.tests])


def _field_test(test: FieldTest, frame: Frame) -> Verdict:
    def verdict(joined: ir.Table) -> ir.BooleanValue:
        column = customer_column(joined, test.field, test.type, frame)
        return holds(Figure.of(column, test.type), test.comparison, frame)

    return verdict


def _happened(condition: Happened, aggregates: Aggregates) -> Verdict:
    figure = figure_of(condition.use, condition.measure, aggregates)
    return lambda joined: holds(figure(joined), condition.comparison, aggregates.frame)


def _in_segment(condition: InSegment, aggregates: Aggregates) -> Verdict:
    return _all(All(aggregates.frame.segments[condition.name].conditions), aggregates)


def _all(condition: All, aggregates: Aggregates) -> Verdict:
    return _every([compile_condition(each, aggregates) for each in condition.conditions])


def _any_of(condition: AnyOf, aggregates: Aggregates) -> Verdict:
    return _some([compile_condition(each, aggregates) for each in condition.conditions])


def _none_of(condition: NoneOf, aggregates: Aggregates) -> Verdict:
    some = _some([compile_condition(each, aggregates) for each in condition.conditions])
    return lambda joined: ~some(joined)


def _every(verdicts: Sequence[Verdict]) -> Verdict:
    return lambda joined: reduce(and_, [verdict(joined) for verdict in verdicts])


def _some(verdicts: Sequence[Verdict]) -> Verdict:
    return lambda joined: reduce(or_, [verdict(joined) for verdict in verdicts])


_COMPILERS: Mapping[type, Callable[[Any, Aggregates], Verdict]] = {
    Fields: _fields,
    Happened: _happened,
    InSegment: _in_segment,
    All: _all,
    AnyOf: _any_of,
    NoneOf: _none_of,
}
