"""Do intervals hold the truth and tests cry wolf as often as they say, and do they find what they should?

Seeds are fixed, so a failure is a change of the method and not of luck. The tables are in
docs/method-money-interval.md.
"""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from campanile.measure import Count, holm, pooled_z_p
from campanile.measure.compare import amount_method
from campanile.measure.rates import rate_p
from statistical.money_coverage import (
    LIFTS,
    SIZES,
    SPLITS,
    WAYS,
    Setting,
    Through,
    arms,
    money,
    money_lift,
    rates,
    setting_of,
)

pytestmark = pytest.mark.statistical

REPLICATIONS = 2_000
POPULATIONS = [(share, size, sigma) for share in SPLITS for size in SIZES for sigma in (0.5, 1.5)]


def within(found: int, tried: int, probability: float) -> bool:
    """Whether a count is one that chance gives in all but one of ten thousand runs."""
    low, high = stats.binom.interval(0.9999, tried, probability)
    return bool(low <= found <= high)


def p_values(setting: Setting, count: int, seed: int) -> list[float]:
    """The product's p-values of no difference."""
    found = []
    for control, treatment in arms(setting, count, seed=seed):
        method = amount_method(control, treatment, "revenue")
        assert method is not None
        found.append(method.p_of(control, treatment, "revenue", 0.0))
    return found


@pytest.mark.timeout(1800)
def test_money_intervals_hold_the_truth_in_every_setting() -> None:
    """Over splits, sizes, shares of buyers, shapes of orders and lifts: 93 % in each, 94.5 % on average.

    What chance does to 2,000 replications of a right interval (half a point) is inside the two points of slack.
    """
    settings = [setting_of(*population, way) for population in POPULATIONS for way in WAYS if way[0]]
    found = {setting: money(setting, REPLICATIONS, others=False)["product"] for setting in settings}
    assert not {setting: each for setting, each in found.items() if each.held < 0.93}
    assert not {setting: each for setting, each in found.items() if each.above > 0.04}, "overclaims"
    assert np.mean([each.held for each in found.values()]) >= 0.945
    assert np.mean([each.above for each in found.values()]) == pytest.approx(0.025, abs=0.004), "lopsided"


@pytest.mark.timeout(1800)
def test_money_a_a_finds_an_effect_as_often_as_it_says() -> None:
    """Size 4 to 6 % wherever nothing was done, up to what chance does to 4,000 replications one time in a hundred."""
    tried = 4_000
    settings = [setting_of(*population, (0.0, "rate")) for population in POPULATIONS]
    sizes = {setting: np.mean(np.array(p_values(setting, tried, seed=7)) < 0.05) for setting in settings}
    least, most = stats.binom.ppf(0.01, tried, 0.04) / tried, stats.binom.ppf(0.99, tried, 0.06) / tried
    assert not {setting: size for setting, size in sizes.items() if not least <= size <= most}
    assert np.mean(list(sizes.values())) == pytest.approx(0.05, abs=0.003)


@pytest.mark.parametrize("lift", LIFTS)
def test_welch_does_not_beside_a_small_control(lift: float) -> None:
    """Why the method of the field is not used there: it misses on the campaign's side."""
    welch = money(Setting(5_000, 95_000, 1.5, lift), REPLICATIONS)["welch"]
    assert welch.held < 0.93
    assert welch.above > 0.06


@pytest.mark.parametrize("lift", LIFTS)
def test_money_intervals_bear_some_returns(lift: float) -> None:
    found = money(Setting(5_000, 95_000, 1.0, lift, returned=0.1), REPLICATIONS, others=False)["product"]
    assert found.held >= 0.93


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(("share", "size"), [(0.05, (20_000, 0.005)), (0.5, (20_000, 0.01))])
def test_lift_intervals_of_money_hold_the_truth_when_shown(
    share: float, size: tuple[int, float], way: tuple[float, Through]
) -> None:
    found, withheld = money_lift(setting_of(share, size, 1.5, way), REPLICATIONS)
    assert found.held >= 0.93
    assert withheld < 0.02


@pytest.mark.parametrize("lift", LIFTS)
@pytest.mark.parametrize(("n_control", "n_treatment"), [(500, 9_500), (5_000, 95_000), (10_000, 10_000)])
def test_rate_intervals_hold_the_truth(n_control: int, n_treatment: int, lift: float) -> None:
    ours, _, _ = rates(Setting(n_control, n_treatment, 1.0, lift), 5_000)
    assert ours.held >= 0.93
    assert ours.above <= 0.04


def test_the_plain_normal_interval_of_rates_does_not() -> None:
    _, wald, _ = rates(Setting(500, 9_500, 1.0, 0.2), 5_000)
    assert wald.held < 0.925
    assert wald.above > 0.07


@pytest.mark.parametrize(
    ("n_control", "n_treatment", "rate"), [(5_000, 95_000, 0.01), (10_000, 10_000, 0.01), (2_000, 8_000, 0.022)]
)
def test_rate_a_a_finds_an_effect_as_seldom_as_it_says(n_control: int, n_treatment: int, rate: float) -> None:
    tried = 4_000
    rng = np.random.default_rng(8)
    pairs = zip(rng.binomial(n_control, rate, tried), rng.binomial(n_treatment, rate, tried), strict=True)
    found = sum(rate_p(Count(int(few), n_control), Count(int(many), n_treatment))[0] < 0.05 for few, many in pairs)
    assert within(found, tried, 0.05)


def test_few_responders_make_fisher_cautious_and_never_rash() -> None:
    rng = np.random.default_rng(9)
    pairs = zip(rng.binomial(300, 0.01, 2_000), rng.binomial(2_700, 0.01, 2_000), strict=True)
    results = [rate_p(Count(int(few), 300), Count(int(many), 2_700)) for few, many in pairs]
    assert {method for _, method in results} == {"Fisher exact"}
    assert np.mean([p < 0.05 for p, _ in results]) <= 0.05


def test_several_arms_without_effect_seldom_show_any() -> None:
    """Three treatments against one control at a true rate of 5 %: uncorrected, one run in eight shows an effect."""
    rng = np.random.default_rng(10)
    tried, corrected, naive = 4_000, 0, 0
    for counts in rng.binomial(10_000, 0.05, (tried, 4)):
        control, *treatments = (Count(int(count), 10_000) for count in counts)
        p_values = [pooled_z_p(control, treatment) for treatment in treatments]
        corrected += min(holm(p_values)) < 0.05
        naive += min(p_values) < 0.05
    assert naive / tried > 0.09
    assert corrected / tried < 0.056


def test_power_of_rates_is_that_of_the_plan() -> None:
    """12,047 control and 108,423 treated find 2.0 % -> 2.4 % four times in five (reference/domain.md 2.13)."""
    tried = 5_000
    rng = np.random.default_rng(11)
    pairs = zip(rng.binomial(12_047, 0.020, tried), rng.binomial(108_423, 0.024, tried), strict=True)
    found = sum(pooled_z_p(Count(int(few), 12_047), Count(int(many), 108_423)) < 0.05 for few, many in pairs)
    assert found / tried == pytest.approx(0.80, abs=0.025)


@pytest.mark.parametrize(("n_control", "n_treatment"), [(40_000, 40_000), (20_000, 180_000)])
def test_power_of_money_is_that_of_the_normal_formula(n_control: int, n_treatment: int) -> None:
    """The difference that the test at no difference finds four times in five, either error with its own variance."""
    sigma, buyers, tried = 1.0, 0.02, 1_500
    mean, n = buyers * np.exp(sigma**2 / 2), n_control + n_treatment

    def variance(lift: float) -> float:
        return float((1 + lift) * buyers * np.exp(2 * sigma**2) - ((1 + lift) * mean) ** 2)

    lift = 0.0
    for _ in range(20):
        pooled = (n_control * variance(0.0) + n_treatment * variance(lift)) / n
        at_none = np.sqrt(pooled * (1 / n_control + 1 / n_treatment))
        at_lift = np.sqrt(variance(0.0) / n_control + variance(lift) / n_treatment)
        lift = (stats.norm.ppf(0.975) * at_none + stats.norm.ppf(0.8) * at_lift) / mean
    setting = Setting(n_control, n_treatment, sigma, lift, buyers=buyers)
    found = np.array(p_values(setting, tried, seed=12))
    assert np.mean(found < 0.05) == pytest.approx(0.80, abs=0.05)


def test_the_product_picks_its_method_without_looking_at_the_result() -> None:
    """Where the choice between Welch and relabelling turns on the skewness of a mean, coverage does not suffer."""
    setting = Setting(85_000, 85_000, 0.5, 0.2)
    chosen = {amount_method(*pair, "revenue").interval_name for pair in arms(setting, 100)}  # type: ignore[union-attr]
    assert chosen == {"Welch", "relabelled orders"}
    assert money(setting, REPLICATIONS, others=False)["product"].held >= 0.93


@pytest.mark.parametrize("lift", LIFTS)
@pytest.mark.parametrize("sigma", [1.5, 2.0])
def test_money_intervals_hold_the_truth_at_thirty_to_seventy(sigma: float, lift: float) -> None:
    """With 450 buyers in control, where Welch overclaims."""
    found = money(Setting(45_000, 105_000, sigma, lift), REPLICATIONS, others=False)["product"]
    assert found.held >= 0.93
    assert found.above <= 0.04
