"""`campanile rehearse`: the whole way of a campaign on a made-up shop."""

from __future__ import annotations

from pathlib import Path

import click

from campanile.cli.options import json_option, open_project, print_json, project_options

# ruff: noqa: FBT001, PLR0913, PLR0917 - click passes every option as a parameter


@click.command("rehearse")
@click.argument("campaign")
@project_options
@click.option(
    "--customers",
    type=click.IntRange(min=1_000),
    default=50_000,
    show_default=True,
    help="How many customers the made-up shop has.",
)
@click.option(
    "--seed", type=click.IntRange(min=0), default=1, show_default=True, help="The same seed gives the same figures."
)
@click.option(
    "--lift",
    type=click.FloatRange(-100, 100),
    default=3.0,
    show_default=True,
    help="Points that a received message adds to the purchase rate.",
)
@json_option
def rehearse_command(
    campaign: str, root: Path, home: Path | None, customers: int, seed: int, lift: float, as_json: bool
) -> None:
    """Play CAMPAIGN from import to readout against simulated customers with a known effect.

    Everything goes below runs/rehearsal/CAMPAIGN, which is emptied first; the real stores are not touched.
    """
    project = open_project(root, home)
    project.campaign(campaign)
    from campanile.cli.options import progress
    from campanile.rehearsal.play import Script, rehearse
    from campanile.rehearsal.react import Effect

    script = Script(customers=customers, seed=seed, effect=Effect(lift=lift / 100))
    tell = (lambda _line: None) if as_json else click.echo
    with progress("", quiet=as_json) as bar:
        rehearsal = rehearse(project, campaign, script, tell=tell, progress=bar)
    if as_json:
        print_json(rehearsal.to_json())
    else:
        click.echo(rehearsal.text())
