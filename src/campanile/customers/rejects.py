"""Rows and lines that an import refuses: kept with file, place and reason, never dropped silently.

They end as CSV in the rejects folder beside the customer database. Of the value only its form is listed: it
may be anybody's name or date of birth, and those stay in the shop's file.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import ibis
import ibis.expr.types as ir
from ibis.backends.duckdb import Backend

from campanile.customers import engine
from campanile.errors import CampanileError, cure_of

_SCHEMA = ibis.schema({"file": "string", "line": "int64", "row": "int64", "reason": "string", "value": "string"})


def table_name(name: str) -> str:
    """The temporary table that holds what the import of that name refused."""
    return f"campanile_rejects_{name}"


def start(backend: Backend, name: str) -> None:
    """Makes the table of rejects unless it is there."""
    if table_name(name) not in backend.list_tables():
        backend.create_table(table_name(name), schema=_SCHEMA, temp=True)


def add_lines(backend: Backend, name: str, listed: Path, label: str) -> None:
    """Adds lines that were no rows, from a CSV file of line and reason."""
    lines = backend.read_csv(listed, columns={"line": "BIGINT", "reason": "VARCHAR"}, header=True)
    add(backend, name, lines.mutate(file=ibis.literal(label)))


def add(backend: Backend, name: str, refused: ir.Table) -> None:
    """Adds rows with file, reason, and line or row and value as far as they are known."""
    known = refused.columns
    columns = {column: refused[column] if column in known else ibis.null(type_) for column, type_ in _SCHEMA.items()}
    engine.append(backend, table_name(name), refused.select(**columns))


def by_reason(backend: Backend, name: str) -> Mapping[str, int]:
    """How many were refused for each reason, the most frequent first."""
    refused = backend.table(table_name(name))
    counted = refused.group_by("reason").agg(rows=refused.count()).order_by([ibis.desc("rows"), "reason"]).to_pyarrow()
    return dict(zip(counted["reason"].to_pylist(), counted["rows"].to_pylist(), strict=True))


def write(backend: Backend, table: str, names: Sequence[str], folder: Path) -> Path | None:
    """The file that now lists what the imports of a table refused; None, and no file, when that was nothing."""
    path = folder / f"{table}.csv"
    each = [backend.table(table_name(name)) for name in names]
    refused = ibis.union(*each) if len(each) > 1 else each[0]
    try:
        if not refused.count().execute():
            path.unlink(missing_ok=True)
            return None
        engine.write_csv(backend, refused.order_by(["file", "line", "row"]), path)
    except OSError as error:
        what = f"the import is done, but what it refused cannot be listed in {path} ({error.strerror})"
        raise CampanileError(what, f"{cure_of(error)}; then import again: nothing is imported twice") from None
    return path
