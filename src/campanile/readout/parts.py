"""The effect in parts of the audience: by the values that customers had when the wave was planned.

Reads statistics by level and arm. Returns comparisons of every level with corrected p and shrunken effects. Never names
a level in which an arm has a handful of customers: those are taken together.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import replace

from campanile.measure.compare import Profit, compare, compare_profit
from campanile.measure.cuts import Heterogeneity, Part, examined
from campanile.measure.sums import OTHER, ByLevel
from campanile.measure.types import ArmStatistics, merged
from campanile.readout.effects import PROFIT, REVENUE, Effects

#: Of a level with fewer customers in an arm nothing is said: too few to conclude from, and few enough to know.
LEAST = 10


def parts_of(effects: Effects) -> tuple[tuple[Part, ...], tuple[Heterogeneity, ...]]:
    """The primary metric, revenue and profit of every treatment against control, by level of every registered cut."""
    return examined(each for cut, levels in effects.cuts.items() for each in _of_cut(effects, cut, levels))


def _of_cut(effects: Effects, cut: str, levels: ByLevel) -> Iterator[Part]:
    experiment = effects.terms.experiment
    metrics = dict.fromkeys((experiment.primary.metric, REVENUE, PROFIT))
    for treatment, control in experiment.compare:
        for level, arms in levels.items():
            for metric in metrics:
                found = _compared(effects, arms[control], arms[treatment], metric)
                yield replace(found, comparison=replace(found.comparison, cut=cut, level=level))


def _compared(effects: Effects, control: ArmStatistics, treatment: ArmStatistics, metric: str) -> Part:
    """One metric in one level; profit with what the messages of this level cost."""
    alpha = effects.terms.alpha
    if metric != PROFIT:
        found = compare(control, treatment, metric, kind=effects.kind_of(metric), alpha=alpha)
        return Part(found, _variance(control, treatment, metric))
    amount, factor = effects.terms.margin
    contact = effects.contact_each(treatment) - effects.contact_each(control)
    found = compare_profit(control, treatment, Profit(amount, factor, contact), alpha=alpha)
    return Part(found, _variance(control, treatment, amount) * factor**2)


def _variance(control: ArmStatistics, treatment: ArmStatistics, metric: str) -> float:
    return sum(arm.variance(metric) / arm.n for arm in (control, treatment))


def large(levels: ByLevel, names: Collection[str]) -> dict[str, Mapping[str, ArmStatistics]]:
    """The levels with enough customers of all these arms; the others together, where they are enough then.

    >>> arm = lambda name, n: ArmStatistics.from_counts(name, n, {"r": 1})
    >>> sizes = {"a": 40, "b": 6, "c": 7}
    >>> levels = {city: {name: arm(name, n) for name in ("control", "sms")} for city, n in sizes.items()}
    >>> {level: arms["sms"].n for level, arms in large(levels, ("sms", "control")).items()}
    {'a': 40, '(other)': 13}
    """
    small = [level for level, arms in levels.items() if level == OTHER or not _enough(arms, names)]
    kept = {level: arms for level, arms in levels.items() if level not in small}
    rest = merged(arms[name] for arms in map(levels.__getitem__, small) for name in names if name in arms)
    return {**kept, OTHER: rest} if small and _enough(rest, names) else kept


def _enough(arms: Mapping[str, ArmStatistics], names: Collection[str]) -> bool:
    return all(name in arms and arms[name].n >= LEAST for name in names)
