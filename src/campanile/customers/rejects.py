"""Rows and lines that an import refuses: kept with file, place and reason, never dropped silently.

They end as CSV in the rejects folder beside the customer database. Values of contact columns are left out.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import ibis
import ibis.expr.types as ir
from ibis.backends.duckdb import Backend

from campanile.customers import engine
from campanile.errors import CampanileError, cure_of

_SCHEMA = ibis.schema({"file": "string", "line": "int64", "row": "int64", "reason": "string", "value": "string"})


def table_name(table: str) -> str:
    """The temporary table that holds what was refused of a table."""
    return f"campanile_rejects_{table}"


def start(backend: Backend, table: str) -> None:
    """Makes the table of rejects unless it is there."""
    if table_name(table) not in backend.list_tables():
        backend.create_table(table_name(table), schema=_SCHEMA, temp=True)


def add_lines(backend: Backend, table: str, listed: Path, label: str) -> None:
    """Adds lines that were no rows, from a CSV file of line and reason."""
    lines = backend.read_csv(listed, columns={"line": "BIGINT", "reason": "VARCHAR"}, header=True)
    add(backend, table, lines.mutate(file=ibis.literal(label)))


def add(backend: Backend, table: str, refused: ir.Table) -> None:
    """Adds rows with file, reason, and line or row and value as far as they are known."""
    known = refused.columns
    columns = {name: refused[name] if name in known else ibis.null(type_) for name, type_ in _SCHEMA.items()}
    engine.append(backend, table_name(table), refused.select(**columns))


def by_reason(backend: Backend, table: str) -> Mapping[str, int]:
    """How many were refused for each reason, the most frequent first."""
    refused = backend.table(table_name(table))
    counted = refused.group_by("reason").agg(rows=refused.count()).order_by([ibis.desc("rows"), "reason"]).to_pyarrow()
    return dict(zip(counted["reason"].to_pylist(), counted["rows"].to_pylist(), strict=True))


def write(backend: Backend, table: str, folder: Path) -> Path | None:
    """The file that now lists what was refused of a table; None, and no file, when nothing was."""
    path = folder / f"{table}.csv"
    refused = backend.table(table_name(table))
    try:
        if not refused.count().execute():
            path.unlink(missing_ok=True)
            return None
        engine.write_csv(backend, refused.order_by(["file", "line", "row"]), path)
    except OSError as error:
        what = f"the import is done, but what it refused cannot be listed in {path} ({error.strerror})"
        raise CampanileError(what, f"{cure_of(error)}; then import again: nothing is imported twice") from None
    return path
