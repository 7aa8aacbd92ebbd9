"""Was the split the planned one, and were the arms alike before?"""

from __future__ import annotations

from decimal import Decimal

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from campanile.errors import CampanileError
from campanile.measure import ArmStatistics, srm, standardised_difference


def test_the_example_of_kohavi() -> None:
    """Kohavi, Tang and Xu (2020), chapter 21: 821,588 against 815,482 at 50/50 has p = 1.8e-6."""
    found = srm({"control": 821_588, "treatment": 815_482}, {"control": Decimal("0.5"), "treatment": Decimal("0.5")})
    assert found.p_value == pytest.approx(1.8e-6, rel=0.03)
    assert found.alarm


def test_the_case_of_the_reference() -> None:
    """9,120 and 880 where 9,000 and 1,000 were planned: p = 6e-5 (reference/domain.md 2.12)."""
    assert srm({"sms": 9120, "control": 880}, {"sms": 0.9, "control": 0.1}).p_value == pytest.approx(6e-5, rel=0.1)


@given(st.lists(st.integers(1, 10_000), min_size=2, max_size=6), st.data())
def test_it_is_the_chi_square_of_scipy_over_all_arms(sizes: list[int], data: st.DataObject) -> None:
    weights = data.draw(st.lists(st.integers(1, 50), min_size=len(sizes), max_size=len(sizes)))
    arms = [f"arm{index}" for index in range(len(sizes))]
    shares = {arm: weight / sum(weights) for arm, weight in zip(arms, weights, strict=True)}
    expected = [share * sum(sizes) for share in shares.values()]
    found = srm(dict(zip(arms, sizes, strict=True)), shares)
    assert found.p_value == pytest.approx(stats.chisquare(sizes, expected).pvalue, rel=1e-6, abs=1e-300)
    assert found.alarm == (found.p_value < 0.001)
    assert sum(found.expected.values()) == pytest.approx(sum(sizes))


def test_thirds_written_as_percent_need_not_add_up_exactly() -> None:
    third = Decimal("0.333333")
    assert srm({"a": 100, "b": 100, "c": 100}, {"a": third, "b": third, "c": third}).p_value == pytest.approx(1.0)


def test_an_arm_that_lost_everybody_is_an_alarm() -> None:
    assert srm({"control": 1000}, {"control": 0.5, "sms": 0.5}).alarm
    few = srm({"control": 12, "sms": 8}, {"control": 0.45, "sms": 0.45, "email": 0.1})
    assert few.p_value == pytest.approx(stats.chisquare([12, 8, 0], [9, 9, 2]).pvalue)


@pytest.mark.parametrize(
    ("counts", "shares", "said"),
    [
        ({"a": 1, "typo": 1}, {"a": 0.5, "b": 0.5}, "arm typo was never planned"),
        ({"a": 1}, {"a": 1}, "two arms or more"),
        ({"a": 1, "b": 1}, {"a": 1, "b": 0}, "share above zero"),
        ({"a": 0, "b": 0}, {"a": 0.5, "b": 0.5}, "nobody was assigned"),
    ],
)
def test_what_cannot_be_checked_is_said(counts: dict[str, int], shares: dict[str, float], said: str) -> None:
    with pytest.raises(CampanileError, match=said):
        srm(counts, shares)


def test_the_standardised_difference_is_in_standard_deviations() -> None:
    rng = np.random.default_rng(3)
    before = [int(value) for value in rng.normal(1000, 200, 4000)]
    control = ArmStatistics.from_values("control", {"pre_revenue": before})
    moved = ArmStatistics.from_values("sms", {"pre_revenue": [value + 50 for value in before]})
    assert standardised_difference(control, moved, "pre_revenue") == pytest.approx(
        50 / np.std(before, ddof=1), rel=1e-9
    )
    assert standardised_difference(moved, control, "pre_revenue") == pytest.approx(
        -50 / np.std(before, ddof=1), rel=1e-9
    )
    assert standardised_difference(control, control, "pre_revenue") == 0


def test_arms_without_spread_are_equal_or_infinitely_apart() -> None:
    nothing, something = (ArmStatistics.from_values("a", {"x": [value] * 9}) for value in (0, 5))
    assert standardised_difference(nothing, nothing, "x") == 0
    assert standardised_difference(nothing, something, "x") == float("inf")
