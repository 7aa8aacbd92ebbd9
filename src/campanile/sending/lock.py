"""One sender per ledger file. The kernel lets go of the lock when the process ends, however it ends."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from campanile.errors import CampanileError, cure_of


@contextmanager
def sender_lock(ledger: Path) -> Iterator[None]:
    """Holds the right to send from this ledger until the end of the block.

    Whoever holds it knows that every claim it finds belongs to a sender that is dead.

    Raises:
        CampanileError: Another process is sending; the sentence names it.
    """
    handle = _open(ledger)
    try:
        _lock(handle, ledger)
        os.ftruncate(handle, 0)
        os.pwrite(handle, str(os.getpid()).encode(), 0)
        yield
    finally:
        os.close(handle)


def _open(ledger: Path) -> int:
    """The lock's file, beside the ledger that all its names and links lead to."""
    real = ledger.resolve()
    path = real.with_name(f"{real.name}.sender")
    try:
        return os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as error:
        raise CampanileError(f"{path} cannot be opened ({error.strerror})", cure_of(error)) from None


def _lock(handle: int, ledger: Path) -> None:
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        holder = os.pread(handle, 20, 0).decode() or "another"
        raise CampanileError(
            f"process {holder} is already sending from {ledger}",
            f"wait until it is done, or stop it gently with `kill {holder}`",
        ) from None
