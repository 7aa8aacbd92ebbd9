"""The ledger on PostgreSQL: the same tables in a schema of their own, and many workers at once.

One advisory lock tells two kinds of transactions apart. Those of workers (`sharing`) hold it together and run side by
side; everything else that writes (`writing`) holds it alone, as every transaction does on SQLite. So a suppression or
a pause, once committed, is seen by every hand-over that is opened after it, and no hand-over is opened beside it.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Connection, Table, create_engine

from campanile.errors import CampanileError
from campanile.ledger.engine.base import READING
from campanile.ledger.engine.faults import postgres_sentences
from campanile.ledger.engine.sqlite import refuse_replacing
from campanile.spec.places import OnPostgres

#: A worker that is stopped in the middle of a transaction must not hold up everybody: the server ends it.
_IDLE_SECONDS = 60
_SERIALS = "attempt_serial"


class Postgres:
    """One schema of one database."""

    shared = True

    def __init__(self, where: OnPostgres, patience: float) -> None:
        self.name = f"the ledger on PostgreSQL (schema {where.schema})"
        self.folder = where.snapshots.parent
        self._where = where
        self._patience = patience
        self._lock = _key(f"campanile ledger {where.schema}")
        try:
            import psycopg  # noqa: F401
        except ImportError:
            raise CampanileError("the driver of PostgreSQL is missing", "pip install 'campanile[postgres]'") from None
        self.engine = create_engine("postgresql+psycopg://", creator=self._connect, hide_parameters=True)
        reading = {READING: True, "isolation_level": "REPEATABLE READ", "postgresql_readonly": True}
        self._reader = self.engine.execution_options(**reading)

    def _connect(self) -> Any:
        import psycopg

        url = os.environ.get(self._where.url_env, "")
        if not url:
            what = f"the environment variable {self._where.url_env} with the address of the ledger is not set"
            raise CampanileError(what, f"set {self._where.url_env}, as in postgresql://name:password@host/database")
        connection = psycopg.connect(url, connect_timeout=10, autocommit=True)
        wait = max(1, int(self._patience * 1000))
        connection.execute(
            "SELECT set_config('search_path', %s, false), set_config('lock_timeout', %s, false),"
            " set_config('application_name', %s, false),"
            " set_config('idle_in_transaction_session_timeout', %s, false),"
            # A server that confirms commits before they are on disk would let a hand-over be forgotten.
            " CASE WHEN current_setting('synchronous_commit') IN ('off', 'local')"
            " THEN set_config('synchronous_commit', 'on', false) END",
            (f'"{self._where.schema}"', f"{wait}ms", self._where.schema, f"{_IDLE_SECONDS}s"),
        )
        connection.autocommit = False
        return connection

    def prepare(self) -> None:
        """Makes the schema and the numbers of answers."""
        with self.engine.begin() as connection:
            self._alone(connection)
            there = "SELECT 1 FROM pg_catalog.pg_namespace WHERE nspname = %s"
            # Who may not make a schema may use one that is there.
            if connection.exec_driver_sql(there, (self._where.schema,)).first() is None:
                connection.exec_driver_sql(f'CREATE SCHEMA "{self._where.schema}"')
            if connection.exec_driver_sql(f"SELECT to_regclass('{_SERIALS}')").scalar() is None:
                connection.exec_driver_sql(f"CREATE SEQUENCE {_SERIALS}")

    def refuse_replacing(self) -> None:
        """CampanileError when a ledger must have been here."""
        refuse_replacing(self.name, self._where.snapshots, "empty")

    def sentences(self) -> AbstractContextManager[None]:
        """Turns PostgreSQL's errors into CampanileError."""
        return postgres_sentences(self.name)

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """A transaction that no other one writes beside."""
        with self.sentences(), self.engine.begin() as connection:
            self._alone(connection)
            yield connection

    @contextmanager
    def sharing(self) -> Iterator[Connection]:
        """A transaction of one worker among several."""
        with self.sentences(), self.engine.begin() as connection:
            connection.exec_driver_sql("SELECT pg_advisory_xact_lock_shared(%s)", (self._lock,))
            yield connection

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """A transaction that sees one moment of the ledger and holds up nobody."""
        with self.sentences(), self._reader.connect() as connection, connection.begin():
            yield connection

    def _alone(self, connection: Connection) -> None:
        connection.exec_driver_sql("SELECT pg_advisory_xact_lock(%s)", (self._lock,))

    def columns(self, connection: Connection) -> set[tuple[str, str]]:
        """Table and column of everything that is there."""
        query = "SELECT table_name, column_name FROM information_schema.columns WHERE table_schema = %s"
        return {(table, column) for table, column in connection.exec_driver_sql(query, (self._where.schema,))}

    def place(self) -> str:
        """The numbers of server, its history, database and schema: a copy of any kind differs in one of them.

        A standby that was promoted has a history of its own: what its old primary confirmed last it may not know.
        """
        query = (
            "SELECT (SELECT system_identifier FROM pg_control_system()) || '-' ||"
            " (SELECT timeline_id FROM pg_control_checkpoint()) || '-' ||"
            " (SELECT oid FROM pg_database WHERE datname = current_database()) || '-' ||"
            " (SELECT oid FROM pg_namespace WHERE nspname = %s) || ' ' || current_database()"
        )
        with self.sentences(), self.engine.connect() as connection:
            found: str = connection.exec_driver_sql(query, (self._where.schema,)).scalar_one()
        return f"{found}, schema {self._where.schema}"

    def now(self, connection: Connection) -> datetime:
        """The server's clock."""
        found: datetime = connection.exec_driver_sql("SELECT clock_timestamp()").scalar_one()
        return found.astimezone(UTC)

    def next_serial(self, connection: Connection) -> int:
        """From a sequence. Transactions side by side may end in another order: who reads on must write alone once."""
        found: int = connection.exec_driver_sql(f"SELECT nextval('{_SERIALS}')").scalar_one()
        return found

    def one_at_a_time(self, connection: Connection, names: Sequence[str]) -> None:
        """Nothing; in the order of their keys, so that two who want the same names never wait for each other."""
        keys = sorted({_key(f"{self._lock} {name}") for name in names})
        connection.exec_driver_sql("SELECT pg_advisory_xact_lock(key) FROM unnest(%s::bigint[]) key", (keys,))

    def write_rows(
        self, connection: Connection, table: Table, columns: Sequence[str], rows: Iterable[Sequence[object]]
    ) -> int:
        """How many rows were written, streamed."""
        driver: Any = connection.connection.driver_connection
        # A row has its values in the order in which the table declares its columns.
        ordered = [column.name for column in table.columns if column.name in set(columns)]
        written = 0
        with driver.cursor() as cursor, cursor.copy(f"COPY {table.name} ({', '.join(ordered)}) FROM STDIN") as copy:
            for row in rows:
                copy.write_row(row)
                written += 1
        return written


def _key(text: str) -> int:
    """A number of 64 bits for a text, as advisory locks want them."""
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big", signed=True)
