"""Campaigns that stand still: who or what paused them, when and why. Senders see it in their next transaction."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

from sqlalchemy import Connection, func, insert, select, update

from campanile.errors import CampanileError
from campanile.ledger import tables
from campanile.ledger.records import PlanRecord
from campanile.ledger.store import Ledger

_PAUSED, _RESUMED = "paused", "resumed"


@dataclass(frozen=True, slots=True)
class Pause:
    """A pause that still holds."""

    who: str
    why: str
    at: datetime


def pause(ledger: Ledger, plan: PlanRecord, *, who: str, why: str, now: datetime) -> bool:
    """Whether the plan was paused by this; False when it was paused already, or is sent.

    No hand-over is opened after it; those under way get their answers.
    """
    table = tables.plan
    movable = (table.c.plan_id == plan.plan_id, table.c.state.in_(("planned", "sending")))
    with ledger.writing() as connection:
        moved = connection.execute(update(table).where(*movable).values(state=_PAUSED)).rowcount > 0
        if moved:
            _note(connection, {"plan_id": plan.plan_id, "kind": _PAUSED, "who": who, "why": why, "at": now})
    return moved


def resume(ledger: Ledger, plan: PlanRecord, *, who: str, why: str, now: datetime) -> None:
    """Nothing; every wave of the plan's campaign may be sent again. What breakers have seen so far does not count.

    Raises:
        CampanileError: None is paused.
    """
    table = tables.plan
    paused = (table.c.campaign == plan.campaign, table.c.state == _PAUSED)
    with ledger.writing() as connection:
        waves = list(connection.scalars(select(table.c.plan_id).where(*paused)))
        if not waves:
            raise CampanileError(f"{plan.campaign} is not paused", f"see `campanile status {plan.campaign}`")
        # A plan of which nothing has left goes on as one that is being sent: only its next run decides that anyway.
        connection.execute(update(table).where(*paused).values(state="sending"))
        for plan_id in waves:
            _note(connection, {"plan_id": plan_id, "kind": _RESUMED, "who": who, "why": why, "at": now})


def paused(ledger: Ledger, plan_id: str) -> Pause | None:
    """The pause under which the plan stands; None when it is not paused."""
    table = tables.event
    query = select(table).where(table.c.plan_id == plan_id, table.c.kind == _PAUSED).order_by(table.c.event_id.desc())
    with ledger.reading() as connection:
        state = connection.scalar(select(tables.plan.c.state).where(tables.plan.c.plan_id == plan_id))
        row = connection.execute(query.limit(1)).first() if state == _PAUSED else None
    return None if row is None else Pause(row.who, row.why, row.at)


def standing_still(ledger: Ledger, campaign: str) -> Pause | None:
    """The pause of any wave of the campaign, because what was wrong with one is wrong with the next; None without."""
    table = tables.plan.c
    query = select(table.plan_id).where(table.campaign == campaign, table.state == _PAUSED).limit(1)
    with ledger.reading() as connection:
        plan_id = connection.scalar(query)
    return None if plan_id is None else paused(ledger, plan_id)


def resumed(connection: Connection, plan_id: str) -> tuple[int, datetime]:
    """When the plan was resumed last, as the number of the latest answers and as a moment; long ago when never."""
    table = tables.event.c
    query = select(table.serial, table.at).where(table.plan_id == plan_id, table.kind == _RESUMED)
    row = connection.execute(query.order_by(table.event_id.desc()).limit(1)).first()
    return (0, datetime(1970, 1, 1, tzinfo=UTC)) if row is None else (row.serial or 0, row.at)


def _note(connection: Connection, event: dict[str, object]) -> None:
    serial = connection.scalar(select(func.max(tables.attempt.c.serial))) or 0
    connection.execute(insert(tables.event), [{**event, "serial": serial}])
