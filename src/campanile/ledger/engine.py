"""One SQLite file behind SQLAlchemy: durable at every commit, one writer at a time, readers never in the way."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any
from uuid import uuid4

from sqlalchemy import URL, Connection, Engine, create_engine, event, insert, inspect, select

from campanile.errors import CampanileError, cure_of
from campanile.ledger import tables
from campanile.ledger.faults import BROKEN_CURE, KEEP, LedgerError, sentences
from campanile.ledger.place import PLACE, place_of

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
        # A URL made of parts takes ? and % in the path for what they are.
        url = URL.create("sqlite", database=str(path))
        engine = create_engine(url, connect_args={"timeout": patience}, hide_parameters=True)
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
        raise CampanileError(what, cure_of(error)) from None


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
        missing = _missing(connection)
        found = "" if {"meta.key", "meta.value"} & missing else _version(connection)
    if not names:
        _refuse_replacing(path)
        _create(engine, path)
    elif not found:
        raise CampanileError(f"{path} is a database, but no ledger of Campanile", "check ledger: in campanile.yaml")
    else:
        _check_version(path, found, missing)


def _check_version(path: Path, found: str, missing: set[str]) -> None:
    """CampanileError unless the ledger says our number of its tables, and they have every column of ours."""
    number = int(found) if found.isascii() and found.isdigit() else -1
    if number > tables.SCHEMA:
        raise CampanileError(f"the ledger {path} was made by a newer Campanile", "upgrade Campanile")
    if 0 < number < tables.SCHEMA:
        cure = f"name another file under ledger: in campanile.yaml and plan again; {KEEP}"
        raise CampanileError(f"the ledger {path} was made by an earlier Campanile, whose tables differ", cure)
    if number != tables.SCHEMA or missing:
        what = f"lacks {', '.join(sorted(missing))}" if missing else "does not say which Campanile made it"
        raise LedgerError(f"the ledger {path} {what}", BROKEN_CURE)


def _missing(connection: Connection) -> set[str]:
    """Columns of our tables, as table.column, that the file does not have."""
    query = "SELECT t.name, c.name FROM sqlite_master t, pragma_table_info(t.name) c WHERE t.type = 'table'"
    there = {tuple(row) for row in connection.exec_driver_sql(query)}
    ours = {(table.name, column.name) for table in tables.metadata.tables.values() for column in table.columns}
    return {".".join(pair) for pair in ours - there}


def _version(connection: Connection) -> str:
    return noted(connection, "schema")


def noted(connection: Connection, key: str) -> str:
    """What the ledger notes about itself under that key; empty when it notes nothing."""
    return connection.scalar(select(tables.meta.c.value).where(tables.meta.c.key == key)) or ""


def _create(engine: Engine, path: Path) -> None:
    with engine.begin() as connection:
        # Two processes may both have found the file empty; the second one waits here and finds it made.
        tables.metadata.create_all(connection)
        if not _version(connection):
            facts = {"schema": str(tables.SCHEMA), "identity": uuid4().hex, PLACE: place_of(path)}
            connection.execute(insert(tables.meta), [{"key": key, "value": value} for key, value in facts.items()])
