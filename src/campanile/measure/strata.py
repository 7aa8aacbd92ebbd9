"""One difference out of many strata, each weighed by its share of the whole audience.

Reads statistics by stratum and arm. Returns what `compare_adjusted` takes. Never lets a stratum weigh by chance: how
many of it came into one arm is luck, how many are in the audience is not.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from campanile.errors import CampanileError
from campanile.measure.compare import Adjusted
from campanile.measure.counts import Moments
from campanile.measure.types import ArmStatistics, merged

#: Statistics by stratum, then by arm; all arms, for the weights.
Strata = Mapping[str, Mapping[str, ArmStatistics]]
#: An arm needs this many customers in a stratum for a variance there.
_LEAST = 2
#: The name of strata taken together because an arm was (nearly) empty there.
TOGETHER = "(together)"


@dataclass(frozen=True, slots=True)
class Stratified:
    """A difference after post-stratification.

    Attributes:
        adjusted: What `compare_adjusted` takes.
        weights: Share of the audience by stratum, adding up to 1.
        together: Strata in which control or treatment had fewer than two customers; they count as one stratum.
    """

    adjusted: Adjusted
    weights: Mapping[str, float]
    together: tuple[str, ...]


def post_stratified(strata: Strata, metric: str, *, control: str, treatment: str) -> Stratified:
    """The difference of two arms with every stratum at its share of all arms; give `adjusted` to `compare_adjusted`.

    Variance Σ w² (s²c / nc + s²t / nt). It is the estimate that belongs to an assignment inside strata, and takes
    chance imbalance out of one that was not. Holt and Smith (1979), JRSS A 142:33; Miratrix, Sekhon and Yu (2013), JRSS
    B 75:369.

    >>> strata = {name: {arm: ArmStatistics.from_counts(arm, n, {"r": x}) for arm, n, x in arms} for name, arms in [
    ...     ("city", [("control", 50, 10), ("sms", 150, 45)]), ("land", [("control", 50, 5), ("sms", 50, 5)])]}
    >>> found = post_stratified(strata, "r", control="control", treatment="sms")
    >>> round(found.adjusted.treatment.mean - found.adjusted.control.mean, 4)  # 0.1 of two thirds
    0.0667

    Raises:
        CampanileError: An arm is (nearly) empty in all strata together.
    """
    arms = (control, treatment)
    kept, together = _parted(strata, arms)
    sizes = {name: sum(arm.n for arm in stratum.values()) for name, stratum in kept.items()}
    whole = sum(sizes.values())
    weights = {name: size / whole for name, size in sizes.items()}
    moments = [_moments([(weights[name], stratum[arm]) for name, stratum in kept.items()], metric) for arm in arms]
    return Stratified(Adjusted(moments[0], moments[1], by="post-stratified"), weights, together)


def _moments(parts: list[tuple[float, ArmStatistics]], metric: str) -> Moments:
    """The weighted mean of one arm's strata; `variance` such that divided by n it is that of the mean."""
    n = sum(arm.n for _, arm in parts)
    mean = math.fsum(weight * arm.mean(metric) for weight, arm in parts)
    return Moments(n, mean, n * math.fsum(weight**2 * arm.variance(metric) / arm.n for weight, arm in parts))


def _parted(strata: Strata, arms: tuple[str, str]) -> tuple[dict[str, Mapping[str, ArmStatistics]], tuple[str, ...]]:
    """The strata that can be compared, those that cannot taken together (with the smallest other one if need be)."""
    thin = [name for name, stratum in strata.items() if _is_thin(stratum, arms)]
    kept = {name: stratum for name, stratum in strata.items() if name not in thin}
    if not thin:
        return kept, ()
    pool = _together([strata[name] for name in thin])
    if _is_thin(pool, arms) and kept:
        smallest = min(kept, key=lambda name: (sum(arm.n for arm in kept[name].values()), name))
        thin.append(smallest)
        pool = _together([pool, kept.pop(smallest)])
    if _is_thin(pool, arms):
        short = min(arms, key=lambda arm: pool[arm].n if arm in pool else 0)
        raise CampanileError(
            f"arm {short} has fewer than {_LEAST} customers in all strata together", "check the split of the plan"
        )
    return {**kept, TOGETHER: pool}, tuple(thin)


def _is_thin(stratum: Mapping[str, ArmStatistics], arms: tuple[str, str]) -> bool:
    return any(arm not in stratum or stratum[arm].n < _LEAST for arm in arms)


def _together(strata: list[Mapping[str, ArmStatistics]]) -> dict[str, ArmStatistics]:
    return merged(arm for stratum in strata for arm in stratum.values())
