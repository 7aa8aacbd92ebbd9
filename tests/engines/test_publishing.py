"""Publishing to PostgreSQL: cheap when nothing changed, right when something did, and whole whoever is killed."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import duckdb
import ibis
import pytest

from campanile.customers import engine
from campanile.customers.database import CONTACTS, VERSIONS, CustomerDatabase
from campanile.customers.importing import import_tables
from campanile.customers.published import PublishedDatabase, on_engine, publish
from campanile.errors import CampanileError
from campanile.spec.project import Project, load_project
from engines.places import POSTGRES, postgres_schema

psycopg = pytest.importorskip("psycopg", reason="psycopg is not installed: pip install campanile[postgres]")

VARIABLE = "CAMPANILE_TEST_PUBLISHING"
SETTINGS = """\
shop: {{name: Test, currency: EUR, timezone: UTC}}
channels: {{email: {{via: outbox}}}}
economics: {{margin_rate: 40%, cost_per_message: {{email: 0.01}}}}
database: {{postgres: {{url_env: CAMPANILE_TEST_PUBLISHING, schema: {schema}}}}}
import:
  customers: {{file: people.csv, columns: {{customer_id: Who, city: City}}}}
  order: {{file: orders.csv, columns: {{order_id: Order, customer_id: Who, at: When, amount: Paid}}}}
"""
AT = datetime(2026, 3, 1)


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Project]:
    """A shop of two tables that were imported, with a schema of its own on the server."""
    monkeypatch.setenv(VARIABLE, POSTGRES)
    with postgres_schema() as schema:
        (tmp_path / "campanile.yaml").write_text(SETTINGS.format(schema=schema), encoding="utf-8")
        (tmp_path / "people.csv").write_text("Who,City\na,Bonn\nb,Ulm\n", encoding="utf-8")
        _orders(tmp_path, 1)
        yield _imported(load_project(tmp_path))


def _orders(root: Path, each: int) -> None:
    lines = "".join(f"{n},{'ab'[n % 2]},2026-01-01,{each}\n" for n in range(1_000))
    (root / "orders.csv").write_text(f"Order,Who,When,Paid\n{lines}", encoding="utf-8")


def _imported(project: Project) -> Project:
    with CustomerDatabase.open(project) as landing:
        import_tables(project, landing, now=AT.replace(tzinfo=UTC))
    return project


@contextmanager
def published(project: Project) -> Iterator[tuple[CustomerDatabase, PublishedDatabase]]:
    with CustomerDatabase.open(project) as landing, on_engine(project, landing, "postgres") as there:
        assert isinstance(there, PublishedDatabase)
        yield landing, there


class Reads:
    """How many tables were read whole to compare them."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.count, real = 0, engine.content

        def content(backend: Any, rows: Any) -> str:
            self.count += 1
            return real(backend, rows)

        monkeypatch.setattr(engine, "content", content)

    def since(self) -> int:
        self.count, found = 0, self.count
        return found


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> Reads:
    return Reads(monkeypatch)


def _paid(there: CustomerDatabase) -> int:
    return int(there.table("order").amount.sum().execute())


def test_nothing_is_read_when_nothing_changed(project: Project, reads: Reads) -> None:
    with published(project):
        assert reads.since() > 0
    for _ in range(2):
        with published(project) as (landing, there):
            assert publish(landing, there) == ()
    assert reads.since() == 0
    # The same files again are no change.
    _imported(project)
    with published(project):
        assert reads.since() == 0
    _orders(project.root, 3)
    _imported(project)
    with published(project) as (_, there):
        assert reads.since() == 1
        assert _paid(there) == 300_000
    with published(project):
        assert reads.since() == 0


def test_rows_that_were_written_again_are_read_and_not_copied(project: Project, reads: Reads) -> None:
    contact = {"message_id": "m", "customer_id": "a", "at": AT, "channel": "email", "campaign": "c",
               "purpose": "marketing", "arm": "a"}  # fmt: skip
    with published(project) as (landing, there):
        row = ibis.memtable([contact], schema=landing.own(CONTACTS).schema())
        landing.append_own(CONTACTS, row)
        assert publish(landing, there) == (CONTACTS,)
        reads.since()
        landing.store_own(CONTACTS, row)
        assert publish(landing, there) == ()
        assert reads.since() == 1
        assert publish(landing, there) == ()
        assert reads.since() == 0
        # Rows may come to lie where others lay: then the stamp alone says that they are others.
        engine.stamp(landing.ibis, VERSIONS, "shop order", database=landing._own)
        assert publish(landing, there) == ()
        assert reads.since() == 1


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE \"order\" SET amount = amount + 1 WHERE order_id = '7'",
        "DELETE FROM \"order\" WHERE order_id = '7'",
        'INSERT INTO "order" SELECT * FROM "order" WHERE order_id = \'7\'',
        'ALTER TABLE "order" ADD COLUMN note VARCHAR',
    ],
)
def test_what_another_program_wrote_into_the_file_is_published(project: Project, statement: str) -> None:
    with published(project):
        pass
    with duckdb.connect(str(project.database_path)) as other:
        other.execute(statement)
    with published(project) as (landing, there):
        here, found = (sorted(map(str, each.table("order").to_pyarrow().to_pylist())) for each in (landing, there))
    assert found == here


def test_a_backup_that_was_put_back_is_published(project: Project) -> None:
    backup = project.root / "backup"
    with published(project):
        pass
    shutil.copy(project.database_path, backup)
    _orders(project.root, 3)
    _imported(project)
    with published(project) as (_, there):
        assert _paid(there) == 300_000
    shutil.copy(backup, project.database_path)
    with published(project) as (_, there):
        assert _paid(there) == 100_000


def test_a_table_that_somebody_took_away_there_is_published_again(project: Project) -> None:
    with published(project) as (landing, there):
        engine.drop(there.ibis, "order", database=there.places["shop"])
        assert publish(landing, there) == ("order",)
        assert _paid(there) == 100_000


def test_tables_that_the_shop_keeps_there_itself_are_left_alone(project: Project) -> None:
    with published(project) as (landing, there):
        assert publish(landing, there, native=True) == ()
        assert there.tables() == {"customers", "order"}
        # Nobody knows any more what they hold.
        assert set(publish(landing, there)) == {"customers", "order"}


def test_two_that_work_in_one_schema_do_so_one_after_the_other(project: Project, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(project.root, copy, ignore=shutil.ignore_patterns("copy"))
    other = load_project(copy)
    with published(project), pytest.raises(CampanileError) as caught, published(other):
        pass
    place = project.settings.database.postgres.place
    assert str(caught.value).startswith(f"another campanile is at work in the schema {place} of PostgreSQL (process ")
    assert caught.value.cure == "let it finish or stop it, then try again"
    with published(other) as (_, there):
        assert _paid(there) == 100_000


_KILLED = """
import json, os, sys
from pathlib import Path
import psycopg
from campanile.customers.database import CustomerDatabase
from campanile.customers.published import on_engine
from campanile.spec.project import load_project

project = load_project(Path(sys.argv[1]))
place = project.settings.database.postgres.place

def publish(last):
    real, count = psycopg.Connection.execute, 0
    def execute(self, *args, **kwargs):
        nonlocal count
        count += 1
        if count == last:
            os.kill(os.getpid(), 9)
        return real(self, *args, **kwargs)
    psycopg.Connection.execute = execute
    with CustomerDatabase.open(project) as landing, on_engine(project, landing, "postgres"):
        pass

def seen():
    with psycopg.connect(os.environ["CAMPANILE_TEST_PUBLISHING"]) as server:
        paid = server.execute(f'SELECT sum(amount) FROM "{place}"."order"').fetchone()[0]
        cities = server.execute(f'SELECT string_agg(city, $$ $$ ORDER BY city) FROM "{place}".customers').fetchone()[0]
        left = server.execute(
            "SELECT count(*) FROM information_schema.tables WHERE table_schema LIKE %s AND table_name LIKE %s",
            (place + "%", "%campanile%")).fetchone()[0]
    return [int(paid), cities, left]

for last in range(int(sys.argv[2]), 1000, 4):
    pid = os.fork()
    if not pid:
        publish(last)
        os._exit(0)
    _, status = os.waitpid(pid, 0)
    print(json.dumps([os.WIFSIGNALED(status), *seen()]), flush=True)
    if not os.WIFSIGNALED(status):
        break
"""


@pytest.mark.crash
def test_who_is_killed_half_way_leaves_the_old_or_the_new(project: Project) -> None:
    """Killed before every fourth statement in turn, until one comes through; each starts where the last one ended."""
    with published(project):
        pass
    _orders(project.root, 3)
    (project.root / "people.csv").write_text("Who,City\na,Kiel\nb,Ulm\n", encoding="utf-8")
    _imported(project)
    command = [sys.executable, "-c", _KILLED, str(project.root), "2"]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=500)
    *killed, last = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(killed) > 3
    assert last == [False, 300_000, "Kiel Ulm", 0], done.stdout
    old, new = [True, 100_000, "Bonn Ulm", 0], [True, 300_000, "Kiel Ulm", 0]
    assert all(each in (old, new) for each in killed), done.stdout
    assert old in killed


_HELD = """
import sys
from pathlib import Path
from campanile.customers.database import CustomerDatabase
from campanile.customers.published import on_engine
from campanile.spec.project import load_project

project = load_project(Path(sys.argv[1]))
with CustomerDatabase.open(project) as landing, on_engine(project, landing, "postgres"):
    print("there", flush=True)
    sys.stdin.read()
"""


@pytest.mark.crash
def test_who_is_killed_holds_up_nobody(project: Project) -> None:
    command = [sys.executable, "-c", _HELD, str(project.root)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as held:
        assert held.stdout is not None
        assert held.stdout.readline() == "there\n"
        held.kill()
    with published(project) as (_, there):
        assert _paid(there) == 100_000


def test_what_a_profile_there_left_is_not_published_again(project: Project, reads: Reads) -> None:
    from campanile.customers.database import PROFILE_HISTORY
    from campanile.customers.profile import ensure_profile

    with published(project) as (landing, there):
        ensure_profile(replace(project), there, AT.replace(tzinfo=UTC))
    reads.since()
    with published(project) as (landing, there):
        assert reads.since() == 0
        assert there.profile_as_of() == AT.replace(tzinfo=UTC)
        assert landing.own(PROFILE_HISTORY).count().execute() == 2
