"""`campanile init`: an empty shop."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from campanile.cli.options import json_option, print_json
from campanile.errors import CampanileError, UsageError

_SETTINGS = """\
# The settings of this shop; every key: docs/reference/project.md. `campanile check` says what is wrong.
shop:
  name: {name}
  currency: {currency}
  timezone: {timezone}
  # base_url: https://t.example.com  # of links in messages; a campaign by mail is not planned without it
channels:
  email: {{via: outbox}}  # files below runs/outbox; via: smtp sends; a campaign wants sender: Shop <news@example.com>
  sms: {{via: outbox}}
economics:
  margin_rate: 40%  # of what is left of an order after discounts and returns
  cost_per_message: {{email: 0.002, sms: 0.05}}
"""
_FILES = {
    "segments.yaml": "# Named sets of customers, and named figures; see docs/reference/segments.md.\n"
    "segments: {}\nmetrics: {}\n",
    ".gitignore": "# Personal data and stores: never committed.\nruns/\n",
}
_FOLDERS = ("campaigns", "experiments", "templates")


@click.command("init")
@click.argument("folder", type=click.Path(file_okay=False, path_type=Path))
@click.option("--name", help="Name of the shop; default is the folder's.")
@click.option("--currency", help="Its currency, as in EUR; the default.")
@click.option("--timezone", help="Its time zone, as in Europe/Madrid; default is UTC.")
@json_option
def init_command(
    folder: Path,
    name: str | None,
    currency: str | None,
    timezone: str | None,
    as_json: bool,  # noqa: FBT001
) -> None:
    """Make an empty shop in FOLDER: settings, segments, and folders for campaigns, experiments and templates.

    Asks for what no option says when it stands in a terminal, and never otherwise. Overwrites nothing.
    """
    if (folder / "campanile.yaml").exists():
        raise UsageError(f"{folder} holds a shop already", "choose another folder")
    ask = sys.stdin.isatty() and not as_json
    words = {
        "name": name or _answer("Name of the shop", folder.resolve().name or "shop", ask=ask),
        "currency": currency or _answer("Currency", "EUR", ask=ask),
        "timezone": timezone or _answer("Time zone", "UTC", ask=ask),
    }
    made = _write(folder, words)
    if as_json:
        print_json({"contract": 1, "folder": str(folder), "files": made})
    else:
        click.echo(f"{folder}: " + ", ".join(made))
        click.echo(f"next: campanile import --project {folder} FOLDER_WITH_TABLES, or map your files in campanile.yaml")


def _answer(question: str, default: str, *, ask: bool) -> str:
    return str(click.prompt(question, default=default, err=True)) if ask else default


def _write(folder: Path, words: dict[str, str]) -> list[str]:
    """The names of what was made; CampanileError when the settings would not be good ones, and then nothing is left."""
    import json

    from campanile.spec.project import load_project

    settings = _SETTINGS.format(**{key: json.dumps(value, ensure_ascii=False) for key, value in words.items()})
    files = {"campanile.yaml": settings, **_FILES}
    files = {name: text for name, text in files.items() if not (folder / name).exists()}
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, text in files.items():
            (folder / name).write_text(text, encoding="utf-8")
        load_project(folder)
        for name in _FOLDERS:
            (folder / name).mkdir(exist_ok=True)
    except CampanileError:
        for name in files:
            (folder / name).unlink(missing_ok=True)
        raise
    except OSError as error:
        raise CampanileError(f"cannot write {folder}: {error.strerror}", "choose another folder") from error
    return [*files, *(f"{name}/" for name in _FOLDERS)]
