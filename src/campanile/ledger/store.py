"""The ledger as the rest of the product sees it: plans, tallies, suppressions, registrations, history."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import Any
from uuid import uuid4

from sqlalchemy import Connection, Row, delete, func, insert, select, update

from campanile.errors import CampanileError
from campanile.events import MessageState, Outcome, PlannedMessage
from campanile.ledger import tables
from campanile.ledger.addresses import address_key
from campanile.ledger.bulk import write_messages, write_planned
from campanile.ledger.engine import Database, connect, is_there, noted
from campanile.ledger.records import Contact, PlanRecord, PlanState, Registration, Tally
from campanile.spec.places import LedgerPlace

#: Rows fetched at a time.
_CHUNK = 2_000
#: Seconds to wait for another process's lock. Registering a plan of millions holds it that long.
_PATIENCE = 60.0


class Ledger:
    """One ledger. Use as a context manager; every method is one transaction.

    Attributes:
        database: The database that it is in.
        worker: The id under which whoever holds this object claims messages.
        enlisted: Whether it is on the list of workers, as far as it knows.
    """

    def __init__(self, database: Database) -> None:
        self.database = database
        self.worker = uuid4().hex
        self.enlisted = False

    @classmethod
    def open(cls, place: LedgerPlace, *, patience: float = _PATIENCE) -> Ledger:
        """The ledger at that place, made when absent.

        Args:
            place: A SQLite file, or a schema on PostgreSQL.
            patience: Seconds to wait when another process holds the lock.

        Raises:
            CampanileError: It is damaged, locked, unwritable, unreachable, no ledger, or of a newer Campanile.
        """
        return cls(connect(place, patience))

    @staticmethod
    def is_there(place: LedgerPlace) -> bool:
        """Whether a ledger was made at that place."""
        return is_there(place)

    @property
    def name(self) -> str:
        """How sentences name it."""
        return self.database.name

    def close(self) -> None:
        """Closes every connection."""
        self.database.engine.dispose()

    def __enter__(self) -> Ledger:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def writing(self) -> AbstractContextManager[Connection]:
        """A transaction that nobody else can write beside; committed durably at the end of the block."""
        return self.database.writing()

    def sharing(self) -> AbstractContextManager[Connection]:
        """A transaction of one worker, beside those of others where the database has room for several."""
        return self.database.sharing()

    def reading(self) -> AbstractContextManager[Connection]:
        """A transaction that sees one moment of the ledger and holds up nobody."""
        return self.database.reading()

    def register(self, plan: PlanRecord, messages: Iterable[PlannedMessage]) -> None:
        """Writes plan and messages in one transaction; the same plan again changes nothing.

        Raises:
            CampanileError: Another plan of this wave has already begun to send, or a message is for control.
        """
        with self.writing() as connection:
            if not _make_room(connection, plan):
                return
            connection.execute(insert(tables.plan).values(**_plan_row(plan)))
            planned = write_planned(self.database, connection, plan.plan_id, messages)
            connection.execute(update(tables.plan).where(tables.plan.c.plan_id == plan.plan_id).values(planned=planned))

    def plan(self, campaign: str, wave: str | None = None) -> PlanRecord | None:
        """The plan of that wave, by default of the latest; None when nothing is planned."""
        table = tables.plan
        latest = (table.c.created_at.desc(), table.c.wave.desc())
        query = select(table).where(table.c.campaign == campaign).order_by(*latest)
        if wave is not None:
            query = query.where(table.c.wave == wave)
        with self.reading() as connection:
            row = connection.execute(query.limit(1)).first()
        return None if row is None else plan_record_of(row)

    def plans(self) -> list[PlanRecord]:
        """Every plan, oldest first."""
        with self.reading() as connection:
            rows = connection.execute(select(tables.plan).order_by(tables.plan.c.created_at, tables.plan.c.plan_id))
            return [plan_record_of(row) for row in rows]

    def set_state(self, plan_id: str, state: PlanState) -> None:
        """Moves a plan to another state. A running sender opens nothing more unless it is `sending`."""
        with self.writing() as connection:
            connection.execute(update(tables.plan).where(tables.plan.c.plan_id == plan_id).values(state=state))

    def batches(self, plan_id: str) -> list[int]:
        """Numbers of the plan's batches, in order."""
        column = tables.message.c.batch
        query = select(column).where(tables.message.c.plan_id == plan_id).distinct().order_by(column)
        with self.reading() as connection:
            return list(connection.scalars(query))

    def tally(self, plan_id: str, batch: int | None = None) -> Tally:
        """How the plan's messages stand, or those of one batch; the counts add up to `planned`."""
        table = tables.message
        counting = select(table.c.state, func.count()).where(table.c.plan_id == plan_id).group_by(table.c.state)
        if batch is not None:
            counting = counting.where(table.c.batch == batch)
        with self.reading() as connection:
            counts = {MessageState(state): count for state, count in connection.execute(counting)}
            query = select(tables.plan.c.planned).where(tables.plan.c.plan_id == plan_id)
            planned = (connection.scalar(query) or 0) if batch is None else sum(counts.values())
        return Tally(planned, counts)

    def begun(self, plan_id: str) -> bool:
        """Whether a hand-over of the plan was ever begun."""
        with self.reading() as connection:
            return _begun(connection, plan_id)

    def next_due(self, plan_id: str) -> datetime | None:
        """The moment from which the plan's next waiting message may go out; None when none waits."""
        table = tables.message
        waiting = (MessageState.DUE.value, MessageState.HELD.value)
        query = select(func.min(table.c.not_before)).where(table.c.plan_id == plan_id, table.c.state.in_(waiting))
        with self.reading() as connection:
            moment: datetime | None = connection.scalar(query)
        return moment

    def suppress(self, channel: str, address: str, *, reason: str, source: str, at: datetime) -> None:
        """Keeps every message away from that address from now on. Again changes nothing."""
        key = {"channel": channel, "address": address_key(channel, address)}
        with self.writing() as connection:
            if not _suppressed(connection, channel, address):
                connection.execute(insert(tables.suppression).values(**key, reason=reason, source=source, at=at))

    def is_suppressed(self, channel: str, address: str) -> bool:
        """Whether that address must not be contacted."""
        with self.reading() as connection:
            return _suppressed(connection, channel, address)

    def suppressions(self) -> Iterator[tuple[str, str]]:
        """Channel and address of everything suppressed, as `address_key` writes them; streamed."""
        query = select(tables.suppression.c.channel, tables.suppression.c.address)
        with self.reading() as connection:
            for row in connection.execution_options(yield_per=_CHUNK).execute(query):
                yield row.channel, row.address

    def register_experiment(self, plan_id: str, campaign: str, fingerprint: str, spec_json: str, at: datetime) -> None:
        """Keeps what the experiment promised, at the plan's first send. Later calls change nothing."""
        table = tables.registration
        with self.writing() as connection:
            wave = connection.scalar(select(tables.plan.c.wave).where(tables.plan.c.plan_id == plan_id))
            known = select(table.c.plan_id).where(table.c.campaign == campaign, table.c.wave == wave)
            if wave is None or connection.scalar(known) is not None:
                return
            row = Registration(plan_id, campaign, wave, fingerprint, spec_json, at)
            connection.execute(insert(table).values(**asdict(row)))

    def registration(self, campaign: str, wave: str) -> Registration | None:
        """What the experiment of that wave promised; None before the first send."""
        table = tables.registration
        query = select(table).where(table.c.campaign == campaign, table.c.wave == wave)
        with self.reading() as connection:
            row = connection.execute(query).first()
        return None if row is None else Registration(**_named(row))

    @property
    def identity(self) -> str:
        """Tells this ledger from every other one."""
        with self.reading() as connection:
            return noted(connection, "identity")

    def last_serial(self) -> int:
        """The number of the latest commit that gave outcomes; 0 before the first. No lower one is still to come."""
        # Beside other writers a transaction may take a number and end after one that took a higher one.
        with self.writing() as connection:
            return connection.scalar(select(func.max(tables.attempt.c.serial))) or 0

    def contacts(self, after: int = 0) -> Iterator[Contact]:
        """What became of hand-overs in the commits after that number, in their order; streamed.

        A message comes again when an operator decides what nobody could know, or when it is handed over again.
        """
        message, attempt = tables.message.c, tables.attempt.c
        who = (message.message_id, message.customer_id, message.channel, message.plan_id)
        arrived = attempt.outcome.in_((Outcome.ACCEPTED.value, Outcome.UNKNOWN.value)).label("arrived")
        query = (
            select(*who, tables.plan.c.campaign, message.arm, attempt.opened_at.label("at"), arrived, attempt.serial)
            .join(tables.plan, tables.plan.c.plan_id == message.plan_id)
            .join(tables.attempt, attempt.message_id == message.message_id)
            .where(attempt.serial > after)
            .order_by(attempt.serial, message.message_id)
        )
        with self.reading() as connection:
            plans = map(plan_record_of, connection.execute(select(tables.plan)))
            purposes = {plan.plan_id: plan.purpose for plan in plans}
            for row in connection.execution_options(yield_per=_CHUNK).execute(query):
                values = _named(row)
                purpose = purposes[values.pop("plan_id")]
                yield Contact(**values, purpose=purpose)

    def first_hand_over(self, plan_id: str) -> datetime | None:
        """When the first attempt of the plan was opened; None when none was."""
        message, attempt = tables.message.c, tables.attempt.c
        query = (
            select(func.min(attempt.opened_at))
            .join(tables.message, message.message_id == attempt.message_id)
            .where(message.plan_id == plan_id)
        )
        with self.reading() as connection:
            moment: datetime | None = connection.scalar(query)
        return moment

    def export_messages(self, plan_id: str, path: Path) -> None:
        """Writes the plan's messages as Parquet, without addresses and variables; memory stays flat."""
        with self.reading() as connection:
            write_messages(connection, plan_id, path)


def _make_room(connection: Connection, plan: PlanRecord) -> bool:
    """Whether the plan is to be written; removes an earlier one of the same wave that never began to send."""
    table = tables.plan
    same_wave = (table.c.campaign == plan.campaign, table.c.wave == plan.wave)
    earlier = connection.scalar(select(table.c.plan_id).where(*same_wave))
    if earlier is None or earlier == plan.plan_id:
        return earlier is None
    if _begun(connection, earlier):
        raise CampanileError(
            f"wave {plan.wave} of {plan.campaign} has already begun to send; its plan cannot be replaced",
            f"finish it with `campanile run {plan.campaign}`, or plan another campaign",
        )
    connection.execute(delete(tables.message).where(tables.message.c.plan_id == earlier))
    connection.execute(delete(tables.registration).where(tables.registration.c.plan_id == earlier))
    connection.execute(delete(table).where(table.c.plan_id == earlier))
    return True


def _begun(connection: Connection, plan_id: str) -> bool:
    message = tables.message.c
    query = select(message.message_id).where(message.plan_id == plan_id, message.attempts > 0).limit(1)
    return connection.scalar(query) is not None


def _suppressed(connection: Connection, channel: str, address: str) -> bool:
    table = tables.suppression.c
    query = select(table.at).where(table.channel == channel, table.address == address_key(channel, address))
    return connection.scalar(query) is not None


def _named(row: Row[Any]) -> dict[str, Any]:
    return dict(row._mapping)


def _plan_row(plan: PlanRecord) -> dict[str, object]:
    row = asdict(plan)
    return {**row, "spec": json.dumps(row["spec"], ensure_ascii=False), "arms": json.dumps(row["arms"])}


def plan_record_of(row: Row[Any]) -> PlanRecord:
    """The plan of a row of the plan table."""
    values = _named(row)
    del values["planned"]
    spec, arms = json.loads(values.pop("spec")), json.loads(values.pop("arms"))
    return PlanRecord(**values, spec=spec, arms=arms)
