"""From files to typed rows beside the database: read, judged, put in one table. The database is not touched yet."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import duckdb
import ibis
import ibis.expr.types as ir
from ibis.backends.duckdb import Backend

from campanile.customers import engine, rejects
from campanile.customers.cells import FINGERPRINT, LINE, Setting
from campanile.customers.judging import REASON, SKIPPED, VALUE, judged
from campanile.customers.lines import Dialect, copy_readable, is_utf8
from campanile.customers.sources import Source, TableImport
from campanile.errors import CampanileError

#: Where a row stands among all rows of its table's files: file by file, row by row; and the number of its file.
ORDINAL = "__ordinal"
FILE = "__file"
_FILE_STRIDE = 2**40

_READER = "campanile_file"
_ROWS = "campanile_rows"


@dataclass(frozen=True)
class Staged:
    """The files of one table as read."""

    #: Rows that count, typed, with their ordinal.
    kept: ir.Table
    #: Rows and unreadable lines.
    read: int
    skipped: int


class Stage:
    """A place for the rows of files until they are merged. Everything in it is temporary."""

    def __init__(self, backend: Backend, setting: Setting, scratch: Path) -> None:
        self._backend = backend
        self._setting = setting
        self._scratch = scratch
        self._readings = 0

    def read(self, job: TableImport) -> Iterator[Source]:
        """Stages the files of a table; yields each when it is done."""
        rejects.start(self._backend, job.table)
        for number, source in enumerate(job.sources):
            if not source.is_csv:
                self._read_columns(job, source)
            elif not (is_utf8(job.mapping.encoding) and self._read_lines(job, source, source.path)):
                self._read_carefully(job, source)
            rows = self._backend.table(_ROWS)
            place = {FILE: ibis.literal(number, "int64"), ORDINAL: rows.rowid() + 1 + number * _FILE_STRIDE}
            engine.append(self._backend, _stage_name(job), rows.mutate(**place), fresh=number == 0)
            yield source

    def staged(self, job: TableImport) -> Staged:
        """What has been staged of a table; the rows that were refused are now among its rejects."""
        rows = self._backend.table(_stage_name(job))
        counts = rows.aggregate(read=rows.count(), skipped=rows[SKIPPED].sum()).to_pyarrow().to_pylist()[0]
        unreadable = sum(rejects.by_reason(self._backend, job.table).values())
        counting = rows.filter(~rows[SKIPPED])
        rejects.add(self._backend, job.table, _placed(counting.filter(counting[REASON].notnull()), job))
        kept = counting.filter(counting[REASON].isnull()).select(*job.columns, ORDINAL, FILE, FINGERPRINT)
        return Staged(kept, read=counts["read"] + unreadable, skipped=counts["skipped"] or 0)

    def drop(self, job: TableImport) -> None:
        """Forgets what has been staged of a table."""
        for name in (_stage_name(job), rejects.table_name(job.table)):
            self._backend.drop_table(name, force=True)

    def _read_columns(self, job: TableImport, source: Source) -> None:
        try:
            rows = engine.read_columns(self._backend, source.path, name=_READER)
            self._judge(job, rows, {name: name for name in rows.columns})
        except duckdb.Error as error:
            # Damaged pages come as an error without a kind, or as unreadable input.
            if type(error) is duckdb.Error or isinstance(error, duckdb.InvalidInputException):
                raise CampanileError(f"{source.label} cannot be read", "it is damaged: get it again") from None
            raise

    def _read_lines(self, job: TableImport, source: Source, path: Path) -> bool:
        """Whether the engine could read every line of a CSV file, or of its careful copy; its rows are judged then."""
        self._readings += 1
        bad = f"{_READER}_{self._readings}"
        names = [*source.header, LINE] if path != source.path else source.header
        columns = {name: f"c{index}" for index, name in enumerate(names)}
        rows = engine.read_lines(
            self._backend, path, width=len(names), separator=job.mapping.separator, names=(_READER, bad)
        )
        try:
            self._judge(job, rows, columns)
        except (duckdb.InvalidInputException, duckdb.ConversionException):
            return False
        return not engine.lines_refused(self._backend, bad)

    def _judge(self, job: TableImport, rows: ir.Table, columns: Mapping[str, str]) -> None:
        engine.store(self._backend, _ROWS, judged(job, rows, columns, self._setting), temp=True)

    def _read_carefully(self, job: TableImport, source: Source) -> None:
        """Reads a copy of the file that holds its readable lines only; the others become rejects."""
        dialect = Dialect(job.mapping.encoding, job.mapping.separator)
        with tempfile.TemporaryDirectory(dir=self._scratch) as folder:
            copy, bad = Path(folder) / "rows.csv", Path(folder) / "rejects.csv"
            if copy_readable(source.path, copy, rejects=bad, dialect=dialect):
                rejects.add_lines(self._backend, job.table, bad, source.label)
            if not self._read_lines(job, source, copy):
                cure = "write it again, with every value in quotes"
                raise CampanileError(f"{source.label} cannot be read as CSV", cure)


def _stage_name(job: TableImport) -> str:
    return f"campanile_stage_{job.table}"


def _placed(refused: ir.Table, job: TableImport) -> ir.Table:
    """Refused rows with the file they stand in, and their line, or else their number with the header not counted."""
    labels = ibis.memtable({"number": range(len(job.sources)), "file": [source.label for source in job.sources]})
    placed = refused.join(labels, refused[FILE] == labels.number)
    row = ibis.ifelse(placed[LINE].isnull(), placed[ORDINAL] % _FILE_STRIDE, ibis.null("int64"))
    return placed.select(placed.file, line=placed[LINE], row=row, reason=placed[REASON], value=placed[VALUE])
