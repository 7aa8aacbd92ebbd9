"""What an engine says about trouble, as a sentence with the cure."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import duckdb

from campanile.errors import CampanileError

_PID = re.compile(r"PID (\d+)")

#: What the engine says of troubles that a person can mend: words in its text, what is wrong, the cure.
_TROUBLES: Sequence[tuple[str, str, str]] = (
    (r"Could not set lock", "{file} is open in {who}", "let it finish or stop it, then try again"),
    (r"different configuration", "{file} is open in this process in another mode", "close it first"),
    (r"version number|newer version", "{file} was written by another DuckDB", "update campanile, or import again"),
    (
        r"not a valid DuckDB|[Cc]orrupt|checksum|[Dd]eserializ",
        "{file} is not a DuckDB file, or it is damaged",
        "restore it, or delete it and import again",
    ),
    (r"No space left|[Dd]isk full|max_temp_directory_size", "the disk of {file} is full", "free some space"),
    (r"Out of Memory", "the engine ran out of memory at {file}", "free some memory, or space beside it to spill"),
    (r"IO Error", "{file} cannot be read or written", "check the disk, the folder and its permissions"),
    (
        r"(Conversion|Out of Range|Invalid Input|FATAL|INTERNAL) Error",
        "the engine stopped at {file}; nothing was changed",
        "report this, with what you did",
    ),
)


@contextmanager
def engine_errors(path: Path) -> Iterator[None]:
    """Turns what the engine says about the file into a sentence with the cure.

    The engine's own text is dropped then: it quotes values, and values may be contact data.
    """
    try:
        yield
    except duckdb.Error as error:
        text = str(error)
        for words, what, cure in _TROUBLES:
            if re.search(words, text):
                pid = _PID.search(text)
                who = f"another process ({pid[1]})" if pid else "another process"
                raise CampanileError(what.format(file=path.name, who=who), cure) from None
        raise
