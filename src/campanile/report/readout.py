"""The readout as a value: everything a report shows, and nothing that it would have to compute.

The room `readout` fills it, this room draws it. Holds counts, rates and amounts of whole arms; never a customer.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal
from zoneinfo import ZoneInfo

from campanile.clock import Duration
from campanile.events import CONTROL
from campanile.ledger.attribution import ArmAnswers
from campanile.measure.cuts import Heterogeneity, Part
from campanile.measure.ratio_mismatch import SampleRatio
from campanile.measure.types import Comparison, Economics
from campanile.money import Currency

Decision = Literal["roll_out", "extend", "stop", "no_verdict"]
GuardState = Literal["kept", "broken", "open", "unknown"]
Consequence = Literal["no verdict", "no roll-out", "noted"]


@dataclass(frozen=True)
class Setting:
    """What was read, and when.

    Attributes:
        primary: Name of the primary metric.
        alpha: The registered chance of a false alarm; intervals are at 1 - alpha.
        first_due: Earliest planned send moment, where the first window starts.
        window_ends: End of the last customer's window.
        registered_at: When the plan that judges was registered; None when nothing has been sent.
        own: Kind of each metric of the shop's own: rate, count or money.
    """

    campaign: str
    wave: str
    shop: str
    hypothesis: str
    currency: Currency
    zone: ZoneInfo
    primary: str
    alpha: float
    window: Duration
    as_of: datetime
    first_due: datetime
    window_ends: datetime
    read_at: datetime
    plan_id: str
    fingerprint: str
    registered_at: datetime | None = None
    own: Mapping[str, str] = field(default_factory=dict)

    @property
    def ended(self) -> bool:
        """Whether the last customer's window was over when this was read."""
        return self.read_at >= self.window_ends


@dataclass(frozen=True)
class Verdict:
    """The decision by the registered rule, in one sentence for the person who decides.

    Attributes:
        arm: The treatment the decision speaks of; "" when it speaks of none.
    """

    decision: Decision
    sentence: str
    reasons: tuple[str, ...] = ()
    arm: str = ""


@dataclass(frozen=True)
class Check:
    """One answer to "can it be trusted?".

    Attributes:
        name: Key of the check, explained in the appendix.
        passed: None when it cannot be known.
        consequence: What its failure does to the verdict.
    """

    name: str
    passed: bool | None
    detail: str
    consequence: Consequence = "noted"


@dataclass(frozen=True)
class Trust:
    """All checks, made before any effect is looked at."""

    srm: SampleRatio | None
    checks: tuple[Check, ...]

    def failed(self, consequence: Consequence) -> tuple[Check, ...]:
        """The failed checks that have this consequence."""
        return tuple(check for check in self.checks if check.passed is False and check.consequence == consequence)


@dataclass(frozen=True)
class GuardFinding:
    """Whether one arm kept one guard.

    Attributes:
        limit: The registered words, such as "at most control + 3%".
        state: kept: the upper limit is within; broken: the lower limit is beyond; open: neither is shown;
            unknown: the data do not hold it.
        low: Lower limit of what is judged: the arm's rate, or its difference from control.
        relative: Whether the difference from control is judged.
    """

    name: str
    arm: str
    limit: str
    state: GuardState
    detail: str
    relative: bool = False
    rate_control: float | None = None
    rate_treatment: float | None = None
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True)
class ArmFigures:
    """One arm as assigned. `metrics` is None while withheld.

    Attributes:
        share: The registered share of the split.
        metrics: By metric: mean, sum and variance per assigned customer; money in minor units.
    """

    arm: str
    n: int
    share: float
    metrics: Mapping[str, Moment] | None = None


@dataclass(frozen=True)
class Moment:
    """Mean, sum and sample variance of one metric over one arm, with the limits of the mean where they are drawn."""

    mean: float
    total: float
    variance: float
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True)
class Delivery:
    """The account of one arm's messages: states add up to what was planned.

    Attributes:
        states: Count by MessageState.
        reasons: Count by state and reason, for states other than accepted.
    """

    arm: str
    states: Mapping[str, int]
    reasons: Mapping[tuple[str, str], int]

    @property
    def planned(self) -> int:
        """All messages of the arm."""
        return sum(self.states.values())


@dataclass(frozen=True)
class Curve:
    """How many of an arm had responded by the end of each day of the window."""

    arm: str
    n: int
    responders: tuple[int, ...]


@dataclass(frozen=True)
class Deviation:
    """One key that differs today from what was registered. The registered value judged.

    Attributes:
        who: Author of the change as git names it; "" when git does not know.
        when: Date of the change; "" when git does not know.
    """

    file: str
    key: str
    registered: str
    today: str
    who: str = ""
    when: str = ""


@dataclass(frozen=True)
class Otherwise:
    """One comparison estimated in another way than the registered one, or of another figure that explains it.

    Attributes:
        way: strata (each at its share of the audience), past (what earlier orders foretell taken out), reached (among
            those whom a message was handed over for), ratio (revenue per order).
        reduction: Share of the variance of the plain difference that the adjustment took away.
        share: Of the treatment that was reached; None but for `reached`.
    """

    way: Literal["strata", "past", "reached", "ratio"]
    comparison: Comparison
    reduction: float | None = None
    share: float | None = None


@dataclass(frozen=True)
class Chances:
    """The primary metric of one pair of arms in chances. What cannot be said is None.

    Attributes:
        chance: That the treatment's rate is above control's, believing every rate alike beforehand.
        loss: Responders per customer that choosing the treatment costs on average, where control is better after all.
        campaigns: Past treatments whose lifts were the prior of the figures below; 0 when there were too few.
        lift: The lift drawn towards those of past campaigns, with its limits.
        chance_with_past: That the lift is above zero, past campaigns taken into account.
    """

    metric: str
    control: str
    treatment: str
    chance: float | None
    loss: float | None
    campaigns: int = 0
    lift: float | None = None
    lift_low: float | None = None
    lift_high: float | None = None
    chance_with_past: float | None = None


@dataclass(frozen=True)
class Readout:
    """One reading of one wave. Comparisons, economics and curves are empty while withheld.

    Attributes:
        so_far: Before the window ends, what a registered monitoring shows; else empty.
        otherwise: The effect estimated in other ways, beside the registered one.
        chances: The primary metric in chances.
        parts: The effect in every level of the registered cuts; `heterogeneity` says whether levels differ.
        channels: Revenue by the channel of the orders, which is the level of each comparison.
        terms: The registered plan as label and text, for people.
        attribution: What came back to messages of each arm, once the windows have ended; no effect.
        evidence: What it takes to compute it again, as JSON values; None while effects are withheld.
    """

    setting: Setting
    verdict: Verdict
    trust: Trust
    arms: tuple[ArmFigures, ...]
    delivery: tuple[Delivery, ...]
    guards: tuple[GuardFinding, ...] = ()
    comparisons: tuple[Comparison, ...] = ()
    so_far: tuple[Comparison, ...] = ()
    economics: tuple[Economics, ...] = ()
    otherwise: tuple[Otherwise, ...] = ()
    chances: tuple[Chances, ...] = ()
    parts: tuple[Part, ...] = ()
    heterogeneity: tuple[Heterogeneity, ...] = ()
    channels: tuple[Comparison, ...] = ()
    curves: tuple[Curve, ...] = ()
    terms: tuple[tuple[str, str], ...] = ()
    deviations: tuple[Deviation, ...] = ()
    evidence: Mapping[str, object] | None = None
    attribution: tuple[ArmAnswers, ...] = ()

    def levels(self, part: Part) -> int:
        """How many levels of the part's cut are compared."""
        return next((found.levels for found in self.heterogeneity if found.judges(part)), 1)

    def against_control(self, metric: str) -> tuple[Comparison, ...]:
        """The comparisons of each treatment with control on one metric."""
        return tuple(found for found in self.comparisons if found.metric == metric and found.control == CONTROL)
