"""What is believed of an effect after a readout and those before it: drawn towards what such campaigns did.

Reads estimates. Returns beliefs: a mean, a spread and a chance. Never takes the readout's own word alone.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from scipy import special

from campanile.measure.counts import normal_quantile
from campanile.measure.lift import Estimate
from campanile.measure.pooling import Pooled, pool
from campanile.measure.prior import lift_readout

#: Spread of the true effects on a rate between campaigns, where the shop has too few of its own: half a point.
USUAL_SPREAD = 0.005
#: Fewer earlier campaigns say too little of how much campaigns differ.
ENOUGH = 3
#: Spreads beyond which an effect is rare: 95% are nearer.
_RARE = normal_quantile(0.05)


@dataclass(frozen=True)
class Belief:
    """A figure as it is believed.

    Attributes:
        kept: The share of the measured effect that is left.
        campaigns: Earlier campaigns that it rests on.
    """

    mean: float
    variance: float
    measured: Estimate
    kept: float
    campaigns: int

    @property
    def chance(self) -> float:
        """The chance that it is above zero."""
        return float(special.ndtr(self.mean / math.sqrt(self.variance))) if self.variance > 0 else float(self.mean > 0)

    def plus(self, constant: float) -> Belief:
        """The belief in the figure plus a known constant."""
        return Belief(self.mean + constant, self.variance, self.measured, self.kept, self.campaigns)

    def limits(self, reach: float = _RARE) -> tuple[float, float]:
        """Lower and upper limit, 95% unless told otherwise."""
        return self.mean - reach * math.sqrt(self.variance), self.mean + reach * math.sqrt(self.variance)


def prior_of(like: Sequence[Estimate]) -> Estimate | None:
    """What is believed of the next campaign of a kind before it is seen; None of fewer than three (random effects)."""
    return pool(like).prior if len(like) >= ENOUGH else None


def believed(found: Estimate, same: Sequence[Estimate], prior: Estimate | None, spread: float) -> Belief:
    """An effect as it is believed: its own readings pooled, then drawn towards what was believed beforehand.

    Args:
        found: What was measured now.
        same: What the very same offer did to the very same target before.
        prior: What was believed beforehand, from other campaigns.
        spread: Without it, effects are drawn towards nothing, and this is how much true effects usually differ.

    >>> golden = believed(Estimate(1.10, 0.39**2), [], None, 0.5)
    >>> round(golden.kept, 2), round(golden.mean, 2)
    (0.62, 0.68)
    >>> round(believed(Estimate(4.6, 0.9**2), [], None, 0.5).kept, 2)  # too much to be luck
    0.85
    """
    if not found.variance > 0:
        return Belief(found.mean, 0.0, found, 1.0, len(same))
    pooled = pool([*same, found])
    told = lift_readout(Estimate(pooled.mean, pooled.variance), prior or Estimate(0.0, _between(pooled, spread)))
    kept = told.mean / found.mean if found.mean else 1.0
    return Belief(told.mean, told.variance, found, kept, len(same))


def _between(pooled: Pooled, spread: float) -> float:
    """The variance of true effects: as usual, unless an effect so large would then be a one in twenty.

    It is then as much larger as it takes to make it just that, so that a clear effect is not taken for luck.
    """
    return max(spread**2, pooled.mean**2 / _RARE**2 - pooled.variance)


def spread_like(found: Estimate, rate: Estimate, spread: float = USUAL_SPREAD) -> float:
    """The spread of another figure that keeps the same share of it as `spread` keeps of the rate.

    >>> spread_like(Estimate(300.0, 100.0**2), Estimate(0.02, 0.005**2))
    100.0
    """
    return spread * math.sqrt(found.variance / rate.variance) if rate.variance > 0 else math.sqrt(found.variance)
