"""What both databases of the ledger can do."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import AbstractContextManager
from datetime import datetime
from pathlib import Path
from typing import Protocol

from sqlalchemy import Connection, Engine, Table

#: Execution option of connections that only read.
READING = "campanile_reading"


class Database(Protocol):
    """One database, open. Transactions commit durably at the end of their block, or not at all."""

    engine: Engine
    #: How sentences name it.
    name: str
    #: Whether several processes may send from it at once. Otherwise the one that holds its lock knows that it is alone.
    shared: bool
    #: Where files lie that belong to it and are no part of it: keys, snapshots.
    folder: Path

    def prepare(self) -> None:
        """Makes ready what must be there before the first connection, and refuses to replace a ledger that is gone."""

    def refuse_replacing(self) -> None:
        """CampanileError when a ledger must have been here: a new one would write to everybody again."""

    def sentences(self) -> AbstractContextManager[None]:
        """Turns the database's errors into CampanileError. The original, which may quote a row, is dropped."""

    def writing(self) -> AbstractContextManager[Connection]:
        """A transaction that no other one writes beside."""

    def sharing(self) -> AbstractContextManager[Connection]:
        """A transaction of one worker among several: not beside one that is `writing`, but beside others like it."""

    def reading(self) -> AbstractContextManager[Connection]:
        """A transaction that sees one moment of the ledger and holds up nobody."""

    def columns(self, connection: Connection) -> set[tuple[str, str]]:
        """Table and column of everything that is there."""

    def place(self) -> str:
        """Where the database lies: a copy of it says something else."""

    def now(self, connection: Connection) -> datetime:
        """The database's own clock, the same for all who use it; aware."""

    def next_serial(self, connection: Connection) -> int:
        """A number above that of every transaction that is over."""

    def one_at_a_time(self, connection: Connection, names: Sequence[str]) -> None:
        """Nothing; until the transaction ends nobody else gets past this with one of the names."""

    def write_rows(
        self, connection: Connection, table: Table, columns: Sequence[str], rows: Iterable[Sequence[object]]
    ) -> int:
        """How many rows were written, as fast as the database takes them; moments come as text."""
