"""What each arm did, added up by the engine: by arm, by stratum, and by the levels of every cut.

Reads the relation of `outcomes`. Returns sufficient statistics, all that comparisons, money and a later reading need.
The relation is computed once, into a temporary table of narrow numbers; every sum is one pass over it.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import product
from typing import Any, cast

import ibis
import ibis.expr.types as ir

from campanile.customers import engine
from campanile.measure.outcomes import COUNTERS, LIST_MARGIN, LIST_MARGIN_COLUMN, METRICS
from campanile.measure.own import PREFIX
from campanile.measure.types import CLASSES_PER_DOUBLING, Aggregate, ArmStatistics, Classes, Pair

#: Statistics by level (or stratum), then by arm.
ByLevel = Mapping[str, Mapping[str, ArmStatistics]]

#: The level of customers whose value nobody knows, and of those in levels beyond the largest.
UNKNOWN, OTHER = "unknown", "(other)"
#: A cut keeps so many levels, the largest ones: more are no classification.
MOST_LEVELS = 20

#: The money that judges, whose orders are counted by class. Of the other amounts a mean and a variance will do.
_CLASSED = ("revenue_per_customer", LIST_MARGIN)
#: What happened in the window, and what is known of a customer beside it. Adjustments need how they go together.
_HAPPENED = ("response_rate", "orders_per_customer", "revenue_per_customer", LIST_MARGIN)
_BESIDE = ("pre_orders", "pre_revenue", "reached")
_PRODUCTS: tuple[Pair, ...] = (("pre_orders", "pre_revenue"), ("orders_per_customer", "revenue_per_customer"))
_TABLE = "campanile_outcomes"


@dataclass(frozen=True)
class ArmOutcome:
    """What one arm did.

    Attributes:
        counts: Sum of each counter; None where the database does not hold it.
    """

    statistics: ArmStatistics
    counts: Mapping[str, int | None]

    def __add__(self, other: ArmOutcome) -> ArmOutcome:
        """What both parts of one arm did."""
        counts = {name: _sum(count, other.counts[name]) for name, count in self.counts.items()}
        return ArmOutcome(self.statistics + other.statistics, counts)


@dataclass(frozen=True)
class Measured:
    """What a wave did.

    Attributes:
        arms: By arm.
        strata: Statistics by stratum and arm, without classes of amounts.
        cuts: By cut, then by level and arm; without products.
    """

    arms: Mapping[str, ArmOutcome]
    strata: ByLevel = field(default_factory=dict)
    cuts: Mapping[str, ByLevel] = field(default_factory=dict)


def measure(relation: ir.Table, cuts: Sequence[str] = ()) -> Measured:
    """What the assigned customers of a relation did, computed once and added up by arm, stratum and level.

    Args:
        relation: As `outcomes` makes it.
        cuts: Columns of it; a cut keeps its `MOST_LEVELS` largest levels, the others are `OTHER`.
    """
    rows = _stored(relation, cuts)
    found = dict(_grouped(rows, "stratum"))
    classes = _classes(rows, ibis.literal(""))
    arms: dict[str, ArmOutcome] = {}
    for (arm, _), part in sorted(found.items()):
        arms[arm] = arms[arm] + part if arm in arms else part
    for arm, part in arms.items():
        arms[arm] = replace(part, statistics=replace(part.statistics, classes=classes[arm, ""]))
    strata = _by_level({key: part.statistics for key, part in found.items()})
    return Measured(arms, strata, {cut: _by_level(dict(_cut(rows, _column(cut)))) for cut in cuts})


def amount_class(amount: ir.Value) -> ir.IntegerValue:
    """The class of an amount (`CLASSES_PER_DOUBLING`), negative below zero; 0 for nothing.

    Engines may place an amount on the border of two classes differently; both count it with its exact amount.
    """
    number = cast(ir.IntegerColumn, amount)
    size = cast(ir.FloatingValue, number.abs().nullif(0).cast("float64"))
    place = 1 + cast(ir.NumericValue, size.ln() * (CLASSES_PER_DOUBLING / math.log(2))).floor().cast("int64")
    return cast(ir.IntegerValue, ibis.ifelse(number < 0, -place, place).fill_null(0))


def _stored(relation: ir.Table, cuts: Sequence[str]) -> ir.Table:
    """The relation in a temporary table, counters in as few bytes as they need."""
    kept = {name: relation[name] for name in ("arm", *_columns(relation).values()) if name not in COUNTERS}
    counted = {name: relation[name].cast("int16") for name in COUNTERS}
    levels = {_column(cut): relation[cut].cast("string").fill_null(UNKNOWN) for cut in cuts}
    stratum = relation["stratum"].fill_null(UNKNOWN)
    narrow = relation.select(stratum=stratum, **kept, **counted, **levels)
    return engine.store(relation.get_backend(), _TABLE, narrow, temp=True)


def _column(cut: str) -> str:
    return f"cut {cut}"


def _columns(relation: ir.Table) -> dict[str, str]:
    """Column by metric, of the metrics that the relation holds."""
    named = {**METRICS, LIST_MARGIN: LIST_MARGIN_COLUMN}
    own = {name.removeprefix(PREFIX): name for name in relation.columns if name.startswith(PREFIX)}
    return {metric: column for metric, column in named.items() if column in relation.columns} | own


def _happened(columns: Iterable[str]) -> tuple[str, ...]:
    """The metrics of what happened in the window, the shop's own among them."""
    return tuple(metric for metric in columns if metric in _HAPPENED or metric not in {*METRICS, LIST_MARGIN})


def _grouped(rows: ir.Table, key: str) -> Iterator[tuple[tuple[str, str], ArmOutcome]]:
    """What each arm did in each stratum, with products and counters."""
    columns = _columns(rows)
    pairs = [*product(_happened(columns), _BESIDE), *_PRODUCTS]
    numbers = {metric: cast(ir.NumericColumn, rows[column].cast("float64")) for metric, column in columns.items()}
    products = {f"{a} × {b}": numbers[a].cov(numbers[b], how="sample") for a, b in pairs}
    counted = {f"count {name}": cast(ir.IntegerColumn, rows[name]).sum() for name in COUNTERS}
    figures = figures_of(rows, columns) | products | counted
    for row in rows.group_by("arm", level=rows[key]).aggregate(**figures).to_pyarrow().to_pylist():
        covariances = {(a, b): row[f"{a} × {b}"] for a, b in pairs}
        statistics = ArmStatistics.from_aggregates(row["arm"], row["n"], aggregates_of(row, columns), covariances)
        counts = {name: _whole(row[f"count {name}"]) for name in COUNTERS}
        yield (row["arm"], row["level"]), ArmOutcome(statistics, counts)


def _cut(rows: ir.Table, column: str) -> Iterator[tuple[tuple[str, str], ArmStatistics]]:
    """What each arm did in each level of a cut: the largest levels, and the others together."""
    sizes = rows.group_by(level=rows[column]).aggregate(n=rows.count()).to_pyarrow().to_pylist()
    largest = sorted(sizes, key=lambda row: (-row["n"], row["level"]))[:MOST_LEVELS]
    names = [row["level"] for row in largest]
    level = rows[column] if len(sizes) == len(names) else ibis.ifelse(rows[column].isin(names), rows[column], OTHER)
    every = _columns(rows)
    columns = {metric: every[metric] for metric in (*_happened(every), "reached")}
    found = rows.group_by("arm", level=level).aggregate(**figures_of(rows, columns)).to_pyarrow().to_pylist()
    classes = _classes(rows, level)
    for row in found:
        key = (row["arm"], row["level"])
        statistics = ArmStatistics.from_aggregates(row["arm"], row["n"], aggregates_of(row, columns))
        yield key, replace(statistics, classes=classes[key])


def figures_of(rows: ir.Table, columns: Mapping[str, str]) -> dict[str, ir.Scalar]:
    """What the engine has to add up of some metrics, given by their columns; `aggregates_of` reads it."""
    figures: dict[str, ir.Scalar] = {"n": rows.count()}
    for metric, name in columns.items():
        column = cast(ir.IntegerColumn, rows[name])
        figures |= {
            f"sum {metric}": column.sum(),
            f"var {metric}": column.cast("float64").var(how="sample"),
            f"nonzero {metric}": (column != 0).sum(),
            f"negative {metric}": (column < 0).sum(),
        }
    return figures


def aggregates_of(row: Mapping[str, Any], metrics: Iterable[str]) -> dict[str, Aggregate]:
    """The aggregates of some metrics in a row of such figures."""
    return {
        metric: Aggregate(
            row[f"sum {metric}"],
            row[f"var {metric}"],
            nonzero=_whole(row[f"nonzero {metric}"]) or 0,
            negative=_whole(row[f"negative {metric}"]) or 0,
        )
        for metric in metrics
    }


def _classes(rows: ir.Table, level: ir.Value) -> dict[tuple[str, str], dict[str, Classes]]:
    """Customers and sums by class of amount of the money that judges, by arm and level."""
    columns = {metric: name for metric, name in _columns(rows).items() if metric in _CLASSED}
    found: dict[tuple[str, str], dict[str, Any]] = defaultdict(lambda: {metric: {} for metric in columns})
    for metric, name in columns.items():
        few = rows.select(arm=rows["arm"], level=level, amount=rows[name]).filter(rows[name] != 0)
        grouped = few.group_by("arm", "level", place=amount_class(few["amount"]))
        for row in grouped.aggregate(n=few.count(), total=few["amount"].sum()).to_pyarrow().to_pylist():
            found[row["arm"], row["level"]][metric][row["place"]] = (row["n"], int(row["total"]))
    return found


def _by_level(found: Mapping[tuple[str, str], ArmStatistics]) -> dict[str, dict[str, ArmStatistics]]:
    levels: dict[str, dict[str, ArmStatistics]] = {}
    for (arm, level), statistics in sorted(found.items()):
        levels.setdefault(level, {})[arm] = statistics
    return levels


def _sum(first: int | None, second: int | None) -> int | None:
    """None where either part does not know: a database holds a counter for all of an arm or for none of it.

    >>> _sum(1, 2), _sum(None, None)
    (3, None)
    """
    return None if first is None or second is None else first + second


def _whole(value: object) -> int | None:
    return None if value is None else int(str(value))
