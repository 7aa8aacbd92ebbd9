"""Lists of messages for others to send: direct mail, call centres, gateways without an interface.

A message is accepted once its row is in the journal and the journal on the disk, and it is there once however often it
is handed over. When a run ends, the rows that are in no list yet become one: whole, under a number of its own, changed
afterwards only to forget somebody. So whoever takes every list once writes to everybody once.
"""

from __future__ import annotations

import asyncio
import csv
import fcntl
import io
import json
import os
from collections.abc import Collection, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from campanile.channels.base import ChannelUnavailableError
from campanile.channels.xlsx import MOST_IN_A_CELL, MOST_ROWS, write_xlsx
from campanile.errors import CampanileError, cure_of
from campanile.events import Message, Outcome, Receipt

if TYPE_CHECKING:
    from campanile.spec.channel_settings import ChannelSettings

JOURNAL = "messages.journal"
COLUMNS = ("message_id", "to", "subject", "text", "html")
#: Begins of a cell that a spreadsheet takes for a formula.
_FORMULA = tuple("=+-@\t\r＝＋－＠")
_BEGUN, _DONE, _STRUCK = "list begun", "list done", "struck"


@dataclass
class _Waiting:
    """Rows that the next write takes along, and who waits for it."""

    lines: list[bytes] = field(default_factory=list)
    ids: list[bytes] = field(default_factory=list)
    done: asyncio.Event = field(default_factory=asyncio.Event)
    failure: OSError | None = None


class ExportChannel:
    """Writes messages to lists in a folder, which only its owner can read: they hold addresses."""

    name = "export"
    idempotent = True

    def __init__(self, settings: ChannelSettings, folder: Path) -> None:
        self._format = settings.format
        self.folder = folder
        self._journal: io.FileIO | None = None
        self._known: set[bytes] = set()
        self._next = _Waiting()
        self._writing: asyncio.Task[None] | None = None

    async def open(self) -> None:
        """Reads which messages are there already."""
        try:
            self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            await asyncio.to_thread(self._open)
        except OSError as error:
            raise self._unavailable(error) from None

    async def hand_over(self, message: Message) -> Receipt:
        """Accepted once its row is on the disk, or was before."""
        row = row_of(message)
        if self._format == "xlsx" and max(map(len, row)) > MOST_IN_A_CELL:
            detail = f"more than {MOST_IN_A_CELL} characters, which no cell takes"
            return Receipt(message.message_id, Outcome.REJECTED, detail=detail)
        key = bytes.fromhex(message.message_id)
        if key in self._known:
            return Receipt(message.message_id, Outcome.ACCEPTED, detail="written before")
        taken = self._next
        taken.lines.append(_line(dict(zip(COLUMNS, row, strict=True))))
        taken.ids.append(key)
        if self._writing is None or self._writing.done():
            self._writing = asyncio.create_task(self._write())
        while not taken.done.is_set():
            with suppress(asyncio.CancelledError):  # a write is a matter of moments, and then there is no doubt
                await taken.done.wait()
        if taken.failure is not None:
            raise self._unavailable(taken.failure)
        return Receipt(message.message_id, Outcome.ACCEPTED, detail="written")

    async def close(self) -> None:
        """Makes a list of the rows that are in none, also of those that a run before this one left."""
        try:
            await asyncio.to_thread(self._finish)
        except OSError as error:
            raise self._unavailable(error) from None

    async def _write(self) -> None:
        """Writes what waits, with one sync for all of it, until nothing does."""
        await asyncio.sleep(0)
        while self._next.lines:
            taken, self._next = self._next, _Waiting()
            try:
                await asyncio.to_thread(self._append, b"".join(taken.lines))
                self._known.update(taken.ids)
            except OSError as error:
                taken.failure = error
            taken.done.set()

    def _append(self, data: bytes) -> None:
        assert self._journal is not None
        end = self._journal.seek(0, os.SEEK_END)
        try:
            self._journal.write(data)
            os.fsync(self._journal.fileno())
        except OSError:
            self._journal.truncate(end)
            raise

    def _open(self) -> None:
        path = self.folder / JOURNAL
        self._journal = journal = _locked(path)
        whole = 0
        for line, entry in _entries(path):
            whole += len(line)
            if "message_id" in entry:
                self._known.add(bytes.fromhex(entry["message_id"]))
        journal.truncate(whole)  # half a line of somebody who was killed while writing it: nobody was told of it

    def _finish(self) -> None:
        if self._journal is None:
            if not (self.folder / JOURNAL).exists():
                return
            self._open()
        assert self._journal is not None
        try:
            while self._make_list():
                pass
        finally:
            self._journal.close()
            self._journal = None

    def _make_list(self) -> bool:
        """Whether a list was made of the oldest rows that are in none."""
        start, number, begun = 0, 0, None
        offset = 0
        for line, entry in _entries(self.folder / JOURNAL):
            offset += len(line)
            if _DONE in entry:
                start, number, begun = entry["until"], number + 1, None
            elif _BEGUN in entry:
                begun = entry["until"]
        until = begun or self._until(start)
        if until == start:
            return False
        name = f"{self.folder.parent.name}-{self.folder.name}-{number + 1:03d}.{self._format}"
        if begun is None:
            self._append(_line({_BEGUN: name, "until": until}))
        _write_list(self.folder, name, (start, until))
        self._append(_line({_DONE: name, "until": until}))
        return True

    def _until(self, start: int) -> int:
        """Where the next list ends: at most as many rows as a sheet has."""
        end, rows = start, 0
        for line, entry in _entries(self.folder / JOURNAL, start):
            if "message_id" not in entry:
                end += len(line) if rows == 0 else 0
                if rows:
                    break
                continue
            if rows == MOST_ROWS - 1:
                break
            end, rows = end + len(line), rows + 1
        return end if rows else start

    def _unavailable(self, error: OSError) -> ChannelUnavailableError:
        what = f"the lists in {self.folder} cannot be written ({error.strerror})"
        return ChannelUnavailableError(what, f"{cure_of(error)}; then run again: no row is lost, and none comes twice")


def strike(folder: Path, message_ids: Collection[str]) -> int:
    """How many rows are gone from the journal and the lists of a folder, as if they had never been handed over.

    The only change that a list ever sees. Killed at any moment it can be done again, and comes to the same end.

    Raises:
        CampanileError: A run writes to the folder, or it cannot be written.
    """
    path, theirs = folder / JOURNAL, set(message_ids)
    try:
        journal = _locked(path)
        try:
            found = [(at, len(line)) for at, line, entry in _placed(path) if entry.get("message_id") in theirs]
            for draft in folder.glob(".*.part"):  # of somebody who was killed
                draft.unlink()
            for name, (start, until) in _lists(path).items() if found else ():
                if (folder / name).exists() and any(start <= at < until for at, _ in found):
                    _write_list(folder, name, (start, until), without=theirs)
            for at, length in found:
                os.pwrite(journal.fileno(), _line({_STRUCK: True}).strip().ljust(length - 1) + b"\n", at)
            os.fsync(journal.fileno())
        finally:
            journal.close()
    except OSError as error:
        raise CampanileError(f"the lists in {folder} cannot be written ({error.strerror})", cure_of(error)) from None
    return len(found)


def _locked(path: Path) -> io.FileIO:
    """The journal, for this process alone; ChannelUnavailableError while another one has it."""
    handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    journal = io.FileIO(handle, "r+")
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        journal.close()
        what = f"another process writes to {path.parent}"
        raise ChannelUnavailableError(what, "wait until it is done, then run again") from None
    return journal


def _lists(path: Path) -> dict[str, tuple[int, int]]:
    """Where in the journal the rows of each list stand, also of one that was only begun."""
    found: dict[str, tuple[int, int]] = {}
    start = 0
    for _, entry in _entries(path):
        name = entry.get(_DONE) or entry.get(_BEGUN)
        if name:
            found[name] = (start, entry["until"])
        if _DONE in entry:
            start = entry["until"]
    return found


def _write_list(folder: Path, name: str, span: tuple[int, int], without: Collection[str] = ()) -> None:
    """Writes a list whole: the rows of a span of the journal, but for those left out."""
    path = folder / name
    rows = _rows(folder / JOURNAL, span, without)
    draft = path.with_name(f".{name}.part")
    os.close(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600))
    if path.suffix == ".xlsx":
        write_xlsx(draft, rows)
    else:
        with draft.open("w", encoding="utf-8-sig", newline="", errors="replace") as file:
            csv.writer(file, quoting=csv.QUOTE_ALL).writerows(map(harmless, rows))
    with draft.open("rb") as file:
        os.fsync(file.fileno())
    draft.replace(path)
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _rows(path: Path, span: tuple[int, int], without: Collection[str]) -> Iterator[list[str]]:
    yield list(COLUMNS)
    start, until = span
    for at, _, entry in _placed(path, start):
        if at >= until:
            return
        if "message_id" in entry and entry["message_id"] not in without:
            yield [entry[name] for name in COLUMNS]


def row_of(message: Message) -> list[str]:
    """The cells of a message, in the order of the columns."""
    return [message.message_id, message.to, message.subject, message.text, message.html]


def harmless(row: list[str]) -> list[str]:
    """The row with cells that no spreadsheet takes for a formula; a number is written without its +.

    >>> harmless(["m1", "+8613800138000", "", "=HYPERLINK(1)", ""])
    ['m1', '8613800138000', '', "'=HYPERLINK(1)", '']
    """
    to = row[1].removeprefix("+") if row[1].removeprefix("+").isdecimal() else row[1]
    return [f"'{cell}" if cell.startswith(_FORMULA) else cell for cell in (row[0], to, *row[2:])]


def _line(entry: dict[str, Any]) -> bytes:
    return json.dumps(entry, ensure_ascii=True, separators=(",", ":")).encode() + b"\n"


def _entries(path: Path, start: int = 0) -> Iterator[tuple[bytes, dict[str, Any]]]:
    """Whole lines of the journal from there on, as written and as understood."""
    with path.open("rb") as file:
        file.seek(start)
        for line in file:
            if line.endswith(b"\n"):
                yield line, json.loads(line)


def _placed(path: Path, start: int = 0) -> Iterator[tuple[int, bytes, dict[str, Any]]]:
    """The same with where each line begins."""
    at = start
    for line, entry in _entries(path, start):
        yield at, line, entry
        at += len(line)
