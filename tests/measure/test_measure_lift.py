"""Lift against published figures, and the cases in which it has no end."""

from __future__ import annotations

import math

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from statsmodels.stats import proportion

from campanile.measure import Count, Estimate, Moments, fieller, katz
from campanile.measure.amounts import pooled_lift, pooled_p, score_lift, score_p, welch_interval, welch_lift, welch_p

# The data of growthbook's own test of its two-sided t test (packages/stats/tests/frequentist/test_tests.py).
GROWTHBOOK = (
    Moments(3407, 1396.87 / 3407, (52377.9767 - 1396.87**2 / 3407) / 3406),
    Moments(3461, 2422.7 / 3461, (134698.29 - 2422.7**2 / 3461) / 3460),
)


def test_katz_on_the_physicians_health_study() -> None:
    """Myocardial infarction, aspirin 104/11,037 and placebo 189/11,034: relative risk 0.55 (0.43, 0.70)."""
    low, high = katz(Count(189, 11_034), Count(104, 11_037))
    assert low is not None
    assert high is not None
    assert (1 + low, 1 + high) == pytest.approx((0.43, 0.70), abs=0.005)


@given(st.integers(1, 500), st.integers(0, 5000), st.integers(1, 500), st.integers(0, 5000))
def test_katz_is_that_of_statsmodels(x_c: int, rest_c: int, x_t: int, rest_t: int) -> None:
    assume(rest_c or rest_t)
    control, treatment = Count(x_c, x_c + rest_c), Count(x_t, x_t + rest_t)
    low, high = proportion.confint_proportions_2indep(x_t, treatment.n, x_c, control.n, method="log", compare="ratio")
    assert katz(control, treatment) == pytest.approx((low - 1, high - 1), rel=1e-9, abs=1e-9)


def test_a_count_of_zero_leaves_the_lift_open() -> None:
    assert katz(Count(0, 500), Count(40, 9500)) == (None, None)
    assert katz(Count(3, 500), Count(0, 9500)) == (-1.0, None)
    assert katz(Count(0, 500), Count(0, 9500)) == (None, None)
    assert katz(Count(10, 10), Count(10, 10)) == (None, None)


def test_fieller_agrees_with_the_difference_where_the_delta_method_does_not() -> None:
    """Growthbook's data: difference p = 0.02016 (0.04538, 0.53462), its own lift p = 0.062 (-3.5 %, +145 %).

    Fieller on them is +9.4 % to +171 % (reference/statistics.md 3.3).
    """
    assert welch_p(*GROWTHBOOK) == pytest.approx(0.02016, abs=5e-6)
    assert welch_interval(*GROWTHBOOK) == pytest.approx((0.04538, 0.53462), abs=5e-6)
    assert welch_lift(*GROWTHBOOK) == pytest.approx((0.094, 1.71), abs=0.005)


@given(st.floats(0.5, 50), st.floats(0.01, 4), st.floats(0, 50), st.floats(0.01, 4))
def test_fieller_is_where_the_test_of_the_ratio_turns(mean_c: float, var_c: float, mean_t: float, var_t: float) -> None:
    limits = fieller(Estimate(mean_c, var_c), Estimate(mean_t, var_t), quantile=2.0)
    if mean_c**2 <= 4 * var_c:
        assert limits == (None, None)
        return
    for limit in limits:
        assert limit is not None
        ratio = 1 + limit
        assert abs(mean_t - ratio * mean_c) == pytest.approx(2 * math.sqrt(var_t + ratio**2 * var_c), rel=1e-4)


def moments() -> st.SearchStrategy[Moments]:
    return st.builds(Moments, st.integers(30, 100_000), st.floats(0.1, 50), st.floats(1, 5000))


@given(moments(), moments())
def test_lift_and_difference_agree_on_whether_there_is_one(control: Moments, treatment: Moments) -> None:
    for lift, p_value in ((score_lift, score_p), (pooled_lift, pooled_p), (welch_lift, welch_p)):
        low, high = lift(control, treatment)
        p = p_value(control, treatment)
        if low is None or high is None or abs(p - 0.05) < 1e-9:
            continue
        assert low <= treatment.mean / control.mean - 1 <= high
        assert (low > 0 or high < 0) == (p < 0.05)


@given(moments(), moments(), st.floats(0.01, 1000))
def test_lift_has_no_currency(control: Moments, treatment: Moments, rate: float) -> None:
    def other(arm: Moments) -> Moments:
        return Moments(arm.n, arm.mean * rate, arm.variance * rate**2)

    limits, same = score_lift(control, treatment), score_lift(other(control), other(treatment))
    assume((limits[0] is None) == (same[0] is None))
    if limits[0] is not None:
        assert same == pytest.approx(limits, rel=1e-6, abs=1e-9)


def test_a_control_that_may_be_zero_bounds_no_lift() -> None:
    """Spending so uneven that 500 customers of it are within two standard errors of zero, lucky or not."""
    assert score_lift(Moments(500, 0.2, 8.0), Moments(9500, 0.25, 30.0)) == (None, None)
    assert score_lift(Moments(500, 0.5, 40.0), Moments(9500, 0.25, 30.0)) == (None, None)


def test_a_control_without_a_buyer_bounds_no_lift() -> None:
    assert score_lift(Moments(500, 0.0, 0.0), Moments(9500, 6.0, 30.0)) == (None, None)
