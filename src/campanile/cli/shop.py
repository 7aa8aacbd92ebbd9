"""`campanile import` and `campanile profile`: the customer database."""

from __future__ import annotations

from pathlib import Path

import click

from campanile import clock
from campanile.cli.options import json_option, moment, open_project, print_json, progress, project_options
from campanile.errors import UsageError, did_you_mean


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
        if table not in (mapped := project.settings.imports):
            raise UsageError(f'campanile.yaml maps no table "{table}"', did_you_mean(table, mapped))
    from campanile.customers.database import CustomerDatabase
    from campanile.customers.importing import import_folder, import_tables
    from campanile.customers.people.merging import merge_after_import

    with CustomerDatabase.open(project) as database, progress("reading files", quiet=as_json) as tell:
        if folder:
            report = import_folder(project, database, folder, progress=tell)
        else:
            report = import_tables(project, database, only=tables, progress=tell)
        people = merge_after_import(project, database, clock.now())
    if as_json:
        document = {"contract": 1, "tables": report.rows(), "rejected": report.rejected}
        print_json(document | ({"people": people.to_json()} if people else {}))
    else:
        click.echo("\n".join([report.text(), *([people.text()] if people else [])]))


@click.command("profile")
@project_options
@click.option("--as-of", "as_of", help="Moment to look from, local to the shop; default is now.")
@json_option
def profile_command(root: Path, home: Path | None, as_of: str | None, as_json: bool) -> None:  # noqa: FBT001
    """Refresh RFM, life-cycle stage and reachability of every customer."""
    project = open_project(root, home)
    from campanile.customers.database import CustomerDatabase
    from campanile.customers.profile import refresh_profile

    with CustomerDatabase.open(project) as database:
        report = refresh_profile(project, database, moment(as_of, project))
    if as_json:
        print_json(report.to_json())
    else:
        click.echo(report.text(project.zone))
