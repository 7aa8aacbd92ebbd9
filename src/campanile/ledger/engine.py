"""One SQLite file behind SQLAlchemy: durable at every commit, one writer at a time, readers never in the way."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any
from uuid import uuid4

from sqlalchemy import Connection, Engine, create_engine, event, insert, inspect, select

from campanile.errors import CampanileError
from campanile.ledger import tables
from campanile.ledger.faults import KEEP, sentences

#: Execution option of connections that only read.
READING = "campanile_reading"

_PRAGMAS = (
    "journal_mode=WAL",
    "synchronous=FULL",
    "foreign_keys=ON",
    "cache_size=-65536",  # 64 MiB: the index on message ids of a million messages is written in no order
    "journal_size_limit=67108864",
)


def connect(path: Path, patience: float) -> Engine:
    """An engine on the ledger file, made when absent; waits `patience` seconds for a lock.

    Raises:
        CampanileError: The file is damaged, locked, unwritable, no ledger, or of a newer Campanile.
    """
    with sentences(path):
        _create_private(path)
        # Parameters of a failing statement would carry addresses into the exception.
        engine = create_engine(f"sqlite:///{path}", connect_args={"timeout": patience}, hide_parameters=True)
        event.listen(engine, "connect", _prepare)
        event.listen(engine, "begin", _begin)
        try:
            _check_schema(engine, path)
        except BaseException:
            engine.dispose()
            raise
    return engine


def _create_private(path: Path) -> None:
    """Makes the file readable by its owner only: it holds addresses. SQLite gives its journal the same rights."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        os.close(os.open(path, os.O_CREAT | os.O_RDONLY, 0o600))
    except OSError as error:
        what = f"the ledger {path} cannot be opened ({error.strerror})"
        raise CampanileError(what, "check the folder and its rights") from None


def _prepare(connection: Any, _record: object) -> None:
    # The driver's own transactions begin deferred, and a deferred one can find itself unable to write half-way.
    connection.isolation_level = None
    for pragma in _PRAGMAS:
        connection.execute(f"PRAGMA {pragma}").close()


def _begin(connection: Connection) -> None:
    reading = connection.get_execution_options().get(READING, False)
    connection.exec_driver_sql("BEGIN" if reading else "BEGIN IMMEDIATE")


def _check_schema(engine: Engine, path: Path) -> None:
    with engine.execution_options(**{READING: True}).begin() as connection:
        names = set(inspect(connection).get_table_names())
        found = _version(connection) if "meta" in names else ""
    if not names:
        _create(engine)
    elif not found:
        raise CampanileError(f"{path} is a database, but no ledger of Campanile", "check ledger: in campanile.yaml")
    elif int(found) > tables.SCHEMA:
        raise CampanileError(f"the ledger {path} was made by a newer Campanile", "upgrade Campanile")
    elif int(found) < tables.SCHEMA:
        cure = f"name another file under ledger: in campanile.yaml and plan again; {KEEP}"
        raise CampanileError(f"the ledger {path} was made by an earlier Campanile, whose tables differ", cure)


def _version(connection: Connection) -> str:
    return noted(connection, "schema")


def noted(connection: Connection, key: str) -> str:
    """What the ledger notes about itself under that key; empty when it notes nothing."""
    return connection.scalar(select(tables.meta.c.value).where(tables.meta.c.key == key)) or ""


def _create(engine: Engine) -> None:
    with engine.begin() as connection:
        # Two processes may both have found the file empty; the second one waits here and finds it made.
        tables.metadata.create_all(connection)
        if not _version(connection):
            rows = [{"key": "schema", "value": str(tables.SCHEMA)}, {"key": "identity", "value": uuid4().hex}]
            connection.execute(insert(tables.meta), rows)
