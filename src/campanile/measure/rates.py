"""Response rates: how sure one is of a rate, and of the difference between two.

Reads counts. Returns limits and p-values. Never uses the plain normal interval, which covers 91 % instead of 95 %
beside a small control and errs in the campaign's favour.
"""

from __future__ import annotations

import math

import numpy as np
from scipy import special

from campanile.measure.counts import Count, count_of, normal_quantile
from campanile.measure.lift import katz
from campanile.measure.types import ArmStatistics, Comparison

#: Below this expected number of responders (or of others) in an arm the normal p-value gives way to Fisher's.
LEAST_EXPECTED = 5


def wilson(count: Count, *, alpha: float = 0.05) -> tuple[float, float]:
    """The score interval of one rate. Wilson (1927), JASA 22:209; the case of Newcombe (1998), Stat Med 17:857.

    >>> low, high = wilson(Count(81, 263))
    >>> round(low, 4), round(high, 4)
    (0.2553, 0.3662)
    """
    square = normal_quantile(alpha) ** 2
    centre = count.responders + square / 2
    spread = math.sqrt(square * (count.responders * (1 - count.rate) + square / 4))
    low = 0.0 if count.responders == 0 else (centre - spread) / (count.n + square)
    high = 1.0 if count.responders == count.n else (centre + spread) / (count.n + square)
    return low, high


def newcombe(control: Count, treatment: Count, *, alpha: float = 0.05) -> tuple[float, float]:
    """The hybrid score interval of treatment's rate minus control's. Newcombe (1998), Stat Med 17:873, method 10.

    >>> low, high = newcombe(Count(48, 80), Count(56, 70))
    >>> round(low, 4), round(high, 4)
    (0.0524, 0.3339)
    """
    control_low, control_high = wilson(control, alpha=alpha)
    treatment_low, treatment_high = wilson(treatment, alpha=alpha)
    difference = treatment.rate - control.rate
    low = difference - math.hypot(treatment.rate - treatment_low, control_high - control.rate)
    high = difference + math.hypot(treatment_high - treatment.rate, control.rate - control_low)
    return max(low, -1.0), min(high, 1.0)


def pooled_z(control: Count, treatment: Count) -> float:
    """The z statistic of no difference, its variance from both arms together; nan when nobody or everybody responded.

    >>> round(pooled_z(Count(44, 2000), Count(264, 8000)), 3)
    2.547
    """
    pooled = (control.responders + treatment.responders) / (control.n + treatment.n)
    variance = pooled * (1 - pooled) * (1 / control.n + 1 / treatment.n)
    return (treatment.rate - control.rate) / math.sqrt(variance) if variance > 0 else math.nan


def pooled_z_p(control: Count, treatment: Count) -> float:
    """The two-sided p-value of `pooled_z`.

    >>> round(pooled_z_p(Count(44, 2000), Count(264, 8000)), 4)
    0.0109
    """
    return 2 * float(special.ndtr(-abs(pooled_z(control, treatment))))


def fisher_p(control: Count, treatment: Count) -> float:
    """Fisher's exact two-sided p-value. The lady tasting tea, Fisher (1935), The Design of Experiments.

    >>> round(fisher_p(Count(1, 4), Count(3, 4)), 4)
    0.4857
    """
    from scipy.stats import fisher_exact  # a second to import, and seldom needed

    table = np.array([[arm.responders, arm.n - arm.responders] for arm in (control, treatment)])
    return float(fisher_exact(table).pvalue)


def expected_least(control: Count, treatment: Count) -> float:
    """The smallest count that either arm would be expected to show if both had one rate.

    >>> expected_least(Count(0, 500), Count(40, 9500))
    2.0
    """
    responders = control.responders + treatment.responders
    n = control.n + treatment.n
    return min(responders, n - responders) * min(control.n, treatment.n) / n


def rate_p(control: Count, treatment: Count) -> tuple[float, str]:
    """The p-value of no difference and the name of its method: pooled z, or Fisher when counts are small.

    >>> rate_p(Count(0, 500), Count(40, 9500))[1]
    'Fisher exact'
    """
    if expected_least(control, treatment) < LEAST_EXPECTED:
        return fisher_p(control, treatment), "Fisher exact"
    return pooled_z_p(control, treatment), "pooled z"


def compare_rates(control: ArmStatistics, treatment: ArmStatistics, metric: str, *, alpha: float = 0.05) -> Comparison:
    """The difference of two response rates: Newcombe's interval, pooled z or Fisher, Katz's lift.

    >>> arms = [ArmStatistics.from_counts(*arm) for arm in
    ...         [("control", 2000, {"response_rate": 44}), ("sms", 8000, {"response_rate": 264})]]
    >>> found = compare_rates(*arms, "response_rate")
    >>> round(found.difference, 4), round(found.low, 4), round(found.high, 4), round(found.lift, 2)
    (0.011, 0.0027, 0.0179, 0.5)
    """
    first, second = count_of(control, metric), count_of(treatment, metric)
    low, high = newcombe(first, second, alpha=alpha)
    p_value, p_method = rate_p(first, second)
    lift_low, lift_high = katz(first, second, alpha=alpha)
    return Comparison(
        metric=metric,
        kind="rate",
        control=control.arm,
        treatment=treatment.arm,
        n_control=first.n,
        n_treatment=second.n,
        mean_control=first.rate,
        mean_treatment=second.rate,
        difference=second.rate - first.rate,
        low=low,
        high=high,
        p_value=p_value,
        interval_method="newcombe",
        p_method=p_method,
        alpha=alpha,
        lift=second.rate / first.rate - 1 if first.responders else None,
        lift_low=lift_low,
        lift_high=lift_high,
        buyers_control=first.responders,
        buyers_treatment=second.responders,
    )
