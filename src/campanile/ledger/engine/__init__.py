"""The ledger's two databases. Everything that differs between them is in this folder; the SQL above is the same."""

from __future__ import annotations

from pathlib import Path

from campanile.ledger.engine.base import READING, Database
from campanile.ledger.engine.faults import LedgerError
from campanile.ledger.engine.schema import noted, ready
from campanile.spec.places import LedgerPlace

__all__ = ["READING", "Database", "LedgerError", "connect", "is_there", "noted"]


def connect(place: LedgerPlace, patience: float) -> Database:
    """The database at that place, made when absent; waits `patience` seconds for a lock.

    Raises:
        CampanileError: It is damaged, locked, unwritable, unreachable, no ledger, of a newer Campanile, or gone
            although campaigns were planned with it.
    """
    database = _database(place, patience)
    with database.sentences():
        try:
            database.prepare()
            ready(database)
        except BaseException:
            database.engine.dispose()
            raise
    return database


def is_there(place: LedgerPlace) -> bool:
    """Whether a ledger was made at that place; nothing is made."""
    if isinstance(place, Path):
        return place.exists()
    database = _database(place, 10.0)
    try:
        with database.sentences(), database.reading() as connection:
            return bool(database.columns(connection))
    finally:
        database.engine.dispose()


def _database(place: LedgerPlace, patience: float) -> Database:
    if isinstance(place, Path):
        from campanile.ledger.engine.sqlite import Sqlite

        return Sqlite(place, patience)
    from campanile.ledger.engine.postgres import Postgres

    return Postgres(place, patience)
