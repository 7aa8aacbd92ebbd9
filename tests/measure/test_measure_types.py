"""Sufficient statistics: parts add up to the whole, whatever the parts and their order."""

from __future__ import annotations

import random
from dataclasses import replace
from decimal import Decimal
from functools import reduce
from operator import add

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from campanile.errors import CampanileError
from campanile.measure import Aggregate, ArmStatistics, merged, pair

AMOUNTS = st.lists(st.tuples(st.integers(-500, 10**9), st.integers(0, 50)), min_size=2, max_size=60)


def of(rows: list[tuple[int, int]], arm: str = "control") -> ArmStatistics:
    return ArmStatistics.from_values(arm, {"revenue": [a for a, _ in rows], "orders": [b for _, b in rows]})


def assert_same(one: ArmStatistics, other: ArmStatistics) -> None:
    assert (one.arm, one.n) == (other.arm, other.n)
    assert one.sums == other.sums
    assert one.nonzero == other.nonzero
    assert one.negative == other.negative
    assert one.classes == other.classes
    scale = {name: max(1.0, one.squares[name]) for name in one.squares}
    for name, value in one.squares.items():
        assert other.squares[name] == pytest.approx(value, abs=1e-9 * scale[name])
    for (a, b), value in one.products.items():
        assert other.products[(a, b)] == pytest.approx(value, abs=1e-9 * (scale[a] * scale[b]) ** 0.5)


@given(AMOUNTS, st.integers(1, 5), st.randoms(use_true_random=False))
def test_parts_in_any_order_add_up_to_the_whole(rows: list[tuple[int, int]], parts: int, rng: random.Random) -> None:
    shuffled = rows[:]
    rng.shuffle(shuffled)
    split = [shuffled[start::parts] for start in range(parts) if shuffled[start::parts]]
    assert_same(of(rows), reduce(add, [of(part) for part in split]))


@given(AMOUNTS, AMOUNTS, AMOUNTS)
def test_adding_is_associative_and_commutative(
    a: list[tuple[int, int]], b: list[tuple[int, int]], c: list[tuple[int, int]]
) -> None:
    first, second, third = of(a), of(b), of(c)
    assert_same((first + second) + third, first + (second + third))
    assert_same(first + second, second + first)


def test_a_metric_keeps_its_classes_only_when_every_part_has_them() -> None:
    classed = ArmStatistics.from_values("a", {"x": [0, 7, 7]})
    assert (classed + classed).classes == {"x": {45: (4, 28)}}
    assert (classed + ArmStatistics("a", 1, {"x": 3}, {"x": 0.0}, nonzero={"x": 1}, negative={"x": 0})).classes == {}


def test_moments_are_those_of_numpy() -> None:
    rng = np.random.default_rng(5)
    revenue = [int(value) for value in rng.integers(0, 90_000, 500)]
    orders = [int(value) for value in rng.integers(0, 4, 500)]
    arm = of(list(zip(revenue, orders, strict=True)))
    assert arm.mean("revenue") == pytest.approx(np.mean(revenue))
    assert arm.variance("revenue") == pytest.approx(np.var(revenue, ddof=1))
    assert arm.covariance("orders", "revenue") == pytest.approx(np.cov(revenue, orders)[0, 1])
    assert arm.covariance("revenue", "orders") == arm.covariance("orders", "revenue")


def test_a_small_variance_far_from_zero_survives_merging() -> None:
    """The sum of squares minus the square of the sum would give nonsense here."""
    far = 10**12
    values = [far + step for step in (-7, -1, 0, 1, 7)]
    whole = ArmStatistics.from_values("control", {"x": values[:2]}) + ArmStatistics.from_values(
        "control", {"x": values[2:]}
    )
    assert whole.variance("x") == pytest.approx(25.0)


def test_sums_stay_exact_beyond_what_a_float_holds() -> None:
    big = 2**53
    arm = ArmStatistics.from_values("a", {"x": [big, 1]}) + ArmStatistics.from_values("a", {"x": [1, 1]})
    assert arm.sums["x"] == big + 3


def test_aggregates_of_the_engine_give_what_the_values_give() -> None:
    rows = [(0, 0), (1250, 1), (-300, 0), (99, 2)]
    revenue, orders = zip(*rows, strict=True)
    built = ArmStatistics.from_aggregates(
        "control",
        4,
        {
            "revenue": Aggregate(Decimal(sum(revenue)), float(np.var(revenue, ddof=1)), nonzero=3, negative=1),
            "orders": Aggregate(sum(orders), Decimal(str(np.var(orders, ddof=1))), nonzero=2),
        },
        {("revenue", "orders"): float(np.cov(revenue, orders)[0, 1])},
    )
    assert_same(replace(of(rows), classes={}), built)


@pytest.mark.parametrize("missing", [None, float("nan")])
def test_one_customer_and_no_customer_have_no_spread_yet_can_be_added(missing: float | None) -> None:
    one = ArmStatistics.from_aggregates("a", 1, {"x": Aggregate(7, missing, nonzero=1)}, {("x", "x"): missing})
    none = ArmStatistics.from_aggregates("a", 0, {"x": Aggregate(None, missing, nonzero=0)}, {("x", "x"): missing})
    both = one + none + one
    assert (both.n, both.sums["x"], both.squares["x"]) == (2, 14, 0.0)
    with pytest.raises(CampanileError, match="arm a has 0 customers"):
        none.mean("x")
    with pytest.raises(CampanileError, match="at least 2 are needed"):
        one.variance("x")


def test_counts_give_the_variance_of_zeros_and_ones() -> None:
    arm = ArmStatistics.from_counts("control", 50, {"response_rate": 7})
    assert arm.variance("response_rate") == pytest.approx(np.var([1] * 7 + [0] * 43, ddof=1))


def test_money_that_is_not_in_minor_units_is_refused() -> None:
    with pytest.raises(CampanileError, match="count money in minor units"):
        ArmStatistics.from_aggregates("control", 2, {"revenue": Aggregate(12.5, 1.0, nonzero=1)})


def test_different_arms_or_metrics_are_never_added() -> None:
    arm = ArmStatistics.from_counts("control", 10, {"response_rate": 1})
    with pytest.raises(ValueError, match="cannot be added"):
        arm + ArmStatistics.from_counts("sms", 10, {"response_rate": 1})
    with pytest.raises(ValueError, match="cannot be added"):
        arm + ArmStatistics.from_counts("control", 10, {"opt_out_rate": 1})


def test_merging_strata_keeps_arms_apart() -> None:
    parts = [ArmStatistics.from_counts(arm, n, {"r": 1}) for arm, n in [("control", 5), ("sms", 20), ("control", 7)]]
    arms = merged(parts)
    assert {name: (arm.n, arm.sums["r"]) for name, arm in arms.items()} == {"control": (12, 2), "sms": (20, 1)}


def test_a_pair_has_one_name() -> None:
    assert pair("b", "a") == pair("a", "b") == ("a", "b")
