"""`campanile import` and `campanile profile`: the customer database."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from campanile import clock
from campanile.cli.options import json_option, moment, open_project, print_json, progress, project_options
from campanile.clock import Duration
from campanile.errors import UsageError, did_you_mean

if TYPE_CHECKING:
    from campanile.spec.project import Project


@click.command("import")
@click.argument("tables", nargs=-1, metavar="[TABLE]...|FOLDER")
@project_options
@json_option
def import_command(tables: tuple[str, ...], root: Path, home: Path | None, as_json: bool) -> None:  # noqa: FBT001 - click passes flags so
    """Import the shop's data into the customer database: all that are mapped, or only the named tables.

    The mapping stands in campanile.yaml under `import`: files of text, Parquet, spreadsheets, tables of databases.
    A FOLDER needs none: its .csv and .parquet files are named after tables, and their columns after fields.
    Importing the same file twice changes nothing.
    Rows that cannot be read are kept in runs/rejects, each with its reason.
    """
    project = open_project(root, home)
    folder = Path(tables[0]) if len(tables) == 1 and Path(tables[0]).is_dir() else None
    for table in () if folder else tables:
        _needs_mapping(table, project)
    from campanile.customers.database import CustomerDatabase
    from campanile.customers.importing import import_folder, import_tables
    from campanile.customers.people.merging import merge_after_import
    from campanile.responses.forget import keep_forgotten

    with CustomerDatabase.open(project) as database, progress("reading files", quiet=as_json) as tell:
        if folder:
            report = import_folder(project, database, folder, progress=tell)
        else:
            report = import_tables(project, database, only=tables, progress=tell)
        people = merge_after_import(project, database, clock.now())
        keep_forgotten(project, database)
    if as_json:
        document = {"contract": 1, "tables": report.rows(), "rejected": report.rejected}
        print_json(document | ({"people": people.to_json()} if people else {}))
    else:
        click.echo("\n".join([report.text(), *([people.text()] if people else [])]))


#: No calendar of a shop goes further, and none of Python's much.
_MOST_MONTHS = 1_200


def _needs_mapping(table: str, project: Project) -> None:
    """Nothing; UsageError when campanile.yaml maps no such table, or when it is a place instead of a table."""
    mapped = project.settings.imports
    if table in mapped:
        return
    path = Path(table)
    if path.is_dir():
        raise UsageError(f"{table} is a folder", "import one folder at a time, and no tables beside it")
    if path.is_file():
        raise UsageError(f"{table} is a file", "give the folder that holds it; its files are named after tables")
    if len(path.parts) > 1:
        raise UsageError(f"{table}: no such folder", "give a folder whose files are named after tables")
    raise UsageError(f'campanile.yaml maps no table "{table}"', did_you_mean(table, mapped))


def _step(text: str) -> Duration:
    """How far past profiles lie apart: at least a day."""
    try:
        step = Duration.parse(text)
    except ValueError as error:
        raise UsageError(str(error)) from error
    if not step.days and not step.months:
        raise UsageError(f"--every {text} is less than a day", "write --every 1w")
    if step.months > _MOST_MONTHS or step.days > _MOST_MONTHS * 31:
        raise UsageError(f"--every {text} is longer than a hundred years", "write --every 1w")
    return step


@click.command("profile")
@project_options
@click.option("--as-of", "as_of", help="Moment to look from, local to the shop; default is now.")
@click.option("--refreeze", is_flag=True, help="Make frozen cut points of money anew (policy: rfm: money: frozen).")
@click.option(
    "--backfill",
    metavar="FROM",
    help="First write the history from this date on, as orders tell it; then refresh.",
)
@click.option("--every", default="1w", show_default=True, help="How far the past profiles of --backfill lie apart.")
@json_option
def profile_command(  # noqa: PLR0913, PLR0917 - click hands every option over
    root: Path,
    home: Path | None,
    as_of: str | None,
    refreeze: bool,  # noqa: FBT001
    backfill: str | None,
    every: str,
    as_json: bool,  # noqa: FBT001
) -> None:
    """Refresh scores, stage, affinities and history of every customer.

    Every run keeps what it showed, so that targets may ask what a customer was before.
    """
    project = open_project(root, home)
    until, step = moment(as_of, project), _step(every)
    start = moment(backfill, project) if backfill else until
    if backfill and start >= until:
        raise UsageError(f"--backfill {backfill} is not before the moment of the profile", "give an earlier date")
    from campanile.customers.database import CustomerDatabase
    from campanile.customers.profile import backfill_history, past_moments, refresh_profile

    with CustomerDatabase.open(project) as database:
        with progress("past profiles", quiet=as_json or not backfill) as tell:
            backfill_history(project, database, past_moments(start, until, step), progress=tell)
        report = refresh_profile(project, database, until, refreeze=refreeze)
    if as_json:
        print_json(report.to_json())
    else:
        click.echo(report.text(project.zone))
