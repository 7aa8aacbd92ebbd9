"""Settling by a person's word what no program can know: hand-overs whose answer was lost."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, get_args

from campanile import clock
from campanile.errors import UsageError, did_you_mean
from campanile.ledger import Ledger, PlanRecord
from campanile.ledger.repair import Verdict, settle_unknown

Decision = Literal["accepted", "rejected", "resend"]


def resolve(  # noqa: PLR0913 - a decision names all of it
    ledger: Ledger, plan: PlanRecord, decision: str, *, who: str, why: str, message_ids: Sequence[str] = ()
) -> int:
    """How many unknown messages were settled; without ids, every unknown one of the plan.

    Args:
        ledger: The ledger; keeps who decided, when and why.
        plan: The plan.
        decision: What the provider's own records show. `resend` says that it has not got the message, and makes the
            message due again, now.
        who: The person who decides.
        why: From what they know it.
        message_ids: Which messages.

    Raises:
        CampanileError: One of the messages is not unknown; then nothing is changed.
    """
    if decision not in get_args(Decision):
        cure = did_you_mean(decision, get_args(Decision))
        raise UsageError(f'unknown messages cannot be settled as "{decision}"', cure)
    if not who.strip() or not why.strip():
        raise UsageError("a decision needs who makes it and why", "give --who and --why")
    verdict: Verdict = "accepted" if decision == "accepted" else "rejected" if decision == "rejected" else "not_sent"
    return settle_unknown(ledger, plan.plan_id, message_ids or None, verdict=verdict, who=who, why=why, now=clock.now())
