"""`campanile experiments`: the registry of all experiments."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from campanile.cli.options import json_option, open_project, print_json, project_options

if TYPE_CHECKING:
    from campanile.registry.entries import Entry
    from campanile.report.readout import Deviation
    from campanile.spec.project import Project

# ruff: noqa: FBT001 - click passes flags so


@click.group("experiments", invoke_without_command=True)
@project_options
@json_option
@click.pass_context
def experiments_command(context: click.Context, root: Path, home: Path | None, as_json: bool) -> None:
    """List every experiment: its state, its design, and what was read of it.

    Of this shop and from elsewhere. What has to be done first stands first.
    """
    if context.invoked_subcommand is not None:
        return
    project = open_project(root, home)
    from campanile.registry.answers import listed, listed_text
    from campanile.registry.entries import registry

    found = registry(project)
    if as_json:
        print_json(listed(found))
    else:
        click.echo(listed_text(found, project.zone))


@experiments_command.command("show")
@click.argument("name")
@project_options
@json_option
def show_command(name: str, root: Path, home: Path | None, as_json: bool) -> None:
    """Show the design, the versions, the deviations and every readout of experiment NAME."""
    project = open_project(root, home)
    from campanile.registry.answers import shown, shown_text
    from campanile.registry.entries import entry

    found = entry(project, name)
    changed = _deviations(project, found)
    if as_json:
        print_json(shown(found, changed))
    else:
        click.echo(shown_text(found, changed, project.zone))


def _deviations(project: Project, entry: Entry) -> tuple[Deviation, ...]:
    """What differs today from the plan that judges; nothing before its first message."""
    from campanile.readout.deviations import deviations

    registered = any(version.registered_at for version in entry.versions)
    if not registered or not entry.registered:
        return ()
    return deviations(project, entry.name, entry.registered, entry.wave)


@experiments_command.command("compare")
@click.argument("first")
@click.argument("second")
@project_options
@json_option
def compare_command(first: str, second: str, root: Path, home: Path | None, as_json: bool) -> None:
    """Hold two readouts against each other: effect, money, trust, and what differs in the design.

    FIRST and SECOND are experiments (their latest readout), or readouts of one as `show` names them: winback@20260405,
    with as many letters as it takes.
    """
    project = open_project(root, home)
    from campanile.registry.pairing import find_reading, pair, pairing_text, pairing_values

    found = pair(find_reading(project, first), find_reading(project, second))
    if as_json:
        print_json(pairing_values(found))
    else:
        click.echo(pairing_text(found, project.zone))


@experiments_command.command("export")
@click.argument("out", type=click.Path(dir_okay=False, path_type=Path), metavar="OUT.(csv|json|parquet)")
@click.option("--all", "every", is_flag=True, help="Every readout, not only the latest of each experiment.")
@project_options
@json_option
def export_command(out: Path, every: bool, root: Path, home: Path | None, as_json: bool) -> None:
    """Write one row per experiment and comparison, with the money of its treatment."""
    project = open_project(root, home)
    from campanile.registry.entries import registry
    from campanile.registry.export import export

    number = export(registry(project), out, every=every)
    if as_json:
        print_json({"contract": 1, "file": str(out), "rows": number})
    else:
        click.echo(f"{number:,} rows: {out}")


@experiments_command.command("page")
@project_options
@json_option
def page_command(root: Path, home: Path | None, as_json: bool) -> None:
    """Write the index of all experiments: one page that links to their readouts."""
    project = open_project(root, home)
    from campanile.registry.page import write_page

    path = write_page(project)
    if as_json:
        print_json({"contract": 1, "page": str(path)})
    else:
        click.echo(str(path))
