"""The rows of a test's world on each engine, and connections that are torn down afterwards."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from uuid import uuid4

import pytest

from audience.world import Tables, World
from campanile.customers.engine.which import engine_of

POSTGRES = os.environ.get("CAMPANILE_POSTGRES") or "dbname=test"


@contextmanager
def postgres_schema() -> Iterator[str]:
    """A schema of its own on the server, gone afterwards with its twin; skips where no server answers."""
    psycopg = pytest.importorskip("psycopg", reason="psycopg is not installed: pip install campanile[postgres]")
    try:
        server = psycopg.connect(POSTGRES, autocommit=True)
    except psycopg.OperationalError:
        pytest.skip("no PostgreSQL answers: set CAMPANILE_POSTGRES to its address")
    schema = f"campanile_{uuid4().hex[:12]}"
    try:
        server.execute(f'CREATE SCHEMA "{schema}"')
        yield schema
    finally:
        server.execute(f'DROP SCHEMA IF EXISTS "{schema}", "{schema}_own" CASCADE')
        server.close()


class Elsewhere(Tables):
    """The tables of a world, copied from DuckDB to another engine as they are asked for."""

    def __init__(self, world: World, backend: Any) -> None:
        super().__init__(world)
        self._landed, self.ibis = self.ibis, backend
        self._copied: set[str] = set()

    def _copy(self, name: str) -> Any:
        if name not in self._copied:
            rows = self._landed.table(name)
            batches = rows.to_pyarrow_batches(chunk_size=1_000)
            engine_of(self.ibis).load(self.ibis, name, rows.schema(), batches, database=None)
            self._copied.add(name)
        return self.ibis.table(name)

    def own(self, name: str) -> Any:
        return self._copy(name)

    def customers(self, as_of: Any) -> Any:
        return self._copy("customers")

    def all_events(self, kind: str) -> Any:
        here, self.ibis = self.ibis, self._landed
        try:
            super().all_events(kind)
        finally:
            self.ibis = here
        return self._copy(kind)
