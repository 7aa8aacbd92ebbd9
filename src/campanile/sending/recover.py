"""Picking up after a sender that died."""

from __future__ import annotations

from datetime import datetime

from campanile.channels import Channel
from campanile.ledger import Ledger, Mode, PlanRecord, Recovery
from campanile.ledger.repair import recover as recover_claims


def recover(ledger: Ledger, plan: PlanRecord, channel: Channel, now: datetime) -> Recovery:
    """How many messages are due again, and how many nobody can know about.

    Call with the sender lock held: then every claim of this plan belongs to a sender that is dead.
    """
    return recover_claims(ledger, plan.plan_id, Mode(channel.name, idempotent=channel.idempotent), now)
