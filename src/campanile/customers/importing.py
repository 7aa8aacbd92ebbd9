"""The shop's files into the customer database: one transaction, so after an error nothing is half there."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import ibis.expr.types as ir
from ibis.backends.duckdb import Backend

from campanile import clock
from campanile.customers import engine, rejects
from campanile.customers.canonical import canonical_imports
from campanile.customers.cells import Setting
from campanile.customers.database import CustomerDatabase
from campanile.customers.import_report import ImportReport, TableReport
from campanile.customers.merge import Manner, merge
from campanile.customers.planning import plan_imports
from campanile.customers.rates import Rates, load_rates, money_columns
from campanile.customers.seen import Seen, Sightings, remember, sightings
from campanile.customers.sources import TableImport
from campanile.customers.staging import Stage, Staged
from campanile.customers.tables import BOUGHT, CUSTOMERS, ORDER
from campanile.errors import CampanileError, did_you_mean
from campanile.spec.project import Project

Progress = Callable[[int, int], None]

#: Folders with copies of files that are being read; a killed import leaves one, the next import takes it away.
_SCRATCH = ".import-"


def import_tables(
    project: Project,
    database: CustomerDatabase,
    *,
    only: Collection[str] = (),
    now: datetime | None = None,
    progress: Progress | None = None,
) -> ImportReport:
    """What came of importing the files that campanile.yaml maps. Importing the same files again changes nothing.

    Args:
        project: Its settings say what to import.
        database: Open for writing.
        only: Tables to import; all when empty.
        now: Aware; events later than a day after it are refused. Default is the present moment.
        progress: Called with the number of files read and the number of all files.

    Raises:
        ProblemsError: Every missing file and column; nothing was read.
        CampanileError: Nothing is mapped, a table of `only` is not, or the database is open read-only.
    """
    derives = not only or ORDER in only or BOUGHT in only
    jobs = _mapped(project, database, only)
    return _import(project, database, jobs, derives=derives, now=now, progress=progress)


def import_folder(
    project: Project,
    database: CustomerDatabase,
    folder: Path,
    *,
    now: datetime | None = None,
    progress: Progress | None = None,
) -> ImportReport:
    """What came of importing a folder whose files are named after tables, and their columns after fields.

    Arguments as in `import_tables`.

    Raises:
        ProblemsError: Every file and column that has no such name; nothing was read.
    """
    return _import(project, database, canonical_imports(folder), derives=False, now=now, progress=progress)


def _import(  # noqa: PLR0913
    project: Project,
    database: CustomerDatabase,
    jobs: Sequence[TableImport],
    *,
    derives: bool,
    now: datetime | None,
    progress: Progress | None,
) -> ImportReport:
    database.needs_writing()
    setting = Setting(project.zone, project.currency, now or clock.now())
    rates = load_rates(project) if any(job.converts for job in jobs) else Rates()
    before = sightings(database)
    with engine.engine_errors(database.path), _stage(database, setting, rates) as stage:
        try:
            _read_files(stage, jobs, progress)
            with engine.transaction(database.ibis):
                reports = _together(_merge(database.ibis, job, stage) for job in jobs)
                if derives:
                    reports += _derive(project, database.ibis)
                database.note_import(setting.now, reports)
                remember(database, jobs, stage.watermarks, setting.now)
            reports = [_with_strangers(database.ibis, _with_notices(report, jobs, before)) for report in reports]
            return ImportReport(tuple(_with_rejects(database.ibis, reports, jobs, project.rejects_dir)))
        finally:
            for job in jobs:
                stage.drop(job)


def _mapped(project: Project, database: CustomerDatabase, only: Collection[str]) -> list[TableImport]:
    mapped = project.settings.imports
    for table in only:
        if table not in mapped:
            raise CampanileError(f'campanile.yaml maps no table "{table}"', did_you_mean(table, mapped))
    return [job for job in plan_imports(project, sightings(database)) if not only or job.table in only]


@contextmanager
def _stage(database: CustomerDatabase, setting: Setting, rates: Rates) -> Iterator[Stage]:
    """A place beside the database, so that personal data stays there."""
    for left_over in database.path.parent.glob(f"{_SCRATCH}*"):
        shutil.rmtree(left_over, ignore_errors=True)
    with tempfile.TemporaryDirectory(dir=database.path.parent, prefix=_SCRATCH) as scratch:
        yield Stage(database.ibis, setting, rates, Path(scratch))


def _read_files(stage: Stage, jobs: Sequence[TableImport], progress: Progress | None) -> None:
    total = sum(len(job.sources) for job in jobs)
    done = 0
    for job in jobs:
        for _ in stage.read(job):
            done += 1
            if progress:
                progress(done, total)


def _together(reports: Iterable[TableReport]) -> list[TableReport]:
    """One report for each table."""
    found: dict[str, TableReport] = {}
    for report in reports:
        found[report.table] = found[report.table].and_then(report) if report.table in found else report
    return list(found.values())


def _merge(backend: Backend, job: TableImport, stage: Stage) -> TableReport:
    staged = stage.staged(job)
    merged = merge(backend, job.table, staged.kept, _manner(job, staged))
    rejected = rejects.by_reason(backend, job.name)
    marks = {source.label: stage.watermarks.get(f"{job.name} {source.label}", "") for source in job.sources}
    return TableReport(
        table=job.table,
        files=tuple(source.label for source in job.sources),
        read=staged.read,
        skipped=staged.skipped,
        rejected=rejected,
        duplicates=staged.read - staged.skipped - sum(rejected.values()) - merged.came,
        new=merged.new,
        updated=merged.updated,
        known=merged.known,
        rows=merged.rows,
        vanished=None if job.incremental else merged.vanished,
        removed=merged.removed,
        watermarks={label: mark.partition(" ")[2] for label, mark in marks.items() if mark},
    )


def _manner(job: TableImport, staged: Staged) -> Manner:
    """How the rows of an import are merged. Nothing is removed for lines that nobody could read, or for no rows."""
    aside = money_columns(job.table, job.columns) if job.converts else ()
    whole = job.full and not staged.unreadable and staged.read > staged.skipped + staged.unreadable
    return Manner(job.key, job.repeats, aside, full=whole, spared=staged.refused if job.key else None)


def _with_notices(report: TableReport, jobs: Sequence[TableImport], before: Sightings) -> TableReport:
    """The report, with what changed in the columns of its sources since the last import."""
    last = {source.mapping.name: source for job in jobs if job.table == report.table for source in job.sources}
    notices = [
        notice for name, source in last.items() for notice in before.get((report.table, name), Seen()).notices(source)
    ]
    return replace(report, notices=tuple(notices))


def _derive(project: Project, backend: Backend) -> list[TableReport]:
    """Orders made of order lines, where the mapping says so."""
    mapping = project.settings.imports.get(ORDER)
    if mapping is None or mapping.derive is None:
        return []
    merged = merge(
        backend,
        ORDER,
        orders_of_lines(backend.table(BOUGHT)),
        Manner(["order_id"], full=project.settings.imports[BOUGHT].full),
    )
    return [
        TableReport(
            table=ORDER, files=(), read=merged.came, skipped=0, rejected={}, duplicates=0,
            new=merged.new, updated=merged.updated, known=merged.known, rows=merged.rows, removed=merged.removed,
        )
    ]  # fmt: skip


def orders_of_lines(lines: ir.Table) -> ir.Table:
    """One order for each order_id: when its first line was bought, for how much, how many pieces and different things.

    Raises:
        CampanileError: Without order_id, or without an amount.
    """
    if "order_id" not in lines.columns:
        raise CampanileError("orders are derived from bought, which has no order_id", "map order_id in import: bought")
    grouped = lines.filter(lines.order_id.notnull()).group_by("order_id")
    columns = {"customer_id": lines.customer_id.min(), "at": lines["at"].min(), "amount": _amount(lines).sum()}
    if "qty" in lines.columns:
        columns["items"] = lines.qty.sum()
    if "sku" in lines.columns:
        columns["skus"] = lines.sku.nunique()
    return grouped.agg(**columns)


def _amount(lines: ir.Table) -> ir.IntegerValue:
    if "amount" in lines.columns:
        return lines.amount
    if {"unit_price", "qty"} <= set(lines.columns):
        return (lines.unit_price * lines.qty).round().cast("int64")
    raise CampanileError("orders are derived from bought, which has no amount", "map amount in import: bought")


def _with_strangers(backend: Backend, report: TableReport) -> TableReport:
    """The report, with how many rows of its table are of customers that nobody knows."""
    if report.table == CUSTOMERS or not {CUSTOMERS, report.table} <= set(backend.list_tables()):
        return report
    rows = backend.table(report.table)
    unknown = rows.anti_join(backend.table(CUSTOMERS), "customer_id").count().execute()
    return replace(report, strangers=int(unknown))


def _with_rejects(
    backend: Backend, reports: Sequence[TableReport], jobs: Sequence[TableImport], folder: Path
) -> Iterator[TableReport]:
    """The reports, each with the file that lists what was refused."""
    for report in reports:
        names = [job.name for job in jobs if job.table == report.table]
        listed = rejects.write(backend, report.table, names, folder) if names else None
        yield replace(report, rejects=listed)
