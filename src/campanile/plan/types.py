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
    )


def _load(kept: Mapping[str, Any]) -> Load:
    pairs = {arm: (messages, parts) for arm, (messages, parts) in kept.get("by_arm", {}).items()}
    return Load(**{**kept, "by_arm": pairs})


def to_json(plan: Plan) -> dict[str, Any]:
    """The plan in the shape that other programs rely on (contract 1)."""
    strength = plan.strength
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
        "messages": plan.load.messages,
        "cost": {"total": float(Currency(plan.currency).major(plan.load.cost)), "currency": plan.currency},
        "problems": list(plan.problems),
        "priority": {"lost_to": dict(plan.lost_to), "shared_with": dict(plan.shared_with)},
        "begun": plan.begun,
    }
