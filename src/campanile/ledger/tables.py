"""The ledger's tables. Promise 3 is written here as constraints, so that no code above can break it unnoticed."""

from __future__ import annotations

from datetime import UTC, datetime

from sqlalchemy import (
    CheckConstraint,
    Column,
    DateTime,
    Dialect,
    Float,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    TypeDecorator,
    UniqueConstraint,
    text,
)

from campanile.events import CONTROL, MessageState, Outcome

#: Raised when the tables change; `engine.schema` brings a ledger of an earlier number forward.
SCHEMA = 3


class Moment(TypeDecorator[datetime]):
    """Aware UTC in Python, naive UTC in the table."""

    impl = DateTime
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002
        """The moment without its zone, in UTC."""
        return value if value is None else value.astimezone(UTC).replace(tzinfo=None)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002
        """The moment with its zone."""
        return value if value is None else value.replace(tzinfo=UTC)


def _one_of(column: str, words: type[MessageState | Outcome]) -> CheckConstraint:
    allowed = ", ".join(f"'{word.value}'" for word in words)
    return CheckConstraint(f"{column} IN ({allowed})", name=f"{column}_is_known")


#: An attempt without an outcome is a hand-over under way: it could be accepted too.
_COULD_BE_ACCEPTED = text("outcome IS NULL OR outcome IN ('accepted', 'unknown')")

metadata = MetaData()

meta = Table("meta", metadata, Column("key", String, primary_key=True), Column("value", String, nullable=False))

plan = Table(
    "plan",
    metadata,
    Column("plan_id", String, primary_key=True),
    Column("campaign", String, nullable=False),
    Column("wave", String, nullable=False),
    Column("as_of", Moment, nullable=False),
    Column("created_at", Moment, nullable=False),
    Column("fingerprint", String, nullable=False),
    Column("spec", Text, nullable=False),
    Column("snapshot", String, nullable=False),
    Column("snapshot_sha256", String, nullable=False),
    Column("arms", Text, nullable=False),
    Column("state", String, nullable=False),
    Column("planned", Integer, nullable=False, server_default="0"),
    UniqueConstraint("campaign", "wave"),
)

message = Table(
    "message",
    metadata,
    Column("message_id", String, primary_key=True),
    Column("plan_id", ForeignKey("plan.plan_id"), nullable=False),
    Column("batch", Integer, nullable=False),
    Column("customer_id", String, nullable=False),
    Column("arm", String, nullable=False),
    Column("step", String, nullable=False),
    Column("channel", String, nullable=False),
    Column("address", String, nullable=False),
    Column("variables", Text, nullable=False),
    Column("due_at", Moment, nullable=False),
    # From when it may go out: its moment at first, later when quiet hours hold it or a provider puts it off.
    Column("not_before", Moment, nullable=False),
    Column("expires_at", Moment, nullable=False),
    Column("zone", String, nullable=False),
    Column("state", String, nullable=False, server_default=MessageState.DUE.value),
    Column("reason", String, nullable=False, server_default=""),
    Column("attempts", Integer, nullable=False, server_default="0"),
    # How often the provider put it off; a provider that cannot be reached puts nothing off.
    Column("deferrals", Integer, nullable=False, server_default="0"),
    Column("settled_at", Moment),
    # Who has claimed it, or had it last.
    Column("worker", String, nullable=False, server_default=""),
    CheckConstraint(f"arm <> '{CONTROL}'", name="control_gets_nothing"),
    _one_of("state", MessageState),
    UniqueConstraint("plan_id", "step", "customer_id", "channel", name="one_message_per_recipient_and_step"),
    # Claims walk this index in order, tallies read nothing else.
    Index("message_queue", "plan_id", "batch", "state", "not_before"),
    # What a customer got from other campaigns is asked before each hand-over.
    Index("message_of_customer", "customer_id"),
)

attempt = Table(
    "attempt",
    metadata,
    Column("message_id", ForeignKey("message.message_id"), primary_key=True),
    Column("n", Integer, primary_key=True),
    Column("channel", String, nullable=False),
    Column("opened_at", Moment, nullable=False),
    Column("closed_at", Moment),
    Column("outcome", String),
    Column("provider_id", String, nullable=False, server_default=""),
    Column("detail", String, nullable=False, server_default=""),
    # Rises with every commit that gives outcomes: who has read up to a number has missed nothing, whatever the clock.
    Column("serial", Integer, index=True),
    Column("worker", String, nullable=False, server_default=""),
    # What the provider counted and charged, exactly as it said; empty when it did not.
    Column("parts", Integer, nullable=False, server_default="0"),
    Column("price", String, nullable=False, server_default=""),
    Column("currency", String, nullable=False, server_default=""),
    _one_of("outcome", Outcome),
    Index(
        "one_hand_over_that_could_be_accepted",
        "message_id",
        unique=True,
        sqlite_where=_COULD_BE_ACCEPTED,
        postgresql_where=_COULD_BE_ACCEPTED,
    ),
)

event = Table(
    "event",
    metadata,
    Column("event_id", Integer, primary_key=True, autoincrement=True),
    Column("at", Moment, nullable=False),
    Column("plan_id", String, nullable=False),
    Column("message_id", String, nullable=False, server_default=""),
    Column("kind", String, nullable=False),
    Column("who", String, nullable=False, server_default=""),
    Column("why", String, nullable=False, server_default=""),
    # Of the latest answers when it happened.
    Column("serial", Integer),
)

# Who sends. A claim is a worker's, and a worker lives until its lease ends, by the database's clock.
worker = Table(
    "worker",
    metadata,
    Column("worker_id", String, primary_key=True),
    Column("name", String, nullable=False),
    Column("since", Moment, nullable=False),
    Column("lease_until", Moment, nullable=False),
)

# How many hand-overs may begin now over a channel or from a sender; shared by all workers.
pace = Table(
    "pace",
    metadata,
    Column("name", String, primary_key=True),
    Column("tokens", Float, nullable=False),
    Column("at", Moment, nullable=False),
    Column("blocked_until", Moment),
)

# How many messages went to each domain of recipients on each day of the shop, while it warms up.
warm_up = Table(
    "warm_up",
    metadata,
    Column("day", String, primary_key=True),
    Column("domain", String, primary_key=True),
    Column("n", Integer, nullable=False),
)

suppression = Table(
    "suppression",
    metadata,
    Column("channel", String, primary_key=True),
    Column("address", String, primary_key=True),
    Column("reason", String, nullable=False),
    Column("source", String, nullable=False),
    Column("at", Moment, nullable=False),
)

registration = Table(
    "registration",
    metadata,
    Column("campaign", String, primary_key=True),
    Column("wave", String, primary_key=True),
    Column("plan_id", String, nullable=False),
    Column("fingerprint", String, nullable=False),
    Column("spec_json", Text, nullable=False),
    Column("at", Moment, nullable=False),
)
