"""One effect out of many: what a kind of campaign does on average, how much campaigns differ, what the next may do.

Reads estimates with their variances, one per campaign (or per part of one). Returns the mean effect, the spread of the
true effects and the range of the next one. Campaigns are taken to differ: the fixed-effect mean would be too sure.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from scipy import special

from campanile.errors import CampanileError
from campanile.measure.counts import normal_quantile, t_quantile
from campanile.measure.lift import Estimate


class Spread(NamedTuple):
    """How estimates of one thing scatter: their precision-weighted `mean`, Cochran's Q and what is beyond chance.

    `p_value` is that of one true effect; `between` the variance of the true effects (tau squared).
    """

    mean: float
    statistic: float
    p_value: float
    between: float


@dataclass(frozen=True, slots=True)
class Pooled:
    """The effect of a kind of campaign.

    Attributes:
        mean: The average true effect, with limits `low` and `high` at 1 - alpha and a two-sided `p_value`.
        variance: Of `mean`.
        between: The variance of the true effects between campaigns (tau squared).
        share_between: The share of the scatter that is not chance (I squared), between 0 and 1.
        spread: Cochran's test of one true effect.
        next_low: Below it the true effect of the next campaign lies with chance alpha / 2; `next_high` likewise above.
            None for fewer than three campaigns.
    """

    campaigns: int
    mean: float
    variance: float
    low: float
    high: float
    p_value: float
    between: float
    share_between: float
    spread: Spread
    next_low: float | None
    next_high: float | None

    @property
    def prior(self) -> Estimate:
        """What is believed of the next campaign before it is seen, for `lift_readout`."""
        return Estimate(self.mean, self.variance + self.between)


def cochran(effects: Sequence[Estimate]) -> Spread:
    """Cochran's Q, and the variance between true effects by moments.

    Cochran (1954), Biometrics 10:101; DerSimonian and Laird (1986), Control Clin Trials 7:177.

    >>> found = cochran([Estimate(1.0, 0.01), Estimate(1.2, 0.01), Estimate(1.4, 0.01)])
    >>> round(found.mean, 6), round(found.statistic, 6), round(found.p_value, 4), round(found.between, 6)
    (1.2, 8.0, 0.0183, 0.03)
    """
    weights = [1 / effect.variance for effect in effects]
    total = math.fsum(weights)
    mean = math.fsum(w * effect.mean for w, effect in zip(weights, effects, strict=True)) / total
    if len(effects) < 2:
        return Spread(mean, 0.0, 1.0, 0.0)
    statistic = math.fsum(w * (effect.mean - mean) ** 2 for w, effect in zip(weights, effects, strict=True))
    freedom = len(effects) - 1
    between = max(0.0, (statistic - freedom) / (total - math.fsum(w * w for w in weights) / total))
    return Spread(mean, statistic, float(special.chdtrc(freedom, statistic)), between)


def pool(effects: Sequence[Estimate], *, alpha: float = 0.05) -> Pooled:
    """The average effect of several campaigns, of which each is a draw from campaigns of its kind.

    DerSimonian and Laird (1986); the range of the next by Higgins, Thompson and Spiegelhalter (2009), JRSS A 172:137,
    with Student's t. With few campaigns the spread between them is hardly known and the limits are too near: out of
    twelve whose scatter is half chance, nine ranges in ten hold the next (simulated); where it is little, as they say.

    >>> found = pool([Estimate(0.10, 0.002), Estimate(0.30, 0.004), Estimate(0.05, 0.001), Estimate(0.22, 0.003)])
    >>> round(found.mean, 3), round(found.low, 3), round(found.high, 3), round(found.share_between, 2)
    (0.159, 0.051, 0.266, 0.82)

    Raises:
        CampanileError: No effects, or one without a variance above zero.
    """
    if not effects or not all(effect.variance > 0 and math.isfinite(effect.mean) for effect in effects):
        raise CampanileError(
            "effects without a variance above zero cannot be pooled" if effects else "there are no effects to pool",
            "give an estimate and its variance for each campaign",
        )
    spread = cochran(effects)
    weights = [1 / (effect.variance + spread.between) for effect in effects]
    variance = 1 / math.fsum(weights)
    mean = variance * math.fsum(w * effect.mean for w, effect in zip(weights, effects, strict=True))
    reach = normal_quantile(alpha) * math.sqrt(variance)
    freedom = len(effects) - 2
    ahead = t_quantile(alpha, freedom) * math.sqrt(variance + spread.between) if freedom > 0 else None
    return Pooled(
        campaigns=len(effects),
        mean=mean,
        variance=variance,
        low=mean - reach,
        high=mean + reach,
        p_value=2 * float(special.ndtr(-abs(mean) / math.sqrt(variance))),
        between=spread.between,
        share_between=max(0.0, 1 - (len(effects) - 1) / spread.statistic) if spread.statistic > 0 else 0.0,
        spread=spread,
        next_low=None if ahead is None else mean - ahead,
        next_high=None if ahead is None else mean + ahead,
    )
