"""What past campaigns say of a lift that looks too good: it is drawn towards what such campaigns did.

Reads a lift with its variance, and the mean and variance of past campaigns' true lifts. Returns the lift to believe.
Never takes a prior from the campaign itself.
"""

from __future__ import annotations

import math
from typing import NamedTuple

from scipy import special

from campanile.errors import CampanileError
from campanile.measure.counts import Moments, normal_quantile
from campanile.measure.lift import Estimate


class LiftReadout(NamedTuple):
    """What is believed of a lift after a campaign and those before it: the normal law of `mean` and `variance`."""

    mean: float
    variance: float
    low: float
    high: float
    chance: float


def lift_estimate(control: Moments, treatment: Moments) -> Estimate:
    """The lift in means and its variance by the delta method, for `lift_readout` and for pooling.

    >>> found = lift_estimate(Moments(2000, 1.0, 100.0), Moments(2000, 1.5, 150.0))
    >>> found.mean, round(found.variance**0.5, 3)
    (0.5, 0.433)

    Raises:
        CampanileError: Control's mean is not above zero.
    """
    if control.mean <= 0:
        raise CampanileError(
            f"control's mean is {control.mean:g}, so there is no lift", "look at the difference instead"
        )
    ratio = treatment.mean / control.mean
    return Estimate(ratio - 1, (treatment.mean_variance + ratio**2 * control.mean_variance) / control.mean**2)


def lift_readout(found: Estimate, prior: Estimate, *, alpha: float = 0.05) -> LiftReadout:
    """The lift drawn towards what such campaigns did before: `prior` is the mean and variance of their true lifts.

    The mean of both, each weighted by its precision. Take the prior from `pool(...).prior`, not from hope.

    >>> hillstrom = lift_estimate(Moments(21306, 0.652789, 11.588**2), Moments(21307, 1.422617, 17.754**2))
    >>> found = lift_readout(hillstrom, Estimate(0.0, 0.3**2))
    >>> round(hillstrom.mean, 2), round(found.mean, 2), round(found.low, 2), round(found.high, 2)
    (1.18, 0.54, 0.11, 0.98)

    Raises:
        CampanileError: A variance is not above zero.
    """
    for what, variance in (("the lift", found.variance), ("the prior", prior.variance)):
        if not variance > 0:
            raise CampanileError(f"the variance of {what} is {variance:g}", "give one above zero")
    precision = 1 / found.variance + 1 / prior.variance
    mean = (found.mean / found.variance + prior.mean / prior.variance) / precision
    spread = 1 / math.sqrt(precision)
    reach = normal_quantile(alpha) * spread
    return LiftReadout(mean, spread**2, mean - reach, mean + reach, float(special.ndtr(mean / spread)))
