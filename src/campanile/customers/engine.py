"""Everything that is DuckDB's own; the other rooms see Ibis relations.

Measured with duckdb 1.5.6 and ibis 12.0.0:

* A reader that streams from a connection ends early, without an error, as soon as anything else runs on that connection
  (40,000 of 5,000,000 rows). `batches` therefore reads on a connection of its own.
* `quantile_disc(7)` misses the k-th value for one n in seven, by floating point. `cut_points` asks in the middle between two
  ranks instead.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import duckdb
import ibis
import ibis.expr.datatypes as dt
import ibis.expr.types as ir
import pyarrow as pa
import sqlglot
from ibis.backends.duckdb import Backend

from campanile.errors import CampanileError

if TYPE_CHECKING:
    from campanile.customers.database import CustomerDatabase

Location = str | tuple[str, str] | None

_HEX_DIGITS = 15
_PID = re.compile(r"PID (\d+)")
_MAX_MEMORY = 4 * 1024**3


@ibis.udf.agg.builtin(
    name="quantile_disc", signature=((dt.int64, dt.Array(dt.float64)), dt.Array(dt.int64))
)
def _quantile_disc(values, ranks):  # type: ignore[no-untyped-def] # ibis reads the signature above
    """The engine's own exact quantile."""


@ibis.udf.scalar.builtin(name="try_strptime", signature=((dt.string, dt.string), dt.timestamp))
def _try_strptime(text, form):  # type: ignore[no-untyped-def] # ibis reads the signature above
    """The engine's own reader of dates; NULL where the text does not fit."""


def connect(path: Path, *, read_only: bool) -> Backend:
    """The open DuckDB file, with a memory limit, room to spill beside the file, and no downloads."""
    with engine_errors(path):
        return ibis.duckdb.connect(
            path,
            read_only=read_only,
            memory_limit=f"{_memory_limit() // 1024**2}MiB",
            temp_directory=str(path.with_name(path.name + ".spill")),
            autoinstall_known_extensions=False,
            autoload_known_extensions=False,
        )


def _memory_limit() -> int:
    """Half of the machine's memory, at most 4 GiB: more makes nothing faster (performance.md §1), less spills."""
    return min(_MAX_MEMORY, os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2)


@contextmanager
def engine_errors(path: Path) -> Iterator[None]:
    """Turns what the engine says about the file into a sentence with the cure.

    The engine's own text is dropped: it quotes values, and values may be contact data.
    """
    try:
        yield
    except duckdb.Error as error:
        raise _sentence(path, error) from None


def _sentence(path: Path, error: duckdb.Error) -> CampanileError:
    text = str(error)
    if "lock" in text and "PID" in text or "Could not set lock" in text:
        pid = _PID.search(text)
        who = f"another process ({pid[1]})" if pid else "another process"
        return CampanileError(f"{path.name} is open in {who}", "let it finish or stop it, then try again")
    if "different configuration" in text:
        return CampanileError(f"{path.name} is already open in this process in another mode", "close it first")
    if "not a valid DuckDB" in text or "Corrupt" in text or "checksum" in text or isinstance(error, duckdb.SerializationException):
        return CampanileError(f"{path.name} is not a DuckDB file, or it is damaged", "restore it, or delete it and import again")
    if "version number" in text or "newer version" in text:
        return CampanileError(f"{path.name} was written by a newer DuckDB", "update campanile, or import again")
    if isinstance(error, duckdb.OutOfMemoryException):
        return CampanileError("the engine ran out of memory or disk", f"free some space beside {path.name}")
    if isinstance(error, duckdb.IOException):
        return CampanileError(f"{path.name} cannot be read or written", "check the disk, the folder and its permissions")
    return CampanileError(f"the engine stopped at {path.name} ({type(error).__name__})", "report this; nothing was changed")


@contextmanager
def transaction(backend: Backend) -> Iterator[None]:
    """Everything inside is there afterwards, or nothing is."""
    backend.con.begin()
    try:
        yield
    except BaseException:
        backend.con.rollback()
        raise
    backend.con.commit()


def arm_number(id_column: ir.StringValue, salt: str) -> ir.IntegerValue:
    """Sixty bits that decide an arm: the first 15 hex digits of sha256 of salt, colon, id.

    The same on DuckDB, PostgreSQL, Spark and in Python: `int(sha256(f"{salt}:{id}".encode()).hexdigest()[:15], 16)`.
    """
    digest = (ibis.literal(f"{salt}:") + id_column).hexdigest("sha256")
    number: ir.IntegerValue = ("0x" + digest.left(_HEX_DIGITS)).cast("int64")
    return number


def cut_points(values: ir.IntegerColumn, scores: int) -> tuple[int, ...]:
    """Exact upper ends of the lower scores: the ⌈s·N/k⌉-th smallest value for s = 1 … k-1; () without values.

    A value above the s-th has at least s/k of all values strictly below it, so
    `1 + (number of cut points below the value)` is the tie-safe score `1 + floor(k·W/N)`.
    """
    count = int(values.count().execute())
    if not count:
        return ()
    ranks = [(-(-score * count // scores) - 0.5) / count for score in range(1, scores)]
    return tuple(int(value) for value in _quantile_disc(values, ranks).execute())


def percentiles(values: ir.IntegerColumn, shares: Sequence[float]) -> tuple[int, ...]:
    """The smallest values with at least these shares of all values at or below them; () without values."""
    found = _quantile_disc(values, list(shares)).execute()
    return () if found is None else tuple(int(value) for value in found)


def parse_time(text: ir.StringValue, form: str) -> ir.TimestampValue:
    """Text as a naive timestamp by a strptime format; NULL where it does not fit. `%z` gives UTC."""
    moment: ir.TimestampValue = _try_strptime(text, form)
    return moment


def batches(database: CustomerDatabase, relation: ir.Table, size: int = 10_000) -> Iterator[pa.RecordBatch]:
    """The rows of a relation in Arrow batches; memory does not grow with their number.

    The relation may stand on tables of the database and on memtables, not on temporary tables.
    """
    connection = database.ibis.con.cursor()
    with engine_errors(database.path):
        try:
            reader = ibis.duckdb.from_connection(connection)._to_duckdb_relation(relation).to_arrow_reader(size)
            yield from reader
        finally:
            connection.close()


def parquet_rows(database: CustomerDatabase, path: Path) -> ir.Table:
    """The rows of a Parquet file. Unlike a view of this connection they can be read in `batches`."""
    source = sqlglot.exp.func("read_parquet", sqlglot.exp.Literal.string(_no_glob(path)), dialect="duckdb")
    with engine_errors(database.path):
        return database.ibis.sql(sqlglot.select("*").from_(source).sql("duckdb"))


def write_parquet(database: CustomerDatabase, relation: ir.Table, path: Path) -> None:
    """Writes a relation to a Parquet file, whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    _write(lambda part: database.ibis.to_parquet(relation, part, compression="zstd"), path, database.path)


def write_csv(backend: Backend, relation: ir.Table, path: Path) -> None:
    """Writes a relation to a CSV file with a header, whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    _write(lambda part: backend.to_csv(relation, part, header=True), path, path)


def _write(write: Any, path: Path, about: Path) -> None:
    part = path.with_name(f".{path.name}.part")
    try:
        with engine_errors(about):
            write(part)
        with part.open("rb") as file:
            os.fsync(file.fileno())
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def store(
    backend: Backend, name: str, relation: ir.Table, *, database: Location = None, temp: bool = False
) -> ir.Table:
    """The table `name`, now holding the relation's rows in their order; a table of that name is replaced, even one the relation reads."""
    schema = ibis.schema({column: type_(nullable=True) for column, type_ in relation.schema().items()})
    return backend.create_table(name, relation, schema=schema, database=database, temp=temp, overwrite=True)


def read_lines(backend: Backend, path: Path, *, width: int, separator: str, name: str) -> ir.Table:
    """A UTF-8 CSV file as `width` columns of text named c0, c1 …; `lines_refused` of the same name says what was left out."""
    return backend.read_csv(
        _no_glob(path),
        table_name=name,
        columns={f"c{index}": "VARCHAR" for index in range(width)},
        header=True,
        delim=separator,
        quote='"',
        escape='"',
        store_rejects=True,
        rejects_table=f"{name}_rejects",
        rejects_scan=f"{name}_scans",
    )


def read_columns(backend: Backend, path: Path, *, name: str) -> ir.Table:
    """A Parquet file."""
    return backend.read_parquet(_no_glob(path), table_name=name)


def _no_glob(path: Path) -> str:
    return re.sub(r"([*?\[])", r"[\1]", str(path))


def append(backend: Backend, name: str, relation: ir.Table, *, fresh: bool = False) -> None:
    """Adds the rows of a relation to a temporary table by column name; makes it anew when `fresh`."""
    if fresh:
        store(backend, name, relation, temp=True)
    else:
        backend.insert(name, relation, database=("temp", "main"))


def lines_refused(backend: Backend, name: str) -> bool:
    """Whether the reader of that name could not read some line. Known only after it has read."""
    return bool(backend.table(f"{name}_rejects").count().execute())
