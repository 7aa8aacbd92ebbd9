"""What a campaign's messages came to, as text and as JSON."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from campanile.ledger import PlanRecord
from campanile.ledger.attribution import ArmAnswers


def to_json(plan: PlanRecord, arms: list[ArmAnswers], scale: int) -> dict[str, Any]:
    """The table as plain JSON values, amounts in major units."""
    rows = [{**asdict(arm), "redeemed_amount": arm.redeemed_amount / scale} for arm in arms]
    return {"contract": 1, "campaign": plan.campaign, "wave": plan.wave, "arms": rows}


def text(plan: PlanRecord, arms: list[ArmAnswers]) -> str:
    """The table for people.

    >>> from datetime import UTC, datetime
    >>> at = datetime(2026, 3, 1, tzinfo=UTC)
    >>> plan = PlanRecord("p", "winback", "1", at, at, "f", {}, "s", "0", {"treatment": 2})
    >>> print(text(plan, [ArmAnswers("treatment", handed_over=2, delivered=2, clicked=1)]))
    winback, wave 1: what came back, in messages. None of it is an effect: see `campanile readout winback`
    treatment
             2  handed over
             2  delivered
             1  clicked
    """
    lines = [
        f"{plan.campaign}, wave {plan.wave}: what came back, in messages. None of it is an effect: "
        f"see `campanile readout {plan.campaign}`"
    ]
    for arm in arms:
        lines.append(arm.arm)
        counts = {name: value for name, value in asdict(arm).items() if name not in {"arm", "redeemed_amount"}}
        lines += [f"{count:>10,}  {name.replace('_', ' ')}" for name, count in counts.items() if count]
    return "\n".join(lines)
