"""How the figures of a table of units are written: amounts in millionths, with or without a currency."""

from __future__ import annotations

import math

from campanile.measure.types import Comparison, Economics
from campanile.measure.units import SCALE
from campanile.report.numbers import PERCENT, POINTS, Unit, level, p_value


def amounts(currency: str) -> str:
    """What follows an amount.

    >>> amounts("USD"), amounts("")
    (' USD', '')
    """
    return f" {currency}" if currency else ""


def _digits(millionths: float) -> str:
    value = millionths / SCALE
    if abs(value) >= 1000:
        return f"{value:,.0f}"
    small = 0 < abs(value) < 0.1
    return f"{value:,.{1 - math.floor(math.log10(abs(value))) if small else 2}f}"


def metric_unit(kind: str, currency: str, *, change: bool = False) -> Unit:
    """How a metric of that kind is written, or its difference.

    >>> metric_unit("money", "USD").text(1_422_617.0), metric_unit("rate", "").text(0.106)
    ('1.42 USD', '10.60%')
    """
    if kind == "rate":
        return POINTS if change else PERCENT
    return Unit(_digits, amounts(currency) if kind == "money" else "")


def interval_words(found: Comparison, currency: str) -> str:
    """The difference with its interval and p-value."""
    unit = metric_unit(found.kind, currency, change=True)
    limits = unit.interval(found.low, found.high)
    return f"{unit.text(found.difference)}, {level(found.alpha)} interval {limits}, p {p_value(found.p_value)}"


def money_words(paid: Economics, currency: str) -> str:
    """What one treatment earned or lost, with its interval."""
    unit = metric_unit("money", currency)
    verb = "earned" if paid.incremental_profit >= 0 else "lost"
    limits = unit.interval(paid.profit_low, paid.profit_high)
    return f"{verb} {unit.text(abs(paid.incremental_profit))} after all costs ({level(paid.alpha)} interval {limits})"
