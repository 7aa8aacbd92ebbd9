"""One run of a campaign: from the frozen plan to messages that are accounted for."""

from __future__ import annotations

import asyncio
import json
import signal
import threading
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager, nullcontext
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Literal, get_args
from zoneinfo import ZoneInfo

from campanile import clock
from campanile.channels import Channel, open_channel
from campanile.errors import CampanileError, UsageError, did_you_mean
from campanile.ledger import Ledger, PlanRecord, Tally
from campanile.ledger.pausing import standing_still
from campanile.ledger.place import keep_place, move_here
from campanile.messages.render import open_messages
from campanile.sending.alive import alive
from campanile.sending.ask import Asked, ask_provider
from campanile.sending.care import Care, care_of
from campanile.sending.dry_run import dry_run
from campanile.sending.frozen import check_frozen, planned_record
from campanile.sending.lock import sender_lock
from campanile.sending.recover import recover
from campanile.sending.remind import leave_out_responders
from campanile.sending.send import Render, send_batch
from campanile.sending.status import status, status_text
from campanile.spec.project import Project

Mode = Literal["dry-run", "send"]
Now = Callable[[], datetime]
#: Told (messages in a final state, messages in all).
Progress = Callable[[int, int], None]

#: Open attempts per connection: while one is being answered, the next is already committed.
_PER_CONNECTION = 4


@dataclass(frozen=True)
class RunReport:
    """What one run came to.

    Attributes:
        status: The campaign's messages by state after the run (contract 1).
        would: In a dry run, how many waiting messages would go out now, later, or not at all.
        next_due: When the next waiting message may go out; None when none waits.
        stopped: Whether somebody stopped the run before its end.
    """

    mode: Mode
    status: Mapping[str, Any]
    would: Mapping[str, int] | None = None
    next_due: datetime | None = None
    stopped: bool = False

    def to_json(self) -> dict[str, Any]:
        """The status, and what is to be said of this run beside it."""
        run: dict[str, Any] = {"mode": self.mode, "stopped": self.stopped}
        if self.would is not None:
            run["would"] = dict(self.would)
        run["next_due"] = None if self.next_due is None else clock.iso(self.next_due)
        return {**self.status, **run}

    def text(self, zone: ZoneInfo) -> str:
        """The run for people, on the clock of a place."""
        lines = [status_text(self.status)]
        if self.would is not None:
            fates = ", ".join(f"{count:,} {_WOULD[fate]}" for fate, count in self.would.items() if count)
            lines.append(f"dry run, nothing was handed over; now {fates or 'nothing would go out: none is waiting'}")
        if self.status.get("paused"):
            lines.append(f"mend it, then `campanile resume {self.status['campaign']}` and run again")
        elif self.stopped:
            lines.append("stopped; run again to go on, nobody is written to twice")
        elif self.next_due is not None and self.mode == "send":
            lines.append(f"next due {clock.words(self.next_due, zone)}; run again from then on")
        return "\n".join(lines)


#: What a dry run says of messages, by what would become of them.
_WOULD = {
    "now": "would go out",
    "later": "would wait for their moment",
    "held": "would wait for quiet hours to end",
    "suppressed": "would be left out as suppressed",
    "expired": "would expire, too late to go out",
}


@dataclass(frozen=True)
class Dispatch:
    """A campaign ready to be sent: recovered, registered, its channel open. One task sends one batch.

    Attributes:
        batches: Numbers of the batches; empty when nothing is due yet.
        stop: Set it to stop gently.
    """

    ledger: Ledger
    plan: PlanRecord
    channel: Channel
    render: Render
    now: Now
    batches: tuple[int, ...]
    stop: asyncio.Event
    in_flight: int
    care: Care

    async def send(self, batch: int, progress: Callable[[int], None] | None = None) -> Tally:
        """How the batch stands after it was sent; see `send_batch`."""
        return await send_batch(
            self.ledger,
            self.plan,
            batch,
            channel=self.channel,
            render=self.render,
            now=self.now,
            stop=self.stop,
            progress=progress,
            in_flight=self.in_flight,
            care=self.care,
        )


def run_campaign(  # noqa: PLR0913 - what a person may say on the command line
    project: Project,
    campaign: str,
    *,
    mode: str,
    now: Now = clock.now,
    progress: Progress | None = None,
    moved: bool = False,
    wave: str | None = None,
) -> RunReport:
    """What the run came to. Ctrl-C and SIGTERM end it gently.

    Args:
        project: What is committed.
        campaign: Name of the campaign; it must be planned.
        mode: `send`, or `dry-run`, which renders everything and hands nothing over.
        now: Tells the present moment.
        progress: Told (messages in a final state, messages in all).
        moved: Whether a person says that the ledger was moved here on purpose; from now on it sends from here.
        wave: Which one of a repeating campaign; default: the first of which something waits.

    Raises:
        CampanileError: There is no plan, its files changed, another process sends, the ledger is a copy, or sending had
            to stop. What was answered until then is written down, the rest is still due.
    """
    project.campaign(campaign)
    if mode not in get_args(Mode):
        raise UsageError(f'no mode "{mode}"', did_you_mean(mode, get_args(Mode)))
    tell = progress or (lambda _done, _total: None)
    if mode == "send":
        return asyncio.run(_send(project, campaign, now, tell, moved=moved, wave=wave))
    with Ledger.open(project.ledger_place) as ledger:
        plan = planned_record(ledger, campaign, wave)
        check_frozen(project, ledger, plan)
        would = dry_run(ledger, plan, render=_renderer(project, campaign, now), now=now(), progress=tell)
        return RunReport("dry-run", status(ledger, plan), would, ledger.next_due(plan.plan_id))


def ask_about(project: Project, campaign: str, *, now: Now = clock.now) -> Asked:
    """What the campaign's provider says of hand-overs whose answer was lost; see `ask_provider`."""
    with Ledger.open(project.ledger_place) as ledger:
        plan = planned_record(ledger, campaign)
        messages = open_messages(project, campaign)
        asking = ask_provider(
            ledger,
            plan,
            _channel(project, plan),
            render=lambda planned, at: messages.render(planned, at=at),
            now=now(),
        )
        return asyncio.run(asking)


@asynccontextmanager
async def open_dispatch(
    project: Project, campaign: str, *, now: Now = clock.now, moved: bool = False, wave: str | None = None
) -> AsyncIterator[Dispatch]:
    """A campaign ready to be sent, with the right to send from its ledger until the end of the block.

    Everything that can be wrong shows here, before a message is claimed. At the end of the block the plan is `sent`
    when nothing of it waits any more. `moved` is a person's word that the ledger was moved here on purpose.
    """
    place = project.ledger_place
    with Ledger.open(place) as ledger, sender_lock(place) if isinstance(place, Path) else nullcontext():
        if moved:
            move_here(ledger)
        keep_place(ledger, cure=f"say so: campanile run {campaign} --mode send --moved-here")
        plan = planned_record(ledger, campaign, wave)
        _refuse_paused(ledger, plan)
        check_frozen(project, ledger, plan)
        channel = _channel(project, plan)
        recover(ledger, plan, channel, now())
        leave_out_responders(project, ledger, plan, now())
        next_due = ledger.next_due(plan.plan_id)
        due = next_due is not None and next_due <= now()
        batches = tuple(ledger.batches(plan.plan_id)) if due else ()
        in_flight = project.settings.channels[project.campaign(campaign).channel.use].connections * _PER_CONNECTION
        render, care, stop = _renderer(project, campaign, now), care_of(project, plan), asyncio.Event()
        dispatch = Dispatch(ledger, plan, channel, render, now, batches, stop, in_flight, care)
        try:
            if due:
                await channel.open()
                _begin(ledger, plan, now())
            async with alive(ledger, stop):
                yield dispatch
        finally:
            await channel.close()
            if ledger.tally(plan.plan_id).unfinished == 0:
                ledger.set_state(plan.plan_id, "sent")


async def _send(  # noqa: PLR0913
    project: Project, campaign: str, now: Now, progress: Progress, *, moved: bool, wave: str | None
) -> RunReport:
    async with open_dispatch(project, campaign, now=now, moved=moved, wave=wave) as dispatch:
        tally = dispatch.ledger.tally(dispatch.plan.plan_id)
        done = tally.planned - tally.unfinished

        def advance(count: int) -> None:
            nonlocal done
            done += count
            progress(done, tally.planned)

        with _signals_stop(dispatch.stop):
            for batch in dispatch.batches:
                if not dispatch.stop.is_set():
                    await dispatch.send(batch, advance)
    with Ledger.open(project.ledger_place) as ledger:
        next_due = ledger.next_due(dispatch.plan.plan_id)
        return RunReport("send", status(ledger, dispatch.plan), None, next_due, dispatch.stop.is_set())


def _refuse_paused(ledger: Ledger, plan: PlanRecord) -> None:
    """CampanileError when the campaign stands still; says who paused it and why."""
    found = standing_still(ledger, plan.campaign)
    if found is not None:
        what = f"{plan.campaign} was paused by {found.who}: {found.why}"
        raise CampanileError(what, f"mend it, then `campanile resume {plan.campaign} --who you --why what-was-mended`")


def _begin(ledger: Ledger, plan: PlanRecord, now: datetime) -> None:
    spec_json = json.dumps(plan.spec, ensure_ascii=False, sort_keys=True)
    ledger.register_experiment(plan.plan_id, plan.campaign, plan.fingerprint, spec_json, now)
    ledger.set_state(plan.plan_id, "sending")


def _channel(project: Project, plan: PlanRecord) -> Channel:
    medium = project.campaign(plan.campaign).channel.use
    outbox = project.outbox_dir / plan.campaign / plan.wave
    return open_channel(medium, project.settings.channels[medium], outbox, run=plan.plan_id)


def _renderer(project: Project, campaign: str, now: Now) -> Render:
    messages = open_messages(project, campaign)
    return lambda planned: messages.render(planned, at=now())


@contextmanager
def _signals_stop(stop: asyncio.Event) -> Iterator[None]:
    """Lets Ctrl-C and SIGTERM end the run gently; outside the main thread whoever runs us does that."""
    loop = asyncio.get_running_loop()
    before = {}
    if threading.current_thread() is threading.main_thread():
        for number in (signal.SIGINT, signal.SIGTERM):
            before[number] = signal.getsignal(number)
            loop.add_signal_handler(number, stop.set)
    try:
        yield
    finally:
        for number, handler in before.items():
            loop.remove_signal_handler(number)
            signal.signal(number, handler)
