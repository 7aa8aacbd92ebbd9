"""Money per customer against scipy, statsmodels' Poisson score methods, and the promise that p and interval agree."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from scipy import optimize, stats
from statsmodels.stats import rates
from statsmodels.stats.weightstats import CompareMeans, DescrStatsW

from campanile.measure import Moments, pooled_interval, pooled_p, score_interval, score_p, welch_interval, welch_p
from campanile.measure.amounts import dispersion, score_lift, score_statistic


def moments(least: float = 0.05) -> st.SearchStrategy[Moments]:
    return st.builds(Moments, st.integers(30, 400_000), st.floats(least, 80), st.floats(0.5, 9000))


def test_student_and_welch_are_those_of_scipy_and_statsmodels() -> None:
    rng = np.random.default_rng(11)
    spend = [rng.lognormal(4, 1, size) * (rng.random(size) < 0.2) for size in (300, 2000)]
    control, treatment = (Moments(x.size, float(x.mean()), float(x.var(ddof=1))) for x in spend)
    assert pooled_p(control, treatment) == pytest.approx(stats.ttest_ind(*spend).pvalue, rel=1e-9)
    assert welch_p(control, treatment) == pytest.approx(stats.ttest_ind(*spend, equal_var=False).pvalue, rel=1e-9)
    means = CompareMeans(DescrStatsW(spend[1]), DescrStatsW(spend[0]))
    assert pooled_interval(control, treatment) == pytest.approx(means.tconfint_diff(usevar="pooled"), rel=1e-9)
    assert welch_interval(control, treatment, alpha=0.1) == pytest.approx(
        means.tconfint_diff(alpha=0.1, usevar="unequal"), rel=1e-9
    )


@given(moments(), moments())
def test_at_no_difference_the_score_test_is_students(control: Moments, treatment: Moments) -> None:
    assert score_p(control, treatment) == pytest.approx(pooled_p(control, treatment), rel=1e-9, abs=1e-300)


@given(moments(), moments(), st.floats(-30, 30))
def test_the_statistic_is_that_of_statsmodels_in_units_of_the_dispersion(
    control: Moments, treatment: Moments, difference: float
) -> None:
    """Money divided by the dispersion is a Poisson count: the score test of Krishnamoorthy and Thomson (2004)."""
    kappa = dispersion(control, treatment)
    theirs = rates.test_poisson_2indep(
        treatment.total / kappa,
        treatment.n,
        control.total / kappa,
        control.n,
        value=difference / kappa,
        compare="diff",
        method="score",
    )
    assume(math.isfinite(theirs.statistic))
    assert score_statistic(control, treatment, difference) == pytest.approx(theirs.statistic, rel=1e-6, abs=1e-6)


@pytest.mark.parametrize(
    ("control", "treatment"),
    [
        (Moments(500, 1.2, 90.0), Moments(9500, 1.5, 110.0)),
        (Moments(5000, 80.0, 900_000.0), Moments(95_000, 100.0, 1_200_000.0)),
        (Moments(95_000, 1.0, 100.0), Moments(5000, 0.7, 60.0)),
        (Moments(10_000, 1.0, 100.0), Moments(10_000, 2.0, 220.0)),
    ],
)
def test_intervals_are_those_of_statsmodels_in_units_of_the_dispersion(control: Moments, treatment: Moments) -> None:
    """Its interval is of the normal quantile, ours of Student's: an alpha is found that makes the two one."""
    kappa = dispersion(control, treatment)
    quantile = stats.t.ppf(0.975, control.n + treatment.n - 2)
    counts = (treatment.total / kappa, treatment.n, control.total / kappa, control.n)
    alpha = 2 * stats.norm.sf(quantile)
    low, high = rates.confint_poisson_2indep(*counts, method="score", compare="diff", alpha=alpha)
    tolerance = 1e-5 * (high - low)  # of their root finder; ours is held to 1e-6 by the cubic below
    assert score_interval(control, treatment) == pytest.approx((low * kappa, high * kappa), abs=tolerance * kappa)
    low, high = rates.confint_poisson_2indep(*counts, method="score", compare="ratio", alpha=alpha)
    assert score_lift(control, treatment) == pytest.approx((low - 1, high - 1), abs=1e-5 * (high - low))


@given(moments(), moments())
def test_limits_are_the_roots_of_the_cubic(control: Moments, treatment: Moments) -> None:
    """The inversion by a Lagrange multiplier, docs/method-money-interval.md: another way to the same limits."""
    quantile = stats.t.ppf(0.975, control.n + treatment.n - 2)
    square = quantile**2 * dispersion(control, treatment)
    n_c, n_t = control.n, treatment.n

    def beyond(share: float) -> float:
        pull = -n_c * share if low_side else n_t * share
        first, second = control.total / (n_c + pull), treatment.total / (n_t - pull)
        return pull**2 * (first / n_c + second / n_t) - square

    limits = []
    for low_side in (True, False):
        share = optimize.brentq(beyond, 0.0, 1 - 1e-12, xtol=1e-15)
        pull = -n_c * share if low_side else n_t * share
        limits.append(treatment.total / (n_t - pull) - control.total / (n_c + pull))
    width = limits[1] - limits[0]
    assert score_interval(control, treatment) == pytest.approx(limits, abs=1e-6 * width)


ARMS = st.tuples(st.integers(30, 400_000), st.one_of(st.just(0.0), st.floats(0.01, 80)), st.floats(0.5, 9000))


@given(ARMS, ARMS)
def test_the_interval_leaves_zero_out_exactly_when_p_is_below_alpha(
    one: tuple[int, float, float], other: tuple[int, float, float]
) -> None:
    assume(one[1] or other[1])
    control, treatment = (Moments(n, mean, variance if mean else 0.0) for n, mean, variance in (one, other))
    pairs = ((score_p, score_interval), (pooled_p, pooled_interval), (welch_p, welch_interval))
    for p_value, interval in pairs:
        low, high = interval(control, treatment)
        p = p_value(control, treatment)
        assert low <= treatment.mean - control.mean <= high
        if abs(p - 0.05) > 1e-9:
            assert (low > 0 or high < 0) == (p < 0.05)


@given(ARMS, ARMS, st.sampled_from([0.01, 0.05, 0.2]))
def test_at_the_limits_the_p_value_is_alpha(
    one: tuple[int, float, float], other: tuple[int, float, float], alpha: float
) -> None:
    assume(one[1] or other[1])
    control, treatment = (Moments(n, mean, variance if mean else 0.0) for n, mean, variance in (one, other))
    for limit in score_interval(control, treatment, alpha=alpha):
        assert score_p(control, treatment, difference=limit) == pytest.approx(alpha, rel=1e-5)


@given(moments(), moments())
def test_changing_places_changes_the_sign(control: Moments, treatment: Moments) -> None:
    low, high = score_interval(control, treatment)
    assert score_interval(treatment, control) == pytest.approx((-high, -low), rel=1e-9)


@given(moments(), moments(), st.floats(0.001, 1000))
def test_another_currency_only_scales(control: Moments, treatment: Moments, rate: float) -> None:
    def other(arm: Moments) -> Moments:
        return Moments(arm.n, arm.mean * rate, arm.variance * rate**2)

    low, high = score_interval(control, treatment)
    tolerance = 1e-7 * (high - low) * rate
    assert score_interval(other(control), other(treatment)) == pytest.approx((low * rate, high * rate), abs=tolerance)
    assert score_p(other(control), other(treatment)) == pytest.approx(score_p(control, treatment), rel=1e-6)


def test_an_arm_without_a_buyer_still_has_an_interval() -> None:
    """No buyer among 500: Welch, with no variance in control, would be certain."""
    control, treatment = Moments(500, 0.0, 0.0), Moments(9500, 0.42, 55.0)
    low, high = score_interval(control, treatment)
    assert low < 0 < high
    assert score_p(control, treatment) > 0.05
    assert welch_p(control, treatment) < 1e-5
    turned = score_interval(treatment, control)
    assert turned == pytest.approx((-high, -low))


def test_equal_arms_of_many_buyers_give_nearly_welchs_interval() -> None:
    control, treatment = Moments(50_000, 100.0, 400_000.0), Moments(50_000, 104.0, 416_000.0)
    low, high = welch_interval(control, treatment)
    assert score_interval(control, treatment) == pytest.approx((low, high), abs=0.01 * (high - low))
