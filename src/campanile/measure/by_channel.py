"""Where the money came in: net revenue per assigned customer by the channel of the orders.

A channel parts orders, not customers: everybody assigned counts in every channel, with nothing where they bought
nothing there. So the differences of the channels add up to that of the whole, and what moves from one to another shows.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

import ibis
import ibis.expr.types as ir

from campanile.customers.database import CustomerDatabase
from campanile.measure.outcomes import Span, Wave, orders_in_window
from campanile.measure.sums import OTHER, UNKNOWN, ByLevel, amount_class
from campanile.measure.types import Aggregate, ArmStatistics

REVENUE = "revenue_per_customer"
#: So many channels are shown, those with most money; the others together.
MOST_CHANNELS = 8


def by_channel(database: CustomerDatabase, wave: Wave, within: Span, sizes: Mapping[str, int]) -> ByLevel:
    """Revenue statistics by channel and arm, the channel with most money first; empty where orders name no channel.

    Args:
        database: The shop's orders.
        wave: Read at its moment.
        within: From `span`.
        sizes: Customers assigned to each arm.
    """
    orders = orders_in_window(database, wave, within)
    if "channel" not in orders.columns:
        return {}
    spent = _spent(orders)
    totals = spent.group_by("channel").aggregate(total=spent["net"].sum()).to_pyarrow().to_pylist()
    names = [row["channel"] for row in sorted(totals, key=lambda row: (-int(row["total"]), row["channel"]))]
    kept = names[: MOST_CHANNELS if len(names) <= MOST_CHANNELS else MOST_CHANNELS - 1]
    if len(kept) < len(names):
        level = ibis.ifelse(spent["channel"].isin(kept), spent["channel"], OTHER)
        spent = _spent(spent.mutate(channel=level))
        kept = [*kept, OTHER]
    found = _summed(spent)
    return {name: {arm: _whole(arm, n, found.get((arm, name))) for arm, n in sizes.items()} for name in kept}


def _spent(orders: ir.Table) -> ir.Table:
    """What each customer spent in each channel."""
    named = orders.mutate(channel=orders["channel"].cast("string").fill_null(UNKNOWN))
    return named.group_by("arm", "channel", "customer_id").aggregate(net=named["net"].sum().cast("int64"))


def _summed(spent: ir.Table) -> dict[tuple[str, str], ArmStatistics]:
    """The statistics of those who bought in a channel, by arm and channel."""
    net = cast(ir.IntegerColumn, spent["net"])
    figures = {
        "n": spent.count(),
        "total": net.sum(),
        "variance": net.cast("float64").var(how="sample"),
        "nonzero": (net != 0).sum(),
        "negative": (net < 0).sum(),
    }
    counted = spent.group_by("arm", "channel", place=amount_class(net)).aggregate(n=spent.count(), total=net.sum())
    classes: dict[tuple[str, str], dict[int, tuple[int, int]]] = {}
    for row in counted.to_pyarrow().to_pylist():
        if row["place"]:
            classes.setdefault((row["arm"], row["channel"]), {})[row["place"]] = (row["n"], int(row["total"]))
    rows = spent.group_by("arm", "channel").aggregate(**figures).to_pyarrow().to_pylist()
    return {(row["arm"], row["channel"]): _bought(row, classes) for row in rows}


def _bought(row: Mapping[str, Any], classes: Mapping[tuple[str, str], dict[int, tuple[int, int]]]) -> ArmStatistics:
    aggregate = Aggregate(
        row["total"], row["variance"], row["nonzero"], row["negative"], classes.get((row["arm"], row["channel"]), {})
    )
    return ArmStatistics.from_aggregates(row["arm"], row["n"], {REVENUE: aggregate})


def _whole(arm: str, n: int, bought: ArmStatistics | None) -> ArmStatistics:
    """The statistics of the whole arm: those who bought in a channel, and the others with nothing."""
    others = n - (bought.n if bought else 0)
    rest = ArmStatistics(arm, others, {REVENUE: 0}, {REVENUE: 0.0}, {}, {REVENUE: 0}, {REVENUE: 0}, {REVENUE: {}})
    return rest + bought if bought else rest
