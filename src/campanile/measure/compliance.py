"""The effect on customers whom the message reached, when some of the treated got none (bounced, expired, held).

Reads one arm's metric together with whether each customer was delivered to. Returns what `compare_adjusted` takes.
Never compares the delivered with control: who can be delivered to differs from who cannot, in either arm.
"""

from __future__ import annotations

from dataclasses import dataclass

from campanile.errors import CampanileError
from campanile.measure.compare import Adjusted
from campanile.measure.counts import Moments
from campanile.measure.types import ArmStatistics, pair


@dataclass(frozen=True, slots=True)
class Delivered:
    """The effect on the delivered (complier average causal effect).

    Attributes:
        adjusted: What `compare_adjusted` takes; the difference is `effect`.
        effect: Intention to treat divided by `share`.
        variance: Of `effect`, by the delta method.
        share: Delivered in treatment minus delivered in control (0 where control got nothing).
    """

    adjusted: Adjusted
    effect: float
    variance: float
    share: float


def delivered(control: ArmStatistics, treatment: ArmStatistics, metric: str, receipt: str) -> Delivered:
    """The effect on the delivered: intention to treat over the share delivered.

    `receipt` is a metric of 0 or 1 in both arms. It rests on two things: assignment moves nobody who was not delivered
    to, and nobody is delivered to because of being in control. Imbens and Angrist (1994), Econometrica 62:467. The
    variance, [V(ITT) + c² V(share) - 2 c Cov(ITT, share)] / share², is the robust one of two-stage least squares.

    An interval by `compare_adjusted` leaves out zero when that of the assigned customers does, or nearly.

    >>> arms = [ArmStatistics.from_values(name, {"orders": orders, "got": got})
    ...         for name, orders, got in [("control", [0, 0, 0, 1], [0, 0, 0, 0]), ("sms", [0, 1, 1, 0], [0, 1, 1, 1])]]
    >>> found = delivered(*arms, "orders", "got")
    >>> round(found.effect, 4), found.share
    (0.3333, 0.75)

    Raises:
        CampanileError: Treatment was delivered no more than control, or a figure is missing.
    """
    _check(control, treatment, metric, receipt)
    share = treatment.mean(receipt) - control.mean(receipt)
    if share <= 0:
        raise CampanileError(
            f"arm {treatment.arm} was delivered to no more often than {control.arm}: nobody was reached because of it",
            "check the delivery events of the campaign",
        )
    effect = (treatment.mean(metric) - control.mean(metric)) / share
    first, second = (_moments(arm, (metric, receipt), effect, share) for arm in (control, treatment))
    variance = first.mean_variance + second.mean_variance
    return Delivered(Adjusted(first, second, by="among the delivered"), effect, variance, share)


def _moments(arm: ArmStatistics, names: tuple[str, str], effect: float, share: float) -> Moments:
    """The mean per unit of share, with the variance of the metric less the effect on the delivered."""
    metric, receipt = names
    variance = arm.variance(metric) - 2 * effect * arm.covariance(metric, receipt) + effect**2 * arm.variance(receipt)
    return Moments(arm.n, arm.mean(metric) / share, max(variance, 0.0) / share**2)


def _check(control: ArmStatistics, treatment: ArmStatistics, metric: str, receipt: str) -> None:
    for arm in (control, treatment):
        arm.variance(metric)
        if pair(metric, receipt) not in arm.products:
            raise CampanileError(
                f"arm {arm.arm} has no product of {metric} and {receipt}", "ask the engine for their covariance as well"
            )
        if not 0 <= arm.sums[receipt] <= arm.n:
            raise CampanileError(
                f"{arm.sums[receipt]} of {arm.n} customers of arm {arm.arm} have {receipt}",
                "count each customer at most once",
            )
