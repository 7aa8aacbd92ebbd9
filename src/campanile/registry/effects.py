"""What a kept readout says of its treatments: effect on the primary metric, and money; as figures and as text."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from campanile.money import Currency
from campanile.registry.entries import Design, design_of
from campanile.registry.kept import Reading
from campanile.report.definitions import label
from campanile.report.numbers import AVERAGE, LIFT, POINTS, WHOLE_PERCENT, Unit, level, money


@dataclass(frozen=True)
class Effect:
    """One treatment against control.

    Attributes:
        comparison: Of the primary metric, as the JSON of a readout has it.
        money: The economics of the treatment, in the same way; None where none was computed.
    """

    treatment: str
    comparison: Mapping[str, Any]
    money: Mapping[str, Any] | None


def effects(reading: Reading) -> tuple[Effect, ...]:
    """What every treatment did against control; empty while that is withheld."""
    primary = design_of(reading).primary
    paid = {row["treatment"]: row for row in reading.values["economics"]}
    whole = [row for row in reading.values["comparisons"] if row["metric"] == primary and row["cut"] is None]
    against = {row["control"] for row in whole}
    control = "control" if "control" in against else next(iter(sorted(against)), None)
    return tuple(
        Effect(row["treatment"], row, paid.get(row["treatment"])) for row in whole if row["control"] == control
    )


def chosen(reading: Reading) -> Effect | None:
    """The treatment that the verdict speaks of, else the one that earned most; None while effects are withheld."""
    found = effects(reading)
    spoken = next((each for each in found if each.treatment == reading.values["verdict"].get("arm")), None)
    return spoken or max(found, key=_worth, default=None)


def _worth(effect: Effect) -> tuple[float, float]:
    profit = effect.money["incremental_profit"] if effect.money else None
    return (profit or 0.0, effect.comparison["difference"] or 0.0)


def cash(currency: str | None) -> Unit:
    """How amounts in major units are written.

    >>> cash("CNY").text(12960.4), cash(None).text(1.5)
    ('12,960 CNY', '1.50')
    """
    if not currency:
        return Unit(lambda major: f"{major:,.2f}")
    unit, scale = money(Currency(currency)), Currency(currency).scale
    return Unit(lambda major: unit.digits(major * scale), unit.suffix)


def change_unit(design: Design) -> Unit:
    """How a difference of the primary metric is written."""
    if design.kind == "rate":
        return POINTS
    return AVERAGE if design.kind == "count" else cash(design.currency)


def effect_words(reading: Reading, effect: Effect) -> str:
    """The difference with its interval and the lift."""
    row, unit = effect.comparison, change_unit(design_of(reading))
    lift = f", lift {LIFT.text(row['lift'])}" if row["lift"] is not None else ""
    limits = f"{level(row.get('alpha') or 0.05)} interval {unit.interval(row['low'], row['high'])}"
    return f"{unit.text(row['difference'])} ({limits}{lift})"


def short_effect(reading: Reading, effect: Effect) -> str:
    """The difference with its interval."""
    row, unit = effect.comparison, change_unit(design_of(reading))
    return f"{unit.text(row['difference'])} ({unit.interval(row['low'], row['high'])})"


def profit_words(reading: Reading, effect: Effect) -> str:
    """The profit with its interval; "" where no money was computed."""
    paid = effect.money
    if paid is None:
        return ""
    unit = cash(reading.currency)
    return f"{unit.text(paid['incremental_profit'])} ({unit.interval(paid['profit_low'], paid['profit_high'])})"


def roi_words(effect: Effect) -> str:
    """The full return on cost; "" where no money was computed."""
    return WHOLE_PERCENT.text(effect.money["roi"]) if effect.money else ""


def trust_words(reading: Reading) -> str:
    """Whether a check failed, and which."""
    failed = ", ".join(label(name).text for name in reading.failed)
    return f"failed: {failed}" if failed else "no check failed"
