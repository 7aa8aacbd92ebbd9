"""The gap between plan and actual is parted without a remainder."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from campanile.improve.factors import contributions, in_whole_units

NAMES = ("audience", "reached", "responded", "orders", "basket", "margin")
ABOVE = st.floats(1e-3, 1e4)
ANY = st.one_of(st.just(0.0), st.floats(-1e3, 1e4))


def both(values: st.SearchStrategy[float]) -> st.SearchStrategy[tuple[dict[str, float], dict[str, float]]]:
    one = st.lists(values, min_size=len(NAMES), max_size=len(NAMES)).map(lambda row: dict(zip(NAMES, row, strict=True)))
    return st.tuples(one, one)


@given(both(ABOVE) | both(ANY))
def test_contributions_add_up_to_the_gap(pair: tuple[dict[str, float], dict[str, float]]) -> None:
    planned, actual = pair
    gap = math.prod(actual.values()) - math.prod(planned.values())
    largest = max(abs(math.prod(planned.values())), abs(math.prod(actual.values())), 1.0)
    found = contributions(planned, actual)
    assert found.keys() == planned.keys()
    assert sum(found.values()) == pytest.approx(gap, abs=max(largest, *map(abs, found.values())) * 1e-9)


@given(both(ABOVE))
def test_a_factor_as_planned_adds_nothing_and_a_larger_one_something(
    pair: tuple[dict[str, float], dict[str, float]],
) -> None:
    planned, actual = pair
    found = contributions(planned, {**actual, "basket": planned["basket"]})
    assert found["basket"] == 0
    assert contributions(planned, {**actual, "basket": planned["basket"] * 2})["basket"] > 0


@given(st.dictionaries(st.sampled_from(NAMES), st.floats(-1e6, 1e6), min_size=1), st.integers(-(10**7), 10**7))
def test_whole_units_add_up_to_the_cent(parts: dict[str, float], total: int) -> None:
    found = in_whole_units(parts, total)
    assert sum(found.values()) == total


@given(st.dictionaries(st.sampled_from(NAMES), st.floats(-1e6, 1e6), min_size=1))
def test_rounding_moves_no_part_by_a_whole_unit(parts: dict[str, float]) -> None:
    found = in_whole_units(parts, round(sum(parts.values())))
    assert all(abs(found[name] - value) <= 1 + 1e-6 for name, value in parts.items())


def test_the_worked_example_of_a_campaign_whose_message_failed() -> None:
    """Figures worked by hand with logarithmic means: a gap of 6,051.0, of which clicks lose 4,708."""
    planned = {"audience": 8000, "reached": 0.97, "clicked": 0.08, "bought": 0.06, "basket": 1000, "margin": 0.4}
    actual = {**planned, "audience": 7874, "clicked": 0.05}
    found = contributions({key: float(value) for key, value in planned.items()}, actual)
    assert found["clicked"] < found["audience"] < 0
    weight = (math.prod(actual.values()) - math.prod(planned.values())) / math.log(
        math.prod(actual.values()) / math.prod(planned.values())
    )
    assert found["clicked"] == pytest.approx(weight * math.log(0.05 / 0.08))


def test_other_factors_cannot_be_set_against_each_other() -> None:
    with pytest.raises(ValueError, match="cannot be set against"):
        contributions({"a": 1.0}, {"b": 1.0})
