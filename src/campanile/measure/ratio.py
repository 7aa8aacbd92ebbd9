"""One amount per another, such as revenue per order: what an effect was made of, never the effect itself.

Reads sums, squares and products of two metrics. Returns a `Comparison` of kind "ratio". Never a headline: who orders
differs between the arms once a campaign works, so a ratio among orders compares different people. More small orders
make a good campaign's order value fall.
"""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

from campanile.errors import CampanileError
from campanile.measure.compare import Adjusted, compare_adjusted
from campanile.measure.counts import Moments
from campanile.measure.lift import Estimate
from campanile.measure.types import ArmStatistics, Comparison, pair

#: Share of two terms that is left by rounding alone when they cancel.
_NOTHING = 1e-12


class Ratio(NamedTuple):
    """The name of a ratio metric and the two metrics that it divides."""

    name: str
    numerator: str
    denominator: str


def ratio_estimate(arm: ArmStatistics, ratio: Ratio) -> Estimate:
    """The ratio of the arm's sums and its variance by the delta method over customers.

    A customer with three orders is one customer: orders of one person are not independent, customers are.
    Kohavi, Longbotham, Sommerfield and Henne (2009), Data Min Knowl Disc 18:140; Deng, Knoblich and Lu (2018), KDD.

    >>> arm = ArmStatistics.from_values("control", {"revenue": [0, 0, 30, 50], "orders": [0, 0, 1, 1]})
    >>> found = ratio_estimate(arm, Ratio("order_value", "revenue", "orders"))
    >>> found.mean, round(found.variance, 6)
    (40.0, 66.666667)

    Raises:
        CampanileError: The denominator adds up to nothing, or the arm has no product of the two metrics.
    """
    below = arm.mean(ratio.denominator)
    if below <= 0:
        raise CampanileError(
            f"{ratio.name} has no value: {ratio.denominator} of arm {arm.arm} add up to {arm.sums[ratio.denominator]}",
            "read the experiment when both arms have some",
        )
    if pair(ratio.numerator, ratio.denominator) not in arm.products:
        raise CampanileError(
            f"arm {arm.arm} has no product of {ratio.numerator} and {ratio.denominator}",
            "ask the engine for their covariance as well",
        )
    value = arm.sums[ratio.numerator] / arm.sums[ratio.denominator]
    apart = arm.variance(ratio.numerator) + value**2 * arm.variance(ratio.denominator)
    residual = apart - 2 * value * arm.covariance(ratio.numerator, ratio.denominator)
    if residual < _NOTHING * apart:  # every order was alike, and what is left is rounding
        residual = 0.0
    return Estimate(value, residual / below**2 / arm.n)


def compare_ratio(control: ArmStatistics, treatment: ArmStatistics, ratio: Ratio, *, alpha: float = 0.05) -> Comparison:
    """The difference and lift of a ratio, of kind "ratio": an explanation.

    The unit of the variances is one of the denominator (an order), because that, and not the number of customers, is
    what makes a ratio precise; the method is chosen as for the numerator.

    >>> arms = [ArmStatistics.from_values(name, {"revenue": [0, 0, *values], "orders": [0, 0, 1, 1, 2, 1]})
    ...         for name, values in [("control", [30, 50, 80, 45]), ("sms", [60, 50, 90, 70])]]
    >>> found = compare_ratio(*arms, Ratio("order_value", "revenue", "orders"))
    >>> found.kind, round(found.difference, 6), round(found.lift, 3), found.interval_method
    ('ratio', 13.0, 0.317, 'quasi-Poisson score, per orders')
    """
    adjusted = Adjusted(_moments(control, ratio), _moments(treatment, ratio), f"per {ratio.denominator}", "ratio")
    found = compare_adjusted(control, treatment, ratio.numerator, adjusted, alpha=alpha)
    return replace(
        found,
        metric=ratio.name,
        buyers_control=control.nonzero.get(ratio.denominator),
        buyers_treatment=treatment.nonzero.get(ratio.denominator),
    )


def _moments(arm: ArmStatistics, ratio: Ratio) -> Moments:
    found = ratio_estimate(arm, ratio)
    units = arm.sums[ratio.denominator]
    return Moments(units, found.mean, found.variance * units)
