"""Rates against published tables, statsmodels and scipy."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from scipy import stats
from statsmodels.stats import proportion

from campanile.errors import CampanileError
from campanile.measure import (
    ArmStatistics,
    Count,
    compare_rates,
    fisher_p,
    newcombe,
    pooled_z,
    pooled_z_p,
    wilson,
)
from campanile.measure.rates import expected_least, rate_p


@st.composite
def counts(draw: st.DrawFn, most: int = 50_000) -> Count:
    n = draw(st.integers(1, most))
    return Count(draw(st.integers(0, n)), n)


@pytest.mark.parametrize(
    ("count", "published"),
    [
        ((81, 263), (0.2553, 0.3662)),
        ((15, 148), (0.0624, 0.1605)),
        ((0, 20), (0.0, 0.1611)),
        ((1, 29), (0.0061, 0.1718)),
    ],
)
def test_wilson_is_that_of_newcombe_1998(count: tuple[int, int], published: tuple[float, float]) -> None:
    """Newcombe (1998), Stat Med 17:857, table I, method 3."""
    assert wilson(Count(*count)) == pytest.approx(published, abs=5e-5)


@pytest.mark.parametrize(
    ("treatment", "control", "published"),
    [
        ((56, 70), (48, 80), (0.0524, 0.3339)),
        ((9, 10), (3, 10), (0.1705, 0.8090)),
        ((10, 10), (0, 20), (0.6791, 1.0)),
        ((0, 10), (0, 20), (-0.1611, 0.2775)),
        ((0, 10), (0, 10), (-0.2775, 0.2775)),
        ((10, 10), (0, 10), (0.6075, 1.0)),
    ],
)
def test_the_difference_is_that_of_newcombe_1998(
    treatment: tuple[int, int], control: tuple[int, int], published: tuple[float, float]
) -> None:
    """Newcombe (1998), Stat Med 17:873, table II, method 10."""
    assert newcombe(Count(*control), Count(*treatment)) == pytest.approx(published, abs=5e-5)


@given(counts(), counts(), st.sampled_from([0.01, 0.05, 0.1]))
def test_intervals_are_those_of_statsmodels(control: Count, treatment: Count, alpha: float) -> None:
    assert wilson(control, alpha=alpha) == pytest.approx(
        proportion.proportion_confint(control.responders, control.n, alpha=alpha, method="wilson"), abs=1e-9
    )
    low, high = proportion.confint_proportions_2indep(
        treatment.responders, treatment.n, control.responders, control.n, method="newcomb", alpha=alpha
    )
    assert newcombe(control, treatment, alpha=alpha) == pytest.approx((max(low, -1), min(high, 1)), abs=1e-9)


@given(counts(), counts())
def test_z_is_that_of_statsmodels(control: Count, treatment: Count) -> None:
    assume(0 < control.responders + treatment.responders < control.n + treatment.n)
    z, p = proportion.proportions_ztest(
        [treatment.responders, control.responders], [treatment.n, control.n], prop_var=False
    )
    assert pooled_z(control, treatment) == pytest.approx(z, rel=1e-9, abs=1e-12)
    assert pooled_z_p(control, treatment) == pytest.approx(p, rel=1e-8)


def test_a_tiny_p_value_does_not_vanish() -> None:
    assert 0 < pooled_z_p(Count(1000, 100_000), Count(2800, 100_000)) < 1e-180


def test_the_lady_tasting_tea() -> None:
    assert fisher_p(Count(1, 4), Count(3, 4)) == pytest.approx(0.4857, abs=5e-5)


@given(counts(400), counts(400))
def test_the_method_of_the_p_value_follows_the_expected_counts(control: Count, treatment: Count) -> None:
    table = [[arm.responders, arm.n - arm.responders] for arm in (control, treatment)]
    sums = sum(row[0] for row in table), sum(row[1] for row in table)
    if all(sums):
        assert expected_least(control, treatment) == pytest.approx(stats.contingency.expected_freq(table).min())
    else:
        assert expected_least(control, treatment) == 0
    p_value, method = rate_p(control, treatment)
    if expected_least(control, treatment) < 5:
        assert method == "Fisher exact"
        assert p_value == pytest.approx(stats.fisher_exact(np.array(table)).pvalue)
    else:
        assert method == "pooled z"
        assert p_value == pytest.approx(pooled_z_p(control, treatment))


@given(counts(), counts())
def test_changing_places_changes_the_sign(control: Count, treatment: Count) -> None:
    low, high = newcombe(control, treatment)
    assert newcombe(treatment, control) == pytest.approx((-high, -low), abs=1e-12)
    assert rate_p(treatment, control)[0] == pytest.approx(rate_p(control, treatment)[0], rel=1e-9)


@given(counts(), counts())
def test_the_difference_lies_in_its_interval_and_the_interval_in_what_is_possible(
    control: Count, treatment: Count
) -> None:
    low, high = newcombe(control, treatment)
    assert -1 <= low <= treatment.rate - control.rate + 1e-12
    assert treatment.rate - control.rate - 1e-12 <= high <= 1
    assert 0 <= wilson(control)[0] <= wilson(control)[1] <= 1


def test_an_empty_control_count_is_no_proof() -> None:
    """0 of 500 beside 40 of 9,500: the unpooled z would say p = 2e-10."""
    arms = [ArmStatistics.from_counts(*arm) for arm in [("control", 500, {"r": 0}), ("sms", 9500, {"r": 40})]]
    found = compare_rates(arms[0], arms[1], "r")
    assert found.low is not None
    assert found.p_value is not None
    assert found.low < 0 < found.difference
    assert found.p_value > 0.1
    assert found.p_method == "Fisher exact"
    assert (found.lift, found.lift_low, found.lift_high) == (None, None, None)


def test_nobody_responded_anywhere() -> None:
    arms = [ArmStatistics.from_counts(*arm) for arm in [("control", 500, {"r": 0}), ("sms", 9500, {"r": 0})]]
    found = compare_rates(arms[0], arms[1], "r")
    assert found.p_value == 1.0
    assert found.difference == 0.0
    assert found.low is not None
    assert found.low < 0
    assert math.isnan(pooled_z(Count(0, 500), Count(0, 9500)))


def test_a_unit_counted_twice_is_found() -> None:
    arms = [ArmStatistics.from_counts(*arm) for arm in [("control", 5, {"r": 6}), ("sms", 9, {"r": 1})]]
    with pytest.raises(CampanileError, match="6 responders among 5 customers"):
        compare_rates(arms[0], arms[1], "r")


def test_alpha_that_is_no_probability_is_refused() -> None:
    with pytest.raises(CampanileError, match="alpha is 5"):
        wilson(Count(1, 2), alpha=5)


@given(counts(), counts(), st.floats(0.001, 0.2))
def test_a_stricter_alpha_widens(control: Count, treatment: Count, alpha: float) -> None:
    low, high = newcombe(control, treatment, alpha=alpha)
    wider = newcombe(control, treatment, alpha=alpha / 2)
    assert wider[0] <= low + 1e-12
    assert high <= wider[1] + 1e-12
