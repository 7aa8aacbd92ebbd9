"""Tables in databases of the shop: looked at, and streamed row by row; they are only ever read.

The URL comes from an environment variable and is never shown: it holds a password.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import sqlalchemy
from sqlalchemy import exc

from campanile.clock import Duration
from campanile.customers.sources import Source
from campanile.errors import CampanileError, did_you_mean

#: Rows that wait in memory.
_AT_ONCE = 10_000
_SLACK = timedelta(days=1)
_TIME, _MOMENT, _DAY, _NUMBER, _TEXT = "time", "moment", "day", "number", "text"


class Watermark:
    """The highest value of a column so far, which later imports start from.

    A moment that has not come yet is left out: one wrong row would hide every later change.
    """

    def __init__(self, text: str, now: datetime) -> None:
        self._now = now
        self.value: Any = _read(text)

    def see(self, value: Any) -> None:
        """Takes a value into account."""
        if value is None or self._ahead(value):
            return
        if self.value is None or type(value) is not type(self.value) or value > self.value:
            self.value = value

    def _ahead(self, value: Any) -> bool:
        moment = _moment(value)
        if moment is None:
            return False
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)) > self._now + _SLACK

    def __str__(self) -> str:
        if self.value is None:
            return ""
        text = self.value.isoformat(" ") if isinstance(self.value, datetime) else str(self.value)
        return f"{_kind(self.value)} {text}"


def shape_of(url_env: str, table: str) -> Mapping[str, str]:
    """The columns of a table or view, and the type of each.

    Raises:
        CampanileError: The variable is missing or no URL, there is no driver, no connection, or no such table.
    """
    schema, name = _split(table)
    with _connected(url_env) as connection:
        inspector = sqlalchemy.inspect(connection)
        names = [*inspector.get_table_names(schema), *inspector.get_view_names(schema)]
        if name not in names:
            known = [f"{schema}.{each}" for each in names] if schema else names
            raise CampanileError(f"the database has no table {table}", did_you_mean(table, known))
        return {column["name"]: str(column["type"]) for column in inspector.get_columns(name, schema)}


def table_rows(source: Source, names: Sequence[str], watermark: Watermark) -> Iterator[tuple[int, Sequence[object]]]:
    """The rows of a table, numbered, streamed from the server; of an incremental source those that changed.

    Args:
        source: A source that is a table.
        names: The columns wanted.
        watermark: Sees the rows go by.

    Raises:
        CampanileError: As `shape_of`, and when the connection breaks.
    """
    since = source.mapping.since
    with _connected(source.url_env) as connection:
        result = connection.execution_options(stream_results=True, max_row_buffer=_AT_ONCE).execute(
            _query(source, names)
        )
        for number, row in enumerate(result, start=1):
            if since:
                watermark.see(row[-1])
            yield number, row[: len(names)]


def _query(source: Source, names: Sequence[str]) -> Any:
    """The columns wanted, and that of `since` at the end; the newest row last."""
    assert source.mapping.table is not None
    schema, name = _split(source.mapping.table.table)
    since = source.mapping.since
    columns: list[Any] = [sqlalchemy.column(each) for each in names]
    table = sqlalchemy.table(name, schema=schema)
    if not since:
        return sqlalchemy.select(*columns).select_from(table)
    changed: Any = sqlalchemy.column(since)
    query = sqlalchemy.select(*columns, changed.label("campanile_since")).select_from(table)
    start = _read(source.watermark)
    if start is not None:
        # Rows that do not say when they changed may have changed.
        query = query.where(changed.is_(None) | (changed >= _earlier(start, source.mapping.overlap)))
    return query.order_by(sqlalchemy.case((changed.is_(None), 0), else_=1), changed)


def _earlier(value: Any, overlap: Duration) -> Any:
    """The value, less the overlap where it is a time."""
    if isinstance(value, datetime):
        return overlap.before(value)
    if isinstance(value, date):
        return overlap.before(datetime(value.year, value.month, value.day, tzinfo=UTC)).date()
    moment = _moment(value)
    if moment is None:
        return value
    before = overlap.before(moment)
    return before.date().isoformat() if len(value) == 10 else before.isoformat("T" if "T" in value else " ")


def _moment(value: Any) -> datetime | None:
    """The moment that a value says, if it says one."""
    if isinstance(value, datetime):
        return value
    if isinstance(value, date):
        return datetime(value.year, value.month, value.day, tzinfo=UTC)
    try:
        return datetime.fromisoformat(value) if isinstance(value, str) else None
    except ValueError:
        return None


def _kind(value: Any) -> str:
    if isinstance(value, datetime):
        return _MOMENT if value.tzinfo else _TIME
    if isinstance(value, date):
        return _DAY
    return _NUMBER if isinstance(value, int | float | Decimal) else _TEXT


def _read(text: str) -> Any:
    """The value that a watermark was written of; None for ""."""
    kind, _, value = text.partition(" ")
    if kind in (_TIME, _MOMENT):
        return datetime.fromisoformat(value)
    if kind == _DAY:
        return date.fromisoformat(value)
    if kind == _NUMBER:
        return int(value) if value.lstrip("-").isdecimal() else Decimal(value)
    return value if kind == _TEXT else None


def _split(table: str) -> tuple[str | None, str]:
    schema, _, name = table.rpartition(".")
    return schema or None, name


@contextmanager
def _connected(url_env: str) -> Iterator[sqlalchemy.Connection]:
    """A connection that only reads. What drivers say is dropped: it quotes addresses, names and values."""
    engine = _engine(url_env)
    try:
        with engine.connect() as connection:
            only_reading = engine.dialect.name == "postgresql"
            yield connection.execution_options(postgresql_readonly=True) if only_reading else connection
    except exc.SQLAlchemyError as error:
        raise CampanileError(*_trouble(url_env, getattr(error, "orig", None) or error)) from None
    finally:
        engine.dispose()


_CURE = "check the address, the name and its rights, and that the database runs"
#: Words in what drivers say, what that means of a database, the cure.
_TROUBLES: Sequence[tuple[str, str, str]] = (
    (
        r"authentication failed|no password supplied|role .* does not exist",
        "refuses the name or the password",
        "check both in the URL",
    ),
    (r"database .* does not exist", "is not on that server", "check the name after the last / of the URL"),
    (r"resolve host|host name|not known", "is on a host that nobody knows", "check the host in the URL"),
    (r"refused|time(d )?out|unreachable|No route", "cannot be reached", "check host and port, and that it runs"),
    (r"permission denied|not authorized", "does not let this name read there", "give it the right to SELECT"),
)


def _trouble(url_env: str, error: BaseException) -> tuple[str, str]:
    """What is wrong with a database, and the cure; nothing of the driver's own words, which quote names and values.

    >>> _trouble("ERP", OSError("connection to 10.0.0.1 failed: Connection refused"))
    ('the database of ERP cannot be reached', 'check host and port, and that it runs')
    """
    for words, what, cure in _TROUBLES:
        if re.search(words, str(error)):
            return f"the database of {url_env} {what}", cure
    return f"the database of {url_env} does not answer as it should ({type(error).__name__})", _CURE


def _engine(url_env: str) -> sqlalchemy.Engine:
    text = os.environ.get(url_env, "")
    if not text:
        raise CampanileError(f"the environment variable {url_env} is not set", "set it to the URL of the database")
    try:
        url = sqlalchemy.make_url(text)
        if url.drivername in ("postgres", "postgresql"):
            url = url.set(drivername="postgresql+psycopg")
        if url.get_backend_name() == "sqlite" and not (url.database and Path(url.database).is_file()):
            raise CampanileError(f"the SQLite file that {url_env} names is not there", "write sqlite:////path/to/file")
        return sqlalchemy.create_engine(url, poolclass=sqlalchemy.NullPool, hide_parameters=True)
    except exc.NoSuchModuleError:
        raise CampanileError(f"no driver for the database of {url_env}", "write postgresql:// or sqlite://") from None
    except (exc.ArgumentError, ValueError):
        cure = "write it as in postgresql://name:password@host/database"
        raise CampanileError(f"{url_env} holds no URL of a database", cure) from None
    except ImportError as error:
        raise CampanileError(f"the driver {error.name} is not installed", "install the package that has it") from None
