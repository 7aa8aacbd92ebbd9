"""Tables of results from those who sent a list."""

from __future__ import annotations

from pathlib import Path

import pytest

from campanile.channels.xlsx import write_xlsx
from campanile.errors import CampanileError
from campanile.ledger import Ledger
from campanile.responses.results import Results, take_results
from support.plans import message_id, register, several


@pytest.fixture
def ledger(tmp_path: Path):
    with Ledger.open(tmp_path / "ledger.sqlite") as ledger:
        register(ledger, several(700, channel="sms"))
        yield ledger


def take(ledger: Ledger, path: Path) -> Results:
    return take_results(ledger, ("plan-winback",), path)


def test_the_same_table_again_tells_nothing_new(ledger: Ledger, tmp_path: Path) -> None:
    table = tmp_path / "back.csv"
    ids = [message_id("winback", n) for n in range(650)]
    table.write_text("message_id,result,at\n" + "".join(f"{each},delivered,2026-03-06T10:00\n" for each in ids))
    assert take(ledger, table) == Results(650, 650, 0, 0)
    assert take(ledger, table) == Results(650, 0, 0, 0)


def test_a_sheet_is_read_like_a_csv(ledger: Ledger, tmp_path: Path) -> None:
    table = tmp_path / "back.xlsx"
    ids = [message_id("winback", n) for n in range(3)]
    write_xlsx(table, [["Message_id", "To", "Result"], *([each, "+86138", "Accepted"] for each in ids)])
    assert take(ledger, table) == Results(3, 3, 0, 0)


def test_messages_of_another_plan_are_strangers(ledger: Ledger, tmp_path: Path) -> None:
    table = tmp_path / "back.csv"
    table.write_text(f"message_id,result\n{message_id('spring', 1)},delivered\n")
    assert take(ledger, table) == Results(1, 0, 1, 0)


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"id,result\n", "back.csv has no column message_id; write message_id and result into its first row"),
        (b"", "back.csv has no column message_id and no column result"),
        (
            b"message_id,result\n\xff\xfe,x\n",
            "back.csv is no table of UTF-8 text; save it as CSV in UTF-8, or as .xlsx",
        ),
        (None, r"back.csv cannot be read \(No such file or directory\)"),
    ],
)
def test_what_is_no_table_is_a_sentence(ledger: Ledger, tmp_path: Path, content: bytes | None, sentence: str) -> None:
    table = tmp_path / "back.csv"
    if content is not None:
        table.write_bytes(content)
    with pytest.raises(CampanileError, match=sentence):
        take(ledger, table)


def test_what_is_no_sheet_is_a_sentence(ledger: Ledger, tmp_path: Path) -> None:
    table = tmp_path / "back.xlsx"
    table.write_bytes(b"no zip")
    with pytest.raises(CampanileError, match="back.xlsx is no .xlsx that can be read"):
        take(ledger, table)


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ("{id},delivred", 'row 2: the result is unknown; did you mean "delivered"?'),
        ("{id},delivered,yesterday", "row 2: at is no moment; write it as in 2026-03-05T10:30:00+08:00"),
        ("13800138000,delivered", "row 2: message_id is none of ours"),
    ],
)
def test_a_row_that_cannot_be_read_is_told_and_left_out(ledger: Ledger, tmp_path: Path, row: str, said: str) -> None:
    table = tmp_path / "back.csv"
    table.write_text("message_id,result,at\n" + row.format(id=message_id("winback", 1)) + "\n")
    assert take(ledger, table) == Results(1, 0, 0, 1, (said,))
