"""One writer for all requests: what comes in at the same time is committed together, and only then answered."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TypeVar

from campanile import clock
from campanile.errors import CampanileError
from campanile.ledger import Ledger
from campanile.responses.inbox import Arrival, find, keep
from campanile.responses.process import digest, settle

#: Arrivals in one commit, and arrivals that may wait for theirs.
_TOGETHER, _WAITING = 5_000, 50_000

T = TypeVar("T")


class BusyError(CampanileError):
    """More comes in than can be written; whoever sent it shall come again."""


@dataclass
class _Wish:
    arrivals: Sequence[Arrival]
    at_once: bool
    done: asyncio.Future[int] = field(repr=False)


class Writer:
    """Keeps arrivals. Use as an async context manager; one thread writes, so that commits never wait for each other."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._wishes: list[_Wish] = []
        self._pending = 0
        self._wake = asyncio.Event()
        self._clerk = ThreadPoolExecutor(1, thread_name_prefix="inbox")
        self._loop: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Writer:
        self._loop = asyncio.create_task(self._run())
        return self

    async def __aexit__(self, *error: object) -> None:
        if self._loop is not None:
            self._loop.cancel()
        # What waits now was never answered; whoever sent it will come again.
        for wish in self._wishes:
            wish.done.cancel()
        await asyncio.get_running_loop().run_in_executor(None, self._clerk.shutdown)

    @property
    def alive(self) -> bool:
        """Whether arrivals are still written."""
        return self._loop is not None and not self._loop.done()

    async def keep(self, arrivals: Sequence[Arrival], *, at_once: bool = False) -> int:
        """How many of the arrivals were new, after they are on the disk.

        Args:
            arrivals: What came.
            at_once: Whether its meaning takes effect in the same commit: a refusal does.

        Raises:
            BusyError: Too much waits to be written.
            CampanileError: The ledger fails.
        """
        if self._pending + len(arrivals) > _WAITING:
            raise BusyError("too much waits to be written", "come again")
        done: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self._wishes.append(_Wish(arrivals, at_once, done))
        self._pending += len(arrivals)
        self._wake.set()
        return await done

    async def clerically(self, work: Callable[[], T]) -> T:
        """What the work returns, done by the thread that writes."""
        return await asyncio.get_running_loop().run_in_executor(self._clerk, work)

    async def _run(self) -> None:
        while True:
            await self._wake.wait()
            self._wake.clear()
            while self._wishes:
                await self._commit(self._take())

    def _take(self) -> list[_Wish]:
        """The oldest wishes, as many as one commit holds; at least one."""
        count = size = 0
        for wish in self._wishes:
            if count and size + len(wish.arrivals) > _TOGETHER:
                break
            count, size = count + 1, size + len(wish.arrivals)
        taken, self._wishes = self._wishes[:count], self._wishes[count:]
        return taken

    async def _commit(self, wishes: Sequence[_Wish]) -> None:
        try:
            new = await self.clerically(lambda: self._write(wishes))
        except Exception as error:  # whatever it is, nobody is told that their event is safe
            for wish in wishes:
                if not wish.done.done():
                    wish.done.set_exception(error)
        else:
            for wish, count in zip(wishes, new, strict=True):
                if not wish.done.done():
                    wish.done.set_result(count)
        finally:
            self._pending -= sum(len(wish.arrivals) for wish in wishes)

    def _write(self, wishes: Sequence[_Wish]) -> list[int]:
        now = clock.now()
        touched: set[str] = set()
        urgent = [(each.provider, each.event_id) for wish in wishes if wish.at_once for each in wish.arrivals]
        # Rows alone hinder no sender; a refusal is committed beside no hand-over.
        with self._ledger.writing() if urgent else self._ledger.sharing() as connection:
            new = [keep(connection, wish.arrivals, now) for wish in wishes]
            if urgent:
                touched = digest(connection, find(connection, urgent))[1]
        if touched:
            settle(self._ledger, touched)
        return new
