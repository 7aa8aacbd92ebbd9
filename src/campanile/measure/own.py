"""Metrics of a shop's own: what is taken of each assigned customer's events inside their window."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import cast

import ibis
import ibis.expr.types as ir

from campanile.audience.aggregates import Aggregates
from campanile.audience.frame import Frame
from campanile.customers.database import CustomerDatabase
from campanile.errors import CampanileError
from campanile.spec.own_metrics import OwnMetric

#: What begins the name of a column of the outcomes that holds such a metric.
PREFIX = "own "


@dataclass(frozen=True)
class OwnMetrics:
    """The metrics that an experiment reads, and what their conditions have to know."""

    frame: Frame
    metrics: Sequence[OwnMetric]

    def parts(self, database: CustomerDatabase, in_window: Callable[[ir.Table], ir.Table]) -> list[ir.Table]:
        """One relation for each metric: customers with such events in their window, and the figure as a whole number.

        Args:
            database: The shop's events.
            in_window: The rows of a table of events that lie in their customer's window.

        Raises:
            CampanileError: The shop has no such table or column.
        """
        aggregates = Aggregates(database, self.frame)
        return [self._part(metric, aggregates, in_window) for metric in self.metrics]

    def _part(self, metric: OwnMetric, aggregates: Aggregates, in_window: Callable[[ir.Table], ir.Table]) -> ir.Table:
        if metric.use.event not in aggregates.database.tables():
            raise CampanileError(
                f'the metric {metric.name} counts "{metric.use.event}", and the customer database has no such table',
                f"map one in campanile.yaml, under import: {metric.use.event}:",
            )
        events = aggregates.events(metric.use)
        field = metric.measure.field
        value = events.field(field) if field else ibis.literal(1)
        rows = events.table.select("customer_id", "at", value=value)
        found = in_window(rows).group_by("customer_id")
        return found.aggregate(**{f"{PREFIX}{metric.name}": _figure(metric)})


def _figure(metric: OwnMetric) -> ir.IntegerScalar:
    """What is taken of a customer's rows; sums of numbers to the nearest whole one."""
    rows = ibis._
    if metric.kind == "rate":
        return ibis.literal(1, "int64")
    if metric.measure.field is None:
        return cast(ir.IntegerScalar, rows.count().cast("int64"))
    return cast(ir.IntegerScalar, rows["value"].sum().round(0).cast("int64"))
