"""Every command, key and setting is documented; the pages made from code are the ones that are committed."""

from __future__ import annotations

import importlib.util
import re
import shutil
import tomllib
from pathlib import Path

import pytest

from campanile.cli.main import COMMANDS
from campanile.spec.check import check_project

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


_REST = """
objective: growth
offer: {kind: content}
timing: {start: 2026-03-05, at: "10:30"}
channel: {use: email, message: winback}
experiment: none
why: An example.
"""


@pytest.mark.parametrize(
    ("page", "block", "rest"),
    [
        ("campaigns/README.md", 0, "\nexperiment: none\nwhy: An example.\n"),
        ("docs/how-to/write-a-campaign.md", 0, _REST),
    ],
)
def test_the_examples_of_the_format_pass_the_check(tmp_path: Path, page: str, block: int, rest: str) -> None:
    for folder in ("campaigns", "experiments", "templates"):
        shutil.copytree(ROOT / folder, tmp_path / folder)
    for file in ("campanile.yaml", "segments.yaml"):
        shutil.copy(ROOT / file, tmp_path / file)
    text = (ROOT / page).read_text(encoding="utf-8")
    written = re.findall(r"```yaml\n(.*?)```", text, flags=re.DOTALL)[block]
    (tmp_path / "campaigns" / "doc.yaml").write_text(written + rest, encoding="utf-8")
    assert [str(problem) for problem in check_project(tmp_path).problems] == []
    for inline in re.findall(r"`keep: (\{[^`]*\})`", text):
        target = f"target: {{who: [{{stage: active}}], keep: {inline}}}\n"
        (tmp_path / "campaigns" / "doc.yaml").write_text(target + _REST, encoding="utf-8")
        assert [str(problem) for problem in check_project(tmp_path).problems] == []


_SHOP = """\
shop: {name: Test, currency: EUR, timezone: UTC}
channels: {email: {via: outbox}}
economics: {margin_rate: 40%, cost_per_message: {email: 0.01}}
"""


@pytest.mark.parametrize("block", range(4))
def test_the_mappings_of_the_import_page_are_right(block: int, tmp_path: Path) -> None:
    page = (ROOT / "docs" / "how-to" / "import-the-shops-data.md").read_text(encoding="utf-8")
    blocks = re.findall(r"```yaml\n(.*?)```", page, flags=re.DOTALL)
    assert len(blocks) == 4
    written = blocks[block] if blocks[block][0] != " " else f"import:\n{blocks[block]}"
    (tmp_path / "campanile.yaml").write_text(_SHOP + written, encoding="utf-8")
    assert [str(problem) for problem in check_project(tmp_path).problems] == []


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
