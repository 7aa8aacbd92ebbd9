"""The test of one shape against scipy's tests of equal variance, and what is done where shapes differ."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import stats

from campanile.measure import ArmStatistics, compare_amounts
from campanile.measure.relabelled import Orders, orders_of
from campanile.measure.shape import DIFFERENT, shape_statistic
from campanile.measure.types import Aggregate, classes_of


def arm(name: str, n: int, amounts: NDArray[np.int64]) -> ArmStatistics:
    total, squares = int(amounts.sum()), float((amounts.astype(float) ** 2).sum())
    variance = (squares - total * total / n) / (n - 1)
    aggregate = Aggregate(total, variance, nonzero=len(amounts), classes=classes_of(amounts.tolist()))
    return ArmStatistics.from_aggregates(name, n, {"revenue": aggregate})


def drawn(seed: int, sigma: float, count: int) -> NDArray[np.int64]:
    values = np.random.default_rng(seed).lognormal(8.5, sigma, count)
    return np.rint(values).astype(np.int64)


def test_the_statistic_is_that_of_bartlett_where_logs_are_normal() -> None:
    """With normal logarithms the kurtosis is 3, and both tests ask for the ratio of variances."""
    first, second = drawn(1, 1.0, 4_000), drawn(2, 1.06, 4_000)
    found = shape_statistic(*(orders_of(arm("a", 50_000, part), "revenue") for part in (first, second)))
    bartlett = stats.bartlett(np.log(first), np.log(second)).statistic ** 0.5
    assert bartlett > 1, "or the ratio would say nothing"
    assert found == pytest.approx(bartlett, rel=0.05)


def test_equal_shapes_are_seldom_called_different_whatever_their_law() -> None:
    """Heavy-tailed logarithms (Laplace), for which a test that assumes normal ones would cry wolf."""
    rng = np.random.default_rng(3)
    alarms = wolf = 0
    for _ in range(400):
        parts = [
            np.maximum(np.rint(np.exp(12 + rng.laplace(0, 0.7, size))), 1).astype(np.int64) for size in (300, 1_200)
        ]
        orders = [orders_of(arm("a", 20_000, part), "revenue") for part in parts]
        alarms += shape_statistic(*orders) > DIFFERENT
        wolf += stats.bartlett(*map(np.log, parts)).pvalue < 0.001
    assert alarms <= 4
    assert wolf > 10


def test_larger_orders_of_one_shape_are_no_other_shape() -> None:
    amounts = drawn(4, 1.0, 800)
    orders = [orders_of(arm("a", 20_000, part), "revenue") for part in (amounts, 3 * amounts)]
    assert shape_statistic(*orders) == pytest.approx(0, abs=0.1)


def test_few_orders_say_nothing_of_shape() -> None:
    few = orders_of(arm("control", 500, drawn(5, 2.0, 9)), "revenue")
    many = orders_of(arm("sms", 20_000, drawn(6, 0.5, 900)), "revenue")
    nobody = Orders(500, 0.0, 0.0, np.array([]), np.array([]))
    assert shape_statistic(few, many) == 0
    assert shape_statistic(nobody, many) == 0


@pytest.mark.parametrize("sigmas", [(1.0, 1.5), (1.5, 1.0)])
def test_where_shapes_differ_the_orders_of_one_arm_are_no_witness_of_the_other(sigmas: tuple[float, float]) -> None:
    control, treatment = arm("control", 4_000, drawn(7, sigmas[0], 400)), arm("sms", 36_000, drawn(8, sigmas[1], 3_600))
    found = compare_amounts(control, treatment, "revenue")
    assert found.interval_method == "Welch, because the arms' orders differ in shape"
    alike = compare_amounts(control, arm("sms", 36_000, drawn(9, sigmas[0], 3_600)), "revenue")
    assert alike.interval_method == "relabelled orders"
