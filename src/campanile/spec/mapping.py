"""How a file of the shop becomes a table of the customer database: the grammar of `import:` in campanile.yaml.

Only reads the words; the room `customers` does what they say.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, PlainValidator, WithJsonSchema, model_validator

from campanile.clock import Duration
from campanile.errors import did_you_mean
from campanile.money import Currency
from campanile.spec.fields import (
    CURRENCIES,
    Length,
    Sentence,
    Spec,
    Text,
    Unreadable,
    Whole,
    YesNo,
    Zone,
    currency,
    header_line,
    sentence,
    shown,
)

Scalar = str | int | Decimal | bool

#: What makes a row of a table the same row when it is imported again; other tables: all columns.
NATURAL_KEYS: Mapping[str, tuple[str, ...]] = {"customers": ("customer_id",), "order": ("order_id",)}

#: Files that can be read: text, Parquet, and spreadsheets.
SPREADSHEETS = (".xlsx", ".xls", ".xlsb", ".ods")
SUFFIXES = (".csv", ".parquet", *SPREADSHEETS)

_BOUND = re.compile(r"(over|under|at least|at most)\s+(-?\d+(?:\.\d+)?)")
_STARTS = re.compile(r"(not\s+)?starts\s+(\S.*)")
_ENCODINGS = ("utf-8", "utf-8-sig", "gb18030", "gbk", "latin-1", "cp1252", "utf-16")

Operation = Literal["is", "over", "under", "at_least", "at_most", "starts", "known"]


@dataclass(frozen=True)
class RowRule:
    """Which rows of a file count, by one source column.

    `is`: the cell equals one of `values`; `over` and its like: a number against `values[0]`; `starts`: text that
    begins with `values[0]`; `known`: the cell is not empty. `negated` turns it round; an empty cell passes no rule
    except the negated `known`.
    """

    operation: Operation
    values: tuple[Scalar, ...] = ()
    negated: bool = False


def row_rule(value: object) -> RowRule:
    """The rule that a value, a list, `not X`, `over N`, `starts X` or `known` says.

    >>> row_rule("not starts C")
    RowRule(operation='starts', values=('C',), negated=True)
    >>> row_rule(["paid", "part_refunded"]).values
    ('paid', 'part_refunded')
    """
    if isinstance(value, RowRule):
        return value
    if isinstance(value, list):
        values = tuple(_scalar(item) for item in value)
        if not values:
            raise Unreadable("wants a value, got an empty list", "list the values that count")
        return RowRule("is", values)
    if not isinstance(value, str):
        return RowRule("is", (_scalar(value),))
    return _worded_rule(value.strip())


def _worded_rule(words: str) -> RowRule:
    if words in {"known", "unknown"}:
        return RowRule("known", negated=words == "unknown")
    if match := _BOUND.fullmatch(words):
        operations: Mapping[str, Operation] = {
            "over": "over", "under": "under", "at least": "at_least", "at most": "at_most"
        }  # fmt: skip
        return RowRule(operations[match[1]], (Decimal(match[2]),))
    if match := _STARTS.fullmatch(words):
        return RowRule("starts", (match[2],), negated=match[1] is not None)
    if words.startswith("not ") and words[4:].strip():
        return RowRule("is", (words[4:].strip(),), negated=True)
    if re.match(r"(over|under|at least|at most)\b", words):
        raise Unreadable(f'cannot read "{words}"', "write a number after it, as in over 0")
    if not words:
        raise Unreadable("wants a value, got nothing", "write known, unknown, or a value")
    return RowRule("is", (words,))


def _scalar(value: object) -> Scalar:
    if not isinstance(value, str | int | Decimal | bool):
        raise Unreadable(f"wants a value, got {shown(value)}")
    return value


Value = Annotated[
    Scalar, PlainValidator(_scalar), WithJsonSchema({"words": "value", "type": ["string", "number", "boolean"]})
]


class Column(Spec):
    """Where one column of a table comes from: exactly one of `from`, `value`, `text`, `product`."""

    source: Text | None = Field(None, alias="from", description="Name of the column in the file.")
    value: Value | None = Field(None, description="The same value for every row.")
    text: Sentence | None = Field(None, description='Text with columns in braces: "{Customer ID}@customers.invalid".')
    product: tuple[Text, Text] | None = Field(None, description="Two columns of the file, multiplied.")
    format: Sentence | None = Field(None, description='How a date or time is written, as in "%Y-%m-%d %H:%M".')
    zone: Zone | None = Field(None, description="Time zone of times without offset; default: the shop's.")
    map: Mapping[Text, Value] | None = Field(None, description="Values of the file and what they become.")
    money: Literal["major", "minor"] | None = Field(
        None, description="Whether amounts are 12.50 (major, the default for money) or 1250 (minor)."
    )
    negate: YesNo = Field(default=False, description="Whether the sign is turned round.")

    @model_validator(mode="after")
    def _one_origin(self) -> Column:
        origins = [key for key in ("source", "value", "text", "product") if getattr(self, key) is not None]
        if len(origins) != 1:
            raise Unreadable(
                f"a column has exactly one of from, value, text and product, this one has {len(origins) or 'none'}",
                "name the column of the file after from:",
            )
        if self.source is None and (self.format is not None or self.zone is not None or self.map is not None):
            raise Unreadable("format, zone and map go with from", "remove them, or name the column after from:")
        if self.source is None and self.product is None and (self.money is not None or self.negate):
            raise Unreadable("money and negate go with from or product", "remove them")
        return self


def column(value: object) -> Column | object:
    """A column; a bare name means `from:` that name, anything else is for pydantic to read."""
    if isinstance(value, str | int | Decimal) and not isinstance(value, bool):
        return Column(source=header_line(value))
    return value


def encoding(value: object) -> str:
    """The name of a text encoding Python knows."""
    words = sentence(value)
    try:
        "".encode(words)
    except (LookupError, ValueError) as error:
        cure = did_you_mean(words, _ENCODINGS)
        raise Unreadable(f"no text encoding {shown(words).removeprefix('text ')}", cure) from error
    return words


def separator(value: object) -> str:
    """The one character between cells; the word tab means a tab."""
    words = "\t" if value in ("tab", "\t") else sentence(value)
    if len(words) != 1:
        raise Unreadable(f"wants one character, got {shown(value)}", 'write ",", ";", "|" or tab')
    return words


def source_file(value: object) -> str:
    """The path or glob of a file of text, a Parquet file or a spreadsheet."""
    words = sentence(value)
    if not words.endswith(SUFFIXES):
        kinds = f"{', '.join(SUFFIXES[:-1])} or {SUFFIXES[-1]}"
        raise Unreadable(f"wants a file that ends in {kinds}, got {shown(words)}", "write its path: data/orders.csv")
    return words


def source_currency(value: object) -> Currency | str:
    """A currency, or the name of the column that holds it.

    >>> source_currency("USD"), source_currency({"from": "Cur"})
    (Currency(code='USD'), 'Cur')
    """
    if isinstance(value, dict):
        if value.keys() != {"from"}:
            raise Unreadable("currency wants a code, or {from: COLUMN}", "write currency: {from: Currency}")
        return header_line(value["from"])
    return currency(value)


_RULE_TYPES = ["string", "number", "boolean", "array"]
RowRuleText = Annotated[
    RowRule,
    PlainValidator(row_rule),
    WithJsonSchema(
        {"words": "value, list, or comparison", "type": _RULE_TYPES, "examples": ["over 0", "not starts C", "known"]}
    ),
]
Encoding = Annotated[str, PlainValidator(encoding), WithJsonSchema({"words": "encoding", "type": "string"})]
Separator = Annotated[
    str, PlainValidator(separator), WithJsonSchema({"words": "one character, or tab", "type": "string"})
]
SourceFile = Annotated[str, PlainValidator(source_file), WithJsonSchema({"words": "path or glob", "type": "string"})]
CurrencyOrColumn = Annotated[
    Currency | str,
    PlainValidator(source_currency),
    WithJsonSchema(
        {
            "words": "currency, or {from: COLUMN}",
            "anyOf": [
                {"enum": sorted(CURRENCIES)},
                {"type": "object", "properties": {"from": {"type": "string"}}, "required": ["from"]},
            ],
        }
    ),
]
ColumnOrName = Annotated[Column, BeforeValidator(column, json_schema_input_type=str | Column)]


class DatabaseTable(Spec):
    """A table or view of a database of the shop."""

    connection: Text = Field(description="Name of the connection, from connections.")
    table: Sentence = Field(description="The table or view, after its schema and a point where it is in one.")


class SourceMapping(Spec):
    """One source of the rows of a table: files of one form, or a table of a database."""

    file: SourceFile | None = Field(
        None,
        description="A .csv, .parquet, .xlsx, .xls, .xlsb or .ods file, or a glob; relative to home, then to the "
        "project.",
    )
    table: DatabaseTable | None = Field(None, alias="from", description="A table of a database, instead of a file.")
    encoding: Encoding = Field("utf-8", description="How a .csv file encodes text.")
    separator: Separator = Field(",", description="What stands between the cells of a .csv file.")
    sheet: Sentence | None = Field(None, description="The sheet of a spreadsheet; default: the first.")
    header: Whole | None = Field(
        None, description="The row of a sheet that names the columns; default: the first that is not blank."
    )
    rows: Mapping[Text, RowRuleText] = Field(
        default_factory=dict, description="Which rows count, by column of the source; all rules must hold."
    )
    columns: Mapping[Text, ColumnOrName] = Field(
        default_factory=dict,
        description="Columns of the table, and where they come from; default: the source's columns of the same names.",
    )
    currency: CurrencyOrColumn | None = Field(
        None,
        description="Currency of every amount of the source, or {from: COLUMN}; default: the shop's. Amounts are "
        "converted with rates.",
    )
    since: Sentence | None = Field(
        None,
        description="Column of a database table that grows with every change, as in updated_at: only rows that changed "
        "since the last import are read.",
    )
    overlap: Length = Field(
        Duration(hours=1), description="How far before the last import `since` looks, for changes written late."
    )

    @model_validator(mode="after")
    def _keys_go_together(self) -> SourceMapping:
        if self.file is not None and self.table is not None:
            raise Unreadable("a source has file or from, not both", "remove one of them")
        return self

    @property
    def name(self) -> str:
        """What reports call the source: its path or glob, or its connection and table."""
        return self.file or (f"{self.table.connection} {self.table.table}" if self.table else "")


class TableMapping(SourceMapping):
    """Where the rows of one table come from."""

    sources: tuple[SourceMapping, ...] = Field(
        (),
        description="Several sources of the table, in the order in which they are read. What the table says beside "
        "them holds for each source that does not say otherwise; their columns and rows come on top.",
    )
    key: tuple[Text, ...] = Field(
        (),
        description="Columns of the table that make a row the same row when it is imported again; default: customer_id "
        "for customers, order_id for order, otherwise all columns.",
    )
    repeats: YesNo = Field(
        default=False,
        description="Without a key: whether lines of one file that are equal in every column are several things. "
        "Default: they are one line, written several times.",
    )
    full: YesNo = Field(
        default=False,
        description="Whether the sources hold everything: rows that are no longer in them are removed. Default: such "
        "rows are counted and stay.",
    )
    derive: Literal["bought"] | None = Field(
        None, description="For order: made of the lines in bought, one order for each order_id, instead of a file."
    )

    @model_validator(mode="after")
    def _one_origin(self) -> TableMapping:
        if self.derive is not None and self.model_fields_set != {"derive"}:
            raise Unreadable("a derived table takes no other keys", "remove them, or remove derive")
        if self.sources and (self.file is not None or self.table is not None):
            raise Unreadable("the table has sources and a source of its own", "move file or from into sources")
        for number, source in enumerate(self.each(), start=1):
            if source.file is None and source.table is None and self.derive is None:
                which = f"source {number} of the table" if self.sources else "the table"
                raise Unreadable(f"{which} has no file", "add file: and its path, or from: and a table of a database")
        if any(source.since and source.table is None for source in self.each()):
            raise Unreadable("since goes with from: a file is always read whole", "remove since")
        if self.full and any(source.since for source in self.each()):
            raise Unreadable("full and since exclude each other", "remove since: full reads everything")
        return self

    def each(self) -> tuple[SourceMapping, ...]:
        """The sources of the table, each with all that holds for it."""
        return tuple(self._whole(source) for source in self.sources) or (self,)

    def columns_of_all(self) -> tuple[str, ...]:
        """The columns of the table that are mapped in any source; () when a source's own names say them."""
        each = [source.columns for source in self.each()]
        return tuple(dict.fromkeys(name for columns in each for name in columns)) if all(each) else ()

    def _whole(self, source: SourceMapping) -> SourceMapping:
        own = {name: getattr(source, name) for name in source.model_fields_set}
        shared = {name: getattr(self, name) for name in self.model_fields_set & SourceMapping.model_fields.keys()}
        both = {name: {**shared.get(name, {}), **own.get(name, {})} for name in ("rows", "columns")}
        return SourceMapping.model_construct(**{**shared, **own, **both})

    def key_of(self, table: str) -> tuple[str, ...]:
        """The columns that identify a row of this table; () means all of them."""
        return self.key or NATURAL_KEYS.get(table, ())
