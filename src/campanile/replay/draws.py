"""One re-randomisation: arms by the product's own assignment with a fresh salt, and their sums, in one query.

The query is compiled once; only the salt in it changes. No customer reaches Python.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from functools import cached_property
from typing import Any, cast

import ibis
import ibis.expr.types as ir

from campanile.customers import engine
from campanile.design.assign import assign_each, inside_strata
from campanile.measure.outcomes import LIST_MARGIN, LIST_MARGIN_COLUMN, METRICS
from campanile.measure.own import PREFIX
from campanile.measure.sums import ArmOutcome, ByLevel, aggregates_of, amount_class, figures_of
from campanile.measure.types import ArmStatistics, Classes, Pair

_SALT = "salt-of-the-replay"
_STRATUM = "stratum"
_PAST = ("pre_orders", "pre_revenue")
_CLASSED = ("revenue_per_customer", LIST_MARGIN)


@dataclass(frozen=True)
class Drawn:
    """What the arms of one re-randomisation did.

    Attributes:
        strata: By stratum and arm; empty where nobody asked.
    """

    arms: Mapping[str, ArmOutcome]
    strata: ByLevel


@dataclass(frozen=True)
class Draws:
    """Draws arms for the same units, again and again.

    Attributes:
        rows: As `Units` has them.
        split: Share by arm.
        metrics: What is measured.
        by_stratum: Whether sums are wanted by stratum as well.
        past: Whether it is wanted how the metrics go together with what was bought before.
        sticky: Whether a unit's arm is its own number's alone; else the split is exact inside strata.
    """

    rows: ir.Table
    split: Mapping[str, Decimal]
    metrics: Sequence[str]
    by_stratum: bool = False
    past: bool = False
    sticky: bool = False

    def draw(self, salt: str) -> Drawn:
        """The arms that this salt gives; the same salt gives the same arms. Letters, digits and -:_ make a salt."""
        figures: dict[tuple[str, str], ArmStatistics] = {}
        classes: dict[str, dict[str, dict[int, tuple[int, int]]]] = {}
        for row in self._asked(salt):
            if row["metric"]:
                arm = classes.setdefault(row["arm"], {})
                arm.setdefault(row["metric"], {})[row["place"]] = (row["n"], int(row["total"]))
            else:
                figures[row["arm"], row["level"]] = self._statistics(row)
        return self._drawn(figures, classes)

    def _drawn(
        self, figures: Mapping[tuple[str, str], ArmStatistics], classes: Mapping[str, Mapping[str, Classes]]
    ) -> Drawn:
        arms: dict[str, ArmStatistics] = {}
        strata: dict[str, dict[str, ArmStatistics]] = {}
        for (arm, level), part in sorted(figures.items()):
            arms[arm] = arms[arm] + part if arm in arms else part
            strata.setdefault(level, {})[arm] = part
        known: dict[str, Classes] = {name: {} for name in self._classed}
        whole = {
            arm: ArmOutcome(replace(found, classes={**known, **classes.get(arm, {})}), {"handed_over": 0})
            for arm, found in arms.items()
        }
        return Drawn(whole, strata if self.by_stratum else {})

    @cached_property
    def _asked(self) -> Any:
        """The query, compiled."""
        return engine.repeated(self._query(), _SALT)

    @property
    def _columns(self) -> dict[str, str]:
        """Column by metric."""
        named = {**METRICS, LIST_MARGIN: LIST_MARGIN_COLUMN}
        wanted = (*self.metrics, *(_PAST if self.past else ()))
        return {name: named.get(name, f"{PREFIX}{name}") for name in wanted}

    @property
    def _classed(self) -> tuple[str, ...]:
        return tuple(name for name in _CLASSED if name in self._columns)

    @property
    def _pairs(self) -> tuple[Pair, ...]:
        if not self.past:
            return ()
        return (*((metric, name) for metric in self.metrics for name in _PAST), _PAST)

    def _query(self) -> ir.Table:
        """Sums by arm (and stratum), and below them customers and sums by class of amount."""
        if self.sticky:
            assigned = assign_each(self.rows, split=self.split, stratify=(_STRATUM,), salt=_SALT)
        else:
            assigned = inside_strata(self.rows, split=self.split, salt=_SALT)
        figures = self._figures(assigned)
        parts = [figures, *(self._classes(assigned, figures, name) for name in self._classed)]
        return ibis.union(*parts) if len(parts) > 1 else figures

    def _figures(self, assigned: ir.Table) -> ir.Table:
        numbers = {
            name: cast(ir.NumericColumn, assigned[column].cast("float64")) for name, column in self._columns.items()
        }
        products = {f"{a} × {b}": numbers[a].cov(numbers[b], how="sample") for a, b in self._pairs}
        level = assigned[_STRATUM] if self.by_stratum else ibis.literal("")
        grouped = assigned.group_by("arm", level=level).aggregate(**figures_of(assigned, self._columns), **products)
        whole = {name: grouped[name].cast("decimal(38, 0)") for name in grouped.columns if name.startswith("sum ")}
        nothing = {"metric": ibis.null("string"), "place": ibis.null("int64"), "total": ibis.null("decimal(38, 0)")}
        return grouped.mutate(**whole, **nothing)

    def _classes(self, assigned: ir.Table, figures: ir.Table, metric: str) -> ir.Table:
        """The rows of one metric, with the columns of `figures`."""
        amount = self._columns[metric]
        few = assigned.filter(assigned[amount] != 0)
        grouped = few.group_by("arm", place=amount_class(few[amount]))
        counted = grouped.aggregate(n=few.count(), total=few[amount].sum().cast("decimal(38, 0)"))
        named = counted.mutate(level=ibis.literal(""), metric=ibis.literal(metric))
        empty = {name: ibis.null(kind) for name, kind in figures.schema().items() if name not in named.columns}
        return named.mutate(**empty).select(*figures.columns)

    def _statistics(self, row: Mapping[str, Any]) -> ArmStatistics:
        covariances = {(a, b): row[f"{a} × {b}"] for a, b in self._pairs}
        return ArmStatistics.from_aggregates(row["arm"], row["n"], aggregates_of(row, self._columns), covariances)
