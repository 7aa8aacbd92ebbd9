"""From a file to typed rows beside the database: read, typed, judged; nothing of the database itself is touched yet."""

from __future__ import annotations

import functools
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

import duckdb
import ibis
import ibis.expr.types as ir
from ibis.backends.duckdb import Backend

from campanile.customers import engine, rejects
from campanile.customers.cells import Cells, Fault, Reading, Setting, finite, read_column
from campanile.customers.lines import Dialect, copy_readable, is_utf8
from campanile.customers.sources import Source, TableImport, is_contact
from campanile.customers.tables import columns_of
from campanile.errors import CampanileError
from campanile.spec.mapping import RowRule, Scalar

#: What staged rows carry beside the columns of their table.
ORDINAL = "__ordinal"
SKIPPED = "__skipped"
REASON = "__reason"
VALUE = "__value"

#: Ordinals of the rows of one file lie this far from those of the next.
FILE_STRIDE = 2**40
_ROWS = "campanile_rows"


@dataclass(frozen=True)
class Staged:
    """The rows of one table's files, typed and judged, in a temporary table; and the lines that were no rows."""

    rows: ir.Table
    rejects: ir.Table
    unreadable: int


class Stage:
    """A place for the rows of files until they are merged."""

    def __init__(self, backend: Backend, setting: Setting, scratch: Path) -> None:
        self._backend = backend
        self._setting = setting
        self._scratch = scratch
        self._files = 0

    def read(self, job: TableImport) -> Iterator[Source]:
        """Stages the files of a table one after the other; yields each when it is done."""
        for number, source in enumerate(job.sources):
            with tempfile.TemporaryDirectory(dir=self._scratch) as folder:
                self._read_file(job, number, Path(folder))
            yield source

    def staged(self, job: TableImport) -> Staged:
        """What has been staged of a table."""
        rows = self._backend.table(_stage_name(job.table))
        refused = self._backend.table(rejects.table_name(job.table))
        return Staged(rows, refused, int(refused.count().execute()))

    def drop(self, job: TableImport) -> None:
        """Forgets what has been staged of a table."""
        for name in (_stage_name(job.table), rejects.table_name(job.table)):
            self._backend.drop_table(name, force=True)

    def _read_file(self, job: TableImport, number: int, folder: Path) -> None:
        source = job.sources[number]
        if not source.is_csv:
            rows = engine.read_columns(self._backend, source.path, name=self._name())
            self._store(_judged(job, rows, {name: name for name in rows.columns}, self._setting))
            rejects.start(self._backend, job.table)
        elif not self._read_directly(job, source):
            self._read_carefully(job, source, folder)
        rows = self._backend.table(_ROWS)
        ordinal = ibis.literal(number * FILE_STRIDE, "int64") + rows.rowid() + 1
        engine.append(self._backend, _stage_name(job.table), rows.mutate(**{ORDINAL: ordinal}), fresh=number == 0)

    def _read_directly(self, job: TableImport, source: Source) -> bool:
        """Whether the engine could read every line of the file."""
        rejects.start(self._backend, job.table)
        if not is_utf8(job.mapping.encoding):
            return False
        name = self._name()
        try:
            self._store(_judged(job, *self._lines(job, source, source.path, name), self._setting))
        except (duckdb.InvalidInputException, duckdb.ConversionException):
            return False
        return not engine.lines_refused(self._backend, name)

    def _read_carefully(self, job: TableImport, source: Source, folder: Path) -> None:
        dialect = Dialect(job.mapping.encoding, job.mapping.separator)
        copy, bad = folder / "rows.csv", folder / "rejects.csv"
        if copy_readable(source.path, copy, rejects=bad, dialect=dialect):
            rejects.add_lines(self._backend, job.table, bad, source.label)
        name = self._name()
        self._store(_judged(job, *self._lines(job, source, copy, name), self._setting))
        if engine.lines_refused(self._backend, name):
            raise CampanileError(f"{source.label} cannot be read as CSV", "write it again, with every value in quotes")

    def _lines(self, job: TableImport, source: Source, path: Path, name: str) -> tuple[ir.Table, dict[str, str]]:
        width = len(source.header)
        rows = engine.read_lines(self._backend, path, width=width, separator=job.mapping.separator, name=name)
        return rows, {header: f"c{index}" for index, header in enumerate(source.header)}

    def _store(self, rows: ir.Table) -> None:
        engine.store(self._backend, _ROWS, rows, temp=True)

    def _name(self) -> str:
        self._files += 1
        return f"campanile_file_{self._files}"


def _stage_name(table: str) -> str:
    return f"campanile_stage_{table}"


def _judged(job: TableImport, rows: ir.Table, names: Mapping[str, str], setting: Setting) -> ir.Table:
    """The typed columns of the table, whether the row is skipped, and why it is refused (NULL when it is not)."""
    cells = Cells(rows, names)
    types = columns_of(job.table)
    readings = {
        column: read_column(column, spec, types[column], cells, setting) for column, spec in job.columns.items()
    }
    faults = list(_faults(job, readings, cells))
    reason = ibis.cases(*((fault.holds, fault.reason) for fault in faults))
    value = ibis.cases(*((fault.holds, ibis.null("string") if fault.value is None else fault.value) for fault in faults))
    return rows.select(
        **{column: reading.value for column, reading in readings.items()},
        **{SKIPPED: _skipped(job.mapping.rows, cells), REASON: reason, VALUE: value},
    )


def _faults(job: TableImport, readings: Mapping[str, Reading], cells: Cells) -> Iterator[Fault]:
    """Every reason to refuse a row, the first to be named first."""
    for column in dict.fromkeys(("customer_id", "at", *job.key, *readings)):
        if column not in readings:
            continue
        if column == "customer_id" or column in job.key:
            yield Fault(readings[column].value.isnull(), f"no {column}")
        for fault in readings[column].faults:
            yield Fault(fault.holds, fault.reason, None if is_contact(column) else fault.value)
    for name, rule in job.mapping.rows.items():
        if rule.operation in _COMPARE:
            text, number = cells.text(name), finite(cells.raw(name))
            yield Fault(text.notnull() & number.isnull(), f'unreadable number in column "{name}"', text)


def _skipped(rules: Mapping[str, RowRule], cells: Cells) -> ir.BooleanValue:
    """Whether a rule says that the row does not count. A number that cannot be read is a reason to refuse, not to skip."""
    holds = [_rule_holds(rule, name, cells) for name, rule in rules.items()]
    return functools.reduce(lambda left, right: left | right, (~hold for hold in holds), ibis.literal(False))


_COMPARE = {
    "over": lambda number, limit: number > limit,
    "under": lambda number, limit: number < limit,
    "at_least": lambda number, limit: number >= limit,
    "at_most": lambda number, limit: number <= limit,
}


def _rule_holds(rule: RowRule, name: str, cells: Cells) -> ir.BooleanValue:
    """Never NULL. An empty cell passes no rule but `unknown`."""
    text = cells.text(name)
    if rule.operation == "known":
        return text.isnull() if rule.negated else text.notnull()
    if rule.operation in _COMPARE:
        number = finite(cells.raw(name))
        holds = number.isnull() | _COMPARE[rule.operation](number, float(str(rule.values[0])))
    elif rule.operation == "starts":
        holds = text.startswith(str(rule.values[0]))
    else:
        holds = functools.reduce(lambda left, right: left | right, (_equals(text, value) for value in rule.values))
    return text.notnull() & (~holds if rule.negated else holds).fill_null(False)


def _equals(text: ir.StringValue, value: Scalar) -> ir.BooleanValue:
    if isinstance(value, bool):
        return text.lower() == str(value).lower()
    if isinstance(value, int | Decimal):
        return (text == str(value)) | (text.try_cast("float64") == float(value)).fill_null(False)
    return text == value

