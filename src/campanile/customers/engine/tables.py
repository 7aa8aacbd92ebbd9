"""Tables, streams and Parquet files, each by the engine that it is of."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING

import ibis.expr.types as ir
import pyarrow as pa
from ibis.backends import BaseBackend

from campanile.customers.engine import duck
from campanile.customers.engine.files import whole_file
from campanile.customers.engine.troubles import engine_errors
from campanile.customers.engine.which import Location, engine_of

if TYPE_CHECKING:
    from campanile.customers.database import CustomerDatabase


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


def append(backend: BaseBackend, name: str, relation: ir.Table, *, fresh: bool = False) -> None:
    """Adds the rows of a relation to a temporary table by column name; makes it anew when `fresh`."""
    if fresh:
        store(backend, name, relation, temp=True)
    else:
        backend.insert(name, relation, database=("temp", "main"))
