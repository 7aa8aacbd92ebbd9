"""`campanile aa`: how often campaigns that do nothing are called effective here."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import ExitStack
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING

import click

from campanile import clock
from campanile.cli.options import (
    json_option,
    needs_store,
    open_project,
    past_moment,
    print_json,
    progress,
    project_options,
)
from campanile.errors import UsageError

if TYPE_CHECKING:
    from campanile.customers.database import CustomerDatabase
    from campanile.replay.units import Units
    from campanile.spec.project import Project

# ruff: noqa: FBT001, PLR0913, PLR0917 - click passes every option as a parameter


@click.command("aa")
@click.argument("campaign")
@project_options
@click.option("--as-of", "as_of", help="Replay whom the target meant at this past moment, local to the shop.")
@click.option("--split", help="Shares to replay, as in control=5%,treatment=95%; default is the experiment's.")
@click.option(
    "--replications", type=click.IntRange(20, 100_000), default=1_000, show_default=True, help="How many assignments."
)
@click.option("--seed", type=click.IntRange(min=0), default=1, show_default=True, help="Another seed, other salts.")
@json_option
def aa_command(
    campaign: str,
    root: Path,
    home: Path | None,
    as_of: str | None,
    split: str | None,
    replications: int,
    seed: int,
    as_json: bool,
) -> None:
    """Say how often a campaign that does nothing would be called effective: an A/A replay.

    The customers of CAMPAIGN's past wave, or of its target with --as-of, are assigned again and again, and each
    assignment is read on what they really did. Their orders are read once; nothing is sent, and no plan is made.
    """
    project = open_project(root, home)
    shares = _shares(split) if split else None
    moment = past_moment(as_of, project) if as_of else None
    needs_store(project.database_path, project, "run `campanile import`")
    from campanile.customers.database import CustomerDatabase
    from campanile.replay.run import Series, replay
    from campanile.replay.told import text, values, write

    with CustomerDatabase.open(project) as database, progress("replaying", quiet=as_json) as tell:
        units = _units(project, campaign, moment, database)
        found = replay(units, project.currency, Series(replications, seed), split=shares, progress=tell)
    paths = write(found, campaign, project.replays_dir, project.zone)
    if as_json:
        print_json(values(found, campaign))
    else:
        click.echo("\n".join([text(found), "", *map(str, paths)]))


def _units(project: Project, campaign: str, as_of: datetime | None, database: CustomerDatabase) -> Units:
    """Whose orders are replayed."""
    from campanile.ledger.store import Ledger
    from campanile.replay.units import past_audience, past_wave

    now = clock.now()
    with ExitStack() as stack:
        there = Ledger.is_there(project.ledger_place)
        ledger = stack.enter_context(Ledger.open(project.ledger_place)) if there else None
        if as_of is not None:
            project.campaign(campaign)
            return past_audience(project, campaign, as_of, database=database, ledger=ledger, now=now)
        found = past_wave(project, campaign, database=database, ledger=ledger, now=now) if ledger else None
    if found is None:
        project.campaign(campaign)
        raise UsageError(
            f"{campaign} has no past wave", "give --as-of, to replay whom its target meant at a past moment"
        )
    return found


def _shares(words: str) -> Mapping[str, Decimal]:
    """The shares that `control=5%,treatment=95%` says."""
    from campanile.events import CONTROL
    from campanile.spec.experiment import SHARE_TOLERANCE
    from campanile.spec.fields import Unreadable, arm_name, percent, share

    cure = "write it as in control=5%,treatment=95%"
    try:
        pairs = [(arm_name(name.strip()), share(part.strip())) for name, _, part in _parts(words)]
    except Unreadable as error:
        raise UsageError(f"cannot read --split {words}: {error}", cure) from error
    shares = dict(pairs)
    total = sum(shares.values(), Decimal(0))
    if abs(total - 1) > SHARE_TOLERANCE:
        raise UsageError(f"the shares of --split add up to {percent(total)}", "make them add up to 100%")
    if not shares.get(CONTROL) or len(shares) < 2 or len(pairs) > len(shares) or not all(shares.values()):
        raise UsageError(f"--split {words} is no split of control and other arms, each once and above 0%", cure)
    return shares


def _parts(words: str) -> list[tuple[str, str, str]]:
    return [part.partition("=") for part in words.split(",")]
