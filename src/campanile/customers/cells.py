"""The cells of a file as typed values, and what is wrong with those that cannot be read. Lazy: the engine does the work."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

import ibis
import ibis.expr.types as ir

from campanile.customers import engine
from campanile.customers.sources import text_pieces
from campanile.customers.zones import shop_time, utc_time
from campanile.money import Currency
from campanile.spec.mapping import Column
from campanile.spec.vocabulary import FieldType

_YES = ("true", "t", "yes", "y", "1")
_NO = ("false", "f", "no", "n", "0")
#: Whole digits of money: 12 for an amount, 10 for a factor, so that no product leaves the engine's 38 digits.
_AMOUNT_LIMIT = 10**12
_FACTOR_LIMIT = 10**10
_DECIMAL = "decimal(38, 6)"
_OFFSET = r":\d\d(\.\d+)?\s*([zZ]|[+-]\d\d(:?\d\d)?)$"
_FIRST_MOMENT = datetime(1970, 1, 1)
#: Clocks of shops and ours may differ.
_CLOCK_SLACK = timedelta(days=1)


@dataclass(frozen=True)
class Setting:
    """What cells mean here."""

    zone: ZoneInfo
    currency: Currency
    now: datetime


@dataclass(frozen=True)
class Fault:
    """A reason to refuse a row: where it holds, and the value that is to blame."""

    holds: ir.BooleanValue
    reason: str
    value: ir.StringValue | None = None


@dataclass(frozen=True)
class Reading:
    """A column of a table as read from a file."""

    value: ir.Value
    faults: tuple[Fault, ...] = ()


class Cells:
    """The cells of one row, by the names in the header."""

    def __init__(self, rows: ir.Table, names: Mapping[str, str]) -> None:
        self._rows = rows
        self._names = names

    def raw(self, name: str) -> ir.Value:
        """The cell as the file holds it."""
        return self._rows[self._names[name]]

    def text(self, name: str) -> ir.StringValue:
        """The cell as text, blanks around it taken off; NULL when nothing is left."""
        return as_text(self.raw(name))


def as_text(value: ir.Value) -> ir.StringValue:
    """Any cell as text; whole floats without `.0`, because ids come as floats when some are missing."""
    if value.type().is_floating():
        plain = value.cast("string")
        return ibis.ifelse(value == value.floor(), value.try_cast("int64").cast("string"), plain)
    text: ir.StringValue = (value if value.type().is_string() else value.cast("string")).strip().nullif("")
    return text


def read_column(column: str, spec: Column, type_: FieldType, cells: Cells, setting: Setting) -> Reading:  # noqa: PLR0913
    """One column of a table: its value and the faults of rows where it cannot be read."""
    if spec.product is not None:
        return _product(column, spec, type_, cells, setting)
    raw = _origin(spec, cells)
    if column == "at":
        return _moment(raw, spec, setting)
    return _READERS[type_](column, raw, spec, setting)


def _origin(spec: Column, cells: Cells) -> ir.Value:
    if spec.source is not None:
        if spec.map is None:
            return cells.raw(spec.source)
        text = cells.text(spec.source)
        known = [(text == source, ibis.literal(str(target))) for source, target in spec.map.items()]
        return ibis.cases(*known, else_=text) if known else text
    if spec.text is not None:
        parts = [ibis.literal(words) + (cells.text(name) if name else "") for words, name in text_pieces(spec.text)]
        return functools.reduce(lambda left, right: left + right, parts)
    return ibis.literal(str(spec.value))


def _text(_column: str, raw: ir.Value, _spec: Column, _setting: Setting) -> Reading:
    return Reading(as_text(raw))


def _unreadable(text: ir.StringValue, value: ir.Value, reason: str) -> tuple[Fault, ...]:
    return (Fault(text.notnull() & value.isnull(), reason, text),)


def finite(raw: ir.Value) -> ir.FloatingValue:
    """A cell as a number; NULL when it is none, and for infinities."""
    number = (raw if raw.type().is_numeric() else as_text(raw)).try_cast("float64")
    return ibis.ifelse(number.isnan() | number.isinf(), ibis.null("float64"), number)


def _number(column: str, raw: ir.Value, spec: Column, _setting: Setting) -> Reading:
    value = finite(raw)
    return Reading(-value if spec.negate else value, _unreadable(as_text(raw), value, f"unreadable number in {column}"))


def _decimal(raw: ir.Value, limit: int) -> ir.DecimalValue:
    number = (raw if raw.type().is_numeric() else as_text(raw)).try_cast(_DECIMAL)
    inside = (number < ibis.literal(limit)) & (number > ibis.literal(-limit))
    return ibis.ifelse(inside, number, ibis.null(_DECIMAL))


def _minor(amount: ir.DecimalValue, spec: Column, setting: Setting) -> ir.IntegerValue:
    """Minor units, halves rounded away from zero."""
    scale = 1 if spec.money == "minor" else setting.currency.scale
    minor: ir.IntegerValue = (amount * ibis.literal(-scale if spec.negate else scale)).try_cast("int64")
    return minor


def _money(column: str, raw: ir.Value, spec: Column, setting: Setting) -> Reading:
    value = _minor(_decimal(raw, _AMOUNT_LIMIT), spec, setting)
    return Reading(value, _unreadable(as_text(raw), value, f"unreadable money in {column}"))


def _product(column: str, spec: Column, type_: FieldType, cells: Cells, setting: Setting) -> Reading:
    names = spec.product or ()
    factors = [_decimal(cells.raw(name), _FACTOR_LIMIT) for name in names]
    product = functools.reduce(lambda left, right: left * right, factors)
    what = "money" if type_ is FieldType.MONEY else "number"
    faults = tuple(
        Fault(cells.text(name).notnull() & factor.isnull(), f"unreadable {what} in {column}", cells.text(name))
        for name, factor in zip(names, factors, strict=True)
    )
    if type_ is FieldType.MONEY:
        return Reading(_minor(product, spec, setting), faults)
    value = product.cast("float64")
    return Reading(-value if spec.negate else value, faults)


def _bool(column: str, raw: ir.Value, _spec: Column, _setting: Setting) -> Reading:
    if raw.type().is_boolean():
        return Reading(raw)
    text = as_text(raw)
    word = text.lower()
    value = ibis.cases((word.isin(_YES), True), (word.isin(_NO), False))
    return Reading(value, _unreadable(text, value, f"neither true nor false in {column}"))


def _list(_column: str, raw: ir.Value, _spec: Column, _setting: Setting) -> Reading:
    if raw.type().is_array():
        return Reading(raw.cast("array<string>"))
    items = as_text(raw).re_replace(r"^\[|\]$", "").re_split(r"[|;,]")
    return Reading(items.map(lambda item: item.strip()).filter(lambda item: item != ""))


def _local_time(raw: ir.Value, spec: Column, zone: ZoneInfo) -> tuple[ir.TimestampValue, ir.TimestampValue]:
    """The cell as wall-clock time in the zone and as naive UTC; both NULL when it cannot be read."""
    type_ = raw.type()
    if type_.is_timestamp() and type_.timezone is not None:
        utc = raw.cast("timestamp('UTC')").cast("timestamp(6)")
        return shop_time(utc, zone), utc
    if type_.is_timestamp() or type_.is_date():
        local = raw.cast("timestamp(6)")
        return local, utc_time(local, zone)
    text = as_text(raw)
    if spec.format:
        moment = engine.parse_time(text, spec.format)
        return (shop_time(moment, zone), moment) if "%z" in spec.format else (moment, utc_time(moment, zone))
    return _iso_time(text, zone)


def _iso_time(text: ir.StringValue, zone: ZoneInfo) -> tuple[ir.TimestampValue, ir.TimestampValue]:
    """ISO 8601; text with an offset says its own moment, other text is local."""
    has_offset = text.re_search(_OFFSET)
    moment = text.try_cast("timestamp('UTC')").cast("timestamp(6)")
    local = text.try_cast("timestamp(6)")
    return (
        ibis.ifelse(has_offset, shop_time(moment, zone), local),
        ibis.ifelse(has_offset, moment, utc_time(local, zone)),
    )


def _date(column: str, raw: ir.Value, spec: Column, setting: Setting) -> Reading:
    zone = spec.zone or setting.zone
    local, utc = _local_time(raw, spec, zone)
    day = (shop_time(utc, setting.zone) if spec.zone else local).date()
    value = ibis.ifelse(day.between(date(1000, 1, 1), date(9999, 12, 31)), day, ibis.null("date"))
    return Reading(value, _unreadable(as_text(raw), value, f"unreadable date in {column}"))


def _moment(raw: ir.Value, spec: Column, setting: Setting) -> Reading:
    """When an event happened, in naive UTC: known, readable, after 1970, not in the future."""
    text = as_text(raw)
    _, at = _local_time(raw, spec, spec.zone or setting.zone)
    latest = setting.now.replace(tzinfo=None) + _CLOCK_SLACK
    return Reading(
        at,
        (
            Fault(text.isnull(), "no date"),
            Fault(at.isnull(), "unreadable date", text),
            Fault(at < _FIRST_MOMENT, "date before 1970", text),
            Fault(at > latest, "date in the future", text),
        ),
    )


_READERS: Mapping[FieldType, Callable[[str, ir.Value, Column, Setting], Reading]] = {
    FieldType.TEXT: _text,
    FieldType.WEEKDAY: _text,
    FieldType.NUMBER: _number,
    FieldType.MONEY: _money,
    FieldType.BOOL: _bool,
    FieldType.LIST: _list,
    FieldType.DATE: _date,
    FieldType.YEARLY: _date,
}
