"""Comparisons as boolean expressions that are true or false, never unknown: one function per comparison."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from functools import reduce
from operator import and_, or_
from typing import Any, cast

import ibis
import ibis.expr.datatypes as dt
import ibis.expr.types as ir

from campanile.audience.frame import Frame
from campanile.audience.moments import anniversaries, days_of
from campanile.customers.zones import shop_day
from campanile.errors import CampanileError
from campanile.spec.conditions import (
    Between,
    Bound,
    Comparison,
    Contains,
    DateSpan,
    DaysAround,
    Extreme,
    HasAll,
    InMonth,
    Is,
    IsNot,
    Known,
    Scalar,
    Starts,
    Times,
)
from campanile.spec.vocabulary import FieldType

#: Figures that are not whole numbers are compared after rounding to a millionth, so that engines agree.
DECIMALS = 6


@dataclass(frozen=True)
class Figure:
    """A value per customer or event, its type, and what `top` and `bottom` rank: unknown for those who do not count."""

    value: ir.Value
    type: FieldType
    ranked: ir.Value

    @classmethod
    def of(cls, value: ir.Value, type_: FieldType) -> Figure:
        """A figure that is ranked by its own value."""
        return cls(value, type_, value)


def holds(figure: Figure, comparison: Comparison, frame: Frame) -> ir.BooleanValue:
    """Whether the comparison is true; false where the value is unknown, except for `unknown`."""
    return _HOLDS[type(comparison)](figure, comparison, frame)


def checked(column: ir.Value, type_: FieldType, name: str, frame: Frame) -> ir.Value:
    """The column as comparisons expect it; CampanileError when it holds something else than its type says."""
    kind = column.type()
    if type_ in (FieldType.DATE, FieldType.YEARLY) and kind.is_timestamp():
        return shop_day(cast(ir.TimestampValue, column), frame.zone)
    if not _IS_OF_TYPE[type_](kind):
        raise CampanileError(
            f'"{name}" is {type_} in the vocabulary, but {kind} in the customer database',
            "import it again from its source",
        )
    return column


_IS_OF_TYPE: Mapping[FieldType, Callable[[dt.DataType], bool]] = {
    FieldType.NUMBER: lambda kind: kind.is_numeric(),
    FieldType.MONEY: lambda kind: kind.is_integer(),
    FieldType.TEXT: lambda kind: kind.is_string(),
    FieldType.WEEKDAY: lambda kind: kind.is_string(),
    FieldType.BOOL: lambda kind: kind.is_boolean(),
    FieldType.DATE: lambda kind: kind.is_date(),
    FieldType.YEARLY: lambda kind: kind.is_date(),
    FieldType.LIST: lambda kind: isinstance(kind, dt.Array) and kind.value_type.is_string(),
}


def surely(condition: ir.Value) -> ir.BooleanValue:
    """The condition, false where it is unknown."""
    return cast(ir.BooleanValue, condition.fill_null(False))  # noqa: FBT003 - ibis takes it by position only


# --- values ----------------------------------------------------------------------------------------------------------
def _one_of(figure: Figure, values: Sequence[Scalar], frame: Frame) -> ir.BooleanValue:
    """Equal to one of the values, or a list that holds one; unknown stays unknown."""
    if figure.type is FieldType.LIST:
        return reduce(or_, [_contains_item(figure, value) for value in values])
    if figure.type is FieldType.BOOL:
        value = cast(ir.BooleanValue, figure.value)
        return value if values[0] else ~value
    return cast(ir.BooleanValue, figure.value.isin([_stored(value, figure.type, frame) for value in values]))


def _contains_item(figure: Figure, value: Scalar) -> ir.BooleanValue:
    return surely(cast(ir.ArrayValue, figure.value).contains(value))


def _stored(value: Scalar, type_: FieldType, frame: Frame) -> str | int | float:
    return value if isinstance(value, str | bool) else frame.stored(value, type_)


def _is(figure: Figure, comparison: Is, frame: Frame) -> ir.BooleanValue:
    return surely(_one_of(figure, comparison.values, frame))


def _is_not(figure: Figure, comparison: IsNot, frame: Frame) -> ir.BooleanValue:
    return figure.value.notnull() & ~surely(_one_of(figure, comparison.values, frame))


def _has_all(figure: Figure, comparison: HasAll, _frame: Frame) -> ir.BooleanValue:
    return reduce(and_, [_contains_item(figure, value) for value in comparison.values])


def _known(figure: Figure, comparison: Known, _frame: Frame) -> ir.BooleanValue:
    return figure.value.notnull() if comparison.known else figure.value.isnull()


def _contains(figure: Figure, comparison: Contains, _frame: Frame) -> ir.BooleanValue:
    return surely(cast(ir.StringValue, figure.value).contains(comparison.text))


def _starts(figure: Figure, comparison: Starts, _frame: Frame) -> ir.BooleanValue:
    return surely(cast(ir.StringValue, figure.value).startswith(comparison.text))


# --- numbers ---------------------------------------------------------------------------------------------------------
def _bound(figure: Figure, comparison: Bound, frame: Frame) -> ir.BooleanValue:
    limit = frame.stored(comparison.number, figure.type)
    value = cast(ir.NumericValue, figure.value)
    sides = {"at least": value >= limit, "over": value > limit, "at most": value <= limit, "under": value < limit}
    return surely(sides[comparison.word])


def beside_multiple(figure: Figure, other: Figure, comparison: Times, frame: Frame) -> ir.BooleanValue:
    """Whether a figure stands so to a multiple of another of the same customer; false where one is unknown.

    Compared after rounding the difference to a millionth, so that engines agree.
    """
    scale = frame.stored(Decimal(1), figure.type) / frame.stored(Decimal(1), other.type)
    value, base = cast(ir.NumericValue, figure.value), cast(ir.NumericValue, other.value)
    more = (value.cast("float64") - base.cast("float64") * float(comparison.factor) * scale).round(DECIMALS)
    sides = {
        "at least": more >= 0, "over": more > 0, "at most": more <= 0, "under": more < 0,
        "exactly": more == 0, "not": more != 0,
    }  # fmt: skip
    return surely(sides[comparison.word])


def _between(figure: Figure, comparison: Between, frame: Frame) -> ir.BooleanValue:
    low, high = frame.stored(comparison.low, figure.type), frame.stored(comparison.high, figure.type)
    return surely(figure.value.between(low, high))


def _extreme(figure: Figure, comparison: Extreme, _frame: Frame) -> ir.BooleanValue:
    """In when fewer customers are strictly better than the share says: whole numbers only, so ties cannot be cut apart.

    Needs to stand in a projection over the whole base: a filter in front of it would change the ranking.
    """
    order = figure.ranked.desc(nulls_first=False) if comparison.end == "top" else figure.ranked.asc(nulls_first=False)
    better = cast(ir.IntegerValue, ibis.rank().over(order_by=order))
    known = cast(ir.IntegerValue, figure.ranked.count().over(ibis.window()))
    numerator, denominator = (comparison.percent / 100).as_integer_ratio()
    return figure.ranked.notnull() & surely(better * denominator < known * numerator)


# --- dates -----------------------------------------------------------------------------------------------------------
def _days(figure: Figure, comparison: DateSpan | DaysAround | InMonth, frame: Frame) -> ir.BooleanValue:
    first, last = days_of(comparison, frame.today)
    value = cast(ir.DateValue, figure.value)
    if figure.type is FieldType.YEARLY:
        return surely((value.month() * 100 + value.day()).isin(anniversaries(first, last)))
    sides = [value >= ibis.date(first)] if first else []
    sides += [value <= ibis.date(last)] if last else []
    return surely(reduce(and_, sides))


_HOLDS: Mapping[type, Callable[[Figure, Any, Frame], ir.BooleanValue]] = {
    Is: _is,
    IsNot: _is_not,
    HasAll: _has_all,
    Known: _known,
    Contains: _contains,
    Starts: _starts,
    Bound: _bound,
    Between: _between,
    Extreme: _extreme,
    DateSpan: _days,
    DaysAround: _days,
    InMonth: _days,
}
