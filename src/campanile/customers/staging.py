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
from campanile.customers.copies import PLACE, copy_rows
from campanile.customers.judging import REASON, SKIPPED, VALUE, judged
from campanile.customers.lines import Dialect, copy_readable, is_utf8
from campanile.customers.rates import Rates, converted
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
    #: Lines that were no rows.
    unreadable: int
    #: Rows that were refused.
    refused: ir.Table


class Stage:
    """A place for the rows of files until they are merged. Everything in it is temporary."""

    def __init__(self, backend: Backend, setting: Setting, rates: Rates, scratch: Path) -> None:
        self._backend = backend
        self._setting = setting
        self._rates = rates
        self._scratch = scratch
        self._readings = 0
        #: How far the incremental sources were read, by import and source.
        self.watermarks: dict[str, str] = {}

    def read(self, job: TableImport) -> Iterator[Source]:
        """Stages the files of a table; yields each when it is done."""
        rejects.start(self._backend, job.name)
        for number, source in enumerate(job.sources):
            self._read(job, source)
            rows = self._backend.table(_ROWS)
            place = {FILE: ibis.literal(number, "int64"), ORDINAL: rows.rowid() + 1 + number * _FILE_STRIDE}
            if source.is_table:
                place[FINGERPRINT] = place[ORDINAL]
            placed = rows.mutate(**place)
            if job.converts:
                placed = converted(job.table, placed, self._rates, self._setting)
            engine.append(self._backend, _stage_name(job), placed, fresh=number == 0)
            yield source

    def staged(self, job: TableImport) -> Staged:
        """What has been staged of a table; the rows that were refused are now among its rejects."""
        rows = self._backend.table(_stage_name(job))
        counts = rows.aggregate(read=rows.count(), skipped=rows[SKIPPED].sum()).to_pyarrow().to_pylist()[0]
        unreadable = sum(rejects.by_reason(self._backend, job.name).values())
        counting = rows.filter(~rows[SKIPPED])
        refused = counting.filter(counting[REASON].notnull())
        rejects.add(self._backend, job.name, _placed(refused, job))
        kept = counting.filter(counting[REASON].isnull()).drop(SKIPPED, REASON, VALUE, LINE)
        return Staged(kept, counts["read"] + unreadable, counts["skipped"] or 0, unreadable, refused)

    def drop(self, job: TableImport) -> None:
        """Forgets what has been staged of a table."""
        for name in (_stage_name(job), rejects.table_name(job.name)):
            self._backend.drop_table(name, force=True)

    def _read(self, job: TableImport, source: Source) -> None:
        if source.is_table or source.is_sheet:
            self._read_copy(job, source)
        elif source.path is not None and not source.is_csv:
            self._read_columns(job, source, source.path)
        elif source.path is not None:
            encoding = source.mapping.encoding
            if not (is_utf8(encoding) and self._read_lines(job, source, source.path)):
                self._read_carefully(job, source, source.path)

    def _read_columns(self, job: TableImport, source: Source, path: Path) -> None:
        try:
            rows = engine.read_columns(self._backend, path, name=_READER)
            self._judge(job, source, rows, {name: name for name in rows.columns})
        except duckdb.Error as error:
            # Damaged pages come as an error without a kind, or as unreadable input.
            if type(error) is duckdb.Error or isinstance(error, duckdb.InvalidInputException):
                raise CampanileError(f"{source.label} cannot be read", "it is damaged: get it again") from None
            raise

    def _read_copy(self, job: TableImport, source: Source) -> None:
        """Reads a sheet or a table of a database by way of a copy that the engine can read."""
        with tempfile.TemporaryDirectory(dir=self._scratch) as folder:
            copy = Path(folder) / "rows.parquet"
            if source.is_table:
                from campanile.customers.connections import Watermark, table_rows

                watermark = Watermark(source.watermark, self._setting.now)
                names = source.used
                copy_rows(table_rows(source, names, watermark), len(names), copy)
                if source.mapping.since:
                    self.watermarks[f"{job.name} {source.label}"] = str(watermark)
            elif source.path is not None:
                from campanile.customers.sheets import sheet_rows

                names = source.header
                copy_rows(sheet_rows(source.path, source.mapping), len(names), copy)
            columns = {name: f"c{index}" for index, name in enumerate(names)}
            if source.is_sheet:
                columns[LINE] = PLACE
            self._judge(job, source, engine.read_columns(self._backend, copy, name=_READER), columns)

    def _read_lines(self, job: TableImport, source: Source, path: Path) -> bool:
        """Whether the engine could read every line of a CSV file, or of its careful copy; its rows are judged then."""
        self._readings += 1
        bad = f"{_READER}_{self._readings}"
        names = [*source.header, LINE] if path != source.path else source.header
        columns = {name: f"c{index}" for index, name in enumerate(names)}
        rows = engine.read_lines(
            self._backend, path, width=len(names), separator=source.mapping.separator, names=(_READER, bad)
        )
        try:
            self._judge(job, source, rows, columns)
        except (duckdb.InvalidInputException, duckdb.ConversionException):
            return False
        return not engine.lines_refused(self._backend, bad)

    def _judge(self, job: TableImport, source: Source, rows: ir.Table, columns: Mapping[str, str]) -> None:
        engine.store(self._backend, _ROWS, judged(job, source, rows, columns, self._setting), temp=True)

    def _read_carefully(self, job: TableImport, source: Source, path: Path) -> None:
        """Reads a copy of the file that holds its readable lines only; the others become rejects."""
        dialect = Dialect(source.mapping.encoding, source.mapping.separator)
        with tempfile.TemporaryDirectory(dir=self._scratch) as folder:
            copy, bad = Path(folder) / "rows.csv", Path(folder) / "rejects.csv"
            if copy_readable(path, copy, rejects=bad, dialect=dialect):
                rejects.add_lines(self._backend, job.name, bad, source.label)
            if not self._read_lines(job, source, copy):
                cure = "write it again, with every value in quotes"
                raise CampanileError(f"{source.label} cannot be read as CSV", cure)


def _stage_name(job: TableImport) -> str:
    return f"campanile_stage_{job.name}"


def _placed(refused: ir.Table, job: TableImport) -> ir.Table:
    """Refused rows with the file they stand in, and their line, or else their number with the header not counted."""
    labels = ibis.memtable({"number": range(len(job.sources)), "file": [source.label for source in job.sources]})
    placed = refused.join(labels, refused[FILE] == labels.number)
    row = ibis.ifelse(placed[LINE].isnull(), placed[ORDINAL] % _FILE_STRIDE, ibis.null("int64"))
    return placed.select(placed.file, line=placed[LINE], row=row, reason=placed[REASON], value=placed[VALUE])
