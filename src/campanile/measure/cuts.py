"""One effect in many parts: does it differ from part to part, and what is left of the best after luck is taken out.

Reads comparisons of one metric and one pair of arms, one for each level of a cut. Returns figures, never a winner.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import groupby

from campanile.measure.counts import normal_quantile
from campanile.measure.lift import Estimate
from campanile.measure.multiple import benjamini_hochberg
from campanile.measure.pooling import cochran
from campanile.measure.types import ArmStatistics, Comparison


@dataclass(frozen=True, slots=True)
class Heterogeneity:
    """Whether one effect differs between the levels of one cut.

    Attributes:
        statistic: Cochran's Q.
        p_value: Of one effect in all levels; None when fewer than two levels can be compared.
        between: The variance of the true effects between levels (tau squared, DerSimonian and Laird).
        pooled: The mean effect over the levels.
    """

    metric: str
    treatment: str
    control: str
    cut: str
    levels: int
    statistic: float | None
    p_value: float | None
    between: float
    pooled: float | None

    def judges(self, part: Part) -> bool:
        """Whether the part is a level of this cut, of this metric and pair of arms."""
        found = part.comparison
        mine = (self.metric, self.treatment, self.control, self.cut)
        return (found.metric, found.treatment, found.control, found.cut) == mine


@dataclass(frozen=True, slots=True)
class Part:
    """The effect in one level with its squared standard error; `shrunken` is drawn towards the mean of all levels."""

    comparison: Comparison
    variance: float
    shrunken: float | None = None


def part(control: ArmStatistics, treatment: ArmStatistics, comparison: Comparison) -> Part:
    """The comparison of one level, with the unpooled variance of its difference."""
    variance = sum(arm.variance(comparison.metric) / arm.n for arm in (control, treatment))
    return Part(comparison, variance)


def heterogeneity(parts: Sequence[Part], cut: str) -> Heterogeneity:
    """Whether the effect differs between levels. Cochran (1954), Biometrics 10:101; DerSimonian and Laird (1986).

    Levels without any variance say nothing about it and are left out.

    >>> parts = [Part(_compared(difference), 0.01) for difference in (1.0, 1.2, 1.1)]
    >>> found = heterogeneity(parts, "tier")
    >>> round(found.statistic, 6), round(found.p_value, 4), found.between
    (2.0, 0.3679, 0.0)
    """
    used = [Estimate(each.comparison.difference, each.variance) for each in parts if each.variance > 0]
    first = parts[0].comparison
    names = (first.metric, first.treatment, first.control, cut, len(used))
    if not used:
        return Heterogeneity(*names, statistic=None, p_value=None, between=0.0, pooled=None)
    spread = cochran(used)
    told = len(used) > 1
    return Heterogeneity(
        *names,
        statistic=spread.statistic if told else None,
        p_value=spread.p_value if told else None,
        between=spread.between,
        pooled=spread.mean,
    )


def shrunken(parts: Sequence[Part], found: Heterogeneity) -> tuple[Part, ...]:
    """The parts with their effects drawn towards the mean of all: the less the levels differ, the more.

    Each keeps the share tau² / (tau² + se²) of its distance from the mean (empirical Bayes; Morris 1983, JASA 78:47).

    >>> parts = [Part(_compared(difference), 0.01) for difference in (1.0, 1.2, 1.1)]
    >>> [round(each.shrunken, 2) for each in shrunken(parts, heterogeneity(parts, "tier"))]
    [1.1, 1.1, 1.1]
    """
    if found.pooled is None:
        return tuple(parts)
    mean = found.pooled
    return tuple(
        replace(each, shrunken=mean + (each.comparison.difference - mean) * _kept(found.between, each.variance))
        for each in parts
    )


def _kept(between: float, variance: float) -> float:
    return between / (between + variance) if between > 0 and variance > 0 else 0.0


def corrected(parts: Sequence[Part]) -> tuple[Part, ...]:
    """The parts of one metric with `p_adjusted` by Benjamini and Hochberg over all levels of all cuts."""
    tested = [index for index, each in enumerate(parts) if each.comparison.p_value is not None]
    adjusted = benjamini_hochberg([p for each in parts if (p := each.comparison.p_value) is not None])
    by_index = dict(zip(tested, adjusted, strict=True))
    return tuple(
        replace(each, comparison=replace(each.comparison, p_adjusted=by_index.get(index)))
        for index, each in enumerate(parts)
    )


def examined(parts: Iterable[Part]) -> tuple[tuple[Part, ...], tuple[Heterogeneity, ...]]:
    """The parts of any metrics, pairs of arms and cuts, corrected and shrunken; and for each cut whether they differ.

    Corrected together are all levels of all cuts of one metric and one pair of arms.
    """
    done: list[Part] = []
    tests: list[Heterogeneity] = []
    for _, family in groupby(sorted(parts, key=_family), key=_family):
        for cut, levels in groupby(corrected(list(family)), key=lambda each: each.comparison.cut):
            same_cut = list(levels)
            tests.append(heterogeneity(same_cut, cut or ""))
            done += shrunken(same_cut, tests[-1])
    return tuple(done), tuple(tests)


def _family(each: Part) -> tuple[str, str, str]:
    return each.comparison.metric, each.comparison.treatment, each.comparison.control


def simultaneous(each: Part, levels: int) -> tuple[float, float]:
    """Limits that hold for all levels of a cut at once (Bonferroni), from the normal law.

    >>> low, high = simultaneous(Part(_compared(1.0), 0.01), 5)
    >>> round(low, 3), round(high, 3)
    (0.742, 1.258)
    """
    reach = normal_quantile(each.comparison.alpha / max(levels, 1)) * math.sqrt(each.variance)
    return each.comparison.difference - reach, each.comparison.difference + reach


def _compared(difference: float) -> Comparison:
    """A comparison that has only its difference, for the examples."""
    return Comparison(
        "spend", "money", "control", "sms", 9, 9, 0, difference, difference, None, None, None, "", "", 0.05
    )
