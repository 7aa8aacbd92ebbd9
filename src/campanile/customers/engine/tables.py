"""Tables, streams and Parquet files, each by the engine that it is of."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import ibis
import ibis.expr.types as ir
import pyarrow as pa
from ibis.backends import BaseBackend

from campanile.customers.engine import duck
from campanile.customers.engine.files import whole_file
from campanile.customers.engine.troubles import engine_errors
from campanile.customers.engine.which import Location, engine_behind, engine_of
from campanile.errors import CampanileError

if TYPE_CHECKING:
    from campanile.customers.database import CustomerDatabase
    from campanile.spec.settings import PostgresSettings, SparkSettings

Place = tuple[str, str]


def transaction(backend: BaseBackend) -> AbstractContextManager[None]:
    """Everything inside is there afterwards, or nothing is. Spark has none: each table is whole or as it was."""
    return engine_of(backend).transaction(backend)


def batches(database: CustomerDatabase, relation: ir.Table, size: int = 10_000) -> Iterator[pa.RecordBatch]:
    """The rows of a relation in Arrow batches; memory does not grow with their number.

    The relation may stand on tables of the database and on memtables, not on temporary tables.
    """
    with engine_errors(database.path):
        yield from engine_of(database.ibis).batches(database.ibis, relation, size)


def parquet_rows(database: CustomerDatabase, path: Path) -> ir.Table:
    """The rows of a Parquet file. Unlike a view of this connection they can be read in `batches`."""
    with engine_errors(database.path):
        return engine_of(database.ibis).parquet_rows(database.ibis, path)


def write_parquet(database: CustomerDatabase, relation: ir.Table, path: Path) -> None:
    """Writes a relation to a Parquet file, whole or not at all."""
    with whole_file(path) as part, engine_errors(database.path):
        engine_of(database.ibis).write_parquet(database.ibis, relation, part)


def store(
    backend: BaseBackend, name: str, relation: ir.Table, *, database: Location = None, temp: bool = False
) -> ir.Table:
    """The table `name`, now with the relation's rows in their order; replaces one of that name, even one it reads."""
    return engine_of(backend).store(backend, name, relation, database=database, temp=temp)


def delete(backend: BaseBackend, name: str, column: str, values: Sequence[str], *, database: tuple[str, str]) -> None:
    """Takes the rows out of a table of the landing database whose column holds one of the values."""
    duck.delete(backend, name, column, values, database=database)


def assign(
    backend: BaseBackend, place: tuple[str, str, str], column: str, value: str | None, where: tuple[str, str]
) -> int:
    """How many rows of a table of the landing database got the value in a column."""
    return duck.assign(backend, place, column, value, where)


def stamp(backend: BaseBackend, name: str, key: str, *, database: tuple[str, str]) -> None:
    """Gives a key of the landing database a value that it never had."""
    duck.stamp(backend, name, key, database=database)


def append(backend: BaseBackend, name: str, relation: ir.Table, *, fresh: bool = False) -> None:
    """Adds the rows of a relation to a temporary table by column name; makes it anew when `fresh`."""
    if fresh:
        store(backend, name, relation, temp=True)
    else:
        backend.insert(name, relation, database=("temp", "main"))


def alone(backend: BaseBackend, databases: Sequence[tuple[str, str]]) -> AbstractContextManager[None]:
    """Nothing; inside, no other process of this product works with the tables there.

    Raises:
        CampanileError: One does.
    """
    return engine_of(backend).alone(backend, databases)


def fill(
    backend: BaseBackend, name: str, schema: ibis.Schema, rows: Iterable[pa.RecordBatch], *, database: tuple[str, str]
) -> str:
    """Where these rows lie now, beside the table of that name, which is as it was until `put`."""
    return engine_of(backend).fill(backend, name, schema, rows, database=database)


def put(backend: BaseBackend, name: str, fresh: str, *, database: tuple[str, str]) -> None:
    """The table, now with the rows that `fill` left there."""
    engine_of(backend).put(backend, name, fresh, database=database)


def load(
    backend: BaseBackend, name: str, schema: ibis.Schema, rows: Iterable[pa.RecordBatch], *, database: tuple[str, str]
) -> None:
    """The table, now with these rows: memory does not grow with them, and nobody sees half of them."""
    with transaction(backend):
        put(backend, name, fill(backend, name, schema, rows, database=database), database=database)


def drop(backend: BaseBackend, name: str, *, database: tuple[str, str]) -> None:
    """Takes a table away."""
    engine_of(backend).drop(backend, name, database=database)


def by_bytes(table: ir.Table) -> ir.Table:
    """The table, its text compared by its bytes, as Python does, whatever the language of a server."""
    return engine_behind(table).by_bytes(table)


def content(backend: BaseBackend, rows: ir.Table) -> str:
    """What tells whether rows of the landing database are those of another time."""
    return duck.content(rows)


def places(backend: BaseBackend, tables: Sequence[tuple[str, str]]) -> tuple[str, ...]:
    """Where each table, given by schema and name, lies in the file of the landing database. No row is read."""
    return duck.places(backend, tables)


def connect_postgres(settings: PostgresSettings) -> tuple[BaseBackend, Place, Place]:
    """A connection to PostgreSQL, and where the shop's and the product's tables are."""
    from campanile.customers.engine import postgres

    return postgres.connect(os.environ.get(settings.url_env, ""), schema=settings.place)


def connect_spark(settings: SparkSettings, home: Path) -> tuple[BaseBackend, Place, Place]:
    """A session of Spark, and where the shop's and the product's tables are.

    Raises:
        CampanileError: Spark is not installed.
    """
    try:
        from campanile.customers.engine import spark
    except ImportError:
        raise CampanileError("Spark is not installed", "pip install 'campanile[spark]'") from None
    return spark.connect(settings.master, home / settings.warehouse)


def disconnect(backend: BaseBackend) -> None:
    """Closes a connection."""
    engine_of(backend).disconnect(backend)


def repeated(relation: ir.Table, word: str) -> Callable[[str], list[dict[str, Any]]]:
    """The rows of a relation of the landing database with a word in its literals replaced, as often as it is called.

    Compiled once: of a relation that is asked a thousand times, that is most of the cost.
    """
    return duck.repeated(relation, word)


def sql_of(relation: ir.Table) -> str:
    """The SQL that a relation is, in the words of its engine, laid out for people."""
    backends, _ = relation._find_backends()
    return str(backends[0].compile(relation, pretty=True) if backends else ibis.to_sql(relation, dialect="duckdb"))
