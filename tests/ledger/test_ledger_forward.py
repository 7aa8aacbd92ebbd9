"""A ledger that an earlier Campanile has made is brought forward, with everything it knows."""

from __future__ import annotations

import sqlite3
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import select

from campanile.errors import CampanileError
from campanile.events import MessageState, Outcome, Receipt
from campanile.ledger import Ledger, Mode, tables
from campanile.ledger.engine import schema
from campanile.ledger.hand_overs import claim, exchange
from campanile.ledger.repair import recover
from support.plans import NOW, message_id

SMTP = Mode("smtp")
#: As number 2 wrote it: eight messages, one of each outcome, one under way, one claimed.
OLD = Path(__file__).with_name("schema_2.sql")


@pytest.fixture
def old(tmp_path: Path) -> Path:
    path = tmp_path / "ledger.sqlite"
    with sqlite3.connect(path) as raw:
        raw.executescript(OLD.read_text(encoding="utf-8"))
    return path


def test_it_has_every_column_of_ours_and_keeps_what_it_knew(old: Path) -> None:
    with sqlite3.connect(old) as raw:
        before = raw.execute("SELECT message_id, state, reason, attempts FROM message ORDER BY 1").fetchall()
        identity = raw.execute("SELECT value FROM meta WHERE key = 'identity'").fetchone()[0]
    with Ledger.open(old) as ledger:
        assert ledger.identity == identity
        table = tables.message.c
        query = select(table.message_id, table.state, table.reason, table.attempts).order_by(table.message_id)
        with ledger.reading() as connection:
            assert [tuple(row) for row in connection.execute(query)] == before
            assert connection.exec_driver_sql("PRAGMA integrity_check").scalar() == "ok"
            assert connection.exec_driver_sql("PRAGMA foreign_key_check").all() == []
            made = connection.exec_driver_sql("SELECT name FROM sqlite_master WHERE type = 'index'").scalars().all()
        assert {index.name for table in tables.metadata.tables.values() for index in table.indexes} <= set(made)
        assert ledger.is_suppressed("email", "c7@mail.example")
        assert ledger.last_serial() == 1


def test_it_goes_on_where_the_old_sender_stopped(old: Path) -> None:
    with Ledger.open(old) as ledger:
        found = recover(ledger, "plan-winback", SMTP, NOW)
        assert (found.due, found.unknown) == (1, 1)
        later = NOW + timedelta(minutes=1)
        wanted = claim(ledger, "plan-winback", 0, now=later, limit=10)
        opened = exchange(ledger, "plan-winback", wanted=wanted, mode=SMTP, now=later)
        answers = [Receipt(message.message_id, Outcome.ACCEPTED) for message in opened.messages]
        exchange(ledger, "plan-winback", answers=answers, mode=SMTP, now=later)
        tally = ledger.tally("plan-winback")
        assert tally.adds_up
        assert {state: n for state, n in tally.counts.items() if n} == {
            MessageState.ACCEPTED: 4, MessageState.REJECTED: 1, MessageState.UNKNOWN: 2, MessageState.SUPPRESSED: 1,
        }  # fmt: skip
        assert message_id("winback", 0) not in {message.message_id for message in opened.messages}


def test_twice_is_once(old: Path) -> None:
    Ledger.open(old).close()
    before = old.read_bytes()
    Ledger.open(old).close()
    assert old.read_bytes() == before


def test_a_step_that_fails_leaves_the_old_tables(old: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(connection: object) -> None:
        schema._to_3(connection)  # type: ignore[arg-type]
        raise CampanileError("the power went", "")

    monkeypatch.setattr(schema, "_STEPS", {2: broken})
    with pytest.raises(CampanileError, match="the power went"):
        Ledger.open(old)
    with sqlite3.connect(old) as raw:
        assert raw.execute("SELECT value FROM meta WHERE key = 'schema'").fetchone() == ("2",)
        assert "worker" not in {row[1] for row in raw.execute("PRAGMA table_info(message)")}
    monkeypatch.undo()
    with Ledger.open(old) as ledger:
        assert ledger.tally("plan-winback").adds_up
