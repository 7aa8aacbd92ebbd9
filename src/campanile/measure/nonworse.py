"""Not worse by more than a margin: guards on unsubscribing, complaints, returns, and cheaper channels for dearer ones.

Reads two counts, or two arms' statistics, and a margin. Returns a one-sided p-value and the limit that agrees with it.
"Not significantly worse" is never the answer: with few customers nothing is, so the burden of proof is on the change.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from scipy import optimize, special

from campanile.errors import CampanileError
from campanile.measure.compare import amount_method
from campanile.measure.counts import Count, check_alpha
from campanile.measure.types import ArmStatistics


@dataclass(frozen=True, slots=True)
class NonWorse:
    """Whether treatment is worse than control by less than a margin.

    Attributes:
        difference: Treatment minus control, in the metric's own direction.
        margin: How much worse is still borne; above zero, in the metric's unit.
        limit: The one-sided limit of the difference on the worse side, at 1 - alpha.
        p_value: One-sided, of being worse by the margin or more: below alpha exactly when the limit is within it.
        shown: Whether it is shown to be not worse.
    """

    difference: float
    margin: float
    limit: float
    p_value: float
    shown: bool
    method: str


def miettinen_nurminen(control: Count, treatment: Count, difference: float) -> float:
    """The score statistic that the rates differ by `difference`. Miettinen and Nurminen (1985), Stat Med 4:213.

    The variance is that of the likeliest rates which differ so, times N / (N - 1). statsmodels 0.15 and earlier has
    the formula of these rates wrong (its issue 10269).

    >>> round(miettinen_nurminen(Count(48, 80), Count(56, 70), 0.0528), 2)
    1.96
    """
    first = _likeliest(control, treatment, difference)
    second = first + difference
    total = control.n + treatment.n
    variance = (first * (1 - first) / control.n + second * (1 - second) / treatment.n) * total / (total - 1)
    apart = treatment.rate - control.rate - difference
    if variance <= 0:
        return 0.0 if apart == 0 else math.copysign(math.inf, apart)
    return apart / math.sqrt(variance)


def rate_not_worse(
    control: Count, treatment: Count, *, margin: float, more_is_worse: bool, alpha: float = 0.05
) -> NonWorse:
    """Whether treatment's rate is worse than control's by less than `margin` (0.01 is a point).

    The score test of Miettinen and Nurminen, and the limit that inverts it. Holds where nobody responded at all.

    >>> found = rate_not_worse(Count(10, 2000), Count(48, 8000), margin=0.005, more_is_worse=True)
    >>> round(found.limit, 4), round(found.p_value, 3), found.shown
    (0.0036, 0.004, True)

    Raises:
        CampanileError: An arm is empty, or the margin is not above 0 and below 1.
    """
    for count in (control, treatment):
        if not 0 <= count.responders <= count.n or not count.n:
            raise CampanileError(f"{count.responders} of {count.n} customers responded", "check the counts of the arm")
    _check(margin, alpha)
    if margin >= 1:
        raise CampanileError(f"a margin of {margin:g} is every customer", "give a share such as 0.01")
    sign = 1.0 if more_is_worse else -1.0
    statistic = sign * miettinen_nurminen(control, treatment, sign * margin)
    p_value = float(special.ndtr(statistic))
    quantile = float(special.ndtri(alpha))

    def beyond(worse: float) -> float:
        return max(sign * miettinen_nurminen(control, treatment, sign * worse), -1e9) - quantile

    difference = treatment.rate - control.rate
    limit = 1.0 if beyond(1.0) > 0 else float(optimize.brentq(beyond, sign * difference, 1.0, xtol=1e-12))
    return NonWorse(difference, margin, sign * limit, p_value, p_value < alpha, "Miettinen-Nurminen")


def mean_not_worse(
    control: ArmStatistics, treatment: ArmStatistics, metric: str, *, margin: float, alpha: float = 0.05
) -> NonWorse:
    """Whether treatment's amount per customer is less than control's by less than `margin` (in the metric's unit).

    By the method that `compare` takes for these arms.

    >>> arms = [ArmStatistics.from_values(name, {"revenue": [0] * 950 + [40, 60] * 25}) for name in ("control", "sms")]
    >>> found = mean_not_worse(*arms, "revenue", margin=1.0)
    >>> round(found.limit, 2), found.shown, found.method
    (-0.83, True, 'relabelled orders')

    Raises:
        CampanileError: The margin is not above zero, or nothing varies.
    """
    _check(margin, alpha)
    method = amount_method(control, treatment, metric)
    if method is None:
        raise CampanileError(f"{metric} does not vary in either arm", "look at another guard")
    difference = treatment.mean(metric) - control.mean(metric)
    limit, _ = method.interval_of(control, treatment, metric, 2 * alpha)
    both = method.p_of(control, treatment, metric, -margin)
    p_value = both / 2 if difference > -margin else 1 - both / 2
    return NonWorse(difference, margin, limit, p_value, p_value < alpha, method.interval_name)


def _likeliest(control: Count, treatment: Count, difference: float) -> float:
    """Control's rate in the likeliest pair that differs by `difference`: where the likelihood stops rising."""
    low, high = max(0.0, -difference), min(1.0, 1.0 - difference)

    def slope(rate: float) -> float:
        return _slope(control, rate) + _slope(treatment, rate + difference)

    if low >= high or slope(low) <= 0:
        return low
    return high if slope(high) >= 0 else float(optimize.bisect(slope, low, high, xtol=1e-15))


def _slope(count: Count, rate: float) -> float:
    """The slope of the log likelihood, endless at a rate that the counts exclude."""
    if rate <= 0:
        return math.inf if count.responders else -float(count.n)
    if rate >= 1:
        return -math.inf if count.responders < count.n else float(count.n)
    return (count.responders - count.n * rate) / (rate * (1 - rate))


def _check(margin: float, alpha: float) -> None:
    if not 0 < margin < math.inf:
        raise CampanileError(f"the margin is {margin:g}", "say how much worse is still borne, above zero")
    if check_alpha(alpha) >= 0.5:
        raise CampanileError(f"alpha is {alpha:g}", "a one-sided test takes one below 0.5")
