"""Money per customer by drawing again who was in which arm: exact where a handful of uneven orders decide.

Reads the orders of two arms, in classes of amount. Returns tail probabilities, p-values and limits that agree: 0 lies
outside the interval exactly when p is below alpha. Nothing is drawn: the law of the relabelled sum is computed from its
cumulant function (Robinson 1982, JRSS B 44:91; Booth and Butler 1990, Biometrika 77:787), so a result has no seed. The
derivation and the simulations are in docs/method-money-interval.md.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import optimize, special

from campanile.measure.counts import normal_quantile
from campanile.measure.lift import Limits
from campanile.measure.types import ArmStatistics

Array = NDArray[np.float64]

#: A lift through larger orders is held to be moderate where the data are silent: one standard deviation is this much of
#: the logarithm, so a factor between a third and three.
_PRIOR_DEVIATION = 1.0
#: Where fewer buyers than this are expected in an arm that has some, no law of their sum is needed to see it.
_FEWEST = 1e-6
_STEPS, _NEWTON = 50, 100


@dataclass(frozen=True)
class Orders:
    """What the buyers of one arm spent, in classes of amount.

    Attributes:
        n: Customers of the arm, buyers or not.
        total: Sum over the arm.
        squares: Sum of squared amounts, not centred.
        amounts: Mean amount of each class.
        counts: Buyers in each class.
    """

    n: int
    total: float
    squares: float
    amounts: Array
    counts: Array

    @cached_property
    def buyers(self) -> float:
        """How many bought."""
        return float(self.counts.sum())

    @property
    def mean(self) -> float:
        """The amount per customer."""
        return self.total / self.n


def orders_of(arm: ArmStatistics, metric: str) -> Orders:
    """The orders of an arm on an amount metric that has classes."""
    classes = [classed for _, classed in sorted(arm.classes[metric].items())]  # engines answer in any order
    counts, sums = np.array(classes, dtype=float).reshape(-1, 2).T
    total = arm.sums[metric]
    squares = arm.squares[metric] + total * (total / arm.n)
    return Orders(arm.n, float(total), squares, sums / counts, counts)


class _Means(NamedTuple):
    """Means of both arms that a hypothesis allows, the likeliest ones."""

    control: float
    treatment: float


#: The likeliest means under a hypothesis, given the factor between the arms' orders.
_Fit = Callable[[float], _Means]


def relabelled_p(control: Orders, treatment: Orders, *, difference: float = 0.0) -> float:
    """The two-sided p-value that the means differ by `difference`: twice the smaller tail."""
    position = _difference_position(control, treatment, difference)
    return min(1.0, 2 * float(special.ndtr(-abs(position))))


def relabelled_interval(control: Orders, treatment: Orders, *, alpha: float = 0.05) -> tuple[float, float]:
    """All differences of means that relabelling does not reject, alpha / 2 on either side.

    >>> few = Orders(500, 0.0, 0.0, np.array([]), np.array([]))
    >>> many = Orders(9500, 4000.0, 4e5, np.array([100.0]), np.array([40.0]))
    >>> low, high = relabelled_interval(few, many)
    >>> low < 0 < high < 1.1
    True
    """
    quantile = normal_quantile(alpha)
    observed = treatment.mean - control.mean
    step = quantile * math.sqrt(control.squares / control.n**2 + treatment.squares / treatment.n**2)

    def position(difference: float) -> float:
        return _difference_position(control, treatment, difference)

    return _root(position, observed, -step, -quantile), _root(position, observed, step, quantile)


def relabelled_lift_p(control: Orders, treatment: Orders, *, lift: float = 0.0) -> float:
    """The two-sided p-value that treatment's mean is `1 + lift` times control's; both arms have to have bought."""
    return min(1.0, 2 * float(special.ndtr(-abs(_ratio_position(control, treatment, 1 + lift)))))


def relabelled_lift(control: Orders, treatment: Orders, *, alpha: float = 0.05) -> Limits:
    """The interval of the lift by the same test of a ratio of means; withheld when an arm bought nothing.

    Holds 0 exactly when the difference's interval does: "no lift" and "no difference" are one hypothesis.
    """
    if control.total <= 0 or treatment.total <= 0:
        return None, None
    quantile = normal_quantile(alpha)
    observed = math.log(treatment.mean / control.mean)
    step = quantile * math.sqrt(sum(arm.squares / arm.total**2 for arm in (control, treatment)))

    def position(logarithm: float) -> float:
        return _ratio_position(control, treatment, math.exp(logarithm))

    low, high = _root(position, observed, -step, -quantile), _root(position, observed, step, quantile)
    return math.expm1(low), math.expm1(high)


def _root(position: Callable[[float], float], start: float, step: float, target: float) -> float:
    """Where the position, which grows, comes to the target; sought from `start`, first by `step`.

    Zero is asked first where it lies on the way. Between arms of a few customers the position may fall back for a
    stretch, and the limit has to lie on the same side of zero as the p-value says.
    """
    beyond = position(start) > target
    if beyond == (step > 0):  # an arm without buyers can lie beyond at the start
        step = -step
    near, far = start, start + step
    if start * step < 0:
        near, far = (start, 0.0) if (position(0.0) > target) != beyond else (0.0, step)
    for _ in range(_STEPS):
        if (position(far) > target) != beyond:
            break
        near, far = far, far + 2 * (far - near)
    return float(optimize.brentq(lambda x: position(x) - target, near, far, xtol=1e-12 * abs(step), rtol=1e-12))


# --- hypotheses ------------------------------------------------------------------------------------------------------
def _difference_position(control: Orders, treatment: Orders, difference: float) -> float:
    """Where the data lie under "the means differ by this", as a quantile of the normal law: it grows with it."""

    def fit(larger: float) -> _Means:
        return _apart(control, treatment, larger, difference)

    return _Hypothesis(control, treatment, fit).position()


def _ratio_position(control: Orders, treatment: Orders, ratio: float) -> float:
    """Where the data lie under "treatment's mean is this many times control's", as a normal quantile."""

    def fit(larger: float) -> _Means:
        mean = (control.total + treatment.total / larger) / (control.n + treatment.n / larger * ratio)
        return _Means(mean, ratio * mean)

    return _Hypothesis(control, treatment, fit, ratio=True).position()


def _apart(control: Orders, treatment: Orders, larger: float, difference: float) -> _Means:
    """The quasi-Poisson estimate of two means that differ by `difference`, treatment's orders `larger` times control's.

    The larger root of a quadratic, in the one of its two forms that does not subtract nearly equal numbers.
    """
    n = control.n + treatment.n / larger
    linear = control.total + treatment.total / larger - n * difference
    root = math.sqrt(max(linear**2 + 4 * n * control.total * difference, 0.0))
    first = (linear + root) / (2 * n) if linear >= 0 else 2 * control.total * difference / (root - linear)
    least = 1e-9 * (control.total + treatment.total) / (control.n + treatment.n)
    return _Means(max(first, least), max(first + difference, least))


class _Hypothesis:
    """Two arms under a hypothesis about their means, and how far from it they are.

    The orders of treatment are divided by `larger`, so that a buyer's amount no longer tells their arm. Of all buyers,
    each is then in control with probability `share`, on their own account: that is the law of control's sum.
    """

    def __init__(self, control: Orders, treatment: Orders, fit: _Fit, *, ratio: bool = False) -> None:
        self.control, self.treatment, self.ratio = control, treatment, ratio
        self.larger = _larger(control, treatment, fit)
        self.means = fit(self.larger)
        self.total = control.total + treatment.total / self.larger
        self.buyers = control.buyers + treatment.buyers
        self.squares = control.squares + treatment.squares / self.larger**2
        expected = control.n * self.means.control, treatment.n / self.larger * self.means.treatment
        self.share = expected[0] / (expected[0] + expected[1])

    def position(self) -> float:
        """The normal quantile of the chance that control is as poor as this or poorer."""
        deviation, labels, level = self._deviation()
        if not self.control.buyers:  # the chance that nobody falls to control, as long as that is little
            return min(deviation, float(special.ndtri(math.exp(self.buyers * math.log1p(-self.share)))))
        if not self.treatment.buyers:
            return max(deviation, -float(special.ndtri(math.exp(self.buyers * math.log(self.share)))))
        if self.buyers * min(self.share, 1 - self.share) < _FEWEST:
            return deviation
        return self._law(labels, level).position(deviation)

    def _deviation(self) -> tuple[float, float, float]:
        """How far control lies above what is expected, in standard deviations.

        Beside it, what is left of the variance of the labels in samples of known size, as a part of what it is when
        every buyer falls where he does on his own account; and the part of the whole variance that does not come from
        the labels but from how much was bought at all.
        """
        control, treatment, larger = self.control, self.treatment, self.larger
        below, above = self.means
        order = self.total / self.buyers
        shape = self.buyers * self.squares / self.total**2
        times = above / below if self.ratio else 1.0
        first, second = times**2 * below * order / control.n, above * order * larger / treatment.n
        whole = shape * (first + second)
        lost = first * below / order + second * above / (order * larger)
        variance = whole - min(lost, 0.99 * whole)
        level = 0.0 if self.ratio else (above - below) ** 2 * shape / self.buyers
        apart = times * control.mean - treatment.mean + (0.0 if self.ratio else above - below)
        left = max(variance - level, 1e-6 * variance)
        return apart / math.sqrt(variance), left / max(whole - level, left), 1 - left / variance

    def _law(self, labels: float, level: float) -> _Relabelled:
        """The law of the deviation, its variance 1: that of the labels is `labels` of what independent ones have.

        An arm has as many customers as it has, so more buyers there leave fewer who buy nothing. Independent labels
        respect that when a `typical` amount is taken off every customer's, also off nothing, as residuals are taken:
        the amount per customer, where both arms buy alike.
        """
        n, spread = self.control.n + self.treatment.n, self.share * (1 - self.share)
        typical = (self.total - math.sqrt(max(self.total**2 - n * self.squares * (1 - labels), 0.0))) / n
        amounts = np.concatenate(([0.0], self.control.amounts, self.treatment.amounts / self.larger)) - typical
        counts = np.concatenate(([n - self.buyers], self.control.counts, self.treatment.counts))
        scale = math.sqrt((1 - level) / (spread * float(counts @ amounts**2)))
        return _Relabelled(amounts * scale, counts, self.share, level)


def _larger(control: Orders, treatment: Orders, fit: _Fit) -> float:
    """How many times control's orders treatment's are, under the hypothesis.

    Two estimates, weighed by their variances: the ratio of mean orders, and what the hypothesis leaves to orders once
    the ratio of buyers is taken off. Their weighted mean is uncorrelated with the difference that is tested.
    """
    if min(control.buyers, treatment.buyers, control.total, treatment.total) <= 0:
        return 1.0
    weight = 1 / (1 / control.buyers + 1 / treatment.buyers)
    orders = math.log(treatment.total / treatment.buyers * control.buyers / control.total)
    buyers = math.log(treatment.buyers / treatment.n * control.n / control.buyers)
    rate = (control.buyers + treatment.buyers) / (control.n + treatment.n)
    larger = 1.0
    for _ in range(4):
        means = fit(larger)
        total = control.total + treatment.total / larger
        square = (control.buyers + treatment.buyers) * (control.squares + treatment.squares / larger**2) / total**2
        by_orders, by_buyers = weight / max(square - 1, 1e-3), weight / max(1 - rate, 1e-3)
        left = math.log(means.treatment / means.control) - buyers
        found = (orders * by_orders + left * by_buyers) / (by_orders + by_buyers + _PRIOR_DEVIATION**-2)
        larger = math.exp(min(max(found, -3.0), 3.0))
    return larger


# --- the law of the relabelled sum -----------------------------------------------------------------------------------
@dataclass(frozen=True)
class _Relabelled:
    """The sum of the amounts of the buyers who fall to control, about its mean, plus a normal variable.

    Attributes:
        amounts, counts: The classes of all buyers.
        share: The chance of each to fall to control.
        level: Variance of the normal variable.
    """

    amounts: Array
    counts: Array
    share: float
    level: float

    def position(self, deviation: float) -> float:
        """The normal quantile of the chance of a deviation as low as this: r* of Barndorff-Nielsen (1986)."""
        weighted = self.counts * self.amounts
        value = deviation + self.share * float(weighted.sum())
        if not self.level and not weighted[weighted < 0].sum() < value < weighted[weighted > 0].sum():
            return deviation  # beyond the last possible sum, which happens between arms of a few customers
        tilt = self._tilt(value)
        _, second, third = self._derivatives(tilt)
        if second < _FEWEST:
            return deviation
        root = math.copysign(math.sqrt(max(2 * (tilt * value - self._cumulants(tilt)), 0.0)), tilt)
        if abs(root) < 1e-3:
            return root + third / math.pow(second, 1.5) / 6
        return root + math.log(tilt * math.sqrt(second) / root) / root

    def _cumulants(self, tilt: float) -> float:
        log_odds = np.logaddexp(math.log1p(-self.share), math.log(self.share) + tilt * self.amounts)
        return float(self.counts @ log_odds) + tilt**2 * self.level / 2

    def _derivatives(self, tilt: float) -> tuple[float, float, float]:
        chance = special.expit(tilt * self.amounts + math.log(self.share) - math.log1p(-self.share))
        once = self.counts * self.amounts * chance
        twice = once * self.amounts * (1 - chance)
        third = float((twice * self.amounts) @ (1 - 2 * chance))
        return float(once.sum()) + tilt * self.level, float(twice.sum()) + self.level, third

    def _tilt(self, value: float) -> float:
        """Where the first derivative is the value; Newton's steps, kept inside what is known to hold the root."""
        low, high, tilt = -math.inf, math.inf, 0.0
        for _ in range(_NEWTON):
            first, second, _ = self._derivatives(tilt)
            if first > value:
                high = tilt
            else:
                low = tilt
            step = (value - first) / second if second > 0 else math.inf
            longest = 4 * max(1.0, abs(tilt))
            step = min(max(step, -longest), longest)
            if abs(step) <= 1e-10 * max(1.0, abs(tilt)):
                return tilt + step
            tilt += step
            if not low < tilt < high:
                tilt = (low + high) / 2
        return tilt
