"""How single values are written: shares, money, lengths of time, clock times, names.

Each parser takes what the strict loader gives (text, int, Decimal, bool, None, list, dict) or the finished value, and
returns the finished value; anything else is `Unreadable` with the cure. The `Annotated` types below carry the parser,
the JSON Schema and the words of the reference pages.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import date, time
from decimal import Decimal
from typing import Annotated, Any
from zoneinfo import ZoneInfo

from pydantic import BaseModel, BeforeValidator, ConfigDict, PlainValidator, WithJsonSchema

from campanile.clock import LAST_YEAR, Duration
from campanile.clock import zone as find_zone
from campanile.errors import did_you_mean
from campanile.money import Currency

_PERCENT = re.compile(r"(\d{1,6}(?:\.\d{1,9})?)\s*%")
_CLOCK = re.compile(r"([01]?\d|2[0-3]):([0-5]\d)")
#: What can be part of a file name.
NAME = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9_-]{0,58}[A-Za-z0-9])?")
_SHOWN = 40
#: Birthdays lie before the first moment of any shop.
_FIRST_YEAR = 1900

#: ISO 4217 codes in use, so that RMB is caught before a report prints it.
_CODES = """
    AED AFN ALL AMD ANG AOA ARS AUD AWG AZN BAM BBD BDT BGN BHD BIF BMD BND BOB BRL BSD BTN BWP BYN BZD CAD CDF CHF
    CLP CNY COP CRC CUP CVE CZK DJF DKK DOP DZD EGP ERN ETB EUR FJD FKP GBP GEL GHS GIP GMD GNF GTQ GYD HKD HNL HTG
    HUF IDR ILS INR IQD IRR ISK JMD JOD JPY KES KGS KHR KMF KPW KRW KWD KYD KZT LAK LBP LKR LRD LSL LYD MAD MDL MGA
    MKD MMK MNT MOP MRU MUR MVR MWK MXN MYR MZN NAD NGN NIO NOK NPR NZD OMR PAB PEN PGK PHP PKR PLN PYG QAR RON RSD
    RUB RWF SAR SBD SCR SDG SEK SGD SHP SLE SOS SRD SSP STN SVC SYP SZL THB TJS TMT TND TOP TRY TTD TWD TZS UAH UGX
    USD UYU UZS VED VES VND VUV WST XAF XCD XCG XOF XPF YER ZAR ZMW ZWG"""
CURRENCIES = frozenset(_CODES.split())


#: What a channel carries. Each needs a channel of the same name in campanile.yaml.
MEDIA = ("email", "sms")


class Unreadable(ValueError):  # noqa: N818 - a word of the product, not an error class for programmers
    """A value that cannot be read: what is wrong, and the cure."""

    def __init__(self, what: str, cure: str = "") -> None:
        self.what = what
        self.cure = cure
        super().__init__(f"{what}; {cure}" if cure else what)


class Spec(BaseModel):
    """A part of a committed file: frozen, and keys it does not know are errors."""

    model_config = ConfigDict(frozen=True, extra="forbid", validate_by_name=True, validate_by_alias=True)


def shown(value: object) -> str:
    """What the file holds at this place, in words.

    >>> shown("abc"), shown(5), shown(True), shown([1]), shown({}), shown(None)
    ('text "abc"', 'the number 5', 'true', 'a list', 'keys and values', 'nothing')
    """
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return f'text "{value if len(value) <= _SHOWN else value[:_SHOWN] + "…"}"'
    if isinstance(value, int | Decimal):
        return f"the number {value}"
    if value is None:
        return "nothing"
    return "keys and values" if isinstance(value, dict) else "a list"


def _words(value: object) -> str:
    """The value as a marketer's words: text as it is, a number as its digits; "" for anything else."""
    if isinstance(value, bool) or not isinstance(value, str | int | Decimal):
        return ""
    return str(value).strip()


def text(value: object) -> str:
    """Text; a number is read as its digits.

    >>> text(" winback "), text(555)
    ('winback', '555')
    """
    if isinstance(value, bool) or not isinstance(value, str | int | Decimal):
        cure = f'write "{shown(value)}" in quotes' if isinstance(value, bool) else ""
        raise Unreadable(f"wants text, got {shown(value)}", cure)
    return str(value).strip()


def sentence(value: object) -> str:
    """Text that says something; Unreadable when empty."""
    words = text(value)
    if not words:
        raise Unreadable("wants text, got nothing")
    return words


def header_line(value: object) -> str:
    """Text of one line, as a mail header takes it."""
    words = text(value)
    if "\n" in words or "\r" in words:
        raise Unreadable("wants one line of text, got several")
    return words


def name(value: object) -> str:
    """A name that can be part of a file name: letters, digits, - and _.

    >>> name("winback-2026")
    'winback-2026'
    """
    words = text(value)
    if not NAME.fullmatch(words):
        raise Unreadable(f"wants a name, got {shown(words)}", "use letters, digits, - and _, at most 60")
    return words


def arm_name(value: object) -> str:
    """The name of an arm: one line of text, at most 60 characters."""
    words = header_line(value)
    if not 0 < len(words) <= 60:
        raise Unreadable(f"wants the name of an arm, got {shown(words)}", "use 1 to 60 characters")
    return words


def choice(value: object, known: Iterable[str], kind: str) -> str:
    """One of the known words of a kind.

    >>> choice("response_rate", ["response_rate"], "metric")
    'response_rate'
    """
    words = text(value)
    names = tuple(known)
    if words not in names:
        raise Unreadable(f"no {kind} {shown(words).removeprefix('text ')}", did_you_mean(words, names))
    return words


def share(value: object) -> Decimal:
    """The fraction that `20%` or `0.2` says, from 0 to 1.

    >>> share("33.3333%"), share(Decimal("0.2"))
    (Decimal('0.333333'), Decimal('0.2'))
    """
    if isinstance(value, Decimal) and 0 <= value < 1:
        return value
    words = _words(value)
    match = _PERCENT.fullmatch(words)
    if match is not None and Decimal(match[1]) <= 100:
        return Decimal(match[1]) / 100
    if words == "0":
        return Decimal(0)
    if match is not None:
        raise Unreadable(f"wants a share, got {shown(value)}", "a share is at most 100%")
    cure = f"write {words}%" if re.fullmatch(r"\d{1,2}(\.\d+)?", words) else "write a percentage, as in 20%"
    raise Unreadable(f"wants a share, got {shown(value)}", cure)


def percent(fraction: Decimal) -> str:
    """A fraction as people write it.

    >>> percent(Decimal("1.1")), percent(Decimal("0.333333"))
    ('110%', '33.3333%')
    """
    return f"{(fraction * 100).normalize():f}%"


def number(value: object) -> Decimal:
    """A number, whole or decimal, zero or above."""
    if isinstance(value, bool) or not isinstance(value, int | Decimal):
        raise Unreadable(f"wants a number, got {shown(value)}", "write digits only, as in 50 or 0.05")
    if value < 0:
        raise Unreadable(f"wants a number of 0 or more, got {shown(value)}")
    return Decimal(value)


def amount(value: object) -> Decimal:
    """An amount of money in major units of the shop's currency, zero or above.

    >>> amount(50), amount(Decimal("0.006"))
    (Decimal('50'), Decimal('0.006'))
    """
    if isinstance(value, bool) or not isinstance(value, int | Decimal):
        cure = "write digits only, as in 50 or 0.05: the currency is the shop's"
        raise Unreadable(f"wants an amount, got {shown(value)}", cure)
    return number(value)


def whole(value: object) -> int:
    """A whole number above zero."""
    if isinstance(value, bool) or not isinstance(value, int):
        raise Unreadable(f"wants a whole number, got {shown(value)}")
    if value < 1:
        raise Unreadable(f"wants a whole number above 0, got {shown(value)}")
    return value


def yes_or_no(value: object) -> bool:
    """True or false."""
    if not isinstance(value, bool):
        raise Unreadable(f"wants true or false, got {shown(value)}")
    return value


def duration(value: object) -> Duration:
    """The length of time that `30d`, `2w`, `6m`, `1y` or `48h` says; more than nothing.

    >>> duration("2w")
    Duration(months=0, days=14, hours=0)
    """
    if isinstance(value, Duration):
        return value
    words = _words(value)
    try:
        length = Duration.parse(words)
    except ValueError as error:
        cure = f"write {words}d for days" if words.isdecimal() else "write a number and h, d, w, m or y, as in 30d"
        raise Unreadable(f"wants a length of time, got {shown(value)}", cure) from error
    if length == Duration():
        raise Unreadable("wants a length of time above zero, got " + shown(value), "write 1d, or a longer one")
    return length


def days(value: object) -> int:
    """The number of days that `90d` or `2w` says.

    >>> days("90d")
    90
    """
    if isinstance(value, int) and not isinstance(value, bool) and value > 0:
        raise Unreadable(f"wants a number of days, got {shown(value)}", f"write {value}d")
    length = duration(value)
    if length.months or length.hours:
        raise Unreadable(f"wants a number of days, got {shown(value)}", "write days or weeks, as in 90d")
    return length.days


def clock_time(value: object) -> time:
    """The time of day that `10:30` says.

    >>> clock_time("8:00")
    datetime.time(8, 0)
    """
    if isinstance(value, time):
        return value
    match = _CLOCK.fullmatch(_words(value))
    if match is None:
        raise Unreadable(f"wants a time of day, got {shown(value)}", 'write hours and minutes, as in "10:30"')
    return time(int(match[1]), int(match[2]))


def quiet_hours(value: object) -> tuple[time, time] | None:
    """From when to when nothing is sent, as `21:00-09:00` says; None for `none`.

    >>> quiet_hours("21:00-09:00")
    (datetime.time(21, 0), datetime.time(9, 0))
    """
    if value is None or isinstance(value, tuple):
        return value
    words = _words(value).replace("–", "-")
    if words == "none":
        return None
    ends = [_CLOCK.fullmatch(part.strip()) for part in words.split("-")]
    if len(ends) != 2 or ends[0] is None or ends[1] is None:
        raise Unreadable(f"wants quiet hours, got {shown(value)}", 'write "21:00-09:00", or none')
    start, end = (time(int(match[1]), int(match[2])) for match in (ends[0], ends[1]))
    if start == end:
        raise Unreadable(f"the quiet hours {words} start and end at the same time", 'write "21:00-09:00", or none')
    return start, end


def calendar_date(value: object) -> date:
    """The date that `2026-03-05` says.

    >>> calendar_date("2026-03-05")
    datetime.date(2026, 3, 5)
    """
    if isinstance(value, date):
        return value
    words = _words(value)
    if not re.fullmatch(r"\d{4}-\d{2}-\d{2}", words):
        raise Unreadable(f"wants a date, got {shown(value)}", "write year-month-day, as in 2026-03-05")
    try:
        day = date.fromisoformat(words)
    except ValueError as error:
        raise Unreadable(f'there is no date "{words}"', "write year-month-day, as in 2026-03-05") from error
    if not _FIRST_YEAR <= day.year <= LAST_YEAR:
        raise Unreadable(f"the date {words} is not between the years {_FIRST_YEAR} and {LAST_YEAR}")
    return day


def time_zone(value: object) -> ZoneInfo:
    """The time zone of an IANA name."""
    if isinstance(value, ZoneInfo):
        return value
    try:
        return find_zone(sentence(value))
    except Unreadable:
        raise
    except ValueError as error:
        what, _, cure = str(error).partition("; ")
        raise Unreadable(what, cure) from error


def currency(value: object) -> Currency:
    """The currency of an ISO 4217 code.

    >>> currency("CNY")
    Currency(code='CNY')
    """
    if isinstance(value, Currency):
        return value
    code = sentence(value)
    if code in CURRENCIES:
        return Currency(code)
    cure = {"RMB": "the yuan is CNY", "¥": "the yuan is CNY, the yen JPY", "€": "the euro is EUR"}.get(code)
    if code.upper() in CURRENCIES:
        cure = f"write {code.upper()}"
    raise Unreadable(f"no currency {shown(code).removeprefix('text ')}", cure or "use its ISO code, as in EUR or CNY")


def _schema(words: str, example: object, **keys: Any) -> WithJsonSchema:
    return WithJsonSchema({"words": words, "examples": [example], **keys})


_PERCENT_PATTERN = r"^\d{1,3}(\.\d+)?\s*%$"
_LENGTH_PATTERN = r"^\d{1,5}[hdwmy]$"
_CLOCK_PATTERN = r"([01]?\d|2[0-3]):[0-5]\d"
_ANY_TEXT = {"type": ["string", "number"]}

Text = Annotated[str, BeforeValidator(text), WithJsonSchema({"words": "text", **_ANY_TEXT})]
Sentence = Annotated[str, PlainValidator(sentence), WithJsonSchema({"words": "text", **_ANY_TEXT, "minLength": 1})]
HeaderLine = Annotated[str, PlainValidator(header_line), WithJsonSchema({"words": "one line of text", **_ANY_TEXT})]
Name = Annotated[str, PlainValidator(name), _schema("name", "winback", type="string", pattern=f"^{NAME.pattern}$")]
ArmName = Annotated[str, PlainValidator(arm_name), WithJsonSchema({"words": "name of an arm", "type": "string"})]
SHARE_SCHEMA = _schema(
    "share",
    "20%",
    anyOf=[{"type": "string", "pattern": _PERCENT_PATTERN}, {"type": "number", "minimum": 0, "exclusiveMaximum": 1}],
)
Share = Annotated[Decimal, PlainValidator(share), SHARE_SCHEMA]
Amount = Annotated[Decimal, PlainValidator(amount), _schema("amount of money", 50, type="number", minimum=0)]
Number = Annotated[Decimal, PlainValidator(number), _schema("number", 30, type="number", minimum=0)]
Whole = Annotated[int, PlainValidator(whole), _schema("whole number", 2, type="integer", minimum=1)]
YesNo = Annotated[bool, PlainValidator(yes_or_no), WithJsonSchema({"words": "true or false", "type": "boolean"})]
Length = Annotated[
    Duration, PlainValidator(duration), _schema("length of time", "30d", type="string", pattern=_LENGTH_PATTERN)
]
Days = Annotated[int, PlainValidator(days), _schema("number of days", "90d", type="string", pattern=r"^\d{1,5}[dw]$")]
ClockTime = Annotated[
    time, PlainValidator(clock_time), _schema("time of day", "10:30", type="string", pattern=f"^{_CLOCK_PATTERN}$")
]
QuietHours = Annotated[
    tuple[time, time] | None,
    PlainValidator(quiet_hours),
    _schema(
        "from-to, or none", "21:00-09:00", type="string", pattern=f"^({_CLOCK_PATTERN}\\s*-\\s*{_CLOCK_PATTERN}|none)$"
    ),
]
Date = Annotated[
    date, PlainValidator(calendar_date), _schema("date", "2026-03-05", type="string", pattern=r"^\d{4}-\d{2}-\d{2}$")
]
Zone = Annotated[ZoneInfo, PlainValidator(time_zone), _schema("time zone", "Europe/Madrid", type="string")]
CurrencyCode = Annotated[Currency, PlainValidator(currency), _schema("currency", "CNY", enum=sorted(CURRENCIES))]
Medium = Annotated[
    str,
    PlainValidator(lambda value: choice(value, MEDIA, "medium")),
    WithJsonSchema({"words": "medium", "enum": list(MEDIA)}),
]
