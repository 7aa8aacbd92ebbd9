"""What engines count in the same way that have no cheaper one of their own."""

from __future__ import annotations

from collections.abc import Sequence

import ibis.expr.types as ir


def ranked_by_counting(values: ir.IntegerColumn, ranks: Sequence[int], _count: int) -> tuple[int, ...]:
    """The values at these ranks, counted from 1, in rising order: every value is counted, and the counts added up."""
    column = values.name("value").as_table()
    known = column.filter(column.value.notnull())
    counted = known.group_by("value").aggregate(times=known.count())
    until = counted.mutate(until=counted.times.cumsum(order_by=counted.value).cast("int64"))
    found = until.aggregate([until.value.min(where=until.until >= rank).name(f"at_{rank}") for rank in set(ranks)])
    row = found.to_pyarrow().to_pylist()[0]
    return tuple(int(row[f"at_{rank}"]) for rank in ranks)


def distinct_days(day: ir.DateValue, where: ir.BooleanValue | None) -> ir.IntegerScalar:
    """How many different dates there are among those rows of a group."""
    found: ir.IntegerScalar = day.nunique(where=where)
    return found
