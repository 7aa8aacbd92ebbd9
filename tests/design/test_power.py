"""Sizes and power: the reference's golden values, statsmodels where the formula is the same, and simulation."""

from __future__ import annotations

from math import sqrt

import numpy as np
import pytest
from scipy.stats import norm
from statsmodels.stats.power import NormalIndPower
from statsmodels.stats.proportion import power_proportions_2indep

from campanile.design import needed_sizes, power_at, smallest_detectable


@pytest.mark.parametrize(
    ("baseline", "expected", "ratio", "control", "treatment"),
    [
        (0.02, 0.024, 1, 21_109, 21_109),
        (0.02, 0.024, 9, 12_047, 108_423),
        (0.03, 0.036, 1, 13_914, 13_914),
        (0.05, 0.06, 1, 8_158, 8_158),
        (0.10, 0.12, 1, 3_841, 3_841),
        (0.03, 0.04, 4, 3_417, 13_668),
        (0.10, 0.12, 7 / 3, 2_778, 6_482),
        (0.06, 0.09, 4, 787, 3_148),
        (0.08, 0.10, 1, 3_213, 3_213),
        (0.30, 0.35, 4, 868, 3_472),
        (0.05, 0.058, 1, 12_529, 12_529),
        (0.025, 0.032, 1, 8_869, 8_869),
        (0.025, 0.030, 1, 16_792, 16_792),
    ],
)
def test_needed_sizes_are_those_of_the_worked_campaigns(
    baseline: float, expected: float, ratio: float, control: int, treatment: int
) -> None:
    assert needed_sizes(baseline, expected, ratio=ratio) == (control, treatment)


@pytest.mark.parametrize(
    ("control", "treatment", "baseline", "points"),
    [(1000, 4000, 0.03, 2.0), (4000, 16_000, 0.03, 0.9), (5000, 45_000, 0.02, 0.64)],
)
def test_smallest_detectable_lifts_are_those_of_the_reference(
    control: int, treatment: int, baseline: float, points: float
) -> None:
    lift = smallest_detectable(control, treatment, baseline)
    assert round(lift.absolute * 100, 2 if points == 0.64 else 1) == points
    assert lift.relative == pytest.approx(lift.absolute / baseline)


@pytest.mark.parametrize("alpha", [0.05, 0.01])
@pytest.mark.parametrize("power", [0.8, 0.9])
@pytest.mark.parametrize("ratio", [0.25, 1, 4, 9])
def test_size_power_and_lift_agree_with_each_other(alpha: float, power: float, ratio: float) -> None:
    control, treatment = needed_sizes(0.03, 0.036, alpha=alpha, power=power, ratio=ratio)
    assert power_at(control, treatment, 0.03, 0.036, alpha=alpha) >= power
    assert power_at(control - 2, round((control - 2) * ratio), 0.03, 0.036, alpha=alpha) < power
    found = smallest_detectable(control, treatment, 0.03, alpha=alpha, power=power)
    assert found.absolute == pytest.approx(0.006, rel=1e-3)


def test_more_units_show_smaller_lifts() -> None:
    lifts = [smallest_detectable(size, 4 * size, 0.03).absolute for size in (100, 1000, 10_000, 100_000)]
    assert lifts == sorted(lifts, reverse=True)


def test_a_fall_is_found_like_a_rise() -> None:
    assert power_at(20_000, 20_000, 0.03, 0.025) > 0.8
    assert needed_sizes(0.06, 0.05) == needed_sizes(0.05, 0.06)


def test_sizes_that_show_nothing_give_the_rise_to_everybody() -> None:
    assert smallest_detectable(1, 4, 0.03).absolute == pytest.approx(0.97)


@pytest.mark.parametrize(("baseline", "expected"), [(0, 0.1), (1, 0.5), (0.1, 1.1), (-0.1, 0.2)])
def test_rates_outside_0_and_1_are_refused(baseline: float, expected: float) -> None:
    with pytest.raises(ValueError, match="rates are between 0 and 1"):
        needed_sizes(baseline, expected)
    with pytest.raises(ValueError, match="rates are between 0 and 1"):
        power_at(100, 100, baseline, expected)


def test_no_difference_needs_no_size() -> None:
    with pytest.raises(ValueError, match="difference of nothing"):
        needed_sizes(0.03, 0.03)


@pytest.mark.parametrize(("control", "treatment"), [(2000, 2000), (1000, 4000), (5000, 45_000)])
@pytest.mark.parametrize("expected", [0.035, 0.04, 0.05])
def test_power_is_statsmodels_power(control: int, treatment: int, expected: float) -> None:
    # Their first sample is the treatment; the variance under the null is pooled over both sizes, as ours.
    theirs = power_proportions_2indep(
        expected - 0.03,
        0.03,
        treatment,
        ratio=control / treatment,
        alternative="larger",
        alpha=0.025,
        return_results=False,
    )
    assert power_at(control, treatment, 0.03, expected) == pytest.approx(theirs, rel=1e-9)


def test_with_one_variance_the_formula_is_the_normal_one() -> None:
    # Close to a half both variances are nearly p(1-p): the textbook formula for two means.
    effect = 0.02 / sqrt(0.5 * 0.5)
    theirs = NormalIndPower().power(effect, 5000, 0.05, ratio=1, alternative="larger")
    assert power_at(5000, 5000, 0.49, 0.51, alpha=0.1) == pytest.approx(theirs, abs=0.001)


@pytest.mark.statistical
@pytest.mark.parametrize(("control", "treatment"), [(3417, 13_668), (8000, 8000)])
def test_power_is_how_often_the_test_finds_it(control: int, treatment: int) -> None:
    draws, baseline, expected = 20_000, 0.03, 0.04
    chance = np.random.default_rng(5)
    responders = chance.binomial(control, baseline, draws), chance.binomial(treatment, expected, draws)
    rates = responders[0] / control, responders[1] / treatment
    pooled = (responders[0] + responders[1]) / (control + treatment)
    z = (rates[1] - rates[0]) / np.sqrt(pooled * (1 - pooled) * (1 / control + 1 / treatment))
    found = float(np.mean(z > norm.ppf(0.975)))
    assert found == pytest.approx(power_at(control, treatment, baseline, expected), abs=0.012)
