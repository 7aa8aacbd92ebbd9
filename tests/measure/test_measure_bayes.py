"""Chances of rates against a closed form and scipy's integrals, of lifts against integration over the prior."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import integrate, special, stats

from campanile.errors import CampanileError
from campanile.measure import Beta, Count, Estimate, Moments, lift_estimate, lift_readout, pool, rate_readout

COUNTS = st.integers(1, 300).flatmap(lambda n: st.builds(Count, st.integers(0, n), st.just(n)))


def chance_in_closed_form(control: Count, treatment: Count) -> float:
    """A sum over whole parameters. Cook (2003), MD Anderson UTMDABTR-005-03; Miller (2015), Bayesian A/B testing."""
    a, b = control.responders + 1, control.n - control.responders + 1
    c, d = treatment.responders + 1, treatment.n - treatment.responders + 1
    i = np.arange(c)
    logs = special.betaln(a + i, b + d) - np.log(d + i) - special.betaln(1 + i, d) - special.betaln(a, b)
    return float(np.exp(logs).sum())


@given(COUNTS, COUNTS)
def test_the_chance_is_the_closed_form(control: Count, treatment: Count) -> None:
    found = rate_readout(control, treatment).chance
    assert found == pytest.approx(chance_in_closed_form(control, treatment), abs=1e-9)


@pytest.mark.parametrize(
    ("control", "treatment"),
    [
        (Count(60, 5_000), Count(1_300, 95_000)),
        (Count(5, 300), Count(20_000, 1_000_000)),
        (Count(1_000, 100_000), Count(1_000, 100_000)),
        (Count(0, 500), Count(40, 9_500)),
        (Count(0, 10), Count(0, 100_000)),
    ],
)
def test_unequal_arms_and_none_at_all(control: Count, treatment: Count) -> None:
    found = rate_readout(control, treatment)
    assert found.chance == pytest.approx(chance_in_closed_form(control, treatment), abs=1e-9)
    draws = np.random.default_rng(1)
    laws = [stats.beta(1 + arm.responders, 1 + arm.n - arm.responders) for arm in (control, treatment)]
    apart = laws[1].rvs(400_000, random_state=draws) - laws[0].rvs(400_000, random_state=draws)
    spread = float(apart.std())
    assert (found.low, found.high) == pytest.approx(np.quantile(apart, [0.025, 0.975]), abs=0.02 * spread)
    assert found.loss_treatment == pytest.approx(np.maximum(-apart, 0).mean(), abs=0.004 * spread)
    assert found.loss_control == pytest.approx(np.maximum(apart, 0).mean(), abs=0.004 * spread)


@pytest.mark.parametrize(("control", "treatment"), [(Count(3, 20), Count(7, 30)), (Count(44, 2000), Count(264, 8000))])
def test_loss_and_limits_are_those_of_scipys_integrals(control: Count, treatment: Count) -> None:
    """Over a prior of its own, and in two dimensions."""
    prior = Beta(2.5, 60.0)
    one, other = (stats.beta(2.5 + arm.responders, 60 + arm.n - arm.responders) for arm in (control, treatment))
    found = rate_readout(control, treatment, prior=prior, alpha=0.1)
    inner_low, inner_high = other.ppf(1e-13), other.ppf(1 - 1e-13)
    lost, _ = integrate.dblquad(
        lambda q, p: max(p - q, 0.0) * one.pdf(p) * other.pdf(q),
        one.ppf(1e-13),
        one.ppf(1 - 1e-13),
        inner_low,
        lambda p: min(max(p, inner_low), inner_high),
        epsabs=1e-12,
    )
    assert found.loss_treatment == pytest.approx(lost, rel=1e-5)
    for limit, chance in ((found.low, 0.05), (found.high, 0.95)):
        below, _ = integrate.quad(
            lambda p, at=limit: one.pdf(p) * other.cdf(p + at), one.ppf(1e-13), one.ppf(1 - 1e-13), limit=400
        )
        assert below == pytest.approx(chance, abs=1e-7)


def test_millions_of_customers_are_no_less_certain() -> None:
    found = rate_readout(Count(50, 10**7), Count(10**6, 10**8))
    assert found.chance == pytest.approx(1.0, abs=1e-12)
    assert found.low < found.difference < found.high


@settings(max_examples=40)
@given(COUNTS, COUNTS)
def test_changing_places_turns_everything_round(control: Count, treatment: Count) -> None:
    there, back = rate_readout(control, treatment), rate_readout(treatment, control)
    assert back.chance == pytest.approx(1 - there.chance, abs=1e-9)
    assert (back.low, back.high) == pytest.approx((-there.high, -there.low), abs=1e-7)
    assert back.loss_treatment == pytest.approx(there.loss_control, abs=1e-9)


@given(COUNTS, COUNTS)
def test_what_was_seen_in_parts_was_seen(one: Count, other: Count) -> None:
    both = Count(one.responders + other.responders, one.n + other.n)
    assert Beta(2.0, 9.0).seen(one).seen(other) == Beta(2.0, 9.0).seen(both)


@pytest.mark.parametrize("count", [Count(5, 3), Count(-1, 3), Count(0, 0)])
def test_counts_that_cannot_be_are_refused(count: Count) -> None:
    with pytest.raises(CampanileError, match="customers responded"):
        rate_readout(count, Count(3, 10))
    with pytest.raises(CampanileError, match="two numbers above zero"):
        rate_readout(Count(1, 3), Count(1, 3), prior=Beta(0.0, 1.0))


HILLSTROM = Moments(21_306, 0.652789, 11.588**2), Moments(21_307, 1.422617, 17.754**2)


def test_hillstroms_spend_is_drawn_in() -> None:
    """reference/statistics.md: a raw +118 % becomes +54 % when the programme's lifts are N(0, 0.3²)."""
    raw = lift_estimate(*HILLSTROM)
    assert raw.mean == pytest.approx(1.18, abs=0.005)
    assert lift_readout(raw, Estimate(0.0, 0.09)).mean == pytest.approx(0.54, abs=0.005)


@given(
    st.builds(Estimate, st.floats(-0.9, 3), st.floats(1e-4, 1)),
    st.builds(Estimate, st.floats(-0.5, 1), st.floats(1e-4, 1)),
)
def test_the_lift_is_the_integral_over_the_prior(found: Estimate, prior: Estimate) -> None:
    read = lift_readout(found, prior)

    grid = np.linspace(read.mean - 10 * math.sqrt(read.variance), read.mean + 10 * math.sqrt(read.variance), 4_001)
    logs = -((grid - found.mean) ** 2) / found.variance / 2 - (grid - prior.mean) ** 2 / prior.variance / 2
    weights = np.exp(logs - logs.max())
    mean = float(np.average(grid, weights=weights))
    spread = math.sqrt(read.variance)
    assert read.mean == pytest.approx(mean, abs=1e-6 * spread)
    assert read.variance == pytest.approx(float(np.average((grid - mean) ** 2, weights=weights)), rel=1e-6)
    assert (read.low, read.high) == pytest.approx(stats.norm(mean, spread).interval(0.95), abs=1e-6)
    assert read.chance == pytest.approx(stats.norm.sf(0, mean, spread), abs=1e-6)


def test_the_variance_of_a_lift_is_that_of_many_draws() -> None:
    rng = np.random.default_rng(3)
    control, treatment = (rng.normal(arm.mean, math.sqrt(arm.mean_variance / 25), 400_000) for arm in HILLSTROM)
    found = lift_estimate(*(Moments(25 * arm.n, arm.mean, arm.variance) for arm in HILLSTROM))
    assert found.variance == pytest.approx(float(np.var(treatment / control)), rel=0.03)


def test_lifts_without_a_base_or_a_variance_are_refused() -> None:
    with pytest.raises(CampanileError, match="control's mean is 0, so there is no lift"):
        lift_estimate(Moments(10, 0.0, 0.0), Moments(10, 1.0, 1.0))
    with pytest.raises(CampanileError, match="the variance of the prior is 0"):
        lift_readout(Estimate(0.1, 0.01), Estimate(0.0, 0.0))


@pytest.mark.statistical
def test_drawn_in_lifts_hold_the_truth_as_often_as_they_say() -> None:
    """Where true lifts come from the prior, limits hold 95 % even of those that look best; raw ones do not."""
    rng = np.random.default_rng(36)
    prior, tried = Estimate(0.05, 0.1**2), 4_000
    truths = rng.normal(prior.mean, 0.1, tried)
    raw = rng.normal(truths, 0.15)
    best = np.argsort(raw)[-400:]
    reads = [lift_readout(Estimate(float(raw[at]), 0.15**2), prior) for at in best]
    held = np.mean([read.low <= truths[at] <= read.high for read, at in zip(reads, best, strict=True)])
    naive = np.mean(np.abs(raw[best] - truths[best]) < 1.96 * 0.15)
    assert held == pytest.approx(0.95, abs=0.04)
    assert naive < 0.85
    assert pool([Estimate(float(x), 0.15**2) for x in raw]).prior == pytest.approx(prior, rel=0.15, abs=0.01)
