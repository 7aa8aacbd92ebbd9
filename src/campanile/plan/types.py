"""The frozen plan of one wave."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Any, cast

from campanile import clock
from campanile.ledger.records import PlanRecord
from campanile.money import Currency


@dataclass(frozen=True)
class Left:
    """One step of the waterfall: how many stayed and how many it lost."""

    line: str
    text: str
    left: int
    lost: int


@dataclass(frozen=True)
class Strength:
    """What the arms can show of the primary metric, against control.

    Attributes:
        metric: The primary metric.
        arm: The arm compared with control; the smallest one.
        baseline: The registered rate of control.
        absolute: Smallest detectable difference at the arm's share of the registered alpha, and the registered power.
        relative: The same as a share of the baseline.
        expected: The registered expectation, or None.
        power_at_expected: Chance to see the expected difference, or None.
        needed: Units in control and in the arm that the expected difference needs, or None.
    """

    metric: str
    arm: str
    baseline: float
    absolute: float
    relative: float
    expected: float | None
    power_at_expected: float | None
    needed: tuple[int, int] | None


@dataclass(frozen=True)
class Outlook:
    """What a plan means in money. Amounts are minor units.

    Attributes:
        orders: Past orders of the audience that the worth of an order is taken from.
        order_worth: Mean of an order.
        smallest_revenue: Smallest detectable rise in revenue per customer, at the arm's share of alpha.
        smallest_revenue_relative: The same as a share of the revenue expected without the campaign.
        best_control_share: Share of control, of it and the arm, that would show the smallest difference of the primary.
        best_absolute: The smallest difference that it would show.
        holdout_cost: Margin forgone because control gets nothing, if the expectation is right, before discounts; below
            zero what not contacting them saves. None without an expectation.
        trial: Customers to try in each of two arms before the better one goes to the rest (Test & Roll); None unless
            there are two arms and an expectation, which stands for how far apart arms may be.
    """

    orders: int
    order_worth: float
    smallest_revenue: float
    smallest_revenue_relative: float
    best_control_share: float
    best_absolute: float
    holdout_cost: float | None
    trial: int | None


@dataclass(frozen=True)
class Load:
    """What will be sent and what it costs.

    Attributes:
        messages: How many messages are planned.
        segments: SMS parts in total; 0 for mail.
        largest: Bytes of the largest message.
        cost: Minor units: messages and the fixed cost.
        by_arm: Messages and their SMS parts by arm; empty in plans of earlier versions.
    """

    messages: int
    segments: int
    largest: int
    cost: int
    by_arm: Mapping[str, tuple[int, int]] = field(default_factory=dict)


@dataclass(frozen=True)
class Plan:
    """Everything decided before the first hand-over. Rebuilt from the ledger, never recomputed.

    Attributes:
        fingerprint: sha256 over the campaign, its experiment, its templates, economics and what recipients see.
        snapshot: Path of the assignment Parquet, relative to the stores' home.
        problems: What a person should weigh before sending: sentences.
        lost_to: Customers lost to other campaigns of the same day, by campaign.
        shared_with: Customers whom other campaigns have on the same day and would lose if planned again, by campaign.
        begun: Whether a message was already handed over.
        outlook: What it means in money; None in plans of earlier versions.
    """

    plan_id: str
    campaign: str
    wave: str
    as_of: datetime
    fingerprint: str
    snapshot: str
    audience: int
    arms: Mapping[str, int]
    waterfall: tuple[Left, ...]
    strength: Strength | None
    load: Load
    currency: str
    problems: tuple[str, ...] = ()
    lost_to: Mapping[str, int] = field(default_factory=dict)
    shared_with: Mapping[str, int] = field(default_factory=dict)
    begun: bool = False
    outlook: Outlook | None = None

    @property
    def excluded(self) -> dict[str, int]:
        """Customers lost by step, in order, steps that lost nobody left out."""
        return {step.line: step.lost for step in self.waterfall if step.lost}


def summary(plan: Plan) -> dict[str, Any]:
    """What the ledger keeps of a plan beside its columns, as plain JSON values."""
    return {
        "audience": plan.audience,
        "waterfall": [asdict(step) for step in plan.waterfall],
        "strength": asdict(plan.strength) if plan.strength else None,
        "outlook": asdict(plan.outlook) if plan.outlook else None,
        "load": asdict(plan.load),
        "currency": plan.currency,
        "problems": list(plan.problems),
        "lost_to": dict(plan.lost_to),
        "shared_with": dict(plan.shared_with),
    }


def from_summary(record: PlanRecord, *, begun: bool) -> Plan:
    """The plan that the ledger keeps in this record."""
    kept = cast("dict[str, Any]", record.spec["summary"])
    strength = dict(kept["strength"]) if kept["strength"] else None
    if strength and strength["needed"]:
        strength["needed"] = tuple(strength["needed"])
    return Plan(
        plan_id=record.plan_id,
        campaign=record.campaign,
        wave=record.wave,
        as_of=record.as_of,
        fingerprint=record.fingerprint,
        snapshot=record.snapshot,
        audience=kept["audience"],
        arms=record.arms,
        waterfall=tuple(Left(**step) for step in kept["waterfall"]),
        strength=Strength(**strength) if strength else None,
        load=_load(kept["load"]),
        currency=kept["currency"],
        problems=tuple(kept["problems"]),
        lost_to=kept.get("lost_to", {}),
        shared_with=kept.get("shared_with", {}),
        begun=begun,
        outlook=Outlook(**kept["outlook"]) if kept.get("outlook") else None,
    )


def _load(kept: Mapping[str, Any]) -> Load:
    pairs = {arm: (messages, parts) for arm, (messages, parts) in kept.get("by_arm", {}).items()}
    return Load(**{**kept, "by_arm": pairs})


def to_json(plan: Plan) -> dict[str, Any]:
    """The plan in the shape that other programs rely on (contract 1)."""
    strength, currency = plan.strength, Currency(plan.currency)
    return {
        "contract": 1,
        "campaign": plan.campaign,
        "wave": plan.wave,
        "as_of": clock.iso(plan.as_of),
        "fingerprint": plan.fingerprint,
        "audience": plan.audience,
        "arms": dict(plan.arms),
        "excluded": plan.excluded,
        "waterfall": [asdict(step) for step in plan.waterfall],
        "smallest_detectable": strength
        and {"metric": strength.metric, "absolute": strength.absolute, "relative": strength.relative},
        "power_at_expected": strength and strength.power_at_expected,
        "outlook": plan.outlook and _outlook(plan.outlook, currency),
        "messages": plan.load.messages,
        "cost": {"total": float(currency.major(plan.load.cost)), "currency": plan.currency},
        "problems": list(plan.problems),
        "priority": {"lost_to": dict(plan.lost_to), "shared_with": dict(plan.shared_with)},
        "begun": plan.begun,
    }


def _outlook(outlook: Outlook, currency: Currency) -> dict[str, Any]:
    """The outlook with amounts in major units."""
    amounts = ("order_worth", "smallest_revenue", "holdout_cost")
    found = asdict(outlook)
    return found | {name: None if found[name] is None else found[name] / currency.scale for name in amounts}
