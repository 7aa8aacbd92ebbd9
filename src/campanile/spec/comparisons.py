"""The words of comparisons and windows: one `Form` per way of writing, tried in order.

A new way of writing is a new line in the table of its field type. What cannot be read is answered with its shapes.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Generic, Literal, TypeVar

from campanile.clock import Duration
from campanile.errors import did_you_mean
from campanile.spec.conditions import (
    NO_TIME,
    Around,
    Between,
    Bound,
    CalendarWindow,
    Comparison,
    Contains,
    DateSpan,
    DaysAround,
    DayShift,
    Extreme,
    HasAll,
    InMonth,
    Is,
    IsNot,
    Known,
    Length,
    Lifetime,
    Scalar,
    Since,
    Starts,
    Times,
    Window,
)
from campanile.spec.fields import Unreadable
from campanile.spec.vocabulary import WEEKDAYS, FieldType

T = TypeVar("T")
#: As many digits as an engine holds exactly, in minor units too.
_NUMBER = r"-?\d{1,15}(?:\.\d{1,15})?"
_WORDS: Mapping[str, Literal["at least", "over", "at most", "under", "exactly", "not"]] = {
    "at least": "at least", "over": "over", "at most": "at most", "under": "under", "exactly": "exactly", "not": "not",
}  # fmt: skip
_EDGES: Mapping[str, Literal["first", "last"]] = {"first": "first", "last": "last"}
_LENGTH = r"\d{1,5}[hdwmy]"
_DAYS = r"\d{1,5}[dwmy]"
_DATE = r"\d{4}-\d{2}-\d{2}"
_SYMBOLS = {
    ">=": "at least ", ">": "over ", "<=": "at most ", "<": "under ", "==": "exactly ", "=": "exactly ", "!=": "not ",
}  # fmt: skip
_MONTHS = {"last": -1, "this": 0, "next": 1}
_TODAY = DayShift(Duration(), ahead=False)
_LONGEST_DAYS = 100 * 366
_YEARS = range(1800, 3000)
_SOME_DAY = datetime(2026, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Form(Generic[T]):
    """One way of writing: its shape for people, its pattern, and what it says."""

    shape: str
    pattern: str
    says: Callable[[re.Match[str]], T]


def parse_comparison(data: object, type_: FieldType) -> Comparison:
    """The comparison that a value in YAML says about a field of this type.

    >>> parse_comparison("at least 3", FieldType.NUMBER)
    Bound(word='at least', number=Decimal('3'))
    >>> parse_comparison(555, FieldType.TEXT)
    Is(values=('555',))

    Raises:
        Unreadable: the value says nothing about such a field.
    """
    if data is None:
        raise Unreadable("there is no value here", f"write {_shapes(FORMS[type_])}")
    if isinstance(data, Mapping):
        raise Unreadable("a comparison is one value or a list of values", f"write {_shapes(FORMS[type_])}")
    if isinstance(data, list | tuple):
        return Is(_values(data, type_))
    if isinstance(data, bool) and type_ is not FieldType.BOOL:
        raise Unreadable(f"cannot read {_yaml(data)} for {_NOUNS[type_]}", f"write {_shapes(FORMS[type_])}")
    text = _yaml(data).strip()
    return _first_match(_in_words(text) if type_.is_number else text, FORMS[type_], _NOUNS[type_])


def parse_window(data: object) -> Window:
    """The window that a value in YAML says.

    >>> parse_window("180d..90d")
    Length(older=Duration(months=0, days=180, hours=0), newer=Duration(months=0, days=90, hours=0))

    Raises:
        Unreadable: it says no window.
    """
    text = " ".join(_yaml(data).split())
    for form in WINDOWS:
        if match := re.fullmatch(form.pattern, text):
            return form.says(match)
    raise Unreadable(f'cannot read the window "{text}"', _abbreviated(text) or f"write {_shapes(WINDOWS)}")


def _abbreviated(text: str) -> str:
    """The cure for a length in words.

    >>> _abbreviated("90 days")
    'did you mean "90d"?'
    """
    match = re.fullmatch(r"(?:the )?(?:last )?(\d{1,5}) ?(hour|day|week|month|year)s?", text)
    return f'did you mean "{match[1]}{match[2][0]}"?' if match else ""


def _first_match(text: str, forms: Sequence[Form[Comparison]], noun: str) -> Comparison:
    for form in forms:
        if match := re.fullmatch(form.pattern, text, re.DOTALL):
            return form.says(match)
    raise Unreadable(f'cannot read "{text}" for {noun}', _without_percent(text) or f"write {_shapes(forms)}")


def _without_percent(text: str) -> str:
    """The cure for a figure in percent: a share is a number from 0 to 1.

    >>> _without_percent("over 50%"), _without_percent("over fifty")
    ('did you mean "over 0.5"? A share is a number from 0 to 1', '')
    """
    match = re.fullmatch(r"([a-z ]*)(\d{1,3}(?:\.\d{1,4})?) ?%", text)
    if not match or Decimal(match[2]) > 100:
        return ""
    share = f"{(Decimal(match[2]) / 100).normalize():f}"
    return f'did you mean "{match[1]}{share}"? A share is a number from 0 to 1'


def _shapes(forms: Sequence[Form[Comparison]] | Sequence[Form[Window]]) -> str:
    return " | ".join(form.shape for form in forms if form.shape)


def _yaml(data: object) -> str:
    return str(data).lower() if isinstance(data, bool) else "" if data is None else str(data)


def _in_words(text: str) -> str:
    """Single spaces; a symbol in front becomes its word."""
    text = " ".join(text.split())
    symbol = re.match(r"(>=|<=|==|!=|>|<|=) ?", text)
    return _SYMBOLS[symbol[1]] + text[symbol.end() :] if symbol else text


# --- values ----------------------------------------------------------------------------------------------------------
def _values(items: Sequence[object], type_: FieldType) -> tuple[Scalar, ...]:
    if not items:
        raise Unreadable("an empty list matches nobody", "name one value at least")
    if type_ in (FieldType.BOOL, FieldType.DATE, FieldType.YEARLY):
        raise Unreadable(f"{_NOUNS[type_]} takes no list", f"write {_shapes(FORMS[type_])}")
    return tuple(_value(item, type_) for item in items)


def _value(item: object, type_: FieldType) -> Scalar:
    if isinstance(item, bool | Mapping | list | tuple) or item is None:
        shown = _yaml(item) if isinstance(item, bool) else "a nested or empty value"
        raise Unreadable(f"cannot read {shown} for {_NOUNS[type_]}", "a list holds plain values; put texts in quotes")
    text = str(item).strip()
    if type_.is_number:
        return _number(text)
    return _weekday(text) if type_ is FieldType.WEEKDAY else text


def _split(text: str, type_: FieldType) -> tuple[Scalar, ...]:
    return _values([part.strip() for part in re.split("[,，]", text) if part.strip()], type_)


def _number(text: str) -> Decimal:
    if not re.fullmatch(_NUMBER, text):
        raise Unreadable(f'cannot read "{text}" for a number', "write digits, with a point for decimals")
    return Decimal(text)


def _weekday(text: str) -> str:
    if text not in WEEKDAYS:
        raise Unreadable(f'no weekday "{text}"', did_you_mean(text, WEEKDAYS))
    return text


def _date(text: str) -> date:
    try:
        day = date.fromisoformat(text)
    except ValueError:
        raise Unreadable(f"there is no day {text}", "write year-month-day, as in 2026-03-05") from None
    if day.year not in _YEARS:
        raise Unreadable(f"no shop knows the day {text}", f"write a year from {_YEARS.start} to {_YEARS.stop - 1}")
    return day


def _duration(text: str) -> Duration:
    length = Duration.parse(text)
    if length.months * 31 + length.days + length.hours // 24 > _LONGEST_DAYS:
        raise Unreadable(f'"{text}" is longer than a shop remembers', "write at most 100y")
    return length


# --- numbers ---------------------------------------------------------------------------------------------------------
def _bound(match: re.Match[str]) -> Comparison:
    words: dict[str, Literal["at least", "over", "at most", "under"]] = {
        "at least": "at least", "over": "over", "at most": "at most", "under": "under",
    }  # fmt: skip
    return Bound(words[match[1]], Decimal(match[2]))


def _between(match: re.Match[str]) -> Comparison:
    low, high = Decimal(match[1]), Decimal(match[2])
    if low > high:
        raise Unreadable(f"nothing is between {low} and {high}", f"write the smaller one first: {high}..{low}")
    return Between(low, high)


def _times(match: re.Match[str]) -> Comparison:
    return Times(_WORDS[match[1]], Decimal(match[2]), match[3])


def _extreme(match: re.Match[str]) -> Comparison:
    percent = Decimal(match[2])
    if not 0 < percent <= 100:
        raise Unreadable(f"{match[1]} {percent}% is no share of the customers", "write more than 0% and at most 100%")
    return Extreme("top" if match[1] == "top" else "bottom", percent)


# --- dates -----------------------------------------------------------------------------------------------------------
def _shift(text: str, *, ahead: bool, days_more: int = 0) -> DayShift:
    return DayShift(_duration(text), ahead, days_more)


def _ahead(match: re.Match[str]) -> Comparison:
    nearer, farther = _duration(match[1]), _duration(match[2])
    if nearer.after(_SOME_DAY) > farther.after(_SOME_DAY):
        raise Unreadable(f"no day is between {nearer} and {farther} ahead", f"write in {farther}..{nearer}")
    return DaysAround(DayShift(nearer, ahead=True), DayShift(farther, ahead=True))


def _date_range(match: re.Match[str]) -> DateSpan:
    first, last = _date(match[1]), _date(match[2])
    if first > last:
        raise Unreadable(f"no day is between {first} and {last}", f"write the earlier one first: {last}..{first}")
    return DateSpan(first, last)


def _one_day(text: str) -> DateSpan:
    return DateSpan(_date(text), _date(text))


# --- windows ---------------------------------------------------------------------------------------------------------
def _length(match: re.Match[str]) -> Window:
    length = _duration(match[1])
    if length == NO_TIME:
        raise Unreadable(f'the window "{match[1]}" holds no moment', "write 1d or more")
    return Length(length)


def _length_range(match: re.Match[str]) -> Window:
    older, newer = _duration(match[1]), _duration(match[2])
    if older.before(_SOME_DAY) >= newer.before(_SOME_DAY):
        what = f'the window "{match[0]}" ends before it begins'
        raise Unreadable(what, f"write the older end first: {newer}..{older}")
    return Length(older, newer)


def _calendar(match: re.Match[str]) -> Window:
    units: dict[str, Literal["month", "quarter", "year"]] = {"month": "month", "quarter": "quarter", "year": "year"}
    return CalendarWindow(units[match[2]], back=int(match[1] == "last"))


def _since(match: re.Match[str]) -> Window:
    return Since(_EDGES[match[1]], match[2])


def _around(match: re.Match[str]) -> Window:
    return Around(_duration(match[1]), "after" if match[2] == "after" else "before", _EDGES[match[3]], match[4])


# --- the tables ------------------------------------------------------------------------------------------------------
def _any_of(type_: FieldType) -> tuple[Form[Comparison], ...]:
    return (
        Form("any of A, B", r"any of (.+)", lambda m: Is(_split(m[1], type_))),
        Form("none of A, B", r"none of (.+)", lambda m: IsNot(_split(m[1], type_))),
    )


_KNOWN: tuple[Form[Comparison], ...] = (
    Form("known", "known", lambda _: Known(known=True)),
    Form("unknown", "unknown", lambda _: Known(known=False)),
)
_NUMBERS: tuple[Form[Comparison], ...] = (
    Form("a number", f"({_NUMBER})", lambda m: Is((Decimal(m[1]),))),
    Form("at least N | over N | at most N | under N", rf"(at least|over|at most|under) ({_NUMBER})", _bound),
    Form("over K x METRIC (any of the six words)", rf"({'|'.join(_WORDS)}) ({_NUMBER}) ?[x×] ?([\w.]+)", _times),
    Form("exactly N", rf"exactly ({_NUMBER})", lambda m: Is((Decimal(m[1]),))),
    Form("not N", rf"not ({_NUMBER})", lambda m: IsNot((Decimal(m[1]),))),
    Form("A..B", rf"({_NUMBER})\.\.({_NUMBER})", _between),
    *_any_of(FieldType.NUMBER),
    Form("top P% | bottom P%", r"(top|bottom) (\d+(?:\.\d+)?)%", _extreme),
    *_KNOWN,
)


def _texts(type_: FieldType) -> tuple[Form[Comparison], ...]:
    return (
        *_KNOWN,
        *_any_of(type_),
        Form("", "not (known|unknown)", _not_known),
        Form("not X", r"not (.+)", lambda m: IsNot((_value(m[1], type_),))),
        Form("", rf"(at least|over|at most|under|exactly|top|bottom) ({_NUMBER})%?", _needs_number),
    )


def _needs_number(match: re.Match[str]) -> Comparison:
    raise Unreadable(f'"{match[1]}" needs a number, this is text', "write X, not X, any of A, B or none of A, B")


def _not_known(match: re.Match[str]) -> Comparison:
    raise Unreadable(f'cannot read "{match[0]}"', f"write {'unknown' if match[1] == 'known' else 'known'}")


def _not_true(match: re.Match[str]) -> Comparison:
    raise Unreadable("only true, false, known or unknown here", f'"{match[0]}" is none of them')


#: Of these a yearly date takes all: they name days around today.
_DAYS_AROUND: tuple[Form[Comparison], ...] = (
    Form("last 30d", f"last ({_DAYS})", lambda m: DaysAround(_shift(m[1], ahead=False), _TODAY)),
    Form("next 14d", f"next ({_DAYS})", lambda m: DaysAround(_TODAY, _shift(m[1], ahead=True))),
    Form("in 5d..9d", rf"in ({_DAYS})\.\.({_DAYS})", _ahead),
    Form("exactly 7d ahead", f"exactly ({_DAYS}) ahead", lambda m: _ahead_exactly(m[1])),
    Form("today", "today", lambda _: DaysAround(_TODAY, _TODAY)),
    Form("last month | this month | next month", r"(last|this|next) month", lambda m: InMonth(_MONTHS[m[1]])),
)
_DATES: tuple[Form[Comparison], ...] = (
    *_DAYS_AROUND,
    Form("over 90d ago", f"over ({_DAYS}) ago", lambda m: DaysAround(None, _shift(m[1], ahead=False, days_more=-1))),
    Form("before DATE", f"before ({_DATE})", lambda m: DateSpan(None, _date(m[1]) - timedelta(days=1))),
    Form("after DATE", f"after ({_DATE})", lambda m: DateSpan(_date(m[1]) + timedelta(days=1), None)),
    Form("DATE..DATE", rf"({_DATE})\.\.({_DATE})", _date_range),
    Form("DATE", f"({_DATE})", lambda m: _one_day(m[1])),
    *_KNOWN,
)


def _ahead_exactly(text: str) -> Comparison:
    return DaysAround(_shift(text, ahead=True), _shift(text, ahead=True))


def _literal(type_: FieldType) -> Form[Comparison]:
    return Form("X", r"(.+)", lambda m: Is((_value(m[1], type_),)))


#: The ways of comparing a field of each type.
FORMS: Mapping[FieldType, tuple[Form[Comparison], ...]] = {
    FieldType.NUMBER: _NUMBERS,
    FieldType.MONEY: _NUMBERS,
    FieldType.TEXT: (
        *_texts(FieldType.TEXT),
        Form("contains X", r"contains (.+)", lambda m: Contains(m[1])),
        Form("starts X", r"starts (.+)", lambda m: Starts(m[1])),
        _literal(FieldType.TEXT),
    ),
    FieldType.WEEKDAY: (*_texts(FieldType.WEEKDAY), _literal(FieldType.WEEKDAY)),
    FieldType.BOOL: (
        Form("true", "true", lambda _: Is((True,))),
        Form("false", "false", lambda _: Is((False,))),
        *_KNOWN,
        Form("", ".*", _not_true),
    ),
    FieldType.DATE: _DATES,
    FieldType.YEARLY: (*_DAYS_AROUND, *_KNOWN),
    FieldType.LIST: (
        *_texts(FieldType.LIST),
        Form("all of A, B", r"all of (.+)", lambda m: HasAll(tuple(map(str, _split(m[1], FieldType.LIST))))),
        _literal(FieldType.LIST),
    ),
}
WINDOWS: tuple[Form[Window], ...] = (
    Form("90d (h, d, w, m or y)", f"({_LENGTH})", _length),
    Form("180d..90d", rf"({_LENGTH})\.\.({_LENGTH})", _length_range),
    Form("DATE..DATE", rf"({_DATE})\.\.({_DATE})", _date_range),
    Form("lifetime", "lifetime", lambda _: Lifetime()),
    Form("today | yesterday", "(today|yesterday)", lambda m: CalendarWindow("day", int(m[1] == "yesterday"))),
    Form("this month | last quarter | last year …", r"(this|last) (month|quarter|year)", _calendar),
    Form("since last EVENT | since first EVENT", r"since (last|first) (\w+)", _since),
    Form(
        "14d after last EVENT | 30d before first EVENT …",
        rf"({_LENGTH}) (after|before) (last|first) (\w+)",
        _around,
    ),
)
_NOUNS = {
    FieldType.NUMBER: "a number",
    FieldType.MONEY: "a number",
    FieldType.TEXT: "text",
    FieldType.WEEKDAY: "a weekday",
    FieldType.BOOL: "true or false",
    FieldType.DATE: "a date",
    FieldType.YEARLY: "a yearly date",
    FieldType.LIST: "a list of texts",
}
