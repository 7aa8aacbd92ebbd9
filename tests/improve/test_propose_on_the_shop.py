"""From a closed experiment of the rehearsal shop to a proposal that passes check, plans, and is sent by nobody."""

from __future__ import annotations

import json
import re
import shutil
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner

from campanile.cli.main import cli
from campanile.customers.database import CustomerDatabase
from campanile.improve.closed import read_closed
from campanile.improve.knowledge import knowledge, rows_of
from campanile.ledger.store import Ledger
from campanile.plan.make import make_plan
from campanile.rehearsal.play import Script, rehearse
from campanile.rehearsal.react import Effect
from campanile.spec.check import check_project
from campanile.spec.project import Project, load_project
from conftest import ROOT

NOW = datetime(2026, 4, 6, 1, tzinfo=UTC)
PAGE = (ROOT / "docs" / "reference" / "json.md").read_text(encoding="utf-8")


def copy_of(root: Path) -> Path:
    for name in ("campaigns", "experiments", "templates"):
        shutil.copytree(ROOT / name, root / name)
    for name in ("campanile.yaml", "segments.yaml"):
        shutil.copy(ROOT / name, root / name)
    return root


@pytest.fixture(scope="module")
def rehearsed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Stores of a shop whose campaign has run, with twelve points more buyers, and was read."""
    home = tmp_path_factory.mktemp("rehearsed")
    script = Script(customers=4_000, seed=3, effect=Effect(lift=0.12))
    return rehearse(load_project(ROOT, home=home), "winback", script).home


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return copy_of(tmp_path / "project")


@pytest.fixture
def home(rehearsed: Path, tmp_path: Path) -> Path:
    shutil.copytree(rehearsed, tmp_path / "home", ignore=shutil.ignore_patterns("mails"))
    return tmp_path / "home"


def run(root: Path, home: Path, *words: str) -> Any:
    here = ["--project", str(root), "--home", str(home), "--json"]
    done = CliRunner().invoke(cli, [*words, *here], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return json.loads(done.stdout)


def proposed(root: Path, home: Path) -> Any:
    return run(root, home, "propose", "winback", "--now", "2026-04-06T09:00")


@pytest.fixture(scope="module")
def made(rehearsed: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path, Any]:
    """Project, stores and JSON of one proposal, for tests that only look."""
    root = copy_of(tmp_path_factory.mktemp("made") / "project")
    return root, rehearsed, proposed(root, rehearsed)


def merged(root: Path, name: str) -> None:
    """What a person does who agrees."""
    for folder in ("campaigns", "experiments"):
        shutil.move(root / folder / "proposed" / f"{name}.yaml", root / folder / f"{name}.yaml")


def plan(project: Project, name: str) -> Any:
    with CustomerDatabase.open(project) as database, Ledger.open(project.ledger_place) as ledger:
        return make_plan(project, name, NOW, database=database, ledger=ledger)


def test_the_proposal_changes_nothing_until_a_person_merges_it_and_then_plans(root: Path, home: Path) -> None:
    found = proposed(root, home)
    assert found["proposal"] == "winback-2"
    assert "winback-2" not in load_project(root, home=home).campaigns
    assert check_project(root).problems == ()
    merged(root, "winback-2")
    assert check_project(root).problems == ()
    made = plan(load_project(root, home=home), "winback-2")
    # The plan may lose a few more: the ledger keeps whom other plans have on that day.
    assert made.audience == pytest.approx(found["target"]["audience"], rel=0.05)
    assert made.arms["control"] / made.audience == pytest.approx(found["experiment"]["control_share"], abs=0.02)


def test_all_but_the_changed_factor_and_the_day_is_copied(made: tuple[Path, Path, Any]) -> None:
    root, _, found = made
    before = yaml.safe_load((ROOT / "campaigns" / "winback.yaml").read_text(encoding="utf-8"))
    after = yaml.safe_load((root / "campaigns" / "proposed" / "winback-2.yaml").read_text(encoding="utf-8"))
    before["timing"].pop("start")
    assert str(after["timing"].pop("start")) == found["timing"]["start"] > "2026-04-06"
    changed = {key for key in before.keys() | after.keys() if before.get(key) != after.get(key)}
    allowed = {"none": set(), "offer": {"arms"}, "message": {"arms"}}.get(found["factor"], {found["factor"]})
    assert changed == allowed


def test_the_parts_are_counted_today_and_the_forecast_is_smaller_than_the_readout(made: tuple[Path, Path, Any]) -> None:
    found = made[2]
    by_cut: dict[str, int] = {}
    for part in found["target"]["parts"]:
        by_cut[part["cut"]] = by_cut.get(part["cut"], 0) + part["today"]
    assert found["target"]["counted_today"] is True
    assert by_cut["city_tier"] == found["target"]["audience"] >= by_cut["favourite_category"] > 0
    chosen = next(row for row in found["offers"] if row["chosen"])
    assert 0 < chosen["shrunken"] < chosen["difference"]
    ahead = found["forecast"]
    assert ahead["profit_low"] < ahead["profit"] < ahead["profit_high"]
    assert 0 < ahead["chance_of_loss"] < 0.5
    assert ahead["profit"] == pytest.approx(ahead["margin"] - ahead["budget"], abs=0.02)


def test_the_diagnosis_adds_up_to_the_cent(made: tuple[Path, Path, Any]) -> None:
    home, found = made[1], made[2]["diagnosis"]
    cents = [round(100 * factor["contribution"]) for factor in found["factors"]]
    assert sum(cents) == round(100 * (found["actual"] - found["planned"]))
    assert found["against"] == "plan"
    assert found["checks"]
    readout = json.loads((home / "readouts" / "winback" / "readout.json").read_text(encoding="utf-8"))
    assert found["actual"] == pytest.approx(readout["economics"][0]["incremental_profit"], abs=0.02)


def test_the_page_has_all_eleven_parts_and_no_customer(made: tuple[Path, Path, Any]) -> None:
    files = [Path(path) for path in made[2]["files"]]
    text = next(path for path in files if path.suffix == ".md").read_text(encoding="utf-8")
    titles = re.findall(r"^## (\d+)\. ", text, re.MULTILINE)
    assert titles == [str(number) for number in range(2, 12)]
    assert "What would change this" in text
    html = next(path for path in files if path.suffix == ".html").read_text(encoding="utf-8")
    assert "<script" not in html
    assert not re.search(r"[\w.]+@\w+\.example", html + text)


def test_again_it_gives_the_same_under_the_next_number(made: tuple[Path, Path, Any], root: Path, home: Path) -> None:
    first, second = made[2], proposed(root, home)
    for key in ("proposal", "decision", "campaign", "registered", "forecast", "diagnosis"):
        assert first[key] == second[key]
    assert proposed(root, home)["proposal"] == "winback-3"


def test_without_the_customer_database_the_sizes_are_those_of_last_time(root: Path, home: Path) -> None:
    for path in home.glob("customers.duckdb*"):
        path.unlink()
    found = proposed(root, home)
    assert found["target"]["counted_today"] is False
    assert found["target"]["audience"] > 0


def test_the_rows_of_the_registry_are_those_of_the_evidence(made: tuple[Path, Path, Any]) -> None:
    root, home, _ = made
    project = load_project(root, home=home)
    known = {(row.arm, row.cut, row.level): row for row in knowledge(project).rows}
    mine = {(row.arm, row.cut, row.level): row for row in rows_of(read_closed(project, "winback"))}
    assert known.keys() == mine.keys()
    for key, row in mine.items():
        for found, wanted in ((known[key].profit, row.profit), (known[key].response, row.response)):
            assert found is not None and wanted is not None
            assert found.mean == pytest.approx(wanted.mean, rel=1e-9, abs=1e-9)
            assert found.variance == pytest.approx(wanted.variance, rel=1e-6)


def test_what_is_learned_answers_a_question_in_words(made: tuple[Path, Path, Any]) -> None:
    root, home, _ = made
    found = run(root, home, "learned", "what do we know about mail for sleeping customers?", "purple")
    assert (found["words"], found["unknown"]) == (["email", "sleeping"], ["purple"])
    assert found["together"]["campaigns"] == 1
    assert found["together"]["response"]["mean"] == pytest.approx(found["rows"][0]["response"]["difference"])
    assert {row["factor"] for row in found["factors"]} == {"medium", "offer", "objective"}
    assert run(root, home, "learned", "sms")["words"] == []


@pytest.mark.parametrize(
    ("name", "sentence"),
    [("nosuch", 'no experiment "nosuch"'), ("winback", "winback is planned, not closed")],
)
def test_an_open_experiment_has_no_successor(name: str, sentence: str, root: Path, shop: Project) -> None:
    plan_at = datetime(2026, 3, 1, 1, tzinfo=UTC)
    with CustomerDatabase.open(shop) as database, Ledger.open(shop.ledger_place) as ledger:
        make_plan(shop, "winback", plan_at, database=database, ledger=ledger)
    done = CliRunner().invoke(cli, ["propose", name, "--project", str(root), "--home", str(shop.home)])
    assert done.exit_code == 1
    assert sentence in str(done.exception)


def shape(value: Any, at: str = "") -> set[str]:
    if isinstance(value, list):
        return shape(value[0], f"{at}[]") if value else set()
    if not isinstance(value, dict) or at in {".campaign", ".registered"}:
        return {at}
    return {path for key, inner in value.items() for path in shape(inner, f"{at}.{key}")}


@pytest.mark.parametrize("command", ["propose", "learned"])
def test_the_page_of_json_shows_what_is_printed(command: str, made: tuple[Path, Path, Any]) -> None:
    root, home, _ = made
    shown = re.search(rf"^## campanile {command}\n.*?```json\n(.*?)```", PAGE, re.DOTALL | re.MULTILINE)
    assert shown is not None
    real = made[2] if command == "propose" else run(root, home, "learned")
    found = shape(json.loads(shown[1])) ^ shape(real)
    assert {path for path in found if not path.startswith(".timing.conflicts") and ".needed" not in path} == set()
