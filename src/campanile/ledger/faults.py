"""What SQLite says when the ledger fails, as sentences for the person who must act."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy.exc import DBAPIError

from campanile.errors import CampanileError

#: What must not happen to a ledger, whatever is wrong with it.
KEEP = "do not delete it: it is the only record of who was sent what"
BROKEN_CURE = f"put a sound backup in its place; {KEEP}"
_BROKEN = ("is damaged or is no ledger", BROKEN_CURE)
_UNWRITABLE = ("cannot be written", "check the rights of the file and its folder; the disk may be mounted read-only")
_HELD = ("is held by another process", "close what has it open: a database browser, a backup, another campanile")

#: Primary result code of SQLite → what is wrong with the ledger, and the cure.
_FAULTS = {
    sqlite3.SQLITE_NOTADB: _BROKEN,
    sqlite3.SQLITE_CORRUPT: _BROKEN,
    sqlite3.SQLITE_BUSY: _HELD,
    sqlite3.SQLITE_LOCKED: _HELD,
    sqlite3.SQLITE_FULL: ("has no room left on its disk", "free some space and run again: what was committed is safe"),
    sqlite3.SQLITE_IOERR: ("cannot be read or written: its disk fails", "check the disk and run again"),
    sqlite3.SQLITE_READONLY: _UNWRITABLE,
    sqlite3.SQLITE_CANTOPEN: _UNWRITABLE,
    sqlite3.SQLITE_PERM: _UNWRITABLE,
    sqlite3.SQLITE_AUTH: _UNWRITABLE,
}

#: Constraint, as SQLite names it → the sentence.
_CONSTRAINTS = {
    "control_gets_nothing": "the plan holds a message for the control arm",
    "message.plan_id, message.step": "the plan holds two messages for one customer and step",
    "message.message_id": "the plan holds a message that another plan holds already",
    "attempt.message_id": "a message was about to be handed over twice",
}


class LedgerError(CampanileError):
    """The ledger itself failed: locked, damaged, full or unwritable."""


@contextmanager
def sentences(path: Path) -> Iterator[None]:
    """Turns the database's errors into CampanileError. The original, which may quote a row, is dropped."""
    try:
        yield
    except DBAPIError as error:
        raise _fault(path, error.orig) from None
    except sqlite3.Error as error:
        raise _fault(path, error) from None


def _fault(path: Path, error: BaseException | None) -> CampanileError:
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    if code == sqlite3.SQLITE_CONSTRAINT:
        return _violated(str(error))
    if code in _FAULTS:
        what, cure = _FAULTS[code]
        return LedgerError(f"the ledger {path} {what}", cure)
    name = getattr(error, "sqlite_errorname", type(error).__name__)
    return LedgerError(f"the ledger {path} fails ({name})", BROKEN_CURE)


def _violated(text: str) -> CampanileError:
    for constraint, what in _CONSTRAINTS.items():
        if constraint in text:
            return CampanileError(what, "nothing was written; report this, it is an error of Campanile")
    return CampanileError(f"the ledger refuses a row ({text.partition(':')[0]})", "nothing was written; report this")
