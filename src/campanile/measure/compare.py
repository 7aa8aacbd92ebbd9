"""One comparison of two arms: the method chosen by what the data are, never by what it would say.

Reads the statistics of two arms. Returns a `Comparison` that names its methods. Never chooses one by the result.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Generic, NamedTuple, TypeVar

import numpy as np

from campanile.measure import amounts
from campanile.measure.counts import Moments, moments_of
from campanile.measure.lift import Limits
from campanile.measure.rates import compare_rates
from campanile.measure.relabelled import Orders, orders_of, relabelled_interval, relabelled_lift, relabelled_p
from campanile.measure.shape import DIFFERENT, shape_statistic
from campanile.measure.types import ArmStatistics, Comparison, Kind, scaled, shift

#: Welch needs an arm of at least this share of the two (at 30/70 it still overclaims; simulated) ...
LEAST_SHARE = 0.45
#: ... and this many customers in either arm whose value is not zero.
LEAST_BUYERS = 400
#: Of the values that are not zero, the share below zero up to which the variance still grows with the mean (simulated).
MOST_NEGATIVE = 0.2

#: Relabelling takes it that most customers buy nothing: at most this share of them buys.
MOST_BUYERS = 0.5
#: With the orders known, Welch is taken where the mean of neither arm is more skewed than this: there it overclaims by
#: half a point, and needs no law of orders that both arms share.
MOST_SKEW = 0.05

#: The method where no value differs from another.
WITHHELD = "withheld: values do not vary"


#: What a method needs to know of an arm: its moments, or its orders by class of amount.
Known = TypeVar("Known", Moments, Orders)


@dataclass(frozen=True, slots=True)
class AmountMethod(Generic[Known]):
    """A test of amounts, the interval that inverts it, and the lift's interval that agrees with both.

    Attributes:
        known: What it needs to know of an arm.
    """

    interval_name: str
    p_name: str
    known: Callable[[ArmStatistics, str], Known]
    p_value: Callable[..., float]
    interval: Callable[..., tuple[float, float]]
    lift: Callable[..., Limits]

    def judged(self, comparison: Comparison, first: Known, second: Known) -> Comparison:
        """The comparison with what the method says of what is known of both arms."""
        low, high = self.interval(first, second, alpha=comparison.alpha)
        lifted = comparison.mean_control > 0
        lift_low, lift_high = self.lift(first, second, alpha=comparison.alpha) if lifted else (None, None)
        return replace(
            comparison,
            low=low,
            high=high,
            p_value=self.p_value(first, second),
            interval_method=self.interval_name,
            p_method=self.p_name,
            lift_low=lift_low,
            lift_high=lift_high,
        )

    def compared(self, control: ArmStatistics, treatment: ArmStatistics, comparison: Comparison) -> Comparison:
        """The comparison with what the method says of both arms."""
        metric = comparison.metric
        return self.judged(comparison, self.known(control, metric), self.known(treatment, metric))

    def p_of(self, control: ArmStatistics, treatment: ArmStatistics, metric: str, difference: float) -> float:
        """The p-value that the means differ by `difference`."""
        return self.p_value(self.known(control, metric), self.known(treatment, metric), difference=difference)

    def interval_of(
        self, control: ArmStatistics, treatment: ArmStatistics, metric: str, alpha: float
    ) -> tuple[float, float]:
        """The interval of the difference."""
        return self.interval(self.known(control, metric), self.known(treatment, metric), alpha=alpha)


RELABELLED = AmountMethod(
    "relabelled orders", "relabelled orders", orders_of, relabelled_p, relabelled_interval, relabelled_lift
)
SCORE = AmountMethod(
    "quasi-Poisson score",
    "pooled-variance t",
    moments_of,
    amounts.score_p,
    amounts.score_interval,
    amounts.score_lift,
)
WELCH = AmountMethod("Welch", "Welch t", moments_of, amounts.welch_p, amounts.welch_interval, amounts.welch_lift)
#: Where the orders of the arms differ in shape, no law of orders is common to both.
UNLIKE = replace(WELCH, interval_name="Welch, because the arms' orders differ in shape")
POOLED = AmountMethod(
    "pooled variance, because of values below zero",
    "pooled-variance t",
    moments_of,
    amounts.pooled_p,
    amounts.pooled_interval,
    amounts.pooled_lift,
)


@dataclass(frozen=True, slots=True)
class Profit:
    """How profit per customer follows from an amount: margin rate times it, minus the contact cost of the treated.

    `contact` is known, per assigned customer of the treatment and in the unit of the metric. A metric that is margin
    already has margin rate 1.
    """

    metric: str
    margin_rate: float
    contact: float


class Adjusted(NamedTuple):
    """Both arms' means and variances after an adjustment, and its name: what `compare_adjusted` takes.

    `variance / n` of either is the variance of its mean, and the variance of the difference is the sum of both.
    """

    control: Moments
    treatment: Moments
    by: str
    kind: Kind = "money"


def compare(
    control: ArmStatistics, treatment: ArmStatistics, metric: str, *, kind: Kind, alpha: float = 0.05
) -> Comparison:
    """What treatment did beyond control on one metric, with interval, p-value and lift.

    Raises:
        ValueError: The kind is "ratio", which needs two metrics (`compare_ratio`).
    """
    if kind == "ratio":
        raise ValueError(f"{metric} is a ratio: give its numerator and denominator to compare_ratio")
    compared = compare_rates if kind == "rate" else compare_amounts
    return compared(control, treatment, metric, alpha=alpha)


def amount_method(
    control: ArmStatistics, treatment: ArmStatistics, metric: str
) -> AmountMethod[Moments] | AmountMethod[Orders] | None:
    """The method for an amount per customer; None when no value varies, so nothing can be said.

    >>> many, few = (ArmStatistics("a", 10_000, {"x": 900}, {"x": 9e6}, nonzero={"x": n}) for n in (900, 90))
    >>> amount_method(many, many, "x").interval_name, amount_method(few, many, "x").interval_name
    ('Welch', 'quasi-Poisson score')
    """
    by_moments = moment_method(control, treatment, metric)
    arms = (control, treatment)
    buyers, n = sum(arm.nonzero.get(metric, 0) for arm in arms), control.n + treatment.n
    known = all(metric in arm.classes for arm in arms) and 0 < buyers <= MOST_BUYERS * n
    if not known or by_moments is None or by_moments is POOLED:
        return by_moments
    if _skew(control, treatment, metric) <= MOST_SKEW:
        return WELCH
    alike = shape_statistic(orders_of(control, metric), orders_of(treatment, metric)) <= DIFFERENT
    return RELABELLED if alike else UNLIKE


def moment_method(control: ArmStatistics, treatment: ArmStatistics, metric: str) -> AmountMethod[Moments] | None:
    """The method for an amount of which only mean and variance are known, as after an adjustment."""
    arms = (control, treatment)
    if control.n + treatment.n < 3 or not any(arm.squares[metric] for arm in arms):
        return None
    nonzero = [arm.nonzero.get(metric, 0) for arm in arms]
    negative = sum(arm.negative.get(metric, 0) for arm in arms)
    if negative > MOST_NEGATIVE * sum(nonzero) or not all(_grows(arm, metric) for arm in arms):
        return POOLED
    share = min(arm.n for arm in arms) / (control.n + treatment.n)
    return SCORE if share < LEAST_SHARE or min(nonzero) < LEAST_BUYERS else WELCH


def compare_amounts(
    control: ArmStatistics, treatment: ArmStatistics, metric: str, *, alpha: float = 0.05
) -> Comparison:
    """The difference of two amounts per customer; p-value, interval and lift agree on whether there is one.

    >>> arms = [ArmStatistics.from_values(name, {"revenue": values})
    ...         for name, values in [("control", [0] * 95 + [100] * 5), ("sms", [0] * 850 + [100] * 150)]]
    >>> found = compare_amounts(*arms, "revenue")
    >>> found.interval_method, found.p_value < 0.05, found.low > 0, found.lift_low > 0
    ('relabelled orders', True, True, True)
    """
    plain = Adjusted(moments_of(control, metric), moments_of(treatment, metric), by="")
    comparison = _uninferred(control, treatment, metric, plain, alpha)
    method = amount_method(control, treatment, metric)
    return comparison if method is None else method.compared(control, treatment, comparison)


def compare_adjusted(
    control: ArmStatistics, treatment: ArmStatistics, metric: str, adjusted: Adjusted, *, alpha: float = 0.05
) -> Comparison:
    """The difference of two adjusted means (CUPED, post-stratified, of the delivered, per order).

    The method is that of the moments before adjustment, so an adjustment never changes it to a bolder one; a mean
    adjusted to zero or below takes the pooled variance.

    >>> arms = [ArmStatistics.from_values(name, {"revenue": [0] * 95 + [100] * 5}) for name in ("control", "sms")]
    >>> halved = Adjusted(Moments(100, 5.0, 240.0), Moments(100, 6.0, 240.0), by="CUPED")
    >>> compare_adjusted(*arms, "revenue", halved).interval_method
    'quasi-Poisson score, CUPED'
    """
    first, second, by, _ = adjusted
    comparison = _uninferred(control, treatment, metric, adjusted, alpha)
    method = _method_after(control, treatment, metric, adjusted)
    if method is None:
        return comparison
    found = method.judged(comparison, first, second)
    named = f", {by}" if by else ""
    return replace(found, interval_method=found.interval_method + named, p_method=found.p_method + named)


def _method_after(
    control: ArmStatistics, treatment: ArmStatistics, metric: str, adjusted: Adjusted
) -> AmountMethod[Moments] | None:
    """The method for adjusted means; None when nothing varies any more."""
    first, second, *_ = adjusted
    method = moment_method(control, treatment, metric)
    if method is None or not first.variance + second.variance > 0:
        return None
    return method if all(part.mean > 0 or not part.variance for part in (first, second)) else POOLED


def _uninferred(
    control: ArmStatistics, treatment: ArmStatistics, metric: str, adjusted: Adjusted, alpha: float
) -> Comparison:
    """The comparison before any method has spoken."""
    first, second, _, kind = adjusted
    return Comparison(
        metric=metric,
        kind=kind,
        control=control.arm,
        treatment=treatment.arm,
        n_control=control.n,
        n_treatment=treatment.n,
        mean_control=first.mean,
        mean_treatment=second.mean,
        difference=second.mean - first.mean,
        low=None,
        high=None,
        p_value=None,
        interval_method=WITHHELD,
        p_method=WITHHELD,
        alpha=alpha,
        lift=second.mean / first.mean - 1 if first.mean > 0 else None,
        buyers_control=control.nonzero.get(metric),
        buyers_treatment=treatment.nonzero.get(metric),
    )


def compare_profit(
    control: ArmStatistics,
    treatment: ArmStatistics,
    profit: Profit,
    *,
    alpha: float = 0.05,
    adjusted: Adjusted | None = None,
) -> Comparison:
    """The difference in profit per customer, before fixed cost; the p-value is that of no profit.

    Contact cost is known, so it moves the interval and does not widen it. `adjusted` holds the means of the profit's
    metric after an adjustment.

    >>> arms = [ArmStatistics.from_values(name, {"revenue": values})
    ...         for name, values in [("control", [0] * 95 + [100] * 5), ("sms", [0] * 850 + [100] * 150)]]
    >>> found = compare_profit(*arms, Profit("revenue", margin_rate=0.4, contact=3))
    >>> round(found.difference, 6), found.p_value < 0.05, found.low > 0
    (1.0, False, False)
    """
    name, break_even = "profit_per_customer", profit.contact / profit.margin_rate
    if adjusted is not None:
        amount = compare_adjusted(control, treatment, profit.metric, adjusted, alpha=alpha)
        after = _method_after(control, treatment, profit.metric, adjusted)
        p_value = None if after is None else after.p_value(*adjusted[:2], difference=break_even)
    else:
        amount = compare_amounts(control, treatment, profit.metric, alpha=alpha)
        method = amount_method(control, treatment, profit.metric)
        p_value = None if method is None else method.p_of(control, treatment, profit.metric, break_even)
    moved = shift(scaled(amount, profit.margin_rate, name), -profit.contact, name)
    return replace(moved, p_value=p_value)


def _skew(control: ArmStatistics, treatment: ArmStatistics, metric: str) -> float:
    """The skewness of the mean of the arm with fewer buyers, by the orders of both: control's own would decide by luck.

    >>> arms = [ArmStatistics.from_values(name, {"x": [0] * 900 + [100] * 100}) for name in ("control", "sms")]
    >>> round(_skew(*arms, "x"), 3)
    0.1
    """
    orders = [orders_of(arm, metric) for arm in (control, treatment)]
    cubes = sum(float(arm.counts @ np.abs(arm.amounts) ** 3) for arm in orders)
    squares, buyers = sum(arm.squares for arm in orders), sum(arm.buyers for arm in orders)
    fewest = min(arm.buyers for arm in orders)
    return cubes / squares**1.5 * math.sqrt(buyers / fewest) if fewest else math.inf


def _grows(arm: ArmStatistics, metric: str) -> bool:
    """Whether a variance proportional to the mean can hold: the mean is above zero, or every value is zero."""
    return arm.sums[metric] > 0 or not arm.squares[metric]
