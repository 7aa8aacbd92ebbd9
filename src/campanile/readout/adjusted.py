"""The same effect in other ways: strata at their share, the past taken out, among the reached; and what it was made of.

Reads statistics by arm and stratum. Returns comparisons that stand beside the registered one, and never replace it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Literal

from campanile.measure.compare import Adjusted, compare_adjusted
from campanile.measure.compliance import delivered
from campanile.measure.cuped import fit_cuped
from campanile.measure.ratio import Ratio, compare_ratio
from campanile.measure.strata import Strata, post_stratified
from campanile.measure.types import ArmStatistics, Kind
from campanile.report.readout import Otherwise

#: How an effect is estimated.
Way = Literal["none", "strata", "past"]

#: What is known of every customer from before the campaign.
PAST = ("pre_orders", "pre_revenue")
#: 1 where a message was handed over.
REACHED = "reached"
ORDER_VALUE = Ratio("order_value", "revenue_per_customer", "orders_per_customer")


@dataclass(frozen=True)
class Pair:
    """Two arms to be compared, whole and by stratum."""

    control: ArmStatistics
    treatment: ArmStatistics
    strata: Strata = field(default_factory=dict)


def adjustment(pair: Pair, metric: str, *, kind: Kind, way: Way) -> Adjusted | None:
    """Means and variances of both arms after an adjustment; None for the plain difference.

    A wave without strata, or without an order before it, has nothing to adjust by.
    """
    control, treatment = pair.control, pair.treatment
    if way == "strata" and len(pair.strata) > 1:
        found = post_stratified(pair.strata, metric, control=control.arm, treatment=treatment.arm).adjusted
        return found._replace(kind=kind)
    if way == "past" and has_past(control, treatment):
        return fit_cuped(control, treatment, metric, PAST).adjusted._replace(kind=kind)
    return None


def has_past(control: ArmStatistics, treatment: ArmStatistics) -> bool:
    """Whether anybody in either arm had bought before."""
    return any(arm.squares.get(name) for arm in (control, treatment) for name in PAST)


def otherwise(pair: Pair, metric: str, *, kind: Kind, alpha: float) -> Iterator[Otherwise]:
    """The metric in every way that the data allow: strata, past, and among the reached."""
    control, treatment = pair.control, pair.treatment
    ways: tuple[Literal["strata", "past"], ...] = ("strata", "past")
    for way in ways:
        adjusted = adjustment(pair, metric, kind=kind, way=way)
        if adjusted is not None:
            found = compare_adjusted(control, treatment, metric, adjusted, alpha=alpha)
            yield Otherwise(way, found, _reduction(control, treatment, metric, adjusted))
    share = treatment.mean(REACHED) - control.mean(REACHED)
    if 0 < share < 1:
        among = delivered(control, treatment, metric, REACHED).adjusted
        among = among._replace(kind=kind)
        yield Otherwise("reached", compare_adjusted(control, treatment, metric, among, alpha=alpha), share=share)


def order_value(control: ArmStatistics, treatment: ArmStatistics, *, alpha: float) -> Iterator[Otherwise]:
    """Revenue per order, which says what an effect was made of; nothing where an arm ordered nothing."""
    if all(arm.sums.get(ORDER_VALUE.denominator) for arm in (control, treatment)):
        yield Otherwise("ratio", compare_ratio(control, treatment, ORDER_VALUE, alpha=alpha))


def _reduction(control: ArmStatistics, treatment: ArmStatistics, metric: str, adjusted: Adjusted) -> float | None:
    plain = sum(arm.variance(metric) / arm.n for arm in (control, treatment))
    left = adjusted.control.mean_variance + adjusted.treatment.mean_variance
    return 1 - left / plain if plain else None
