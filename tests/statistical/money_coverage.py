"""How often intervals of money and of rates hold the truth, by simulation; run it to make the table of the docs.

    .venv/bin/python tests/statistical/money_coverage.py --replications 10000

prints the tables of docs/method-money-interval.md. Most customers spend nothing, buyers a lognormal amount in whole
minor units. Seeds are fixed.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from campanile.measure import ArmStatistics, compare_amounts, compare_rates, pooled_interval, welch_interval
from campanile.measure.counts import moments_of

SEED = 20_261_123
MEDIAN_ORDER = 5_000  # minor units
Through = Literal["rate", "value"]


@dataclass(frozen=True)
class Setting:
    """Two arms and the truth about them. The lift comes from more buyers (`rate`) or from larger orders (`value`)."""

    n_control: int
    n_treatment: int
    sigma: float
    lift: float
    through: Through = "rate"
    buyers: float = 0.01
    returned: float = 0.0  # share of the buyers whose value is below zero

    @property
    def mean_control(self) -> float:
        value = MEDIAN_ORDER * np.exp(self.sigma**2 / 2)
        return float(self.buyers * value * (1 - 2 * self.returned))

    @property
    def difference(self) -> float:
        return self.mean_control * self.lift


@dataclass(frozen=True)
class Coverage:
    """Shares of replications: held the truth, lay wholly above it (overclaimed), and the median width."""

    held: float
    above: float
    width: float


@dataclass(frozen=True)
class Arm:
    """One arm's size, share of buyers and median order."""

    name: str
    n: int
    buyers: float
    median: float


def draw(rng: np.random.Generator, arm: Arm, setting: Setting, count: int) -> Iterator[ArmStatistics]:
    """`count` replications of one arm on the metric `revenue`."""
    buyers = rng.binomial(arm.n, arm.buyers, count)
    values = np.rint(rng.lognormal(np.log(arm.median), setting.sigma, buyers.sum()))
    signs = np.where(rng.random(values.size) < setting.returned, -1, 1) if setting.returned else np.ones(values.size)
    values *= signs
    which = np.repeat(np.arange(count), buyers)
    sums = np.bincount(which, values, count)
    squares = np.bincount(which, values**2, count) - sums**2 / arm.n
    negative = np.bincount(which, signs < 0, count)
    for row in zip(sums, squares, buyers, negative, strict=True):
        total, square, nonzero, below = int(row[0]), float(row[1]), int(row[2]), int(row[3])
        yield ArmStatistics(
            arm.name, arm.n, {"revenue": total}, {"revenue": square}, {}, {"revenue": nonzero}, {"revenue": below}
        )


def arms(setting: Setting, count: int, seed: int = SEED) -> Iterator[tuple[ArmStatistics, ArmStatistics]]:
    """`count` replications of control and treatment."""
    rng = np.random.default_rng([seed, setting.n_control, round(10 * setting.sigma), round(1000 + 100 * setting.lift)])
    more, larger = (1 + setting.lift, 1.0) if setting.through == "rate" else (1.0, 1 + setting.lift)
    control = Arm("control", setting.n_control, setting.buyers, MEDIAN_ORDER)
    treatment = Arm("treatment", setting.n_treatment, setting.buyers * more, MEDIAN_ORDER * larger)
    return zip(draw(rng, control, setting, count), draw(rng, treatment, setting, count), strict=True)


def coverage(limits: NDArray[np.float64], truth: float) -> Coverage:
    low, high = limits.T
    return Coverage(
        float(np.mean((low <= truth) & (truth <= high))), float(np.mean(low > truth)), float(np.median(high - low))
    )


def money(setting: Setting, count: int) -> dict[str, Coverage]:
    """Coverage of the product's interval, of Welch's and of the pooled one, on the same data."""
    limits: dict[str, list[tuple[float, float]]] = {"product": [], "welch": [], "pooled": []}
    for control, treatment in arms(setting, count):
        found = compare_amounts(control, treatment, "revenue")
        assert found.low is not None
        assert found.high is not None
        pair = moments_of(control, "revenue"), moments_of(treatment, "revenue")
        limits["product"].append((found.low, found.high))
        limits["welch"].append(welch_interval(*pair))
        limits["pooled"].append(pooled_interval(*pair))
    return {name: coverage(np.array(pairs), setting.difference) for name, pairs in limits.items()}


def money_lift(setting: Setting, count: int) -> tuple[float, float]:
    """Share of lift intervals that hold the truth among those shown, and the share withheld."""
    shown = held = 0
    for control, treatment in arms(setting, count):
        found = compare_amounts(control, treatment, "revenue")
        if found.lift_low is not None and found.lift_high is not None:
            shown += 1
            held += found.lift_low <= setting.lift <= found.lift_high
    return (held / shown if shown else float("nan")), 1 - shown / count


def rates(setting: Setting, count: int) -> tuple[Coverage, Coverage]:
    """Coverage of the product's interval for a difference of rates, and of the plain normal (Wald) one."""
    rng = np.random.default_rng([SEED, setting.n_control, round(1000 + 100 * setting.lift)])
    ours, wald = [], []
    pairs = zip(
        rng.binomial(setting.n_control, setting.buyers, count),
        rng.binomial(setting.n_treatment, setting.buyers * (1 + setting.lift), count),
        strict=True,
    )
    for few, many in pairs:
        control = ArmStatistics.from_counts("control", setting.n_control, {"r": int(few)})
        treatment = ArmStatistics.from_counts("treatment", setting.n_treatment, {"r": int(many)})
        found = compare_rates(control, treatment, "r")
        assert found.low is not None
        assert found.high is not None
        ours.append((found.low, found.high))
        error = sum(
            p * (1 - p) / n
            for p, n in ((found.mean_control, found.n_control), (found.mean_treatment, found.n_treatment))
        )
        half = 1.959964 * error**0.5
        wald.append((found.difference - half, found.difference + half))
    truth = setting.buyers * setting.lift
    return coverage(np.array(ours), truth), coverage(np.array(wald), truth)


SPLITS = ((1_000, 19_000), (5_000, 95_000), (20_000, 380_000), (10_000, 10_000), (50_000, 50_000))
LIFTS = (0.0, 0.2, 1.0, -0.3)


def money_settings() -> list[Setting]:
    by_rate = [Setting(*split, sigma, lift) for split in SPLITS for sigma in (1.0, 1.5) for lift in LIFTS]
    by_rate += [Setting(45_000, 105_000, sigma, lift) for sigma in (1.0, 1.5, 2.0) for lift in LIFTS]
    by_value = [
        Setting(*split, sigma, lift, through="value")
        for split in ((5_000, 95_000), (50_000, 50_000))
        for sigma in (1.0, 1.5)
        for lift in LIFTS[1:]
    ]
    returns = [Setting(5_000, 95_000, 1.0, lift, returned=share) for share in (0.02, 0.1) for lift in LIFTS]
    return by_rate + by_value + returns


def money_table(count: int) -> Iterator[str]:
    yield (
        "| control / treatment | σ | true lift | interval | overclaims | Welch | overclaims | pooled | width / Welch |"
    )
    yield "|---|---|---|---|---|---|---|---|---|"
    for setting in money_settings():
        found = money(setting, count)
        ours, welch, pooled = found["product"], found["welch"], found["pooled"]
        how = " by value" if setting.through == "value" else ""
        how += f", {setting.returned:.0%} returns" if setting.returned else ""
        yield (
            f"| {setting.n_control:,} / {setting.n_treatment:,} | {setting.sigma:g} | {setting.lift:+.0%}{how} | "
            f"**{ours.held:.1%}** | {ours.above:.1%} | {welch.held:.1%} | {welch.above:.1%} | {pooled.held:.1%} | "
            f"{ours.width / welch.width:.2f} |"
        )


def rate_table(count: int) -> Iterator[str]:
    yield "| control / treatment | true lift | interval | overclaims | plain normal | overclaims |"
    yield "|---|---|---|---|---|---|"
    for split in ((500, 9_500), *SPLITS[:2], SPLITS[3]):
        for lift in LIFTS:
            ours, wald = rates(Setting(*split, 1.0, lift), count)
            yield (
                f"| {split[0]:,} / {split[1]:,} | {lift:+.0%} | **{ours.held:.1%}** | {ours.above:.1%} | "
                f"{wald.held:.1%} | {wald.above:.1%} |"
            )


def lift_table(count: int) -> Iterator[str]:
    yield "| control / treatment | σ | true lift | interval, when shown | withheld |"
    yield "|---|---|---|---|---|"
    for split in (SPLITS[1], SPLITS[3]):
        for sigma in (1.0, 1.5):
            for lift in LIFTS:
                held, withheld = money_lift(Setting(*split, sigma, lift), count)
                yield f"| {split[0]:,} / {split[1]:,} | {sigma:g} | {lift:+.0%} | **{held:.1%}** | {withheld:.1%} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--replications", type=int, default=2_000)
    count = parser.parse_args().replications
    print(f"Money per customer, {count:,} replications a row, nominal 95 %:\n")
    print("\n".join(money_table(count)))
    print(f"\nLift of money per customer, {count:,} replications a row, nominal 95 %:\n")
    print("\n".join(lift_table(count)))
    print(f"\nResponse rate, 1 % in control, {count:,} replications a row, nominal 95 %:\n")
    print("\n".join(rate_table(count)))


if __name__ == "__main__":
    main()
