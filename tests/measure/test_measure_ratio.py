"""Ratios of two amounts against statsmodels' weighted regression, whose robust variance is the delta method's."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import statsmodels.api as sm
from hypothesis import given
from hypothesis import strategies as st

from campanile.errors import CampanileError
from campanile.measure import ArmStatistics, Ratio, compare_ratio, ratio_estimate
from statistical.adjusted_worlds import arm_of, held

ORDER_VALUE = Ratio("order_value", "revenue", "orders")
CUSTOMERS = st.lists(
    st.one_of(st.just((0, 0)), st.integers(1, 5).flatmap(lambda n: st.tuples(st.integers(1, 90_000), st.just(n)))),
    min_size=4,
    max_size=80,
).filter(lambda rows: sum(orders > 0 for _, orders in rows) > 1)


def arm(rows: list[tuple[int, int]], name: str = "control") -> ArmStatistics:
    return ArmStatistics.from_values(name, {"revenue": [a for a, _ in rows], "orders": [b for _, b in rows]})


@given(CUSTOMERS)
def test_the_ratio_is_that_of_a_regression_through_zero(rows: list[tuple[int, int]]) -> None:
    """With weights 1/orders its slope is sum over sum, and its sandwich variance the delta method's (divisor n)."""
    revenue, orders = (np.array(column, float) for column in zip(*[row for row in rows if row[1]], strict=True))
    theirs = sm.WLS(revenue, orders, weights=1 / orders).fit(cov_type="HC0")
    found = ratio_estimate(arm(rows), ORDER_VALUE)
    n = len(rows)
    assert found.mean == pytest.approx(theirs.params[0])
    assert found.variance == pytest.approx(theirs.cov_params()[0][0] * n / (n - 1), rel=1e-6, abs=1e-9 * found.mean**2)


@given(CUSTOMERS, CUSTOMERS)
def test_changing_places_changes_the_sign(one: list[tuple[int, int]], other: list[tuple[int, int]]) -> None:
    there = compare_ratio(arm(one), arm(other, "sms"), ORDER_VALUE)
    back = compare_ratio(arm(other, "sms"), arm(one), ORDER_VALUE)
    assert back.difference == pytest.approx(-there.difference)
    if there.low is not None and there.high is not None:
        assert (back.low, back.high) == pytest.approx((-there.high, -there.low), rel=1e-6, abs=1e-6)
        assert back.p_value == pytest.approx(there.p_value, rel=1e-6)


@given(CUSTOMERS, CUSTOMERS, st.integers(2, 500))
def test_another_currency_only_scales(one: list[tuple[int, int]], other: list[tuple[int, int]], rate: int) -> None:
    here = compare_ratio(arm(one), arm(other), ORDER_VALUE)
    there = compare_ratio(arm([(a * rate, b) for a, b in one]), arm([(a * rate, b) for a, b in other]), ORDER_VALUE)
    assert there.difference == pytest.approx(here.difference * rate, abs=1e-9 * rate)
    if here.low is not None and there.low is not None:
        assert there.low == pytest.approx(here.low * rate, rel=1e-6, abs=1e-6 * rate)
        assert there.lift == pytest.approx(here.lift)
        assert there.p_value == pytest.approx(here.p_value, rel=1e-5)


@given(CUSTOMERS, CUSTOMERS)
def test_parts_add_up_to_the_whole(one: list[tuple[int, int]], other: list[tuple[int, int]]) -> None:
    found = ratio_estimate(arm(one) + arm(other), ORDER_VALUE)
    assert found == pytest.approx(ratio_estimate(arm(one + other), ORDER_VALUE), rel=1e-6, abs=1e-6)


def test_customers_and_not_orders_are_the_unit() -> None:
    """Ten customers who each order the same thing five times know as little as ten who order once."""
    once = [(10 * i, 1) for i in range(1, 11)]
    often = [(50 * i, 5) for i in range(1, 11)]
    assert ratio_estimate(arm(often), ORDER_VALUE) == pytest.approx(ratio_estimate(arm(once), ORDER_VALUE))


def test_it_says_that_it_is_no_effect_and_who_bought() -> None:
    found = compare_ratio(arm([(0, 0)] * 6 + [(10, 1), (30, 2)]), arm([(0, 0), (20, 1), (9, 3)], "sms"), ORDER_VALUE)
    assert (found.kind, found.metric) == ("ratio", "order_value")
    assert (found.n_control, found.n_treatment, found.buyers_control, found.buyers_treatment) == (8, 3, 2, 2)


def test_a_ratio_without_a_denominator_is_refused() -> None:
    bought, nothing = arm([(10, 1), (30, 2)]), arm([(0, 0), (0, 0)], "sms")
    with pytest.raises(CampanileError, match="order_value has no value: orders of arm sms add up to 0"):
        compare_ratio(bought, nothing, ORDER_VALUE)
    with pytest.raises(CampanileError, match="no product of revenue and orders"):
        ratio_estimate(replace(bought, products={}), ORDER_VALUE)


@pytest.mark.statistical
@pytest.mark.parametrize(("n_control", "n_treatment"), [(5_000, 95_000), (20_000, 20_000)])
@pytest.mark.parametrize("more", [1.0, 1.3])
def test_the_interval_holds_the_truth(n_control: int, n_treatment: int, more: float) -> None:
    """Customers of 1 to 4 orders of lognormal value (sigma 1), 2 % buyers, order values larger by `more`."""
    rng = np.random.default_rng(31)

    def draw(name: str, n: int, value: float) -> ArmStatistics:
        buyers = rng.binomial(n, 0.02)
        orders = 1 + rng.binomial(3, 0.2, buyers)
        revenue = np.rint(orders * value * rng.lognormal(0, 1, buyers))
        return arm_of(name, n, {"revenue": revenue, "orders": orders.astype(float)})

    def one() -> tuple[float | None, float | None]:
        found = compare_ratio(draw("control", n_control, 5_000), draw("sms", n_treatment, 5_000 * more), ORDER_VALUE)
        return found.low, found.high

    # True order value: E[orders x value] / E[orders].
    truth = 5_000 * float(np.exp(0.5)) * (more - 1)
    assert held(one, truth, 1_500) >= 0.92
