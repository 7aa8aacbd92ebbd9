"""What others say became of the messages of a list: a table of ids and results, taken once however often read."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from sqlalchemy import select

from campanile import clock
from campanile.errors import CampanileError, cure_of, did_you_mean
from campanile.ledger import Ledger, tables
from campanile.responses import own
from campanile.responses.identity import message_id_of
from campanile.responses.inbox import Arrival, keep
from campanile.responses.process import process

#: What the column `result` may say, and the event that it is.
RESULTS: Mapping[str, str] = {
    "accepted": "sent",
    "delivered": "delivered",
    "rejected": "rejected",
    "bounced": "bounced",
    "replied": "inbound",
    "clicked": "clicked",
    "stop": "unsubscribed",
}
COLUMNS = ("message_id", "result", "at", "detail", "words")
_CHUNK = 500
_NAMED = 10


@dataclass(frozen=True, slots=True)
class Results:
    """What a table of results came to.

    Attributes:
        rows: Rows of the table.
        new: Of them, those that told something new.
        strangers: Those of messages that this campaign has not got; left out.
        unreadable: Those that could not be read, the first of them as sentences.
    """

    rows: int
    new: int
    strangers: int
    unreadable: int
    sentences: tuple[str, ...] = ()

    def to_json(self) -> dict[str, object]:
        """The counts as plain JSON values."""
        counts = {name: getattr(self, name) for name in ("rows", "new", "strangers", "unreadable")}
        return {**counts, "sentences": list(self.sentences)}


def take_results(ledger: Ledger, plan_ids: tuple[str, ...], path: Path) -> Results:
    """What the table came to: its events are in the ledger, and understood.

    Args:
        ledger: The ledger.
        plan_ids: Whose messages count; others are strangers.
        path: A .csv or .xlsx with the columns message_id and result, and at, detail and words where known.

    Raises:
        CampanileError: The table cannot be read as one.
    """
    rows = new = strangers = unreadable = 0
    sentences: list[str] = []
    chunk: list[dict[str, str]] = []
    for number, row in enumerate(_table(path), start=2):
        rows += 1
        try:
            chunk.append(_event(row))
        except ValueError as error:
            unreadable += 1
            if len(sentences) < _NAMED:
                sentences.append(f"row {number}: {error}")
        if len(chunk) == _CHUNK:
            taken, strange = _take(ledger, plan_ids, chunk)
            new, strangers, chunk = new + taken, strangers + strange, []
    taken, strange = _take(ledger, plan_ids, chunk)
    process(ledger)
    return Results(rows, new + taken, strangers + strange, unreadable, tuple(sentences))


def _take(ledger: Ledger, plan_ids: tuple[str, ...], events: list[dict[str, str]]) -> tuple[int, int]:
    """How many of the events are new, and how many are of messages that are not ours."""
    if not events:
        return 0, 0
    column = tables.message.c
    ids = [event["message_id"] for event in events]
    with ledger.writing() as connection:
        query = select(column.message_id).where(column.message_id.in_(ids), column.plan_id.in_(plan_ids))
        ours = set(connection.scalars(query))
        known = [event for event in events if event["message_id"] in ours]
        arrivals = [Arrival(own.FILE, own.event_id(event), own.written(event)) for event in known]
        return keep(connection, arrivals, clock.now()), len(events) - len(known)


def _event(row: Mapping[str, str]) -> dict[str, str]:
    """The event of a row; ValueError with what is wrong, without what a person wrote."""
    message_id = message_id_of(row.get("message_id", "").removeprefix("'"))
    if not message_id:
        raise ValueError("message_id is none of ours")
    result = row.get("result", "").strip().lower()
    if result not in RESULTS:
        cure = did_you_mean(result, RESULTS) if result.isalpha() and len(result) < 20 else f"use {', '.join(RESULTS)}"
        raise ValueError(f"the result is unknown; {cure}")
    event = {"type": RESULTS[result], "message_id": message_id}
    if at := row.get("at", "").strip():
        try:
            moment = datetime.fromisoformat(at)
        except ValueError:
            raise ValueError("at is no moment; write it as in 2026-03-05T10:30:00+08:00") from None
        event["at"] = clock.iso((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).astimezone(UTC))
    for name in ("detail", "words"):
        if text := row.get(name, "").strip():
            event[name] = text
    return event


def _table(path: Path) -> Iterator[dict[str, str]]:
    """The rows by column; columns that we do not know are left out."""
    try:
        rows = _sheet(path) if path.suffix.lower() == ".xlsx" else _lines(path)
        head = [str(cell).strip().lower() for cell in next(rows, [])]
        missing = [name for name in COLUMNS[:2] if name not in head]
        if missing:
            what = f"{path.name} has no column {' and no column '.join(missing)}"
            raise CampanileError(what, "write message_id and result into its first row")
        for row in rows:
            if any(row):
                yield {name: cell for name, cell in zip(head, row, strict=False) if name in COLUMNS}
    except OSError as error:
        raise CampanileError(f"{path} cannot be read ({error.strerror})", cure_of(error)) from None
    except (UnicodeDecodeError, csv.Error):
        raise CampanileError(f"{path.name} is no table of UTF-8 text", "save it as CSV in UTF-8, or as .xlsx") from None


def _lines(path: Path) -> Iterator[list[str]]:
    with path.open(encoding="utf-8-sig", newline="") as file:
        yield from csv.reader(file)


def _sheet(path: Path) -> Iterator[list[str]]:
    from python_calamine import CalamineError, CalamineWorkbook

    try:
        sheet = CalamineWorkbook.from_path(str(path)).get_sheet_by_index(0)
    except CalamineError:
        raise CampanileError(f"{path.name} is no .xlsx that can be read", "save it again, or as CSV in UTF-8") from None
    for row in sheet.iter_rows():
        yield [cell.isoformat() if isinstance(cell, datetime) else str(cell) for cell in row]
