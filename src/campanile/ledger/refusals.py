"""Who must not be contacted, beyond one address of one channel: everything, a topic, a signature; and who was erased.

An erased address stays suppressed as a keyed hash. The key lies beside the ledger, or in an environment variable; where
hashes are kept and the key is gone, nothing is sent, because nobody could say who had refused.
"""

from __future__ import annotations

import hmac
import os
import re
import secrets
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, delete, insert, select

from campanile.errors import CampanileError
from campanile.events import PlannedMessage
from campanile.ledger import tables
from campanile.ledger.addresses import address_key
from campanile.ledger.response_tables import consent, insert_new, refusal
from campanile.ledger.store import Ledger, plan_record_of

#: How far a refusal goes when it goes beyond one channel or not so far.
GLOBAL, TOPIC, SIGNATURE = "global", "topic:", "signature:"
#: The environment variable that replaces the file with the key of hashes.
KEY_VARIABLE = "CAMPANILE_ERASURE_KEY"
_FILE = "erasure.key"
#: Under which channel the table of suppressions keeps erased addresses.
ERASED = "erased"


@dataclass(frozen=True, slots=True)
class Refused:
    """One line of a suppression list."""

    channel: str
    address: str
    reason: str
    source: str
    at: datetime


def subject_of(channel: str, address: str) -> str:
    """Channel and address as refusals name them.

    >>> subject_of("email", "Li@Mail.Example")
    'email:li@mail.example'
    """
    return f"{channel}:{address_key(channel, address)}"


def refused(ledger: Ledger, connection: Connection, messages: Sequence[PlannedMessage]) -> set[str]:
    """Ids of the messages whose recipient refused everything, their topic or their signature, or was erased.

    Raises:
        CampanileError: Hashes of erased addresses are kept, and their key is gone.
    """
    return _by_scope(connection, messages) | _erased(ledger, connection, messages)


def _by_scope(connection: Connection, messages: Sequence[PlannedMessage]) -> set[str]:
    by_subject: dict[str, list[PlannedMessage]] = {}
    for message in messages:
        for subject in (subject_of(message.channel, message.address), f"customer:{message.customer_id}"):
            by_subject.setdefault(subject, []).append(message)
    query = select(refusal.c.subject, refusal.c.scope).where(refusal.c.subject.in_(by_subject))
    found: set[str] = set()
    for subject, scope in connection.execute(query).all():
        for message in by_subject[subject]:
            if scope == GLOBAL or scope in _scopes(connection, message):
                found.add(message.message_id)
    return found


def _scopes(connection: Connection, message: PlannedMessage) -> Collection[str]:
    """The topic and the signature of a message, as its plan was frozen."""
    plan, row = tables.plan, tables.message
    query = select(plan).join(row, row.c.plan_id == plan.c.plan_id).where(row.c.message_id == message.message_id)
    found = connection.execute(query).first()
    if found is None:
        return ()
    record = plan_record_of(found)
    topic, signature = record.campaign_part("topic"), record.signature(message.channel)
    return {*([f"{TOPIC}{topic}"] if topic else []), *([f"{SIGNATURE}{signature}"] if signature else [])}


def _erased(ledger: Ledger, connection: Connection, messages: Sequence[PlannedMessage]) -> set[str]:
    table = tables.suppression.c
    kept = select(table.address).where(table.channel == ERASED).limit(1)
    if connection.scalar(kept) is None:
        return set()
    key = erasure_key(ledger, make=False)
    hashed = {message.message_id: hashed_address(key, message.channel, message.address) for message in messages}
    query = select(table.address).where(table.channel == ERASED, table.address.in_(set(hashed.values())))
    # Several customers may share an address.
    erased = set(connection.scalars(query))
    return {message_id for message_id, address in hashed.items() if address in erased}


def refused_in(ledger: Ledger, scopes: Collection[str]) -> Iterator[tuple[str, str]]:
    """Channel and address of who refused the channel, everything or one of the scopes; of customers their id.

    A customer's no to everything comes as `customer` and the id. Streamed; erased addresses are left out.
    """
    table = tables.suppression.c
    listed = select(table.channel, table.address).where(table.channel != ERASED)
    wider = select(refusal.c.subject).where(refusal.c.scope.in_([GLOBAL, *scopes])).distinct()
    with ledger.reading() as connection:
        for row in connection.execution_options(yield_per=2_000).execute(listed):
            yield row.channel, row.address
        for subject in connection.execution_options(yield_per=2_000).scalars(wider):
            channel, _, address = subject.partition(":")
            yield channel, address


def erased_among(ledger: Ledger, addresses: Iterable[tuple[str, str]]) -> Iterator[tuple[str, str]]:
    """Those of the addresses that belong to somebody who was erased, as suppressions are compared.

    Raises:
        CampanileError: Hashes of erased addresses are kept, and their key is gone.
    """
    table = tables.suppression.c
    with ledger.reading() as connection:
        hashes = set(connection.scalars(select(table.address).where(table.channel == ERASED)))
    if not hashes:
        return
    key = erasure_key(ledger, make=False)
    for channel, address in addresses:
        if hashed_address(key, channel, address) in hashes:
            yield channel, address_key(channel, address)


def hashed_address(key: bytes, channel: str, address: str) -> str:
    """What is kept of an erased address: enough to know it again, not enough to read it."""
    return hmac.digest(key, subject_of(channel, address).encode(), "sha256").hex()


def hashed_subject(key: bytes, customer_id: str) -> str:
    """What is kept of the id of a customer who was forgotten."""
    return hmac.digest(key, f"customer:{customer_id}".encode(), "sha256").hex()


def erasure_key(ledger: Ledger, *, make: bool) -> bytes:
    """The key of hashes, from the environment or the file beside the ledger; made there when asked for.

    Raises:
        CampanileError: There is none, or it cannot be read.
    """
    written = os.environ.get(KEY_VARIABLE, "")
    path = ledger.database.folder / _FILE
    if not written and path.exists():
        written = path.read_text(encoding="ascii", errors="replace").strip()
    if not written and make:
        written = _make_key(path)
    if not re.fullmatch(r"[0-9a-fA-F]{64}", written):
        what = f"the key of erased addresses {path} is gone or cannot be read, and nobody can say who had refused"
        raise CampanileError(what, f"restore it from a backup, or write its 64 hex digits into {KEY_VARIABLE}")
    return bytes.fromhex(written)


def _make_key(path: Path) -> str:
    key = secrets.token_hex(32)
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:  # another process was quicker
        return path.read_text(encoding="ascii", errors="replace").strip()
    with os.fdopen(handle, "w", encoding="ascii") as file:
        file.write(f"{key}\n")
        file.flush()
        os.fsync(file.fileno())
    return key


def suppress_all(ledger: Ledger, refusals: Iterable[Refused]) -> int:
    """How many addresses were suppressed that had not been; one transaction."""
    rows = [
        {
            "channel": each.channel,
            "address": address_key(each.channel, each.address),
            "reason": each.reason,
            "source": each.source,
            "at": each.at,
        }
        for each in refusals
    ]
    with ledger.writing() as connection:
        _log(connection, rows)
        return insert_new(connection, tables.suppression, rows)


def _log(connection: Connection, rows: Sequence[Mapping[str, Any]]) -> None:
    """Keeps each line among the proofs of who said no, and from where it is known."""
    said = [
        {
            "provider": row["source"], "event_id": subject_of(row["channel"], row["address"]), "at": row["at"],
            "channel": row["channel"], "address": row["address"], "decision": "no", "source": row["source"],
            "words": row["reason"],
        }
        for row in rows
    ]  # fmt: skip
    insert_new(connection, consent, said)


def suppression_list(ledger: Ledger) -> Iterator[Refused]:
    """Every suppressed address, oldest first; those of erased people are left out: nobody can name them."""
    table = tables.suppression
    query = select(table).where(table.c.channel != ERASED).order_by(table.c.at, table.c.address)
    with ledger.reading() as connection:
        for row in connection.execution_options(yield_per=2_000).execute(query):
            yield Refused(row.channel, row.address, row.reason, row.source, row.at)


def refuse(connection: Connection, subject: str, scope: str, told: Refused) -> None:
    """Keeps what lies in the scope away from the subject from now on, for the reason that is told."""
    row = {"subject": subject, "scope": scope, "reason": told.reason, "source": told.source, "at": told.at}
    insert_new(connection, refusal, [row])


def set_suppression(connection: Connection, wanted: Refused | None, *, channel: str, address: str, source: str) -> None:
    """Makes the suppression of one address what its responses say; one that came from elsewhere stays as it is."""
    table = tables.suppression
    here = (table.c.channel == channel, table.c.address == address)
    connection.execute(delete(table).where(*here, table.c.source == source))
    if wanted is not None and connection.scalar(select(table.c.at).where(*here)) is None:
        values = {"channel": channel, "address": address, "reason": wanted.reason, "source": source, "at": wanted.at}
        connection.execute(insert(table).values(**values))
