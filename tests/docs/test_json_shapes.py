"""docs/reference/json.md shows what the commands print, key by key."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from campanile.cli.main import COMMANDS, cli
from campanile.ledger.store import Ledger
from campanile.spec.project import Project
from conftest import AS_OF, ROOT, planned

PAGE = (ROOT / "docs" / "reference" / "json.md").read_text(encoding="utf-8")
SHOWN = {
    name: json.loads(text)
    for name, text in re.findall(r"^## (?:campanile )?([\w ]+)\n.*?```json\n(.*?)```", PAGE, re.DOTALL | re.MULTILINE)
}
#: Keys whose own keys are words of the shop: arms, reasons, stages.
FREE = {
    "rejected", "watermarks", "excluded", "arms", "stages", "segments", "lost_to", "shared_with", "pairs", "shared",
    "vetoed", "sizes", "held", "reasons", "reachable", "now", "shares", "split", "methods",
}  # fmt: skip

WORDS = {
    "audience": [str(ROOT / "campaigns" / "winback.yaml"), "--as-of", "2026-03-01T09:00"],
    "plan": ["winback", "--as-of", "2026-03-01T09:00"],
    "preview": ["winback", "--count", "1"],
    "run": ["winback", "--now", "2026-03-05T10:30"],
    "status": ["winback"],
    "pause": ["winback", "--who", "li", "--why", "wrong price"],
    "resume": ["winback", "--who", "li", "--why", "mended"],
    "resolve": ["winback", "--as", "rejected", "--who", "li", "--why", "seen"],
    "aa": ["winback", "--as-of", "2026-01-15", "--replications", "20"],
    "readout": ["winback", "--now", "2026-04-10"],
    "profile": ["--as-of", "2026-03-01T09:00"],
    "people": ["match"],
    "responses": ["process"],
    "doctor": ["--offline"],
    "suppress": ["import", str(ROOT / "tests" / "payloads" / "suppressions.csv")],
    "audit": ["--as-of", "2026-03-01T09:00"],
}


def printed(command: str, shop: Project) -> Any:
    words = [command, *WORDS.get(command, []), "--json", "--project", str(ROOT), "--home", str(shop.home)]
    done = CliRunner().invoke(cli, words, catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return json.loads(done.stdout)


def shape(value: Any, at: str = "") -> set[str]:
    """Every key of a document as a path; of a list those of its first item."""
    if isinstance(value, list):
        return shape(value[0], f"{at}[]") if value else {f"{at}[]"}
    if not isinstance(value, dict) or at.rpartition(".")[2] in FREE:
        return {at}
    return {path for key, inner in value.items() for path in shape(inner, f"{at}.{key}")}


def differing(documented: Any, real: Any) -> set[str]:
    """Paths that only one of two documents has, lists that are empty here left out."""
    empty = {path.removesuffix("[]") for path in shape(real) if path.endswith("[]")}
    found = shape(documented) ^ shape(real)
    return {path for path in found if not any(path.startswith(f"{each}[]") for each in empty)}


@pytest.mark.parametrize(
    "command",
    sorted(
        set(COMMANDS) - {"init", "check", "schema", "rehearse", "serve", "forget", "disclose"} - {"propose", "learned"}
    ),
)
def test_the_page_shows_what_the_command_prints(command: str, shop: Project) -> None:
    if command not in {"import", "profile", "people"}:
        planned(shop)
    if command == "resume":
        printed("pause", shop)
    if command in {"readout", "experiments"}:
        with Ledger.open(shop.ledger_path) as ledger:
            record = ledger.plan("winback")
            assert record is not None
            ledger.register_experiment(record.plan_id, "winback", record.fingerprint, json.dumps(record.spec), AS_OF)
    if command == "experiments":
        printed("readout", shop)
    assert differing(SHOWN[command], printed(command, shop)) == set()


def test_a_failure_and_the_check_have_the_documented_shape(tmp_path: Path) -> None:
    done = CliRunner().invoke(cli, ["check", "--json", "--project", str(tmp_path)])
    assert differing(SHOWN["check"], json.loads(done.stdout)) == set()
    assert differing(SHOWN["check"]["problems"], SHOWN["A failure"]["problems"]) == set()


def test_an_empty_shop_has_the_documented_shape(tmp_path: Path) -> None:
    done = CliRunner().invoke(cli, ["init", str(tmp_path / "shop"), "--json"], catch_exceptions=False)
    assert differing(SHOWN["init"], json.loads(done.stdout)) == set()


def test_the_way_of_the_readme_runs_on_the_stores_of_a_rehearsal(tmp_path: Path) -> None:
    here = ["--project", str(ROOT)]
    words = ["rehearse", "winback", "--customers", "1000", "--json", "--home", str(tmp_path)]
    done = CliRunner().invoke(cli, [*words, *here], catch_exceptions=False)
    assert differing(SHOWN["rehearse"], json.loads(done.stdout)) == set()
    way = (ROOT / "README.md").read_text(encoding="utf-8").split("## The way of a campaign")[1]
    lines = re.findall(r"^campanile ([^#\n]+)", way, re.MULTILINE)
    assert len(lines) == 10
    for line in lines:
        command = line.replace("runs/rehearsal", f"{tmp_path}/rehearsal").split()
        done = CliRunner().invoke(cli, [*command, *here], catch_exceptions=False)
        assert done.exit_code == 0, done.output


def test_every_command_has_its_section() -> None:
    assert set(SHOWN) == {*COMMANDS, "A failure"}
