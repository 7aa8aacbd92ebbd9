"""What the log of imports says: when a table came last, and why rows were refused."""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime

from campanile.customers.audit.findings import Refusals
from campanile.customers.database import IMPORTS, CustomerDatabase
from campanile.spec.project import Project

_REASON = 3


@dataclass(frozen=True)
class LastImport:
    """The last import of a table: when (naive UTC), how many rows were read, and how many refused."""

    table: str
    at: datetime
    read: int
    rejected: int


def serial_of(database: CustomerDatabase) -> int:
    """How many tables were imported so far: another number means that the data may be others."""
    return int(database.own(IMPORTS).count().execute())


def last_imports(database: CustomerDatabase) -> Mapping[str, LastImport]:
    """The last import of each table; a table that is derived read no file, and refused nothing."""
    log = database.own(IMPORTS)
    last = log.group_by("table").agg(imported_at=log["imported_at"].max())
    rows = log.inner_join(last, ["table", "imported_at"]).select("table", "imported_at", "read", "rejected")
    return {
        row["table"]: LastImport(row["table"], row["imported_at"], row["read"], row["rejected"])
        for row in rows.order_by("table").to_pyarrow().to_pylist()
    }


def refusals_of(project: Project, imports: Mapping[str, LastImport]) -> Iterator[Refusals]:
    """Why the last import refused rows, table by table."""
    for table, last in imports.items():
        yield Refusals(table, last.read, last.rejected, _reasons(project, table) if last.rejected else {})


def _reasons(project: Project, table: str) -> Mapping[str, int]:
    """How many rows were refused for each reason; nothing when the list of rejects was taken away."""
    path = project.rejects_dir / f"{table}.csv"
    if not path.exists():
        return {}
    with path.open(encoding="utf-8", newline="") as file:
        lines = csv.reader(file)
        next(lines, None)
        return dict(Counter(line[_REASON] for line in lines if len(line) > _REASON).most_common())
