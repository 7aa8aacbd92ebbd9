"""Every experiment is in the registry with its state, from the first draft to the readout."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from campanile.errors import UsageError
from campanile.ledger.store import Ledger
from campanile.registry import Entry, entry, registry
from campanile.report.files import kept, write_readout
from campanile.spec.project import Project, load_project
from readout import test_readout_own_metrics as own
from readout.readout_world import AFTER, DUE, ENDS, FILES, World, golden, read
from registry.registry_shop import answer, keep_elsewhere, run, units

DRAFT = FILES["experiments/winback.yaml"]


@pytest.fixture
def world(tmp_path: Path) -> World:
    world = golden(tmp_path)
    for name in ("campaigns", "experiments"):
        world.files[f"{name}/second.yaml"] = world.files[f"{name}/winback.yaml"]
    return world


def state(project: Project, now: datetime) -> str:
    return entry(project, "winback", now).state


def set_state(project: Project, state: str) -> None:
    with Ledger.open(project.ledger_place) as ledger:
        ledger.set_state("p1", state)  # type: ignore[arg-type]


def test_from_draft_to_read(world: World) -> None:
    world.registered = False
    project = world.build()
    assert entry(project, "second", DUE).state == "draft"
    assert state(project, DUE) == "planned"
    set_state(project, "sending")
    assert state(project, DUE) == "sending"
    set_state(project, "paused")
    assert state(project, DUE) == "paused"
    set_state(project, "sent")
    assert state(project, ENDS - timedelta(seconds=1)) == "window running"
    write_readout(read(project, ENDS - timedelta(seconds=1)), project.readouts_dir / "winback")
    assert state(project, ENDS) == "ready to read"
    write_readout(read(project, AFTER), project.readouts_dir / "winback")
    assert state(project, AFTER) == "read"
    found = entry(project, "winback", AFTER)
    assert (len(found.readings), found.latest is not None and found.latest.read_at) == (2, AFTER)
    assert found.window_ends == ENDS


def test_a_later_look_without_a_verdict_does_not_hide_the_readout(world: World) -> None:
    project = world.build()
    write_readout(read(project, AFTER), project.readouts_dir / "winback")
    write_readout(read(project, ENDS - timedelta(days=1)), project.readouts_dir / "winback")
    latest = entry(project, "winback", AFTER).latest
    assert latest is not None
    assert latest.decision == "roll_out"


def test_the_design_is_the_registered_one(world: World) -> None:
    project = world.build()
    path = project.root / "experiments" / "winback.yaml"
    path.write_text(DRAFT.replace("window: 30d", "window: 60d").replace("2% to 3%", "2% to 5%"), encoding="utf-8")
    found = answer(load_project(project.root), "experiments", "show", "winback")
    assert found["design"]["window"] == "30d"
    assert found["hypothesis"].endswith("from 2% to 3%.")
    assert found["arms"] == {"control": 2000, "treatment": 8000}
    assert found["design"]["split"] == {"control": 0.2, "treatment": 0.8}
    changed = {deviation["key"]: deviation["today"] for deviation in found["deviations"]}
    assert changed["primary.window"] == "60d"
    assert [version["plan_id"] for version in found["versions"]] == ["p1"]
    assert found["versions"][0]["registered_at"] == "2026-03-05T02:30:00+00:00"
    drafted = answer(load_project(project.root), "experiments", "show", "second")
    assert (drafted["state"], drafted["versions"], drafted["deviations"]) == ("draft", [], [])
    assert drafted["design"]["split"] == {"control": 0.2, "treatment": 0.8}


def test_the_list_begins_with_what_has_to_be_done(world: World) -> None:
    project = world.build()
    set_state(project, "sent")
    keep_elsewhere(project, "Spring / A", units(1))
    listed = answer(project, "experiments")["experiments"]
    assert [(row["experiment"], row["kind"], row["state"]) for row in listed] == [
        ("winback", "campaign", "ready to read"),
        ("second", "campaign", "draft"),
        ("Spring / A", "elsewhere", "read"),
    ]
    assert listed[2]["latest"]["treatment"] == "mail"
    assert listed[2]["arms"] == {"control": 1000, "mail": 4000}
    text = run(project, "experiments")
    assert text.index("ready to read") < text.index("draft") < text.index("Spring / A")


def test_what_cannot_be_read_is_a_problem_of_its_own_experiment(world: World) -> None:
    project = world.build()
    write_readout(read(project, AFTER), project.readouts_dir / "winback")
    (kept(project.readouts_dir / "winback")[0] / "readout.json").write_text("{", encoding="utf-8")
    (project.root / "experiments" / "second.yaml").write_text(DRAFT.replace("control: 20%", "control: 30%"))
    found = {each.name: each for each in registry(load_project(project.root), AFTER)}
    assert "it is damaged" in found["winback"].problems[0]
    assert found["winback"].state == "ready to read"
    assert "arm shares add up to 110%" in found["second"].problems[0]
    assert found["second"].state == "draft"
    assert "! " in run(load_project(project.root), "experiments")


def test_an_experiment_outlives_its_files_and_its_snapshot(world: World) -> None:
    project = world.build()
    write_readout(read(project, AFTER), project.readouts_dir / "winback")
    for path in (project.root / "campaigns" / "winback.yaml", project.root / "experiments" / "winback.yaml"):
        path.unlink()
    for path in project.snapshots_dir.glob("*/*.parquet"):
        path.unlink()
    found = entry(load_project(project.root), "winback", AFTER)
    assert (found.state, found.window_ends, found.problems) == ("read", ENDS, ())
    assert found.design is not None
    project.ledger_path.unlink()
    left = entry(load_project(project.root), "winback", AFTER)
    assert (left.kind, left.state, len(left.readings)) == ("campaign", "read", 1)
    assert left.design is not None
    assert (left.design.primary, left.design.window) == ("response_rate", "30d")


def test_campaigns_that_measure_nothing_are_no_experiments(world: World) -> None:
    text = world.files["campaigns/second.yaml"] + "experiment: none\nwhy: A notice that everybody must get.\n"
    world.files["campaigns/second.yaml"] = text
    del world.files["experiments/second.yaml"]
    names = [each.name for each in registry(world.build(), AFTER)]
    assert names == ["winback"]


def test_a_shop_without_anything_has_an_empty_registry(own_shop: Callable[[], Project]) -> None:
    project = own_shop()
    for folder in ("campaigns", "experiments"):
        (project.root / folder / "winback.yaml").unlink()
    empty = load_project(project.root, home=project.home / "nowhere")
    assert registry(empty) == ()
    assert "There is no experiment yet" in run(empty, "experiments")
    assert not empty.ledger_path.exists()


def test_an_unknown_name_is_answered_with_the_nearest(world: World) -> None:
    with pytest.raises(UsageError, match='no experiment "winbak"; did you mean "winback"'):
        entry(world.build(), "winbak", AFTER)


def test_an_experiment_that_a_metric_of_the_shops_own_judges(tmp_path: Path) -> None:
    text = own.EXPERIMENT.replace("response_rate, window: 30d, baseline: 2%, expect: 3%", "asked_help, window: 30d")
    project = own.world(tmp_path, text.replace(", asked_help, sent_back]", "]")).build()
    write_readout(read(project), project.readouts_dir / "winback")
    found = entry(project, "winback", AFTER)
    assert found.design is not None
    assert (found.design.primary, found.design.kind) == ("asked_help", "rate")
    assert found.readings[0].design["kind"] == "rate"
    assert "+3.00 points (" in run(project, "experiments", "show", "winback")
    replayed = answer(project, "aa", "winback", "--replications", "20")
    assert {row["metric"] for row in replayed["rows"]} == {"asked_help", "revenue_per_customer"}


class TestElsewhere:
    def test_enters_the_registry_once_for_each_reading(self, world: World) -> None:
        project = world.build()
        for seed in (1, 2, 1):
            keep_elsewhere(project, "spring", units(seed))
        found = entry(project, "spring")
        assert (found.kind, found.state, len(found.readings)) == ("elsewhere", "read", 2)
        assert found.design is not None
        assert (found.design.primary, found.design.window, found.design.kind) == ("visit", "14d", "rate")

    def test_is_left_out_on_request(self, world: World) -> None:
        project = world.build()
        assert "Mail lifts visits" in keep_elsewhere(project, "spring", units(1), "--no-keep")
        assert {each.name for each in registry(project)} == {"second", "winback"}
        assert not project.readouts_dir.exists()

    def test_may_not_take_the_name_of_a_campaign(self, world: World, capsys: pytest.CaptureFixture[str]) -> None:
        project = world.build()
        with pytest.raises(Exception, match="winback is a campaign of this shop; write another name"):
            keep_elsewhere(project, "winback", units(1))

    @pytest.mark.parametrize("name", ["../../out", "a/b", "..", "春/季", "con.txt", "x" * 300])
    def test_no_name_leads_out_of_the_folder(self, world: World, name: str) -> None:
        project = world.build()
        keep_elsewhere(project, name, units(1))
        (folder,) = [path for path in project.readouts_dir.iterdir() if path.is_dir()]
        assert kept(folder)
        assert _only(registry(project), "elsewhere").name == name


def _only(entries: tuple[Entry, ...], kind: str) -> Entry:
    (found,) = [each for each in entries if each.kind == kind]
    return found
