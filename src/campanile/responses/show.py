"""What a campaign's messages came to, as text and as JSON."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from campanile.ledger import PlanRecord
from campanile.ledger.attribution import ArmAnswers


def to_json(plans: Sequence[PlanRecord], arms: list[ArmAnswers], scale: int) -> dict[str, Any]:
    """The table of a campaign's waves, in their order, as plain JSON values; amounts in major units."""
    rows = [{**asdict(arm), "redeemed_amount": arm.redeemed_amount / scale} for arm in arms]
    return {"contract": 1, "campaign": plans[0].campaign, "wave": _waves(plans), "arms": rows}


def _waves(plans: Sequence[PlanRecord]) -> str:
    return plans[0].wave if len(plans) == 1 else f"{plans[0].wave} to {plans[-1].wave}"


def text(plans: Sequence[PlanRecord], arms: list[ArmAnswers]) -> str:
    """The table for people.

    >>> from datetime import UTC, datetime
    >>> at = datetime(2026, 3, 1, tzinfo=UTC)
    >>> plan = PlanRecord("p", "winback", "1", at, at, "f", {}, "s", "0", {"treatment": 2})
    >>> print(text([plan], [ArmAnswers("treatment", handed_over=2, delivered=2, clicked=1)]))
    winback, wave 1: what came back, in messages. None of it is an effect: see `campanile readout winback`
    treatment
             2  handed over
             2  delivered
             1  clicked
    """
    campaign = plans[0].campaign
    lines = [
        f"{campaign}, wave {_waves(plans)}: what came back, in messages. None of it is an effect: "
        f"see `campanile readout {campaign}`"
    ]
    for arm in arms:
        lines.append(arm.arm)
        counts = {name: value for name, value in asdict(arm).items() if name not in {"arm", "redeemed_amount"}}
        lines += [f"{count:>10,}  {name.replace('_', ' ')}" for name, count in counts.items() if count]
    return "\n".join(lines)
