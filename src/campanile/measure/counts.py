"""One arm on one metric, as the formulas need it: a count, or a mean with its variance.

Reads nothing. Returns frozen values and the quantiles that all methods share. Never sees a table.
"""

from __future__ import annotations

from typing import NamedTuple

from scipy import special

from campanile.errors import CampanileError
from campanile.measure.types import ArmStatistics


class Count(NamedTuple):
    """How many of an arm's customers responded."""

    responders: int
    n: int

    @property
    def rate(self) -> float:
        """Responders per assigned customer."""
        return self.responders / self.n


class Moments(NamedTuple):
    """Mean and sample variance (divisor n - 1) of an amount over an arm's customers, zeros included."""

    n: int
    mean: float
    variance: float

    @property
    def total(self) -> float:
        """The sum over the arm."""
        return self.n * self.mean

    @property
    def mean_variance(self) -> float:
        """The estimated variance of the mean."""
        return self.variance / self.n


def count_of(arm: ArmStatistics, metric: str) -> Count:
    """The arm's responders on a rate metric.

    Raises:
        CampanileError: The arm is empty, or has more responders than customers (a unit was counted twice).
    """
    arm.mean(metric)
    responders = arm.sums[metric]
    if not 0 <= responders <= arm.n:
        raise CampanileError(
            f"arm {arm.arm} has {responders} responders among {arm.n} customers",
            f"count each customer of {metric} at most once",
        )
    return Count(responders, arm.n)


def moments_of(arm: ArmStatistics, metric: str) -> Moments:
    """The arm's mean and variance on an amount metric; the variance of a single customer is 0."""
    mean = arm.mean(metric)
    return Moments(arm.n, mean, arm.variance(metric) if arm.n > 1 else 0.0)


def normal_quantile(alpha: float) -> float:
    """The two-sided normal quantile.

    >>> round(normal_quantile(0.05), 6)
    1.959964
    """
    return float(special.ndtri(1 - check_alpha(alpha) / 2))


def t_quantile(alpha: float, freedom: float) -> float:
    """The two-sided quantile of Student's t.

    >>> round(t_quantile(0.05, 10), 3)
    2.228
    """
    return float(special.stdtrit(freedom, 1 - check_alpha(alpha) / 2))


def t_p_value(statistic: float, freedom: float) -> float:
    """The two-sided p-value of Student's t, from the tail itself so that small ones do not vanish.

    >>> t_p_value(-35.0, 1e9) > 0
    True
    """
    return 2 * float(special.stdtr(freedom, -abs(statistic)))


def check_alpha(alpha: float) -> float:
    """The level itself, when it is a probability.

    >>> check_alpha(0.05)
    0.05
    """
    if not 0 < alpha < 1:
        raise CampanileError(f"alpha is {alpha:g}", "use a number between 0 and 1, such as 0.05")
    return alpha
