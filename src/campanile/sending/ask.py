"""Asking the provider what became of hand-overs whose answer was lost."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from campanile.channels import Channel
from campanile.channels.lookup import Lookup
from campanile.errors import CampanileError
from campanile.events import Message, Outcome, PlannedMessage, Receipt
from campanile.ledger import Ledger, PlanRecord
from campanile.ledger.hand_overs import lost
from campanile.ledger.repair import BY_THE_PROVIDER, Verdict, settle_unknown

_VERDICTS: dict[Outcome, Verdict] = {
    Outcome.ACCEPTED: "accepted",
    Outcome.REJECTED: "rejected",
    Outcome.NOT_SENT: "not_sent",
}


@dataclass(frozen=True, slots=True)
class Asked:
    """What asking came to: how many were settled as each outcome, and how many nobody knows still."""

    accepted: int = 0
    rejected: int = 0
    not_sent: int = 0
    unknown: int = 0


async def ask_provider(
    ledger: Ledger,
    plan: PlanRecord,
    channel: Channel,
    *,
    render: Callable[[PlannedMessage, datetime], Message],
    now: datetime,
) -> Asked:
    """What the provider says of every unknown message of the plan; each answer is written down as it comes.

    Args:
        ledger: The ledger.
        plan: The plan.
        channel: The channel that handed them over, not open.
        render: The message as it was at a moment.
        now: The present moment.

    Raises:
        CampanileError: The channel offers no `Lookup`, or the provider cannot be reached. What was answered is kept.
    """
    if not isinstance(channel, Lookup):
        cure = f"look at its own log, then `campanile resolve {plan.campaign} --as accepted --who you --why its-log`"
        raise CampanileError(f"the provider behind {channel.name} cannot be asked what it has taken", cure)
    counts: Counter[Outcome] = Counter()
    await channel.open()
    try:
        for planned, opened_at in lost(ledger, plan.plan_id, channel.name):
            receipt = await channel.find(render(planned, opened_at), since=opened_at)
            outcome = Outcome.UNKNOWN if receipt is None else receipt.outcome
            counts[outcome] += 1
            if receipt is not None and outcome in _VERDICTS:
                _settle(ledger, plan, receipt, now)
    finally:
        await channel.close()
    order = (Outcome.ACCEPTED, Outcome.REJECTED, Outcome.NOT_SENT, Outcome.UNKNOWN)
    return Asked(*(counts[outcome] for outcome in order))


def _settle(ledger: Ledger, plan: PlanRecord, receipt: Receipt, now: datetime) -> None:
    settle_unknown(
        ledger,
        plan.plan_id,
        [receipt.message_id],
        verdict=_VERDICTS[receipt.outcome],
        who=BY_THE_PROVIDER,
        why=receipt.detail or "its records",
        provider_id=receipt.provider_id,
        now=now,
    )
