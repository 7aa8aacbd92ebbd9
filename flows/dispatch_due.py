"""Plans and sends the waves whose time has come, and reminders: what a schedule runs every few minutes."""

from __future__ import annotations

import asyncio

from prefect import flow, get_run_logger
from prefect.artifacts import acreate_table_artifact

from campanile.sending.dispatch import Dispatched
from campanile.sending.dispatch import dispatch_due as dispatch
from flows.frame import project, without_personal_data


@flow(
    name="dispatch-due",
    flow_run_name="dispatch-due",
    description="Plan and send the waves of repeating campaigns whose time has come, and reminders that are due. Run "
    "it as often as you like: nothing goes out twice.",
    persist_result=False,
)
@without_personal_data
async def dispatch_due() -> dict[str, int]:
    """How many waves were looked at, and how many failed. A failed one is tried again by the next run."""
    found = await asyncio.to_thread(lambda: dispatch(project()))
    for each in found:
        get_run_logger().info("%s", each.text)
    if found:
        await acreate_table_artifact(key="dispatch", table=[_row(each) for each in found], description="Waves due now")
    failed = [each for each in found if each.problem]
    if failed:
        raise RuntimeError(f"{len(failed)} of {len(found)} waves failed: {'; '.join(each.text for each in failed)}")
    return {"waves": len(found), "failed": 0}


def _row(each: Dispatched) -> dict[str, object]:
    status = each.status or {}
    return {
        "campaign": each.campaign,
        "wave": each.wave,
        "planned now": each.planned,
        "state": status.get("state", "failed"),
        "accepted": status.get("accepted", 0),
        "planned": status.get("planned", 0),
        "problem": each.problem,
    }
