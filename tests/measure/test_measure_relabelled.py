"""Relabelled orders against what nobody here computed: enumeration, and scipy's permutation test of whole customers."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy import stats

from campanile.measure import ArmStatistics, compare_amounts
from campanile.measure.compare import amount_method
from campanile.measure.relabelled import (
    Orders,
    orders_of,
    relabelled_interval,
    relabelled_lift,
    relabelled_lift_p,
    relabelled_p,
)

Customers = NDArray[np.int64]


def customers(n: int, buyers: int, *, sigma: float = 1.5, larger: float = 1.0, seed: int = 1) -> Customers:
    rng = np.random.default_rng([seed, n, buyers])
    spent = np.zeros(n, dtype=np.int64)
    spent[:buyers] = np.rint(5000 * larger * rng.lognormal(0, sigma, buyers)) + 1
    return spent


def orders(spent: Customers) -> Orders:
    """Every order by itself, so that nothing is lost in classes."""
    bought = spent[spent != 0].astype(float)
    return Orders(len(spent), float(bought.sum()), float((bought**2).sum()), bought, np.ones(len(bought)))


def arm(name: str, spent: Customers) -> ArmStatistics:
    return ArmStatistics.from_values(name, {"revenue": spent.tolist()})


@pytest.mark.parametrize(
    ("control", "treatment"),
    [
        (customers(200, 6), customers(3800, 140)),
        (customers(200, 3), customers(3800, 140, seed=3)),
        (customers(400, 30, sigma=1.0), customers(3600, 160, sigma=1.0)),
        (customers(2000, 50), customers(2000, 54, seed=2)),
        (customers(2000, 60, seed=4), customers(2000, 57, sigma=1.0, seed=4)),
    ],
)
def test_no_difference_has_the_p_value_of_scipys_permutation_test(control: Customers, treatment: Customers) -> None:
    """Whole customers change arms there, so it knows nothing of buyers or saddle points.

    It is the same question as long as both arms have about as many buyers: where they do not, equal means ask for
    orders of unequal size, and customers of the two arms cannot change places as they are.
    """
    known = stats.permutation_test(
        (treatment, control),
        lambda x, y, axis: x.mean(axis=axis) - y.mean(axis=axis),
        vectorized=True,
        n_resamples=10_000,
        batch=500,
        rng=np.random.default_rng(1),
    )
    assert relabelled_p(orders(control), orders(treatment)) == pytest.approx(known.pvalue, rel=0.12, abs=0.01)


def test_the_chance_is_that_of_all_relabellings_counted_out() -> None:
    """Fifteen buyers among many customers: all 32,768 ways in which they could have fallen to the arms."""
    control, treatment = customers(4000, 5, sigma=0.6), customers(8000, 10, sigma=0.6, seed=5)
    bought = np.concatenate((control[control > 0], treatment[treatment > 0])).astype(float)
    labels = np.array(list(product((0, 1), repeat=len(bought))), dtype=float)
    share = len(control) / (len(control) + len(treatment))
    chances = share ** labels.sum(axis=1) * (1 - share) ** (len(bought) - labels.sum(axis=1))
    sums = labels @ bought
    low = float(chances[sums < control.sum()].sum() + chances[sums == control.sum()].sum() / 2)
    assert relabelled_p(orders(control), orders(treatment)) == pytest.approx(2 * min(low, 1 - low), rel=0.08)


def test_orders_of_one_amount_make_it_a_test_of_rates() -> None:
    """Then only the number of buyers tells, and Fisher's test with half of the observed table is the chance."""
    few, many = customers(1000, 4, sigma=0.0), customers(9000, 90, sigma=0.0)
    law = stats.hypergeom(10_000, 94, 1000)
    known = 2 * (law.cdf(3) + law.pmf(4) / 2)
    assert relabelled_p(orders(few), orders(many)) == pytest.approx(known, rel=0.1)


def test_nobody_bought_in_control() -> None:
    nobody, some = orders(customers(500, 0)), orders(customers(9500, 60))
    assert relabelled_p(nobody, some) == pytest.approx(2 * 0.95**60, rel=1e-6)
    low, high = relabelled_interval(nobody, some)
    assert low < 0 < some.mean < high
    assert relabelled_lift(nobody, some) == (None, None)
    assert relabelled_interval(some, nobody) == pytest.approx((-high, -low), rel=1e-6)


def test_many_orders_bring_it_to_student() -> None:
    """With twenty thousand buyers in either arm nothing is left of the few large orders."""
    control, treatment = (customers(200_000, 20_000 + more, sigma=0.5, seed=more) for more in (0, 300))
    found = relabelled_interval(orders(control), orders(treatment))
    known = stats.ttest_ind(treatment, control, equal_var=False).confidence_interval()
    assert found == pytest.approx((known.low, known.high), abs=0.01 * (known.high - known.low))
    assert relabelled_p(orders(control), orders(treatment)) == pytest.approx(
        stats.ttest_ind(treatment, control).pvalue, rel=0.03
    )


SIZES = st.tuples(st.integers(150, 3000), st.integers(150, 20_000))


@settings(max_examples=60, deadline=None)
@given(SIZES, st.integers(2, 60), st.integers(2, 140), st.sampled_from([0.3, 1.0, 1.5]), st.floats(0.5, 2.0))
def test_p_interval_and_lift_agree(sizes: tuple[int, int], few: int, many: int, sigma: float, larger: float) -> None:
    control = orders(customers(sizes[0], few, sigma=sigma))
    treatment = orders(customers(sizes[1], many, sigma=sigma, larger=larger, seed=2))
    low, high = relabelled_interval(control, treatment)
    lift_low, lift_high = relabelled_lift(control, treatment)
    assert lift_low is not None
    assert lift_high is not None
    assert low < treatment.mean - control.mean < high
    assert lift_low < treatment.mean / control.mean - 1 < lift_high
    p_value = relabelled_p(control, treatment)
    assert relabelled_lift_p(control, treatment) == pytest.approx(p_value, rel=1e-6)
    if abs(p_value - 0.05) > 1e-9:
        assert (low > 0 or high < 0) == (p_value < 0.05) == (lift_low > 0 or lift_high < 0)
    for limit in (lift_low, lift_high):
        assert relabelled_lift_p(control, treatment, lift=limit) == pytest.approx(0.05, rel=1e-6)
    for limit in (low, high):
        assert relabelled_p(control, treatment, difference=limit) == pytest.approx(0.05, rel=1e-6)


def test_turned_arms_turn_the_interval_and_another_currency_scales_it() -> None:
    control, treatment = customers(1000, 12), customers(19_000, 260, seed=2)
    low, high = relabelled_interval(orders(control), orders(treatment))
    assert relabelled_interval(orders(treatment), orders(control)) == pytest.approx((-high, -low), rel=1e-6)
    assert relabelled_interval(orders(control * 700), orders(treatment * 700)) == pytest.approx(
        (700 * low, 700 * high), rel=1e-6
    )
    assert relabelled_p(orders(control * 700), orders(treatment * 700)) == pytest.approx(
        relabelled_p(orders(control), orders(treatment)), rel=1e-6
    )


def test_classes_lose_next_to_nothing() -> None:
    control, treatment = customers(1000, 30), customers(19_000, 700, seed=2)
    exact = relabelled_interval(orders(control), orders(treatment))
    classed = relabelled_interval(*(orders_of(arm("x", spent), "revenue") for spent in (control, treatment)))
    assert classed == pytest.approx(exact, abs=0.005 * (exact[1] - exact[0]))


@pytest.mark.parametrize("returned", [0, 5])
def test_it_is_named_and_used(returned: int) -> None:
    """Beside a small control, also with some values below zero."""
    treatment = customers(19_000, 260, seed=2)
    treatment[:returned] *= -1
    arms = arm("control", customers(1000, 12)), arm("sms", treatment)
    found = compare_amounts(*arms, "revenue")
    assert (found.interval_method, found.p_method) == ("relabelled orders", "relabelled orders")
    assert (found.low, found.high) == relabelled_interval(*(orders_of(each, "revenue") for each in arms))


def test_without_classes_or_with_a_few_buyers_short_of_all_moments_have_to_do() -> None:
    few, many = arm("control", customers(1000, 40)), arm("sms", customers(9000, 400, seed=2))
    bare = [ArmStatistics(each.arm, each.n, each.sums, each.squares, nonzero=each.nonzero) for each in (few, many)]
    assert amount_method(*bare, "revenue").interval_name == "quasi-Poisson score"
    most = [arm(name, customers(n, n * 6 // 10)) for name, n in (("control", 500), ("sms", 4500))]
    assert amount_method(*most, "revenue").interval_name == "quasi-Poisson score"
    even = [arm(name, customers(20_000, 4_000, sigma=0.3, seed=n)) for n, name in enumerate(("control", "sms"))]
    assert amount_method(*even, "revenue").interval_name == "Welch"
