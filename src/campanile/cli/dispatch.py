"""The command that a schedule calls: waves whose time has come, and reminders of what was begun."""

from __future__ import annotations

from pathlib import Path

import click

from campanile import clock
from campanile.cli.options import json_option, moment, needs_store, open_project, print_json, project_options

# ruff: noqa: FBT001 - click passes every option as a parameter


@click.command("dispatch")
@project_options
@click.option("--now", "at", help="Pretend that it is this moment, local to the shop. For rehearsals.")
@json_option
def dispatch_command(root: Path, home: Path | None, at: str | None, as_json: bool) -> None:
    """Plan and send the waves of repeating campaigns whose time has come, and what was begun and is due again.

    Of a campaign of one date that is reminders and what was put off, once a person has begun to send it. Call it as
    often as you like, by cron or by the flow dispatch-due: nothing goes out twice, and a wave whose deadline has
    passed is left out. Exits with 1 when a wave could not be planned or sent; the others are not hindered.
    """
    project = open_project(root, home)
    needs_store(project.database_path, project, "run `campanile import`")
    from campanile.sending.dispatch import dispatch_due

    pretended = moment(at, project)
    found = dispatch_due(project, now=clock.now if at is None else lambda: pretended)
    if as_json:
        print_json({"contract": 1, "waves": [each.to_json() for each in found]})
    else:
        click.echo("\n".join(each.text for each in found) or "nothing is due")
    if any(each.problem for each in found):
        raise SystemExit(1)
