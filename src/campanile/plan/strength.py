"""What the arms of a plan are large enough to show."""

from __future__ import annotations

from collections.abc import Mapping

from campanile.design.power import needed_sizes, power_at, smallest_detectable
from campanile.events import CONTROL
from campanile.plan.types import Strength
from campanile.spec.experiment import ExperimentSpec


def strength_of(experiment: ExperimentSpec, arms: Mapping[str, int]) -> Strength | None:
    """What the smallest arm can show against control, at its share of alpha where there are several arms.

    None when the primary metric is no rate or has no baseline.
    """
    primary = experiment.primary
    treated = {arm: size for arm, size in arms.items() if arm != CONTROL}
    control = arms.get(CONTROL, 0)
    if (
        experiment.kinds[primary.metric] != "rate"
        or primary.baseline is None
        or not control
        or not min(treated.values(), default=0)
    ):
        return None
    arm = min(treated, key=lambda name: treated[name])
    baseline, alpha = float(primary.baseline), float(experiment.alpha_each)
    smallest = smallest_detectable(control, treated[arm], baseline=baseline, alpha=alpha, power=float(experiment.power))
    if smallest is None:
        return None
    expected = float(primary.expect) if primary.expect is not None else None
    chance = needed = None
    if expected is not None and expected != baseline:
        chance = power_at(control, treated[arm], baseline=baseline, expected=expected, alpha=alpha)
        sizes = needed_sizes(
            baseline, expected, alpha=alpha, power=float(experiment.power), ratio=treated[arm] / control
        )
        needed = (sizes.control, sizes.treatment)
    return Strength(primary.metric, arm, baseline, smallest.absolute, smallest.relative, expected, chance, needed)
