"""Imports the shop's files, audits them and refreshes the profile: daily, before campaigns select."""

from __future__ import annotations

import asyncio

from prefect import flow, get_run_logger, task
from prefect.artifacts import acreate_markdown_artifact, acreate_table_artifact

from campanile import clock
from campanile.customers.import_report import ImportReport
from campanile.customers.importing import import_tables
from campanile.customers.people.merging import merge_after_import
from campanile.customers.profile import refresh_profile
from campanile.customers.profile_report import ProfileReport
from campanile.plan.sound import whole_audit
from campanile.report.audit import Judgement, judge
from campanile.report.audit_answers import audit_text, write_audit
from campanile.responses.forget import keep_forgotten
from flows.frame import as_markdown, customers, project, without_personal_data


@flow(
    name="refresh-customers",
    flow_run_name="refresh-customers",
    description="Import the shop's files, audit them and refresh the profile (stages, RFM). Daily, before campaigns "
    "select.",
    persist_result=False,
)
@without_personal_data
async def refresh_customers() -> dict[str, int]:
    """Counts: rejected rows, broken limits of the audit, and profiled customers."""
    return {"rejected": await import_files(), "broken": await audit(), "customers": await profile()}


@task(name="import", task_run_name="import", persist_result=False)
@without_personal_data
async def import_files() -> int:
    """How many rows were rejected. Counts per table become an artifact."""
    report, merged = await asyncio.to_thread(_import)
    if merged:
        get_run_logger().info("%d records were merged into persons", merged)
    get_run_logger().info("%s", report.text())
    rows = [
        {
            "table": table.table,
            "read": table.read,
            "kept": table.kept,
            "new": table.new,
            "updated": table.updated,
            "rejected": sum(table.rejected.values()),
            "why": "; ".join(f"{count:,} {reason}" for reason, count in table.rejected.items()),
        }
        for table in report.tables
    ]
    await acreate_table_artifact(
        key="import",
        table=rows,
        description="What was read, kept and rejected",
    )
    return sum(sum(table.rejected.values()) for table in report.tables)


@task(name="audit", task_run_name="audit", persist_result=False)
@without_personal_data
async def audit() -> int:
    """How many limits of the audit are broken, each of which stops plans. The figures become an artifact."""
    judgement = await asyncio.to_thread(_audit)
    get_run_logger().info("%s", audit_text(judgement))
    await acreate_markdown_artifact(
        key="audit", markdown=as_markdown(audit_text(judgement)), description="How good the customer database is"
    )
    return len(judgement.broken)


@task(name="profile", task_run_name="profile", persist_result=False)
@without_personal_data
async def profile() -> int:
    """How many customers have a profile. Stages and scores become an artifact."""
    report = await asyncio.to_thread(_profile)
    get_run_logger().info("%s", report.text(project().zone))
    await acreate_markdown_artifact(
        key="profile",
        markdown=as_markdown(report.text(project().zone)),
        description="Customers by stage and score",
    )
    return report.customers


def _import() -> tuple[ImportReport, int]:
    """What was imported, and how many records were merged, where every import does so."""
    shop = project()
    with customers(shop) as database:
        report = import_tables(shop, database)
        people = merge_after_import(shop, database, clock.now())
        keep_forgotten(shop, database)
        return report, people.merged if people else 0


def _audit() -> Judgement:
    shop = project()
    with customers(shop) as database:
        judgement = judge(shop, whole_audit(shop, database, clock.now()))
    write_audit(judgement, shop.audits_dir)
    return judgement


def _profile() -> ProfileReport:
    shop = project()
    with customers(shop) as database:
        return refresh_profile(shop, database, clock.now())
