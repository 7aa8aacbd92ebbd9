"""What the databases say when the ledger fails, as sentences for the person who must act."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy.exc import DBAPIError

from campanile.errors import CampanileError

#: What must not happen to a ledger, whatever is wrong with it.
KEEP = "do not delete it: it is the only record of who was sent what"
BROKEN_CURE = f"put a sound backup in its place; {KEEP}"
_BROKEN = ("is damaged or is no ledger", BROKEN_CURE)
_UNWRITABLE = ("cannot be written", "check the rights of the file and its folder; the disk may be mounted read-only")
_HELD = ("is held by another process", "close what has it open: a database browser, a backup, another campanile")
_FULL = ("has no room left on its disk", "free some space and run again: what was committed is safe")
_AWAY = ("does not answer", "check that PostgreSQL runs and its address, then run again: what was committed is safe")
_FORBIDDEN = ("may not be used by this role of PostgreSQL", "let the role create and write tables in its schema")

#: Primary result code of SQLite → what is wrong with the ledger, and the cure.
_OF_SQLITE = {
    sqlite3.SQLITE_NOTADB: _BROKEN,
    sqlite3.SQLITE_CORRUPT: _BROKEN,
    sqlite3.SQLITE_BUSY: _HELD,
    sqlite3.SQLITE_LOCKED: _HELD,
    sqlite3.SQLITE_FULL: _FULL,
    sqlite3.SQLITE_IOERR: ("cannot be read or written: its disk fails", "check the disk and run again"),
    sqlite3.SQLITE_READONLY: _UNWRITABLE,
    sqlite3.SQLITE_CANTOPEN: _UNWRITABLE,
    sqlite3.SQLITE_PERM: _UNWRITABLE,
    sqlite3.SQLITE_AUTH: _UNWRITABLE,
}

#: SQLSTATE of PostgreSQL, or its class → the same.
_OF_POSTGRES = {
    "55P03": _HELD,
    "40P01": _HELD,
    "53100": _FULL,
    "53300": ("has no connection left for us", "let PostgreSQL take more connections, or run fewer workers"),
    "42501": _FORBIDDEN,
    "25006": ("is read-only: a standby, perhaps", "name the primary server"),
    "28": ("does not let us in", "check the name and password in the address of PostgreSQL"),
    "3D": ("is in a database that does not exist", "check the name of the database in the address of PostgreSQL"),
    "08": _AWAY,
    "57": _AWAY,
    "": _AWAY,
}

#: Constraint, as a database names it → the sentence.
_CONSTRAINTS = {
    "control_gets_nothing": "the plan holds a message for the control arm",
    "message.plan_id, message.step": "the plan holds two messages for one customer and step",
    "one_message_per_recipient_and_step": "the plan holds two messages for one customer and step",
    "message.message_id": "the plan holds a message that another plan holds already",
    "message_pkey": "the plan holds a message that another plan holds already",
    "attempt.message_id": "a message was about to be handed over twice",
    "one_hand_over_that_could_be_accepted": "a message was about to be handed over twice",
    "attempt_pkey": "a message was about to be handed over twice",
}


class LedgerError(CampanileError):
    """The ledger itself failed: locked, damaged, full, unwritable or out of reach."""


@contextmanager
def sqlite_sentences(name: str) -> Iterator[None]:
    """Turns SQLite's errors into CampanileError. The original, which may quote a row, is dropped."""
    try:
        yield
    except DBAPIError as error:
        raise _of_sqlite(name, error.orig) from None
    except sqlite3.Error as error:
        raise _of_sqlite(name, error) from None


@contextmanager
def postgres_sentences(name: str) -> Iterator[None]:
    """Turns PostgreSQL's errors into CampanileError. The original, which may quote a row, is dropped."""
    import psycopg

    try:
        yield
    except DBAPIError as error:
        raise _of_postgres(name, error.orig) from None
    except psycopg.Error as error:
        raise _of_postgres(name, error) from None


def _of_sqlite(name: str, error: BaseException | None) -> CampanileError:
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    if code == sqlite3.SQLITE_CONSTRAINT:
        return _violated(str(error))
    if code in _OF_SQLITE:
        what, cure = _OF_SQLITE[code]
        return LedgerError(f"{name} {what}", cure)
    said = getattr(error, "sqlite_errorname", type(error).__name__)
    return LedgerError(f"{name} fails ({said})", BROKEN_CURE)


def _of_postgres(name: str, error: BaseException | None) -> CampanileError:
    state = getattr(error, "sqlstate", None) or ""
    if state.startswith("23"):
        constraint = getattr(getattr(error, "diag", None), "constraint_name", None)
        return _violated(constraint or "a row that does not fit")
    found = _OF_POSTGRES.get(state) or _OF_POSTGRES.get(state[:2])
    if found is not None:
        return LedgerError(f"{name} {found[0]}", found[1])
    return LedgerError(f"{name} fails ({type(error).__name__} {state})", f"report this; {KEEP}")


def _violated(text: str) -> CampanileError:
    for constraint, what in _CONSTRAINTS.items():
        if constraint in text:
            return CampanileError(what, "nothing was written; report this, it is an error of Campanile")
    return CampanileError(f"the ledger refuses a row ({text.partition(':')[0]})", "nothing was written; report this")
