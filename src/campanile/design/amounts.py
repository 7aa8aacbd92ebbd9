"""What sizes can show in money per customer: power, smallest detectable difference and needed sizes.

Reads the mean and variance of history: what a customer of this kind spends in a window of this length without a
campaign, zeros included. Formulas are those of the two-sided normal test of two means, with one variance for both arms
where the test assumes no effect; with less than a hundred customers an arm they promise a point or two too much.
"""

from __future__ import annotations

from math import ceil, inf, isfinite, sqrt
from statistics import NormalDist
from typing import NamedTuple

from campanile.design.power import Lift, Sizes

_NORMAL = NormalDist()


class Spend(NamedTuple):
    """Mean and variance of an amount per customer in history.

    `grows` says how a campaign changes the variance: True, as the mean (more customers buy, which is what the readout's
    money interval assumes); False, not at all (the textbook's).
    """

    mean: float
    variance: float
    grows: bool = True

    def treated(self, difference: float) -> float:
        """The variance of the treated when their mean is higher by `difference`.

        >>> Spend(2.0, 30.0).treated(0.4), Spend(2.0, 30.0, grows=False).treated(0.4)
        (36.0, 30.0)
        """
        return self.variance * (self.mean + difference) / self.mean if self.grows else self.variance


def amount_power(control: int, treatment: int, spend: Spend, difference: float, *, alpha: float = 0.05) -> float:
    """The chance to find the difference with these sizes, in the right direction.

    >>> round(amount_power(5_000, 45_000, Spend(1.0, 100.0), 0.5), 3)
    0.834

    Raises:
        ValueError: An arm is empty, a level is no probability, or the spend is none.
    """
    _check(control, treatment, spend, alpha)
    treated = spend.treated(difference)
    if treated < 0:
        raise ValueError(f"a mean of {spend.mean:g} cannot fall by {-difference:g}")
    null, spread = _errors(control, treatment, spend.variance, treated)
    apart = abs(difference) - _NORMAL.inv_cdf(1 - alpha / 2) * null
    return _NORMAL.cdf(apart / spread) if spread else float(apart > 0)


def smallest_amount(control: int, treatment: int, spend: Spend, *, alpha: float = 0.05, power: float = 0.8) -> Lift:
    """The smallest rise in the amount per customer that these sizes show with this power.

    Absolute in the unit of the spend, and relative to its mean.

    >>> found = smallest_amount(5_000, 45_000, Spend(1.0, 100.0))
    >>> round(found.absolute, 3), round(smallest_amount(5_000, 45_000, Spend(1.0, 100.0, grows=False)).absolute, 3)
    (0.478, 0.418)

    Raises:
        ValueError: As `amount_power`, or a power that is not above alpha.
    """
    _check(control, treatment, spend, alpha)
    _check_power(power, alpha)
    plain = (_NORMAL.inv_cdf(1 - alpha / 2) + _NORMAL.inv_cdf(power)) * sqrt(
        spend.variance * (1 / control + 1 / treatment)
    )
    low, high = 0.0, plain
    while amount_power(control, treatment, spend, high, alpha=alpha) < power:
        low, high = high, 2 * high
    for _ in range(200):
        middle = (low + high) / 2
        if not low < middle < high:
            break
        if amount_power(control, treatment, spend, middle, alpha=alpha) < power:
            low = middle
        else:
            high = middle
    return Lift(high, high / spend.mean)


def amount_sizes(
    spend: Spend, difference: float, *, alpha: float = 0.05, power: float = 0.8, ratio: float = 1.0
) -> Sizes:
    """The sizes that show the difference with this power; `ratio` is treatment units per control unit.

    >>> amount_sizes(Spend(10.0, 100.0, grows=False), 1.0), amount_sizes(Spend(10.0, 100.0), 1.0, ratio=9)
    (Sizes(control=1570, treatment=1570), Sizes(control=930, treatment=8370))

    Raises:
        ValueError: As `smallest_amount`, or a difference of nothing.
    """
    if difference == 0:
        raise ValueError("no size shows a difference of nothing")
    if not 0 < ratio < inf:
        raise ValueError(f"the ratio of the arms is {ratio:g}, not above zero")
    _check(1, 1, spend, alpha)
    _check_power(power, alpha)
    treated = spend.treated(difference)
    if treated < 0:
        raise ValueError(f"a mean of {spend.mean:g} cannot fall by {-difference:g}")
    null, spread = _errors(1, ratio, spend.variance, treated)
    reach = _NORMAL.inv_cdf(1 - alpha / 2) * null + _NORMAL.inv_cdf(power) * spread
    control = max(1, ceil((reach / difference) ** 2))
    return Sizes(control, ceil(round(control * ratio, 6)))


def _errors(control: float, treatment: float, variance: float, treated: float) -> tuple[float, float]:
    """The standard error of the difference if there is none, by both arms' variance together; and if there is one."""
    pooled = (control * variance + treatment * treated) / (control + treatment)
    return sqrt(pooled * (1 / control + 1 / treatment)), sqrt(variance / control + treated / treatment)


def _check(control: float, treatment: float, spend: Spend, alpha: float) -> None:
    if not control >= 1 or not treatment >= 1:
        raise ValueError(f"arms of {control} and {treatment} customers show nothing")
    if not 0 < alpha < 1:
        raise ValueError(f"alpha is {alpha:g}, not between 0 and 1")
    if not (0 < spend.mean < inf and spend.variance > 0 and isfinite(spend.variance)):
        raise ValueError(f"history with mean {spend.mean:g} and variance {spend.variance:g} says nothing of money")


def _check_power(power: float, alpha: float) -> None:
    if not alpha < power < 1:
        raise ValueError(f"power is {power:g}, not between alpha ({alpha:g}) and 1")
