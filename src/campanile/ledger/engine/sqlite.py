"""The ledger in one SQLite file: durable at every commit, one writer at a time, readers never in the way."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import Any

from sqlalchemy import URL, Connection, Table, create_engine, event, func, insert, select

from campanile.errors import CampanileError, cure_of
from campanile.ledger import tables
from campanile.ledger.engine.base import READING
from campanile.ledger.engine.faults import sqlite_sentences

#: Snapshots below their folder by the names that planning gives them; a draft is none.
_SNAPSHOTS = f"*/{'[0-9a-f]' * 16}.parquet"
_ROWS = 10_000
_LATEST = select(func.max(tables.attempt.c.serial))
_PRAGMAS = (
    "journal_mode=WAL",
    "synchronous=FULL",
    "foreign_keys=ON",
    "cache_size=-65536",  # 64 MiB: the index on message ids of a million messages is written in no order
    "journal_size_limit=67108864",
)


class Sqlite:
    """One file. Its transactions come one after the other, so that all of them write alone."""

    shared = False

    def __init__(self, path: Path, patience: float) -> None:
        self.path = path
        self.folder = path.parent
        self.name = f"the ledger {path}"
        # Parameters of a failing statement would carry addresses into the exception.
        # A URL made of parts takes ? and % in the path for what they are.
        url = URL.create("sqlite", database=str(path))
        self.engine = create_engine(url, connect_args={"timeout": patience}, hide_parameters=True)
        self._reader = self.engine.execution_options(**{READING: True})
        event.listen(self.engine, "connect", _prepare)
        event.listen(self.engine, "begin", _begin)

    def prepare(self) -> None:
        """Makes the file, readable by its owner only."""
        if not _has_bytes(self.path):
            self.refuse_replacing()
        _create_private(self.path)

    def refuse_replacing(self) -> None:
        """CampanileError when a ledger must have been here."""
        refuse_replacing(self.name, self.path.parent / "snapshots", "empty" if self.path.exists() else "gone")

    def sentences(self) -> AbstractContextManager[None]:
        """Turns SQLite's errors into CampanileError."""
        return sqlite_sentences(self.name)

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """A transaction that no other one writes beside."""
        with self.sentences(), self.engine.begin() as connection:
            yield connection

    sharing = writing

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """A transaction that sees one moment of the ledger and holds up nobody."""
        with self.sentences(), self._reader.begin() as connection:
            yield connection

    def columns(self, connection: Connection) -> set[tuple[str, str]]:
        """Table and column of everything that is there."""
        query = "SELECT t.name, c.name FROM sqlite_master t, pragma_table_info(t.name) c WHERE t.type = 'table'"
        return {(table, column) for table, column in connection.exec_driver_sql(query)}

    def place(self) -> str:
        """The file's number on its disk and its true path: a copy differs in one of them."""
        real = self.path.resolve()
        return f"{real.stat().st_ino} {real}"

    def now(self, _connection: Connection) -> datetime:
        """The clock of this machine, which is the database's."""
        return datetime.now(UTC)

    def next_serial(self, connection: Connection) -> int:
        """One more than the latest: writers come one after the other."""
        return (connection.scalar(_LATEST) or 0) + 1

    def one_at_a_time(self, _connection: Connection, _names: Sequence[str]) -> None:
        """Nothing: whoever writes, writes alone."""

    def write_rows(
        self, connection: Connection, table: Table, columns: Sequence[str], rows: Iterable[Sequence[object]]
    ) -> int:
        """How many rows were written."""
        # SQLAlchemy binds each row of each value in Python, which doubles the time; here the driver gets tuples.
        statement = str(insert(table).compile(connection, column_keys=list(columns)))
        source, written = iter(rows), 0
        while chunk := list(islice(source, _ROWS)):
            connection.exec_driver_sql(statement, [tuple(row) for row in chunk])
            written += len(chunk)
        return written


def refuse_replacing(ledger: str, snapshots: Path, state: str) -> None:
    """CampanileError when campaigns were planned with a ledger that is not there any more.

    Args:
        ledger: How sentences name it.
        snapshots: The folder of assignments.
        state: What it is now: gone, or empty.
    """
    if not any(snapshots.glob(_SNAPSHOTS)):
        return
    raise CampanileError(
        f"{ledger} is {state}, but campaigns were planned with it; with a new one everybody would be written to again",
        f"restore it from a backup; only to start afresh on purpose, move {snapshots} away",
    )


def _has_bytes(path: Path) -> bool:
    try:
        return path.stat().st_size > 0
    except OSError:
        return False


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
