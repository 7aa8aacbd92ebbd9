"""What a plan says its arms can show."""

from __future__ import annotations

import pytest

from campanile.design.power import smallest_detectable
from campanile.plan.strength import strength_of
from campanile.spec.experiment import ExperimentSpec


@pytest.mark.parametrize("arms", [1, 3])
def test_several_arms_share_alpha(arms: int) -> None:
    """As the decision does: with three arms each is judged at a third of it."""
    names = [f"arm{number}" for number in range(arms)]
    experiment = ExperimentSpec(
        campaign="spring",
        hypothesis="It works.",
        split={"control": "40%", **dict.fromkeys(names, {1: "60%", 3: "20%"}[arms])},
        primary={"metric": "response_rate", "window": "30d", "baseline": "4%", "expect": "6%"},
    )
    found = strength_of(experiment, {"control": 4000, **dict.fromkeys(names, 2000)})
    assert found is not None
    expected = smallest_detectable(4000, 2000, 0.04, alpha=0.05 / arms, power=0.8)
    assert found.absolute == pytest.approx(expected.absolute)
