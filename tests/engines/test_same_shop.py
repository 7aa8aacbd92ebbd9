"""Promise 7 for a whole shop: imported on DuckDB, published, profiled, selected and split on another engine."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from zoneinfo import ZoneInfo

import ibis
import pyarrow.parquet as pq
import pytest

from audience.test_select_database import AS_OF, CONDITIONS, KINDS, shop_project
from audience.world import make_world
from campanile.audience import select
from campanile.customers import engine
from campanile.customers.database import CONTACTS, PROFILE, CustomerDatabase
from campanile.customers.importing import import_tables
from campanile.customers.profile import ensure_profile
from campanile.customers.published import PublishedDatabase, on_engine, publish, refuse
from campanile.design.assign import assign
from campanile.errors import CampanileError
from campanile.spec.project import Project, load_project
from cli.test_canonical import answer
from design.test_assign import number
from engines.places import POSTGRES, needs_spark, postgres_schema

ADDRESSES = (
    "c{}@example.com", "C{}@Example.com", "ü{}@bücher.de", "x{}@漢字.jp", "bad@", "a..b@x.de", "k{}@straße.de",
    "x{}@ⅷ.com", " padded{}@x.de", "y{}@ab--cd.jp",
)  # fmt: skip
SPLIT = {"control": Decimal("0.2"), "a": Decimal("0.4"), "b": Decimal("0.4")}
VARIABLE = "CAMPANILE_TEST_POSTGRES"
STRATA = ["rfm.m", "gender", "stage", "age"]


def shop(folder: Path) -> Project:
    """A shop with ties, returns, empty histories, and addresses of every kind; imported."""
    world = make_world(CONDITIONS, seed=3, as_of=AS_OF, zone=ZoneInfo("Asia/Shanghai"), customers=400, kinds=KINDS)
    for index, row in enumerate(world.customers):
        row["email"] = ADDRESSES[index % len(ADDRESSES)].format(index % 300)
        row["email_consent"] = index % 7 != 0
    for row in world.events["order"]:
        row["state"] = "paid"
        row["amount"] = abs(row["amount"] or 0) + 1
    project = shop_project(folder, world)
    with CustomerDatabase.open(project) as database:
        import_tables(project, database, now=AS_OF)
    return project


@contextmanager
def elsewhere(project: Project, name: str, folder: Path) -> Iterator[tuple[CustomerDatabase, Any]]:
    """The landing database, and the same customers on another engine."""
    settings = project.settings.database
    with postgres_schema() if name == "postgres" else _nothing() as schema, CustomerDatabase.open(project) as landing:
        there = settings.model_copy(
            update={
                "postgres": settings.postgres.model_copy(update={"place": schema, "url_env": VARIABLE}),
                "spark": settings.spark.model_copy(update={"master": "local[2]"}),
            }
        )
        moved = replace(project, settings=project.settings.model_copy(update={"database": there}))
        with on_engine(moved, landing, name) as database:
            yield landing, database


@contextmanager
def _nothing() -> Iterator[str]:
    needs_spark()
    yield "unused"


@pytest.fixture(autouse=True)
def _address(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, POSTGRES)


def rows(relation: Any) -> list[dict[str, Any]]:
    return sorted(relation.to_pyarrow().to_pylist(), key=lambda row: row["customer_id"])


ENGINES = [pytest.param("postgres"), pytest.param("spark", marks=[pytest.mark.engines, pytest.mark.timeout(3600)])]


@pytest.mark.parametrize("name", ENGINES)
def test_profile_audience_and_arms_are_those_of_duckdb(name: str, tmp_path: Path) -> None:
    project = shop(tmp_path)
    target = project.campaign("hello").target
    with elsewhere(project, name, tmp_path) as (landing, database):
        ensure_profile(project, landing, AS_OF)
        ensure_profile(project, database, AS_OF)
        here, there = rows(landing.own(PROFILE)), rows(database.own(PROFILE))
        assert len(here) == 400
        for column in here[0]:
            assert [row[column] for row in there] == [row[column] for row in here], column
        found = []
        for each in (landing, database):
            audience = select(replace(target, keep=None), each, AS_OF, project=project, medium="email")
            assigned = assign(audience.eligible, split=SPLIT, stratify=STRATA, salt="hello:1")
            arms = rows(assigned.select("customer_id", "arm", "stratum"))
            some = rows(audience.eligible)[0]["customer_id"]
            found.append((audience.waterfall(), audience.explain(some), arms))
        assert found[0] == found[1]
        assert {row["arm"] for row in found[0][2]} == set(SPLIT)
        words = {"postgres": 'FROM "', "spark": "FROM `"}[name]
        assert words in audience.sql()
        kept = [
            rows(select(target, each, AS_OF, project=project, medium=None).eligible.select("customer_id"))
            for each in (landing, database)
        ]
        assert kept[0] == kept[1]
        customers = database.table("customers")
        numbered = customers.select("customer_id", n=engine.arm_number(customers.customer_id, "s"))
        assert all(row["n"] == number("s", row["customer_id"]) for row in rows(numbered))


@pytest.mark.parametrize("name", ENGINES)
def test_only_what_changed_is_published(name: str, tmp_path: Path) -> None:
    project = shop(tmp_path)
    with elsewhere(project, name, tmp_path) as (landing, database):
        assert isinstance(database, PublishedDatabase)
        assert publish(landing, database) == ()
        ensure_profile(project, database, AS_OF)
        contact = {"message_id": "m", "customer_id": "C0001", "at": AS_OF.replace(tzinfo=None), "channel": "email",
                   "campaign": "c", "purpose": "marketing", "arm": "a"}  # fmt: skip
        landing.append_own(CONTACTS, ibis.memtable([contact], schema=landing.own(CONTACTS).schema()))
        assert publish(landing, database) == (CONTACTS,)
        assert [row["message_id"] for row in rows(database.own(CONTACTS))] == ["m"]
        assert database.profile_as_of() == AS_OF
        engine.store(landing.ibis, "order", landing.table("order").limit(7))
        assert publish(landing, database) == ("order",)
        assert database.table("order").count().execute() == 7
        assert database.profile_as_of() is None
        landing.ibis.drop_table("ticket")
        assert publish(landing, database) == ()
        assert "ticket" not in database.tables()


def test_text_and_lists_arrive_as_they_were(tmp_path: Path) -> None:
    nasty = ['say "a, b"', "back\\slash", "{curly}", "", "NULL", "new\nline", "tab\t", "é漢😀", "'quote'", None]
    with postgres_schema() as schema:
        from campanile.customers.engine import postgres

        backend, place, _ = postgres.connect(POSTGRES, schema=schema)
        kinds = ibis.schema({"customer_id": "string", "order": "array<string>", "n": "float64"})
        here = [{"customer_id": text, "order": nasty[:index], "n": float(index)} for index, text in enumerate(nasty)]
        here.append({"customer_id": "last", "order": None, "n": None})
        table = ibis.memtable(here, schema=kinds).to_pyarrow()
        engine.load(backend, "at", kinds, table.to_batches(), database=place)
        assert backend.table("at", database=place).to_pyarrow().to_pylist() == here
        engine.disconnect(backend)


def test_a_server_that_does_not_answer_is_a_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CAMPANILE_POSTGRES", "postgresql://shop:secret@127.0.0.1:1/none")
    project = shop(tmp_path)
    with (
        CustomerDatabase.open(project) as landing,
        pytest.raises(CampanileError) as caught,
        on_engine(project, landing, "postgres"),
    ):
        pass
    assert "PostgreSQL cannot be used" in str(caught.value)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("name", ENGINES)
def test_the_command_selects_the_same_on_every_engine(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CAMPANILE_POSTGRES", POSTGRES)
    with postgres_schema() if name == "postgres" else _nothing() as schema:
        shop(tmp_path)
        settings = tmp_path / "campanile.yaml"
        where = f"database: {{postgres: {{schema: {schema}}}, spark: {{master: 'local[2]'}}}}\n"
        settings.write_text(settings.read_text() + where)
        assert load_project(tmp_path).settings.database.engine == "duckdb"
        answers = []
        for each in ("duckdb", name):
            ids = tmp_path / f"{each}.parquet"
            given = ["--project", str(tmp_path), "--as-of", "2026-03-01T09:00", "--engine", each, "--ids", str(ids)]
            found = answer("audience", str(tmp_path / "campaigns/hello.yaml"), *given)
            assert found.pop("engine") == each
            answers.append((found, pq.read_table(ids).to_pylist()))
        assert answers[0] == answers[1]
        assert answers[0][1]


def test_a_plan_says_that_it_wants_duckdb() -> None:
    settings = SimpleNamespace(database=SimpleNamespace(engine="postgres"))
    with pytest.raises(CampanileError, match="a plan works on DuckDB, and database.engine says postgres"):
        refuse(SimpleNamespace(settings=settings), "a plan")  # type: ignore[arg-type]
