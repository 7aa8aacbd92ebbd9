"""Plans and shows a campaign, or sends what was planned: `campanile plan` and `campanile run`, one task per batch."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import replace

import httpx
from prefect import flow, get_run_logger, task
from prefect.artifacts import (
    acreate_markdown_artifact,
    acreate_progress_artifact,
    acreate_table_artifact,
    aupdate_progress_artifact,
)
from prefect.logging.handlers import APILogHandler
from prefect.runtime import flow_run

from campanile import clock
from campanile.ledger.store import Ledger
from campanile.plan.explain import explain
from campanile.plan.make import make_plan
from campanile.plan.types import Plan
from campanile.sending.frozen import planned_record
from campanile.sending.late import refuse_late
from campanile.sending.run import Dispatch, RunReport, open_dispatch
from campanile.sending.run import run_campaign as run_without_tasks
from campanile.sending.status import status
from campanile.spec.project import Project
from flows.frame import (
    CampaignName,
    Mode,
    artifact_key,
    as_markdown,
    customers,
    gentle_stop,
    project,
    without_personal_data,
)

#: Seconds between two movements of the progress bar.
_TICK = 3.0
#: Seconds that a run which is told to end waits for its log to be stored.
_PATIENCE = 5.0


@flow(
    name="run-campaign",
    flow_run_name="{campaign}-{mode}",
    description="Dry run: plan a campaign, show what would be sent. Send: hand over what is due of exactly that plan.",
    persist_result=False,
)
@without_personal_data
async def run_campaign(campaign: CampaignName, mode: Mode = Mode.DRY_RUN) -> dict[str, int]:
    """The campaign's messages by state.

    Args:
        campaign: A file in campaigns/.
        mode: dry-run plans anew, until the first message is out, and shows what would be sent.
            send hands over what is due of that plan. Run it again to go on: nobody is written to twice.
    """
    name = str(campaign)
    if mode is Mode.DRY_RUN:
        await plan_wave(name)
        return await dry_run(name)
    return await _send(name)


@task(name="plan", task_run_name="plan-{campaign}", persist_result=False)
@without_personal_data
async def plan_wave(campaign: str) -> dict[str, int]:
    """Customers by arm. The plan and its waterfall become artifacts."""
    shop = project()
    plan = await asyncio.to_thread(_plan, shop, campaign)
    text = explain(plan, shop.zone)
    get_run_logger().info("%s", text)
    await acreate_markdown_artifact(
        key=artifact_key("plan", campaign),
        markdown=as_markdown(text),
        description="Who gets what, what to weigh",
    )
    rows = [{"line": step.line, "left": step.left, "lost": step.lost, "text": step.text} for step in plan.waterfall]
    await acreate_table_artifact(
        key=artifact_key("waterfall", campaign),
        table=rows,
        description="Who was left out, and why",
    )
    return dict(plan.arms)


@task(name="dry-run", task_run_name="dry-run-{campaign}", persist_result=False)
@without_personal_data
async def dry_run(campaign: str) -> dict[str, int]:
    """The plan's messages by state, after each waiting one was rendered. Nothing is handed over."""
    return await _account(await asyncio.to_thread(run_without_tasks, project(), campaign, mode="dry-run"))


def _plan(shop: Project, campaign: str) -> Plan:
    with customers(shop) as database, Ledger.open(shop.ledger_place) as ledger:
        return make_plan(shop, campaign, clock.now(), database=database, ledger=ledger)


async def _send(campaign: str) -> dict[str, int]:
    """The plan's messages by state after sending, one task per batch; told as well when sending had to stop."""
    shop, stop, opened = project(), asyncio.Event(), False
    refuse_late(shop, campaign, scheduled=flow_run.scheduled_start_time, now=clock.now())
    with gentle_stop(stop):  # around the account too, so that a run that is cancelled tells what it came to
        try:
            async with open_dispatch(shop, campaign) as ready, _progress(ready) as advance:
                opened = True
                dispatch = replace(ready, stop=stop)
                send_batch = _batch_task(dispatch, advance)
                for batch in dispatch.batches:
                    if not stop.is_set():
                        await send_batch(batch)
        finally:
            if opened:
                account = await _account(_report(shop, campaign, stopped=stop.is_set()))
            if stop.is_set():
                await _logged()
    return account


async def _logged() -> None:
    """Nothing; what was logged is with Prefect now, which otherwise forgets it when a run is told to end."""
    with suppress(TimeoutError):
        await asyncio.wait_for(APILogHandler.aflush(), _PATIENCE)


def _report(shop: Project, campaign: str, *, stopped: bool) -> RunReport:
    with Ledger.open(shop.ledger_place) as ledger:
        plan = planned_record(ledger, campaign)
        return RunReport("send", status(ledger, plan), next_due=ledger.next_due(plan.plan_id), stopped=stopped)


async def _account(report: RunReport) -> dict[str, int]:
    """The messages by state, after they became artifacts."""
    name, account, text = report.status["campaign"], report.status, report.text(project().zone)
    get_run_logger().info("%s", text)
    counts = {key: value for key, value in account.items() if isinstance(value, int) and key != "contract"}
    await acreate_markdown_artifact(
        key=artifact_key(report.mode, name),
        markdown=as_markdown(text),
        description="What this run came to",
    )
    await acreate_table_artifact(
        key=artifact_key("status", name),
        table=[{"state": state, "messages": count} for state, count in counts.items()],
        description="Every planned message, by state",
    )
    return counts


def _batch_task(dispatch: Dispatch, advance: Callable[[int], None]) -> Callable[[int], Awaitable[dict[str, int]]]:
    """The task that sends one batch. Prefect sees its number only."""

    @task(name="send-batch", task_run_name="batch-{batch}", persist_result=False)
    @without_personal_data
    async def send_batch(batch: int) -> dict[str, int]:
        """The batch's messages by state."""
        tally = await dispatch.send(batch, advance)
        return {state.value: count for state, count in tally.counts.items()}

    return send_batch


@asynccontextmanager
async def _progress(dispatch: Dispatch) -> AsyncIterator[Callable[[int], None]]:
    """What to tell of messages that reached a final state; a progress artifact follows every few seconds."""
    tally = dispatch.ledger.tally(dispatch.plan.plan_id)
    done, planned = tally.planned - tally.unfinished, max(tally.planned, 1)
    campaign = dispatch.plan.campaign
    bar = await acreate_progress_artifact(
        progress=100 * done / planned,
        key=artifact_key("progress", campaign),
        description="Messages that are settled",
    )

    def advance(count: int) -> None:
        nonlocal done
        done += count

    async def show() -> None:
        with suppress(httpx.HTTPError):  # a bar that cannot move stops no campaign
            await aupdate_progress_artifact(artifact_id=bar, progress=100 * done / planned)

    async def follow() -> None:
        while True:
            await asyncio.sleep(_TICK)
            await show()

    following = asyncio.create_task(follow())
    try:
        yield advance
    finally:
        following.cancel()
        with suppress(asyncio.CancelledError):
            await following
        await show()
