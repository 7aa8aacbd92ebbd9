"""Not worse by a margin: Miettinen and Nurminen's published limits, their test by brute likelihood, coverage."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from scipy import optimize, stats
from statsmodels.stats.proportion import test_proportions_2indep as two_proportions
from statsmodels.stats.weightstats import ttost_ind

from campanile.errors import CampanileError
from campanile.measure import ArmStatistics, Count, mean_not_worse, miettinen_nurminen, rate_not_worse

COUNTS = st.integers(2, 3_000).flatmap(lambda n: st.builds(Count, st.integers(0, n), st.just(n)))
two_proportions.__test__ = False


@pytest.mark.parametrize(
    ("control", "treatment", "low", "high"),
    [
        (Count(48, 80), Count(56, 70), 0.0528, 0.3382),  # Newcombe (1998), Stat Med 17:873, method 5, table II
        (Count(3, 10), Count(9, 10), 0.1700, 0.8406),
        (Count(0, 20), Count(10, 10), 0.7156, 1.0),
    ],
)
def test_limits_are_the_published_ones(control: Count, treatment: Count, low: float, high: float) -> None:
    more = rate_not_worse(control, treatment, margin=0.1, more_is_worse=True, alpha=0.025)
    less = rate_not_worse(control, treatment, margin=0.1, more_is_worse=False, alpha=0.025)
    assert (less.limit, more.limit) == pytest.approx((low, high), abs=6e-5)


@given(COUNTS, COUNTS, st.floats(-0.95, 0.95))
def test_the_statistic_is_that_of_the_likeliest_rates(control: Count, treatment: Count, difference: float) -> None:
    """The likelihood searched by brute force instead of by its slope."""
    low, high = max(0.0, -difference), min(1.0, 1.0 - difference)

    def surprise(rate: float) -> float:
        return -float(
            stats.binom.logpmf(control.responders, control.n, rate)
            + stats.binom.logpmf(treatment.responders, treatment.n, min(max(rate + difference, 0.0), 1.0))
        )

    grid = np.linspace(low, high, 401)
    centre = grid[int(np.argmin([surprise(rate) for rate in grid]))]
    step = (high - low) / 400
    bounds = (max(low, centre - step), min(high, centre + step))
    best = float(optimize.minimize_scalar(surprise, bounds=bounds, method="bounded", options={"xatol": 1e-12}).x)
    best = min((best, low, high), key=surprise)
    total = control.n + treatment.n
    other = min(max(best + difference, 0.0), 1.0)
    variance = (best * (1 - best) / control.n + other * (1 - other) / treatment.n) * total / (total - 1)
    assume(variance > 1e-9)
    theirs = (treatment.rate - control.rate - difference) / variance**0.5
    assert miettinen_nurminen(control, treatment, difference) == pytest.approx(theirs, rel=2e-3, abs=2e-3)


@given(COUNTS, COUNTS)
def test_at_no_difference_it_is_statsmodels_score_test(control: Count, treatment: Count) -> None:
    """Their formula is wrong elsewhere only (issue 10269)."""
    assume(0 < control.responders + treatment.responders < control.n + treatment.n)
    theirs = two_proportions(
        treatment.responders, treatment.n, control.responders, control.n, method="score", compare="diff"
    )
    assert miettinen_nurminen(control, treatment, 0.0) == pytest.approx(theirs.statistic, rel=1e-6, abs=1e-9)


@given(COUNTS, COUNTS, st.floats(0.001, 0.4), st.booleans(), st.sampled_from([0.025, 0.05]))
def test_p_and_limit_agree(control: Count, treatment: Count, margin: float, more: bool, alpha: float) -> None:
    found = rate_not_worse(control, treatment, margin=margin, more_is_worse=more, alpha=alpha)
    assume(abs(found.p_value - alpha) > 1e-7)
    assert found.shown == (found.limit < margin if more else found.limit > -margin)


@given(COUNTS, COUNTS, st.floats(0.001, 0.4))
def test_changing_places_and_direction_says_the_same(control: Count, treatment: Count, margin: float) -> None:
    there = rate_not_worse(control, treatment, margin=margin, more_is_worse=True)
    back = rate_not_worse(treatment, control, margin=margin, more_is_worse=False)
    assert (back.difference, back.limit) == pytest.approx((-there.difference, -there.limit), abs=1e-9)
    assert back.p_value == pytest.approx(there.p_value, rel=1e-6, abs=1e-12)


def test_nobody_in_either_arm_is_shown_only_by_many() -> None:
    few = rate_not_worse(Count(0, 50), Count(0, 100), margin=0.01, more_is_worse=True)
    many = rate_not_worse(Count(0, 500), Count(0, 1_000), margin=0.01, more_is_worse=True)
    assert (few.shown, many.shown) == (False, True)


def arms(rng: np.random.Generator, mean: float) -> tuple[list[int], list[int]]:
    return [int(x) for x in rng.gamma(2, 500, 900)], [int(x) for x in rng.gamma(2, mean / 2, 900)]


def test_means_are_those_of_statsmodels_one_sided_test() -> None:
    """At equal arms of many buyers the method is Welch's."""
    control, treatment = arms(np.random.default_rng(8), 980.0)
    statistics = [
        ArmStatistics.from_values(name, {"x": values}) for name, values in (("control", control), ("sms", treatment))
    ]
    found = mean_not_worse(*statistics, "x", margin=60.0)
    _, (_, lower, _), _ = ttost_ind(np.array(treatment), np.array(control), -60.0, 1e9, usevar="unequal")
    assert found.method == "Welch"
    assert found.p_value == pytest.approx(lower, rel=1e-9)
    assert found.shown == (found.limit > -60)


@given(st.integers(0, 2**32 - 1), st.floats(700, 1_300), st.floats(5, 300), st.integers(2, 50))
def test_another_currency_only_scales(seed: int, mean: float, margin: float, rate: int) -> None:
    control, treatment = (values[:60] for values in arms(np.random.default_rng(seed), mean))

    def judged(factor: int) -> tuple[float, float, bool]:
        one, other = (
            ArmStatistics.from_values("a", {"x": [v * factor for v in values]}) for values in (control, treatment)
        )
        found = mean_not_worse(one, other, "x", margin=margin * factor)
        return found.limit / factor, found.p_value, found.shown

    here, there = judged(1), judged(rate)
    assert there[:2] == pytest.approx(here[:2], rel=1e-6, abs=1e-9)


def test_what_cannot_be_judged_is_refused() -> None:
    one = Count(1, 10)
    for margin in (0.0, -0.1, 1.0, float("nan")):
        with pytest.raises(CampanileError, match="margin"):
            rate_not_worse(one, one, margin=margin, more_is_worse=True)
    for wrong in (Count(11, 10), Count(-1, 10), Count(0, 0)):
        with pytest.raises(CampanileError, match="customers responded"):
            rate_not_worse(wrong, one, margin=0.1, more_is_worse=True)
    with pytest.raises(CampanileError, match="a one-sided test"):
        rate_not_worse(one, one, margin=0.1, more_is_worse=True, alpha=0.5)
    same = ArmStatistics.from_values("a", {"x": [0, 0, 0]})
    with pytest.raises(CampanileError, match="x does not vary in either arm"):
        mean_not_worse(same, same, "x", margin=1.0)


@pytest.mark.statistical
@pytest.mark.parametrize(("n_control", "n_treatment"), [(2_000, 38_000), (10_000, 10_000)])
def test_a_change_that_is_worse_by_the_margin_passes_as_seldom_as_alpha(n_control: int, n_treatment: int) -> None:
    rng = np.random.default_rng([38, n_control])
    pairs = zip(rng.binomial(n_control, 0.005, 1_500), rng.binomial(n_treatment, 0.01, 1_500), strict=True)
    passed = sum(
        rate_not_worse(Count(int(a), n_control), Count(int(b), n_treatment), margin=0.005, more_is_worse=True).shown
        for a, b in pairs
    )
    assert 0.03 <= passed / 1_500 <= 0.07
