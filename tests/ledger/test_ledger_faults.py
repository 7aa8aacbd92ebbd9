"""A ledger that is damaged, locked, full, unwritable or foreign says so in a sentence, and loses nothing."""

from __future__ import annotations

import os
import sqlite3
import stat
from pathlib import Path

import pytest

from campanile.errors import CampanileError
from campanile.events import MessageState, Outcome, Receipt
from campanile.ledger import Ledger, Mode
from campanile.ledger.hand_overs import claim, exchange
from support.disks import fill, small_disk
from support.plans import NOW, plan_record, register, several

SMTP = Mode("smtp")
FULL = r"no room left|disk fails"


def test_a_file_that_is_no_database(tmp_path: Path) -> None:
    path = tmp_path / "ledger.sqlite"
    path.write_bytes(b"this is a letter, not a database\n" * 50)
    with pytest.raises(CampanileError, match="damaged or is no ledger") as caught:
        Ledger.open(path)
    assert "only record of who was sent what" in str(caught.value)
    assert path.read_bytes().startswith(b"this is a letter")


def test_a_file_with_a_hole_in_it(tmp_path: Path) -> None:
    path = tmp_path / "ledger.sqlite"
    with Ledger.open(path) as ledger:
        register(ledger, several(2_000))
    size = path.stat().st_size
    with path.open("r+b") as file:
        file.seek(8192)
        file.write(os.urandom(size - 8192))
    with pytest.raises(CampanileError, match="damaged"), Ledger.open(path) as ledger:
        ledger.tally("plan-winback")


def test_a_database_of_somebody_else(tmp_path: Path) -> None:
    path = tmp_path / "ledger.sqlite"
    with sqlite3.connect(path) as foreign:
        foreign.execute("CREATE TABLE recipes (name)")
    with pytest.raises(CampanileError, match="no ledger of Campanile"):
        Ledger.open(path)
    with sqlite3.connect(path) as foreign:
        assert [row[0] for row in foreign.execute("SELECT name FROM sqlite_master")] == ["recipes"]


def test_a_ledger_of_an_earlier_campanile(tmp_path: Path) -> None:
    path = tmp_path / "ledger.sqlite"
    Ledger.open(path).close()
    with sqlite3.connect(path) as raw:
        raw.execute("UPDATE meta SET value = '1' WHERE key = 'schema'")
    with pytest.raises(CampanileError, match="earlier Campanile, whose tables differ; name another ledger") as caught:
        Ledger.open(path)
    assert "do not delete it" in str(caught.value)


def test_a_ledger_of_a_newer_campanile(tmp_path: Path) -> None:
    path = tmp_path / "ledger.sqlite"
    Ledger.open(path).close()
    with sqlite3.connect(path) as raw:
        raw.execute("UPDATE meta SET value = '99' WHERE key = 'schema'")
    with pytest.raises(CampanileError, match="newer Campanile; upgrade"):
        Ledger.open(path)


@pytest.mark.parametrize("left", ["nothing", "no bytes", "no tables"])
def test_a_ledger_that_plans_were_made_with_is_not_made_anew(tmp_path: Path, left: str) -> None:
    path, snapshot = tmp_path / "ledger.sqlite", tmp_path / "snapshots" / "winback" / f"{'0a' * 8}.parquet"
    Ledger.open(path).close()
    path.unlink()
    if left != "nothing":
        path.touch()
    if left == "no tables":
        with sqlite3.connect(path) as raw:
            raw.execute("VACUUM")
    before = path.stat().st_size if path.exists() else None
    snapshot.parent.mkdir(parents=True)
    snapshot.touch()
    with pytest.raises(CampanileError, match="written to again; restore it from a backup"):
        Ledger.open(path)
    assert (path.stat().st_size if path.exists() else None) == before, "nothing was made in its place"
    snapshot.parent.parent.rename(tmp_path / "old")
    Ledger.open(path).close()


def test_a_draft_that_a_killed_planning_left_locks_nobody_out(tmp_path: Path) -> None:
    draft = tmp_path / "snapshots" / "winback" / "draft.parquet"
    draft.parent.mkdir(parents=True)
    draft.touch()
    Ledger.open(tmp_path / "ledger.sqlite").close()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ("UPDATE meta SET value = '0'", "does not say which Campanile made it; put a sound backup"),
        ("UPDATE meta SET value = 'one'", "does not say which Campanile made it; put a sound backup"),
        ("UPDATE meta SET value = '-1'", "does not say which Campanile made it; put a sound backup"),
        ("ALTER TABLE message DROP COLUMN deferrals", "lacks message.deferrals; put a sound backup"),
        ("DROP TABLE suppression", "lacks suppression.address, suppression.at"),
        ("ALTER TABLE meta RENAME COLUMN value TO said", "no ledger of Campanile"),
    ],
)
def test_a_ledger_that_is_not_whole(tmp_path: Path, change: str, words: str) -> None:
    path = tmp_path / "ledger.sqlite"
    Ledger.open(path).close()
    with sqlite3.connect(path) as raw:
        raw.execute(change)
    with pytest.raises(CampanileError, match=words):
        Ledger.open(path)


@pytest.mark.parametrize("name", ["what?", "50%", "a#b", "a b&c=d", "%2e%2e", "?mode=memory"])
def test_a_folder_with_marks_in_its_name_holds_its_own_ledger(tmp_path: Path, name: str) -> None:
    path = tmp_path / name / "ledger.sqlite"
    with Ledger.open(path) as ledger:
        register(ledger, several(2))
    assert path.stat().st_size > 0
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [found.name for found in tmp_path.iterdir()] == [name]


def test_a_lock_held_by_another_process(tmp_path: Path) -> None:
    path = tmp_path / "ledger.sqlite"
    with Ledger.open(path, patience=0.2) as ledger:
        register(ledger, several(3))
        other = sqlite3.connect(path, isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(CampanileError, match="held by another process"):
            claim(ledger, "plan-winback", 0, now=NOW, limit=3)
        assert ledger.tally("plan-winback")[MessageState.DUE] == 3, "readers are never in the way"
        other.execute("ROLLBACK")
        other.close()
        assert len(claim(ledger, "plan-winback", 0, now=NOW, limit=3)) == 3


def test_a_folder_where_the_file_should_be(tmp_path: Path) -> None:
    (tmp_path / "ledger.sqlite").mkdir()
    with pytest.raises(CampanileError, match="cannot be"):
        Ledger.open(tmp_path / "ledger.sqlite")


def test_a_path_through_a_file(tmp_path: Path) -> None:
    (tmp_path / "runs").write_text("a file")
    with pytest.raises(CampanileError, match="cannot be opened"):
        Ledger.open(tmp_path / "runs" / "ledger.sqlite")


def test_a_disk_without_room_while_a_plan_is_registered(tmp_path: Path) -> None:
    with Ledger.open(tmp_path / "ledger.sqlite") as ledger:
        register(ledger, several(10))
        with ledger.reading() as connection:
            pages = connection.exec_driver_sql("PRAGMA page_count").scalar()
            connection.exec_driver_sql(f"PRAGMA max_page_count = {pages}")
        big = (message for message in several(5_000, campaign="spring"))
        with pytest.raises(CampanileError, match="no room left on its disk") as caught:
            ledger.register(plan_record("spring"), big)
        assert "what was committed is safe" in str(caught.value)
        assert ledger.plan("spring") is None
        assert ledger.tally("plan-winback").planned == 10
        assert ledger.tally("plan-winback").adds_up


def suppress_many(ledger: Ledger) -> None:
    for _ in range(1_000):
        ledger.suppress("email", os.urandom(64).hex(), reason="ballast", source="x", at=NOW)


def test_a_real_disk_that_fills_up_between_hand_over_and_answer(tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk") as disk, Ledger.open(disk / "ledger.sqlite") as ledger:
        plan = register(ledger, several(1_000))
        claimed = claim(ledger, plan.plan_id, 0, now=NOW, limit=200)
        exchange(ledger, plan.plan_id, wanted=claimed, mode=SMTP, now=NOW)
        answers = [Receipt(message.message_id, Outcome.ACCEPTED, detail="250") for message in claimed]
        ballast = disk / "ballast"
        fill(ballast)
        with pytest.raises(CampanileError, match=FULL):
            suppress_many(ledger)
        with pytest.raises(CampanileError, match=FULL):
            exchange(ledger, plan.plan_id, answers=answers, mode=SMTP, now=NOW)
        assert ledger.tally(plan.plan_id).adds_up
        ballast.unlink()
        exchange(ledger, plan.plan_id, answers=answers, mode=SMTP, now=NOW)
        assert ledger.tally(plan.plan_id)[MessageState.ACCEPTED] == 200
        assert ledger.tally(plan.plan_id).adds_up
        with ledger.reading() as connection:
            assert connection.exec_driver_sql("PRAGMA integrity_check").scalar() == "ok"
