"""Understands what came back, asks providers about lost answers, and says who fell silent: hourly."""

from __future__ import annotations

import asyncio
import logging
from datetime import timedelta

from prefect import flow, get_run_logger
from prefect.artifacts import acreate_markdown_artifact

from campanile import clock
from campanile.errors import CampanileError
from campanile.ledger.store import Ledger
from campanile.privacy import redact
from campanile.responses.inbox import drop_raw
from campanile.responses.process import process
from campanile.responses.reconcile import CAN_BE_ASKED, Reconciled, reconcile
from campanile.sending.run import ask_about
from flows.frame import as_markdown, project, without_personal_data

log = logging.getLogger(__name__)


@flow(
    name="reconcile-responses",
    flow_run_name="reconcile-responses",
    description="Settle hand-overs whose answer was lost by what came back; name providers that fell silent. Hourly.",
    persist_result=False,
)
@without_personal_data
async def reconcile_responses() -> dict[str, int]:
    """Counts: settled hand-overs, those still unknown, providers that fell silent. The report becomes an artifact."""
    found = await asyncio.to_thread(_reconcile)
    if await asyncio.to_thread(_ask, {each.campaign for each in found.lost if each.channel in CAN_BE_ASKED}):
        found = await asyncio.to_thread(_reconcile)
    for silence in found.silent:
        get_run_logger().warning("%s", silence.sentence)
    await acreate_markdown_artifact(
        key="responses", markdown=as_markdown(found.text()), description="Lost answers, and who fell silent"
    )
    lost = sum(each.messages for each in found.lost)
    return {"settled": found.settled, "lost": lost, "silent": len(found.silent)}


def _ask(campaigns: set[str]) -> bool:
    """Whether the providers' own records told of anything; who cannot be asked now is asked in an hour."""
    told = 0
    for campaign in sorted(campaigns):
        try:
            asked = ask_about(project(), campaign)
        except CampanileError as error:
            log.warning("%s: %s", campaign, redact(str(error)))
            continue
        told += asked.accepted + asked.rejected + asked.not_sent
    return told > 0


def _reconcile() -> Reconciled:
    shop = project()
    settings, now = shop.settings.responses, clock.now()
    with Ledger.open(shop.ledger_place) as ledger:
        process(ledger)
        drop_raw(ledger, now - timedelta(days=settings.keep_raw))
        return reconcile(ledger, now=now, silence=timedelta(days=settings.silence))
