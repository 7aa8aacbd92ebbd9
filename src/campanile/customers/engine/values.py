"""Figures that must be the same on every engine, to the last bit."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from math import ceil

import ibis
import ibis.expr.types as ir

from campanile.customers.engine.which import engine_behind

TRUE: ir.BooleanScalar = ibis.literal(value=True)
FALSE: ir.BooleanScalar = ibis.literal(value=False)

_HEX_DIGITS = 15


def arm_number(id_column: ir.StringValue, salt: str) -> ir.IntegerValue:
    """Sixty bits that decide an arm: the first 15 hex digits of sha256 of salt, colon, id.

    The same on DuckDB, PostgreSQL, Spark and in Python: `int(sha256(f"{salt}:{id}".encode()).hexdigest()[:15], 16)`.
    """
    digest = (ibis.literal(f"{salt}:") + id_column).hexdigest("sha256")
    return engine_behind(id_column).hex_number(digest.left(_HEX_DIGITS))


def distinct_days(day: ir.DateValue, where: ir.BooleanValue | None = None) -> ir.IntegerScalar:
    """How many different dates there are among those rows of a group, as each engine counts them cheapest."""
    return engine_behind(day).distinct_days(day, where)


def cut_points(values: ir.IntegerColumn, scores: int) -> tuple[int, ...]:
    """Exact upper ends of the lower scores: the ⌈s·N/k⌉-th smallest value for s = 1 … k-1; () without values.

    A value above the s-th has at least s/k of all values strictly below it, so
    `1 + (number of cut points below the value)` is the tie-safe score `1 + floor(k·W/N)`.
    """
    return _at_shares(values, [Fraction(score, scores) for score in range(1, scores)])[1]


def percentiles(values: ir.IntegerColumn, shares: Sequence[float]) -> tuple[int, tuple[int, ...]]:
    """How many values there are, and the smallest with at least these shares of all values at or below them."""
    return _at_shares(values, [Fraction(str(share)) for share in shares])


def _at_shares(values: ir.IntegerColumn, shares: Sequence[Fraction]) -> tuple[int, tuple[int, ...]]:
    count = int(values.count().execute())
    if not count:
        return 0, ()
    return count, engine_behind(values).ranked(values, [ceil(share * count) for share in shares], count)
