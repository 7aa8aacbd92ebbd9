"""How often intervals of money and of rates hold the truth, by simulation; run it to make the tables of the docs.

    .venv/bin/python tests/statistical/money_coverage.py --replications 10000

prints the tables of docs/method-money-interval.md; `--full` the summary of the whole grid. Most customers spend
nothing, buyers a lognormal amount at sixteen price points to the doubling. An interval holds the truth exactly when its
test does not reject it, so most replications ask for the p-value at the truth alone. Seeds are fixed.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import groupby, product
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from campanile.measure import ArmStatistics, compare_amounts, compare_rates, pooled_p, score_p, welch_p
from campanile.measure.compare import amount_method
from campanile.measure.counts import moments_of
from campanile.measure.relabelled import orders_of, relabelled_lift_p
from campanile.measure.types import CLASSES_PER_DOUBLING

SEED = 20_261_123
MEDIAN_ORDER = 5_000  # minor units
ALPHA = 0.05
Through = Literal["rate", "value", "both"]


@dataclass(frozen=True)
class Setting:
    """Two arms and the truth about them.

    The lift comes from more buyers (`rate`), from larger orders (`value`) or half from either (`both`).
    """

    n_control: int
    n_treatment: int
    sigma: float
    lift: float
    through: Through = "rate"
    buyers: float = 0.01
    returned: float = 0.0  # share of the buyers whose value is below zero
    other_sigma: float | None = None  # of treatment's orders, when their shape is another one

    @property
    def more(self) -> float:
        """How many times control's buyers treatment's are."""
        return {"rate": 1 + self.lift, "value": 1.0, "both": (1 + self.lift) ** 0.5}[self.through]

    @property
    def control(self) -> Arm:
        return Arm("control", self.n_control, self.buyers, 1.0, self.sigma)

    @property
    def treatment(self) -> Arm:
        sigma = self.sigma if self.other_sigma is None else self.other_sigma
        same_mean = mean_order(self.sigma) / mean_order(sigma)
        larger = (1 + self.lift) / self.more * same_mean
        return Arm("treatment", self.n_treatment, self.buyers * self.more, larger, sigma)

    @property
    def mean_control(self) -> float:
        return self.buyers * mean_order(self.sigma) * (1 - 2 * self.returned)

    @property
    def difference(self) -> float:
        return self.mean_control * self.lift

    @property
    def says(self) -> str:
        how = "" if not self.lift or self.through == "rate" else f" by {self.through}"
        return f"{self.lift:+.0%}{how}" + (f", {self.returned:.0%} returns" if self.returned else "")


@dataclass(frozen=True)
class Arm:
    """One arm's size, share of buyers, and how many times `MEDIAN_ORDER` its median is."""

    name: str
    n: int
    buyers: float
    larger: float
    sigma: float


@dataclass(frozen=True)
class Coverage:
    """Shares of replications: held the truth, lay wholly above it (overclaimed), and below it."""

    held: float
    above: float
    below: float


@cache
def orders(sigma: float) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Price points of lognormal orders with their probabilities, out to six standard deviations."""
    step = np.log(2) / CLASSES_PER_DOUBLING / sigma
    point = np.arange(-int(6 / step), int(6 / step) + 1)
    mass = np.diff(stats.norm.cdf(np.append(point - 0.5, point[-1] + 0.5) * step))
    return MEDIAN_ORDER * np.exp2(point / CLASSES_PER_DOUBLING), mass / mass.sum()


def mean_order(sigma: float) -> float:
    amounts, mass = orders(sigma)
    return float(amounts @ mass)


def draw(rng: np.random.Generator, arm: Arm, setting: Setting, count: int) -> Iterator[ArmStatistics]:
    """`count` replications of one arm on the metric `revenue`, in thousandths of a minor unit."""
    amounts, mass = orders(arm.sigma)
    amounts = np.rint(1000 * arm.larger * amounts)
    drawn = rng.multinomial(rng.binomial(arm.n, arm.buyers, count), mass)
    back = rng.binomial(drawn, setting.returned) if setting.returned else np.zeros_like(drawn)
    for bought, returned in zip(drawn, back, strict=True):
        kept = bought - returned
        total, square = int((kept - returned) @ amounts), float(bought @ amounts**2)
        classes = _classes(kept, amounts, 1) | _classes(returned, amounts, -1)
        yield ArmStatistics(
            arm.name,
            arm.n,
            {"revenue": total},
            {"revenue": square - total * (total / arm.n)},
            nonzero={"revenue": int(bought.sum())},
            negative={"revenue": int(returned.sum())},
            classes={"revenue": classes},
        )


def _classes(counts: NDArray[np.int64], amounts: NDArray[np.float64], sign: int) -> dict[int, tuple[int, int]]:
    places = np.flatnonzero(counts)
    sums = (sign * counts[places] * amounts[places]).astype(int)
    numbers = (sign * (places + 1)).tolist()
    return dict(zip(numbers, zip(counts[places].tolist(), sums.tolist(), strict=True), strict=True))


def arms(setting: Setting, count: int, seed: int = SEED) -> Iterator[tuple[ArmStatistics, ArmStatistics]]:
    """`count` replications of control and treatment."""
    parts = (setting.n_control, setting.n_treatment, round(1e4 * setting.buyers), round(10 * setting.sigma))
    rng = np.random.default_rng([seed, *parts, round(1000 + 100 * setting.lift), len(setting.through)])
    for start in range(0, count, 1000):
        some = min(1000, count - start)
        yield from zip(
            draw(rng, setting.control, setting, some), draw(rng, setting.treatment, setting, some), strict=True
        )


def coverage(p_values: Sequence[float], above: Sequence[bool]) -> Coverage:
    """From p-values at the truth, and whether the estimate lay above it."""
    rejected, high = np.array(p_values) < ALPHA, np.array(above)
    return Coverage(1 - rejected.mean(), float(np.mean(rejected & high)), float(np.mean(rejected & ~high)))


def money(setting: Setting, count: int, *, others: bool = True) -> dict[str, Coverage]:
    """Coverage of the product's interval and, on the same data, of Welch's, the score and the pooled one."""
    truth = 1000 * setting.difference
    found: dict[str, list[float]] = {"product": [], "welch": [], "score": [], "pooled": []}
    above = []
    for control, treatment in arms(setting, count):
        method = amount_method(control, treatment, "revenue")
        assert method is not None
        found["product"].append(method.p_of(control, treatment, "revenue", truth))
        above.append(treatment.mean("revenue") - control.mean("revenue") > truth)
        if others:
            pair = moments_of(control, "revenue"), moments_of(treatment, "revenue")
            for name, p_value in (("welch", welch_p), ("score", score_p), ("pooled", pooled_p)):
                found[name].append(p_value(*pair, difference=truth))
    return {name: coverage(p_values, above) for name, p_values in found.items() if p_values}


def widths(setting: Setting, count: int) -> float:
    """The median width of the product's interval over that of the quasi-Poisson score, by `count` replications."""
    ratios = []
    for control, treatment in arms(setting, count):
        found = compare_amounts(control, treatment, "revenue")
        bare = [ArmStatistics(a.arm, a.n, a.sums, a.squares, nonzero=a.nonzero) for a in (control, treatment)]
        other = compare_amounts(*bare, "revenue")
        assert found.low is not None
        assert found.high is not None
        assert other.low is not None
        assert other.high is not None
        ratios.append((found.high - found.low) / (other.high - other.low))
    return float(np.median(ratios))


def money_lift(setting: Setting, count: int) -> tuple[Coverage, float]:
    """Coverage of the lift's interval among those shown, and the share withheld: an arm bought nothing."""
    p_values, above = [], []
    for pair in arms(setting, count):
        control, treatment = (orders_of(arm, "revenue") for arm in pair)
        if control.total > 0 and treatment.total > 0:
            p_values.append(relabelled_lift_p(control, treatment, lift=setting.lift))
            above.append(treatment.mean / control.mean > 1 + setting.lift)
    return coverage(p_values, above), 1 - len(p_values) / count


def rates(setting: Setting, count: int) -> tuple[Coverage, Coverage, float]:
    """Coverage for a difference of rates: the product's interval, the plain normal one; and how often p < alpha."""
    rng = np.random.default_rng(
        [SEED, setting.n_control, round(1e4 * setting.buyers), round(1000 + 100 * setting.lift)]
    )
    truth = setting.buyers * setting.lift
    ours, wald, found_any = [], [], 0
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
        assert found.p_value is not None
        ours.append((found.low, found.high))
        error = sum(
            p * (1 - p) / n
            for p, n in ((found.mean_control, found.n_control), (found.mean_treatment, found.n_treatment))
        )
        wald.append((found.difference - 1.959964 * error**0.5, found.difference + 1.959964 * error**0.5))
        found_any += found.p_value < ALPHA
    return _held(np.array(ours), truth), _held(np.array(wald), truth), found_any / count


def _held(limits: NDArray[np.float64], truth: float) -> Coverage:
    low, high = limits.T
    return Coverage(
        float(np.mean((low <= truth) & (truth <= high))), float(np.mean(low > truth)), float(np.mean(high < truth))
    )


SPLITS = (0.5, 0.1, 0.05)
TOTALS = (20_000, 100_000, 400_000)
BUYERS = (0.005, 0.01, 0.05, 0.2)
SIGMAS = (0.5, 1.0, 1.5)
LIFTS = (0.0, 0.2, 1.0, -0.3)
#: Sizes with shares of buyers: the corners of the grid and what lies between them.
SIZES = ((20_000, 0.005), (20_000, 0.2), (100_000, 0.01), (400_000, 0.05))
#: Lifts, with what they come through.
WAYS: tuple[tuple[float, Through], ...] = (
    (0.0, "rate"),
    (-0.3, "rate"),
    (-0.3, "value"),
    (0.2, "both"),
    (1.0, "rate"),
    (1.0, "value"),
)


def setting_of(share: float, size: tuple[int, float], sigma: float, way: tuple[float, Through]) -> Setting:
    n_control = round(size[0] * share)
    return Setting(n_control, size[0] - n_control, sigma, way[0], way[1], buyers=size[1])


def thinned() -> list[Setting]:
    return [setting_of(*each) for each in product(SPLITS, SIZES, (0.5, 1.5), WAYS)]


def whole_grid() -> list[Setting]:
    ways: list[tuple[float, Through]] = [(0.0, "rate")]
    ways += product((-0.3, 0.2, 0.5, 1.0), ("rate", "value", "both"))  # type: ignore[arg-type]
    return [setting_of(*each) for each in product(SPLITS, product(TOTALS, BUYERS), SIGMAS, ways)]


def money_table(settings: Sequence[Setting], count: int) -> Iterator[str]:
    """A row for each population with its lifts side by side, and a summary."""
    lifts = " | ".join(Setting(1, 1, 1, *way).says for way in WAYS)
    yield f"| control / treatment | buyers | σ | {lifts} | overclaims |"
    yield "|---|---|---|" + "---|" * (len(WAYS) + 1)
    every: list[Coverage] = []
    for key, rows in groupby(settings, key=lambda each: (each.n_control, each.n_treatment, each.buyers, each.sigma)):
        found = [money(setting, count, others=False)["product"] for setting in rows]
        every += found
        cells = " | ".join(f"{each.held:.1%}" for each in found)
        worst = max(each.above for each in found)
        yield f"| {key[0]:,} / {key[1]:,} | {key[2]:.1%} | {key[3]:g} | {cells} | {worst:.1%} |"
    yield ""
    yield _summary(every, settings)


def _summary(found: Sequence[Coverage], settings: Sequence[Setting]) -> str:
    held = np.array([each.held for each in found])
    sizes = np.array([1 - each.held for each, setting in zip(found, settings, strict=True) if not setting.lift])
    above, below = np.mean([each.above for each in found]), np.mean([each.below for each in found])
    return (
        f"{len(found)} settings: coverage {held.min():.1%} to {held.max():.1%}, mean {held.mean():.2%}; above the "
        f"truth {above:.2%}, below it {below:.2%}. Size without an effect {sizes.min():.1%} to {sizes.max():.1%}, "
        f"mean {sizes.mean():.2%}."
    )


def beside_others(count: int) -> Iterator[str]:
    yield (
        "| control / treatment | buyers | σ | true lift | interval | overclaims | score | Welch | overclaims | pooled "
        "| width / score |"
    )
    yield "|---|---|---|---|---|---|---|---|---|---|---|"
    sizes: list[tuple[float, tuple[int, float], float]] = [
        (0.05, (20_000, 0.005), 1.5),
        (0.05, (100_000, 0.01), 1.0),
        (0.05, (100_000, 0.01), 1.5),
        (0.1, (20_000, 0.01), 1.5),
        (0.5, (20_000, 0.005), 1.5),
    ]
    for size in sizes:
        for way in ((0.0, "rate"), (-0.3, "value"), (1.0, "rate"), (1.0, "value")):
            setting = setting_of(*size, way)  # type: ignore[arg-type]
            found = money(setting, count)
            ours, welch = found["product"], found["welch"]
            yield (
                f"| {setting.n_control:,} / {setting.n_treatment:,} | {setting.buyers:.1%} | {setting.sigma:g} | "
                f"{setting.says} | **{ours.held:.1%}** | {ours.above:.1%} | {found['score'].held:.1%} | "
                f"{welch.held:.1%} | {welch.above:.1%} | {found['pooled'].held:.1%} | "
                f"{widths(setting, 100):.2f} |"
            )


def strained(count: int) -> Iterator[str]:
    """Where the model does not hold: values below zero, and orders of another shape in treatment."""
    yield "| control / treatment | buyers | σ of either | true lift | interval | overclaims | Welch | overclaims |"
    yield "|---|---|---|---|---|---|---|---|"
    rows = [Setting(5_000, 95_000, 1.0, lift, returned=share) for share in (0.02, 0.1) for lift in LIFTS]
    for sizes in ((5_000, 95_000, 0.01), (50_000, 50_000, 0.01), (20_000, 380_000, 0.2)):
        rows += [
            Setting(*sizes[:2], sigma, 0.2, "both", buyers=sizes[2], other_sigma=other)
            for sigma, other in ((0.5, 1.0), (1.0, 0.5), (1.0, 1.5), (1.5, 1.0))
        ]
    for setting in rows:
        found = money(setting, count)
        ours, welch = found["product"], found["welch"]
        yield (
            f"| {setting.n_control:,} / {setting.n_treatment:,} | {setting.buyers:.0%} | "
            f"{setting.sigma:g} / {setting.treatment.sigma:g} | {setting.says} | **{ours.held:.1%}** | "
            f"{ours.above:.1%} | {welch.held:.1%} | {welch.above:.1%} |"
        )


def rate_table(count: int) -> Iterator[str]:
    lifts = " | ".join(f"{lift:+.0%}" for lift in LIFTS)
    yield f"| control / treatment | rate | {lifts} | overclaims | plain normal, worst | p < 5% at +0% |"
    yield "|---|---|" + "---|" * (len(LIFTS) + 3)
    for share, size in product(SPLITS, product(TOTALS, BUYERS)):
        found = [rates(setting_of(share, size, 1.0, (lift, "rate")), count) for lift in LIFTS]
        setting = setting_of(share, size, 1.0, (0.0, "rate"))
        cells = " | ".join(f"{ours.held:.1%}" for ours, _, _ in found)
        yield (
            f"| {setting.n_control:,} / {setting.n_treatment:,} | {size[1]:.1%} | {cells} | "
            f"{max(ours.above for ours, _, _ in found):.1%} | {min(wald.held for _, wald, _ in found):.1%} | "
            f"{found[0][2]:.1%} |"
        )


def lift_table(count: int) -> Iterator[str]:
    yield "| control / treatment | buyers | σ | true lift | interval, when shown | overclaims | withheld |"
    yield "|---|---|---|---|---|---|---|"
    for share, size in ((0.05, (20_000, 0.005)), (0.05, (100_000, 0.01)), (0.5, (20_000, 0.01))):
        for way in WAYS:
            setting = setting_of(share, size, 1.5, way)
            found, withheld = money_lift(setting, count)
            yield (
                f"| {setting.n_control:,} / {setting.n_treatment:,} | {size[1]:.1%} | {setting.sigma:g} | "
                f"{setting.says} | **{found.held:.1%}** | {found.above:.1%} | {withheld:.1%} |"
            )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--replications", type=int, default=2_000)
    parser.add_argument("--full", action="store_true", help="the whole grid, in one line")
    given = parser.parse_args()
    count = given.replications
    if given.full:
        settings = whole_grid()
        print(_summary([money(setting, count, others=False)["product"] for setting in settings], settings))
        return
    for title, table in (
        (f"Response rate, {count:,} replications a cell", rate_table(count)),
        (f"Money per customer, {count:,} replications a cell", money_table(thinned(), count)),
        (f"Money beside the other methods, {count:,} replications a row", beside_others(count)),
        (f"Where the model does not hold, {count:,} replications a row", strained(count)),
        (f"Lift of money per customer, {count:,} replications a row", lift_table(count)),
    ):
        print(f"{title}, nominal 95 %:\n", flush=True)
        for row in table:
            print(row, flush=True)
        print()


if __name__ == "__main__":
    main()
