"""Everything that is DuckDB's own; the other rooms see Ibis relations.

Measured with duckdb 1.5.6 and ibis 12.0.0:

* A reader that streams from a connection ends early, without an error, as soon as anything else runs on that connection
  (40,000 of 5,000,000 rows). `batches` therefore reads on a connection of its own.
* `quantile_disc` with sevenths misses the value by one rank for some numbers of rows, by floating point. `cut_points`
  asks in the middle between two ranks instead.
"""

from __future__ import annotations

import os
import re
import shutil
import threading
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

TRUE: ir.BooleanScalar = ibis.literal(value=True)
FALSE: ir.BooleanScalar = ibis.literal(value=False)

Location = str | tuple[str, str] | None

_HEX_DIGITS = 15
_PID = re.compile(r"PID (\d+)")
_MAX_MEMORY = 4 * 1024**3


@ibis.udf.agg.builtin(name="quantile_disc", signature=((dt.int64, dt.Array(dt.float64)), dt.Array(dt.int64)))
def _quantile_disc(values, ranks):  # type: ignore[no-untyped-def] # ibis reads the signature above
    """The engine's own exact quantile."""


@ibis.udf.scalar.builtin(name="try_strptime", signature=((dt.string, dt.string), dt.timestamp))
def _try_strptime(text, form):  # type: ignore[no-untyped-def] # ibis reads the signature above
    """The engine's own reader of dates; NULL where the text does not fit."""


@ibis.udf.scalar.builtin(name="trim", signature=((dt.string,), dt.string))
def _trim(text):  # type: ignore[no-untyped-def] # ibis reads the signature above
    """The engine's own trim."""


def connect(path: Path, *, read_only: bool) -> Backend:
    """The open DuckDB file, with a memory limit, room to spill beside the file, and no downloads."""
    if "?" in str(path):
        # The engine takes what follows for the parameters of an address, and writes its log elsewhere.
        raise CampanileError(f"the customer database cannot lie in {path}", "choose a home without ? in its path")
    spill = path.with_name(f"{path.name}.spill-{os.getpid()}")
    if not read_only and path.exists():
        path.chmod(0o600)
    with engine_errors(path):
        backend = ibis.duckdb.connect(
            path,
            read_only=read_only,
            memory_limit=f"{_memory_limit() // 1024**2}MiB",
            temp_directory=str(spill),
            autoinstall_known_extensions=False,
            autoload_known_extensions=False,
        )
    if not read_only:
        _clear_spills(path, spill)
    return backend


class PrivateFiles:
    """While one is held, files that this process makes are its owner's alone.

    The engine makes its file, its log and what it spills without asking us for their rights.
    """

    _lock = threading.Lock()
    _held = 0
    _before = 0

    def __enter__(self) -> None:
        with self._lock:
            if not PrivateFiles._held:
                PrivateFiles._before = os.umask(0o077)
            PrivateFiles._held += 1

    def __exit__(self, *_: object) -> None:
        with self._lock:
            PrivateFiles._held -= 1
            if not PrivateFiles._held:
                os.umask(PrivateFiles._before)


def _clear_spills(path: Path, own: Path) -> None:
    """Removes what killed processes have spilled: who may write is the only one that has the file open."""
    for left_over in path.parent.glob(f"{path.name}.spill-*"):
        if left_over != own:
            shutil.rmtree(left_over, ignore_errors=True)


def _memory_limit() -> int:
    """A quarter of the machine's memory, at most 4 GiB: more makes nothing faster (performance.md §1), less spills."""
    return min(_MAX_MEMORY, os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 4)


#: What the engine says of troubles that a person can mend: words in its text, what is wrong, the cure.
_TROUBLES: Sequence[tuple[str, str, str]] = (
    (r"Could not set lock", "{file} is open in {who}", "let it finish or stop it, then try again"),
    (r"different configuration", "{file} is open in this process in another mode", "close it first"),
    (r"version number|newer version", "{file} was written by another DuckDB", "update campanile, or import again"),
    (
        r"not a valid DuckDB|[Cc]orrupt|checksum|[Dd]eserializ",
        "{file} is not a DuckDB file, or it is damaged",
        "restore it, or delete it and import again",
    ),
    (r"No space left|[Dd]isk full|max_temp_directory_size", "the disk of {file} is full", "free some space"),
    (r"Out of Memory", "the engine ran out of memory at {file}", "free some memory, or space beside it to spill"),
    (r"IO Error", "{file} cannot be read or written", "check the disk, the folder and its permissions"),
    (
        r"(Conversion|Out of Range|Invalid Input|FATAL|INTERNAL) Error",
        "the engine stopped at {file}; nothing was changed",
        "report this, with what you did",
    ),
)


@contextmanager
def engine_errors(path: Path) -> Iterator[None]:
    """Turns what the engine says about the file into a sentence with the cure.

    The engine's own text is dropped then: it quotes values, and values may be contact data.
    """
    try:
        yield
    except duckdb.Error as error:
        text = str(error)
        for words, what, cure in _TROUBLES:
            if re.search(words, text):
                pid = _PID.search(text)
                who = f"another process ({pid[1]})" if pid else "another process"
                raise CampanileError(what.format(file=path.name, who=who), cure) from None
        raise


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


def percentiles(values: ir.IntegerColumn, shares: Sequence[float]) -> tuple[int, tuple[int, ...]]:
    """How many values there are, and the smallest with at least these shares of all values at or below them."""
    found = values.as_table().aggregate(count=values.count(), cuts=_quantile_disc(values, list(shares)))
    row = found.to_pyarrow().to_pylist()[0]
    return row["count"], tuple(row["cuts"] or ())


def trimmed(text: ir.StringValue) -> ir.StringValue:
    """Text without the blanks around it. Three times as fast as taking off every kind of white space."""
    bare: ir.StringValue = _trim(text)
    return bare


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
    """Writes a relation to a CSV file with a header, whole or not at all, that only its owner can read."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.parent.chmod(0o700)
    _write(lambda part: backend.to_csv(relation, part, header=True), path, path)


def _write(write: Any, path: Path, about: Path) -> None:
    part = path.with_name(f".{path.name}.part")
    try:
        with engine_errors(about):
            write(part)
        with part.open("rb") as file:
            os.fchmod(file.fileno(), 0o600)
            os.fsync(file.fileno())
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def store(
    backend: Backend, name: str, relation: ir.Table, *, database: Location = None, temp: bool = False
) -> ir.Table:
    """The table `name`, now with the relation's rows in their order; replaces one of that name, even one it reads."""
    schema = ibis.schema({column: type_(nullable=True) for column, type_ in relation.schema().items()})
    return backend.create_table(name, relation, schema=schema, database=database, temp=temp, overwrite=True)


def delete(backend: Backend, name: str, column: str, values: Sequence[str], *, database: tuple[str, str]) -> None:
    """Takes the rows out of a table whose column holds one of the values."""
    catalog, schema = database
    table = sqlglot.exp.table_(name, db=schema, catalog=catalog, quoted=True).sql("duckdb")
    key = sqlglot.exp.column(column, quoted=True).sql("duckdb")
    backend.con.execute(f"DELETE FROM {table} WHERE {key} IN (SELECT unnest(?))", [list(values)])  # noqa: S608 - quoted


def read_lines(backend: Backend, path: Path, *, width: int, separator: str, names: tuple[str, str]) -> ir.Table:
    """A UTF-8 CSV file with a header as `width` columns of text named c0, c1 and so on.

    Args:
        backend: The open database.
        path: The file.
        width: How many columns the header has.
        separator: What stands between cells.
        names: Of the file in the engine, and of the reading: `lines_refused` tells whether it left anything out.
    """
    return backend.read_csv(
        _no_glob(path),
        table_name=names[0],
        columns={f"c{index}": "VARCHAR" for index in range(width)},
        header=True,
        delim=separator,
        quote='"',
        escape='"',
        store_rejects=True,
        rejects_table=f"{names[1]}_lines",
        rejects_scan=f"{names[1]}_scan",
    )


def lines_refused(backend: Backend, reading: str) -> bool:
    """Whether some line could not be read. Known only after the rows were stored."""
    return bool(backend.table(f"{reading}_lines").count().execute())


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


def open_file(path: Path, *, separator: str | None = None) -> ir.Table:
    """A CSV or Parquet file as a relation of an engine in memory; the cells of a CSV file stay text.

    Args:
        path: The file; a name that ends in .parquet is Parquet, anything else CSV with a header, packed or not.
        separator: What stands between cells; found out when None.

    Raises:
        CampanileError: It cannot be read.
    """
    backend = ibis.duckdb.connect(memory_limit=f"{_memory_limit() // 1024**2}MiB", autoinstall_known_extensions=False)
    try:
        if path.suffix == ".parquet":
            return backend.read_parquet(_no_glob(path), table_name="units")
        options: dict[str, Any] = {"delim": separator} if separator else {}
        return backend.read_csv(_no_glob(path), table_name="units", all_varchar=True, header=True, **options)
    except duckdb.Error:
        cure = "is it a CSV file in UTF-8 with a header, or a whole Parquet file?"
        raise CampanileError(f"{path.name} cannot be read as a table", cure) from None


@contextmanager
def table_errors(path: Path) -> Iterator[None]:
    """Turns what the engine says while it reads a file of `open_file` into a sentence without the file's values."""
    try:
        yield
    except duckdb.Error as error:
        kind = type(error).__name__.removesuffix("Exception")
        raise CampanileError(f"{path.name} cannot be read to its end ({kind})", "is it whole, and in UTF-8?") from None
