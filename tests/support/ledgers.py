"""Ledgers of tests on both databases, and what the death of a worker looks like from outside."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from uuid import uuid4

import pytest
from sqlalchemy import update

from campanile.ledger import Ledger, Mode, Recovery, tables
from campanile.ledger.repair import recover
from campanile.spec.places import LedgerPlace, OnPostgres

POSTGRES = os.environ.get("CAMPANILE_POSTGRES") or "dbname=test"
#: Names the server to the product.
VARIABLE = "CAMPANILE_TEST_LEDGER"
KINDS = ("sqlite", "postgres")


@contextmanager
def ledger_place(kind: str, folder: Path) -> Iterator[LedgerPlace]:
    """Where a ledger of its own may lie, gone afterwards; skips where no server answers."""
    if kind == "sqlite":
        yield folder / "ledger.sqlite"
        return
    with postgres_place(folder) as place:
        yield place


@contextmanager
def postgres_place(folder: Path) -> Iterator[OnPostgres]:
    """Where a ledger of its own may lie on PostgreSQL, gone afterwards; skips where no server answers."""
    with postgres_schema() as schema:
        yield OnPostgres(VARIABLE, schema, folder / "snapshots")


@contextmanager
def postgres_schema() -> Iterator[str]:
    """The name of a schema that is not there yet, and is gone afterwards; skips where no server answers."""
    psycopg = pytest.importorskip("psycopg", reason="psycopg is not installed: pip install campanile[postgres]")
    try:
        server = psycopg.connect(POSTGRES, autocommit=True)
    except psycopg.OperationalError:
        pytest.skip("no PostgreSQL answers: set CAMPANILE_POSTGRES to its address")
    os.environ[VARIABLE] = POSTGRES
    schema = f"campanile_ledger_{uuid4().hex[:12]}"
    try:
        yield schema
    finally:
        server.execute(f'DROP SCHEMA IF EXISTS "{schema}" CASCADE')
        server.close()


def lapse(ledger: Ledger) -> None:
    """Lets the lease of every worker end now, as it does a minute after a process has died."""
    table = tables.worker
    with ledger.writing() as connection:
        past = ledger.database.now(connection) - timedelta(seconds=1)
        connection.execute(update(table).values(lease_until=past))


def recover_dead(ledger: Ledger, plan_id: str, mode: Mode, now: datetime) -> Recovery:
    """What `recover` finds once every worker until now is dead."""
    lapse(ledger)
    return recover(ledger, plan_id, mode, now)


def end_connections(place: LedgerPlace) -> int:
    """How many connections of that ledger the server has ended, as when it is started anew."""
    import psycopg

    assert isinstance(place, OnPostgres)
    query = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE application_name = %s"
    with psycopg.connect(POSTGRES) as server:
        row = server.execute(query, (place.schema,)).fetchone()
    assert row is not None
    return int(row[0])
