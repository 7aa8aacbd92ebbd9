"""Is the split the one that was planned? Sample ratio mismatch, and likeness before the campaign.

Reads arm sizes and pre-period statistics. Returns figures with an alarm. Never repairs anything: a mismatch ends trust.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal

from scipy import special

from campanile.errors import CampanileError
from campanile.measure.types import ArmStatistics

#: A mismatch this improbable is a fault of assignment or of counting, not chance.
ALARM_BELOW = 0.001
#: A standardised difference beyond this is flagged (Austin 2009, Stat Med 28:3083).
UNLIKE_ABOVE = 0.1


@dataclass(frozen=True, slots=True)
class SampleRatio:
    """Counted against planned arm sizes."""

    p_value: float
    alarm: bool
    statistic: float
    expected: Mapping[str, float]


def srm(counts: Mapping[str, int], shares: Mapping[str, float | Decimal]) -> SampleRatio:
    """The chi-square test of all arms' sizes against their planned shares; alarm at p below 0.001.

    Example of Kohavi, Tang and Xu (2020), Trustworthy Online Controlled Experiments, chapter 21.

    >>> found = srm({"control": 821_588, "treatment": 815_482}, {"control": 0.5, "treatment": 0.5})
    >>> f"{found.p_value:.1e}", found.alarm
    ('1.8e-06', True)

    Raises:
        CampanileError: An arm was not planned, a share is not above zero, or nobody was assigned.
    """
    _check_shares(counts, shares)
    whole = float(sum(shares.values()))
    total = sum(counts.values())
    expected = {arm: total * float(share) / whole for arm, share in shares.items()}
    statistic = math.fsum((counts.get(arm, 0) - want) ** 2 / want for arm, want in expected.items())
    p_value = float(special.chdtrc(len(shares) - 1, statistic))
    return SampleRatio(p_value, p_value < ALARM_BELOW, statistic, expected)


def _check_shares(counts: Mapping[str, int], shares: Mapping[str, float | Decimal]) -> None:
    unplanned = sorted(set(counts) - set(shares))
    if unplanned:
        raise CampanileError(f"arm {unplanned[0]} was never planned", f"planned: {', '.join(sorted(shares))}")
    if len(shares) < 2 or min(shares.values()) <= 0:
        raise CampanileError("a split needs two arms or more, each with a share above zero", "mend the split")
    if sum(counts.values()) <= 0:
        raise CampanileError("nobody was assigned to any arm", "check the audience of the plan")


def standardised_difference(control: ArmStatistics, treatment: ArmStatistics, metric: str) -> float:
    """The difference of means in standard deviations, for balance before the campaign. Austin (2009), Stat Med 28:3083.

    Does not grow with the number of customers, unlike a p-value; 0.0 when no customer differs, infinite when only the
    arms differ.

    >>> arms = [ArmStatistics.from_counts(*arm) for arm in [("control", 1000, {"x": 200}), ("sms", 1000, {"x": 300})]]
    >>> round(standardised_difference(*arms, "x"), 2)
    0.23
    """
    difference = treatment.mean(metric) - control.mean(metric)
    spread = math.sqrt((control.variance(metric) + treatment.variance(metric)) / 2)
    if spread == 0:
        return math.copysign(math.inf, difference) if difference else 0.0
    return difference / spread
