"""Files that hold personal data: their owner's alone, and whole or not there at all."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


class PrivateFiles:
    """While one is held, files that this process makes are its owner's alone.

    The engine makes its file, its log and what it spills without asking us for their rights.
    """

    _lock = threading.Lock()
    _held = 0
    _before = 0

    def __enter__(self) -> None:
        with self._lock:
            if not PrivateFiles._held:
                PrivateFiles._before = os.umask(0o077)
            PrivateFiles._held += 1

    def __exit__(self, *_: object) -> None:
        with self._lock:
            PrivateFiles._held -= 1
            if not PrivateFiles._held:
                os.umask(PrivateFiles._before)


@contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """Where to write what will be `path` when all of it is written and on the disk; nothing is left of a failure."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.part")
    try:
        yield part
        with part.open("rb") as file:
            os.fchmod(file.fileno(), 0o600)
            os.fsync(file.fileno())
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)
