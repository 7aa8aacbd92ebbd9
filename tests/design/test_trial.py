"""Test & Roll: the published size, and the profit by numerical integration and simulation."""

from __future__ import annotations

from math import sqrt

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import integrate, optimize, stats

from campanile.design import best_trial, trial_gain

WEBSITE = {"spread": sqrt(0.68 * 0.32), "between": 0.03}


def test_the_published_size() -> None:
    """Feit and Berman (2019), section 4.1: a website test on 100,000 visitors, with 2,284 in either arm."""
    assert best_trial(100_000, mean=0.68, **WEBSITE).arm == 2_284


@pytest.mark.parametrize("arm", [50, 2_284, 20_000])
def test_the_gain_is_the_integral_over_what_may_be_true(arm: int) -> None:
    """The true difference is normal; the better-looking arm is taken, right or wrong."""
    error = WEBSITE["spread"] * sqrt(2 / arm)
    spread = WEBSITE["between"] * sqrt(2)

    def earned(apart: float) -> float:
        right = stats.norm.cdf(apart / error)
        return apart / 2 * (2 * right - 1) * stats.norm.pdf(apart, scale=spread)

    per_customer, _ = integrate.quad(earned, -10 * spread, 10 * spread, points=[0.0], limit=300)
    assert trial_gain(100_000, arm, **WEBSITE) == pytest.approx((100_000 - 2 * arm) * per_customer, rel=1e-6)


@given(st.integers(200, 5_000_000), st.floats(0.05, 50), st.floats(0.002, 2))
def test_no_other_size_earns_more(customers: int, spread: float, between: float) -> None:
    found = best_trial(customers, spread=spread, between=between)

    def loss(arm: float) -> float:
        return -(customers - 2 * arm) * between**2 / sqrt(between**2 + spread**2 / arm)

    best = optimize.minimize_scalar(loss, bounds=(1e-6, customers / 2), method="bounded", options={"xatol": 1e-6})
    assert found.arm == pytest.approx(best.x, rel=0.01, abs=1.0)
    for other in (found.arm - 1, found.arm + 1):
        if 0 < other <= customers // 2:
            assert trial_gain(customers, other, spread=spread, between=between) <= found.gained * (1 + 1e-9)
    assert found.lost >= 0


@given(st.integers(200, 1_000_000), st.floats(0.01, 100))
def test_another_currency_only_scales(customers: int, rate: float) -> None:
    here = best_trial(customers, mean=2.0, spread=9.0, between=0.4)
    there = best_trial(customers, mean=2.0 * rate, spread=9.0 * rate, between=0.4 * rate)
    assert there.arm == pytest.approx(here.arm, abs=1)
    assert (there.profit, there.lost) == pytest.approx((here.profit * rate, here.lost * rate), rel=1e-6)


def test_what_cannot_be_tried_is_refused() -> None:
    with pytest.raises(ValueError, match="a list of 1 customers"):
        best_trial(1, **WEBSITE)
    for spread, between in ((0.0, 1.0), (1.0, 0.0), (1.0, float("inf"))):
        with pytest.raises(ValueError, match="not both above zero"):
            best_trial(100, spread=spread, between=between)
    with pytest.raises(ValueError, match="twice 51 customers are not on a list of 100"):
        trial_gain(100, 51, **WEBSITE)
    assert trial_gain(100, 0, **WEBSITE) == 0.0


@pytest.mark.statistical
def test_simulated_lists_earn_what_is_expected() -> None:
    rng = np.random.default_rng(40)
    customers, tried = 100_000, 400_000
    found = best_trial(customers, mean=0.68, **WEBSITE)
    true = rng.normal(0.68, WEBSITE["between"], (2, tried))
    seen = rng.normal(true, WEBSITE["spread"] / sqrt(found.arm))
    better = np.where(seen[1] > seen[0], true[1], true[0])
    profit = found.arm * true.sum(axis=0) + (customers - 2 * found.arm) * better
    assert float(profit.mean()) == pytest.approx(found.profit, abs=4 * float(profit.std()) / sqrt(tried))
