"""Options that several commands share, and how they answer."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from campanile import clock
from campanile.errors import CampanileError, Problem, UsageError

if TYPE_CHECKING:
    from campanile.spec.project import Project

_Command = TypeVar("_Command", bound=Callable[..., Any])


def project_options(command: _Command) -> _Command:
    """The command with `--project` and `--home`."""
    command = click.option(
        "--home",
        type=click.Path(file_okay=False, path_type=Path),
        help="Folder of the stores, relative to the current folder; default is home in campanile.yaml.",
    )(command)
    return click.option(
        "--project",
        "root",
        type=click.Path(exists=True, file_okay=False, path_type=Path),
        default=Path(),
        help="Folder with campanile.yaml; default is the current one.",
    )(command)


def json_option(command: _Command) -> _Command:
    """The command with `--json`: one document on standard output and nothing else there."""
    return click.option("--json", "as_json", is_flag=True, help="Print one JSON document instead of text.")(command)


def open_project(root: Path, home: Path | None) -> Project:
    """The project in `root`; ProblemsError names everything that is wrong with it."""
    from campanile.spec.project import load_project

    return load_project(root.resolve(), home=home.resolve() if home else None)


def needs_store(path: Path, project: Project, cure: str) -> None:
    """Nothing; CampanileError when there is no such store, so that a command that only reads makes none."""
    if not path.exists():
        raise CampanileError(
            f"{project.home} has no {path.name}", f"{cure}, or name the folder of the stores with --home"
        )


def moment(text: str | None, project: Project) -> datetime:
    """The moment in UTC that an option says, local to the shop; now when it says nothing."""
    if text is None:
        return clock.now()
    try:
        return clock.parse_moment(text, project.zone)
    except ValueError as error:
        raise UsageError(str(error)) from error


def past_moment(text: str | None, project: Project) -> datetime:
    """Like `moment`, of what has happened: UsageError when it has not come yet."""
    found = moment(text, project)
    if found > clock.now():
        raise UsageError(
            f"{text} has not come yet, and nobody can read what is still to happen",
            "leave --now out, or give a moment in the past",
        )
    return found


def problem_rows(problems: Iterable[Problem]) -> list[dict[str, str | int]]:
    """Problems as plain JSON values."""
    return [{"file": each.file, "line": each.line, "what": each.what, "cure": each.cure} for each in problems]


def print_json(document: Mapping[str, Any]) -> None:
    """Prints one JSON document."""
    click.echo(json.dumps(document, ensure_ascii=False, indent=2, default=str))


@contextmanager
def progress(label: str, *, quiet: bool = False) -> Iterator[Callable[[int, int], None]]:
    """A function (done, total) that draws a bar on standard error when that is a terminal."""
    if quiet or not sys.stderr.isatty():
        yield lambda _done, _total: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(label, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total or None)
