"""The effect on the delivered against two-stage least squares computed with matrices."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from campanile.errors import CampanileError
from campanile.measure import ArmStatistics, compare_adjusted, compare_amounts, delivered
from statistical.adjusted_worlds import Limits, arm_of, held

Rows = list[tuple[int, int]]
TREATED = st.lists(st.tuples(st.integers(0, 5_000), st.integers(0, 1)), min_size=4, max_size=60).filter(
    lambda rows: any(got for _, got in rows) and len({value for value, _ in rows}) > 1
)
CONTROL = st.lists(st.integers(0, 5_000).map(lambda value: (value, 0)), min_size=4, max_size=60).filter(
    lambda rows: len({value for value, _ in rows}) > 1
)


def arm(rows: Rows, name: str = "control") -> ArmStatistics:
    return ArmStatistics.from_values(name, {"revenue": [a for a, _ in rows], "got": [b for _, b in rows]})


def two_stage(control: Rows, treatment: Rows) -> tuple[float, float]:
    """The slope of two-stage least squares and its HC2 variance, from the matrices of the textbook."""
    table = np.array(control + treatment, float)
    outcome, got = table.T
    assigned = np.repeat([0.0, 1.0], [len(control), len(treatment)])
    ones = np.ones_like(assigned)
    instruments, regressors = np.column_stack([ones, assigned]), np.column_stack([ones, got])
    projection = instruments @ np.linalg.inv(instruments.T @ instruments) @ instruments.T
    first = projection @ regressors
    bread = np.linalg.inv(first.T @ first)
    beta = bread @ first.T @ outcome
    residual = outcome - regressors @ beta
    squared = residual**2 / (1 - np.diag(projection))
    return float(beta[1]), float((bread @ (first.T * squared) @ first @ bread)[1, 1])


@given(CONTROL, TREATED)
def test_it_is_robust_two_stage_least_squares(control: Rows, treatment: Rows) -> None:
    found = delivered(arm(control), arm(treatment, "sms"), "revenue", "got")
    effect, variance = two_stage(control, treatment)
    assert found.effect == pytest.approx(effect, rel=1e-6, abs=1e-6)
    assert found.variance == pytest.approx(variance, rel=1e-6, abs=1e-4)


def test_it_is_that_too_when_control_got_some() -> None:
    rng = np.random.default_rng(6)
    control = list(zip(map(int, rng.integers(0, 900, 80)), map(int, rng.random(80) < 0.1), strict=True))
    treatment = list(zip(map(int, rng.integers(200, 1_100, 300)), map(int, rng.random(300) < 0.9), strict=True))
    found = delivered(arm(control), arm(treatment, "sms"), "revenue", "got")
    assert (found.effect, found.variance) == pytest.approx(two_stage(control, treatment), rel=1e-9)


@given(CONTROL, TREATED)
def test_when_all_are_delivered_to_it_is_the_effect_of_assignment(control: Rows, treatment: Rows) -> None:
    one, other = arm(control), arm([(value, 1) for value, _ in treatment], "sms")
    found = compare_adjusted(one, other, "revenue", delivered(one, other, "revenue", "got").adjusted)
    # By moments: adjusted figures have no orders of their own that could be relabelled.
    plain = compare_amounts(replace(one, classes={}), replace(other, classes={}), "revenue")
    assert (found.difference, found.p_value) == pytest.approx((plain.difference, plain.p_value))
    assert (found.low, found.high) == pytest.approx((plain.low, plain.high))


@given(CONTROL, TREATED, st.integers(2, 300))
def test_another_currency_only_scales(control: Rows, treatment: Rows, rate: int) -> None:
    here = delivered(arm(control), arm(treatment), "revenue", "got")
    there = delivered(
        arm([(value * rate, got) for value, got in control]),
        arm([(value * rate, got) for value, got in treatment]),
        "revenue",
        "got",
    )
    assert there.effect == pytest.approx(here.effect * rate, abs=1e-6 * rate)
    assert there.variance == pytest.approx(here.variance * rate**2, rel=1e-6, abs=1e-4 * rate**2)


@given(CONTROL, TREATED, TREATED)
def test_parts_add_up_to_the_whole(control: Rows, one: Rows, other: Rows) -> None:
    parts = delivered(arm(control), arm(one) + arm(other), "revenue", "got")
    assert parts.variance == pytest.approx(delivered(arm(control), arm(one + other), "revenue", "got").variance)


def test_what_cannot_be_is_refused() -> None:
    control, treatment = arm([(1, 0), (2, 0), (5, 0)]), arm([(1, 1), (2, 1), (5, 0)], "sms")
    with pytest.raises(CampanileError, match="arm control was delivered to no more often than sms"):
        delivered(treatment, control, "revenue", "got")
    with pytest.raises(CampanileError, match="no product of revenue and got"):
        delivered(replace(control, products={}), treatment, "revenue", "got")
    with pytest.raises(CampanileError, match="9 of 3 customers of arm sms have got"):
        delivered(control, replace(treatment, sums={"revenue": 8, "got": 9}), "revenue", "got")


@pytest.mark.statistical
@pytest.mark.parametrize(("n_control", "n_treatment"), [(2_000, 38_000), (5_000, 5_000)])
def test_the_interval_holds_the_truth(n_control: int, n_treatment: int) -> None:
    """A fifth cannot be delivered to and buys half as often; of the others one point more buy once reached."""
    rng = np.random.default_rng([33, n_control])

    def draw(name: str, n: int, effect: float) -> ArmStatistics:
        reachable = rng.binomial(n, 0.8)
        buyers = rng.binomial(reachable, 0.025 + effect), rng.binomial(n - reachable, 0.0125)
        spent = [np.rint(rng.lognormal(np.log(5_000), 1, count)) for count in buyers]
        got = np.zeros(reachable + buyers[1])
        got[:reachable] = 1.0 if effect else 0.0
        revenue = np.concatenate([spent[0], np.zeros(reachable - buyers[0]), spent[1]])
        return arm_of(name, n, {"revenue": revenue, "got": got})

    def one() -> Limits:
        arms = draw("control", n_control, 0.0), draw("sms", n_treatment, 0.01)
        found = compare_adjusted(*arms, "revenue", delivered(*arms, "revenue", "got").adjusted)
        return found.low, found.high

    assert held(one, 0.01 * 5_000 * float(np.exp(0.5)), 1_500) >= 0.93
