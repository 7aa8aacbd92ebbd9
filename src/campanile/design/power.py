"""What sizes can show: units needed for a difference of two rates, and the smallest rise that given sizes show.

All formulas are those of the pooled two-sided z test for two rates (reference/domain.md §2.13).
"""

from __future__ import annotations

from math import ceil, sqrt
from statistics import NormalDist
from typing import NamedTuple

_NORMAL = NormalDist()


class Sizes(NamedTuple):
    """Units in control and in treatment."""

    control: int
    treatment: int


class Lift(NamedTuple):
    """A rise of a rate in absolute terms (0.02 is two points), and relative to the baseline."""

    absolute: float
    relative: float


def needed_sizes(
    baseline: float, expected: float, *, alpha: float = 0.05, power: float = 0.8, ratio: float = 1.0
) -> Sizes:
    """The sizes that show `expected` against `baseline` with this power.

    Args:
        baseline: Rate of control, between 0 and 1.
        expected: Rate of treatment, between 0 and 1 and not the baseline.
        alpha: Two-sided significance level.
        power: Chance to find the difference when it is there.
        ratio: Treatment units per control unit.

    >>> needed_sizes(0.02, 0.024), needed_sizes(0.02, 0.024, ratio=9)
    (Sizes(control=21109, treatment=21109), Sizes(control=12047, treatment=108423))
    """
    _check_rates(baseline, expected)
    if baseline == expected:
        raise ValueError("no size shows a difference of nothing")
    mean = (baseline + ratio * expected) / (1 + ratio)
    null = sqrt(mean * (1 - mean) * (1 + 1 / ratio))
    spread = sqrt(baseline * (1 - baseline) + expected * (1 - expected) / ratio)
    quantiles = _NORMAL.inv_cdf(1 - alpha / 2) * null + _NORMAL.inv_cdf(power) * spread
    control = ceil((quantiles / (expected - baseline)) ** 2)
    return Sizes(control, ceil(round(control * ratio, 6)))


def power_at(control: int, treatment: int, baseline: float, expected: float, *, alpha: float = 0.05) -> float:
    """The chance to find `expected` against `baseline` with these sizes, in the right direction.

    >>> round(power_at(3417, 13668, 0.03, 0.041), 2)
    0.87
    """
    _check_rates(baseline, expected)
    pooled = (control * baseline + treatment * expected) / (control + treatment)
    null = sqrt(pooled * (1 - pooled) * (1 / control + 1 / treatment))
    spread = sqrt(baseline * (1 - baseline) / control + expected * (1 - expected) / treatment)
    critical = _NORMAL.inv_cdf(1 - alpha / 2)
    return _NORMAL.cdf((abs(expected - baseline) - critical * null) / spread)


def smallest_detectable(
    control: int, treatment: int, baseline: float, *, alpha: float = 0.05, power: float = 0.8
) -> Lift:
    """The smallest rise over the baseline that these sizes show with this power; the rise to 100% if they show none.

    >>> round(smallest_detectable(1000, 4000, 0.03).absolute, 3)
    0.02
    """
    from scipy.optimize import brentq

    def surplus(expected: float) -> float:
        return power_at(control, treatment, baseline, expected, alpha=alpha) - power

    found = float(brentq(surplus, baseline, 1.0, xtol=1e-9)) if surplus(1.0) > 0 else 1.0
    return Lift(found - baseline, (found - baseline) / baseline)


def _check_rates(baseline: float, expected: float) -> None:
    if not 0 < baseline < 1 or not 0 <= expected <= 1:
        raise ValueError(f"rates are between 0 and 1, not {baseline} and {expected}")
