"""What the messages of plans came to, arm by arm: delivery, people's clicks, answers, coupons, refusals.

These are diagnostics and attribution. Who clicked or used a code would often have bought anyway, so nothing here is an
effect: that is read out against control, by assignment.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, case, func, select

from campanile.events import CONTROL, Outcome
from campanile.ledger import tables
from campanile.ledger.records import PlanRecord
from campanile.ledger.response_tables import delivery, redemption
from campanile.ledger.store import Ledger

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

    @property
    def silent(self) -> bool:
        """Whether nothing came back at all."""
        return not any(
            (self.delivered, self.failed, self.opened, self.clicked, self.replied, self.unsubscribed, self.redeemed)
        )


def answers_of(ledger: Ledger, plans: Sequence[PlanRecord]) -> list[ArmAnswers]:
    """What each arm's messages of all the plans came to, in the order of the arms; control has none."""
    ids = [plan.plan_id for plan in plans]
    arms = dict.fromkeys(arm for plan in plans for arm in plan.arms if arm != CONTROL)
    with ledger.reading() as connection:
        counted, redeemed = _counted(connection, ids), _redeemed(connection, ids)
    return [ArmAnswers(arm, **{**counted[arm], **redeemed.get(arm, {})}) for arm in arms if arm in counted]


def _counted(connection: Connection, plan_ids: Iterable[str]) -> Mapping[str, dict[str, int]]:
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
        .where(message.c.plan_id.in_(plan_ids))
        .group_by(message.c.arm)
    )
    return {row.arm: {name: int(row._mapping[name] or 0) for name in sums} for row in connection.execute(query)}


def _redeemed(connection: Connection, plan_ids: Iterable[str]) -> Mapping[str, dict[str, int]]:
    message = tables.message
    query = (
        select(message.c.arm, func.count().label("n"), func.sum(func.coalesce(redemption.c.amount, 0)).label("amount"))
        .join(message, message.c.message_id == redemption.c.message_id)
        .where(redemption.c.plan_id.in_(plan_ids))
        .group_by(message.c.arm)
    )
    return {
        row.arm: {"redeemed": int(row.n), "redeemed_amount": int(row.amount or 0)} for row in connection.execute(query)
    }
