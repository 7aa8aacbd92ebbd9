"""Pooling over campaigns against statsmodels, and the BCG trials as published."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from statsmodels.stats.meta_analysis import combine_effects

from campanile.errors import CampanileError
from campanile.measure import Estimate, pool
from campanile.measure.pooling import cochran

EFFECTS = st.lists(st.builds(Estimate, st.floats(-2, 2), st.floats(1e-3, 2)), min_size=2, max_size=12)

#: Colditz et al. (1994), JAMA 271:698: tuberculosis among vaccinated and not, 13 trials.
BCG = [
    (4, 119, 11, 128),
    (6, 300, 29, 274),
    (3, 228, 11, 209),
    (62, 13536, 248, 12619),
    (33, 5036, 47, 5761),
    (180, 1361, 372, 1079),
    (8, 2537, 10, 619),
    (505, 87886, 499, 87892),
    (29, 7470, 45, 7232),
    (17, 1699, 65, 1600),
    (186, 50448, 141, 27197),
    (5, 2493, 3, 2338),
    (27, 16886, 29, 17825),
]


def log_risk_ratio(a: int, b: int, c: int, d: int) -> Estimate:
    return Estimate(float(np.log(a / (a + b) / (c / (c + d)))), 1 / a - 1 / (a + b) + 1 / c - 1 / (c + d))


def test_the_bcg_trials_are_those_of_metafor() -> None:
    """rma(measure="RR", method="DL") in Viechtbauer (2010), J Stat Softw 36(3), on its data set dat.bcg."""
    found = pool([log_risk_ratio(*trial) for trial in BCG])
    assert found.mean == pytest.approx(-0.7141, abs=5e-5)
    assert found.variance**0.5 == pytest.approx(0.1787, abs=5e-5)
    assert found.between == pytest.approx(0.3088, abs=5e-5)
    assert found.share_between == pytest.approx(0.9212, abs=5e-5)
    assert found.spread.statistic == pytest.approx(152.2330, abs=5e-5)


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@given(EFFECTS)
def test_it_is_that_of_statsmodels(effects: list[Estimate]) -> None:
    theirs = combine_effects(*(np.array(column) for column in zip(*effects, strict=True)), method_re="dl")
    found = pool(effects)
    assert found.between == pytest.approx(max(theirs.tau2, 0.0), rel=1e-8, abs=1e-10)
    fixed, random, *_ = theirs.conf_int(use_t=False)
    if theirs.tau2 > 0:
        assert (found.mean, found.variance) == pytest.approx((theirs.mean_effect_re, theirs.var_eff_w_re), rel=1e-7)
        assert (found.low, found.high) == pytest.approx(random, rel=1e-7, abs=1e-7)
    else:  # theirs stays below zero, where ours stops: one effect for all
        assert (found.mean, found.variance) == pytest.approx((theirs.mean_effect_fe, theirs.var_eff_w_fe), abs=1e-9)
        assert (found.low, found.high) == pytest.approx(fixed, rel=1e-7, abs=1e-7)
    q, p_value, freedom = theirs.test_homogeneity().statistic, theirs.test_homogeneity().pvalue, len(effects) - 1
    assert (found.spread.statistic, found.spread.p_value) == pytest.approx((q, p_value), rel=1e-6, abs=1e-9)
    assert found.share_between == pytest.approx(max(0.0, 1 - freedom / q) if q > 1e-9 else 0.0, abs=1e-9)


@given(EFFECTS.filter(lambda effects: len(effects) > 2))
def test_the_next_campaign_is_less_certain_than_their_mean(effects: list[Estimate]) -> None:
    found = pool(effects)
    assert found.next_low is not None and found.next_high is not None
    assert found.next_low < found.low < found.mean < found.high < found.next_high
    reach = stats.t.ppf(0.975, len(effects) - 2) * (found.variance + found.between) ** 0.5
    assert found.next_high - found.mean == pytest.approx(reach)


@given(EFFECTS, st.randoms(use_true_random=False), st.floats(0.1, 100))
def test_order_and_unit_do_not_matter(effects: list[Estimate], rng: object, rate: float) -> None:
    other = [Estimate(rate * mean, rate**2 * variance) for mean, variance in effects]
    rng.shuffle(other)  # type: ignore[attr-defined]
    here, there = pool(effects), pool(other)
    assert (there.mean, there.low) == pytest.approx((rate * here.mean, rate * here.low), rel=1e-7, abs=1e-7 * rate)
    turned = pool([Estimate(-mean, variance) for mean, variance in effects])
    assert (turned.mean, turned.low) == pytest.approx((-here.mean, -here.high), abs=1e-9)


def test_one_and_two_campaigns() -> None:
    one = pool([Estimate(0.2, 0.01)])
    assert (one.mean, one.between, one.share_between, one.next_low) == (0.2, 0.0, 0.0, None)
    assert one.low == pytest.approx(0.2 - 0.196, abs=1e-4)
    assert pool([Estimate(0.2, 0.01), Estimate(0.3, 0.01)]).next_high is None
    assert cochran([Estimate(0.2, 0.01)]).p_value == 1.0


@pytest.mark.parametrize("effects", [[], [Estimate(0.1, 0.0)], [Estimate(0.1, 0.1), Estimate(float("nan"), 0.1)]])
def test_what_cannot_be_pooled_is_refused(effects: list[Estimate]) -> None:
    with pytest.raises(CampanileError, match="to pool|cannot be pooled"):
        pool(effects)


@pytest.mark.statistical
@pytest.mark.parametrize(("spread", "least"), [(0.12, 0.88), (0.4, 0.93)])
def test_the_range_of_the_next_campaign_holds_it(spread: float, least: float) -> None:
    """Twelve campaigns. Where half of the scatter is chance the range is too near, as is documented."""
    rng = np.random.default_rng(37)
    tried, campaigns, held, mean_held = 2_000, 12, 0, 0
    for _ in range(tried):
        variances = rng.uniform(0.005, 0.02, campaigns)
        truths = rng.normal(0.1, spread, campaigns + 1)
        seen = rng.normal(truths[:-1], np.sqrt(variances))
        found = pool([Estimate(float(x), float(v)) for x, v in zip(seen, variances, strict=True)])
        assert found.next_low is not None and found.next_high is not None
        held += found.next_low <= truths[-1] <= found.next_high
        mean_held += found.low <= 0.1 <= found.high
    assert held / tried >= least
    assert mean_held / tried >= 0.90
