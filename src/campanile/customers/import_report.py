"""What an import came to, table by table."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path


@dataclass(frozen=True)
class TableReport:
    """One table: `read` rows are skipped, rejected, repeated or kept; kept rows are new, updated or known already."""

    table: str
    files: tuple[str, ...]
    #: Rows and unreadable lines of all files.
    read: int
    #: Left out by `rows`.
    skipped: int
    #: Refused, by reason; they are listed in the rejects folder.
    rejected: Mapping[str, int]
    #: Came again in the same import, whole or by their key.
    duplicates: int
    new: int
    updated: int
    #: Already there, the same.
    known: int
    #: Rows of the table after the import.
    rows: int
    #: Rows of the table whose customer is not among the customers: no campaign can reach them.
    strangers: int = 0
    #: Where the rejects are listed; None when there are none.
    rejects: Path | None = None
    #: Rows that were there and did not come; None when nobody can know.
    vanished: int | None = None
    #: Of these, rows that were removed.
    removed: int = 0
    #: How far each incremental source was read.
    watermarks: Mapping[str, str] = field(default_factory=dict)
    #: What changed in the columns of the sources.
    notices: tuple[str, ...] = ()

    @property
    def kept(self) -> int:
        """Rows of this import that stand in the table now."""
        return self.new + self.updated + self.known

    @property
    def changed(self) -> bool:
        """Whether the table is another one than before."""
        return bool(self.new or self.updated or self.removed)

    def and_then(self, later: TableReport) -> TableReport:
        """The report of this import and a later one of the same table, together."""
        reasons = dict.fromkeys([*self.rejected, *later.rejected])
        return replace(
            later,
            files=self.files + later.files,
            read=self.read + later.read,
            skipped=self.skipped + later.skipped,
            rejected={reason: self.rejected.get(reason, 0) + later.rejected.get(reason, 0) for reason in reasons},
            duplicates=self.duplicates + later.duplicates,
            new=self.new + later.new,
            updated=self.updated + later.updated,
            known=self.known + later.known,
            vanished=None,
            watermarks={**self.watermarks, **later.watermarks},
            notices=self.notices + later.notices,
        )

    def lines(self) -> list[str]:
        r"""The report as lines of text.

        >>> print(*TableReport("order", ("a.csv",), 5, 1, {"no date": 1}, 0, 2, 0, 1, 9).lines(), sep="\n")
        order: 5 read, 3 kept (2 new, 0 updated, 1 known already); 9 rows now
          1 skipped by rows
          1 rejected: no date
        """
        kept = f"{self.kept:,} kept ({self.new:,} new, {self.updated:,} updated, {self.known:,} known already)"
        lines = [f"{self.table}: {self.read:,} read, {kept}; {self.rows:,} rows now"]
        if self.skipped:
            lines.append(f"  {self.skipped:,} skipped by rows")
        if self.duplicates:
            lines.append(f"  {self.duplicates:,} came more than once")
        lines += [f"  {count:,} rejected: {reason}" for reason, count in self.rejected.items()]
        if self.removed:
            lines.append(f"  {self.removed:,} removed: they are no longer in the sources")
        if self.vanished and self.vanished > self.removed:
            lines.append(f"  {self.vanished - self.removed:,} rows of the table did not come this time; they stay")
        lines += [f"  {source} was read up to {mark}" for source, mark in self.watermarks.items()]
        lines += [f"  {notice}" for notice in self.notices]
        if self.strangers:
            lines.append(f"  {self.strangers:,} rows are of customers that the table customers does not have")
        if self.rejects:
            lines.append(f"  rejects are listed in {self.rejects}")
        return lines


@dataclass(frozen=True)
class ImportReport:
    """What an import came to."""

    tables: tuple[TableReport, ...] = field(default_factory=tuple)

    def table(self, name: str) -> TableReport:
        """The report of one table."""
        return next(report for report in self.tables if report.table == name)

    @property
    def changed(self) -> bool:
        """Whether the customer database is another one than before."""
        return any(report.changed for report in self.tables)

    @property
    def rejected(self) -> int:
        """How many rows and lines were refused in all."""
        return sum(sum(report.rejected.values()) for report in self.tables)

    def rows(self) -> list[dict[str, object]]:
        """The report as plain data, a row per table."""
        return [
            asdict(report)
            | {"files": list(report.files), "kept": report.kept, "rejected": dict(report.rejected)}
            | {"watermarks": dict(report.watermarks), "notices": list(report.notices)}
            | {"rejects": str(report.rejects) if report.rejects else None}
            for report in self.tables
        ]

    def text(self) -> str:
        """The report for people."""
        return "\n".join(line for report in self.tables for line in report.lines())
