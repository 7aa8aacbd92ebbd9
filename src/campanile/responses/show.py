"""What a campaign's messages came to, arm by arm: delivery, people's clicks, answers, coupons, refusals.

These are diagnostics and attribution. Who clicked or used a code would often have bought anyway, so nothing here is an
effect: that is read out against control, by assignment.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from sqlalchemy import Connection, case, func, select

from campanile.events import Outcome
from campanile.ledger import Ledger, PlanRecord, tables
from campanile.ledger.response_tables import delivery, redemption

_ARRIVED = (Outcome.ACCEPTED.value, Outcome.UNKNOWN.value)
_ENDED = ("bounced", "rejected", "failed", "bounced_after_delivery")


@dataclass(frozen=True, slots=True)
class ArmAnswers:
    """One arm's messages and what came back, in messages; `redeemed_amount` is minor units of the shop's currency."""

    arm: str
    handed_over: int = 0
    delivered: int = 0
    failed: int = 0
    opened: int = 0
    clicked: int = 0
    clicks: int = 0
    machine_hits: int = 0
    replied: int = 0
    complained: int = 0
    unsubscribed: int = 0
    redeemed: int = 0
    redeemed_amount: int = 0


def answers_of(ledger: Ledger, plan: PlanRecord) -> list[ArmAnswers]:
    """What each arm's messages came to, in the order of the plan's arms; control has none."""
    with ledger.reading() as connection:
        counted = _counted(connection, plan.plan_id)
        redeemed = _redeemed(connection, plan.plan_id)
    return [ArmAnswers(arm, **{**counted[arm], **redeemed.get(arm, {})}) for arm in plan.arms if arm in counted]


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


def _counted(connection: Connection, plan_id: str) -> Mapping[str, dict[str, int]]:
    message = tables.message
    moments = {
        "opened": delivery.c.opened_at,
        "clicked": delivery.c.clicked_at,
        "replied": delivery.c.replied_at,
        "complained": delivery.c.complained_at,
        "unsubscribed": delivery.c.unsubscribed_at,
    }
    sums = {
        "handed_over": func.sum(case((message.c.state.in_(_ARRIVED), 1), else_=0)),
        "delivered": func.sum(case((delivery.c.status == "delivered", 1), else_=0)),
        "failed": func.sum(case((delivery.c.status.in_(_ENDED), 1), else_=0)),
        "clicks": func.sum(func.coalesce(delivery.c.clicks, 0)),
        "machine_hits": func.sum(func.coalesce(delivery.c.machine_hits, 0)),
        **{name: func.count(moment) for name, moment in moments.items()},
    }
    query = (
        select(message.c.arm, *(value.label(name) for name, value in sums.items()))
        .join(delivery, delivery.c.message_id == message.c.message_id, isouter=True)
        .where(message.c.plan_id == plan_id)
        .group_by(message.c.arm)
    )
    return {row.arm: {name: int(row._mapping[name] or 0) for name in sums} for row in connection.execute(query)}


def _redeemed(connection: Connection, plan_id: str) -> Mapping[str, dict[str, int]]:
    message = tables.message
    query = (
        select(message.c.arm, func.count().label("n"), func.sum(func.coalesce(redemption.c.amount, 0)).label("amount"))
        .join(message, message.c.message_id == redemption.c.message_id)
        .where(redemption.c.plan_id == plan_id)
        .group_by(message.c.arm)
    )
    return {
        row.arm: {"redeemed": int(row.n), "redeemed_amount": int(row.amount or 0)} for row in connection.execute(query)
    }
