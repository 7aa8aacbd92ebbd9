"""Lift, the difference relative to control: a ratio, so its interval may have no end.

Reads counts and means. Returns limits of the lift (0.2 is +20 %), None where the data set none. Never a symmetric
interval around the ratio, which can call an effect doubtful that the difference calls certain.
"""

from __future__ import annotations

import math
from typing import NamedTuple

from campanile.measure.counts import Count, normal_quantile

#: Lower and upper limit of a lift; None where it is withheld.
Limits = tuple[float | None, float | None]


class Estimate(NamedTuple):
    """A mean and the variance of that mean."""

    mean: float
    variance: float


def katz(control: Count, treatment: Count, *, alpha: float = 0.05) -> Limits:
    """The log ratio interval of a lift in rates. Katz, Baptista, Azen and Pike (1978), Biometrics 34:469.

    Without a responder in control nothing bounds the ratio and both limits are withheld; without one in treatment the
    lift is -100 % and only its lower limit is known.

    >>> low, high = katz(Count(189, 11034), Count(104, 11037))
    >>> round(1 + low, 2), round(1 + high, 2)
    (0.43, 0.7)
    """
    if not control.responders or (control.rate == 1 and treatment.rate == 1):
        return None, None
    if not treatment.responders:
        return -1.0, None
    variance = sum(1 / arm.responders - 1 / arm.n for arm in (control, treatment))
    ratio = treatment.rate / control.rate
    spread = math.exp(normal_quantile(alpha) * math.sqrt(variance))
    return ratio / spread - 1, ratio * spread - 1


def fieller(control: Estimate, treatment: Estimate, *, quantile: float) -> Limits:
    """The interval of a lift in means. Fieller (1954), JRSS B 16:175.

    Withheld when control's mean is not separable from zero (within `quantile` standard errors), for then the ratio is
    unbounded. Holds 0 exactly when the difference's interval with the same variances and quantile does.

    >>> low, high = fieller(Estimate(10.0, 1.0), Estimate(12.0, 1.0), quantile=1.96)
    >>> round(low, 3), round(high, 3)
    (-0.068, 0.564)
    """
    square = quantile**2
    scale = control.mean**2 - square * control.variance
    if control.mean <= 0 or scale <= 0:
        return None, None
    product = control.mean * treatment.mean
    root = math.sqrt(max(product**2 - scale * (treatment.mean**2 - square * treatment.variance), 0.0))
    return (product - root) / scale - 1, (product + root) / scale - 1
