"""Power for money: statsmodels and R where the formula is theirs, the readout's own test by simulation."""

from __future__ import annotations

from math import sqrt

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from statsmodels.stats.power import NormalIndPower, TTestIndPower

from campanile.design import Spend, amount_power, amount_sizes, needed_sizes, power_at, smallest_amount
from campanile.measure import compare_amounts
from statistical.money_coverage import Setting, arms

PLAIN = Spend(10.0, 400.0, grows=False)
SPENDS = st.builds(Spend, st.floats(0.1, 100), st.floats(1, 1e5), st.booleans())
SIZES = st.integers(100, 500_000)


@pytest.mark.parametrize(("control", "treatment"), [(5_000, 5_000), (1_000, 19_000), (40_000, 10_000)])
@pytest.mark.parametrize("difference", [0.3, 1.0, -0.8])
@pytest.mark.parametrize("alpha", [0.05, 0.01])
def test_with_one_variance_it_is_statsmodels_power(
    control: int, treatment: int, difference: float, alpha: float
) -> None:
    size, ratio = abs(difference) / 20, treatment / control
    normal = NormalIndPower().power(size, control, alpha / 2, ratio=ratio, alternative="larger")
    student = TTestIndPower().power(size, control, alpha / 2, ratio=ratio, alternative="larger")
    found = amount_power(control, treatment, PLAIN, difference, alpha=alpha)
    assert found == pytest.approx(normal, rel=1e-9)
    assert found == pytest.approx(student, abs=2e-3)


def test_rs_published_figures() -> None:
    """help(power.prop.test) and help(power.t.test). Its t test knows no variance; at 20 an arm that is two points."""
    assert power_at(50, 50, 0.5, 0.75) == pytest.approx(0.740, abs=5e-4)
    assert needed_sizes(0.5, 0.75, power=0.9).control == 77  # 76.7
    unit = Spend(1.0, 1.0, grows=False)
    assert 0.8689528 < amount_power(20, 20, unit, 1.0) < 0.8689528 + 0.02
    assert amount_sizes(unit, 1.0, power=0.9).control == pytest.approx(22.02110, abs=1.1)


@given(SIZES, SIZES, SPENDS, st.sampled_from([0.01, 0.05]), st.sampled_from([0.5, 0.8, 0.95]))
def test_power_lift_and_sizes_agree(control: int, treatment: int, spend: Spend, alpha: float, power: float) -> None:
    lift = smallest_amount(control, treatment, spend, alpha=alpha, power=power)
    assert amount_power(control, treatment, spend, lift.absolute, alpha=alpha) == pytest.approx(power, abs=1e-6)
    assert lift.relative == pytest.approx(lift.absolute / spend.mean)
    sizes = amount_sizes(spend, lift.absolute, alpha=alpha, power=power, ratio=treatment / control)
    assert sizes.control == pytest.approx(control, rel=1e-4, abs=1)
    assert sizes.treatment == pytest.approx(treatment, rel=1e-4, abs=1 + treatment / control)


@given(SIZES, SIZES, SPENDS, st.floats(0.01, 1000))
def test_another_currency_only_scales(control: int, treatment: int, spend: Spend, rate: float) -> None:
    other = Spend(spend.mean * rate, spend.variance * rate**2, spend.grows)
    here, there = smallest_amount(control, treatment, spend), smallest_amount(control, treatment, other)
    assert there.absolute == pytest.approx(here.absolute * rate, rel=1e-9)
    assert there.relative == pytest.approx(here.relative, rel=1e-9)


@given(SIZES, SPENDS)
def test_more_customers_show_less(size: int, spend: Spend) -> None:
    assert smallest_amount(2 * size, size, spend).absolute < smallest_amount(size, size, spend).absolute


def test_hillstroms_spend_shows_48_per_cent() -> None:
    """reference/statistics.md: 42.6 thousand customers in halves, spend with a coefficient of variation near 17.7."""
    spend = Spend(0.652789, 11.588**2, grows=False)
    assert smallest_amount(21_306, 21_307, spend).relative == pytest.approx(0.48, abs=0.005)


def test_history_that_says_nothing_is_refused() -> None:
    for spend in (Spend(0.0, 1.0), Spend(1.0, 0.0), Spend(-1.0, 2.0), Spend(1.0, float("inf"))):
        with pytest.raises(ValueError, match="says nothing of money"):
            smallest_amount(100, 100, spend)
    for sizes in ((0, 10), (10, -1)):
        with pytest.raises(ValueError, match="show nothing"):
            amount_power(*sizes, PLAIN, 1.0)
    for power in (0.01, 1.0):
        with pytest.raises(ValueError, match="power is"):
            smallest_amount(10, 10, PLAIN, power=power)
    with pytest.raises(ValueError, match="alpha is 1"):
        amount_power(10, 10, PLAIN, 1.0, alpha=1.0)
    with pytest.raises(ValueError, match="difference of nothing"):
        amount_sizes(PLAIN, 0.0)
    with pytest.raises(ValueError, match="the ratio of the arms is 0"):
        amount_sizes(PLAIN, 1.0, ratio=0.0)
    with pytest.raises(ValueError, match="a mean of 2 cannot fall by 3"):
        amount_power(10, 10, Spend(2.0, 1.0), -3.0)


@pytest.mark.statistical
@pytest.mark.parametrize(("n_control", "n_treatment"), [(40_000, 40_000), (10_000, 190_000)])
def test_the_readouts_test_finds_the_smallest_lift_as_often_as_planned(n_control: int, n_treatment: int) -> None:
    sigma, buyers, order, tried = 1.0, 0.02, 5_000.0, 1_000
    mean = buyers * order * float(np.exp(sigma**2 / 2))
    spend = Spend(mean, buyers * order**2 * float(np.exp(2 * sigma**2)) - mean**2)
    lift = smallest_amount(n_control, n_treatment, spend).relative
    pairs = arms(Setting(n_control, n_treatment, sigma, lift, buyers=buyers), tried, seed=39)
    p_values = [compare_amounts(one, other, "revenue").p_value for one, other in pairs]
    found = np.mean([p is not None and p < 0.05 for p in p_values])
    assert found == pytest.approx(0.80, abs=4 * sqrt(0.16 / tried))
