"""How large the next campaign is, what it is expected to bring, and what it takes.

Reads beliefs and sizes. Returns sizes, a forecast and a budget; amounts in minor units. Never plans with the measured
effect: with the shrunken one, which is what a repetition will show.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Literal

from scipy import special

from campanile.design.amounts import Spend, amount_power, smallest_amount
from campanile.design.power import power_at, smallest_detectable
from campanile.improve.belief import Belief

#: Shares of control that are tried, the smallest first.
SHARES = (0.10, 0.20, 0.30, 0.40, 0.50)
#: What is taken when no share shows the effect: nearly as good as half (its interval is 1.09 times as wide).
_FALLBACK = 0.30
#: Responders that control needs before a campaign may be rolled out.
_RESPONDERS = 30
ROLLED_OUT = 0.10
_SMALL = 0.05
#: Where a loss is more likely than a profit, so many get nothing: the test costs little, and control costs nothing.
WARY = 0.80


#: How much is risked: roll_out (nearly everybody), sure (as few in control as can be measured), try (as few as show the
#: lift), wary (few get it).
Way = Literal["roll_out", "sure", "try", "wary"]
#: Shares of control that are tried, and what is taken when none shows the lift.
_TRIED: Mapping[Way, tuple[tuple[float, ...], float]] = {
    "roll_out": ((_SMALL, ROLLED_OUT), ROLLED_OUT),
    "sure": (SHARES, ROLLED_OUT),
    "try": (SHARES, _FALLBACK),
    "wary": ((WARY,), WARY),
}


@dataclass(frozen=True)
class Metric:
    """The primary metric of the next campaign: what is expected of control and of the treated.

    Attributes:
        baseline: Mean of control.
        lift: Believed difference.
        variance: Of an amount per customer; None of a rate.
    """

    name: str
    baseline: float
    lift: float
    variance: float | None = None

    @property
    def expected(self) -> float:
        """Mean of the treated, as far as it can be."""
        top = 0.999 if self.variance is None else math.inf
        return min(self.baseline + self.lift, top)

    def power(self, control: int, treated: int, alpha: float) -> float:
        """The chance to see the believed lift with these sizes; 0 where there is none to see."""
        if self.lift <= 0 or control < 2 or treated < 2 or not self.baseline > 0:
            return 0.0
        if self.variance is None:
            return power_at(control, treated, self.baseline, self.expected, alpha=alpha)
        return amount_power(control, treated, Spend(self.baseline, self.variance), self.lift, alpha=alpha)

    def measures(self, control: int) -> bool:
        """Whether so many in control have enough responders for their rate to be a measurement; else no roll-out."""
        return self.variance is not None or control * self.baseline >= _RESPONDERS

    def smallest(self, control: int, treated: int, *, alpha: float, power: float) -> float | None:
        """The smallest difference that these sizes show; None where nothing can be said."""
        if control < 2 or treated < 2 or not self.baseline > 0:
            return None
        if self.variance is None:
            return smallest_detectable(control, treated, self.baseline, alpha=alpha, power=power).absolute
        shows: Callable[..., object] = partial(smallest_amount, control, treated, Spend(self.baseline, self.variance))
        return float(shows(alpha=alpha, power=power).absolute)  # type: ignore[attr-defined]


@dataclass(frozen=True)
class Sizes:
    """The split of the next campaign.

    Attributes:
        audience: Customers in all.
        counted: Whether they were counted today; else it is the size of the last audience.
        control: Share that gets nothing.
        arms: Arms that get messages.
        power: Chance to see the believed lift in one arm.
        smallest: Smallest difference that one arm shows; None where nothing can be said.
        short: Whether no share of control shows the believed lift.
    """

    audience: int
    counted: bool
    control: float
    arms: int
    power: float
    smallest: float | None
    short: bool

    @property
    def in_control(self) -> int:
        """Customers who get nothing."""
        return round(self.audience * self.control)

    @property
    def treated(self) -> int:
        """Customers who get messages, in all arms."""
        return self.audience - self.in_control


def sizes(  # noqa: PLR0913 - what a split depends on, each by name
    audience: int, metric: Metric, *, way: Way, arms: int, alpha: float, power: float
) -> Sizes:
    """The smallest control that shows the believed lift and is large enough to be one.

    In a roll-out a tenth, or a twentieth where that shows it.

    >>> plan = sizes(50_000, Metric("response_rate", 0.03, 0.006), way="try", arms=1, alpha=0.05, power=0.8)
    >>> plan.control, round(plan.power, 2), plan.short
    (0.2, 0.85, False)
    """

    def at(share: float) -> tuple[int, int]:
        control = round(audience * share)
        return control, (audience - control) // arms

    each = alpha / arms
    tried, otherwise = _TRIED[way]
    measured = [share for share in tried if way not in {"sure", "try"} or metric.measures(at(share)[0])]
    shows = [share for share in measured if metric.power(*at(share), each) >= power]
    least = next((share for share in measured if share >= otherwise), otherwise)
    share = shows[0] if shows and way != "sure" else least
    return Sizes(
        audience=audience,
        counted=True,
        control=share,
        arms=arms,
        power=metric.power(*at(share), each),
        smallest=metric.smallest(*at(share), alpha=each, power=power),
        short=not shows,
    )


@dataclass(frozen=True)
class Forecast:
    """What the next campaign is expected to bring. Amounts are minor units; limits at 95%.

    Attributes:
        responders: Beyond control.
        revenue: Beyond control.
        margin: Beyond control, before cost.
        loss: The chance that the profit is below zero.
        affordable: The most that may be spent on contact and gifts per treated customer without a loss.
        half_treated: Customers that half the budget reaches, once the fixed cost is paid.
        half: Profit expected of them; 0 where half the budget does not even pay the fixed cost.
    """

    responders: float
    responders_low: float
    responders_high: float
    revenue: float
    margin: float
    cost: float
    profit: float
    profit_low: float
    profit_high: float
    loss: float
    break_even: float | None
    affordable: float
    half_treated: int
    half: float


@dataclass(frozen=True)
class Money:
    """What one treated customer is believed to bring, minor units.

    Attributes:
        profit: Before fixed cost, contact taken off.
        contact: Cost of messages per customer.
        fixed: Cost of the campaign as a whole.
        revenue: Net revenue beyond control.
        rate: Believed difference in the response rate.
        per_responder: Margin per incremental responder; None where there is none.
    """

    profit: Belief
    contact: float
    fixed: float
    revenue: float
    rate: Belief
    per_responder: float | None

    def total(self, treated: int) -> Belief:
        """Profit of a wave with so many treated, its fixed cost taken off."""
        mean = self.profit.mean * treated - self.fixed
        return Belief(mean, self.profit.variance * treated**2, self.profit.measured, self.profit.kept, 0)


def forecast(money: Money, treated: int) -> Forecast:
    """What so many treated customers are expected to bring."""
    total = money.total(treated)
    low, high = total.limits()
    rate_low, rate_high = money.rate.limits()
    cost = money.contact * treated + money.fixed
    margin = money.profit.mean + money.contact
    loss = 1 - total.chance if total.variance else float(total.mean < 0)
    half = _half(money, treated)
    even = cost / treated / money.per_responder if money.per_responder and treated else None
    return Forecast(
        responders=money.rate.mean * treated,
        responders_low=rate_low * treated,
        responders_high=rate_high * treated,
        revenue=money.revenue * treated,
        margin=margin * treated,
        cost=cost,
        profit=total.mean,
        profit_low=low,
        profit_high=high,
        loss=loss,
        break_even=even,
        affordable=max(0.0, margin - money.fixed / treated) if treated else 0.0,
        half_treated=half,
        half=money.profit.mean * half - money.fixed if half else 0.0,
    )


def _half(money: Money, treated: int) -> int:
    """Customers that half the budget reaches, once the fixed cost is paid."""
    budget = (money.contact * treated + money.fixed) / 2
    if money.contact <= 0:
        return treated // 2
    return max(0, min(treated, int((budget - money.fixed) / money.contact)))


def trend(effects: list[tuple[float, float]]) -> float:
    """The chance that effects (mean, variance), the earliest first, fall from one to the next: 0.5 says nothing.

    >>> round(trend([(3.0, 0.01), (2.5, 0.01), (2.0, 0.01)]), 3), trend([(1.0, 0.1)])
    (1.0, 0.5)
    """
    if len(effects) < 3:
        return 0.5
    weights = [1 / variance for _, variance in effects]
    middle = sum(w * at for at, w in enumerate(weights)) / sum(weights)
    spread = sum(w * (at - middle) ** 2 for at, w in enumerate(weights))
    slope = sum(w * (at - middle) * mean for at, (w, (mean, _)) in enumerate(zip(weights, effects, strict=True)))
    return float(special.ndtr(-slope / spread * math.sqrt(spread)))
