"""Imports the shop's files and refreshes the profile: daily, before campaigns select."""

from __future__ import annotations

from prefect import flow, task
from prefect.artifacts import create_markdown_artifact, create_table_artifact

from campanile import clock
from campanile.customers.database import CustomerDatabase
from campanile.customers.importing import import_tables
from campanile.customers.profile import refresh_profile
from flows.frame import project, without_personal_data


@task(name="import", persist_result=False)
@without_personal_data
async def import_files() -> int:
    """How many rows were rejected. Counts per table become an artifact."""
    shop = project()
    with CustomerDatabase.open(shop) as database:
        report = import_tables(shop, database)
    await create_table_artifact(key="import", table=report.rows(), description="What the import read and kept")
    return report.rejected


@task(name="profile", persist_result=False)
@without_personal_data
async def profile() -> int:
    """How many customers have a profile. Stages and scores become an artifact."""
    shop = project()
    with CustomerDatabase.open(shop) as database:
        report = refresh_profile(shop, database, clock.now())
    await create_markdown_artifact(key="profile", markdown=f"```text\n{report.text()}\n```", description="The daily profile")
    return report.customers


@flow(name="refresh-customers", persist_result=False)
@without_personal_data
async def refresh_customers() -> dict[str, int]:
    """Counts: rejected rows and profiled customers."""
    return {"rejected": await import_files(), "customers": await profile()}
