"""What an import reads: the sources of each table, and which of their columns make a column of the table."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from campanile.spec.mapping import SPREADSHEETS, Column, SourceMapping


@dataclass(frozen=True)
class Source:
    """One file of the shop, or one table of a database."""

    #: As the mapping finds it; what reports and rejects show.
    label: str
    header: tuple[str, ...]
    mapping: SourceMapping
    #: Where the columns of the table come from.
    columns: Mapping[str, Column]
    #: The file; None for a table of a database.
    path: Path | None = None
    #: What the columns hold, where the source says so.
    types: Mapping[str, str] = field(default_factory=dict)
    #: Environment variable with the URL of the database.
    url_env: str = ""
    #: Where the last import of an incremental source ended; "" reads everything.
    watermark: str = ""

    @property
    def is_csv(self) -> bool:
        """Whether it is text."""
        return self.path is not None and self.path.suffix == ".csv"

    @property
    def is_sheet(self) -> bool:
        """Whether it is a sheet of a spreadsheet."""
        return self.path is not None and self.path.suffix in SPREADSHEETS

    @property
    def is_table(self) -> bool:
        """Whether it is a table of a database; every row of it counts, however equal rows are."""
        return self.path is None

    @property
    def used(self) -> tuple[str, ...]:
        """The columns of the source that the mapping names, each once."""
        named = [name for spec in self.columns.values() for name in column_names(spec)]
        currency = [self.mapping.currency] if isinstance(self.mapping.currency, str) else []
        return tuple(dict.fromkeys([*named, *self.mapping.rows, *currency]))


@dataclass(frozen=True)
class TableImport:
    """One table to import: its sources in order, all with the same columns of the table, and its natural key."""

    table: str
    sources: tuple[Source, ...]
    key: tuple[str, ...]
    #: Whether a line that comes twice in one file counts twice; otherwise it is a mistake of whoever wrote the file.
    repeats: bool = False
    #: Whether rows that did not come are removed.
    full: bool = False
    #: Whether amounts are converted: some source of the table has a currency of its own.
    converts: bool = False
    #: Tells the imports of one table apart, whose sources have different columns.
    part: int = 0

    @property
    def name(self) -> str:
        """The name of this import among all."""
        return f"{self.table}_{self.part}" if self.part else self.table

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns of the table that come."""
        return tuple(self.sources[0].columns) if self.sources else ()

    @property
    def by_lines(self) -> bool:
        """Whether rows that are equal in every column of a file are one row."""
        return not (self.key or self.repeats)

    @property
    def incremental(self) -> bool:
        """Whether a source tells its changes only, so that nobody knows what vanished."""
        return any(source.mapping.since for source in self.sources)


def column_names(spec: Column) -> tuple[str, ...]:
    """The columns of the file that one column of the table is made of.

    >>> column_names(Column(text="{Customer ID}@customers.invalid"))
    ('Customer ID',)
    """
    if spec.source is not None:
        return (spec.source,)
    if spec.product is not None:
        return spec.product
    return tuple(name for _, name in text_pieces(spec.text or "") if name)


def text_pieces(text: str) -> Iterator[tuple[str, str]]:
    """The parts of a text with columns in braces: words, and the column that follows them or "".

    >>> list(text_pieces("{Customer ID}@x"))
    [('', 'Customer ID'), ('@x', '')]
    """
    while "{" in text and "}" in text.partition("{")[2]:
        words, _, rest = text.partition("{")
        name, _, text = rest.partition("}")
        yield words, name.strip()
    if text:
        yield text, ""
