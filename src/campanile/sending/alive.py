"""A worker's lease, kept for as long as it sends."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from campanile.errors import CampanileError
from campanile.ledger import Ledger
from campanile.ledger.workers import LEASE, discharge, enlist, renew

#: A lease is renewed so often that one renewal may fail.
_TIMES = 4


@asynccontextmanager
async def alive(ledger: Ledger, stop: asyncio.Event) -> AsyncIterator[None]:
    """Keeps the worker's lease until the end of the block; sets `stop` when others took it for dead."""
    with ledger.sharing() as connection:
        enlist(ledger, connection)
    ledger.enlisted = True
    renewing = asyncio.create_task(_renew(ledger, stop)) if ledger.database.shared else None
    try:
        yield
    finally:
        if renewing is not None:
            renewing.cancel()
            with suppress(asyncio.CancelledError):
                await renewing
        ledger.enlisted = False
        # A ledger that is out of reach now lets the lease end by itself.
        with suppress(CampanileError):
            discharge(ledger)


async def _renew(ledger: Ledger, stop: asyncio.Event) -> None:
    while True:
        await asyncio.sleep(LEASE.total_seconds() / _TIMES)
        with suppress(CampanileError):
            if not await asyncio.to_thread(renew, ledger):
                stop.set()
                return
