"""The commands that let a campaign stand still and go on."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from campanile import clock
from campanile.cli.options import json_option, open_project, print_json, project_options
from campanile.errors import CampanileError, UsageError

if TYPE_CHECKING:
    from campanile.ledger import PlanRecord

# ruff: noqa: FBT001, PLR0913, PLR0917 - click passes every option as a parameter

_who = click.option("--who", required=True, help="Who decides; kept in the ledger.")


@click.command("pause")
@click.argument("campaign")
@project_options
@_who
@click.option("--why", required=True, help="Why; shown by `campanile status`.")
@json_option
def pause_command(campaign: str, root: Path, home: Path | None, who: str, why: str, as_json: bool) -> None:
    """Let CAMPAIGN stand still: running senders open no hand-over after this, and new ones do not start."""
    from campanile.ledger.pausing import pause
    from campanile.ledger.store import Ledger
    from campanile.sending.frozen import planned_record

    _needs_both(who, why)
    project = open_project(root, home)
    with Ledger.open(project.ledger_place) as ledger:
        plan = planned_record(ledger, campaign)
        if not pause(ledger, plan, who=who, why=why, now=clock.now()):
            raise CampanileError(
                f"{campaign} is {plan.state} and cannot be paused", f"see `campanile status {campaign}`"
            )
    _tell(plan, "paused", as_json=as_json)


@click.command("resume")
@click.argument("campaign")
@project_options
@_who
@click.option("--why", required=True, help="What was mended; kept in the ledger.")
@json_option
def resume_command(campaign: str, root: Path, home: Path | None, who: str, why: str, as_json: bool) -> None:
    """Let CAMPAIGN go on; the next `campanile run` sends. What tripped a breaker until now does not count any more."""
    from campanile.ledger.pausing import resume
    from campanile.ledger.store import Ledger
    from campanile.sending.frozen import planned_record

    _needs_both(who, why)
    project = open_project(root, home)
    with Ledger.open(project.ledger_place) as ledger:
        plan = planned_record(ledger, campaign)
        resume(ledger, plan, who=who, why=why, now=clock.now())
    _tell(plan, "sending", as_json=as_json)


def _needs_both(who: str, why: str) -> None:
    if not who.strip() or not why.strip():
        raise UsageError("a decision needs who makes it and why", "give --who and --why")


def _tell(plan: PlanRecord, state: str, *, as_json: bool) -> None:
    if as_json:
        print_json({"contract": 1, "campaign": plan.campaign, "wave": plan.wave, "state": state})
    else:
        click.echo(f"{plan.campaign}, wave {plan.wave}: {state}")
