"""Plans a campaign, then shows or sends it: what `campanile plan` and `campanile run` do, one task per batch."""

from __future__ import annotations

import asyncio

from prefect import flow, task
from prefect.artifacts import (
    create_markdown_artifact,
    create_progress_artifact,
    create_table_artifact,
    update_progress_artifact,
)

from campanile import clock
from campanile.customers.database import CustomerDatabase
from campanile.ledger.store import Ledger
from campanile.plan.explain import explain
from campanile.plan.make import make_plan
from campanile.plan.types import Plan
from campanile.sending.run import Dispatch, open_dispatch, run_campaign as run_without_tasks
from campanile.sending.status import status
from campanile.spec.project import Project
from flows.frame import CampaignName, Mode, project, without_personal_data


@task(name="plan", persist_result=False)
@without_personal_data
async def plan_wave(campaign: str) -> dict[str, int]:
    """Units by arm. The plan and its waterfall become artifacts."""
    shop = project()
    plan = await asyncio.to_thread(_plan, shop, campaign)
    text = f"```text\n{explain(plan, shop.zone)}\n```"
    await create_markdown_artifact(key=f"plan-{_key(campaign)}", markdown=text, description=f"Plan of {campaign}")
    rows = [{"line": step.line, "left": step.left, "lost": step.lost, "text": step.text} for step in plan.waterfall]
    await create_table_artifact(key=f"waterfall-{_key(campaign)}", table=rows, description="Who was left out, and why")
    return dict(plan.arms)


@task(name="send-batch", task_run_name="batch-{batch}", persist_result=False)
@without_personal_data
async def send_batch(dispatch: Dispatch, batch: int) -> dict[str, int]:
    """The batch's messages by state."""
    tally = await dispatch.send(batch)
    return {state.value: count for state, count in tally.counts.items()}


@flow(name="run-campaign", flow_run_name="{campaign}-{mode}", persist_result=False)
@without_personal_data
async def run_campaign(campaign: CampaignName, mode: Mode = Mode.DRY_RUN) -> dict[str, int]:
    """Plan a campaign if it is not planned yet, then render it (dry-run) or send what is due (send).

    A second run sends nothing twice. The same as `campanile plan` and `campanile run`.
    """
    name = str(campaign)
    await plan_wave(name)
    account = await (_send(name) if mode is Mode.SEND else _show(name))
    counts = {key: value for key, value in account.items() if isinstance(value, int) and key != "contract"}
    rows = [{"state": state, "messages": count} for state, count in counts.items()]
    await create_table_artifact(key=f"status-{_key(name)}", table=rows, description="Every planned message in one state")
    return counts


def _plan(shop: Project, campaign: str) -> Plan:
    with CustomerDatabase.open(shop) as database, Ledger.open(shop.ledger_path) as ledger:
        return make_plan(shop, campaign, clock.now(), database=database, ledger=ledger)


async def _send(campaign: str) -> dict[str, object]:
    """The account after sending, one task per batch."""
    bar = await create_progress_artifact(progress=0.0, key=f"progress-{_key(campaign)}", description=f"Sending {campaign}")
    async with open_dispatch(project(), campaign) as dispatch:
        for number, batch in enumerate(dispatch.batches, 1):
            await send_batch(dispatch, batch)
            await update_progress_artifact(artifact_id=bar, progress=100 * number / len(dispatch.batches))
        account = status(dispatch.ledger, dispatch.plan)
    await update_progress_artifact(artifact_id=bar, progress=100.0)
    return account


async def _show(campaign: str) -> dict[str, object]:
    report = await asyncio.to_thread(run_without_tasks, project(), campaign, mode="dry-run")
    await create_markdown_artifact(key=f"dry-run-{_key(campaign)}", markdown=f"```text\n{report.text()}\n```")
    return report.to_json()


def _key(campaign: str) -> str:
    """The campaign's name as artifact keys allow it: lower case, digits and dashes."""
    return campaign.lower().replace("_", "-")
