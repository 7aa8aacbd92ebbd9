"""A person asks to be forgotten, or to be told what we have: both stores, files beside them, and whom else to ask."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from campanile.channels.export import JOURNAL, strike
from campanile.customers import erasing as customers
from campanile.customers.database import CustomerDatabase
from campanile.customers.engine import parquet_rows
from campanile.errors import CampanileError, cure_of
from campanile.ledger import Ledger
from campanile.ledger import erasing as ledgers
from campanile.plan.snapshot import remove_drafts, write_snapshot
from campanile.spec.project import Project

#: Whom an operator asks to erase too, by channel of a hand-over.
_ASK = {
    "sendgrid": "SendGrid: POST /v3/recipients/erasejob with the mail addresses of the customer",
    "twilio": "Twilio: delete these messages",
    "gateway": "the SMS gateway: erase these messages",
    "smtp": "the mail server: its logs and queue",
    "export": "whoever was given the lists of `via: export`: erase the customer from them",
}


@dataclass(frozen=True, slots=True)
class Forgotten:
    """What was done, and what is left for a person to ask.

    Attributes:
        records: How many records of the customer there were.
        rows: Rows of the customer database that now belong to a stranger.
        messages: Messages of the ledger that do.
        snapshots: Assignments that were written anew.
        files: Rendered messages that were removed, and rows of exported lists.
        ask: Whom to ask, and the provider's own ids of the messages; printed, and kept nowhere.
    """

    records: int
    rows: int
    messages: int
    snapshots: int
    files: int
    ask: Mapping[str, tuple[str, ...]]

    def to_json(self) -> dict[str, Any]:
        """The report as plain JSON values."""
        asked = [{"who": who, "ids": list(ids)} for who, ids in self.ask.items()]
        counts = {name: getattr(self, name) for name in ("records", "rows", "messages", "snapshots", "files")}
        return {**counts, "ask": asked}

    def text(self) -> str:
        """The report for people."""
        lines = [
            f"forgotten: {self.records:,} records, {self.rows:,} rows, {self.messages:,} messages, {self.files:,} "
            f"files; {self.snapshots:,} assignments keep a stranger in the place"
        ]
        for who, ids in self.ask.items():
            lines.append(f"ask {who}{': ' + ', '.join(ids) if ids else ''}")
        lines.append("ask the shop's own systems: what they export comes back with the next import, as the stranger's")
        return "\n".join(lines)


def forget(  # noqa: PLR0913 - the stores come from outside
    project: Project, customer_id: str, *, database: CustomerDatabase, ledger: Ledger, why: str, now: datetime
) -> Forgotten:
    """What was done: contact data, texts and profile are gone, a stranger has the orders, assignments and states.

    Killed at any moment it can be run again, and comes to the same end.

    Raises:
        CampanileError: Nobody knows the customer, or a store fails.
    """
    ids = customers.records_of(database, customer_id)
    addresses = [*customers.contacts_of(database, ids), *ledgers.addresses_of(ledger, ids)]
    known = customers.everything_of(database, ids) or ledgers.everything_of(ledger, ids)
    if not known and not ledgers.strangers_among(ledger, ids):
        raise CampanileError("there is no such customer, in neither store", "look for the id in the shop's own data")
    ask = _whom_to_ask(ledger, ids)
    # Before the ledger forgets which messages these were: killed in between, nobody could tell any more.
    files = _remove_files(project, ledgers.messages_of(ledger, ids))
    strangers = {each: ledgers.stranger_of(ledger, each, why=why, now=now) for each in ids}
    messages = sum(
        len(ledgers.replace_customer(ledger, each, stranger, addresses=addresses, now=now))
        for each, stranger in strangers.items()
    )
    snapshots = _rewrite_snapshots(project, database, ledger, strangers)
    rows = customers.replace_customers(database, strangers)
    ledgers.finished(ledger, ids, now)
    return Forgotten(len(ids), rows, messages, snapshots, files, ask)


def forget_again(database: CustomerDatabase, ledger: Ledger) -> int:
    """How many customers came back with an import who had been forgotten, and are strangers again."""
    if not ledgers.anybody_forgotten(ledger):
        return 0
    tables = [database.records(name) for name in sorted(database.tables())]
    ids: set[str] = set()
    for table in tables:
        if "customer_id" in table.columns:
            ids |= set(table.select("customer_id").distinct().to_pyarrow().column(0).to_pylist())
    strangers = ledgers.strangers_among(ledger, (each for each in ids if each))
    if strangers:
        customers.replace_customers(database, strangers)
    return len(strangers)


def keep_forgotten(project: Project, database: CustomerDatabase) -> None:
    """Nothing; whoever was forgotten and came back with an import is a stranger again. Without a ledger nobody was."""
    if Ledger.is_there(project.ledger_place):
        with Ledger.open(project.ledger_place) as ledger:
            forget_again(database, ledger)


def disclose(customer_id: str, path: Path, *, database: CustomerDatabase, ledger: Ledger, now: datetime) -> int:
    """How many rows were written: everything that both stores have of the person, as JSON, for its owner's eyes only.

    Raises:
        CampanileError: Nobody knows the customer, or the file cannot be written.
    """
    ids = customers.records_of(database, customer_id)
    found = {"customers": customers.everything_of(database, ids), "ledger": ledgers.everything_of(ledger, ids)}
    rows = sum(len(each) for store in found.values() for each in store.values())
    if not rows:
        raise CampanileError("there is no such customer, in neither store", "look for the id in the shop's own data")
    document = {"contract": 1, "written_at": now.isoformat(), "records": ids, **found}
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            json.dump(document, file, ensure_ascii=False, indent=1, default=str)
    except OSError as error:
        raise CampanileError(f"{path} cannot be written ({error.strerror})", cure_of(error)) from None
    return rows


def _whom_to_ask(ledger: Ledger, ids: Sequence[str]) -> dict[str, tuple[str, ...]]:
    asked: dict[str, list[str]] = {}
    for channel, provider_id in ledgers.provider_ids(ledger, ids):
        if channel in _ASK:
            asked.setdefault(_ASK[channel], []).extend([provider_id] if provider_id else [])
    return {who: tuple(found) for who, found in sorted(asked.items())}


def _rewrite_snapshots(
    project: Project, database: CustomerDatabase, ledger: Ledger, strangers: Mapping[str, str]
) -> int:
    """How many assignments had the customer in them; arms, strata and figures stay as they were."""
    written = 0
    for plan in ledger.plans():
        path = project.home / plan.snapshot
        if not path.is_file():
            continue
        rows = parquet_rows(database, path)
        if not rows.filter(rows["customer_id"].isin(list(strangers))).limit(1).count().to_pyarrow().as_py():
            continue
        fresh = rows.mutate(customer_id=rows["customer_id"].substitute(dict(strangers)))
        new, digest = write_snapshot(database, fresh, path.parent, rows.columns)
        ledgers.point_to(ledger, plan.plan_id, new.relative_to(project.home).as_posix(), digest)
        written += 1
    # Also what an erasure that was killed left behind.
    registered = {project.home / plan.snapshot for plan in ledger.plans()}
    for folder in {path.parent for path in registered}:
        remove_drafts(folder, {path.name for path in registered if path.parent == folder})
    return written


def _remove_files(project: Project, message_ids: Sequence[str]) -> int:
    """How many rendered messages, rows of exported lists and pages with samples were removed."""
    theirs = set(message_ids)
    struck = sum(strike(journal.parent, theirs) for journal in project.outbox_dir.rglob(JOURNAL))
    found = [path for path in project.outbox_dir.rglob("*") if path.is_file() and path.stem in theirs]
    found += list((project.home / "previews").glob("*.html"))
    for path in found:
        path.unlink(missing_ok=True)
    return len(found) + struck
