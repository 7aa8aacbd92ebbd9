"""The rehearsal of a send: every waiting message is rendered and judged, nothing is claimed or handed over."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from datetime import datetime
from itertools import islice

from campanile import clock
from campanile.events import MessageState, PlannedMessage
from campanile.ledger import Ledger, PlanRecord
from campanile.ledger.hand_overs import foresee, waiting
from campanile.sending.quiet import quiet_hours
from campanile.sending.send import Render, unrenderable
from campanile.spec.quiet import quiet_until

_CHUNK = 500


def dry_run(
    ledger: Ledger, plan: PlanRecord, *, render: Render, now: datetime, progress: Callable[[int, int], None]
) -> dict[str, int]:
    """How many messages would go out `now`, go out `later`, be `held`, `suppressed` or `expired`.

    Raises:
        CampanileError: A message cannot be rendered.
    """
    total = ledger.tally(plan.plan_id).unfinished
    would: Counter[str] = Counter(dict.fromkeys(("now", "later", "held", "suppressed", "expired"), 0))
    quiet = quiet_hours(plan.spec)
    rows = iter(waiting(ledger, plan.plan_id))
    while chunk := list(islice(rows, _CHUNK)):
        messages = [message for message, _ in chunk]
        _render_all(render, messages)
        ends = {m.message_id: quiet_until(now, clock.zone(m.zone), quiet) for m in messages}
        held = {message_id: end for message_id, end in ends.items() if end is not None}
        verdicts = foresee(ledger, messages, held=held, now=now)
        would.update(_fate(verdict, later=moment > now) for (_, moment), verdict in zip(chunk, verdicts, strict=True))
        progress(would.total(), total)
    return dict(would)


def _render_all(render: Render, messages: Iterable[PlannedMessage]) -> None:
    for planned in messages:
        try:
            render(planned)
        except Exception as error:
            raise unrenderable(planned, error) from None


def _fate(verdict: MessageState | None, *, later: bool) -> str:
    """What would become of it; a message whose moment is yet to come is `later`, whatever the hour is now."""
    if verdict in (MessageState.SUPPRESSED, MessageState.EXPIRED):
        return str(verdict)
    if later:
        return "later"
    return "now" if verdict is None else str(verdict)
