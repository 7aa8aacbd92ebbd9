"""Writes the pages of docs/reference that are made from code: commands, file formats, Python."""

from __future__ import annotations

from pathlib import Path

import click

from campanile.cli.main import COMMANDS, cli
from campanile.spec.schema import reference_markdown

REFERENCE = Path(__file__).parent / "reference"
PYTHON = (
    "campanile.measure",
    "campanile.design.assign",
    "campanile.design.power",
    "campanile.design.amounts",
    "campanile.design.split",
    "campanile.design.trial",
    "campanile.spec.project",
)


def commands_page() -> str:
    """The page of every command: what it does, its arguments and options."""
    parts = [
        "# Command line",
        "Exit codes: 0 done, 1 found problems, 2 wrong use: an option, or a name that is nowhere. `--json` prints one "
        "document on standard output and nothing else there; [their shapes](json.md). A failure with `--json` is a "
        'document as well, `{"contract": 1, "error": "the sentence", "problems": []}`, and the sentence still goes to '
        "standard error; `problems` lists file, line, what and cure when files have problems.",
    ]
    context = cli.make_context("campanile", [], resilient_parsing=True)
    for name in COMMANDS:
        command = cli.get_command(context, name)
        assert command is not None
        parts += _helps(command, f"campanile {name}", context)
    return "\n\n".join(parts) + "\n"


def _helps(command: click.Command, name: str, parent: click.Context) -> list[str]:
    """The help of a command, and of the commands below it."""
    heading = "##" if parent.parent is None else "###"
    with click.Context(command, info_name=name.rsplit(maxsplit=1)[-1], parent=parent, terminal_width=100) as context:
        found = [f"{heading} {name}\n\n```text\n{command.get_help(context)}\n```"]
        below = command.commands if isinstance(command, click.Group) else {}
        return found + [text for key, each in below.items() for text in _helps(each, f"{name} {key}", context)]


def python_page() -> str:
    """The page that mkdocstrings fills from docstrings."""
    return "# Python\n\n" + "\n\n".join(f"::: {module}" for module in PYTHON) + "\n"


def pages() -> dict[str, str]:
    """File name → text of every made page."""
    made = {f"{kind}.md": text for kind, text in reference_markdown().items()}
    return {**made, "commands.md": commands_page(), "python.md": python_page()}


def main() -> None:
    """Writes the pages."""
    REFERENCE.mkdir(exist_ok=True)
    for name, text in pages().items():
        (REFERENCE / name).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
