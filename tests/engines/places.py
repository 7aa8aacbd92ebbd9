"""The rows of a test's world on PostgreSQL and Spark, and connections that are gone afterwards."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from audience.world import Tables, World
from campanile.customers import engine

POSTGRES = os.environ.get("CAMPANILE_POSTGRES") or "dbname=test"


@contextmanager
def postgres_schema() -> Iterator[str]:
    """The name of a schema of its own, gone afterwards with its twin; skips where no server answers."""
    psycopg = pytest.importorskip("psycopg", reason="psycopg is not installed: pip install campanile[postgres]")
    try:
        server = psycopg.connect(POSTGRES, autocommit=True)
    except psycopg.OperationalError:
        pytest.skip("no PostgreSQL answers: set CAMPANILE_POSTGRES to its address")
    schema = f"campanile_{uuid4().hex[:12]}"
    try:
        yield schema
    finally:
        server.execute(f'DROP SCHEMA IF EXISTS "{schema}", "{schema}_own" CASCADE')
        server.close()


def needs_spark() -> None:
    """Skips where Spark or Java is not there."""
    pytest.importorskip("pyspark", reason="pyspark is not installed: pip install campanile[spark]")
    if not (shutil.which("java") or os.environ.get("JAVA_HOME")):
        pytest.skip("Spark wants Java 17 or later")


#: To make plans of these takes Spark a minute each, and to run them on a hundred rows a second: so it compiles nothing
#: and cuts nothing into parts. What the product does instead is asked by the tests of a whole shop.
QUICK = {
    "spark.sql.codegen.wholeStage": "false",
    "spark.sql.codegen.factoryMode": "NO_CODEGEN",
    "spark.sql.adaptive.enabled": "false",
    "spark.sql.shuffle.partitions": "1",
}


def quick(backend: Any) -> None:
    """Lets a session of Spark, which a process has one of, be fast with little."""
    for key, value in QUICK.items():
        backend._session.conf.set(key, value)


def usual(backend: Any) -> None:
    """Lets a session of Spark be as the product makes it."""
    for key in QUICK:
        backend._session.conf.unset(key)


@contextmanager
def place_on(name: str, folder: Path) -> Iterator[tuple[Any, tuple[str, str]]]:
    """A connection to the engine of that name, and where a test's tables may lie."""
    if name == "spark":
        needs_spark()
        from campanile.customers.engine import spark

        backend, shop, _ = spark.connect("local[2]", folder)
        quick(backend)
        yield backend, shop
        return
    with postgres_schema() as schema:
        from campanile.customers.engine import postgres

        backend, shop, _ = postgres.connect(POSTGRES, schema=schema)
        try:
            yield backend, shop
        finally:
            engine.disconnect(backend)


class Elsewhere(Tables):
    """The tables of a world, copied from DuckDB to another engine as they are asked for."""

    def __init__(self, world: World, backend: Any, place: tuple[str, str]) -> None:
        super().__init__(world)
        self._there, self._place = backend, place
        self._copied: set[str] = set()

    def _copy(self, name: str) -> Any:
        if name not in self._copied:
            rows = self.ibis.table(name)
            engine.load(
                self._there, name, rows.schema(), rows.to_pyarrow_batches(chunk_size=1_000), database=self._place
            )
            self._copied.add(name)
        return self._there.table(name, database=self._place)

    def own(self, name: str) -> Any:
        return self._copy(name)

    def customers(self, as_of: Any) -> Any:
        return self._copy("customers")

    def all_events(self, kind: str) -> Any:
        super().all_events(kind)
        return self._copy(kind)
