"""Runs flows in a process of its own, as a worker does, and prints what came of each as one JSON document."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Awaitable
from typing import Any
from unittest import mock


async def play(steps: list[str]) -> list[tuple[str, Any]]:
    """Every step with what it returned, or with the text of its failure."""
    return [(step, await _told(_run(*step.split(":")))) for step in steps]


async def _told(run: Awaitable[Any]) -> Any:
    try:
        return await run
    except Exception as error:
        return f"{type(error).__name__}: {error}"


async def _run(flow: str, campaign: str = "", contact_data: str = "") -> Any:
    """One run; what a step may be is below. `break` and `refuse` fail, and quote contact data when they do."""
    from flows.frame import CampaignName, Mode
    from flows.read_experiment import read_experiment
    from flows.refresh_customers import refresh_customers
    from flows.run_campaign import run_campaign

    match flow:
        case "refresh":
            return await refresh_customers()
        case "read":
            return await read_experiment(CampaignName(campaign))
        case "schedule":
            from prefect.schedules import Cron

            deployment = await refresh_customers.ato_deployment("daily", schedule=Cron("30 5 * * *", timezone="UTC"))
            return str(await deployment.aapply())
        case "break" | "refuse":
            with mock.patch("flows.run_campaign.make_plan", side_effect=lambda *_, **__: _fail(flow, contact_data)):
                return await run_campaign(CampaignName(campaign), Mode.DRY_RUN)
        case _:
            return await run_campaign(CampaignName(campaign), Mode(flow))


def _fail(how: str, contact_data: str) -> None:
    """Fails as a library does, quoting what it was given, or as our own rooms do, with a sentence."""
    from campanile.errors import CampanileError

    try:
        {}[contact_data]
    except KeyError as error:
        if how == "refuse":
            from prefect import get_run_logger

            get_run_logger().warning("cannot reach %s", contact_data)
            raise CampanileError(f"the server says 550 no mailbox {contact_data}", "wait") from error
        raise ValueError(f"cannot parse {contact_data}") from error


if __name__ == "__main__":
    print("RESULT" + json.dumps(asyncio.run(play(sys.argv[1:]))))
