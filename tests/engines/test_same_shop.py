"""Promise 7 for a whole shop: imported on DuckDB, published, profiled, selected and split on another engine."""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from zoneinfo import ZoneInfo

import ibis
import pyarrow.parquet as pq
import pytest

from audience.test_select_database import AS_OF, CONDITIONS, KINDS, shop_project
from audience.world import VOCABULARY, make_world
from campanile.audience import select
from campanile.audience.many import select_many
from campanile.customers import engine
from campanile.customers.database import (
    CONTACTS,
    PROFILE,
    PROFILE_HISTORY,
    PROFILE_RUNS,
    VALUE_MODELS,
    CustomerDatabase,
)
from campanile.customers.importing import import_tables
from campanile.customers.people.tables import PEOPLE
from campanile.customers.profile import ensure_profile
from campanile.customers.published import PublishedDatabase, on_engine, publish, refuse, take_back
from campanile.design.assign import assign
from campanile.errors import CampanileError
from campanile.spec.grammar import Names, parse_conditions
from campanile.spec.project import Project, load_project
from campanile.spec.settings import SparkSettings
from cli.test_canonical import answer
from design.test_assign import number, reference
from engines.places import POSTGRES, needs_spark, postgres_schema, quick, usual

ADDRESSES = (
    "c{}@example.com", "C{}@Example.com", "ü{}@bücher.de", "x{}@漢字.jp", "bad@", "a..b@x.de", "k{}@straße.de",
    "x{}@ⅷ.com", " padded{}@x.de", "y{}@ab--cd.jp",
)  # fmt: skip
SPLIT = {"control": Decimal("0.2"), "a": Decimal("0.4"), "b": Decimal("0.4")}
VARIABLE = "CAMPANILE_TEST_POSTGRES"
STRATA = ["rfm.m", "gender", "stage", "age"]


@pytest.fixture(scope="module")
def imported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A shop with ties, returns, empty histories, and addresses of every kind; imported."""
    folder = tmp_path_factory.mktemp("engines")
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
    return folder


@pytest.fixture
def project(imported: Path, tmp_path: Path) -> Project:
    """A copy of that shop in the folder of the test."""
    shutil.copytree(imported, tmp_path, dirs_exist_ok=True)
    return load_project(tmp_path)


@contextmanager
def elsewhere(project: Project, name: str, *, swift: bool = True) -> Iterator[tuple[CustomerDatabase, Any]]:
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
            if name == "spark":
                (quick if swift else usual)(database.ibis)
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


SERVERS = [pytest.mark.engines, pytest.mark.timeout(3600)]
ENGINES = [pytest.param("postgres"), pytest.param("spark", marks=SERVERS)]
ALL_MARKED = [pytest.param(name, marks=SERVERS) for name in ("postgres", "spark")]


@pytest.mark.parametrize("name", ALL_MARKED)
def test_profile_audience_and_arms_are_those_of_duckdb(name: str, project: Project) -> None:
    target = project.campaign("hello").target
    with elsewhere(project, name, swift=False) as (landing, database):
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
            by_hand = reference(rows(audience.eligible), SPLIT, STRATA, "hello:1")
            assert {row["customer_id"]: (row["arm"], row["stratum"]) for row in arms} == by_hand
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
def test_only_what_changed_is_published(name: str, project: Project) -> None:
    with elsewhere(project, name) as (landing, database):
        assert isinstance(database, PublishedDatabase)
        assert publish(landing, database) == ()
        noted = {"as_of": AS_OF.replace(tzinfo=None), "settings": "of a test"}
        database.note_profile([noted])
        contact = {"message_id": "m", "customer_id": "C0001", "at": AS_OF.replace(tzinfo=None), "channel": "email",
                   "campaign": "c", "purpose": "marketing", "arm": "a"}  # fmt: skip
        landing.append_own(CONTACTS, ibis.memtable([contact], schema=landing.own(CONTACTS).schema()))
        assert publish(landing, database) == (CONTACTS,)
        assert [row["message_id"] for row in rows(database.own(CONTACTS))] == ["m"]
        assert database.profile_as_of() == AS_OF
        people = [
            {"customer_id": each, "person_id": "C0002", "place": place, "rule": "email", "merged_at": None}
            for place, each in enumerate(("C0002", "C0001", "C0005"))
        ]
        landing.append_own(PEOPLE, ibis.memtable(people, schema=landing.own(PEOPLE).schema()))
        assert publish(landing, database) == (PEOPLE,)
        assert database.profile_as_of() is None
        for table in ("customers", "order"):
            merged, there = (_sorted(each.table(table)) for each in (landing, database))
            assert merged == there
            assert not any("C0001" in row for row in there)
            assert _sorted(landing.records(table)) == _sorted(database.records(table))
        database.note_profile([noted])
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


def test_a_server_that_does_not_answer_is_a_sentence(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CAMPANILE_POSTGRES", "postgresql://shop:secret@127.0.0.1:1/none")
    with (
        CustomerDatabase.open(project) as landing,
        pytest.raises(CampanileError) as caught,
        on_engine(project, landing, "postgres"),
    ):
        pass
    assert "PostgreSQL cannot be used" in str(caught.value)
    assert "secret" not in str(caught.value)


MANY = """
- {name: spenders, condition: {did: order, in: 2y, sum amount: over 150}}
- {name: of worth, condition: {clv_12m: top 20%}}
- {name: alive, condition: {p_alive: over 0.5}}
- {name: due soon, condition: {next_order_due: next 90d}}
"""


@pytest.mark.parametrize("name", ALL_MARKED)
def test_the_command_selects_the_same_on_every_engine(
    name: str, project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CAMPANILE_POSTGRES", POSTGRES)
    assert project.settings.database.engine == "duckdb"
    with postgres_schema() if name == "postgres" else _nothing() as schema:
        settings = tmp_path / "campanile.yaml"
        where = f"database: {{postgres: {{schema: {schema}}}, spark: {{master: 'local[2]'}}}}\n"
        settings.write_text(settings.read_text() + where)
        (tmp_path / "many.yaml").write_text(MANY, encoding="utf-8")
        if name == "spark":
            # The command will find this session.
            quick(engine.connect_spark(SparkSettings(master="local[2]"), tmp_path)[0])
        answers = []
        for each in ("duckdb", name):
            ids = tmp_path / f"{each}.parquet"
            given = ["--project", str(tmp_path), "--as-of", "2026-03-01T09:00", "--engine", each, "--ids", str(ids)]
            found = answer("audience", str(tmp_path / "campaigns/hello.yaml"), "--explain", "C0007", *given)
            assert found.pop("engine") == each
            chosen = pq.read_table(ids).to_pylist()
            together = answer("audience", "--many", str(tmp_path / "many.yaml"), *given)
            assert together.pop("engine") == each
            members = sorted((row["name"], row["customer_id"]) for row in pq.read_table(ids).to_pylist())
            answers.append((found, together, chosen, members))
        assert answers[0] == answers[1]
        assert answers[0][2]
        assert Counter(name for name, _ in answers[0][3]) == {k: n for k, n in answers[0][1]["sizes"].items() if n}
        assert answers[0][1]["errors"] == {}
        assert "explain" in answers[0][0]


@pytest.mark.parametrize("name", ALL_MARKED)
def test_the_past_of_the_profile_is_the_same_wherever_profiles_are_made(name: str, project: Project) -> None:
    """Profiles of three moments in turns on two engines, against all of them on DuckDB alone."""
    moments = [AS_OF - timedelta(days=120), AS_OF - timedelta(days=40), AS_OF]
    alone_folder = project.root / "alone"
    shutil.copytree(project.root, alone_folder)
    alone = load_project(alone_folder)
    with CustomerDatabase.open(alone) as database:
        for moment in moments:
            ensure_profile(alone, database, moment)
        expected = _past(alone, database)
        kept = [_sorted(database.own(table)) for table in (PROFILE_HISTORY, PROFILE_RUNS, VALUE_MODELS)]
    with CustomerDatabase.open(project) as landing:
        ensure_profile(project, landing, moments[0])
    with elsewhere(project, name) as (landing, database):
        assert isinstance(database, PublishedDatabase)
        ensure_profile(project, database, moments[1])
        take_back(landing, database)
        ensure_profile(project, database, moments[2])
        assert _past(project, database) == expected
        take_back(landing, database)
        assert publish(landing, database) == ()
        assert [_sorted(landing.own(table)) for table in (PROFILE_HISTORY, PROFILE_RUNS, VALUE_MODELS)] == kept
    assert all(0 < len(ids) < 400 for ids in expected.values()), {key: len(ids) for key, ids in expected.items()}


def _sorted(relation: Any) -> list[str]:
    return sorted(map(str, relation.to_pyarrow().to_pylist()))


def _past(project: Project, database: CustomerDatabase) -> dict[str, set[str]]:
    """Whom conditions about the past of the profile mean."""
    asked: dict[str, Any] = {
        "before": {"stage_before": "known"},
        "moved": {"did": "stage_changed"},
        "down": {"did": "stage_changed", "where": {"direction": "down"}, "in": "90d"},
        "ago": {"stage_90d_ago": "active"},
    }
    conditions = {key: parse_conditions([data], vocabulary=VOCABULARY, names=Names(), report=print)[0]
                  for key, data in asked.items()}  # fmt: skip
    many = select_many(conditions, database, AS_OF, project=project)
    assert many.judged is not None
    found = many.judged.to_pyarrow().to_pylist()
    return {key: {row["customer_id"] for row in found if row[column]} for key, column in many.columns.items()}


def test_a_plan_says_that_it_wants_duckdb() -> None:
    settings = SimpleNamespace(database=SimpleNamespace(engine="postgres"))
    with pytest.raises(CampanileError, match="a plan works on DuckDB, and database.engine says postgres"):
        refuse(SimpleNamespace(settings=settings), "a plan")  # type: ignore[arg-type]
