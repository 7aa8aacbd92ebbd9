"""Plan against actual: which factor made the difference, and what to look at first.

Reads a closed experiment. Returns contributions in minor units that add up to the gap, and a verdict. Never blames the
product for what the channel did: factors are taken in the order in which customers meet them.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from campanile.events import CONTROL
from campanile.improve.closed import Closed
from campanile.improve.factors import contributions, in_whole_units
from campanile.measure.sums import ArmOutcome
from campanile.spec.fields import share

Fault = Literal["channel", "message", "product", "offer", "bought_anyway", "cost", "none"]

#: Factor → what a shortfall means.
_FAULTS: Mapping[str, Fault] = {
    "audience": "none",
    "reached": "channel",
    "responded": "message",
    "orders": "product",
    "basket": "offer",
    "margin": "offer",
    "bought_anyway": "bought_anyway",
    "cost": "cost",
}
CHECKS: Mapping[Fault, tuple[str, ...]] = {
    "channel": (
        "refusals by reason in the delivery account",
        "the provider's reputation and quiet-hour losses",
        "numbers and addresses that are no longer valid",
    ),
    "message": (
        "subject and first sentence, beside those of campaigns that worked",
        "hour and weekday of sending",
        "how often these customers were written to lately, and their life-cycle stage",
    ),
    "product": (
        "stock of what was promoted, inside the window",
        "price against what these customers usually pay",
        "what is bought together: candidates for a bundle",
    ),
    "offer": (
        "discount given per order won",
        "the smallest basket that the offer asks for, and how many baskets lie just above it",
        "whether a smaller offer would have moved them too",
    ),
    "bought_anyway": (
        "control's rate by part: who buys without being asked is another campaign's target",
        "the baseline that the plan took",
    ),
    "cost": ("what a message costs by channel and part", "the fixed cost, which a larger audience would spread"),
    "none": ("nothing fell short of the plan in particular",),
}
_SENTENCES: Mapping[Fault, str] = {
    "channel": "The channel was poor: fewer customers were reached than planned.",
    "message": "The message, its timing or the list was poor: those reached responded less than planned.",
    "product": "The product was poor, or needs combining: who bought, bought less often than planned.",
    "offer": "The offer was poor: it pulled baskets or margin down.",
    "bought_anyway": "They would have bought anyway: control bought more than planned.",
    "cost": "It cost more than planned.",
    "none": "No factor fell short of the plan by much.",
}
#: A shortfall that took less than this share of the profit, planned or actual, is no fault.
MATTERS = 0.10


@dataclass(frozen=True)
class Factor:
    """One factor of the money: as planned, as it came, and what it added to the profit in minor units."""

    name: str
    planned: float
    actual: float
    contribution: int


@dataclass(frozen=True)
class Diagnosis:
    """Why the money of one arm came out as it did. Amounts are minor units.

    Attributes:
        against: "plan", or "control" where nothing was expected beforehand.
        factors: Their contributions add up to `actual` minus `planned`.
        fault: What fell short most; "none" when nothing did.
    """

    arm: str
    against: Literal["plan", "control"]
    planned: int
    actual: int
    factors: tuple[Factor, ...]
    fault: Fault
    sentence: str

    @property
    def gap(self) -> int:
        """Actual minus planned profit."""
        return self.actual - self.planned

    @property
    def checks(self) -> tuple[str, ...]:
        """What to look at first."""
        return CHECKS[self.fault]


def diagnose(found: Closed, arm: str) -> Diagnosis:
    """What the profit of one arm was made of, against its plan; against control where no plan says it."""
    worth = ((found.terms.spec.get("summary") or {}).get("outlook") or {}).get("order_worth")
    primary = found.terms.experiment.primary
    expected = primary.metric == "response_rate" and primary.baseline is not None and primary.expect is not None
    actual, control = _factors(found, arm, found.arms[arm]), _factors(found, arm, found.arms[CONTROL])
    if expected and worth:
        assert primary.baseline is not None
        assert primary.expect is not None
        planned = _planned(found, arm, float(worth), float(primary.expect))
        anyway = actual["audience"] * float(primary.baseline) * float(worth) * float(found.terms.margin_rate)
        return _diagnosis(found, arm, "plan", (planned, actual), (anyway, _planned_cost(found, arm)))
    planned = {**control, "audience": actual["audience"], "reached": actual["reached"]}
    planned["responded"] = _over(control["responded"] * control["reached"], actual["reached"])
    anyway = actual["audience"] * _margin(found, found.arms[CONTROL])
    return _diagnosis(found, arm, "control", (planned, actual), (anyway, _cost(found, arm)))


def _diagnosis(
    found: Closed,
    arm: str,
    against: Literal["plan", "control"],
    factors: tuple[Mapping[str, float], Mapping[str, float]],
    taken: tuple[float, float],
) -> Diagnosis:
    """The diagnosis of factors (planned, actual) and of what was planned to be taken off (bought anyway, cost)."""
    planned, actual = factors
    n = found.arms[arm].statistics.n
    anyway, cost = n * _margin(found, found.arms[CONTROL]), _cost(found, arm)
    shares = contributions(planned, actual)
    shares |= {"bought_anyway": taken[0] - anyway, "cost": taken[1] - cost}
    before = round(math.prod(planned.values()) - taken[0] - taken[1])
    after = round(math.prod(actual.values()) - anyway - cost)
    whole = in_whole_units(shares, after - before)
    rows = {name: (planned[name], actual[name]) for name in planned}
    rows |= {"bought_anyway": (taken[0], anyway), "cost": (taken[1], cost)}
    parts = tuple(Factor(name, *rows[name], whole[name]) for name in rows)
    fault = _fault(parts, max(abs(before), abs(after)))
    return Diagnosis(arm, against, before, after, parts, fault, _SENTENCES[fault])


def _fault(factors: tuple[Factor, ...], profit: int) -> Fault:
    """The fault of the factor that took most, if that matters; of equals the one that customers meet first."""
    worst = min(factors, key=lambda factor: factor.contribution)
    return _FAULTS[worst.name] if worst.contribution < 0 and -worst.contribution >= MATTERS * profit else "none"


def _factors(found: Closed, arm: str, outcome: ArmOutcome) -> dict[str, float]:
    """What the margin of some customers is the product of; control counts as reached."""
    sums, n = outcome.statistics.sums, outcome.statistics.n
    treated = outcome.statistics.arm == arm
    reached = sums.get("reached", n) if treated else n
    buyers, orders = sums["response_rate"], sums["orders_per_customer"]
    gross = sums["revenue_per_customer"] + sums.get("discount_per_customer", 0)
    return {
        "audience": float(n),
        "reached": reached / n,
        "responded": _over(buyers, reached),
        "orders": _over(orders, buyers),
        "basket": _over(gross, orders),
        "margin": _over(_margin(found, outcome) * n, gross),
    }


def _planned(found: Closed, arm: str, worth: float, expect: float) -> dict[str, float]:
    """The factors as they were planned: everybody reached, who buys buys once, and uses the offer."""
    given = discount_share(found.offer(arm), worth, found.readout.setting.currency.scale)
    rate = float(found.terms.margin_rate)
    return {
        "audience": float(_messages_planned(found, arm)),
        "reached": 1.0,
        "responded": expect,
        "orders": 1.0,
        "basket": worth,
        "margin": rate * (1 - given) if found.terms.list_rate is None else rate - given,
    }


def discount_share(offer: Mapping[str, Any], worth: float, scale: int) -> float:
    """The share of an order that an offer takes off; `worth` is that of an order in minor units.

    >>> discount_share({"kind": "coupon", "amount": 50}, 20_000, 100), discount_share({"kind": "gift"}, 20_000, 100)
    (0.25, 0.0)
    >>> discount_share({"kind": "percent", "off": "10%"}, 20_000, 100)
    0.1
    """
    if offer["kind"] == "coupon":
        return min(1.0, float(offer["amount"]) * scale / worth)
    return float(share(offer["off"])) if offer["kind"] == "percent" else 0.0


def _messages_planned(found: Closed, arm: str) -> int:
    """Messages that the plan had for an arm; its customers where the plan did not say."""
    load = (found.terms.spec.get("summary") or {}).get("load") or {}
    by_arm = load.get("by_arm") or {}
    return int(by_arm[arm][0]) if arm in by_arm else found.arms[arm].statistics.n


def _share(found: Closed, arm: str) -> float:
    """The arm's part of all who were treated: it carries so much of the fixed cost."""
    return found.arms[arm].statistics.n / sum(found.arms[name].statistics.n for name in found.treatments)


def _planned_cost(found: Closed, arm: str) -> float:
    contact = found.terms.contact_cost(arm, _messages_planned(found, arm), found.readout.setting.currency)
    return contact + found.fixed * _share(found, arm)


def _cost(found: Closed, arm: str) -> float:
    """What the arm cost: its messages and its part of the fixed cost."""
    return found.contact_each(arm) * found.arms[arm].statistics.n + found.fixed * _share(found, arm)


def _margin(found: Closed, outcome: ArmOutcome) -> float:
    """Margin per customer of some customers, minor units."""
    amount, factor = found.terms.margin
    return outcome.statistics.mean(amount) * factor


def _over(above: float, below: float) -> float:
    return above / below if below else 0.0
