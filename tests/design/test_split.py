"""Splits, holdouts and durations against brute force."""

from __future__ import annotations

from functools import partial

import pytest
from hypothesis import given
from hypothesis import strategies as st

from campanile.design import (
    Sizes,
    Spend,
    best_split,
    holdout_cost,
    periods_needed,
    power_at,
    smallest_amount,
    smallest_detectable,
    split_curve,
)

RATE = partial(smallest_detectable, baseline=0.03)
MONEY = partial(smallest_amount, spend=Spend(1.0, 100.0))


@pytest.mark.parametrize("shows", [RATE, MONEY], ids=["rate", "money"])
@pytest.mark.parametrize("total", [300, 1_001])
def test_no_other_split_shows_less(shows: partial[object], total: int) -> None:
    best = best_split(total, shows)  # type: ignore[arg-type]
    everyone = [shows(control, total - control).absolute for control in range(1, total)]  # type: ignore[attr-defined]
    assert best.smallest.absolute == pytest.approx(min(everyone), rel=1e-6)
    assert best.sizes.control + best.sizes.treatment == total
    assert best.share == best.sizes.control / total


def test_the_best_split_is_near_a_half() -> None:
    assert best_split(20_000, MONEY).share == pytest.approx(0.5, abs=0.03)
    assert best_split(20_000, partial(smallest_amount, spend=Spend(1.0, 100.0, grows=False))).share == 0.5


@given(st.integers(1_000, 500_000))
def test_the_curve_falls_to_the_middle(total: int) -> None:
    curve = split_curve(total, MONEY)
    lifts = [split.smallest.absolute for split in curve[:-1]]
    assert lifts == sorted(lifts, reverse=True)
    assert all(split.sizes.control == round(total * split.share) for split in curve)


def test_what_the_curve_says_is_what_power_says() -> None:
    (split,) = split_curve(20_000, RATE, shares=[0.2])
    assert power_at(*split.sizes, 0.03, 0.03 + split.smallest.absolute) == pytest.approx(0.8)


@given(st.integers(1, 10_000), st.floats(0.5, 5_000), st.floats(0.02, 0.98))
def test_the_periods_fill_both_arms_and_one_less_does_not(control: int, arrivals: float, share: float) -> None:
    needed = Sizes(control, 3 * control)

    def filled(periods: int) -> bool:
        come = periods * arrivals
        return come * share >= control * (1 - 1e-9) and come * (1 - share) >= 3 * control * (1 - 1e-9)

    periods = periods_needed(needed, arrivals, control_share=share)
    assert filled(periods)
    assert not filled(periods - 1)


def test_a_holdout_costs_what_its_customers_would_have_brought() -> None:
    assert holdout_cost(2_000, 0.40 * 3.74, contact=0.05) == pytest.approx(2_000 * 0.40 * 3.74 - 2_000 * 0.05)
    assert holdout_cost(0, 1.0) == 0.0
    assert holdout_cost(100, -0.2, contact=0.1) == pytest.approx(-30)


def test_what_cannot_be_split_is_refused() -> None:
    with pytest.raises(ValueError, match="1 customers cannot be split"):
        best_split(1, RATE)
    with pytest.raises(ValueError, match="leaves an arm empty"):
        split_curve(10, RATE, shares=[0.02])
    for share in (0.0, 1.0, 1.5):
        with pytest.raises(ValueError, match="the share of control is"):
            split_curve(1_000, RATE, shares=[share])
        with pytest.raises(ValueError, match="the share of control is"):
            periods_needed(Sizes(1, 1), 5, control_share=share)
    with pytest.raises(ValueError, match="never fill the arms"):
        periods_needed(Sizes(1, 1), 0, control_share=0.5)
    with pytest.raises(ValueError, match="neither can be below zero"):
        holdout_cost(-1, 1.0)
