"""The method follows what the data are; the profit follows the revenue."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, replace

import numpy as np
import pytest

from campanile.errors import CampanileError
from campanile.measure import (
    Adjusted,
    ArmStatistics,
    Moments,
    Profit,
    compare,
    compare_adjusted,
    compare_amounts,
    compare_profit,
    pooled_interval,
    scaled,
    score_interval,
    shift,
    welch_p,
)
from campanile.measure.compare import amount_method
from campanile.measure.counts import moments_of


def arm(name: str, n: int, *, buyers: int, negative: int = 0, seed: int = 1) -> ArmStatistics:
    rng = np.random.default_rng([seed, n, buyers])
    spent = np.zeros(n, dtype=int)
    spent[:buyers] = np.rint(rng.lognormal(9, 1, buyers)).astype(int) + 1
    spent[:negative] *= -1
    return ArmStatistics.from_values(name, {"revenue": [int(value) for value in spent]})


def bare(arm: ArmStatistics) -> ArmStatistics:
    """The arm without its classes of amount: a mean and a variance."""
    return replace(arm, classes={})


@pytest.mark.parametrize(
    ("control", "treatment", "interval", "p_value"),
    [
        ((900, 420), (1100, 500), "Welch", "Welch t"),
        ((900, 399), (1100, 500), "quasi-Poisson score", "pooled-variance t"),
        ((900, 420), (1200, 900), "quasi-Poisson score", "pooled-variance t"),
        ((1200, 900), (900, 420), "quasi-Poisson score", "pooled-variance t"),
        ((900, 420), (900, 399), "quasi-Poisson score", "pooled-variance t"),
        ((500, 0), (9500, 90), "quasi-Poisson score", "pooled-variance t"),
    ],
)
def test_welch_needs_two_large_arms_with_many_buyers(
    control: tuple[int, int], treatment: tuple[int, int], interval: str, p_value: str
) -> None:
    found = compare_amounts(
        bare(arm("control", control[0], buyers=control[1])),
        bare(arm("sms", treatment[0], buyers=treatment[1])),
        "revenue",
    )
    assert (found.interval_method, found.p_method) == (interval, p_value)
    assert (found.buyers_control, found.buyers_treatment) == (control[1], treatment[1])
    assert (found.n_control, found.n_treatment) == (control[0], treatment[0])


def test_the_named_method_is_the_one_used() -> None:
    small, large = bare(arm("control", 1000, buyers=40)), bare(arm("sms", 9000, buyers=500))
    found = compare_amounts(small, large, "revenue", alpha=0.1)
    first, second = moments_of(small, "revenue"), moments_of(large, "revenue")
    assert (found.low, found.high) == score_interval(first, second, alpha=0.1)
    even, other = bare(arm("control", 5000, buyers=500)), bare(arm("sms", 5000, buyers=600))
    assert compare_amounts(even, other, "revenue").p_value == welch_p(
        moments_of(even, "revenue"), moments_of(other, "revenue")
    )


@pytest.mark.parametrize(("negative", "falls_back"), [(1, False), (9, False), (30, True)])
def test_many_values_below_zero_call_for_pooled_variance(negative: int, falls_back: bool) -> None:
    """A few returns leave variance growing with the mean; many do not, and the readout says so."""
    control, treatment = arm("control", 1000, buyers=40), arm("sms", 9000, buyers=100, negative=negative)
    found = compare_amounts(control, treatment, "revenue")
    assert ("values below zero" in found.interval_method) == falls_back
    if falls_back:
        first, second = moments_of(control, "revenue"), moments_of(treatment, "revenue")
        assert (found.low, found.high) == pooled_interval(first, second)


def test_an_arm_that_returned_more_than_it_bought_is_compared_all_the_same() -> None:
    returned = ArmStatistics.from_values("control", {"revenue": [0] * 90 + [100] * 9 + [-5000]})
    found = compare_amounts(returned, arm("sms", 900, buyers=90), "revenue")
    assert "values below zero" in found.interval_method
    assert found.low is not None
    assert found.low < found.difference
    assert (found.lift, found.lift_low) == (None, None)


@pytest.mark.parametrize(("one", "other"), [([0] * 50, [0] * 900), ([7] * 50, [7] * 900), ([0], [5])])
def test_values_that_do_not_vary_prove_nothing(one: Sequence[int], other: Sequence[int]) -> None:
    arms = [ArmStatistics.from_values(name, {"x": values}) for name, values in (("control", one), ("sms", other))]
    found = compare(arms[0], arms[1], "x", kind="money")
    assert found.difference == other[0] - one[0]
    assert (found.low, found.high, found.p_value, found.lift_low) == (None, None, None, None)
    assert found.interval_method.startswith("withheld")
    assert compare_profit(arms[0], arms[1], Profit("x", 0.4, 1.0)).p_value is None


def test_an_empty_arm_is_said() -> None:
    nobody = ArmStatistics.from_counts("control", 0, {"r": 0})
    for kind in ("rate", "money"):
        with pytest.raises(CampanileError, match="arm control has 0 customers"):
            compare(nobody, ArmStatistics.from_counts("sms", 5, {"r": 1}), "r", kind=kind)


def test_profit_is_margin_minus_a_known_cost() -> None:
    control, treatment = arm("control", 2000, buyers=40), arm("sms", 18_000, buyers=450)
    revenue = compare_amounts(control, treatment, "revenue")
    found = compare_profit(control, treatment, Profit("revenue", margin_rate=0.4, contact=5.0))
    assert revenue.low is not None
    assert revenue.high is not None
    assert found.metric == "profit_per_customer"
    assert found.difference == pytest.approx(0.4 * revenue.difference - 5)
    assert (found.low, found.high) == pytest.approx((0.4 * revenue.low - 5, 0.4 * revenue.high - 5))
    assert found.mean_treatment - found.mean_control == pytest.approx(found.difference)
    assert (found.lift, found.lift_low, found.lift_high, found.p_adjusted) == (None, None, None, None)


@pytest.mark.parametrize(("n_control", "n_treatment"), [(2000, 18_000), (10_000, 10_000)])
def test_the_profit_p_value_agrees_with_its_interval_at_every_cost(n_control: int, n_treatment: int) -> None:
    control, treatment = (
        arm("control", n_control, buyers=n_control // 20),
        arm("sms", n_treatment, buyers=n_treatment // 15),
    )
    seen = set()
    for contact in range(0, 500, 5):
        found = compare_profit(control, treatment, Profit("revenue", margin_rate=0.4, contact=contact))
        assert found.low is not None
        assert found.high is not None
        assert found.p_value is not None
        assert (found.low > 0 or found.high < 0) == (found.p_value < 0.05)
        seen.add(found.p_value < 0.05)
    assert seen == {True, False}


def test_shift_asks_another_question_so_it_has_no_p_value() -> None:
    revenue = compare_amounts(arm("control", 2000, buyers=40), arm("sms", 18_000, buyers=450), "revenue")
    moved = shift(revenue, -3, "profit_per_customer")
    assert moved.difference == revenue.difference - 3
    assert moved.p_value is None


def test_scaling_keeps_p_and_lift_and_a_factor_of_zero_is_refused() -> None:
    revenue = compare_amounts(arm("control", 2000, buyers=40), arm("sms", 18_000, buyers=450), "revenue")
    major = scaled(revenue, 0.01, "revenue")
    assert major.low == pytest.approx((revenue.low or 0) / 100)
    assert (major.p_value, major.lift, major.lift_low) == (revenue.p_value, revenue.lift, revenue.lift_low)
    with pytest.raises(CampanileError, match="the factor of margin is 0"):
        scaled(revenue, 0, "margin")


def test_parts_and_row_order_do_not_change_a_comparison() -> None:
    rng = np.random.default_rng(4)
    arms = {}
    for name, n in (("control", 800), ("sms", 7200)):
        spent = [int(value) for value in np.rint(rng.lognormal(8, 1, n)) * (rng.random(n) < 0.05)]
        mixed = [spent[index] for index in rng.permutation(n)]
        parts = [ArmStatistics.from_values(name, {"x": mixed[start : start + 500]}) for start in range(0, n, 500)]
        whole = parts[0]
        for part in parts[1:]:
            whole = whole + part
        arms[name] = (ArmStatistics.from_values(name, {"x": spent}), whole)
    once, merged = (asdict(compare_amounts(arms["control"][i], arms["sms"][i], "x")) for i in (0, 1))
    for key, value in once.items():
        assert merged[key] == (pytest.approx(value, rel=1e-9) if isinstance(value, float) else value)


def test_a_comparison_has_the_keys_of_the_contract() -> None:
    keys = (
        "metric kind treatment control cut level difference low high p_value p_adjusted lift lift_low lift_high "
        "interval_method p_method n_treatment n_control"
    )
    arms = [ArmStatistics.from_counts(*part) for part in [("control", 200, {"r": 4}), ("sms", 800, {"r": 26})]]
    assert set(keys.split()) <= set(asdict(compare(arms[0], arms[1], "r", kind="rate")))


@pytest.mark.parametrize(
    ("control", "treatment", "method"),
    [(30_000, 70_000, "quasi-Poisson score"), (44_000, 56_000, "quasi-Poisson score"), (45_000, 55_000, "Welch")],
)
def test_welch_is_for_arms_of_nearly_equal_size(control: int, treatment: int, method: str) -> None:
    arms = [
        ArmStatistics(name, n, {"x": n}, {"x": 9.0 * n}, nonzero={"x": n // 50})
        for name, n in (("control", control), ("sms", treatment))
    ]
    assert amount_method(*arms, "x").interval_name == method


def test_an_adjusted_mean_below_zero_takes_the_pooled_variance() -> None:
    arms = [ArmStatistics.from_values(name, {"revenue": [0] * 95 + [100] * 5}) for name in ("control", "sms")]
    below = Adjusted(Moments(100, -0.5, 240.0), Moments(100, 6.0, 240.0), by="CUPED")
    found = compare_adjusted(*arms, "revenue", below)
    assert found.interval_method.startswith("pooled variance")
    assert found.lift is None
    assert found.lift_low is None


def test_an_adjustment_that_leaves_no_variance_is_withheld() -> None:
    arms = [ArmStatistics.from_values(name, {"revenue": [0] * 95 + [100] * 5}) for name in ("control", "sms")]
    found = compare_adjusted(*arms, "revenue", Adjusted(Moments(100, 5.0, 0.0), Moments(100, 6.0, 0.0), by="CUPED"))
    assert found.difference == 1.0
    assert (found.low, found.high, found.p_value) == (None, None, None)


def test_an_adjustment_never_makes_the_method_bolder() -> None:
    """Few buyers take the score interval, whatever the adjusted figures look like."""
    arms = [ArmStatistics.from_values(name, {"revenue": [0] * 95 + [100] * 5}) for name in ("control", "sms")]
    found = compare_adjusted(*arms, "revenue", Adjusted(Moments(100, 5.0, 9.0), Moments(100, 6.0, 9.0), by="CUPED"))
    assert (found.interval_method, found.p_method) == ("quasi-Poisson score, CUPED", "pooled-variance t, CUPED")


def test_a_ratio_needs_two_metrics() -> None:
    arm = ArmStatistics.from_values("control", {"order_value": [1, 2, 3]})
    with pytest.raises(ValueError, match="give its numerator and denominator to compare_ratio"):
        compare(arm, arm, "order_value", kind="ratio")
