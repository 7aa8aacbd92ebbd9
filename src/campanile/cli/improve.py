"""The commands that look ahead: propose, learned."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from campanile.cli.options import json_option, open_project, past_moment, print_json, project_options

if TYPE_CHECKING:
    from datetime import datetime

    from campanile.improve.closed import Closed
    from campanile.improve.today import Today
    from campanile.spec.project import Project

# ruff: noqa: FBT001 - click passes every option as a parameter


@click.command("propose")
@click.argument("name")
@project_options
@click.option("--now", "at", help="Propose as at this past moment, local to the shop; default is now.")
@json_option
def propose_command(name: str, root: Path, home: Path | None, at: str | None, as_json: bool) -> None:
    """Write the campaign that follows from the closed experiment NAME, and a page of reasons.

    The files go to campaigns/proposed and experiments/proposed, which nothing reads. A person merges them, or does not.
    """
    project = open_project(root, home)
    now = past_moment(at, project)
    from campanile.improve.closed import read_closed
    from campanile.improve.files import write_proposal
    from campanile.improve.knowledge import knowledge
    from campanile.improve.page import WORDS
    from campanile.improve.proposal import propose
    from campanile.improve.values import proposal_values

    found = read_closed(project, name)
    proposal = propose(found, project, knowledge(project), _today(project, found, now))
    paths = write_proposal(project, proposal)
    if as_json:
        print_json(proposal_values(proposal, paths))
    else:
        click.echo(f"{WORDS[proposal.next.kind][0]}: {proposal.next.why}")
        click.echo("\n".join(map(str, paths)))


def _today(project: Project, found: Closed, now: datetime) -> Today:
    """What stands today; the audience is counted where there is a customer database and the campaign's file."""
    from campanile.customers.database import CustomerDatabase
    from campanile.improve.today import counted, files_today

    channel = found.campaign["channel"]
    today = files_today(project, found.name, channel["use"], channel["message"], now)
    spec = project.campaigns.get(found.name)
    if spec is None or not project.database_path.exists():
        return today
    timing = spec.timing.model_copy(update={"start": today.day})
    with CustomerDatabase.open(project) as database:
        return counted(
            today,
            project,
            spec.model_copy(update={"timing": timing}),
            cuts=tuple(found.levels),
            database=database,
            at=now,
        )


@click.command("learned")
@click.argument("words", nargs=-1)
@project_options
@json_option
def learned_command(words: tuple[str, ...], root: Path, home: Path | None, as_json: bool) -> None:
    """Say what all closed campaigns teach about WORDS: a medium, an offer, an objective, words of the target.

    As in: campanile learned sms sleeping. Without words, about everything.
    """
    project = open_project(root, home)
    from campanile.improve.knowledge import knowledge
    from campanile.improve.learned import answer, answer_text, answer_values

    found = answer(knowledge(project), words)
    if as_json:
        print_json(answer_values(found, project.currency))
    else:
        click.echo(answer_text(found, project.currency))
