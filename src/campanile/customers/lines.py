"""The careful way through a CSV file that the engine's reader stumbles over: what can be read is kept, line by line.

One quote that is never closed makes the engine swallow the rest of the file, so every such line is given up alone and
reading goes on behind it. Also turns other encodings into UTF-8. Half a microsecond a line; memory does not grow.
"""

from __future__ import annotations

import codecs
import csv
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

from campanile.errors import CampanileError

#: A quoted value may run over this many lines; one that runs on is taken for a quote that was never closed.
_LONGEST_VALUE = 50
#: Longer records are not rows of a shop. Far below the engine's own limit of two million bytes.
_LONGEST_RECORD = 500_000

OTHER_WIDTH = "wrong number of columns"
OPEN_QUOTE = "a quote that is never closed"
MISPLACED_QUOTE = "a quote in the wrong place"
TOO_LONG = "longer than any row"
UNDECODABLE = "characters that are not {encoding}"


@dataclass(frozen=True)
class Dialect:
    """How a CSV file is written."""

    encoding: str
    separator: str


@dataclass(frozen=True)
class _Record:
    """One record, or the reason why the line that starts at `line` is none."""

    line: int
    cells: str = ""
    reason: str = ""


def is_utf8(encoding: str) -> bool:
    """Whether the engine reads this encoding itself.

    >>> is_utf8("UTF8"), is_utf8("gb18030")
    (True, False)
    """
    return codecs.lookup(encoding).name in ("utf-8", "utf-8-sig")


def read_header(path: Path, dialect: Dialect) -> tuple[str, ...]:
    """The names in the first record, blanks around them taken off; () for an empty file.

    Raises:
        UnicodeError: When they are not in the encoding of the dialect.
        CampanileError: When no line of names begins the file.
    """
    with _opened(path, dialect) as file:
        try:
            cells = next(csv.reader(file, delimiter=dialect.separator), [])
        except csv.Error:
            raise CampanileError("does not begin with a line of column names", "is it a table at all?") from None
    whole = "".join(cells)
    whole.encode()
    if "\0" in whole:
        # What every other encoding looks like when two bytes make a character.
        raise UnicodeError("nothing but text has no zeros")
    return tuple(cell.strip() for cell in cells)


def copy_readable(source: Path, target: Path, *, rejects: Path, dialect: Dialect) -> int:
    """Copies the readable records of a CSV file as UTF-8, each with one cell more at its end: the line it starts at.

    The rest goes, as line and reason, to `rejects`.

    Returns:
        The number of lines in `rejects`.
    """
    refused = 0
    with (
        _opened(source, dialect) as file,
        target.open("w", encoding="utf-8", newline="") as kept,
        rejects.open("w", encoding="utf-8", newline="") as bad,
    ):
        reasons = csv.writer(bad)
        reasons.writerow(["line", "reason"])
        for record in _records(file, dialect):
            if record.reason:
                reasons.writerow([record.line, record.reason])
                refused += 1
            else:
                kept.write(f"{record.cells}{dialect.separator}{record.line}\n")
    return refused


def _opened(path: Path, dialect: Dialect) -> TextIO:
    """The file as text: any line ends, no byte-order mark; bytes that are not text become lone surrogates."""
    encoding = "utf-8-sig" if is_utf8(dialect.encoding) else dialect.encoding
    file = path.open(encoding=encoding, errors="surrogateescape", newline=None)
    if not file.read(1).startswith("\ufeff"):
        file.seek(0)
    return file


def _records(file: TextIO, dialect: Dialect) -> Iterator[_Record]:
    """The records after the header, and a first record that stands for the header."""
    lines = _Lines(file)
    header = next(csv.reader(lines.upcoming(), delimiter=dialect.separator), [])
    lines.drop()
    yield _Record(1, dialect.separator.join("h" for _ in header))
    while lines.more():
        yield from _next_record(lines, len(header), dialect)


class _Lines:
    """The lines of a file with a place to put some back."""

    def __init__(self, file: TextIO) -> None:
        self._file = file
        self._ahead: deque[str] = deque()
        self._looked = 0
        self.number = 1

    def upcoming(self) -> Iterator[str]:
        """The next lines, without their ends; `drop` takes those off that were looked at."""
        self._looked = 0
        while self._looked < len(self._ahead) or self._fetch():
            self._looked += 1
            yield self._ahead[self._looked - 1]

    def drop(self, count: int | None = None) -> None:
        """Goes on behind the first `count` upcoming lines, or all that were looked at."""
        for _ in range(self._looked if count is None else count):
            self._ahead.popleft()
            self.number += 1

    def more(self) -> bool:
        """Whether a line is left."""
        return bool(self._ahead) or self._fetch()

    def _fetch(self) -> bool:
        line = self._file.readline()
        if line:
            self._ahead.append(line.removesuffix("\n"))
        return bool(line)


def _next_record(lines: _Lines, width: int, dialect: Dialect) -> Iterator[_Record]:
    """The record that starts at the next line, none for a blank line; moves on behind it."""
    number, first = lines.number, next(lines.upcoming())
    if not first and width > 1:
        lines.drop(1)
        return
    if '"' in first:
        cells, reason, count = _quoted(lines, width, dialect)
    else:
        cells, reason = _plain(first, width, dialect)
        count = 1
    lines.drop(count)
    yield _Record(number, cells, reason or _flaw(cells, dialect))


def _plain(line: str, width: int, dialect: Dialect) -> tuple[str, str]:
    """A line without quotes, and why it is not readable. One separator too many at its end is forgiven."""
    found = line.count(dialect.separator) + 1
    if found == width + 1 and line.endswith(dialect.separator):
        return line.removesuffix(dialect.separator), ""
    return line, "" if found == width else OTHER_WIDTH


def _quoted(lines: _Lines, width: int, dialect: Dialect) -> tuple[str, str, int]:
    """A record with quotes, as every reader reads it; why it is not readable; how many lines it takes."""
    text = ""
    for count, line in enumerate(lines.upcoming(), start=1):
        text = f"{text}\n{line}" if count > 1 else line
        try:
            cells = next(csv.reader([text], delimiter=dialect.separator, strict=True))
        except csv.Error as error:
            if "unexpected end" not in str(error):
                return text, _trouble(str(error), count), 1
        else:
            if len(cells) == width + 1 and not cells[-1]:
                cells.pop()
            if len(cells) != width:
                return text, OTHER_WIDTH if count == 1 else OPEN_QUOTE, 1
            return dialect.separator.join(map(_written, cells)), "", count
        if count == _LONGEST_VALUE or len(text) > _LONGEST_RECORD:
            break
    return text, OPEN_QUOTE, 1


def _trouble(error: str, count: int) -> str:
    if "field limit" in error:
        return TOO_LONG
    return MISPLACED_QUOTE if count == 1 else OPEN_QUOTE


def _written(cell: str) -> str:
    return '"' + cell.replace('"', '""') + '"'


def _flaw(cells: str, dialect: Dialect) -> str:
    if len(cells) > _LONGEST_RECORD:
        return TOO_LONG
    try:
        cells.encode()
    except UnicodeEncodeError:
        return UNDECODABLE.format(encoding=dialect.encoding)
    return ""
