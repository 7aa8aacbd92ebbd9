"""Post-stratification against a regression with every stratum times every arm, whose HC2 variance is the formula's."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import statsmodels.api as sm
from hypothesis import given
from hypothesis import strategies as st

from campanile.errors import CampanileError
from campanile.measure import ArmStatistics, Stratified, compare_adjusted, compare_amounts, merged, post_stratified
from statistical.adjusted_worlds import Limits, arm_of, held

Cells = dict[str, dict[str, list[int]]]
ARMS = ("control", "sms", "mail")
VALUES = st.lists(st.integers(0, 9_000), min_size=2, max_size=20)
CELLS = st.dictionaries(
    st.sampled_from(["gold", "silver", "bronze", "none"]),
    st.fixed_dictionaries(dict.fromkeys(ARMS, VALUES)),
    min_size=1,
)


def strata(cells: Cells) -> dict[str, dict[str, ArmStatistics]]:
    return {
        name: {arm: ArmStatistics.from_values(arm, {"x": values}) for arm, values in arms.items() if values}
        for name, arms in cells.items()
    }


def judged(cells: Cells, control: str = "control", treatment: str = "sms") -> Stratified:
    return post_stratified(strata(cells), "x", control=control, treatment=treatment)


def figures(found: Stratified) -> tuple[float, float]:
    control, treatment = found.adjusted.control, found.adjusted.treatment
    return treatment.mean - control.mean, control.mean_variance + treatment.mean_variance


@given(CELLS)
def test_it_is_a_saturated_regression_read_at_the_audience(cells: Cells) -> None:
    """Linear combination of its cell means with weights of all three arms, and its HC2 variance."""
    cell_of = [(name, arm) for name in cells for arm in ("control", "sms")]
    values = np.array([value for name, arm in cell_of for value in cells[name][arm]], float)
    cell = np.repeat(np.arange(len(cell_of)), [len(cells[name][arm]) for name, arm in cell_of])
    fitted = sm.OLS(values, np.eye(len(cell_of))[cell]).fit(cov_type="HC2")
    sizes = {name: sum(len(column) for column in arms.values()) for name, arms in cells.items()}
    whole = sum(sizes.values())
    weights = np.array([sizes[name] / whole * (1 if arm == "sms" else -1) for name, arm in cell_of])
    difference, variance = figures(judged(cells))
    assert difference == pytest.approx(float(weights @ fitted.params), abs=1e-6)
    assert variance == pytest.approx(float(weights @ fitted.cov_params() @ weights), rel=1e-6, abs=1e-6)


@given(CELLS)
def test_changing_places_changes_the_sign(cells: Cells) -> None:
    difference, variance = figures(judged(cells))
    assert figures(judged(cells, "sms", "control")) == pytest.approx((-difference, variance))


@given(CELLS, st.integers(2, 300))
def test_another_currency_only_scales(cells: Cells, rate: int) -> None:
    other = {name: {arm: [v * rate for v in column] for arm, column in arms.items()} for name, arms in cells.items()}
    difference, variance = figures(judged(cells))
    assert figures(judged(other)) == pytest.approx((difference * rate, variance * rate**2), rel=1e-9, abs=1e-6)


@given(CELLS, st.permutations(["gold", "silver", "bronze", "none"]))
def test_the_order_of_strata_does_not_matter(cells: Cells, order: list[str]) -> None:
    turned = {name: cells[name] for name in order if name in cells}
    assert figures(judged(turned)) == pytest.approx(figures(judged(cells)))
    assert sum(judged(cells).weights.values()) == pytest.approx(1)


@given(VALUES, VALUES)
def test_one_stratum_is_the_plain_comparison(one: list[int], other: list[int]) -> None:
    cells = {"all": {"control": one, "sms": other}}
    arms = strata(cells)["all"]
    found = compare_adjusted(arms["control"], arms["sms"], "x", judged(cells).adjusted)
    # By moments: adjusted figures have no orders of their own that could be relabelled.
    plain = compare_amounts(*(replace(arms[name], classes={}) for name in ("control", "sms")), "x")
    assert found.difference == pytest.approx(plain.difference, abs=1e-9)
    assert (found.low is None) == (plain.low is None)
    if plain.low is not None:
        assert (found.low, found.high, found.p_value) == pytest.approx((plain.low, plain.high, plain.p_value), rel=1e-6)


def test_thin_strata_are_taken_together_and_named() -> None:
    cells = {
        "gold": {"control": [1, 2, 3], "sms": [4, 5, 9]},
        "silver": {"control": [1], "sms": [7, 9]},
        "bronze": {"control": [2], "sms": [3, 3]},
    }
    found = judged(cells)
    assert found.together == ("silver", "bronze")
    assert found.weights == pytest.approx({"gold": 0.5, "(together)": 0.5})
    joined = {"gold": cells["gold"], "rest": {"control": [1, 2], "sms": [7, 9, 3, 3]}}
    assert figures(found) == pytest.approx(figures(judged(joined)))


def test_a_stratum_without_an_arm_joins_the_smallest_other() -> None:
    cells = {
        "gold": {"control": [1, 2, 3], "sms": [4, 5, 9, 11]},
        "silver": {"control": [5, 1], "sms": [7, 9]},
        "new": {"control": [], "sms": [3]},
    }
    found = judged(cells)
    assert found.together == ("new", "silver")
    assert set(found.weights) == {"gold", "(together)"}


def test_an_empty_arm_is_refused() -> None:
    with pytest.raises(CampanileError, match="arm control has fewer than 2 customers in all strata together"):
        judged({"gold": {"control": [1], "sms": [4, 5]}, "silver": {"control": [], "sms": [4, 5]}})


@pytest.mark.statistical
@pytest.mark.parametrize("inside", [True, False])
def test_the_interval_holds_the_truth_beside_a_small_control(inside: bool) -> None:
    """Three strata of which one buys ten times as often; assigned inside strata, or over all."""
    rng = np.random.default_rng([34, inside])
    shares, buyers = np.array([0.6, 0.3, 0.1]), np.array([0.005, 0.01, 0.05])
    shorter = []

    def one() -> Limits:
        cells: dict[str, dict[str, ArmStatistics]] = {}
        sizes = (100_000 * shares).astype(int)
        control = (sizes * 0.05).astype(int) if inside else rng.multivariate_hypergeometric(sizes, 5_000)
        for place, (size, few, rate) in enumerate(zip(sizes, control, buyers, strict=True)):
            counts = {"control": (int(few), rate), "sms": (int(size - few), rate * 1.2)}
            cells[str(place)] = {
                arm: arm_of(arm, n, {"x": np.rint(rng.lognormal(np.log(5_000), 1, rng.binomial(n, chance)))})
                for arm, (n, chance) in counts.items()
            }
        arms = merged(arm for cell in cells.values() for arm in cell.values())
        adjusted = post_stratified(cells, "x", control="control", treatment="sms").adjusted
        found = compare_adjusted(arms["control"], arms["sms"], "x", adjusted)
        plain = compare_amounts(arms["control"], arms["sms"], "x")
        assert found.low is not None and found.high is not None and plain.low is not None and plain.high is not None
        shorter.append((found.high - found.low) < (plain.high - plain.low))
        return found.low, found.high

    truth = 0.2 * float(shares @ buyers) * 5_000 * float(np.exp(0.5))
    assert held(one, truth, 1_500) >= 0.93
    assert np.mean(shorter) > 0.5
