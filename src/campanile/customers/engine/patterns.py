r"""Patterns are written for RE2, DuckDB's; here they become those of PostgreSQL and of Java, which Spark has.

Both lack `\p{Latin}` and its like, or mean another edition of Unicode: they get the very characters that DuckDB means.
"""

from __future__ import annotations

import re
from functools import lru_cache

import duckdb

_OFFLINE: dict[str, str | bool | int | float | list[str]] = {
    "autoinstall_known_extensions": False,
    "autoload_known_extensions": False,
}
_CLASS = re.compile(r"\\p\{(\w+)\}")
#: The last letter of any edition up to now lies before; beyond are marks, private and unused characters.
_END = 0x33480
_SURROGATES = (0xD800, 0xDFFF)


def postgres_pattern(pattern: str) -> str:
    r"""The pattern for PostgreSQL, whose text has no NUL.

    >>> postgres_pattern(r"^[\x00-\x7f]+$")
    '^[\\u0001-\\u007f]+$'
    """
    written = _CLASS.sub(lambda found: "".join(_postgres_range(*each) for each in _ranges(found[1])), pattern)
    written = written.replace(r"\x00", r"\x01")
    return re.sub(r"\\x([0-9a-f]{2})", r"\\u00\1", written)


def java_pattern(pattern: str) -> str:
    r"""The pattern for Java, whose `$` would also stand before a last line break.

    >>> java_pattern(r"^\d{3}$")
    '^\\d{3}\\z'
    """
    written = _CLASS.sub(lambda found: "".join(_java_range(*each) for each in _ranges(found[1])), pattern)
    return re.sub(r"(?<!\\)\$$", r"\\z", written)


def _postgres_range(first: int, last: int) -> str:
    return f"\\U{first:08X}-\\U{last:08X}" if first != last else f"\\U{first:08X}"


def _java_range(first: int, last: int) -> str:
    return f"\\x{{{first:X}}}-\\x{{{last:X}}}" if first != last else f"\\x{{{first:X}}}"


@lru_cache(maxsize=32)
def _ranges(name: str) -> tuple[tuple[int, int], ...]:
    """First and last code points of the characters that DuckDB finds in a class, without surrogates."""
    # No parameters: for them the driver would load pandas. A class is a word, so it cannot break out of the quotes.
    first, last = _SURROGATES
    query = (
        "SELECT min(c), max(c) FROM (SELECT c, c - row_number() OVER (ORDER BY c) AS run "  # noqa: S608
        f"FROM range(1, {_END}) AS r(c) WHERE NOT c BETWEEN {first} AND {last} "
        f"AND regexp_matches(chr(CASE WHEN c BETWEEN {first} AND {last} THEN 1 ELSE c END::INTEGER), "
        f"'\\p{{{name}}}')) GROUP BY run ORDER BY 1"
    )
    return tuple(duckdb.connect(config=_OFFLINE).execute(query).fetchall())
