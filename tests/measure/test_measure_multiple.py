"""Corrections against statsmodels and the papers they come from."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from statsmodels.stats.multitest import multipletests

from campanile.errors import CampanileError
from campanile.measure import ArmStatistics, adjust, benjamini_hochberg, compare_rates, dunnett, holm

#: The thirteenth page of Benjamini and Hochberg (1995): thrombolysis after myocardial infarction.
PAPER = [
    0.0001, 0.0004, 0.0019, 0.0095, 0.0201, 0.0278, 0.0298, 0.0344, 0.0459, 0.3240, 0.4262, 0.5719, 0.6528, 0.7590, 1.0,
]  # fmt: skip


def test_the_example_of_benjamini_and_hochberg() -> None:
    """Their procedure finds the first four, the familywise one the first three."""
    assert [p <= 0.05 for p in benjamini_hochberg(PAPER)] == [True] * 4 + [False] * 11
    assert [p <= 0.05 for p in holm(PAPER)] == [True] * 3 + [False] * 12


P_VALUES = st.lists(st.one_of(st.floats(0, 1), st.sampled_from([0.0, 0.01, 0.01, 0.05, 1.0])), min_size=1, max_size=30)


@settings(max_examples=25)
@given(P_VALUES)
def test_both_are_those_of_statsmodels_with_ties_in_any_order(p_values: list[float]) -> None:
    assert holm(p_values) == pytest.approx(multipletests(p_values, method="holm")[1])
    assert benjamini_hochberg(p_values) == pytest.approx(multipletests(p_values, method="fdr_bh")[1])


@given(P_VALUES)
def test_corrected_values_keep_the_order_and_are_never_smaller(p_values: list[float]) -> None:
    for corrected in (holm(p_values), benjamini_hochberg(p_values)):
        assert all(after >= before for before, after in zip(p_values, corrected, strict=True))
        ordered = [after for _, after in sorted(zip(p_values, corrected, strict=True))]
        assert ordered == sorted(ordered)


def test_nothing_to_correct() -> None:
    assert holm([]) == benjamini_hochberg([]) == ()


@pytest.mark.parametrize("wrong", [-0.1, 1.1, float("nan")])
def test_what_is_no_p_value_is_refused(wrong: float) -> None:
    with pytest.raises(CampanileError, match="is not a p-value"):
        holm([0.5, wrong])


def test_a_comparison_without_p_value_is_not_counted() -> None:
    arms = [ArmStatistics.from_counts(*arm) for arm in [("control", 2000, {"r": 44}), ("sms", 8000, {"r": 264})]]
    tested = compare_rates(arms[0], arms[1], "r")
    withheld = replace(tested, p_value=None)
    adjusted = adjust([tested, withheld, tested])
    assert tested.p_value is not None
    assert [comparison.p_adjusted for comparison in adjusted] == [2 * tested.p_value, None, 2 * tested.p_value]
    assert adjusted[0].p_value == tested.p_value


@pytest.mark.parametrize(
    ("arms", "alpha", "critical"),
    [(2, 0.05, 2.21), (3, 0.05, 2.35), (4, 0.05, 2.44), (2, 0.01, 2.79), (3, 0.01, 2.92), (4, 0.01, 3.00)],
)
def test_dunnetts_own_table(arms: int, alpha: float, critical: float) -> None:
    """Dunnett (1964), Biometrics 20:482, table II, two-sided, equal arms without end."""
    p_values = [2 * float(stats.norm.sf(critical))] * arms
    assert dunnett(p_values, 10**6, [10**6] * arms)[0] == pytest.approx(alpha, rel=0.03)


@pytest.mark.parametrize("sizes", [(400, 400, 400), (200, 3_000, 1_500), (3_000, 300, 500)])
def test_dunnett_is_that_of_scipy(sizes: tuple[int, int, int]) -> None:
    rng = np.random.default_rng(9)
    control, *treatments = (rng.normal(0.05 * place, 1, size) for place, size in enumerate(sizes))
    theirs = stats.dunnett(*treatments, control=control, rng=1).pvalue
    freedom = sum(sizes) - 3
    pooled = sum(((arm - arm.mean()) ** 2).sum() for arm in (control, *treatments)) / freedom
    z = [(arm.mean() - control.mean()) / (pooled * (1 / arm.size + 1 / control.size)) ** 0.5 for arm in treatments]
    ours = dunnett([2 * float(stats.norm.sf(abs(each))) for each in z], sizes[0], sizes[1:])
    assert ours == pytest.approx(theirs, rel=0.02, abs=2e-3)


@given(st.lists(st.floats(0, 1), min_size=1, max_size=5), st.integers(100, 10**6), st.integers(100, 10**6))
def test_dunnett_lies_between_the_plain_p_and_bonferroni(p_values: list[float], control: int, treated: int) -> None:
    corrected = dunnett(p_values, control, [treated] * len(p_values))
    for before, after in zip(p_values, corrected, strict=True):
        assert before <= after <= min(1.0, len(p_values) * before) * (1 + 1e-6) + 1e-300
    assert dunnett(p_values[:1], control, [treated])[0] == pytest.approx(p_values[0], rel=1e-6, abs=1e-300)


def test_dunnett_wants_a_size_for_each_p_value() -> None:
    for sizes in ([5], [5, 0]):
        with pytest.raises(CampanileError, match="2 p-values come with arms of 5"):
            dunnett([0.1, 0.2], 5, sizes)
