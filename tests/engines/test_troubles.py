"""Troubles of other engines are sentences: without a traceback, and without what rows hold."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import ibis
import pytest

from campanile.customers import engine
from campanile.customers.engine.troubles import engine_errors
from campanile.design.assign import assign
from campanile.errors import CampanileError
from design.test_assign import FINE, Rows, number, reference, units
from engines.places import POSTGRES, place_on, postgres_schema

ON_SPARK = pytest.param("spark", marks=[pytest.mark.engines, pytest.mark.timeout(3600)])


@pytest.fixture
def schema() -> Iterator[str]:
    """The name of a schema of its own."""
    with postgres_schema() as name:
        yield name


@pytest.fixture
def server(schema: str) -> Iterator[tuple[Any, tuple[str, str]]]:
    """A connection to PostgreSQL, and where tables may lie."""
    backend, place, _ = engine.connect_postgres(_settings(schema))
    yield backend, place
    engine.disconnect(backend)


def _settings(schema: str) -> Any:
    from campanile.spec.settings import PostgresSettings

    return PostgresSettings.model_validate({"url_env": "CAMPANILE_TEST_SERVER", "schema": schema})


@pytest.fixture(autouse=True)
def _address(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CAMPANILE_TEST_SERVER", POSTGRES)


@pytest.mark.parametrize(
    ("statement", "words"),
    [
        ("SELECT 'ann@example.com'::int", "PostgreSQL stopped in the middle of its work (22P02)"),
        ("SELECT * FROM nowhere WHERE 'ann@example.com' = 'b'", "is not as this product makes it (42P01)"),
        ("SELECT pg_terminate_backend(pg_backend_pid()), 'ann@example.com'", "the PostgreSQL server was stopped"),
        ("SET statement_timeout = 10; SELECT pg_sleep(2), 'ann@example.com'", "ran too long (57014)"),
    ],
)
def test_an_error_of_postgres_in_mid_query_is_a_sentence(server: Any, statement: str, words: str) -> None:
    backend, _ = server
    with pytest.raises(CampanileError) as caught, engine_errors(Path("customers.duckdb")):
        backend.con.execute(statement)
    assert words in str(caught.value)
    assert "ann@example.com" not in str(caught.value)
    assert caught.value.__suppress_context__


def test_text_with_nul_is_refused_by_its_column(server: Any) -> None:
    backend, place = server
    for kinds, value in (({"customer_id": "string"}, "a\0b"), ({"customer_id": "array<string>"}, ["a", "secret\0"])):
        table = ibis.memtable([{"customer_id": value}], schema=ibis.schema(kinds)).to_pyarrow()
        with pytest.raises(CampanileError, match="customer_id in the table order holds the character NUL") as caught:
            engine.load(backend, "order", ibis.schema(kinds), table.to_batches(), database=place)
        assert "secret" not in str(caught.value)
        assert "order" not in backend.list_tables(database=place)


def test_a_missing_driver_is_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "psycopg", None)
    with pytest.raises(
        CampanileError, match=r"the driver of PostgreSQL is missing; pip install 'campanile\[postgres\]'"
    ):
        engine.connect_postgres(_settings("any"))


def test_a_missing_spark_is_a_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from campanile.spec.settings import SparkSettings

    monkeypatch.setitem(sys.modules, "campanile.customers.engine.spark", None)
    monkeypatch.delattr("campanile.customers.engine.spark", raising=False)
    with pytest.raises(CampanileError, match=r"Spark is not installed; pip install 'campanile\[spark\]'"):
        engine.connect_spark(SparkSettings(), tmp_path)


def test_a_schema_that_may_not_be_made_is_a_sentence(server: Any, schema: str, monkeypatch: pytest.MonkeyPatch) -> None:
    backend, _ = server
    role = f"{schema}_role"
    backend.con.execute(f'CREATE ROLE "{role}" LOGIN')
    try:
        monkeypatch.setenv("CAMPANILE_TEST_SERVER", f"{POSTGRES} user={role}" if "://" not in POSTGRES else POSTGRES)
        if "://" in POSTGRES:
            pytest.skip("the address of the server is a URL, and this test adds a role to it")
        with pytest.raises(CampanileError) as caught:
            engine.connect_postgres(_settings("pg_campanile"))
        assert "PostgreSQL cannot be used" in str(caught.value)
        assert "what its role may do" in str(caught.value)
    finally:
        backend.con.execute(f'DROP ROLE "{role}"')


@pytest.mark.parametrize("name", ["postgres", ON_SPARK])
def test_arms_are_those_of_plain_python(name: str, tmp_path: Path) -> None:
    rows: Rows = units(600)
    kinds = ibis.schema({"customer_id": "string", "rfm.m": "int64", "tier": "string"})
    table = ibis.memtable([{key: row[key] for key in kinds} for row in rows], schema=kinds).to_pyarrow()
    with place_on(name, tmp_path) as (backend, place):
        engine.load(backend, "units", kinds, table.to_batches(), database=place)
        there = backend.table("units", database=place)
        for stratify in ([], ["rfm.m", "tier"]):
            found = assign(there, split=FINE, stratify=stratify, salt="winback:1").to_pyarrow().to_pylist()
            arms = {row["customer_id"]: (row["arm"], row["stratum"]) for row in found}
            assert arms == reference(rows, FINE, stratify, "winback:1")
        numbered = there.select("customer_id", n=engine.arm_number(there.customer_id, "s")).to_pyarrow().to_pylist()
        assert all(row["n"] == number("s", row["customer_id"]) for row in numbered)
