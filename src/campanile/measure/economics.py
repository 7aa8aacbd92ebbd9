"""Whether a treatment paid: profit, returns and costs per order, each with the interval of what it rests on.

Reads comparisons and costs. Returns `Economics`. Never counts what would have been bought anyway, and never
subtracts a discount twice (it is inside net revenue).
"""

from __future__ import annotations

import math
from typing import NamedTuple

from campanile.errors import CampanileError
from campanile.measure.types import ArmCosts, Comparison, Economics, times


class Figure(NamedTuple):
    """A figure with its limits; None is withheld."""

    value: float | None
    low: float | None
    high: float | None

    @classmethod
    def of(cls, comparison: Comparison) -> Figure:
        """The difference of a comparison."""
        return cls(comparison.difference, comparison.low, comparison.high)

    def times(self, factor: float) -> Figure:
        """The figure times a known factor that is not negative."""
        return Figure(*(times(part, factor) for part in self))

    def plus(self, constant: float) -> Figure:
        """The figure plus a known constant."""
        return Figure(*(None if part is None else part + constant for part in self))

    def over(self, cost: float) -> Figure:
        """The figure per unit of a known cost; withheld when nothing was spent.

        >>> Figure(10.0, None, 30.0).over(5.0), Figure(10.0, None, 30.0).over(0.0)
        (Figure(value=2.0, low=None, high=6.0), Figure(value=None, low=None, high=None))
        """
        return self.times(1 / cost) if cost > 0 else Figure(None, None, None)


def cost_per_order(cost: float, orders: Figure) -> Figure:
    """The cost per incremental order.

    Without orders beyond control it has no value; when their lower limit is not above zero it has no upper bound, and
    `high` is None.

    >>> cost_per_order(900, Figure(88, 22, 143)).high
    40.90909090909091
    >>> cost_per_order(900, Figure(88, -10, 143)).high is None
    True
    """
    value, low, high = (cost / part if part is not None and part > 0 else None for part in orders)
    return Figure(value, high, low)


def organic_share(revenue: Comparison) -> Figure:
    """Control's revenue per customer over the treatment's: the share that would have come without the campaign.

    Hillstrom's "organic percentage", 1 / (1 + lift); its upper limit comes from the lift's lower one.
    """
    if not revenue.mean_treatment > 0:
        return Figure(None, None, None)
    limits = (revenue.lift_high, revenue.lift_low)
    low, high = (None if lift is None or lift <= -1 else 1 / (1 + lift) for lift in limits)
    return Figure(revenue.mean_control / revenue.mean_treatment, low, high)


def break_even(
    cost: float, response: Comparison, revenue: Comparison, margin: Comparison
) -> tuple[float | None, float | None]:
    """The differences in response rate and in revenue per customer at which the profit is zero.

    The first takes the treatment's margin per responder, the second its margin per unit of revenue; None without one.
    """
    if margin.mean_treatment <= 0:
        return None, None
    per_customer = cost / margin.n_treatment
    return (
        per_customer * response.mean_treatment / margin.mean_treatment,
        per_customer * revenue.mean_treatment / margin.mean_treatment,
    )


def economics(response: Comparison, revenue: Comparison, margin: Comparison, costs: ArmCosts) -> Economics:
    """What one treatment brought beyond control, in the unit of `revenue`, `margin` and `costs`.

    `margin` is margin per customer before contact cost, often `scaled(revenue, margin_rate, "margin_per_customer")`.
    Limits are those of the comparisons: profit moves by what was paid out, which is known, and ROI divides by cost. The
    full ROI also divides by discounts beyond control's, an estimate that is taken as it is.

    Raises:
        CampanileError: The comparisons are not of the same two arms at one level, or a cost is below zero.
    """
    _check(response, revenue, margin, costs)
    n = revenue.n_treatment
    responders, sales, earned = (Figure.of(part).times(n) for part in (response, revenue, margin))
    profit = earned.plus(-costs.media)
    roi, roi_media, iroas = profit.over(costs.full), profit.over(costs.media), sales.over(costs.media)
    per_order = cost_per_order(costs.media, responders)
    variable = costs.contact + costs.gifts
    holdout = Figure.of(margin).plus(-variable / n).times(margin.n_control)
    organic = organic_share(revenue)
    even_rate, even_revenue = break_even(costs.media, response, revenue, margin)
    return Economics(
        treatment=revenue.treatment,
        alpha=margin.alpha,
        incremental_responders=response.difference * n,
        incremental_responders_low=responders.low,
        incremental_responders_high=responders.high,
        incremental_revenue=revenue.difference * n,
        incremental_revenue_low=sales.low,
        incremental_revenue_high=sales.high,
        incremental_margin=margin.difference * n,
        incremental_margin_low=earned.low,
        incremental_margin_high=earned.high,
        incremental_profit=margin.difference * n - costs.media,
        profit_low=profit.low,
        profit_high=profit.high,
        profit_per_unit=margin.difference - costs.media / n,
        roi=roi.value,
        roi_low=roi.low,
        roi_high=roi.high,
        roi_media=roi_media.value,
        roi_media_low=roi_media.low,
        roi_media_high=roi_media.high,
        iroas=iroas.value,
        iroas_low=iroas.low,
        iroas_high=iroas.high,
        cost=costs.media,
        cost_full=costs.full,
        cost_per_incremental_order=per_order.value,
        cost_per_incremental_order_low=per_order.low,
        cost_per_incremental_order_high=per_order.high,
        break_even_difference=even_rate,
        break_even_revenue=even_revenue,
        organic_share=organic.value,
        organic_share_low=organic.low,
        organic_share_high=organic.high,
        holdout_cost=(margin.difference - variable / n) * margin.n_control,
        holdout_cost_low=holdout.low,
        holdout_cost_high=holdout.high,
        claimed_without_control=margin.mean_treatment * n - costs.media,
    )


def _check(response: Comparison, revenue: Comparison, margin: Comparison, costs: ArmCosts) -> None:
    pairs = {
        (part.control, part.treatment, part.n_control, part.n_treatment, part.alpha)
        for part in (response, revenue, margin)
    }
    if len(pairs) > 1:
        raise CampanileError(
            "response, revenue and margin compare other arms or at other levels",
            "compare the same two arms on all three metrics, at one alpha",
        )
    amounts = (costs.contact, costs.fixed, costs.gifts, costs.discounts)
    if not all(math.isfinite(amount) and amount >= 0 for amount in amounts):
        raise CampanileError("a cost is below zero", "write costs as amounts of zero or more")
