"""What templates may do to a value beside Jinja's own harmless filters: `money`, `date`, `url`, `round`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import date
from decimal import ROUND_HALF_UP, Decimal, InvalidOperation
from types import MappingProxyType
from typing import Any
from urllib.parse import urlsplit

_MOST_DIGITS = 15
_MONTHS = (
    "January", "February", "March", "April", "May", "June",
    "July", "August", "September", "October", "November", "December",
)  # fmt: skip
_UNSAFE_IN_URL = frozenset("<>\"'`\\^{|}")


class BadValue(ValueError):  # noqa: N818 - a word of the product
    """A value that does not fit its place. The text never holds the value."""


def number(value: object) -> Decimal:
    """The number that a value holds; BadValue when it holds none, or one beyond a thousand million million.

    >>> number("49.90"), number(50)
    (Decimal('49.90'), Decimal('50'))
    """
    if isinstance(value, bool) or not isinstance(value, int | float | Decimal | str):
        raise BadValue("the value is not a number")
    try:
        found = Decimal(str(value).strip())
    except InvalidOperation:
        raise BadValue("the value is not a number") from None
    if not found.is_finite() or found.adjusted() >= _MOST_DIGITS:
        raise BadValue("the value is not a number that can be written out")
    return found


def plain_amount(amount: Decimal) -> Decimal | int:
    """An amount as people write it: whole without decimals, else with at least two.

    >>> plain_amount(Decimal("50.00")), plain_amount(Decimal("49.9")), plain_amount(Decimal("1.125"))
    (50, Decimal('49.90'), Decimal('1.125'))
    """
    if amount == amount.to_integral_value():
        return int(amount)
    reduced = amount.normalize()
    exponent = reduced.as_tuple().exponent
    return reduced if isinstance(exponent, int) and exponent < -2 else reduced.quantize(Decimal("0.01"))


def money(value: Any, symbol: str = "") -> str:
    """An amount in major units with thousands separated, behind an optional currency sign.

    >>> money(Decimal("1234.5")), money(50, "¥"), money("1999")
    ('1,234.50', '¥50', '1,999')
    """
    return f"{symbol}{plain_amount(round(number(value), 4)):,}"


def to_date(value: Any) -> date:
    """The day of a date, a time, or ISO text; BadValue for anything else."""
    if isinstance(value, date):
        return value
    try:
        return date.fromisoformat(str(value)[:10])
    except ValueError:
        raise BadValue("the value is not a date") from None


def in_words(value: Any, language: str = "iso", year: bool = True) -> str:  # noqa: FBT001, FBT002 - as templates write it
    """A day as text: `iso`, `en` or `zh`; independent of the machine's locale.

    >>> in_words(date(2026, 3, 19)), in_words("2026-03-19", "zh"), in_words(date(2026, 3, 19), "en", year=False)
    ('2026-03-19', '2026年3月19日', '19 March')
    """
    day = to_date(value)
    if language.startswith("zh"):
        return f"{day.year}年{day.month}月{day.day}日" if year else f"{day.month}月{day.day}日"
    if language.startswith("en"):
        return f"{day.day} {_MONTHS[day.month - 1]} {day.year}" if year else f"{day.day} {_MONTHS[day.month - 1]}"
    if language != "iso":
        raise BadValue('|date knows "iso", "en" and "zh"')
    return day.isoformat() if year else day.isoformat()[5:]


def url(value: Any) -> str:
    """The same web address; BadValue unless it is http or https with a host, and without credentials.

    >>> url("https://shop.example/a?b=1")
    'https://shop.example/a?b=1'
    """
    text = str(value).strip()
    if any(mark <= " " or mark in _UNSAFE_IN_URL or not mark.isprintable() for mark in text):
        raise BadValue("the value is not a web address")
    try:
        parts = urlsplit(text)
        host = parts.hostname
    except ValueError:
        raise BadValue("the value is not a web address") from None
    if parts.scheme.lower() not in {"http", "https"} or not host or "@" in parts.netloc:
        raise BadValue("the value is not a web address: it must begin with http:// or https:// and a host")
    return text


def rounded(value: Any, precision: int = 0) -> Decimal | int:
    """The number rounded to so many decimals, halves away from zero.

    >>> rounded("2.5"), rounded(3.14159, 2)
    (3, Decimal('3.14'))
    """
    if not isinstance(precision, int) or not 0 <= precision <= 9:
        raise BadValue("|round takes 0 to 9 decimals")
    result = number(value).quantize(Decimal(1).scaleb(-precision), rounding=ROUND_HALF_UP)
    return int(result) if precision == 0 else result


#: The filters by the names that templates use.
OWN_FILTERS: Mapping[str, Callable[..., Any]] = MappingProxyType(
    {"money": money, "date": in_words, "url": url, "round": rounded}
)
