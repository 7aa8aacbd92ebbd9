"""What the last import saw of each source: its columns, and how far an incremental source was read.

Written in the transaction of the import, so that a crash leaves both as they were.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime

import ibis

from campanile.customers.database import SOURCES, CustomerDatabase
from campanile.customers.sources import Source, TableImport
from campanile.customers.zones import naive
from campanile.errors import did_you_mean
from campanile.spec.mapping import SourceMapping


@dataclass(frozen=True)
class Seen:
    """One source as the last import saw it."""

    #: What each column held, "" where the source does not say.
    columns: Mapping[str, str] = field(default_factory=dict)
    #: How far it was read, and by which mapping: another mapping reads from the beginning.
    watermark: str = ""
    mapping: str = ""

    def lost(self, name: str, label: str, header: Iterable[str]) -> tuple[str, str]:
        """What to say of a mapped column that is not there: the problem, and the cure."""
        new = [column for column in header if column not in self.columns] if self.columns else list(header)
        if name not in self.columns:
            listed = f"its columns: {', '.join(list(header)[:20])}"
            return f'{label} has no column "{name}"', did_you_mean(name, header) or listed
        what = f'{label} has no column "{name}" any more'
        if not new:
            return what, "ask for it again, or take it out of the mapping"
        return what, f"new since the last import: {', '.join(new[:20])}; if it was renamed, write the new name"

    def notices(self, source: Source) -> Iterator[str]:
        """What changed in the columns of a source and stops nothing."""
        if not self.columns:
            return
        for name in dict.fromkeys(source.header):
            before, now = self.columns.get(name), source.types.get(name, "")
            if before is None and name not in source.used:
                yield f'{source.label} has a new column "{name}"; map it where campaigns should know it'
            elif before and now and before != now:
                yield f'column "{name}" of {source.label} now holds {now}, it held {before}; check what comes of it'
        for name in self.columns:
            if name not in source.header:
                yield f'{source.label} no longer has the column "{name}", which nothing needs'


Sightings = Mapping[tuple[str, str], Seen]


def sightings(database: CustomerDatabase) -> Sightings:
    """What the last import saw, by table and source; watermarks of tables that are gone are left out."""
    there = database.tables()
    found = {}
    for row in database.own(SOURCES).to_pyarrow().to_pylist():
        watermark = row["watermark"] if row["table"] in there else ""
        found[row["table"], row["source"]] = Seen(json.loads(row["columns"]), watermark, row["mapping"])
    return found


def mapping_print(table: str, mapping: SourceMapping, key: Iterable[str]) -> str:
    """A fingerprint of what decides how rows of a source are read."""
    said = (table, tuple(key), mapping.table, mapping.columns, mapping.rows, mapping.currency, mapping.since)
    return hashlib.sha256(repr(said).encode()).hexdigest()[:16]


def remember(
    database: CustomerDatabase, jobs: Iterable[TableImport], watermarks: Mapping[str, str], at: datetime
) -> None:
    """Writes what this import saw of its sources, instead of what was written of them before."""
    rows = {}
    for job in jobs:
        for source in job.sources:
            columns = {name: source.types.get(name, "") for name in source.header}
            rows[job.table, source.mapping.name] = {
                "table": job.table, "source": source.mapping.name, "columns": json.dumps(columns),
                "mapping": mapping_print(job.table, source.mapping, job.key),
                "watermark": watermarks.get(f"{job.name} {source.label}", source.watermark), "imported_at": naive(at),
            }  # fmt: skip
    if not rows:
        return
    kept = [row for row in database.own(SOURCES).to_pyarrow().to_pylist() if (row["table"], row["source"]) not in rows]
    schema = database.own(SOURCES).schema()
    database.store_own(SOURCES, ibis.memtable([*kept, *rows.values()], schema=schema))
