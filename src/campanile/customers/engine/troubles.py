"""What an engine says about trouble, as a sentence with the cure."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import duckdb

from campanile.errors import CampanileError

_PID = re.compile(r"PID (\d+)")
#: How the engine names a file that it cannot read.
_FILE = re.compile(r'[Ff]ile:? "([^"]+)"')
#: A file that is written beside the place it will have.
_PART = re.compile(r"\.(.+)\.part")
_ANEW = "restore it from a backup; without one, move it away and import again"
_NO_DATABASE = "move it away and import again, or name another file under database: in campanile.yaml"

#: What the engine says of troubles that a person can mend: words in its text, what is wrong, the cure.
_TROUBLES: Sequence[tuple[str, str, str]] = (
    (r"Could not set lock", "{file} is open in {who}", "let it finish or stop it, then try again"),
    (r"different configuration", "{file} is open in this process in another mode", "close it first"),
    (
        r"created with a newer version",
        "{file} was written by a newer DuckDB than this Campanile reads",
        "update campanile; or move the file away and import again",
    ),
    (r"version number", "{file} was written by a DuckDB that is too old", "move it away and import again"),
    (
        r"WAL file",
        "{file} is damaged: its log {file}.wal does not fit or is broken",
        "restore both from the same backup; without one, move both away and import again",
    ),
    (r"not a valid DuckDB", "{file} is not a DuckDB file, or its beginning is damaged", _ANEW),
    (r"sqlite", "{file} is a file of SQLite, not of DuckDB", _NO_DATABASE),
    (r"Is a directory", "{named} is a folder, not a DuckDB file", _NO_DATABASE),
    (r"enough bytes", "{file} is damaged: a part of it is missing", _ANEW),
    (r"[Cc]orrupt|checksum|[Dd]eserializ", "{file} is damaged", _ANEW),
    (
        r"Permission denied|Operation not permitted|Read-only file system",
        "{named} may not be read or written here",
        "check who owns the file and its folder, and their rights",
    ),
    (r"File too large", "{named} may not grow any more", "raise the limit (ulimit -f), or move it to another disk"),
    (
        r"No space left|[Dd]isk full|[Dd]isk quota|max_temp_directory_size",
        "the disk of {named} is full; nothing was changed",
        "free some space, then do it again",
    ),
    (r"Out of Memory", "the engine ran out of memory at {file}", "free some memory, or space beside it to spill"),
    (r"IO Error", "{named} cannot be read or written", "check the disk, the folder and its permissions"),
    (
        r"(Conversion|Out of Range|Invalid Input|FATAL|INTERNAL) Error",
        "the engine stopped at {file}; nothing was changed",
        "report this, with what you did",
    ),
)


#: What PostgreSQL's codes begin with, what is wrong, the cure.
_POSTGRES_TROUBLES: Sequence[tuple[str, str, str]] = (
    ("42501", "PostgreSQL does not let this role do that", "give it the rights on both schemas that the docs name"),
    ("57014", "PostgreSQL stopped a query that ran too long", "raise statement_timeout for this role"),
    ("53100", "the disk of the PostgreSQL server is full", "free some space there"),
    ("53", "the PostgreSQL server has no room left", "free memory or connections there, then try again"),
    ("55P03", "PostgreSQL waited too long for another connection", "let that finish, then try again"),
    ("40", "another connection wrote the same tables of PostgreSQL", "try again"),
    ("57", "the PostgreSQL server was stopped", "start it, then try again"),
    ("08", "the connection to PostgreSQL broke off", "check the server and the network, then try again"),
    *(
        (code, "a table of PostgreSQL is not as this product makes it", "name another schema: under postgres:")
        for code in ("42P01", "42703")
    ),
)
_NO_CODE = "08000"
_REPORT = "report this, with what you did; engine: duckdb selects the same customers"


@contextmanager
def engine_errors(path: Path) -> Iterator[None]:
    """Turns what the engine says, about the file or in the middle of a query, into a sentence with the cure.

    The engine's own text is dropped then: it quotes values, and values may be contact data.
    """
    try:
        with _other_engines():
            yield
    except duckdb.Error as error:
        found = _of_duckdb(str(error), path)
        if found is None:
            raise
        raise found from None


def _of_duckdb(text: str, path: Path) -> CampanileError | None:
    """The sentence for what DuckDB says; None for what no person can mend.

    >>> said = 'IO Error: Could not read enough bytes from file "/shop/order.parquet": attempted to read 9 bytes'
    >>> _of_duckdb(said, Path("/shop/customers.duckdb")).what
    'order.parquet cannot be read to its end'
    """
    named = _named(text, path)
    if "enough bytes" in text and named != path.name:
        return CampanileError(f"{named} cannot be read to its end", "is it whole? get it again")
    for words, what, cure in _TROUBLES:
        if re.search(words, text):
            pid = _PID.search(text)
            who = f"another process ({pid[1]})" if pid else "another process"
            return CampanileError(what.format(file=path.name, named=named, who=who), cure)
    return None


def _named(text: str, path: Path) -> str:
    """The file that the engine could not read or write: the database where it is its log or what it spilled."""
    found = _FILE.search(text)
    if not found:
        return path.name
    file = Path(found[1])
    part = _PART.fullmatch(file.name)
    own = file.name.startswith(path.name) or file.parent.name.startswith(path.name)
    return path.name if own else part[1] if part else file.name


@contextmanager
def _other_engines() -> Iterator[None]:
    """The same for engines that are servers. Their drivers are asked only where something has loaded them."""
    try:
        yield
    except Exception as error:
        if _is_from(error, "psycopg", "Error"):
            raise _of_postgres(getattr(error, "sqlstate", None) or _NO_CODE) from None
        if _is_from(error, "pyspark.errors", "PySparkException") or _is_from(error, "py4j.protocol", "Py4JError"):
            kind = type(error).__name__
            raise CampanileError(
                f"Spark stopped in the middle of its work ({kind}); nothing was sent", _REPORT
            ) from None
        raise


def _is_from(error: Exception, module: str, name: str) -> bool:
    return module in sys.modules and isinstance(error, getattr(sys.modules[module], name))


def _of_postgres(code: str) -> CampanileError:
    """The sentence for a code of PostgreSQL.

    >>> _of_postgres("57P01").what
    'the PostgreSQL server was stopped (57P01)'
    """
    for begins, what, cure in _POSTGRES_TROUBLES:
        if code.startswith(begins):
            return CampanileError(f"{what} ({code})", cure)
    return CampanileError(f"PostgreSQL stopped in the middle of its work ({code})", _REPORT)
