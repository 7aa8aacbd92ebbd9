"""The cells of a file as typed values. Lazy: the engine does the work.

In two steps, `parsed` and `finished`, which `judging` keeps apart: an expression that is used in several places would
otherwise be computed in each of them, and moving a time between zones uses its operand seven times.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from zoneinfo import ZoneInfo

import ibis
import ibis.expr.types as ir

from campanile.customers import engine
from campanile.customers.sources import Source, column_names, text_pieces
from campanile.customers.zones import shop_time, utc_time
from campanile.money import UNUSUAL, Currency
from campanile.spec.mapping import Column
from campanile.spec.vocabulary import FieldType

_YES = ("true", "t", "yes", "y", "1")
_NO = ("false", "f", "no", "n", "0")
#: Eighteen digits are what the engine reads quickly (90 ns against 8,000): fourteen before the point, four behind it,
#: so that amounts up to a hundred thousand million stay inside after scaling to minor units.
_AMOUNT = "decimal(18, 4)"
_AMOUNT_LIMIT = 10**11
_FACTOR = "decimal(18, 6)"
_FACTOR_LIMIT = 10**10
_WIDE = "decimal(38, 6)"
_OFFSET = r":\d\d(\.\d+)?\s*([zZ]|[+-]\d\d(:?\d\d)?)$"
#: Tells whether two rows of files are equal in every column.
FINGERPRINT = "__fingerprint"
#: The currency of the amounts of a row, where some source of the table has one of its own.
CURRENCY = "original_currency"
#: The line of the file at which a row starts, where that is known.
LINE = "__line"

_IS_UTC = "__utc_"
_TEXT = "__text_"
_TYPED = "__typed_"
_FIRST_DAY, _LAST_DAY = date(1000, 1, 1), date(9999, 12, 31)

_UNREADABLE: Mapping[FieldType, str] = {
    FieldType.NUMBER: "unreadable number in",
    FieldType.MONEY: "unreadable money in",
    FieldType.BOOL: "neither true nor false in",
    FieldType.DATE: "unreadable date in",
    FieldType.YEARLY: "unreadable date in",
}


@dataclass(frozen=True)
class Setting:
    """What cells mean here."""

    zone: ZoneInfo
    currency: Currency
    now: datetime


class Cells:
    """The cells of one row, by the names in the header, after `laid_out`."""

    def __init__(self, rows: ir.Table, source: Source) -> None:
        self.rows = rows
        #: Whether dates come as dates, whatever format the mapping says of those that are text.
        self.dated = source.is_sheet or source.is_table
        self.currency = source.mapping.currency
        self._names = source.used

    def text(self, name: str) -> ir.StringValue:
        """The cell as text, blanks around it taken off; NULL when nothing is left."""
        return self.rows[f"{_TEXT}{self._names.index(name)}"]

    def raw(self, name: str) -> ir.Value:
        """The cell as the file holds it, where that is not text; its text otherwise."""
        typed = f"{_TYPED}{self._names.index(name)}"
        return self.rows[typed] if typed in self.rows.columns else self.text(name)


def laid_out(rows: ir.Table, columns: Mapping[str, str], names: Sequence[str], *, whole: bool) -> ir.Table:
    """The cells that `Cells` looks for, the line, and a fingerprint of the row, columns that nobody maps included.

    Args:
        rows: A source as the engine reads it.
        columns: What the engine calls each column of the header, and perhaps the line.
        names: The columns of the header that count.
        whole: Whether rows are told apart by all their columns; otherwise each is one of its own.
    """
    cells = [rows[columns[name]] for name in names]
    texts = {f"{_TEXT}{index}": _as_text(cell) for index, cell in enumerate(cells)}
    typed = {f"{_TYPED}{index}": cell for index, cell in enumerate(cells) if not cell.type().is_string()}
    every = {name: rows[column] for name, column in columns.items() if name != LINE}
    fingerprint = ibis.struct(every).hash() if whole else ibis.literal(0, "int64")
    line = rows[columns[LINE]].cast("int64") if LINE in columns else ibis.null("int64")
    return rows.select(**{FINGERPRINT: fingerprint, LINE: line}, **texts, **typed)


def _as_text(cell: ir.Value) -> ir.StringValue:
    if cell.type().is_floating():
        # Ids come as floats when some are missing, and missing ones as NaN: 13085.0 is 13085.
        whole = ibis.ifelse(cell % 1 == 0, cell.try_cast("int64").cast("string"), ibis.null("string"))
        return ibis.ifelse(cell.isnan(), ibis.null("string"), ibis.coalesce(whole, cell.cast("string")))
    text: ir.StringValue = engine.trimmed(cell) if cell.type().is_string() else cell.cast("string")
    return text.nullif("")


def is_time(column: str, type_: FieldType) -> bool:
    """Whether the column holds dates or moments."""
    return column == "at" or type_ in (FieldType.DATE, FieldType.YEARLY)


def parsed(column: str, spec: Column, type_: FieldType, cells: Cells, setting: Setting) -> Mapping[str, ir.Value]:
    """First step: the column as far as single cells say, under its own name and names that `finished` looks for.

    Whatever cannot be read is NULL.
    """
    scale = _scale(spec, cells, setting)
    if spec.product is not None:
        return {column: _product(spec, type_, cells, scale)}
    raw, text = _origin(spec, cells)
    if is_time(column, type_):
        moment, is_utc = _time(raw, spec, dated=cells.dated)
        return {column: moment, _IS_UTC + column: is_utc}
    if type_ in (FieldType.TEXT, FieldType.WEEKDAY):
        return {column: text}
    if type_ is FieldType.BOOL:
        return {column: raw if raw.type().is_boolean() else _yes_or_no(text)}
    if type_ is FieldType.LIST:
        return {column: raw.cast("array<string>") if raw.type().is_array() else _items(text)}
    return {column: _money(raw, scale) if type_ is FieldType.MONEY else _number(raw, spec)}


def finished(column: str, spec: Column, type_: FieldType, rows: ir.Table, setting: Setting) -> ir.Value:
    """Second step: the column as the table keeps it, from what `parsed` left in `rows`."""
    if not is_time(column, type_):
        return rows[column]
    moment, is_utc = rows[column], rows[_IS_UTC + column]
    zone = spec.zone or setting.zone
    if column == "at":
        return ibis.ifelse(is_utc, moment, utc_time(moment, zone))
    there = utc_time(moment, zone) if spec.zone else moment
    local = ibis.ifelse(is_utc, shop_time(moment, setting.zone), shop_time(there, setting.zone) if spec.zone else there)
    day = local.date()
    return ibis.ifelse(day.between(_FIRST_DAY, _LAST_DAY), day, ibis.null("date"))


def unreadable_reason(column: str, type_: FieldType) -> str:
    """What is said of a cell that holds something but not what the column wants."""
    if column == "at":
        return "unreadable date"
    return f"{_UNREADABLE.get(type_, 'unreadable text in')} {column}"


def blamed(spec: Column, cells: Cells) -> tuple[ir.StringValue, ...]:
    """The texts of the cells a column is made of."""
    return tuple(cells.text(name) for name in column_names(spec))


def _origin(spec: Column, cells: Cells) -> tuple[ir.Value, ir.StringValue]:
    """What a column is made of, as the file holds it and as text."""
    if spec.source is not None:
        text = cells.text(spec.source)
        if not spec.map:
            return cells.raw(spec.source), text
        known = [(text == source, ibis.literal(str(target))) for source, target in spec.map.items()]
        text = ibis.cases(*known, else_=text)
    elif spec.text is not None:
        parts = [ibis.literal(words) + (cells.text(name) if name else "") for words, name in text_pieces(spec.text)]
        text = functools.reduce(lambda left, right: left + right, parts)
    else:
        text = ibis.literal(str(spec.value))
    return text, text


def finite(raw: ir.Value) -> ir.FloatingValue:
    """A cell as a number; NULL when it is none, and for infinities."""
    number = raw.try_cast("float64")
    return ibis.ifelse(number.isnan() | number.isinf(), ibis.null("float64"), number)


def _number(raw: ir.Value, spec: Column) -> ir.Value:
    value = finite(raw)
    return -value if spec.negate else value


def _limited(raw: ir.Value, type_: str, limit: int) -> ir.DecimalValue:
    number = raw.try_cast(type_)
    return ibis.ifelse((number < limit) & (number > -limit), number, ibis.null(type_))


def currency_of(source: Source, cells: Cells, setting: Setting) -> ir.StringValue:
    """The code of the currency of a row's amounts; NULL where the column for it says nothing."""
    currency = source.mapping.currency
    if isinstance(currency, str):
        return cells.text(currency).upper()
    code: ir.StringValue = ibis.literal((currency or setting.currency).code)
    return code


def _scale(spec: Column, cells: Cells, setting: Setting) -> int | ir.IntegerValue:
    """Minor units in what one unit of the file is, below zero when the sign is turned round."""
    sign = -1 if spec.negate else 1
    if spec.money == "minor":
        return sign
    if not isinstance(cells.currency, str):
        return sign * (cells.currency or setting.currency).scale
    code = cells.text(cells.currency).upper()
    others = [(code.isin(codes), sign * 10**digits) for digits, codes in UNUSUAL.items()]
    return ibis.cases(*others, else_=sign * 100)


def _money(raw: ir.Value, scale: int | ir.IntegerValue) -> ir.Value:
    """Minor units, halves rounded away from zero."""
    return (_limited(raw, _AMOUNT, _AMOUNT_LIMIT) * scale).round().try_cast("int64")


def _product(spec: Column, type_: FieldType, cells: Cells, scale: int | ir.IntegerValue) -> ir.Value:
    factors = (_limited(cells.raw(name), _FACTOR, _FACTOR_LIMIT).cast(_WIDE) for name in spec.product or ())
    product = functools.reduce(lambda left, right: left * right, factors)
    if type_ is FieldType.MONEY:
        return (product * scale).try_cast("int64")
    value = product.cast("float64")
    return -value if spec.negate else value


def _yes_or_no(text: ir.StringValue) -> ir.BooleanValue:
    word = text.lower()
    return ibis.cases((word.isin(_YES), True), (word.isin(_NO), False))


def _items(text: ir.StringValue) -> ir.ArrayValue:
    """The items of a list written with bars, semicolons or commas."""
    items = text.re_replace(r"^\[|\]$", "").re_split(r"[|;,]")
    return items.map(lambda item: item.strip()).filter(lambda item: item != "")


def _time(raw: ir.Value, spec: Column, *, dated: bool) -> tuple[ir.TimestampValue, ir.BooleanValue]:
    """The moment that a cell says, and whether it is UTC already; wall-clock time otherwise."""
    type_ = raw.type()
    if type_.is_timestamp() and type_.timezone is not None:
        return raw.cast("timestamp('UTC')").cast("timestamp(6)"), engine.TRUE
    if type_.is_timestamp() or type_.is_date():
        return raw.cast("timestamp(6)"), engine.FALSE
    text = raw.cast("string")
    if spec.format and not dated:
        return engine.parse_time(text, spec.format), ibis.literal("%z" in spec.format)
    has_offset = text.re_search(_OFFSET)
    with_offset = text.try_cast("timestamp('UTC')").cast("timestamp(6)")
    moment = ibis.ifelse(has_offset, with_offset, text.try_cast("timestamp(6)"))
    if not spec.format:
        return moment, has_offset
    by_format = engine.parse_time(text, spec.format)
    return by_format.fill_null(moment), ibis.ifelse(by_format.isnull(), has_offset, "%z" in spec.format)
