"""Serves all deployments from one process on one machine: `python -m flows.serve` beside `prefect server start`."""

from __future__ import annotations

import asyncio
import signal

import click
from prefect.deployments.runner import RunnerDeployment
from prefect.runner import Runner
from prefect.schedules import Cron
from prefect.settings import PREFECT_UI_URL

from flows.dispatch_due import dispatch_due
from flows.frame import project
from flows.read_experiment import read_experiment
from flows.reconcile_responses import reconcile_responses
from flows.refresh_customers import refresh_customers
from flows.run_campaign import run_campaign

#: Runs at a time. One sends for hours, so that others are not kept waiting; the stores have their own locks.
LIMIT = 2


class GentleRunner(Runner):
    """Prefect's runner, whose runs end in good order when it is told to.

    The runner of Prefect 3.8.8 forgets to wait for its own stopping and kills its runs. With a kill, the messages whose
    answers are under way become unknown.
    """

    def handle_sigterm(self, *_args: object, **_options: object) -> None:
        """Tells every run to stop, and ends when they have."""
        loop = asyncio.get_running_loop()
        loop.call_soon_threadsafe(lambda: setattr(self, "_ending", loop.create_task(self.astop())))


def main() -> None:
    """Runs until it is stopped. Deployments are those of prefect.yaml."""
    asyncio.run(_serve())


async def _serve() -> None:
    runner = GentleRunner(limit=LIMIT, pause_on_shutdown=False)
    for deployment in await deployments():
        await runner.aadd_deployment(deployment)
    asyncio.get_running_loop().add_signal_handler(signal.SIGINT, runner.handle_sigterm)
    click.echo(f"Campanile serves its deployments; see them at {PREFECT_UI_URL.value()}/deployments. Ctrl-C stops.")
    await runner.start()


async def deployments() -> tuple[RunnerDeployment, ...]:
    """What is served: the deployments of prefect.yaml, without a work pool, and schedules by the shop's own clock."""
    hourly = Cron("10 * * * *", timezone=project().zone.key)
    daily = Cron("30 5 * * *", timezone=project().zone.key)
    often = Cron("*/15 * * * *", timezone=project().zone.key)
    return (
        await refresh_customers.ato_deployment("refresh-customers", tags=["campanile", "customers"], schedule=daily),
        await run_campaign.ato_deployment("run-campaign", tags=["campanile", "campaign"]),
        await dispatch_due.ato_deployment("dispatch-due", tags=["campanile", "campaign"], schedule=often),
        await read_experiment.ato_deployment("read-experiment", tags=["campanile", "experiment"]),
        await reconcile_responses.ato_deployment(
            "reconcile-responses", tags=["campanile", "responses"], schedule=hourly
        ),
    )


if __name__ == "__main__":
    main()
