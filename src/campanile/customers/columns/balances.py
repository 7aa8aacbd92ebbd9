"""What other events add up to: points, satisfaction, home store, size of the household."""

from __future__ import annotations

from collections.abc import Iterator

import ibis
import ibis.expr.types as ir

from campanile.customers.columns.past import YEAR, Past

_SURVEYS = ("nps", "csat")


def balances(past: Past, customers: ir.Table) -> Iterator[ir.Table]:
    """Relations with one row per customer; only for columns that the shop does not import, and has the events for."""
    imported = customers.columns
    if "points" not in imported and (points := _points(past)) is not None:
        yield points
    for kind in _SURVEYS:
        if kind not in imported and (scores := _last_score(past, kind)) is not None:
            yield scores
    if "home_store" not in imported and (stores := _home_store(past)) is not None:
        yield stores


def household_size(customers: ir.Table) -> ir.IntegerValue | None:
    """How many customers share a household; None where households are unknown or their size is imported."""
    if "household" not in customers.columns or "household_size" in customers.columns:
        return None
    size: ir.IntegerValue = ibis.ifelse(
        customers.household.notnull(),
        customers.count().over(group_by=customers.household),
        ibis.null("int64"),
    )
    return size


def _points(past: Past) -> ir.Table | None:
    """Earned points less spent ones."""
    earned, spent = past.events("earned_points", "points"), past.events("spent_points", "points")
    if earned is None:
        return None
    parts = [earned.select("customer_id", points=earned.points)]
    if spent is not None:
        parts.append(spent.select("customer_id", points=-spent.points))
    rows = ibis.union(*parts) if len(parts) > 1 else parts[0]
    return rows.group_by("customer_id").agg(points=rows.points.sum())


def _last_score(past: Past, kind: str) -> ir.Table | None:
    """The newest answer to one kind of survey; of two at the same moment the lower."""
    rows = past.events("surveyed", "kind", "score")
    if rows is None:
        return None
    rows = rows.filter(rows.kind == kind, rows.score.notnull())
    order = [rows["at"].desc(), rows.score.asc()]
    ranked = rows.mutate(rank=ibis.row_number().over(group_by="customer_id", order_by=order))
    return ranked.filter(ranked["rank"] == 0).select("customer_id", **{kind: ranked.score})


def _home_store(past: Past) -> ir.Table | None:
    """The store with most orders in 365 days; ties the latest, then by name."""
    orders = past.orders
    if "store" not in orders.columns:
        return None
    rows = orders.filter(orders["at"] >= past.start_of(YEAR), orders.store.notnull())
    counted = rows.group_by("customer_id", "store").agg(times=rows.count(), last_at=rows["at"].max())
    order = [counted.times.desc(), counted.last_at.desc(), counted.store.asc()]
    ranked = counted.mutate(rank=ibis.row_number().over(group_by="customer_id", order_by=order))
    return ranked.filter(ranked["rank"] == 0).select("customer_id", home_store=ranked.store)
