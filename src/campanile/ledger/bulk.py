"""Plans of millions of messages: written in one go, exported in one go, memory flat both times."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from sqlalchemy import Connection, select

from campanile.events import PlannedMessage
from campanile.ledger import tables, variables
from campanile.ledger.engine import Database

_ROWS = 10_000
_WRITTEN = (
    *("message_id", "plan_id", "batch", "customer_id", "arm", "step", "channel", "address"),
    *("variables", "due_at", "not_before", "expires_at", "zone"),
)
_EXPORTED = pa.schema(
    [
        ("message_id", pa.string()),
        ("customer_id", pa.string()),
        ("arm", pa.string()),
        ("step", pa.string()),
        ("channel", pa.string()),
        ("state", pa.string()),
        ("reason", pa.string()),
        ("attempts", pa.int32()),
    ]
)


def write_planned(database: Database, connection: Connection, plan_id: str, messages: Iterable[PlannedMessage]) -> int:
    """How many messages were written; the iterable is consumed row by row."""
    return database.write_rows(connection, tables.message, _WRITTEN, _rows(plan_id, messages))


def write_messages(connection: Connection, plan_id: str, path: Path) -> None:
    """Writes the plan's messages as Parquet, whole or not at all."""
    columns = [tables.message.c[name] for name in _EXPORTED.names]
    query = select(*columns).where(tables.message.c.plan_id == plan_id)
    draft = path.with_name(f".{path.name}.part")
    path.parent.mkdir(parents=True, exist_ok=True)
    with pq.ParquetWriter(draft, _EXPORTED) as writer:
        for rows in connection.execution_options(yield_per=_ROWS).execute(query).partitions():
            table = zip(*rows, strict=True)
            writer.write_batch(pa.record_batch([pa.array(column) for column in table], schema=_EXPORTED))
    draft.replace(path)


def _rows(plan_id: str, messages: Iterable[PlannedMessage]) -> Iterator[tuple[object, ...]]:
    """Rows in the order in which the table declares its columns."""
    for m in messages:
        due, expires = _stamp(m.due_at), _stamp(m.expires_at)
        who = (m.message_id, plan_id, m.batch, m.customer_id, m.arm, m.step, m.channel, m.address)
        yield (*who, variables.dump(m.variables), due, due, expires, m.zone)


@lru_cache(maxsize=4096)
def _stamp(moment: datetime) -> str:
    """The moment as the table's `Moment` columns keep it; most messages of a plan share theirs.

    >>> _stamp(datetime(2026, 3, 5, 10, 30, tzinfo=UTC))
    '2026-03-05 10:30:00.000000'
    """
    return moment.astimezone(UTC).replace(tzinfo=None).isoformat(" ", "microseconds")
