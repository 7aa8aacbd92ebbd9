"""Figures as people read them: percent, points, money, intervals, p-values.

Reads plain numbers. Returns text with a real minus sign; a withheld figure (None) is a dash.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from zoneinfo import ZoneInfo

from campanile.money import Currency

#: Below this a figure is what rounding left of zero.
_NOTHING = 1e-9
#: What stands where a figure is withheld or unknown.
WITHHELD = "–"


@dataclass(frozen=True)
class Unit:
    """How one kind of figure is written.

    Attributes:
        digits: The number alone.
        suffix: What follows it.
        twice: Whether both ends of an interval carry the suffix.
    """

    digits: Callable[[float], str]
    suffix: str = ""
    twice: bool = False

    def text(self, value: float | None) -> str:
        """The figure, or a dash when it is withheld.

        >>> PERCENT.text(0.033), POINTS.text(-0.0004), COUNT.text(None)
        ('3.30%', '−0.04 points', '–')
        """
        return WITHHELD if value is None else self.digits(value).replace("-", "−", 1) + self.suffix

    def interval(self, low: float | None, high: float | None) -> str:
        """Both limits; an end that the data do not set is said in words.

        >>> POINTS.interval(0.0027, 0.0179), PERCENT.interval(0.02, 0.03)
        ('+0.27 to +1.79 points', '2.00% to 3.00%')
        >>> COUNT.interval(1, None), COUNT.interval(None, 2.5), COUNT.interval(None, None)
        ('from 1 up', 'up to 2.5', '–')
        """
        if low is None:
            return WITHHELD if high is None else f"up to {self.text(high)}"
        if high is None:
            return f"from {self.text(low)} up"
        first = self.text(low) if self.twice else self.text(low).removesuffix(self.suffix)
        return f"{first} to {self.text(high)}"


def _percent(rate: float) -> str:
    """Two decimals, or two significant digits below a thousandth."""
    small = 0 < abs(rate) < 0.001
    return f"{rate * 100:,.{1 - math.floor(math.log10(abs(rate) * 100)) if small else 2}f}"


def _points(difference: float) -> str:
    """Two decimals, or two significant digits below a hundredth of a point; what is only rounding is zero."""
    points = difference * 100 if abs(difference) > _NOTHING else 0.0
    return f"{points:+.{max(2, _significant(points)) if 0 < abs(points) < 0.01 else 2}f}"


def _relative(ratio: float) -> str:
    return f"{ratio * 100:+,.{0 if abs(ratio) >= 10 else 1}f}"


def _count(number: float) -> str:
    return f"{number:,.0f}" if float(number).is_integer() or abs(number) >= 1000 else f"{number:,.1f}"


#: A share of customers.
PERCENT = Unit(_percent, "%", twice=True)
#: A difference of two shares, with its sign.
POINTS = Unit(_points, " points")
#: A relative change, with its sign.
LIFT = Unit(_relative, "%", twice=True)
#: A relative figure without a sign of its own, such as a return on cost.
WHOLE_PERCENT = Unit(lambda ratio: f"{ratio * 100:,.0f}", "%", twice=True)
#: Customers or orders; estimates below a thousand to one decimal.
COUNT = Unit(_count)
#: An average number per customer.
AVERAGE = Unit(lambda number: f"{number:,.4f}")
#: A ratio of two amounts.
TIMES = Unit(lambda ratio: f"{ratio:,.2f}")


def money(currency: Currency, *, each: bool = False) -> Unit:
    """Amounts of minor units: whole major units from a thousand up, small ones to two significant digits.

    With `each`, of amounts per customer, no fewer than two decimals: they matter though the currency has none.

    >>> unit = money(Currency("CNY"))
    >>> [unit.text(minor) for minor in (1106800, 1023, 0.6, -1500)]
    ['11,068 CNY', '10.23 CNY', '0.006 CNY', '−15.00 CNY']
    >>> unit.interval(-20000, 250000)
    '−200.00 to 2,500 CNY'
    >>> yen = Currency("JPY")
    >>> money(yen).text(12.0), money(yen).text(0.4), money(yen, each=True).text(12.345)
    ('12 JPY', '0.4 JPY', '12.35 JPY')
    """

    def digits(minor: float) -> str:
        major = minor / currency.scale if abs(minor) > _NOTHING else 0.0
        places = max(currency.digits, 2) if each else currency.digits
        if abs(major) >= 1000:
            places = 0
        elif 0 < abs(major) < 1:
            places = max(places, _significant(major))
        return f"{major:,.{places}f}"

    return Unit(digits, f" {currency.code}")


def _significant(value: float, most: int = 2) -> int:
    """Decimals that show a small value to at most `most` significant digits, without zeros at the end."""
    text = f"{value:.{most - 1 - math.floor(math.log10(abs(value)))}f}".rstrip("0")
    return len(text.partition(".")[2])


def level(alpha: float) -> str:
    """The level of an interval, to a tenth of a point at most.

    >>> level(0.05), level(0.05 / 3)
    ('95%', '98.3%')
    """
    return f"{round((1 - alpha) * 100, 1):g}%"


def p_value(p: float | None) -> str:
    """A p-value, never 0.

    >>> p_value(0.0109), p_value(1e-9), p_value(None)
    ('0.011', 'under 0.001', '–')
    """
    if p is None:
        return WITHHELD
    return "under 0.001" if p < 0.001 else f"{p:.3f}" if p < 0.1 else f"{p:.2f}"


def moment(at: datetime, zone: ZoneInfo) -> str:
    """A moment in the shop's time.

    >>> from datetime import UTC
    >>> moment(datetime(2026, 3, 5, 2, 30, tzinfo=UTC), ZoneInfo("Asia/Shanghai"))
    '2026-03-05 10:30'
    """
    return f"{at.astimezone(zone):%Y-%m-%d %H:%M}"
