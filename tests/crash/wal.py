"""What a power cut may do to a SQLite file with a write-ahead log, and what it may not.

Each commit is on disk before it is confirmed. So whatever lies behind the last commit in the log may be missing, in
part or whole, or hold anything; nothing before it may.
"""

from __future__ import annotations

import random
import struct
from pathlib import Path

_HEADER, _FRAME = 32, 24


def cut_power(ledger: Path, dice: random.Random) -> None:
    """Leaves the ledger's files as a power cut may leave them."""
    log = ledger.with_name(f"{ledger.name}-wal")
    ledger.with_name(f"{ledger.name}-shm").unlink(missing_ok=True)
    if not log.exists():
        return
    content = log.read_bytes()
    kept = committed(content)
    tail = content[kept : dice.randint(kept, len(content))] if len(content) > kept else b""
    if dice.random() < 0.5:
        tail += dice.randbytes(dice.randint(1, 9_000))
    log.write_bytes(content[:kept] + tail)


def committed(log: bytes) -> int:
    """How many bytes of a write-ahead log belong to commits; whatever follows is not promised."""
    if len(log) < _HEADER:
        return len(log)
    page, salts, at, end = struct.unpack(">I", log[8:12])[0], log[16:24], _HEADER, _HEADER
    while at + _FRAME + page <= len(log):
        size = struct.unpack(">I", log[at + 4 : at + 8])[0]
        if log[at + 8 : at + 16] != salts:
            break
        at += _FRAME + page
        if size:
            end = at
    return end
