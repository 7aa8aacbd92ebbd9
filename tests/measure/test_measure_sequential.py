"""Limits for many looks: the mixture integrated by scipy, published bounds, multivariate normal chances, simulation."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from scipy import integrate, optimize, stats

from campanile.errors import CampanileError
from campanile.measure import (
    ArmStatistics,
    Moments,
    always_valid,
    always_valid_interval,
    always_valid_p,
    always_valid_quantile,
    compare,
    compare_rates,
    looks,
)
from campanile.measure.group_sequential import Spending
from campanile.measure.sequential import customers_worth, tuned

MOMENTS = st.builds(Moments, st.integers(50, 200_000), st.floats(0.05, 50), st.floats(0.5, 5_000))


@pytest.mark.parametrize("alpha", [0.01, 0.05, 0.2])
@pytest.mark.parametrize("n", [100, 5_000, 40_000])
def test_at_the_limit_the_mixture_of_likelihood_ratios_is_one_over_alpha(alpha: float, n: int) -> None:
    """Ville's inequality: the mixture is a martingale of mean 1, so it ever reaches 1/alpha with chance alpha."""
    reach = always_valid_quantile(n, planned=10_000, alpha=alpha) * math.sqrt(n)  # a sum of n with variance 1
    spread = math.sqrt(tuned(10_000, alpha=alpha))

    def ratio(effect: float) -> float:
        return math.exp(effect * reach - effect**2 * n / 2) * stats.norm.pdf(effect, scale=spread)

    peak = reach / n
    mixed, _ = integrate.quad(ratio, -12 * spread, 12 * spread, points=[-peak, 0, peak], limit=500)
    assert mixed == pytest.approx(1 / alpha, rel=1e-6)


@pytest.mark.parametrize("alpha", [0.01, 0.05, 0.2])
@pytest.mark.parametrize("planned", [200, 10_000, 3_000_000])
def test_it_is_tuned_to_be_narrowest_at_the_planned_size(alpha: float, planned: int) -> None:
    def width(log_rho2: float) -> float:
        mixed = planned * math.exp(log_rho2)
        return (mixed + 1) / mixed * (math.log(mixed + 1) - 2 * math.log(alpha))

    best = optimize.minimize_scalar(width, bounds=(-20, 5), method="bounded", options={"xatol": 1e-10})
    assert always_valid_quantile(planned, planned=planned, alpha=alpha) ** 2 == pytest.approx(best.fun, rel=1e-9)


@given(MOMENTS, MOMENTS, st.integers(100, 1_000_000), st.sampled_from([0.01, 0.05, 0.2]))
def test_p_and_limits_agree(control: Moments, treatment: Moments, planned: int, alpha: float) -> None:
    low, high = always_valid_interval(control, treatment, planned=planned, alpha=alpha)
    p = always_valid_p(control, treatment, planned=planned, alpha=alpha)
    assume(abs(p - alpha) > 1e-9)
    assert (low > 0 or high < 0) == (p < alpha)


@given(MOMENTS, MOMENTS, st.floats(0.01, 1000))
def test_places_and_currencies_do_not_matter(control: Moments, treatment: Moments, rate: float) -> None:
    low, high = always_valid_interval(control, treatment, planned=9_000)
    assert always_valid_interval(treatment, control, planned=9_000) == pytest.approx((-high, -low))
    changed = [Moments(arm.n, arm.mean * rate, arm.variance * rate**2) for arm in (control, treatment)]
    tolerance = 1e-9 * (high - low) * rate
    assert always_valid_interval(*changed, planned=9_000) == pytest.approx((low * rate, high * rate), abs=tolerance)


def test_a_comparison_keeps_its_figures_and_gets_wider_limits() -> None:
    arms = [ArmStatistics.from_counts(*arm) for arm in [("control", 9_000, {"r": 180}), ("sms", 9_000, {"r": 300})]]
    plain = compare(*arms, "r", kind="rate")
    found = always_valid(plain, *arms, planned=20_000)
    assert found.difference == plain.difference
    assert found.low is not None and found.high is not None and plain.low is not None and plain.high is not None
    assert found.low < plain.low < plain.high < found.high
    assert found.p_value is not None and found.lift_low is not None
    assert (found.p_value < 0.05) == (found.lift_low > 0) == (found.low > 0)


def test_a_control_that_has_not_bought_yet_is_not_certain() -> None:
    """None of 200 against 38 of 3,800 at one per cent: own variances alone would call that an effect."""
    arms = [ArmStatistics.from_counts(*arm) for arm in [("control", 200, {"r": 0}), ("sms", 3_800, {"r": 38})]]
    found = always_valid(compare(*arms, "r", kind="rate"), *arms, planned=4_000)
    assert found.low is not None and found.low < 0
    nobody = [ArmStatistics.from_counts(name, 200, {"r": 0}) for name in ("control", "sms")]
    plain = compare(*nobody, "r", kind="rate")
    withheld = always_valid(plain, *nobody, planned=400)
    assert (withheld.low, withheld.high, withheld.p_value, withheld.lift_low) == (None, None, None, None)
    assert withheld.interval_method == "withheld: values do not vary"
    single = [ArmStatistics.from_values(name, {"r": [3]}) for name in ("control", "sms")]
    assert always_valid(compare(*single, "r", kind="money"), *single, planned=400).low is None


def test_a_plan_without_customers_is_refused() -> None:
    with pytest.raises(CampanileError, match="0 customers are planned"):
        always_valid_quantile(100, planned=0)


@pytest.mark.parametrize(
    ("times", "alpha", "spending", "published"),
    [
        # ldbounds and gsDesign (sfLDOF, sfLDPocock), two-sided 0.05; five and four and two equal looks.
        ([0.2, 0.4, 0.6, 0.8, 1.0], 0.05, "obrien_fleming", [4.8769, 3.3569, 2.6803, 2.2898, 2.0310]),
        ([0.2, 0.4, 0.6, 0.8, 1.0], 0.05, "pocock", [2.4380, 2.4268, 2.4101, 2.3966, 2.3859]),
        ([0.25, 0.5, 0.75, 1.0], 0.05, "obrien_fleming", [4.3326, 2.9631, 2.3590, 2.0141]),
        ([0.5, 1.0], 0.05, "obrien_fleming", [2.9626, 1.9686]),
        # SeqBounds.jl, one-sided 0.05.
        ([0.25, 0.5, 0.75, 1.0], 0.1, "obrien_fleming", [3.7496, 2.5399, 2.0160, 1.7201]),
    ],
)
def test_bounds_are_the_published_ones(
    times: list[float], alpha: float, spending: Spending, published: list[float]
) -> None:
    assert looks(times, alpha=alpha, spending=spending).bounds == pytest.approx(published, abs=1.5e-4)


def test_one_look_at_the_end_is_the_plain_test() -> None:
    found = looks([1.0])
    assert found.bounds == pytest.approx([stats.norm.ppf(0.975)])
    assert found.alphas == pytest.approx([0.05])


@pytest.mark.parametrize("spending", ["obrien_fleming", "pocock"])
@pytest.mark.parametrize("times", [[0.3, 0.35, 1.0], [0.5, 0.9, 0.99], [0.25, 0.5, 0.75, 0.8], [0.3, 0.302, 1.0]])
def test_the_chance_to_cross_is_what_was_spent(times: list[float], spending: Spending) -> None:
    """By scipy's multivariate normal: the correlation of two looks is the root of their times' ratio."""
    found = looks(times, spending=spending)
    covariance = np.sqrt(np.minimum.outer(times, times) / np.maximum.outer(times, times))
    bounds = np.array(found.bounds)
    inside = stats.multivariate_normal(cov=covariance, abseps=1e-8, releps=1e-8, maxpts=2_000_000, seed=1).cdf(
        bounds, lower_limit=-bounds
    )
    assert 1 - inside == pytest.approx(found.spent[-1], abs=2e-6)


def test_a_look_more_changes_no_bound_before_it() -> None:
    assert looks([0.2, 0.5, 0.7, 1.0]).bounds[:2] == pytest.approx(looks([0.2, 0.5]).bounds)


@given(st.lists(st.integers(2, 100), min_size=1, max_size=5, unique=True), st.sampled_from([0.01, 0.05, 0.2]))
def test_bounds_are_stricter_than_one_look(times: list[int], alpha: float) -> None:
    found = looks([time / 100 for time in sorted(times)], alpha=alpha)
    assert all(bound >= stats.norm.ppf(1 - alpha / 2) - 1e-7 for bound in found.bounds)
    assert found.spent[-1] <= alpha + 1e-12


@pytest.mark.parametrize("times", [[], [0.5, 0.5], [0.5, 0.5004], [0.7, 0.3], [0.0, 1.0], [0.5, 1.2]])
def test_looks_that_do_not_rise_to_the_end_are_refused(times: list[float]) -> None:
    with pytest.raises(CampanileError, match="give shares that rise"):
        looks(times)


def test_an_unknown_spending_is_refused_with_the_known_ones() -> None:
    with pytest.raises(CampanileError, match='did you mean "pocock"'):
        looks([1.0], spending="pokock")  # type: ignore[arg-type]


@pytest.mark.statistical
@pytest.mark.parametrize(("share", "buyers"), [(0.5, 0.02), (0.05, 0.02)])
def test_twenty_looks_err_no_more_than_alpha(share: float, buyers: float) -> None:
    """A/A with lognormal orders, 100,000 customers. Looking twenty times at 1.96 errs in a quarter of experiments."""
    rng = np.random.default_rng([35, round(100 * share)])
    planned, count, tried = 100_000, 20, 1_000
    sizes = np.round(np.array([share, 1 - share]) * planned / count).astype(int)
    plan = looks([step / count for step in range(1, count + 1)])
    wrong = {"always valid": 0, "group sequential": 0, "naive": 0}
    for _ in range(tried):
        bought = rng.binomial(sizes[:, None], buyers, (2, count))
        rows = [(np.rint(rng.lognormal(8, 1, many)), many) for many in bought.ravel()]
        sums = np.array([row[0].sum() for row in rows]).reshape(2, count).cumsum(axis=1)
        squares = np.array([row[0] @ row[0] for row in rows]).reshape(2, count).cumsum(axis=1)
        n = np.outer(sizes, np.arange(1, count + 1))
        means, variances = sums / n, (squares - sums**2 / n) / (n - 1)
        pooled = ((n - 1) * variances).sum(axis=0) / (n.sum(axis=0) - 2)
        z = np.abs(means[1] - means[0]) / np.sqrt(pooled * (1 / n).sum(axis=0))
        wrong["naive"] += bool((z > 1.96).any())
        wrong["group sequential"] += bool((z > plan.bounds).any())
        wrong["always valid"] += any(
            always_valid_p(
                *(Moments(int(n[arm, at]), means[arm, at], variances[arm, at]) for arm in (0, 1)), planned=planned
            )
            < 0.05
            for at in range(count)
        )
    assert wrong["naive"] > 0.15 * tried
    assert wrong["group sequential"] <= stats.binom.ppf(0.9999, tried, 0.05)
    assert wrong["group sequential"] >= 0.02 * tried
    assert wrong["always valid"] <= 0.05 * tried


def ever_told(control: int, treated: int, *, rate: float, expected: float, lift: float) -> float:
    """How often 20 looks at a wave that was sent on one day ever show an effect; responses come ever more slowly."""
    draw = np.random.default_rng(4)
    by_look = np.diff(1 - np.exp(-np.linspace(0, 4, 21)))
    by_look /= by_look.sum()
    told = 0
    for _ in range(400):
        both = [draw.binomial(control, rate), draw.binomial(treated, rate * (1 + lift))]
        sizes = [("control", control), ("sms", treated)]
        counts = [np.cumsum(draw.multinomial(responders, by_look)) for responders in both]
        for at in range(20):
            arms = [
                ArmStatistics.from_counts(name, n, {"r": int(counted[at])})
                for (name, n), counted in zip(sizes, counts, strict=True)
            ]
            seen = customers_worth(int(counts[0][at] + counts[1][at]), control + treated, expected)
            found = always_valid(compare_rates(*arms, "r"), *arms, planned=control + treated, seen=seen)
            if found.low is not None and not found.low <= 0 <= found.high:
                told += 1
                break
    return told / 400


@pytest.mark.parametrize("expected", [0.02, 0.04, 0.08])
def test_a_wave_sent_on_one_day_may_be_looked_at_daily_whatever_was_expected(expected: float) -> None:
    """At most alpha by theory. One look at 1.96 each day would tell of an effect in a quarter of such waves."""
    assert ever_told(2_000, 8_000, rate=0.04, expected=expected, lift=0) <= 0.05


def test_an_effect_is_seen_before_the_end() -> None:
    assert ever_told(2_000, 8_000, rate=0.04, expected=0.04, lift=0.5) > 0.6
