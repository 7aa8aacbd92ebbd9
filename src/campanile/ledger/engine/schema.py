"""Makes the ledger's tables, brings those of an earlier Campanile forward, and refuses what it cannot read."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from uuid import uuid4

from sqlalchemy import Connection, insert, select, update
from sqlalchemy.schema import CreateColumn

from campanile.errors import CampanileError
from campanile.ledger import response_tables, tables
from campanile.ledger.engine.base import Database
from campanile.ledger.engine.faults import BROKEN_CURE, KEEP, LedgerError
from campanile.ledger.place import PLACE

#: Columns that number 3 has more than number 2, by table.
_NEW_IN_3 = {"message": ("worker",), "attempt": ("worker", "parts", "price", "currency"), "event": ("serial",)}


def ready(database: Database) -> None:
    """Returns when the ledger has our tables: made now, brought forward now, or there.

    Raises:
        CampanileError: It is no ledger, of a newer Campanile, or broken.
    """
    with database.reading() as connection:
        there = database.columns(connection)
        found = noted(connection, "schema") if {("meta", "key"), ("meta", "value")} <= there else ""
    if not there:
        database.refuse_replacing()
        _create(database)
        return
    if not found:
        what = f"{database.name} is a database, but no ledger of Campanile"
        raise CampanileError(what, "check ledger: in campanile.yaml")
    if _number(found) in _STEPS:
        _bring_forward(database)
        with database.reading() as connection:
            there, found = database.columns(connection), noted(connection, "schema")
    there |= response_tables.add_missing(database, there)
    _check(database, _number(found), there)


def noted(connection: Connection, key: str) -> str:
    """What the ledger notes about itself under that key; empty when it notes nothing."""
    return connection.scalar(select(tables.meta.c.value).where(tables.meta.c.key == key)) or ""


def _create(database: Database) -> None:
    with database.writing() as connection:
        # Two processes may both have found nothing; the second one waits here and finds the tables made.
        tables.metadata.create_all(connection)
        if not noted(connection, "schema"):
            facts = {"schema": str(tables.SCHEMA), "identity": uuid4().hex, PLACE: database.place()}
            connection.execute(insert(tables.meta), [{"key": key, "value": value} for key, value in facts.items()])


def _bring_forward(database: Database) -> None:
    """Takes the tables from their number to ours in one transaction: afterwards all of it is done, or nothing."""
    with database.writing() as connection:
        number = _number(noted(connection, "schema"))
        while number in _STEPS:
            _STEPS[number](connection)
            number += 1
            key = tables.meta.c.key == "schema"
            connection.execute(update(tables.meta).where(key).values(value=str(number)))


def _to_3(connection: Connection) -> None:
    """Workers and their leases, pace, warm-up, and who pauses and resumes."""
    for name, columns in _NEW_IN_3.items():
        for column in columns:
            definition = CreateColumn(tables.metadata.tables[name].c[column]).compile(dialect=connection.dialect)
            connection.exec_driver_sql(f"ALTER TABLE {name} ADD COLUMN {definition}")
    tables.metadata.create_all(connection)
    for index in tables.message.indexes:
        index.create(connection, checkfirst=True)


_STEPS: Mapping[int, Callable[[Connection], None]] = {2: _to_3}


def _check(database: Database, number: int, there: set[tuple[str, str]]) -> None:
    """CampanileError unless the ledger says our number of its tables, and they have every column of ours."""
    if number > tables.SCHEMA:
        raise CampanileError(f"{database.name} was made by a newer Campanile", "upgrade Campanile")
    if 0 < number < tables.SCHEMA:
        cure = f"name another ledger in campanile.yaml and plan again; {KEEP}"
        raise CampanileError(f"{database.name} was made by an earlier Campanile, whose tables differ", cure)
    ours = {(table.name, column.name) for table in tables.metadata.tables.values() for column in table.columns}
    missing = sorted(".".join(pair) for pair in ours - there)
    if number != tables.SCHEMA or missing:
        what = f"lacks {', '.join(missing)}" if missing else "does not say which Campanile made it"
        raise LedgerError(f"{database.name} {what}", BROKEN_CURE)


def _number(found: str) -> int:
    return int(found) if found.isascii() and found.isdigit() else -1
