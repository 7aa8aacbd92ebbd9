"""What the pages about the customer database tell a newcomer to paste is taken as it stands."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner

from campanile.cli.main import cli
from campanile.spec.check import check_project
from campanile.spec.project import load_project
from campanile.spec.targets import read_conditions_file, read_target_file

ROOT = Path(__file__).parents[2]
PAGES = [
    "import-the-shops-data", "audit-the-data", "one-person", "read-the-profile", "select-an-audience", "contact-policy",
    "bring-your-own-scores",
]  # fmt: skip
_POLICY = "policy:\n  rfm: {segments: mine.yaml}\n"


def text_of(page: str) -> str:
    return (ROOT / "docs" / "how-to" / f"{page}.md").read_text(encoding="utf-8")


def blocks(page: str, language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", text_of(page), flags=re.DOTALL)


def fresh(folder: Path) -> Path:
    """The settings of a project that `campanile init` has just made."""
    done = CliRunner().invoke(cli, ["init", str(folder)])
    assert done.exit_code == 0, done.output
    return folder / "campanile.yaml"


PASTED = [(page, number) for page in PAGES for number in range(len(blocks(page, "yaml")))]


@pytest.mark.parametrize(("page", "number"), PASTED)
def test_every_yaml_of_the_pages_is_right_in_a_fresh_project(page: str, number: int, tmp_path: Path) -> None:
    written, settings = blocks(page, "yaml")[number], fresh(tmp_path / "shop")
    if written.startswith(" "):
        written = f"import:\n{written}"
    file = settings.parent / "pasted.yaml"
    file.write_text(written, encoding="utf-8")
    data = yaml.safe_load(written)
    if isinstance(data, list):
        conditions, errors = read_conditions_file(str(file), load_project(settings.parent))
        assert conditions
        assert errors == {}
    elif "target" in data:
        target, _ = read_target_file(str(file), load_project(settings.parent))
        assert target.who
    else:
        if "axes" in data:
            file.rename(settings.parent / "mine.yaml")
            written = _POLICY
        settings.write_text(settings.read_text(encoding="utf-8") + written, encoding="utf-8")
        assert [str(problem) for problem in check_project(settings.parent).problems] == []


def commands(page: str) -> list[str]:
    """The commands of a page, without their comments."""
    lines = [line.partition("#")[0].strip() for block in blocks(page, "sh") for line in block.splitlines()]
    return [line for line in lines if line]


@pytest.mark.parametrize(
    ("page", "command"), [(page, command) for page in PAGES for command in commands(page)], ids=lambda text: text
)
def test_every_command_of_the_pages_is_understood(page: str, command: str, tmp_path: Path) -> None:
    """In a project without customers: a command may say what is missing, and never that it was called wrongly."""
    words = command.split()
    assert words[0] == "campanile", page
    settings = fresh(tmp_path / "shop")
    mapping = "import:\n  customers: {file: c.csv}\n  order: {file: o.csv}\n"
    settings.write_text(settings.read_text(encoding="utf-8") + mapping, encoding="utf-8")
    places = {"target.yaml": "target: {who: [{age: 30}]}", "many.yaml": "[{name: a, condition: {age: 30}}]"}
    for name, text in places.items():
        (settings.parent / name).write_text(text, encoding="utf-8")
    (settings.parent / "tables").mkdir()
    given = [{"FOLDER": str(settings.parent / "tables")}.get(word, word) for word in words[1:]]
    given = [str(settings.parent / word) if word in places else word for word in given]
    done = CliRunner().invoke(cli, [*given, "--project", str(settings.parent)])
    assert getattr(done.exception, "exit_code", 1) == 1, (done.output, done.exception)
    assert not isinstance(done.exception, SystemExit) or done.exception.code in {0, 1}, done.output
