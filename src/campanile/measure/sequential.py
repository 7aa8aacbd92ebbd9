"""Looking while it runs: limits that hold at every look at once, however often one looks and whenever one stops.

Reads means, variances and sizes so far. Returns limits and p-values wider than those of one look at the end: that is
the price. Asymptotic: look first when control has a few dozen buyers. Group-sequential plans, which look a few times
and pay less, are in `group_sequential`.

Waudby-Smith, Arbour, Sinha, Kennedy and Ramdas (2024), Ann Stat 52:2613; the mixture is that of Robbins (1970), Ann
Math Stat 41:1397.
"""

from __future__ import annotations

import math
from dataclasses import replace

from scipy import special

from campanile.errors import CampanileError
from campanile.measure.amounts import pooled_variance
from campanile.measure.compare import WITHHELD
from campanile.measure.counts import Moments, check_alpha, moments_of
from campanile.measure.lift import Estimate, fieller
from campanile.measure.types import ArmStatistics, Comparison

NAME = "always valid (asymptotic confidence sequence)"


def tuned(planned: int, *, alpha: float = 0.05) -> float:
    """The mixture's parameter (rho squared) that makes the limits narrowest at the planned number of customers.

    Fixed before the first look; another choice is valid too, only wider at the end.

    >>> round(tuned(10_000) * 10_000, 3)
    8.212

    Raises:
        CampanileError: Fewer than two customers are planned.
    """
    if planned < 2:
        raise CampanileError(f"{planned} customers are planned", "name how many both arms will have at the end")
    # The width is least where x - 1 - log(x) = -2 log(alpha), with x = 1 + rho² planned: a branch of Lambert's W.
    return float(-special.lambertw(-(check_alpha(alpha) ** 2) / math.e, -1).real - 1) / planned


def always_valid_quantile(n: int, *, planned: int, alpha: float = 0.05) -> float:
    """How many standard errors the limits are away at `n` customers, where one look at the end has 1.96.

    >>> [round(always_valid_quantile(n, planned=10_000), 2) for n in (500, 5_000, 10_000)]
    [4.67, 3.08, 3.04]
    """
    mixed = n * tuned(planned, alpha=alpha)
    return math.sqrt((mixed + 1) / mixed * (math.log(mixed + 1) - 2 * math.log(alpha)))


def always_valid_interval(
    control: Moments, treatment: Moments, *, planned: int, alpha: float = 0.05, seen: int | None = None
) -> tuple[float, float]:
    """Limits of the difference of means that hold at this look and all others together; `seen` as for `always_valid`.

    >>> low, high = always_valid_interval(Moments(2_000, 1.0, 9.0), Moments(2_000, 1.5, 9.0), planned=10_000)
    >>> round(low, 2), round(high, 2)
    (0.2, 0.8)
    """
    n = control.n + treatment.n if seen is None else seen
    reach = always_valid_quantile(n, planned=planned, alpha=alpha)
    half = reach * math.sqrt(_variance(control, treatment))
    return treatment.mean - control.mean - half, treatment.mean - control.mean + half


def always_valid_p(
    control: Moments, treatment: Moments, *, planned: int, alpha: float = 0.05, seen: int | None = None
) -> float:
    """The p-value of no difference that may be looked at as often as one likes; the smallest one so far is one too.

    Below alpha exactly when the limits leave zero out. `alpha` only tunes it.

    >>> round(always_valid_p(Moments(2_000, 1.0, 9.0), Moments(2_000, 1.5, 9.0), planned=10_000), 5)
    5e-05
    """
    mixed = (control.n + treatment.n if seen is None else seen) * tuned(planned, alpha=alpha)
    square = (treatment.mean - control.mean) ** 2 / _variance(control, treatment)
    return min(1.0, math.exp((math.log(mixed + 1) - square * mixed / (mixed + 1)) / 2))


def customers_worth(responders: int, n: int, rate: float) -> int:
    """How many customers' whole windows the responders so far are worth, when all were assigned on one day.

    Then it is not customers that come in but their responses: of `n` at an expected `rate` the responders make up this
    many, which is what the limits need to know of time. A wrong rate makes them wider at the end, never wrong.

    >>> customers_worth(40, 10_000, 0.02)
    2000
    """
    return max(1, round(n * responders / (n * rate)))


def always_valid(
    comparison: Comparison,
    control: ArmStatistics,
    treatment: ArmStatistics,
    *,
    planned: int,
    seen: int | None = None,
) -> Comparison:
    """The comparison with limits, p-value and lift that hold at every look, at its alpha; withheld if nothing varies.

    Args:
        comparison: Of one look.
        control: So far.
        treatment: So far.
        planned: Customers of both arms at the end.
        seen: Customers that those so far are worth (`customers_worth`), when they were all assigned at once.

    >>> from campanile.measure.rates import compare_rates
    >>> arms = [ArmStatistics.from_counts(*arm) for arm in [("control", 2000, {"r": 44}), ("sms", 8000, {"r": 264})]]
    >>> found = always_valid(compare_rates(*arms, "r"), *arms, planned=20_000)
    >>> found.low < 0 < found.high, round(found.p_value, 2)
    (True, 0.17)
    """
    first, second = moments_of(control, comparison.metric), moments_of(treatment, comparison.metric)
    alpha = comparison.alpha
    if first.n + second.n < 3 or not _variance(first, second) > 0:
        return replace(_bare(comparison), interval_method=WITHHELD, p_method=WITHHELD)
    low, high = always_valid_interval(first, second, planned=planned, alpha=alpha, seen=seen)
    reach = always_valid_quantile(first.n + second.n if seen is None else seen, planned=planned, alpha=alpha)
    lift_low, lift_high = fieller(*_estimates(first, second), quantile=reach)
    return replace(
        _bare(comparison),
        low=low,
        high=high,
        p_value=always_valid_p(first, second, planned=planned, alpha=alpha, seen=seen),
        lift_low=lift_low,
        lift_high=lift_high,
        interval_method=NAME,
        p_method=NAME,
    )


def _bare(comparison: Comparison) -> Comparison:
    """The comparison without what one look at the end would say."""
    return replace(comparison, low=None, high=None, p_value=None, p_adjusted=None, lift_low=None, lift_high=None)


def _estimates(control: Moments, treatment: Moments) -> tuple[Estimate, Estimate]:
    """Both means with the larger of own and pooled variances: an arm where nobody bought yet is not certain."""
    pooled = pooled_variance(control, treatment)
    own = Estimate(control.mean, control.mean_variance), Estimate(treatment.mean, treatment.mean_variance)
    if pooled * (1 / control.n + 1 / treatment.n) <= own[0].variance + own[1].variance:
        return own
    return Estimate(control.mean, pooled / control.n), Estimate(treatment.mean, pooled / treatment.n)


def _variance(control: Moments, treatment: Moments) -> float:
    return sum(part.variance for part in _estimates(control, treatment))
