"""The send loop of one batch.

Attempts are committed for at most `in_flight` messages before any of them is handed over, and the answers of some are
committed together with the attempts of the next. So a sender that dies leaves at most `in_flight` messages unknown.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import TypeVar

from campanile import clock
from campanile.channels import Channel, ChannelUnavailableError, WithdrawnError
from campanile.errors import CampanileError
from campanile.events import Message, MessageState, Outcome, PlannedMessage, Receipt
from campanile.ledger import Ledger, Mode, Opened, PlanRecord, Tally
from campanile.ledger.breakers import tripped
from campanile.ledger.hand_overs import claim, exchange, release
from campanile.ledger.pausing import pause
from campanile.sending.care import CARELESS, Care
from campanile.sending.quiet import quiet_hours
from campanile.spec.quiet import quiet_until

Render = Callable[[PlannedMessage], Message]
#: Told how many more messages reached a final state.
Progress = Callable[[int], None]

T = TypeVar("T")

#: Messages claimed in one commit. Claims without an attempt are worthless after a crash, so many are harmless.
CLAIM = 200
#: Seconds that hand-overs under way get to answer when the run is stopped.
GRACE = 10.0
#: Seconds that answers wait for others to be committed together.
_MOMENT = 0.1
#: Seconds, or answers, between two looks at the latest answers; seconds between two at what came back.
_SECOND, _MANY, _REPORTS = 1.0, 200, 15.0
#: Seconds that a run waits when its provider asks for time.
PATIENCE = 120.0
#: Seconds between attempts to write answers down when the ledger fails.
_PAUSES = (0.2, 1.0, 3.0)


@dataclass(frozen=True)
class Job:
    """What one batch is sent with."""

    ledger: Ledger
    plan: PlanRecord
    batch: int
    channel: Channel
    render: Render
    now: Callable[[], datetime]
    care: Care = CARELESS


@dataclass(frozen=True)
class _Wanted:
    """A message ready to go: planned, rendered, and until when it must wait if it must."""

    planned: PlannedMessage
    message: Message
    quiet_until: datetime | None


async def send_batch(  # noqa: PLR0913 - the interface that flows call
    ledger: Ledger,
    plan: PlanRecord,
    batch: int,
    *,
    channel: Channel,
    render: Render,
    now: Callable[[], datetime] = clock.now,
    stop: asyncio.Event,
    progress: Progress | None = None,
    in_flight: int = 32,
    care: Care = CARELESS,
) -> Tally:
    """How the batch stands once every message whose moment has come was handed over, or `stop` was set.

    A breaker that trips pauses the plan and sets `stop`.

    Raises:
        CampanileError: The provider cannot be reached or asks to wait for long, a message cannot be rendered, or the
            ledger fails. Whatever was answered is written down first; the rest stays due.
    """
    sender = _Sender(Job(ledger, plan, batch, channel, render, now, care), stop, in_flight)
    sending = asyncio.create_task(sender.run(progress or (lambda _: None)))
    try:
        await asyncio.shield(sending)
    except asyncio.CancelledError:
        # Whoever cancels us gets the same orderly end as whoever asks for it.
        stop.set()
        await sending
        raise
    return ledger.tally(plan.plan_id, batch)


class _Sender:
    """One batch on its way. Everything but the ledger's own work happens on the event loop."""

    def __init__(self, job: Job, stop: asyncio.Event, in_flight: int) -> None:
        self._job = job
        self._stop = stop
        self._in_flight = in_flight
        self._mode = Mode(job.channel.name, job.channel.idempotent, job.care.rates, job.care.rules)
        self._quiet = quiet_hours(job.plan.spec)
        self._claimed: deque[PlannedMessage] = deque()
        self._exhausted = False
        self._running: dict[str, asyncio.Task[None]] = {}
        self._answers: list[Receipt] = []
        self._returned: list[str] = []
        self._wake = asyncio.Event()
        self._plenty = asyncio.Event()
        self._failure: CampanileError | None = None
        #: Rendered, and not yet let go by the pace.
        self._ready: dict[str, Message] = {}
        self._begin_at = 0.0
        self._look_at, self._unlooked, self._reports_at = 0.0, 0, 0.0
        # One thread: commits wait for the disk while hand-overs go on, and never for each other.
        self._clerk = ThreadPoolExecutor(1, thread_name_prefix="ledger")

    async def run(self, progress: Progress) -> None:
        """Sends until nothing is left, somebody stops it, or something fails."""
        watch = asyncio.create_task(self._watch())
        try:
            try:
                await self._send(progress)
            finally:
                await self._finish(progress)
        finally:
            watch.cancel()
            self._clerk.shutdown()
        if self._failure is not None:
            raise self._failure

    async def _watch(self) -> None:
        await self._stop.wait()
        self._wake.set()
        self._plenty.set()

    @property
    def _closing(self) -> bool:
        return self._stop.is_set() or self._failure is not None

    @property
    def _room(self) -> int:
        return self._in_flight - len(self._running)

    async def _send(self, progress: Progress) -> None:
        try:
            while not self._closing:
                await self._refill()
                wanted = [] if self._waits > 0 else self._render()
                if wanted or self._answers or self._returned:
                    await self._commit(wanted, progress)
                elif not self._running and self._waits <= 0:
                    break
                await self._look()
                if self._running or self._waits > 0:
                    await self._gather()
            await self._look(now=True)
        except CampanileError as error:
            self._fail(error)

    @property
    def _waits(self) -> float:
        """Seconds until more may begin; 0 or less when they may now."""
        return self._begin_at - time.monotonic()

    async def _look(self, *, now: bool = False) -> None:
        """Asks the breakers now and then; one that trips pauses the plan, and with it every other sender."""
        job = self._job
        breakers = job.care.breakers
        due = now or self._unlooked >= _MANY or time.monotonic() >= self._look_at
        if breakers is None or not due:
            return
        self._look_at, self._unlooked = time.monotonic() + _SECOND, 0
        reports = now or time.monotonic() >= self._reports_at
        if reports:
            self._reports_at = time.monotonic() + _REPORTS
        why = await self._clerically(partial(tripped, job.ledger, job.plan.plan_id, breakers, reports=reports))
        if why is not None:
            await self._clerically(partial(pause, job.ledger, job.plan, who="breaker", why=why, now=job.now()))
            self._stop.set()

    async def _gather(self) -> None:
        """Waits for an answer, and a moment longer for more of them: half of those in flight make one commit."""
        with suppress(TimeoutError):
            await asyncio.wait_for(self._wake.wait(), max(self._waits, 0) or None)
        self._wake.clear()
        if not self._enough and not self._closing:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._plenty.wait(), _MOMENT)
        self._plenty.clear()

    @property
    def _enough(self) -> bool:
        return not self._running or len(self._answers) >= self._in_flight // 2

    async def _refill(self) -> None:
        if self._exhausted or len(self._claimed) >= self._in_flight:
            return
        job = self._job
        more = await self._clerically(
            partial(claim, job.ledger, job.plan.plan_id, job.batch, now=job.now(), limit=CLAIM)
        )
        self._exhausted = len(more) < CLAIM
        self._claimed += more

    def _render(self) -> list[_Wanted]:
        """The next messages, as many as there is room for, rendered before anything is committed for them."""
        rendered: list[_Wanted] = []
        moment = self._job.now()
        ready, self._ready = self._ready, {}
        while self._claimed and len(rendered) < self._room and not self._closing:
            planned = self._claimed[0]
            try:
                quiet = quiet_until(moment, clock.zone(planned.zone), self._quiet)
                message = ready.get(planned.message_id) or self._job.render(planned)
                rendered.append(_Wanted(planned, message, quiet))
            except Exception as error:  # whatever a template does, the message stays due
                self._fail(unrenderable(planned, error))
            else:
                self._claimed.popleft()
        return rendered

    async def _commit(self, wanted: Sequence[_Wanted], progress: Progress) -> None:
        """Writes the answers down, opens attempts for what is wanted, then hands that over."""
        answers, self._answers = self._answers, []
        returned, self._returned = self._returned, []
        work = partial(
            exchange,
            self._job.ledger,
            self._job.plan.plan_id,
            answers=answers,
            returned=returned,
            wanted=[each.planned for each in wanted],
            held={each.planned.message_id: each.quiet_until for each in wanted if each.quiet_until},
            mode=self._mode,
            now=self._job.now(),
        )
        try:
            opened = await self._clerically(work)
        except CampanileError:
            self._answers, self._returned = answers + self._answers, returned + self._returned
            self._put_back(wanted)
            raise
        self._unlooked += len(answers)
        rendered = {each.planned.message_id: each.message for each in wanted}
        for planned in opened.messages:
            self._start(rendered[planned.message_id])
        if opened.left:
            self._slow_down(opened, rendered)
        if not opened.running:
            self._put_back(wanted)
            self._stop.set()
        progress(_settled(answers, opened))

    def _slow_down(self, opened: Opened, rendered: Mapping[str, Message]) -> None:
        """Keeps what may not begin yet for a moment; a provider that asks for more time than that ends the run."""
        self._claimed.extendleft(reversed(opened.left))
        self._ready = {planned.message_id: rendered[planned.message_id] for planned in opened.left}
        self._begin_at = time.monotonic() + opened.wait
        if opened.wait > PATIENCE:
            minutes = round(opened.wait / 60)
            what = f"the provider of {self._job.channel.name} takes no messages for the next {minutes} minutes"
            self._fail(CampanileError(what, "run again then; everything not yet sent is still due"))

    def _put_back(self, wanted: Sequence[_Wanted]) -> None:
        self._claimed.extendleft(each.planned for each in reversed(wanted))

    def _start(self, message: Message) -> None:
        self._running[message.message_id] = asyncio.create_task(self._hand_over(message))

    async def _hand_over(self, message: Message) -> None:
        receipt: Receipt | None = None
        try:
            receipt = await self._job.channel.hand_over(message)
        except ChannelUnavailableError as error:
            self._fail(error)
        except WithdrawnError:
            pass
        except asyncio.CancelledError:
            receipt = Receipt(message.message_id, Outcome.UNKNOWN, detail="stopped while waiting for the answer")
        except Exception as error:  # a channel that breaks its promise leaves the answer open
            receipt = Receipt(message.message_id, Outcome.UNKNOWN, detail=f"the channel broke ({type(error).__name__})")
            self._fail(_broken(self._job.channel, message, error))
        if receipt is None:
            self._returned.append(message.message_id)
        else:
            self._answers.append(receipt)
        del self._running[message.message_id]
        self._wake.set()
        if self._enough:
            self._plenty.set()

    async def _finish(self, progress: Progress) -> None:
        """Waits for what is under way, writes it down, and gives back what was not begun."""
        if self._running:
            await asyncio.wait(self._running.values(), timeout=GRACE)
        for task in list(self._running.values()):
            task.cancel()
        await asyncio.gather(*self._running.values())
        for seconds in (*_PAUSES, None):
            try:
                if self._answers or self._returned:
                    await self._commit((), progress)
                claimed = [planned.message_id for planned in self._claimed]
                await self._clerically(partial(release, self._job.ledger, claimed))
            except CampanileError as error:
                self._fail(error)
                if seconds is None:
                    self._failure = _unwritten(error, len(self._answers))
                    return
                await asyncio.sleep(seconds)
            else:
                return

    def _fail(self, error: CampanileError) -> None:
        self._failure = self._failure or error
        self._wake.set()

    async def _clerically(self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._clerk, work)


def _settled(answers: Sequence[Receipt], opened: Opened) -> int:
    aside = sum(count for state, count in opened.aside.items() if state is not MessageState.HELD)
    return aside + sum(answer.outcome is not Outcome.NOT_SENT for answer in answers)


def unrenderable(planned: PlannedMessage, error: Exception) -> CampanileError:
    """The sentence for a message that cannot be rendered. Its values stay out of it."""
    why = str(error) if isinstance(error, CampanileError) else type(error).__name__
    return CampanileError(
        f"message {planned.message_id} cannot be rendered ({why}); it was not handed over",
        "mend the template and run again: everything not yet sent is still due",
    )


def _broken(channel: Channel, message: Message, error: Exception) -> CampanileError:
    what = f"the channel {channel.name} broke at message {message.message_id} ({type(error).__name__})"
    return CampanileError(what, "that message is unknown, the rest is still due; report this")


def _unwritten(error: CampanileError, answers: int) -> CampanileError:
    what = f"{error.what}; {answers} answers could not be written down and will be shown as unknown"
    return CampanileError(what, error.cure)
