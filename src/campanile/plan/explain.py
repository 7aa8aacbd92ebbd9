"""A plan in words, for the marketer who commits it and the operator who approves it."""

from __future__ import annotations

from zoneinfo import ZoneInfo

from campanile import clock
from campanile.events import CONTROL
from campanile.money import Currency
from campanile.plan.types import Left, Load, Plan, Strength


def explain(plan: Plan, zone: ZoneInfo) -> str:
    """The plan as text: who is left and who is not, the arms, what they can show, what it costs, what to weigh."""
    head = f"{plan.campaign}, wave {plan.wave}, as of {clock.words(plan.as_of, zone)}"
    parts = [
        head,
        _waterfall(plan.waterfall),
        _lost_to(plan),
        _arms(plan),
        _strength(plan.strength),
        _outlook(plan),
        _load(plan.load, Currency(plan.currency)),
        _problems(plan.problems),
        f"Plan {plan.plan_id}, fingerprint {plan.fingerprint[:12]}, snapshot {plan.snapshot}",
    ]
    if plan.begun:
        parts.insert(1, "Sending has begun: this plan is frozen, and nothing was selected again.")
    return "\n\n".join(part for part in parts if part)


def _waterfall(steps: tuple[Left, ...]) -> str:
    width = max((len(step.line) for step in steps), default=0)
    rows = [f"  {step.line:<{width}}  {step.left:>11,}  {-step.lost:>11,}  {step.text}".rstrip() for step in steps]
    return "\n".join(["Audience", f"  {'':<{width}}  {'left':>11}  {'lost':>11}", *rows])


def _lost_to(plan: Plan) -> str:
    """Which campaigns of the same day got the customers that the priority took away."""
    rows = [f"  {campaign:<12} {customers:>11,}" for campaign, customers in plan.lost_to.items()]
    return "\n".join(["Lost to campaigns of the same day", *rows]) if rows else ""


def _arms(plan: Plan) -> str:
    rows = [f"  {arm:<12} {size:>11,}  {size / max(plan.audience, 1):6.1%}" for arm, size in plan.arms.items()]
    return "\n".join(["Arms", *rows])


def _strength(strength: Strength | None) -> str:
    if strength is None:
        return ""
    lines = [
        f"What it can show ({strength.metric}, {strength.arm} against control)",
        f"  Smallest detectable difference from {strength.baseline:.2%}: "
        f"{strength.absolute * 100:.2f} points, a lift of {strength.relative:.0%}.",
    ]
    if strength.expected is not None and strength.power_at_expected is not None:
        expected = f"{strength.expected:.2%}"
        lines.append(
            f"  If the rate really becomes {expected}, the chance to see it is {strength.power_at_expected:.0%}."
        )
    return "\n".join(lines)


def _outlook(plan: Plan) -> str:
    """What it means in money, what another split would show, and what the control costs."""
    outlook, strength, currency = plan.outlook, plan.strength, Currency(plan.currency)
    if outlook is None or strength is None:
        return ""
    control, mine = plan.arms[CONTROL], plan.arms[CONTROL] + plan.arms[strength.arm]
    lines = [
        f"In money (an order is worth {currency.text(round(outlook.order_worth))}, by {outlook.orders:,} past orders)",
        f"  Smallest detectable rise in revenue: {currency.text(round(outlook.smallest_revenue))} per customer, "
        f"{outlook.smallest_revenue_relative:.0%}.",
        f"  With {outlook.best_control_share:.0%} of the {mine:,} in control it would be "
        f"{outlook.best_absolute * 100:.2f} points.",
    ]
    if outlook.holdout_cost is not None:
        cost = currency.text(abs(round(outlook.holdout_cost)))
        what = "costs" if outlook.holdout_cost >= 0 else "saves"
        lines.append(
            f"  Keeping {control:,} in control {what} {cost} of margin if you are right, discounts not counted."
        )
    if outlook.trial is not None:
        lines.append(
            f"  To find the better arm alone, {outlook.trial:,} customers in each do; then send the better to the rest."
        )
    return "\n".join(lines)


def _load(load: Load, currency: Currency) -> str:
    parts = f" in {load.segments:,} SMS parts" if load.segments else ""
    return f"Cost\n  {load.messages:,} messages{parts}: {currency.text(load.cost)}, fixed cost included."


def _problems(problems: tuple[str, ...]) -> str:
    return "\n".join(["Weigh this before sending", *(f"  - {problem}" for problem in problems)]) if problems else ""
