"""One SQLite file behind SQLAlchemy: durable at every commit, one writer at a time, readers never in the way."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event, insert, inspect, select

from campanile.errors import CampanileError
from campanile.ledger import tables
from campanile.ledger.faults import sentences

#: Execution option of connections that only read.
READING = "campanile_reading"

#: Snapshots below their folder by the names that planning gives them; a draft is none.
_SNAPSHOTS = f"*/{'[0-9a-f]' * 16}.parquet"

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
        CampanileError: The file is damaged, locked, unwritable, no ledger, of a newer Campanile, or gone although
            campaigns were planned with it.
    """
    with sentences(path):
        if not _has_bytes(path):
            _refuse_replacing(path)
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


def _has_bytes(path: Path) -> bool:
    try:
        return path.stat().st_size > 0
    except OSError:
        return False


def _refuse_replacing(path: Path) -> None:
    """CampanileError when a ledger must have been here: a new one would know nobody, and write to everybody again."""
    if not any((path.parent / "snapshots").glob(_SNAPSHOTS)):
        return
    raise CampanileError(
        f"the ledger {path} is {'empty' if path.exists() else 'gone'}, but campaigns were planned with it; with a new "
        "one everybody would be written to again",
        f"restore it from a backup; only to start afresh on purpose, move {path.parent / 'snapshots'} away",
    )


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
        _refuse_replacing(path)
        _create(engine)
    elif not found:
        raise CampanileError(f"{path} is a database, but no ledger of Campanile", "check ledger: in campanile.yaml")
    elif int(found) > tables.SCHEMA:
        raise CampanileError(f"the ledger {path} was made by a newer Campanile", "upgrade Campanile")


def _version(connection: Connection) -> str:
    return connection.scalar(select(tables.meta.c.value).where(tables.meta.c.key == "schema")) or ""


def _create(engine: Engine) -> None:
    with engine.begin() as connection:
        # Two processes may both have found the file empty; the second one waits here and finds it made.
        tables.metadata.create_all(connection)
        if not _version(connection):
            connection.execute(insert(tables.meta).values(key="schema", value=str(tables.SCHEMA)))
