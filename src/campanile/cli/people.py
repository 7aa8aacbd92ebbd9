"""`campanile people`: which customer records are one person."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from campanile import clock
from campanile.cli.options import json_option, open_project, print_json, project_options
from campanile.errors import CampanileError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from campanile.customers.people.merging import Person
    from campanile.customers.people.report import MatchReport
    from campanile.spec.people import PeopleSettings
    from campanile.spec.project import Project

_SETTING = "write `people: {}` under policy in campanile.yaml, and what docs/how-to/one-person.md says beside it"


@click.group("people")
def people_command() -> None:
    """Find records that are one person; merge them, and take merges back.

    Records stay as they were imported. A merge is a note beside them that campaigns read, so it can be taken back.
    """


@people_command.command("match")
@project_options
@json_option
def match_command(root: Path, home: Path | None, as_json: bool) -> None:  # noqa: FBT001 - click passes flags so
    """Show what would be merged, and why not; changes nothing.

    By the rules under `policy: people:` in campanile.yaml, or by the usual ones where it has none.
    """
    project = open_project(root, home)
    from campanile.customers.database import CustomerDatabase
    from campanile.customers.people.matching import match_people
    from campanile.spec.people import PeopleSettings

    settings = project.settings.policy.people or PeopleSettings()
    with CustomerDatabase.open(project) as database:
        report = match_people(database, settings, clock.now()).report
    _say(report, as_json=as_json)


@people_command.command("merge")
@project_options
@json_option
def merge_command(root: Path, home: Path | None, as_json: bool) -> None:  # noqa: FBT001
    """Merge what `match` shows. A second merge changes nothing."""
    project = open_project(root, home)
    settings = _asked_for(project)
    from campanile.customers.database import CustomerDatabase
    from campanile.customers.people.merging import merge_people

    with CustomerDatabase.open(project) as database:
        report = merge_people(database, settings, clock.now())
    _say(report, as_json=as_json)


@people_command.command("split")
@click.argument("customers", nargs=-1, required=True, metavar="CUSTOMER...")
@project_options
@json_option
def split_command(customers: tuple[str, ...], root: Path, home: Path | None, as_json: bool) -> None:  # noqa: FBT001
    """Take records out of the person they were merged into. They never join the rest of it again."""
    project = open_project(root, home)
    from campanile.customers.database import CustomerDatabase
    from campanile.customers.people.merging import split_people

    with CustomerDatabase.open(project) as database:
        persons = split_people(database, customers, clock.now())
    if as_json:
        print_json({"contract": 1, "split": list(customers), "persons": list(persons)})
    else:
        click.echo(f"{', '.join(customers)} taken out of {', '.join(persons)}")


@people_command.command("show")
@click.argument("customer")
@project_options
@json_option
def show_command(customer: str, root: Path, home: Path | None, as_json: bool) -> None:  # noqa: FBT001
    """Show which records are one person with a customer, by which rule, and what happened to them."""
    project = open_project(root, home)
    from campanile.customers.database import CustomerDatabase
    from campanile.customers.people.merging import person_of

    with CustomerDatabase.open(project, read_only=True) as database:
        person = person_of(database, customer)
    if as_json:
        print_json(_document(person))
    else:
        click.echo("\n".join(_lines(person)))


def _asked_for(project: Project) -> PeopleSettings:
    """The settings; CampanileError when campanile.yaml does not ask for persons."""
    settings = project.settings.policy.people
    if settings is None:
        raise CampanileError("campanile.yaml does not say which records are one person", _SETTING)
    return settings


def _say(report: MatchReport, *, as_json: bool) -> None:
    if as_json:
        print_json({"contract": 1, **report.to_json()})
    else:
        click.echo(report.text())


def _document(person: Person) -> dict[str, Any]:
    return {
        "contract": 1,
        "person_id": person.person_id,
        "records": [_with_moments(row) for row in person.records],
        "apart": list(person.apart),
        "log": [_with_moments(row) for row in person.log],
    }


def _with_moments(row: dict[str, Any]) -> dict[str, Any]:
    """The row with its naive moments as ISO 8601 in UTC."""
    from datetime import UTC

    return {
        name: clock.iso(value.replace(tzinfo=UTC)) if name in ("at", "merged_at") and value else value
        for name, value in row.items()
    }


def _lines(person: Person) -> Iterable[str]:
    rows = [_with_moments(row) for row in person.records]
    yield f"{person.person_id}: {len(rows)} record{'s' if len(rows) > 1 else ''}"
    for row in rows:
        told = f"  {row['rule']}, {row['merged_at']}" if row["rule"] else "  never merged"
        yield f"  {row['customer_id']}{told}"
    if person.apart:
        yield f"never merged again with {', '.join(person.apart)}"
    for row in map(_with_moments, person.log):
        yield f"  {row['at']}  {row['what']} {row['customer_id']}, {row['person_id']}: {row['rule']}"
