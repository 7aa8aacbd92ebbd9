"""Troubles of other engines are sentences: without a traceback, and without what rows hold."""

from __future__ import annotations

import os
import subprocess
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
from engines.places import POSTGRES, needs_spark, place_on, postgres_schema

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


@pytest.mark.engines
def test_a_missing_java_is_a_sentence() -> None:
    needs_spark()
    code = (
        "from pathlib import Path; from campanile.customers.engine import spark\n"
        "from campanile.errors import CampanileError\n"
        "try: spark.connect('local[1]', Path('.'))\n"
        "except CampanileError as error: print(error)"
    )
    environment = {**os.environ, "JAVA_HOME": "/nowhere"}
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=environment, timeout=300)
    assert done.stdout == "Spark does not start; it wants Java 17 or later: install it, or set JAVA_HOME\n"


@pytest.mark.engines
@pytest.mark.timeout(3600)
def test_a_place_of_spark_is_one_processs_at_a_time_and_cleared_of_what_a_killed_one_left(tmp_path: Path) -> None:
    kinds = ibis.schema({"customer_id": "string"})
    table = ibis.memtable([{"customer_id": "a"}], schema=kinds).to_pyarrow()
    with place_on("spark", tmp_path) as (backend, place):
        engine.load(backend, "order", kinds, table.to_batches(), database=place)
        left = tmp_path / "shop" / engine.fill(backend, "order", kinds, table.to_batches(), database=place)
        assert list(left.iterdir())
        with engine.alone(backend, [place]):
            assert not left.exists()
            with (
                pytest.raises(CampanileError, match="another campanile is at work in .*shop; let it finish"),
                engine.alone(backend, [place]),
            ):
                pass
        assert backend.table("order", database=place).to_pyarrow().to_pylist() == [{"customer_id": "a"}]
        engine.drop(backend, "order", database=place)
        engine.drop(backend, "order", database=place)
        assert {path.name for path in (tmp_path / "shop").iterdir()} == {".lock"}


@pytest.mark.engines
@pytest.mark.timeout(3600)
def test_windows_of_spark_count_and_filter_as_elsewhere(tmp_path: Path) -> None:
    """Places of four bytes went round in the products that decide arms."""
    kinds = ibis.schema({"customer_id": "string", "n": "int64"})
    table = ibis.memtable([{"customer_id": "a", "n": n} for n in range(5)], schema=kinds)
    with place_on("spark", tmp_path) as (backend, place):
        engine.load(backend, "units", kinds, table.to_pyarrow().to_batches(), database=place)
        found = []
        for each in (table, backend.table("units", database=place)):
            window = ibis.window(group_by="customer_id")
            place_of = ibis.row_number().over(group_by="customer_id", order_by="n")
            asked = each.select("n", places=place_of * 10**9, most=each.n.max(where=each.n < 3).over(window))
            found.append(sorted(map(str, asked.to_pyarrow().to_pylist())))
        assert found[0] == found[1]
        assert "4000000000" in found[0][-1]


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
