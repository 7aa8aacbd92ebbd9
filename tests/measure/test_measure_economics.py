"""Did it pay? The golden case of reference/domain.md 2.11, Hillstrom's own sums, and the edges."""

from __future__ import annotations

from dataclasses import asdict, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from campanile.errors import CampanileError
from campanile.measure import (
    ArmCosts,
    ArmStatistics,
    Comparison,
    Count,
    compare_amounts,
    compare_rates,
    economics,
    fisher_p,
    pooled_z,
    scaled,
)
from campanile.measure.economics import Figure, cost_per_order

COSTS = ArmCosts(contact=8000 * 0.05, fixed=500, discounts=4000)


def statistics(arm: str, n: int, responders: int, revenue: int) -> ArmStatistics:
    """An arm whose responders all spend the same (the golden case names no spread)."""
    mean = revenue / n
    squares = responders * (revenue / responders) ** 2 - n * mean**2
    rates = ArmStatistics.from_counts(arm, n, {"response_rate": responders})
    return replace(
        rates,
        sums={**rates.sums, "revenue": revenue},
        squares={**rates.squares, "revenue": squares},
        nonzero={**rates.nonzero, "revenue": responders},
        negative={**rates.negative, "revenue": 0},
    )


def golden() -> tuple[Comparison, Comparison, Comparison]:
    control, treatment = statistics("control", 2000, 44, 12_320), statistics("sms", 8000, 264, 79_200)
    revenue = compare_amounts(control, treatment, "revenue")
    margin = scaled(revenue, 0.40, "margin")
    return compare_rates(control, treatment, "response_rate"), revenue, margin


def test_the_golden_case() -> None:
    response, revenue, margin = golden()
    assert (response.mean_treatment, response.mean_control) == pytest.approx((0.0330, 0.0220))
    assert response.difference == pytest.approx(0.0110)
    assert (response.low, response.high) == pytest.approx((0.0027, 0.0179), abs=5e-5)
    control, treatment = Count(44, 2000), Count(264, 8000)
    assert pooled_z(control, treatment) == pytest.approx(2.547, abs=5e-4)
    assert response.p_value == pytest.approx(0.0109, abs=5e-5)
    assert fisher_p(control, treatment) == pytest.approx(0.0111, abs=5e-5)
    found = economics(response, revenue, margin, COSTS)
    assert found.incremental_responders == pytest.approx(88)
    assert (margin.mean_treatment, margin.mean_control) == pytest.approx((3.96, 2.464))
    assert found.incremental_margin == pytest.approx(11_968)
    assert found.incremental_profit == pytest.approx(11_068)
    assert found.roi_media == pytest.approx(12.30, abs=0.005)
    assert found.roi == pytest.approx(2.26, abs=0.005)
    assert found.cost_per_incremental_order == pytest.approx(10.23, abs=0.005)
    assert found.claimed_without_control == pytest.approx(30_780)


def test_every_interval_is_that_of_its_comparison_moved_by_known_figures() -> None:
    response, revenue, margin = golden()
    found = economics(response, revenue, margin, COSTS)
    assert response.low is not None
    assert response.high is not None
    assert revenue.low is not None
    assert revenue.high is not None
    assert (found.incremental_responders_low, found.incremental_responders_high) == pytest.approx(
        (8000 * response.low, 8000 * response.high)
    )
    profit = [8000 * 0.4 * limit - 900 for limit in (revenue.low, revenue.high)]
    assert (found.profit_low, found.profit_high) == pytest.approx(profit)
    assert (found.roi_low, found.roi_high) == pytest.approx([limit / 4900 for limit in profit])
    assert (found.roi_media_low, found.roi_media_high) == pytest.approx([limit / 900 for limit in profit])
    assert (found.iroas_low, found.iroas_high) == pytest.approx(
        [8000 * limit / 900 for limit in (revenue.low, revenue.high)]
    )
    assert (found.cost_per_incremental_order_low, found.cost_per_incremental_order_high) == pytest.approx(
        (900 / (8000 * response.high), 900 / (8000 * response.low))
    )


def test_the_rest_of_the_golden_case_by_hand() -> None:
    """79,200 - 8,000 x 6.16 = 29,920 more revenue; holding out 2,000 cost them 1.496 - 0.05 each; 62 % came anyway."""
    response, revenue, margin = golden()
    found = economics(response, revenue, margin, COSTS)
    assert found.incremental_revenue == pytest.approx(29_920)
    assert found.iroas == pytest.approx(29_920 / 900)
    assert found.profit_per_unit == pytest.approx(11_068 / 8000)
    assert (found.cost, found.cost_full) == (900, 4900)
    assert found.holdout_cost == pytest.approx(2000 * (1.496 - 0.05))
    assert found.organic_share == pytest.approx(6.16 / 9.90)
    assert found.organic_share_low is not None
    assert found.organic_share_high is not None
    assert found.organic_share_low < 6.16 / 9.90 < found.organic_share_high
    assert found.break_even_revenue == pytest.approx(900 / 8000 / 0.4)
    assert found.break_even_difference == pytest.approx(900 / 8000 / 0.4 / 300)


def test_at_the_break_even_difference_the_profit_is_zero() -> None:
    response, revenue, margin = golden()
    found = economics(response, revenue, margin, COSTS)
    assert found.break_even_revenue is not None
    even = replace(revenue, difference=found.break_even_revenue, low=None, high=None)
    assert economics(response, even, scaled(even, 0.4, "margin"), COSTS).incremental_profit == pytest.approx(0)


def test_hillstroms_profit_per_customer() -> None:
    """Demand 1.30 per customer x 0.40 - 0.90 = -0.38 (Hillstrom, 22 February 2026)."""
    response, revenue, _ = golden()
    mailed = replace(revenue, difference=1.30, n_treatment=1000)
    response = replace(response, n_treatment=1000)
    found = economics(response, mailed, scaled(mailed, 0.40, "margin"), ArmCosts(contact=900))
    assert found.profit_per_unit == pytest.approx(-0.38)


def test_hillstroms_organic_percentage() -> None:
    """6.40 mailed and 4.50 held out: 70 % organic, 1.90 incremental (Hillstrom, 29 September 2025)."""
    response, revenue, _ = golden()
    mailed = replace(revenue, mean_control=4.50, mean_treatment=6.40, difference=1.90)
    found = economics(response, mailed, scaled(mailed, 0.4, "margin"), COSTS)
    assert found.organic_share == pytest.approx(0.70, abs=0.005)


@pytest.mark.parametrize(
    ("orders", "expected"),
    [
        (Figure(90, 30, 150), (10, 6, 30)),
        (Figure(90, -10, 150), (10, 6, None)),
        (Figure(90, 0, 150), (10, 6, None)),
        (Figure(-5, -20, 15), (None, 60, None)),
        (Figure(-9, -20, -1), (None, None, None)),
        (Figure(90, None, None), (10, None, None)),
    ],
)
def test_cost_per_order_is_bounded_only_where_orders_are(
    orders: Figure, expected: tuple[float | None, float | None, float | None]
) -> None:
    assert cost_per_order(900, orders) == expected


def test_nothing_spent_has_no_return_on_it() -> None:
    found = economics(*golden(), ArmCosts())
    assert (found.roi, found.roi_low, found.roi_media, found.iroas) == (None, None, None, None)
    assert found.incremental_profit == pytest.approx(11_968)
    assert found.break_even_difference == 0


def test_nothing_bought_by_the_treated() -> None:
    control, treatment = statistics("control", 2000, 44, 12_320), statistics("sms", 8000, 264, 79_200)
    nothing = replace(
        treatment,
        sums=dict.fromkeys(treatment.sums, 0),
        squares=dict.fromkeys(treatment.squares, 0.0),
        nonzero=dict.fromkeys(treatment.nonzero, 0),
    )
    revenue = compare_amounts(control, nothing, "revenue")
    found = economics(compare_rates(control, nothing, "response_rate"), revenue, scaled(revenue, 0.4, "margin"), COSTS)
    assert found.incremental_profit == pytest.approx(-8000 * 0.4 * 6.16 - 900)
    assert found.claimed_without_control == -900
    assert (found.organic_share, found.break_even_difference, found.cost_per_incremental_order) == (None, None, None)


def test_withheld_intervals_stay_withheld() -> None:
    response, revenue, _ = golden()
    open_ended = replace(revenue, low=None, high=None, lift_low=None, lift_high=None)
    found = economics(response, open_ended, scaled(open_ended, 0.4, "margin"), COSTS)
    limits = [found.profit_low, found.roi_high, found.iroas_low, found.organic_share_low, found.holdout_cost_high]
    assert limits == [None] * 5
    assert found.incremental_profit == pytest.approx(11_068)


@given(st.floats(0.01, 1000))
def test_another_currency_scales_money_and_nothing_else(rate: float) -> None:
    response, revenue, margin = golden()
    costs = ArmCosts(COSTS.contact * rate, COSTS.fixed * rate, COSTS.gifts, COSTS.discounts * rate)
    here = asdict(economics(response, revenue, margin, COSTS))
    there = asdict(economics(response, scaled(revenue, rate, "revenue"), scaled(margin, rate, "margin"), costs))
    same = ("treatment", "alpha", "responders", "roi", "iroas", "organic", "break_even_difference")
    for key, value in here.items():
        if any(word in key for word in same):
            assert there[key] == (value if isinstance(value, str) else pytest.approx(value))
        else:
            assert there[key] == pytest.approx(value * rate)


def test_comparisons_of_other_arms_and_negative_costs_are_refused() -> None:
    response, revenue, margin = golden()
    with pytest.raises(CampanileError, match="compare other arms"):
        economics(replace(response, treatment="email"), revenue, margin, COSTS)
    with pytest.raises(CampanileError, match="below zero"):
        economics(response, revenue, margin, ArmCosts(contact=-1))


def test_economics_has_the_keys_of_the_contract() -> None:
    keys = (
        "treatment incremental_responders incremental_revenue incremental_profit profit_low profit_high "
        "profit_per_unit roi roi_low roi_high iroas cost cost_per_incremental_order break_even_difference "
        "claimed_without_control"
    )
    assert set(keys.split()) <= set(asdict(economics(*golden(), COSTS)))
