"""Lists as files of text: suppressed addresses in and out, answers that people gave elsewhere."""

from __future__ import annotations

import csv
import hashlib
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

from campanile import clock
from campanile.errors import CampanileError, Problem, ProblemsError, cure_of, did_you_mean
from campanile.events import EventType
from campanile.ledger import Ledger
from campanile.ledger.refusals import Refused, suppress_all, suppression_list
from campanile.plan.make import STEP, message_id
from campanile.responses import own
from campanile.responses.identity import message_id_of
from campanile.responses.inbox import Arrival, keep
from campanile.spec.campaign import ONLY_WAVE
from campanile.spec.fields import MEDIA

_COLUMNS = ("channel", "address", "reason", "source", "at")
_ANSWERS = ("campaign", "wave", "customer_id", "message_id", "at", "kind", "words")
#: What `kind` may say of an answer that was given elsewhere.
_KINDS = {
    "reply": EventType.INBOUND,
    "call": EventType.INBOUND,
    "visit": EventType.INBOUND,
    "stop": EventType.UNSUBSCRIBED,
}
_MOST_PROBLEMS = 20
_CHUNK = 2_000


@dataclass(frozen=True, slots=True)
class Taken:
    """How many rows a file has, and how many of them were new."""

    rows: int
    new: int

    def to_json(self) -> dict[str, int]:
        """The counts as plain JSON values."""
        return {"rows": self.rows, "new": self.new}


def import_suppressions(ledger: Ledger, path: Path, *, now: datetime) -> Taken:
    """What a list of addresses adds to those that are suppressed; all of it, or nothing.

    Columns `channel` and `address`; `reason` and `at` if there are. Whoever is suppressed already stays as they are.

    Raises:
        ProblemsError: With the lines that cannot be read. Addresses are not shown.
    """
    problems: list[Problem] = []
    found: list[Refused] = []
    for line, row in _rows(path, needed=("channel", "address"), known=_COLUMNS):
        channel, address = row.get("channel", "").lower(), row.get("address", "")
        if channel not in MEDIA:
            problems.append(Problem(path.name, line, "the channel is none", f"write one of {', '.join(MEDIA)}"))
        elif not _looks_right(channel, address):
            problems.append(Problem(path.name, line, "the address cannot be one of that channel"))
        elif (at := _moment(row.get("at", ""), now)) is None:
            problems.append(Problem(path.name, line, "at is no moment", "write it as in 2026-03-05T10:30, or leave it"))
        else:
            found.append(Refused(channel, address, row.get("reason") or "imported", f"file {path.name}", at))
        if len(problems) >= _MOST_PROBLEMS:
            break
    if problems:
        raise ProblemsError(problems)
    return Taken(len(found), suppress_all(ledger, found))


def export_suppressions(ledger: Ledger, path: Path) -> int:
    """How many addresses were written, readable by the file's owner only; those of erased people cannot be."""
    written = 0
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(handle, "w", encoding="utf-8", newline="") as file:
            sheet = csv.writer(file)
            sheet.writerow(_COLUMNS)
            for line in suppression_list(ledger):
                sheet.writerow((line.channel, _cell(line.address), line.reason, line.source, clock.iso(line.at)))
                written += 1
    except OSError as error:
        raise CampanileError(f"{path} cannot be written ({error.strerror})", cure_of(error)) from None
    return written


def import_answers(ledger: Ledger, path: Path, zone: ZoneInfo, *, now: datetime) -> Taken:
    """What a list of replies and call results adds to the inbox; the same row again changes nothing.

    Columns: `message_id`, or `campaign` and `customer_id`, with `wave` where the campaign repeats; `kind` (reply, call,
    visit, stop); `at` and `words` if there are. Moments without an offset are the shop's.

    Raises:
        ProblemsError: With the lines that cannot be read; then nothing is kept.
    """
    problems: list[Problem] = []
    arrivals: list[Arrival] = []
    for line, row in _rows(path, needed=("kind",), known=_ANSWERS):
        try:
            said = _answer(row, zone, now)
        except ValueError as error:
            problems.append(Problem(path.name, line, str(error)))
            if len(problems) >= _MOST_PROBLEMS:
                break
            continue
        raw = own.written(said)
        arrivals.append(Arrival(own.FILE, hashlib.sha256(raw.encode()).hexdigest(), raw))
    if problems:
        raise ProblemsError(problems)
    new = 0
    for start in range(0, len(arrivals), _CHUNK):
        with ledger.writing() as connection:
            new += keep(connection, arrivals[start : start + _CHUNK], now)
    return Taken(len(arrivals), new)


def _answer(row: Mapping[str, str], zone: ZoneInfo, now: datetime) -> dict[str, object]:
    kind = row.get("kind", "").lower()
    if kind not in _KINDS:
        raise ValueError(f"kind is none of {', '.join(_KINDS)}")
    named = row.get("message_id", "")
    message = message_id_of(named)
    if named and not message:
        raise ValueError("message_id is no id of a message")
    if not named:
        campaign, customer = row.get("campaign", ""), row.get("customer_id", "")
        if not (campaign and customer):
            raise ValueError("neither message_id nor campaign and customer_id")
        message = message_id(campaign, row.get("wave", "") or ONLY_WAVE, STEP, customer)
    at = clock.parse_moment(row["at"], zone) if row.get("at") else None
    if at is not None and at > now:
        raise ValueError("at has not come yet")
    said: dict[str, object] = {"type": _KINDS[kind].value, "message_id": message, "detail": kind}
    said |= {"words": row.get("words", ""), **({"at": at.isoformat()} if at else {})}
    return said


def _rows(path: Path, *, needed: tuple[str, ...], known: tuple[str, ...]) -> Iterator[tuple[int, dict[str, str]]]:
    """Line number and cells of each row, by column; CampanileError when a column is missing or nobody knows it."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            sheet = csv.DictReader(file)
            header = [name.strip().lower() for name in sheet.fieldnames or ()]
            sheet.fieldnames = header
            for name in needed:
                if name not in header:
                    raise CampanileError(f"{path.name} has no column {name}", f"its columns: {', '.join(known)}")
            for name in header:
                if name not in known:
                    raise CampanileError(f'{path.name} has a column "{name[:40]}"', did_you_mean(name, known))
            for row in sheet:
                yield sheet.line_num, {key: (value or "").strip() for key, value in row.items() if key}
    except UnicodeDecodeError:
        raise CampanileError(f"{path.name} is not UTF-8", "save it in the encoding UTF-8") from None
    except csv.Error as error:
        raise CampanileError(f"{path.name} cannot be read ({error})", "save it as a list with commas") from None
    except OSError as error:
        raise CampanileError(f"{path} cannot be read ({error.strerror})", cure_of(error)) from None


def _looks_right(channel: str, address: str) -> bool:
    if channel == "email":
        return "@" in address.strip("@") and len(address) <= 254
    return 5 <= sum(each.isdigit() for each in address) <= 15


def _moment(text: str, otherwise: datetime) -> datetime | None:
    """The moment that a cell says, `otherwise` of an empty one; None when it says something else."""
    try:
        return clock.parse_moment(text, ZoneInfo("UTC")) if text else otherwise
    except ValueError:
        return None


def _cell(text: str) -> str:
    """The text so that a spreadsheet takes it for text: a formula in an address would be run.

    >>> _cell("=1+1@mail.example"), _cell("8613800138000")
    ("'=1+1@mail.example", '8613800138000')
    """
    return f"'{text}" if text[:1] in tuple("=+-@＝＋－＠\t\r") else text
