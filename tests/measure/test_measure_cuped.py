"""CUPED against statsmodels' analysis of covariance, and coverage beside a small control."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import statsmodels.api as sm
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from campanile.errors import CampanileError
from campanile.measure import ArmStatistics, compare_adjusted, compare_amounts, fit_cuped
from statistical.adjusted_worlds import Limits, arm_of, held

ROWS = st.lists(
    st.tuples(st.integers(0, 9_000), st.integers(0, 9_000), st.integers(0, 6)), min_size=5, max_size=60
).filter(lambda rows: all(len(set(column)) > 1 for column in zip(*rows, strict=True)))
NAMES = ("revenue", "pre_revenue", "pre_orders")


def arm(rows: list[tuple[int, int, int]], name: str = "control") -> ArmStatistics:
    return ArmStatistics.from_values(name, dict(zip(NAMES, map(list, zip(*rows, strict=True)), strict=True)))


def noisy(seed: int, n: int, slope: float) -> list[tuple[int, int, int]]:
    rng = np.random.default_rng(seed)
    before = rng.integers(0, 9_000, n)
    orders = rng.poisson(before / 3_000)
    after = np.rint(slope * before + 300 * orders + rng.normal(2_000, 900, n)).astype(int)
    return list(zip(map(int, after), map(int, before), map(int, orders), strict=True))


@pytest.mark.parametrize("covariates", [["pre_revenue"], ["pre_revenue", "pre_orders"]])
@pytest.mark.parametrize(("n_control", "n_treatment"), [(40, 900), (300, 300)])
def test_it_is_the_analysis_of_covariance(covariates: list[str], n_control: int, n_treatment: int) -> None:
    """Slopes and difference exactly; its robust variance has terms in the imbalance of the covariates besides."""
    rows = [noisy(1, n_control, 0.5), noisy(2, n_treatment, 0.6)]
    table = np.array(rows[0] + rows[1], float)
    treated = np.repeat([0.0, 1.0], [n_control, n_treatment])
    columns = [NAMES.index(name) for name in covariates]
    design = np.column_stack([np.ones(table.shape[0]), treated, table[:, columns]])
    theirs = sm.OLS(table[:, 0], design).fit(cov_type="HC2")
    found = fit_cuped(arm(rows[0]), arm(rows[1], "sms"), "revenue", covariates)
    control, treatment = found.adjusted.control, found.adjusted.treatment
    assert found.slopes == pytest.approx(theirs.params[2:], rel=1e-8)
    assert treatment.mean - control.mean == pytest.approx(theirs.params[1], rel=1e-8)
    assert control.mean_variance + treatment.mean_variance == pytest.approx(theirs.bse[1] ** 2, rel=0.04)


@given(ROWS, ROWS)
def test_adjusted_figures_are_those_of_adjusted_customers(
    one: list[tuple[int, int, int]], other: list[tuple[int, int, int]]
) -> None:
    found = fit_cuped(arm(one), arm(other, "sms"), "revenue", ["pre_revenue"])
    (slope,) = found.slopes
    overall = np.mean([row[1] for row in one + other])
    for rows, moments in ((one, found.adjusted.control), (other, found.adjusted.treatment)):
        values = np.array([after - slope * (before - overall) for after, before, _ in rows])
        assert moments.mean == pytest.approx(values.mean(), abs=1e-6)
        assert moments.variance == pytest.approx(values.var(ddof=1), rel=1e-6, abs=1e-3)


@given(ROWS, ROWS)
def test_changing_places_changes_the_sign(one: list[tuple[int, int, int]], other: list[tuple[int, int, int]]) -> None:
    there = fit_cuped(arm(one), arm(other, "sms"), "revenue", NAMES[1:])
    back = fit_cuped(arm(other, "sms"), arm(one), "revenue", NAMES[1:])
    assert back.adjusted.control == pytest.approx(there.adjusted.treatment, rel=1e-6, abs=1e-6)
    assert back.reduction == pytest.approx(there.reduction, abs=1e-6)


@given(ROWS, ROWS, st.integers(2, 400), st.integers(2, 400))
def test_currencies_of_metric_and_covariate_do_not_matter(
    one: list[tuple[int, int, int]], other: list[tuple[int, int, int]], rate: int, before_rate: int
) -> None:
    def changed(rows: list[tuple[int, int, int]]) -> list[tuple[int, int, int]]:
        return [(after * rate, before * before_rate, orders) for after, before, orders in rows]

    here = fit_cuped(arm(one), arm(other), "revenue", NAMES[1:2])
    there = fit_cuped(arm(changed(one)), arm(changed(other)), "revenue", NAMES[1:2])
    assert there.adjusted.control.mean == pytest.approx(here.adjusted.control.mean * rate, rel=1e-7)
    assert there.reduction == pytest.approx(here.reduction, abs=1e-7)
    assert there.correlation == pytest.approx(here.correlation, abs=1e-6)


@given(ROWS, ROWS, ROWS)
def test_parts_add_up_to_the_whole(
    one: list[tuple[int, int, int]], more: list[tuple[int, int, int]], other: list[tuple[int, int, int]]
) -> None:
    parts = fit_cuped(arm(one) + arm(more), arm(other, "sms"), "revenue", NAMES[1:2])
    whole = fit_cuped(arm(one + more), arm(other, "sms"), "revenue", NAMES[1:2])
    assert parts.adjusted.control == pytest.approx(whole.adjusted.control, rel=1e-7)
    assert parts.reduction == pytest.approx(whole.reduction, abs=1e-7)


def test_the_correlation_and_the_reduction_belong_together() -> None:
    """In equal arms that differ by nothing the reduction is the squared correlation."""
    rows = noisy(3, 4_000, 0.5)
    found = fit_cuped(arm(rows), arm(rows, "sms"), "revenue", ["pre_revenue"])
    after, before, _ = map(np.array, zip(*rows, strict=True))
    assert found.correlation == pytest.approx(np.corrcoef(after, before)[0, 1])
    assert found.reduction == pytest.approx(found.correlation**2)


def test_a_covariate_that_says_nothing_or_nothing_new_changes_nothing() -> None:
    rows = [(after, before, 3) for after, before, _ in noisy(4, 50, 0.5)]
    twice = [(after, before, 2 * before) for after, before, _ in rows]
    plain = fit_cuped(arm(rows), arm(rows, "sms"), "revenue", ["pre_orders"])
    assert (plain.slopes, plain.reduction, plain.correlation) == ((0.0,), 0.0, 0.0)
    one = fit_cuped(arm(twice), arm(twice, "sms"), "revenue", ["pre_revenue"])
    both = fit_cuped(arm(twice), arm(twice, "sms"), "revenue", ["pre_revenue", "pre_orders"])
    assert both.adjusted.control == pytest.approx(one.adjusted.control)


def test_covariates_that_cannot_adjust_are_refused() -> None:
    one = arm(noisy(5, 20, 0.5))
    for covariates in ([], ["revenue"], ["pre_revenue", "pre_revenue"]):
        with pytest.raises(CampanileError, match="revenue cannot be adjusted by"):
            fit_cuped(one, one, "revenue", covariates)
    with pytest.raises(CampanileError, match="no product of revenue and pre_revenue"):
        fit_cuped(replace(one, products={}), one, "revenue", ["pre_revenue"])
    with pytest.raises(CampanileError, match="at least 2 are needed"):
        fit_cuped(arm(noisy(5, 1, 0.5)), one, "revenue", ["pre_revenue"])


def loyal(rng: np.random.Generator, name: str, n: int, lift: float) -> ArmStatistics:
    """Customers of whom 4 % bought before; these buy again in 15 %, others in 1 %; their orders are alike in size."""
    before = rng.binomial(n, 0.04)
    again = rng.binomial(before, 0.15 * (1 + lift))
    fresh = rng.binomial(n - before, 0.01 * (1 + lift))
    taste = rng.lognormal(np.log(5_000), 0.8, before)

    def order(scale: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.rint(scale * rng.lognormal(0, 0.5, scale.size))

    after = np.zeros(before + fresh)
    after[:again] = order(taste[:again])
    after[before:] = order(rng.lognormal(np.log(5_000), 0.8, fresh))
    past = np.concatenate([order(taste) + order(taste), np.zeros(fresh)])
    return arm_of(name, n, {"revenue": after, "pre_revenue": past})


@pytest.mark.statistical
@pytest.mark.parametrize(("n_control", "n_treatment"), [(5_000, 95_000), (20_000, 20_000)])
@pytest.mark.parametrize("lift", [0.0, 0.3, -0.2])
def test_intervals_hold_the_truth_and_are_shorter(n_control: int, n_treatment: int, lift: float) -> None:
    rng = np.random.default_rng([32, n_control, round(100 * lift + 100)])
    widths: list[tuple[float, float]] = []

    def one() -> Limits:
        arms = loyal(rng, "control", n_control, 0.0), loyal(rng, "sms", n_treatment, lift)
        found = compare_adjusted(*arms, "revenue", fit_cuped(*arms, "revenue", ["pre_revenue"]).adjusted)
        plain = compare_amounts(*arms, "revenue")
        assert found.low is not None and found.high is not None and plain.low is not None and plain.high is not None
        widths.append((found.high - found.low, plain.high - plain.low))
        return found.low, found.high

    order = 5_000 * float(np.exp((0.8**2 + 0.5**2) / 2))
    truth = lift * (0.04 * 0.15 + 0.96 * 0.01) * order
    assert held(one, truth, 1_500) >= 0.93
    narrow, wide = np.median(np.array(widths), axis=0)
    assert narrow < 0.985 * wide
