"""Who sends: workers with leases. A claim is its worker's until the lease ends; then others settle what it left.

On SQLite only the holder of the file's lock sends, and it knows that every other worker is dead. On PostgreSQL a worker
is dead when its lease has ended by the server's clock; clocks of machines may be wrong, or jump.
"""

from __future__ import annotations

import os
import socket
from datetime import timedelta

from sqlalchemy import Connection, bindparam, delete, exists, insert, select, update

from campanile.errors import CampanileError
from campanile.events import MessageState
from campanile.ledger import tables
from campanile.ledger.store import Ledger

#: How long a worker that says nothing is taken to be alive.
LEASE = timedelta(seconds=60)

_STILL_MINE = (
    select(tables.worker.c.worker_id).where(tables.worker.c.worker_id == bindparam("me")).with_for_update(read=True)
)


class LeaseLostError(CampanileError):
    """Others take this worker for dead and have settled what it had claimed."""

    def __init__(self) -> None:
        super().__init__(
            "this worker was silent for too long, and its messages were taken over",
            "run again; what was under way is unknown, see `campanile status`",
        )


def enlist(ledger: Ledger, connection: Connection) -> None:
    """Nothing; the worker is alive from now on, for the length of a lease.

    Raises:
        LeaseLostError: It was on the list before, and others have taken it for dead.
    """
    table, now = tables.worker, ledger.database.now(connection)
    mine = table.c.worker_id == ledger.worker
    renewed = connection.execute(update(table).where(mine).values(lease_until=now + LEASE))
    if renewed.rowcount == 0:
        if ledger.enlisted:
            raise LeaseLostError
        name = f"process {os.getpid()} of {socket.gethostname()}"
        row = {"worker_id": ledger.worker, "name": name, "since": now, "lease_until": now + LEASE}
        connection.execute(insert(table).values(**row))


def still_mine(ledger: Ledger, connection: Connection) -> None:
    """Returns while nobody else has settled this worker's claims, and keeps them from it until the transaction ends.

    Raises:
        LeaseLostError: They have.
    """
    if connection.scalar(_STILL_MINE, {"me": ledger.worker}) is None:
        raise LeaseLostError


def renew(ledger: Ledger) -> bool:
    """Whether the worker is still alive; then its lease begins anew."""
    table = tables.worker
    with ledger.sharing() as connection:
        until = ledger.database.now(connection) + LEASE
        found = connection.execute(update(table).where(table.c.worker_id == ledger.worker).values(lease_until=until))
        return found.rowcount > 0


def discharge(ledger: Ledger) -> None:
    """Nothing; the worker is gone. One that still has claims stays until its lease ends."""
    claims = exists().where(
        tables.message.c.worker == ledger.worker, tables.message.c.state == MessageState.CLAIMED.value
    )
    with ledger.writing() as connection:
        connection.execute(delete(tables.worker).where(tables.worker.c.worker_id == ledger.worker, ~claims))


def bury(ledger: Ledger, connection: Connection) -> set[str]:
    """The workers that live, after those whose lease has ended were taken off the list. Call while nobody else writes.

    Where only one worker can be, it is the one who asks, and what it had before is a dead one's.
    """
    table = tables.worker
    if not ledger.database.shared:
        connection.execute(delete(table).where(table.c.worker_id != ledger.worker))
        return set()
    connection.execute(delete(table).where(table.c.lease_until < ledger.database.now(connection)))
    return set(connection.scalars(select(table.c.worker_id)))


def others(ledger: Ledger) -> list[str]:
    """Names of the other workers that live."""
    table = tables.worker.c
    with ledger.reading() as connection:
        living = table.lease_until >= ledger.database.now(connection)
        return list(connection.scalars(select(table.name).where(table.worker_id != ledger.worker, living)))
