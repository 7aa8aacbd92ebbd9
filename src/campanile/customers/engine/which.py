"""Which engine a relation or a connection is of."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from importlib import import_module
from pathlib import Path
from typing import Protocol, cast

import ibis
import ibis.expr.types as ir
import pyarrow as pa
from ibis.backends import BaseBackend

Location = str | tuple[str, str] | None

#: The module of each engine by the name that Ibis has for it; loaded when it is used.
_MODULES = {"duckdb": "duck", "postgres": "postgres", "pyspark": "spark"}


class Engine(Protocol):
    """What each engine's module offers."""

    def hex_number(self, digits: ir.StringValue) -> ir.IntegerValue:
        """Up to fifteen hex digits as a number."""

    def distinct_days(self, day: ir.DateValue, where: ir.BooleanValue | None) -> ir.IntegerScalar:
        """How many different dates there are among those rows of a group."""

    def ranked(self, values: ir.IntegerColumn, ranks: Sequence[int], count: int) -> tuple[int, ...]:
        """The values at these ranks, counted from 1, of `count` values in rising order."""

    def transaction(self, backend: BaseBackend) -> AbstractContextManager[None]:
        """Everything inside is there afterwards, or nothing is, as far as the engine can."""

    def store(self, backend: BaseBackend, name: str, relation: ir.Table, *, database: Location, temp: bool) -> ir.Table:
        """The table, now with the relation's rows."""

    def batches(self, backend: BaseBackend, relation: ir.Table, size: int) -> Iterator[pa.RecordBatch]:
        """The rows of a relation, streamed."""

    def parquet_rows(self, backend: BaseBackend, path: Path) -> ir.Table:
        """The rows of a Parquet file."""

    def alone(self, backend: BaseBackend, databases: Sequence[tuple[str, str]]) -> AbstractContextManager[None]:
        """Nothing; inside, no other process works with the tables there."""

    def fill(
        self,
        backend: BaseBackend,
        name: str,
        schema: ibis.Schema,
        rows: Iterable[pa.RecordBatch],
        *,
        database: tuple[str, str],
    ) -> str:
        """Where these rows lie now, beside the table of that name, which is as it was."""

    def put(self, backend: BaseBackend, name: str, fresh: str, *, database: tuple[str, str]) -> None:
        """The table, now with the rows that `fill` left there."""

    def drop(self, backend: BaseBackend, name: str, *, database: tuple[str, str]) -> None:
        """Takes a table away."""

    def by_bytes(self, table: ir.Table) -> ir.Table:
        """The table, its text compared by its bytes."""

    def disconnect(self, backend: BaseBackend) -> None:
        """Closes what `connect` opened."""

    def write_parquet(self, backend: BaseBackend, relation: ir.Table, path: Path) -> None:
        """Writes a relation to a Parquet file."""


def engine_of(backend: BaseBackend) -> Engine:
    """The engine of a connection."""
    return cast(Engine, import_module(f"campanile.customers.engine.{_MODULES[backend.name]}"))


def engine_behind(value: ir.Expr) -> Engine:
    """The engine whose tables an expression reads; DuckDB where it reads none."""
    backends, _ = value._find_backends()
    return engine_of(backends[0]) if backends else cast(Engine, import_module("campanile.customers.engine.duck"))
