"""One customer in the ledger: everything that is known of them, and a stranger in their place.

States, arms and attempts stay, so that every plan still adds up. Addresses, variables, what people wrote and ids that
could be computed from the customer's own go. The addresses stay suppressed, as keyed hashes.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Table, delete, insert, or_, select, update

from campanile import clock
from campanile.events import MessageState
from campanile.ledger import tables
from campanile.ledger.addresses import address_key
from campanile.ledger.refusals import ERASED, erasure_key, hashed_address, hashed_subject
from campanile.ledger.response_tables import (
    consent,
    coupon,
    delivery,
    delivery_event,
    erasure,
    inbox,
    insert_new,
    redemption,
    refusal,
)  # fmt: skip
from campanile.ledger.store import Ledger

#: Tables that name messages.
_NAMING = (tables.attempt, tables.event, delivery, delivery_event, redemption)
#: States from which a message may still go out, and no sender has it.
_WAITING = (MessageState.DUE.value, MessageState.HELD.value)
_FORGOTTEN = "the customer was forgotten"


def stranger_of(ledger: Ledger, customer_id: str, *, why: str, now: datetime) -> str:
    """The id that stands in the customer's place: made now, or by an erasure that did not come to its end."""
    subject = hashed_subject(erasure_key(ledger, make=True), customer_id)
    row = {"subject": subject, "pseudonym": f"erased-{secrets.token_hex(8)}", "begun_at": now, "why": why}
    with ledger.writing() as connection:
        insert_new(connection, erasure, [row])
        found: str = connection.execute(select(erasure.c.pseudonym).where(erasure.c.subject == subject)).scalar_one()
    return found


def anybody_forgotten(ledger: Ledger) -> bool:
    """Whether any customer was ever forgotten."""
    with ledger.reading() as connection:
        return connection.scalar(select(erasure.c.subject).limit(1)) is not None


def strangers_among(ledger: Ledger, customer_ids: Iterable[str]) -> dict[str, str]:
    """Of the customers those who were forgotten before, with the id that stands in their place."""
    with ledger.reading() as connection:
        known = {row.subject: row.pseudonym for row in connection.execute(select(erasure))}
    if not known:
        return {}
    key = erasure_key(ledger, make=False)
    pairs = ((each, known.get(hashed_subject(key, each))) for each in customer_ids)
    return {each: stranger for each, stranger in pairs if stranger}


def finished(ledger: Ledger, customer_ids: Iterable[str], now: datetime) -> None:
    """Notes that nothing is left to do here."""
    key = erasure_key(ledger, make=False)
    subjects = [hashed_subject(key, each) for each in customer_ids]
    with ledger.writing() as connection:
        connection.execute(update(erasure).where(erasure.c.subject.in_(subjects)).values(done_at=now))


def addresses_of(ledger: Ledger, customer_ids: Sequence[str]) -> list[tuple[str, str]]:
    """Channel and address of every message that was planned for the customers."""
    table = tables.message.c
    query = select(table.channel, table.address).where(table.customer_id.in_(customer_ids), table.address != "")
    with ledger.reading() as connection:
        return [(row.channel, row.address) for row in connection.execute(query.distinct())]


def messages_of(ledger: Ledger, customer_ids: Sequence[str]) -> list[str]:
    """Ids of every message to the customers."""
    message = tables.message.c
    with ledger.reading() as connection:
        return list(connection.scalars(select(message.message_id).where(message.customer_id.in_(customer_ids))))


def provider_ids(ledger: Ledger, customer_ids: Sequence[str]) -> list[tuple[str, str]]:
    """Channel and the provider's id of every hand-over to the customers, so that providers can be asked to erase.

    The id is "" where the provider named none, or its answer was lost.
    """
    message, attempt = tables.message.c, tables.attempt.c
    query = (
        select(attempt.channel, attempt.provider_id)
        .join(tables.message, message.message_id == attempt.message_id)
        .where(message.customer_id.in_(customer_ids))
    )
    with ledger.reading() as connection:
        return [(row.channel, row.provider_id) for row in connection.execute(query)]


def everything_of(ledger: Ledger, customer_ids: Sequence[str]) -> dict[str, list[dict[str, Any]]]:
    """Every row about the customers, by table, as plain JSON values."""
    found: dict[str, list[dict[str, Any]]] = {}
    with ledger.reading() as connection:
        message = tables.message
        mine = message.c.customer_id.in_(customer_ids)
        ids = select(message.c.message_id).where(mine)
        found["message"] = _rows(connection, message, mine)
        for table in (tables.attempt, tables.event, delivery, delivery_event, coupon):
            found[table.name] = _rows(connection, table, table.c.message_id.in_(ids))
        for table in (consent, redemption):
            found[table.name] = _rows(connection, table, table.c.customer_id.in_(customer_ids))
        keys = [(row["channel"], address_key(str(row["channel"]), str(row["address"]))) for row in found["message"]]
        listed = tables.suppression.c
        for channel, address in sorted(set(keys)):
            here = (listed.channel == channel) & (listed.address == address)
            found.setdefault("suppression", []).extend(_rows(connection, tables.suppression, here))
    return {name: rows for name, rows in found.items() if rows}


def replace_customer(
    ledger: Ledger, customer_id: str, stranger: str, *, addresses: Iterable[tuple[str, str]], now: datetime
) -> list[str]:
    """Ids of the files' messages that are gone with the customer; one transaction, and again it changes nothing.

    Args:
        ledger: The ledger.
        customer_id: Whom to forget.
        stranger: What stands in their place.
        addresses: Channel and address of everything that is theirs; they stay suppressed.
        now: The present moment.
    """
    key = erasure_key(ledger, make=False)
    with ledger.writing() as connection:
        message = tables.message.c
        ids = list(connection.scalars(select(message.message_id).where(message.customer_id == customer_id)))
        _suppress(connection, key, addresses, now)
        _blank_inbox(connection, ids, addresses)
        for old in ids:
            _replace_message(connection, old, secrets.token_hex(16), stranger, now)
        for table in (consent, redemption):
            values: dict[str, str] = {"customer_id": stranger}
            values |= {"address": "", "words": ""} if table is consent else {}
            connection.execute(update(table).where(table.c.customer_id == customer_id).values(**values))
        for channel, address in addresses:
            here = (consent.c.channel == channel, consent.c.address == address_key(channel, address))
            hashed = hashed_address(key, channel, address)
            imported = (*here, consent.c.event_id == f"{channel}:{address_key(channel, address)}")
            connection.execute(update(consent).where(*imported).values(event_id=hashed))
            connection.execute(update(consent).where(*here).values(address="", words=""))
        subjects = [f"customer:{customer_id}", *(f"{each}:{address_key(each, where)}" for each, where in addresses)]
        connection.execute(delete(refusal).where(refusal.c.subject.in_(subjects)))
    return ids


def point_to(ledger: Ledger, plan_id: str, snapshot: str, digest: str) -> None:
    """Lets a plan name another file of its assignment, in which a stranger stands for a customer."""
    with ledger.writing() as connection:
        plan = tables.plan
        connection.execute(
            update(plan).where(plan.c.plan_id == plan_id).values(snapshot=snapshot, snapshot_sha256=digest)
        )
        row = {"at": clock.now(), "plan_id": plan_id, "kind": "forgot a customer", "why": "the assignment is the same"}
        connection.execute(insert(tables.event).values(**row))


def _replace_message(connection: Connection, old: str, new: str, stranger: str, now: datetime) -> None:
    """A copy of the row under an id that follows from nothing; what names the old one names the copy."""
    message = tables.message
    row = dict(connection.execute(select(message).where(message.c.message_id == old)).one()._mapping)
    row |= {"message_id": new, "customer_id": stranger, "address": "", "variables": "{}"}
    if row["state"] in _WAITING:
        row |= {"state": MessageState.SUPPRESSED.value, "reason": _FORGOTTEN, "settled_at": now}
    connection.execute(insert(message).values(**row))
    for table in _NAMING:
        values: dict[str, Any] = {"message_id": new}
        if table is delivery_event:
            values |= {"customer_id": stranger, "address": "", "words": ""}
        if table is tables.attempt:
            values |= {"provider_id": ""}
        connection.execute(update(table).where(table.c.message_id == old).values(**values))
    connection.execute(delete(coupon).where(coupon.c.message_id == old))
    connection.execute(delete(message).where(message.c.message_id == old))


def _blank_inbox(connection: Connection, ids: Sequence[str], addresses: Iterable[tuple[str, str]]) -> None:
    """Empties what providers wrote of these messages and addresses; the rows stay, so that nothing counts again."""
    event = delivery_event.c
    theirs: list[Any] = [event.message_id.in_(ids)]
    theirs += [
        (event.channel == channel) & (event.address == address_key(channel, address)) for channel, address in addresses
    ]
    keys = connection.execute(select(event.provider, event.event_id).where(or_(*theirs))).all()
    for provider, event_id in keys:
        here = (inbox.c.provider == provider, inbox.c.event_id == event_id)
        connection.execute(update(inbox).where(*here).values(raw=""))
    for condition in theirs[1:]:
        connection.execute(update(delivery_event).where(condition).values(address="", words=""))


def _suppress(connection: Connection, key: bytes, addresses: Iterable[tuple[str, str]], now: datetime) -> None:
    """Puts a hash in the place of each address, whether it was suppressed before or not."""
    table = tables.suppression
    for channel, address in addresses:
        here = (table.c.channel == channel, table.c.address == address_key(channel, address))
        known = connection.execute(select(table.c.reason).where(*here)).first()
        connection.execute(delete(table).where(*here))
        row = {"channel": ERASED, "address": hashed_address(key, channel, address), "source": "forget", "at": now}
        insert_new(connection, table, [{**row, "reason": known.reason if known else "erased"}])


def _rows(connection: Connection, table: Table, condition: Any) -> list[dict[str, Any]]:
    rows = connection.execute(select(table).where(condition)).all()
    return [{key: _plain(value) for key, value in row._mapping.items()} for row in rows]


def _plain(value: object) -> object:
    return value.isoformat() if isinstance(value, datetime) else value
