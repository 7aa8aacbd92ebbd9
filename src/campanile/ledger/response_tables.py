"""The tables of what came back: raw inbox, events, what they fold to, refusals, consent, coupon codes, erasures.

`inbox` is the truth: everything after it, down to `consent`, can be made from it again.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from sqlalchemy import BigInteger, Boolean, Column, Connection, Index, Integer, String, Table, Text
from sqlalchemy.dialects import postgresql, sqlite

from campanile.ledger.engine.base import Database
from campanile.ledger.tables import Moment, metadata

#: States of a row of the inbox.
WAITING, DONE, UNREADABLE = 0, 1, 2

#: One row per event as it came, verified but not understood. A 2xx was answered after its commit.
inbox = Table(
    "inbox",
    metadata,
    Column("number", Integer, primary_key=True, autoincrement=True),
    Column("provider", String, nullable=False),
    # The provider's own id of the event, or a hash of what it said: the same event again changes nothing.
    Column("event_id", String, nullable=False),
    Column("received_at", Moment, nullable=False),
    Column("raw", Text, nullable=False),
    Column("state", Integer, nullable=False, server_default="0"),
    Index("inbox_once", "provider", "event_id", unique=True),
    Index("inbox_queue", "state", "number"),
)

#: One row per event, understood. Events of messages that we do not know have no message_id.
delivery_event = Table(
    "delivery_event",
    metadata,
    Column("provider", String, primary_key=True),
    Column("event_id", String, primary_key=True),
    Column("message_id", String, nullable=False, index=True),
    Column("plan_id", String, nullable=False, server_default=""),
    Column("customer_id", String, nullable=False, server_default="", index=True),
    Column("channel", String, nullable=False, server_default=""),
    Column("address", String, nullable=False, server_default=""),
    Column("type", String, nullable=False),
    Column("at", Moment, nullable=False),
    Column("machine", Boolean, nullable=False),
    Column("link", Integer, nullable=False, server_default="0"),
    Column("reject_reason", String, nullable=False, server_default=""),
    Column("detail", String, nullable=False, server_default=""),
    Column("scope", String, nullable=False, server_default=""),
    Column("words", Text, nullable=False, server_default=""),
    Index("events_of_an_address", "channel", "address", "type"),
)

#: What the events of a message fold to.
delivery = Table(
    "delivery",
    metadata,
    Column("message_id", String, primary_key=True),
    Column("plan_id", String, nullable=False, server_default="", index=True),
    Column("status", String, nullable=False),
    Column("delivered_at", Moment),
    Column("ended_at", Moment),
    Column("opened_at", Moment),
    Column("clicked_at", Moment),
    Column("replied_at", Moment),
    Column("complained_at", Moment),
    Column("unsubscribed_at", Moment),
    Column("clicks", Integer, nullable=False, server_default="0"),
    Column("machine_hits", Integer, nullable=False, server_default="0"),
    Column("rules", String, nullable=False),
)

#: Refusals wider or narrower than one address of one channel, which the table suppression keeps.
refusal = Table(
    "refusal",
    metadata,
    #: Channel and address as suppressions are compared, or a customer: `email:li@mail.example`, `customer:C1`.
    Column("subject", String, primary_key=True),
    #: `global`, `topic:…` or `signature:…`.
    Column("scope", String, primary_key=True),
    Column("reason", String, nullable=False),
    Column("source", String, nullable=False),
    Column("at", Moment, nullable=False),
)

#: Every yes and no, with its proof: who, when, by which way, to which text.
consent = Table(
    "consent",
    metadata,
    Column("provider", String, primary_key=True),
    Column("event_id", String, primary_key=True),
    Column("at", Moment, nullable=False),
    Column("channel", String, nullable=False),
    Column("address", String, nullable=False),
    Column("customer_id", String, nullable=False, server_default="", index=True),
    Column("decision", String, nullable=False),
    Column("scope", String, nullable=False, server_default=""),
    Column("source", String, nullable=False),
    Column("text_version", String, nullable=False, server_default=""),
    Column("words", Text, nullable=False, server_default=""),
)

#: Codes that belong to one message, so that the shop's till can ask whose they are.
coupon = Table(
    "coupon",
    metadata,
    Column("code", String, primary_key=True),
    Column("message_id", String, nullable=False, index=True),
    Column("plan_id", String, nullable=False, index=True),
)

redemption = Table(
    "redemption",
    metadata,
    Column("code", String, primary_key=True),
    Column("order_id", String, primary_key=True),
    Column("at", Moment, nullable=False),
    #: What was paid, in minor units of the shop's currency; None when the till did not say.
    Column("amount", BigInteger),
    Column("plan_id", String, nullable=False, server_default="", index=True),
    Column("message_id", String, nullable=False, server_default=""),
    Column("customer_id", String, nullable=False, server_default=""),
)

#: Who was forgotten: no name, only a keyed hash of the id, and what stands in its place.
erasure = Table(
    "erasure",
    metadata,
    Column("subject", String, primary_key=True),
    Column("pseudonym", String, nullable=False, unique=True),
    Column("begun_at", Moment, nullable=False),
    Column("done_at", Moment),
    Column("why", String, nullable=False),
    #: What must be asked of providers, as JSON; emptied when somebody says that it was done.
    Column("asked", Text, nullable=False, server_default="[]"),
)

TABLES = (inbox, delivery_event, delivery, refusal, consent, coupon, redemption, erasure)


def add_missing(database: Database, there: Collection[tuple[str, str]]) -> set[tuple[str, str]]:
    """Table and column of what was made now: the tables of this module that a ledger of before them lacks."""
    names = {table for table, _ in there}
    absent = [table for table in TABLES if table.name not in names]
    if "message" not in names or not absent:
        return set()
    with database.writing() as connection:
        metadata.create_all(connection, tables=absent)
    return {(table.name, column.name) for table in absent for column in table.columns}


def insert_new(connection: Connection, table: Table, rows: Sequence[Mapping[str, Any]]) -> int:
    """How many rows were new; one whose key is there already changes nothing."""
    if not rows:
        return 0
    statement = _insert(connection, table).on_conflict_do_nothing()
    if connection.dialect.name != "postgresql":
        return connection.execute(statement, list(rows)).rowcount
    # Its driver does not count what it leaves out.
    key = next(iter(table.primary_key.columns))
    return len(connection.execute(statement.returning(key), list(rows)).all())


def replace(connection: Connection, table: Table, rows: Sequence[Mapping[str, Any]]) -> None:
    """Writes the rows, each in the place of the one with its primary key."""
    if not rows:
        return
    statement = _insert(connection, table)
    key = [column.name for column in table.primary_key.columns]
    values = {column.name: statement.excluded[column.name] for column in table.columns if column.name in rows[0]}
    changed = {name: value for name, value in values.items() if name not in key}
    connection.execute(statement.on_conflict_do_update(index_elements=key, set_=changed), list(rows))


def _insert(connection: Connection, table: Table) -> Any:
    return (postgresql if connection.dialect.name == "postgresql" else sqlite).insert(table)
