"""Two readouts side by side: effect, money, trust, and what differs in their design.

Says first whether they can be compared at all. Two experiments on other customers are held against each other with an
interval; two readings of one experiment are not, because they are of the same customers.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

from campanile.errors import CampanileError, UsageError, did_you_mean
from campanile.registry.effects import (
    Effect,
    cash,
    change_unit,
    chosen,
    effect_words,
    effects,
    profit_words,
    roi_words,
    trust_words,
)
from campanile.registry.entries import Design, design_of, entry, registry
from campanile.registry.kept import Reading
from campanile.report.compose import WORDS
from campanile.report.numbers import COUNT, PERCENT, WITHHELD, level, moment
from campanile.spec.project import Project


class Limits(NamedTuple):
    """An estimate with its interval."""

    value: float
    low: float | None
    high: float | None


@dataclass(frozen=True)
class Side:
    """One of the two readouts.

    Attributes:
        effect: The treatment that is compared; None while effects are withheld.
    """

    reading: Reading
    design: Design
    effect: Effect | None

    @classmethod
    def of(cls, reading: Reading) -> Side:
        """The side that a reading is."""
        return cls(reading, design_of(reading), chosen(reading))

    @property
    def label(self) -> str:
        """Experiment and reading."""
        return f"{self.reading.experiment}@{self.reading.name}"


@dataclass(frozen=True)
class Pairing:
    """Two readouts side by side.

    Attributes:
        obstacles: Why they cannot be compared, as sentences; empty when they can.
        effect: By how much the second has the larger effect on the primary metric; None where that says nothing.
        profit: By how much it earns more per customer treated, in major units.
    """

    first: Side
    second: Side
    obstacles: tuple[str, ...]
    effect: Limits | None
    profit: Limits | None

    @property
    def same_experiment(self) -> bool:
        """Whether both are readings of one experiment."""
        return self.first.reading.experiment == self.second.reading.experiment

    @property
    def sides(self) -> tuple[Side, Side]:
        """Both, in the order in which they were asked for."""
        return self.first, self.second


def find_reading(project: Project, words: str) -> Reading:
    """The readout that `winback`, or `winback@20260405` with the beginning of a reading's name, means.

    Raises:
        UsageError: There is no such experiment, or none or several of its readouts begin so.
        CampanileError: Nothing was read of it yet.
    """
    name, at, start = words.rpartition("@")
    if not at or words in {each.name for each in registry(project)}:
        name, start = words, ""
    found = entry(project, name)
    if found.latest is None:
        raise CampanileError(f"{name} was never read", f"run `campanile readout {name}` when its window has ended")
    if not start:
        return found.latest
    named = [reading for reading in found.readings if reading.name.startswith(start)]
    if len(named) == 1:
        return named[0]
    known = [reading.name for reading in found.readings]
    if named:
        raise UsageError(f"several readouts of {name} begin with {start}", f"known: {', '.join(known)}")
    raise UsageError(f'no readout of {name} begins with "{start}"', did_you_mean(start, known))


def pair(first: Reading, second: Reading) -> Pairing:
    """The two readouts side by side.

    Raises:
        UsageError: They are one.
    """
    if first.folder == second.folder:
        raise UsageError("these two are one readout", "name another one as `campanile experiments show` lists them")
    sides = Side.of(first), Side.of(second)
    obstacles = tuple(_obstacles(*sides))
    same = first.experiment == second.experiment
    if obstacles:
        return Pairing(*sides, obstacles, None, None)
    return Pairing(*sides, (), _effect_gain(*sides, same=same), _profit_gain(*sides, same=same))


def _obstacles(first: Side, second: Side) -> Iterator[str]:
    for side in (first, second):
        if side.effect is None:
            yield f"{side.label} shows no effect: {side.reading.sentence}"
    for what, one, other in (
        ("the primary metric", first.design.primary, second.design.primary),
        ("the window", first.design.window, second.design.window),
        ("the currency", first.design.currency, second.design.currency),
    ):
        if one != other:
            yield f"{what} is {one or 'not known'} in the first and {other or 'not known'} in the second."


def difference_of(first: Limits, second: Limits) -> Limits:
    """What the second estimate is above the first, of independent estimates with intervals at one level.

    The limits recover each variance from the side of the interval that matters: Zou and Donner (2008), Stat Med
    27:1693, of which Newcombe's interval is a case.

    >>> difference_of(Limits(1.0, 0.0, 2.0), Limits(3.0, 2.0, 4.0))
    Limits(value=2.0, low=0.5857864376269049, high=3.414213562373095)
    """
    value = second.value - first.value
    if None in {first.low, first.high, second.low, second.high}:
        return Limits(value, None, None)
    low = value - math.hypot(second.value - float(second.low or 0), float(first.high or 0) - first.value)
    high = value + math.hypot(float(second.high or 0) - second.value, first.value - float(first.low or 0))
    return Limits(value, low, high)


def _gain(first: Limits, second: Limits, *, apart: bool) -> Limits:
    return difference_of(first, second) if apart else Limits(second.value - first.value, None, None)


def _effect_gain(first: Side, second: Side, *, same: bool) -> Limits | None:
    if first.effect is None or second.effect is None:
        return None
    one, other = first.effect.comparison, second.effect.comparison
    apart = not same and one.get("alpha") == other.get("alpha")
    return _gain(*(Limits(row["difference"], row["low"], row["high"]) for row in (one, other)), apart=apart)


def _profit_gain(first: Side, second: Side, *, same: bool) -> Limits | None:
    found = [_per_customer(side.effect) for side in (first, second)]
    if found[0] is None or found[1] is None:
        return None
    apart = not same and found[0][1] == found[1][1]
    return _gain(found[0][0], found[1][0], apart=apart)


def _per_customer(effect: Effect | None) -> tuple[Limits, float | None] | None:
    """Profit per customer treated with its limits, and their level."""
    if effect is None or effect.money is None:
        return None
    n, paid = effect.comparison["n_treatment"], effect.money
    low, high = (None if paid[key] is None else paid[key] / n for key in ("profit_low", "profit_high"))
    return Limits(paid["incremental_profit"] / n, low, high), paid.get("alpha")


# --- as JSON and as text ---------------------------------------------------------------------------------------------
def pairing_values(pairing: Pairing) -> dict[str, Any]:
    """The comparison as JSON values."""
    return {
        "contract": 1,
        "comparable": not pairing.obstacles,
        "obstacles": list(pairing.obstacles),
        "same_experiment": pairing.same_experiment,
        "sides": [_side_values(side) for side in pairing.sides],
        "design_differs": [
            {"label": label, "first": one, "second": other} for label, one, other in design_rows(pairing)
        ],
        "effect_gain": _limits(pairing.effect),
        "profit_gain": _limits(pairing.profit),
    }


def _limits(found: Limits | None) -> dict[str, float | None] | None:
    return None if found is None else {"difference": found.value, "low": found.low, "high": found.high}


def _side_values(side: Side) -> dict[str, Any]:
    effect = side.effect
    return {
        "experiment": side.reading.experiment,
        "reading": side.reading.name,
        "decision": side.reading.decision,
        "sentence": side.reading.sentence,
        "failed": list(side.reading.failed),
        "currency": side.reading.currency,
        "treatment": effect.treatment if effect else None,
        "comparison": dict(effect.comparison) if effect else None,
        "economics": dict(effect.money) if effect and effect.money else None,
    }


def result_rows(pairing: Pairing, zone: ZoneInfo) -> list[tuple[str, str, str]]:
    """What was read, label by label."""
    columns = [_results(side, zone) for side in pairing.sides]
    return [(label, columns[0][label], columns[1][label]) for label in columns[0]]


def _results(side: Side, zone: ZoneInfo) -> dict[str, str]:
    reading, effect = side.reading, side.effect
    told = {
        "Read": moment(reading.read_at, zone),
        "Decision": WORDS[reading.decision][0],
        "Trust": trust_words(reading),
        "Units": COUNT.text(sum(arm["n"] for arm in reading.values["arms"])),
    }
    if effect is None:
        return told | dict.fromkeys(("Effect", "Profit", "ROI"), WITHHELD)
    arm = f", arm {effect.treatment}" if len(effects(reading)) > 1 else ""
    words = f"{effect_words(reading, effect)} on {side.design.primary.replace('_', ' ')}{arm}"
    return told | {
        "Effect": words,
        "Profit": profit_words(reading, effect) or WITHHELD,
        "ROI": roi_words(effect) or WITHHELD,
    }


def design_rows(pairing: Pairing) -> list[tuple[str, str, str]]:
    """What differs in the design, label by label."""
    first, second = (_terms(side.design) for side in pairing.sides)
    labels = dict.fromkeys((*first, *second))
    rows = [(label, first.get(label, WITHHELD), second.get(label, WITHHELD)) for label in labels]
    return [row for row in rows if row[1] != row[2]]


def _terms(design: Design) -> dict[str, str]:
    split = ", ".join(f"{arm} {PERCENT.text(share)}" for arm, share in design.split.items() if share is not None)
    told: Mapping[str, str] = {
        "Primary": design.primary,
        "Window": design.window,
        "Currency": design.currency,
        "Split": split,
        "Hypothesis": design.hypothesis,
    }
    found = {label: text for label, text in told.items() if text}
    return {**found, **{label: text for label, text in design.terms if label not in {*found, "Primary metric"}}}


def pairing_text(pairing: Pairing, zone: ZoneInfo) -> str:
    """The comparison for people: whether it can be made, what is larger, then everything side by side."""
    first, second = pairing.sides
    lines = [f"{first.label}  and  {second.label}", ""]
    if pairing.obstacles:
        lines += ["They cannot be compared:", *(f"  - {each}" for each in pairing.obstacles)]
    else:
        lines += list(_gains(pairing))
    for title, rows in (("Read", result_rows(pairing, zone)), ("Other in the design", design_rows(pairing))):
        if rows:
            wide = max(len(label) for label, _, _ in rows)
            lines += ["", title]
            for label, one, other in rows:
                lines += [f"  {label:<{wide}}  {one}", f"  {'':<{wide}}  {other}"]
    return "\n".join(lines)


def _gains(pairing: Pairing) -> Iterator[str]:
    for found, unit, what in (
        (pairing.effect, change_unit(pairing.first.design), "effect on the primary metric"),
        (pairing.profit, cash(pairing.first.reading.currency), "profit per customer treated"),
    ):
        if found is None:
            continue
        row = pairing.first.effect.comparison if pairing.first.effect else {}
        way = "above" if found.value >= 0 else "below"
        text = f"The {what} of the second is {unit.text(abs(found.value)).removeprefix('+')} {way}"
        text += " that of the first"
        if found.low is not None:
            text += f" ({level(row.get('alpha') or 0.05)} interval {unit.interval(found.low, found.high)})"
        yield f"{text}."
    if pairing.same_experiment:
        yield "Both are of the same customers, so the change has no interval: it is what was known later."
    else:
        yield "The interval takes it that no customer was in both; other customers and another time differ as well."
