"""What is DuckDB's own.

Measured with duckdb 1.5.6 and ibis 12.0.0:

* A reader that streams from a connection ends early, without an error, as soon as anything else runs on that connection
  (40,000 of 5,000,000 rows). `batches` therefore reads on a connection of its own.
* `quantile_disc` with sevenths misses the value by one rank for some numbers of rows, by floating point. `ranked`
  asks in the middle between two ranks instead.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any
from uuid import uuid4

import ibis
import ibis.expr.datatypes as dt
import ibis.expr.types as ir
import pyarrow as pa
import sqlglot
from ibis.backends.duckdb import Backend
from ibis.util import gen_name

from campanile.customers.engine.landing import no_glob
from campanile.customers.engine.troubles import engine_errors
from campanile.customers.engine.which import Location
from campanile.errors import CampanileError

#: Of published tables; another one publishes everything again.
LAYOUT = 1
_MAX_MEMORY = 8 * 1024**3
_TEMPORARY = ("temp", "main")
#: The segments of a table: what the engine knows of their values, and where they lie.
_LIES = """
    SELECT md5(coalesce(string_agg(
        concat_ws(' ', column_path, segment_id, start, count, stats, has_updates, block_id, block_offset),
        ',' ORDER BY row_group_id, column_path, segment_id), ''))
    FROM pragma_storage_info({text})"""


@ibis.udf.agg.builtin(name="quantile_disc", signature=((dt.int64, dt.Array(dt.float64)), dt.Array(dt.int64)))
def _quantile_disc(values, ranks):  # type: ignore[no-untyped-def] # ibis reads the signature above
    """The engine's own exact quantile."""


@ibis.udf.scalar.builtin(name="list_unique", signature=((dt.Array(dt.date),), dt.int64))
def _list_unique(values):  # type: ignore[no-untyped-def] # ibis reads the signature above
    """How many different values a list has."""


def connect(path: Path, *, read_only: bool, memory: str = "") -> Backend:
    """The open DuckDB file, with a memory limit, room to spill beside the file, and no downloads."""
    if "?" in str(path):
        # The engine takes what follows for the parameters of an address, and writes its log elsewhere.
        raise CampanileError(f"the customer database cannot lie in {path}", "choose a home without ? in its path")
    spill = path.with_name(f"{path.name}.spill-{os.getpid()}")
    with engine_errors(path):
        backend = ibis.duckdb.connect(
            path,
            read_only=read_only,
            memory_limit=memory or f"{memory_limit() // 1024**2}MiB",
            temp_directory=str(spill),
            autoinstall_known_extensions=False,
            autoload_known_extensions=False,
        )
    if not read_only:
        with suppress(PermissionError):  # Somebody else owns it, and lets us write.
            path.chmod(0o600)
        _clear_spills(path, spill)
    return backend


def _clear_spills(path: Path, own: Path) -> None:
    """Removes what killed processes have spilled: who may write is the only one that has the file open."""
    for left_over in path.parent.glob(f"{path.name}.spill-*"):
        if left_over != own:
            shutil.rmtree(left_over, ignore_errors=True)


def memory_limit() -> int:
    """A quarter of the machine's memory, at most 8 GiB: less spills, and 4 GiB are too few for 10 million customers."""
    return min(_MAX_MEMORY, os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 4)


def by_bytes(table: ir.Table) -> ir.Table:
    """The table: text is compared by its bytes already."""
    return table


def content(rows: ir.Table) -> str:
    """What tells whether rows and their columns are those of another time, in whatever order they lie."""
    whole = ibis.struct({column: rows[column] for column in rows.columns}).hash().cast("decimal(38, 0)")
    found = rows.aggregate(count=rows.count(), total=whole.sum().cast("string")).to_pyarrow().to_pylist()[0]
    return hashlib.sha256(repr((LAYOUT, tuple(rows.schema().items()), found)).encode()).hexdigest()


def places(backend: Backend, tables: Sequence[tuple[str, str]]) -> tuple[str, ...]:
    """What tells where the rows of each table, given by schema and name, lie in the file. No row is read.

    Rows that change are written elsewhere, so a table that lies as before is most likely the one of before. Not surely:
    a place that was left is used again. Rows that were taken out are seen by their number.
    """
    backend.con.execute("CHECKPOINT")
    asked = " UNION ALL ".join(_place(number, *table) for number, table in enumerate(tables))
    return tuple(place for _, place in sorted(backend.con.execute(asked).fetchall())) if tables else ()


def _place(number: int, schema: str, name: str) -> str:
    table = sqlglot.exp.table_(name, db=schema, quoted=True).sql("duckdb")
    asked = _LIES.format(table=table, text=sqlglot.exp.Literal.string(table).sql("duckdb"))
    return f"SELECT {number}, '{LAYOUT} ' || (SELECT count(*) FROM {table}) || ' ' || ({asked})"  # noqa: S608 - quoted


def hex_number(digits: ir.StringValue) -> ir.IntegerValue:
    """Up to fifteen hex digits as a number."""
    number: ir.IntegerValue = ("0x" + digits).cast("int64")
    return number


def distinct_days(day: ir.DateValue, where: ir.BooleanValue | None) -> ir.IntegerScalar:
    """How many different dates there are among those rows of a group.

    Lists of a group's dates take a third less than a table of its own for the distinct ones.
    """
    found: ir.IntegerScalar = ibis.coalesce(_list_unique(day.collect(where=where)), 0)
    return found


def ranked(values: ir.IntegerColumn, ranks: Sequence[int], count: int) -> tuple[int, ...]:
    """The values at these ranks, counted from 1, of `count` values in rising order."""
    middles = [(rank - 0.5) / count for rank in ranks]
    return tuple(int(value) for value in _quantile_disc(values, middles).execute())


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


def batches(backend: Backend, relation: ir.Table, size: int) -> Iterator[pa.RecordBatch]:
    """The rows of a relation, streamed. It may stand on memtables, not on temporary tables."""
    connection = backend.con.cursor()
    try:
        reader = ibis.duckdb.from_connection(connection)._to_duckdb_relation(relation).to_arrow_reader(size)
        yield from reader
    finally:
        connection.close()


def parquet_rows(backend: Backend, path: Path) -> ir.Table:
    """The rows of a Parquet file. Unlike a view of this connection they can be read in `batches`."""
    source = sqlglot.exp.func("read_parquet", sqlglot.exp.Literal.string(no_glob(path)), dialect="duckdb")
    return backend.sql(sqlglot.select("*").from_(source).sql("duckdb"))


def write_parquet(backend: Backend, relation: ir.Table, path: Path) -> None:
    """Writes a relation to a Parquet file."""
    backend.to_parquet(relation, path, compression="zstd")


def repeated(relation: ir.Table, word: str) -> Callable[[str], list[dict[str, Any]]]:
    """The rows of the relation with that word in its literals replaced; letters, digits and -:_ may take its place."""
    backend = relation.get_backend()
    sql = backend.compile(relation)
    if word not in sql:
        raise ValueError(f"{word} is no literal of the relation")

    def rows(text: str) -> list[dict[str, Any]]:
        if not _PLAIN.fullmatch(text):
            raise ValueError(f"{text} cannot stand in a literal")
        found: list[dict[str, Any]] = backend.con.execute(sql.replace(word, text)).fetch_arrow_table().to_pylist()
        return found

    return rows


_PLAIN = re.compile(r"[\w:-]+")


def store(backend: Backend, name: str, relation: ir.Table, *, database: Location, temp: bool) -> ir.Table:
    """The table, now with the relation's rows in their order; even when it reads the one it replaces."""
    schema = ibis.schema({column: type_(nullable=True) for column, type_ in relation.schema().items()})
    if not temp:
        return backend.create_table(name, relation, schema=schema, database=database, overwrite=True)
    # Ibis would write a temporary table twice, to give it the name of the one it replaces.
    fresh = gen_name("campanile")
    backend.create_table(fresh, relation, schema=schema, temp=True)
    backend.drop_table(name, database=_TEMPORARY, force=True)
    table = sqlglot.exp.table_(fresh, db="main", catalog="temp", quoted=True)
    rename = sqlglot.exp.AlterRename(this=sqlglot.to_identifier(name, quoted=True))
    backend.con.execute(sqlglot.exp.Alter(kind="TABLE", this=table, actions=[rename]).sql("duckdb"))
    return backend.table(name, database=_TEMPORARY)


def delete(backend: Backend, name: str, column: str, values: Sequence[str], *, database: tuple[str, str]) -> None:
    """Takes the rows out of a table whose column holds one of the values."""
    catalog, schema = database
    table = sqlglot.exp.table_(name, db=schema, catalog=catalog, quoted=True).sql("duckdb")
    key = sqlglot.exp.column(column, quoted=True).sql("duckdb")
    backend.con.execute(f"DELETE FROM {table} WHERE {key} IN (SELECT unnest(?))", [list(values)])  # noqa: S608 - quoted


def assign(
    backend: Backend, place: tuple[str, str, str], column: str, value: str | None, where: tuple[str, str]
) -> int:
    """How many rows of a table (catalog, schema, name) got the value in a column: those whose key is the given one."""
    catalog, schema, name = place
    table = sqlglot.exp.table_(name, db=schema, catalog=catalog, quoted=True).sql("duckdb")
    target, key = (sqlglot.exp.column(each, quoted=True).sql("duckdb") for each in (column, where[0]))
    statement = f"UPDATE {table} SET {target} = ? WHERE {key} = ?"  # noqa: S608 - quoted
    row = backend.con.execute(statement, [value, where[1]]).fetchone()
    return int(row[0]) if row else 0


def stamp(backend: Backend, name: str, key: str, *, database: tuple[str, str]) -> None:
    """Gives a key a value that it never had, in a table of a key and a stamp."""
    delete(backend, name, "key", [key], database=database)
    catalog, schema = database
    table = sqlglot.exp.table_(name, db=schema, catalog=catalog, quoted=True).sql("duckdb")
    backend.con.execute(f"INSERT INTO {table} (key, stamp) VALUES (?, ?)", [key, str(uuid4())])  # noqa: S608 - quoted


def disconnect(backend: Backend) -> None:
    """Closes the file."""
    backend.disconnect()
