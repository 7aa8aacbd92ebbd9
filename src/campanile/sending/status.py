"""What a campaign's messages have come to: as other programs read it, and as people do."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from campanile import clock
from campanile.events import MessageState
from campanile.ledger import Ledger, PlanRecord
from campanile.ledger.pausing import paused

#: The eight states in the order in which people read them, with their meaning.
_STATES = {
    MessageState.ACCEPTED: "the provider has them",
    MessageState.REJECTED: "refused for good",
    MessageState.UNKNOWN: "the answer was lost; never resent by itself, see `campanile resolve`",
    MessageState.SUPPRESSED: "suppressed before the hand-over",
    MessageState.EXPIRED: "too late to be sent",
    MessageState.HELD: "wait for quiet hours, a cap or a warm-up",
    MessageState.DUE: "not yet handed over",
    MessageState.CLAIMED: "in the hands of a sender",
}


def status(ledger: Ledger, plan: PlanRecord) -> dict[str, Any]:
    """The plan's messages by state; the eight counts add up to `planned` (contract 1). `paused` says who and why."""
    current = ledger.plan(plan.campaign, plan.wave) or plan
    tally = ledger.tally(current.plan_id)
    head: dict[str, Any] = {"contract": 1, "campaign": current.campaign, "wave": current.wave, "state": current.state}
    counts = {"planned": tally.planned, **{state.value: tally[state] for state in _STATES}}
    pause = paused(ledger, current.plan_id)
    told = None if pause is None else {"who": pause.who, "why": pause.why, "at": clock.iso(pause.at)}
    return {**head, **counts, "paused": told}


def status_text(account: Mapping[str, Any]) -> str:
    """The account for people: states that hold no message are left out.

    >>> print(status_text({"campaign": "winback", "wave": "1", "state": "sent", "planned": 2, "accepted": 2}))
    winback, wave 1: sent
             2  planned
             2  accepted    the provider has them
    """
    head = f"{account['campaign']}, wave {account['wave']}: {account['state']}"
    lines = [head]
    if account.get("paused"):
        pause = account["paused"]
        lines.append(f"paused by {pause['who']} at {pause['at']}: {pause['why']}")
    lines.append(f"{account['planned']:>10,}  planned")
    for state, meaning in _STATES.items():
        if account.get(state.value):
            lines.append(f"{account[state.value]:>10,}  {state.value:<10}  {meaning}")
    return "\n".join(lines)
