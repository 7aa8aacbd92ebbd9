"""Later edits are listed with who and when, and the registered values judge."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from campanile.events import CONTROL
from campanile.report.readout import Deviation
from campanile.spec.project import Project, load_project
from readout.readout_world import FILES, World, golden, read


def edit(root: Path, file: str, old: str, new: str) -> None:
    path = root / file
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new), encoding="utf-8")


def git(root: Path, *arguments: str, who: str = "Li Wei", day: str = "2026-03-01") -> None:
    stamp = f"{day}T12:00:00+00:00"
    environment = {
        "GIT_AUTHOR_NAME": who, "GIT_AUTHOR_EMAIL": "x@example.com", "GIT_AUTHOR_DATE": stamp,
        "GIT_COMMITTER_NAME": who, "GIT_COMMITTER_EMAIL": "x@example.com", "GIT_COMMITTER_DATE": stamp,
        "PATH": "/usr/bin:/bin", "HOME": str(root), "GIT_CONFIG_NOSYSTEM": "1",
    }  # fmt: skip
    subprocess.run(["git", "-C", str(root), *arguments], check=True, capture_output=True, env=environment)


@pytest.fixture(scope="module")
def planned(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A wave of two small arms in a git repository, planned and sent."""
    root = tmp_path_factory.mktemp("planned")
    world = World(root, {CONTROL: 40, "treatment": 160})
    world.buy(CONTROL, [20_000] * 3)
    world.build()
    git(root, "init", "-q")
    git(root, "add", *FILES)
    git(root, "commit", "-q", "-m", "plan")
    return root


@pytest.fixture
def project(planned: Path, tmp_path: Path) -> Project:
    root = tmp_path / "shop"
    shutil.copytree(planned, root)
    return load_project(root)


def found(project: Project) -> tuple[Deviation, ...]:
    return read(load_project(project.root)).deviations


def test_nothing_changed(project: Project) -> None:
    assert found(project) == ()


def test_layout_and_comments_are_no_change(project: Project) -> None:
    edit(
        project.root,
        "experiments/winback.yaml",
        "split: {control: 20%, treatment: 80%}",
        "# why\nsplit:\n  control: 20%\n  treatment: 80%",
    )
    assert found(project) == ()


def test_committed_change_names_author_and_day(project: Project) -> None:
    edit(project.root, "experiments/winback.yaml", "window: 30d", "window: 45d")
    git(project.root, "commit", "-qam", "longer", who="Wang Fang", day="2026-03-20")
    assert found(project) == (
        Deviation("experiments/winback.yaml", "primary.window", "30d", "45d", "Wang Fang", "2026-03-20"),
    )


def test_the_line_of_the_key_is_blamed_not_the_file(project: Project) -> None:
    edit(project.root, "campaigns/winback.yaml", "fixed: 500", "fixed: 800")
    git(project.root, "commit", "-qam", "dearer", who="Wang Fang", day="2026-03-20")
    edit(project.root, "campaigns/winback.yaml", "objective: retention", "# note\nobjective: retention")
    git(project.root, "commit", "-qam", "note", who="Zhao Min", day="2026-03-25")
    assert [(change.who, change.registered, change.today) for change in found(project)] == [("Wang Fang", "500", "800")]


def test_change_that_is_not_committed(project: Project) -> None:
    edit(project.root, "experiments/winback.yaml", "expect: 3%", "expect: 2.5%")
    assert found(project) == (Deviation("experiments/winback.yaml", "primary.expect", "3%", "2.5%", "not committed"),)


def test_keys_added_and_removed(project: Project) -> None:
    edit(project.root, "experiments/winback.yaml", "secondary: [margin_per_customer]\n", "alpha: 1%\n")
    git(project.root, "commit", "-qam", "x", who="Wang Fang", day="2026-03-20")
    changes = {change.key: (change.registered, change.today, change.who) for change in found(project)}
    assert changes == {
        "secondary": ("[margin_per_customer]", "(absent)", "Wang Fang"),
        "alpha": ("(absent)", "1%", "Wang Fang"),
    }


def test_template_and_economics(project: Project) -> None:
    edit(project.root, "templates/winback.sms.j2", "Come back.", "Come home.")
    edit(project.root, "campanile.yaml", "margin_rate: 40%", "margin_rate: 45%")
    git(project.root, "commit", "-qam", "x", who="Wang Fang", day="2026-03-20")
    assert found(project) == (
        Deviation("campanile.yaml", "economics.margin_rate", "0.4", "0.45", "Wang Fang", "2026-03-20"),
        Deviation("templates/winback.sms.j2", "content", "as registered", "changed", "Wang Fang", "2026-03-20"),
    )


def test_what_recipients_see_of_the_settings(project: Project) -> None:
    """Where the mail server stands is nobody's business; who the mail says it is from is."""
    edit(project.root, "campanile.yaml", "name: ", "name: The new ")
    git(project.root, "commit", "-qam", "x", who="Wang Fang", day="2026-03-20")
    (change,) = found(project)
    assert (change.file, change.key, change.who) == ("campanile.yaml", "shop.name", "Wang Fang")
    edit(project.root, "campanile.yaml", "{via: outbox}", "{via: outbox, connections: 3, signature: NEW}")
    assert ("campanile.yaml", "channels.sms.signature", "NEW") in {(c.file, c.key, c.today) for c in found(project)}
    assert len(found(project)) == 2


def test_deleted_campaign_is_still_read(project: Project) -> None:
    for file in ("campaigns/winback.yaml", "experiments/winback.yaml"):
        (project.root / file).unlink()
    changes = found(project)
    assert ("campaigns/winback.yaml", "(absent)") in {(change.file, change.today) for change in changes}


def test_without_git_nobody_is_named(project: Project) -> None:
    shutil.rmtree(project.root / ".git")
    edit(project.root, "experiments/winback.yaml", "window: 30d", "window: 45d")
    assert found(project) == (Deviation("experiments/winback.yaml", "primary.window", "30d", "45d"),)


def test_registered_values_judge(tmp_path: Path) -> None:
    """A later edit that would turn the verdict, the window and the economics changes none of them."""
    shop = golden(tmp_path).build()
    edit(
        shop.root,
        "experiments/winback.yaml",
        "profit per customer above 0 at 95%",
        "profit per customer above 9 at 95%",
    )
    edit(shop.root, "experiments/winback.yaml", "window: 30d", "window: 60d")
    edit(shop.root, "campanile.yaml", "margin_rate: 40%", "margin_rate: 10%")
    edit(shop.root, "campaigns/winback.yaml", "fixed: 500", "fixed: 50000")
    readout = read(load_project(shop.root))
    assert readout.verdict.decision == "roll_out"
    assert readout.economics[0].incremental_profit == pytest.approx(1_106_800)
    assert len(readout.deviations) == 4
    assert dict(readout.terms)["Roll out when"] == "profit per customer above 0 at 95%"


SEGMENTS = """\
segments:
  good: [segment: near]
  near: [{city_tier: 1}]
  other: [{city_tier: 2}]
"""


@pytest.fixture
def segmented(tmp_path: Path) -> Project:
    """A campaign whose target uses a segment that uses another; a third belongs to nobody."""
    world = World(tmp_path, {CONTROL: 40, "treatment": 160})
    world.files["segments.yaml"] = SEGMENTS
    world.files["campaigns/winback.yaml"] = FILES["campaigns/winback.yaml"].replace(
        "{stage: sleeping}", "{stage: sleeping}\n    - segment: good"
    )
    return world.build()


def test_only_segments_that_select_can_deviate(segmented: Project) -> None:
    edit(segmented.root, "segments.yaml", "city_tier: 2", "city_tier: 4")
    edit(segmented.root, "segments.yaml", "segments:", "segments:\n  new: [{city_tier: 5}]")
    assert found(segmented) == ()
    edit(segmented.root, "segments.yaml", "city_tier: 1", "city_tier: 3")
    assert [(change.file, change.key, change.today) for change in found(segmented)] == [
        ("segments.yaml", "segments.near", "[{city_tier: 3}]")
    ]


def test_a_segment_that_is_used_no_more_is_one_edit_not_two(segmented: Project) -> None:
    edit(segmented.root, "campaigns/winback.yaml", "\n    - segment: good", "")
    assert [change.key for change in found(segmented)] == ["target.who"]
