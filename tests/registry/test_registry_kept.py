"""A readout is kept for ever, and once: none overwrites another, whenever and by whatever code it was made."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from campanile.registry.kept import readings
from campanile.report.files import kept, write_readout
from campanile.report.readout import Readout
from report.conftest import early, golden, three_arms  # noqa: F401 - fixtures

FILES = ["comparisons.csv", "readout.html", "readout.json", "readout.md"]


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}


def later(readout: Readout, days: int = 30) -> Readout:
    """The same figures at a later moment of reading."""
    return replace(readout, setting=replace(readout.setting, read_at=readout.setting.read_at + timedelta(days=days)))


def test_every_moment_is_kept_and_the_folder_shows_the_last(golden: Readout, early: Readout, tmp_path: Path) -> None:  # noqa: F811
    write_readout(early, tmp_path)
    before = contents(kept(tmp_path)[0])
    write_readout(golden, tmp_path)
    write_readout(later(golden), tmp_path)
    folders = kept(tmp_path)
    assert [folder.name[:16] for folder in folders] == ["20260320T010000Z", "20260405T010000Z", "20260505T010000Z"]
    assert contents(folders[0]) == before
    assert [sorted(contents(folder)) for folder in folders] == [FILES] * 3
    assert contents(tmp_path) == contents(folders[2])


def test_the_same_readout_is_kept_once(golden: Readout, tmp_path: Path) -> None:  # noqa: F811
    for _ in range(3):
        write_readout(golden, tmp_path)
    assert len(kept(tmp_path)) == 1


def test_other_figures_of_the_same_moment_are_another_readout(golden: Readout, tmp_path: Path) -> None:  # noqa: F811
    """As when the code has changed, or orders came in late."""
    write_readout(golden, tmp_path)
    first = contents(kept(tmp_path)[0])
    write_readout(replace(golden, comparisons=golden.comparisons[:1]), tmp_path)
    write_readout(golden, tmp_path)
    folders = kept(tmp_path)
    assert len(folders) == 2
    assert len({folder.name.partition("-")[0] for folder in folders}) == 1
    assert first in [contents(folder) for folder in folders]


def test_what_a_version_wrote_that_kept_nothing_is_kept_first(golden: Readout, tmp_path: Path) -> None:  # noqa: F811
    write_readout(golden, tmp_path)
    old = json.loads((tmp_path / "readout.json").read_text(encoding="utf-8"))
    del old["design"], old["version"]
    for folder in kept(tmp_path):
        for path in folder.iterdir():
            path.unlink()
        folder.rmdir()
    (tmp_path / "readout.json").write_text(json.dumps(old), encoding="utf-8")
    write_readout(later(golden), tmp_path)
    found, problems = readings(tmp_path, "winback")
    assert problems == ()
    assert [reading.read_at for reading in found] == [golden.setting.read_at, later(golden).setting.read_at]
    assert found[0].values == old


def test_a_writer_that_was_killed_leaves_no_half_readout(golden: Readout, tmp_path: Path) -> None:  # noqa: F811
    """What it leaves has a name with a dot in front, and counts as nothing."""
    write_readout(golden, tmp_path)
    half = tmp_path / ".tmpabc" / "20260601T010000Z-00000000"
    half.mkdir(parents=True)
    (half / "readout.json").write_text("{", encoding="utf-8")
    found, problems = readings(tmp_path, "winback")
    assert (len(found), problems) == (1, ())
    assert [path.name for path in kept(tmp_path)] == [found[0].name]


def test_a_damaged_readout_hides_no_other(golden: Readout, early: Readout, tmp_path: Path) -> None:  # noqa: F811
    write_readout(golden, tmp_path)
    write_readout(early, tmp_path)
    damaged = kept(tmp_path)[0] / "readout.json"
    for text in ("{", "[]", '{"read_at": "yesterday"}', '{"verdict": {}}'):
        damaged.write_text(text, encoding="utf-8")
        found, problems = readings(tmp_path, "winback")
        assert [reading.decision for reading in found] == ["roll_out"]
        assert len(problems) == 1
        assert "is no readout: it is damaged; restore it from a backup" in problems[0]


def test_the_only_readout_of_an_earlier_version_is_seen(golden: Readout, tmp_path: Path) -> None:  # noqa: F811
    paths = write_readout(golden, tmp_path / "one")
    lone = tmp_path / "two"
    lone.mkdir()
    values = json.loads(paths[2].read_text(encoding="utf-8"))
    del values["read_at"], values["window_ends"]
    (lone / "readout.json").write_text(json.dumps(values), encoding="utf-8")
    moment = datetime(2026, 5, 1, tzinfo=UTC)
    os.utime(lone / "readout.json", (moment.timestamp(), moment.timestamp()))
    found, _ = readings(lone, "spring")
    assert [(reading.read_at, reading.elsewhere, reading.ended) for reading in found] == [(moment, True, True)]
