"""Every command, key and setting is documented; the pages made from code are the ones that are committed."""

from __future__ import annotations

import importlib.util
import re
import tomllib
from pathlib import Path

import pytest

from campanile.cli.main import COMMANDS

ROOT = Path(__file__).parents[2]
PAGES = sorted((ROOT / "docs").rglob("*.md"))


def build() -> dict[str, str]:
    spec = importlib.util.spec_from_file_location("docs_build", ROOT / "docs" / "build.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.pages()


def test_the_made_pages_are_up_to_date() -> None:
    stale = [
        name
        for name, text in build().items()
        if (ROOT / "docs" / "reference" / name).read_text(encoding="utf-8") != text
    ]
    assert stale == [], "run `python docs/build.py`"


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_is_in_the_reference(command: str) -> None:
    assert f"## campanile {command}\n" in (ROOT / "docs" / "reference" / "commands.md").read_text(encoding="utf-8")


def test_every_make_target_of_the_readme_exists() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = re.search(r"`make (install [^`]+)` are the targets", (ROOT / "README.md").read_text(encoding="utf-8"))
    assert targets is not None
    for target in targets[1].split():
        assert re.search(rf"^{target}:", makefile, flags=re.MULTILINE), target


def test_every_prefect_setting_is_explained() -> None:
    text = (ROOT / "docs" / "how-to" / "operate.md").read_text(encoding="utf-8")
    settings = tomllib.loads((ROOT / "prefect.toml").read_text(encoding="utf-8"))
    assert set(settings) <= {"home", "api", "server", "runner", "worker", "logging"}
    for word in ("v2_enabled", "api_url", "lease_storage", "retention_period", "config_path"):
        assert word in text, word


@pytest.mark.parametrize("page", [ROOT / "README.md", *PAGES], ids=lambda page: page.name)
def test_links_between_pages_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", page.read_text(encoding="utf-8")):
        if "://" not in target:
            assert (page.parent / target).exists(), f"{page.name}: {target}"


def test_the_promises_of_the_readme_name_tests_that_exist() -> None:
    for path in re.findall(r"`(tests/[\w/.]+)`", (ROOT / "README.md").read_text(encoding="utf-8")):
        assert (ROOT / path).exists(), path


def test_nothing_names_a_machine_path_or_a_registry() -> None:
    """No committed text knows where it was made or where packages come from."""
    import subprocess

    files = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout.split()
    words = ("/wo" + "rk/", "/ro" + "ot/", "pypi." + "org", "python" + "hosted")
    for name in files:
        path = ROOT / name
        if path.suffix in {".md", ".py", ".toml", ".yaml", ".yml", ".lock", ""} and path.is_file():
            text = path.read_text(encoding="utf-8", errors="ignore")
            assert not [word for word in words if word in text], name
