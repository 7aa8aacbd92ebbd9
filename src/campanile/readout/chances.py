"""The primary metric in chances, for people who ask "how sure are you?": what is believed after the data.

Reads two arms and the lifts of past campaigns. Returns chances. They judge nothing: the registered rule does.
"""

from __future__ import annotations

from collections.abc import Sequence

from campanile.measure.bayes import rate_readout
from campanile.measure.counts import count_of, moments_of
from campanile.measure.lift import Estimate
from campanile.measure.pooling import pool
from campanile.measure.prior import LiftReadout, lift_estimate, lift_readout
from campanile.measure.types import ArmStatistics
from campanile.readout.adjusted import Pair
from campanile.report.readout import Chances

#: Of fewer campaigns nobody knows how much their true lifts differ.
LEAST_CAMPAIGNS = 3


def chances(pair: Pair, metric: str, *, rate: bool, past: Sequence[Estimate], alpha: float) -> Chances | None:
    """How likely treatment is better, and the lift to believe after past campaigns; None when neither can be said.

    Args:
        pair: Control and treatment.
        metric: The primary one.
        rate: Whether it is a rate; only then is there a chance without a prior from past campaigns.
        past: Lifts of past campaigns in the same metric, each with its variance.
        alpha: Limits are at 1 - alpha.
    """
    control, treatment = pair.control, pair.treatment
    counted = rate_readout(count_of(control, metric), count_of(treatment, metric), alpha=alpha) if rate else None
    believed = _believed(control, treatment, metric, past, alpha)
    if counted is None and believed is None:
        return None
    return Chances(
        metric=metric,
        control=control.arm,
        treatment=treatment.arm,
        chance=counted.chance if counted else None,
        loss=counted.loss_treatment if counted else None,
        campaigns=len(past) if believed else 0,
        lift=believed.mean if believed else None,
        lift_low=believed.low if believed else None,
        lift_high=believed.high if believed else None,
        chance_with_past=believed.chance if believed else None,
    )


def _believed(
    control: ArmStatistics, treatment: ArmStatistics, metric: str, past: Sequence[Estimate], alpha: float
) -> LiftReadout | None:
    """The lift drawn towards past campaigns; None where these are too few, or control is not above zero."""
    usable = [each for each in past if each.variance > 0]
    first, second = moments_of(control, metric), moments_of(treatment, metric)
    if len(usable) < LEAST_CAMPAIGNS or not first.mean > 0:
        return None
    found = lift_estimate(first, second)
    return lift_readout(found, pool(usable).prior, alpha=alpha) if found.variance > 0 else None
