"""Life-cycle stages: computed from the days since the last order, never tagged."""

from __future__ import annotations

from dataclasses import dataclass

import ibis
import ibis.expr.types as ir

from campanile.customers import engine
from campanile.spec.settings import StageSettings

#: In the order of life; `prospect` comes before the first order.
STAGES = ("prospect", "active", "silent", "sleeping", "lapsed", "dead")

_SHARES = (0.75, 0.90, 0.95)
_FEWEST_GAPS = 200
_FALLBACK = (90, 180, 365, 730)


@dataclass(frozen=True)
class StageCuts:
    """The last day of active, silent, sleeping and lapsed; where they come from."""

    active: int
    silent: int
    sleeping: int
    lapsed: int
    #: "settings", "repurchase gaps" or "defaults".
    origin: str
    #: How many gaps between buying days were looked at; 0 when the settings decide.
    gaps: int = 0

    @property
    def sentence(self) -> str:
        """Where the cut points come from, for people.

        >>> StageCuts(90, 180, 365, 730, "defaults", 12).sentence
        'active 90 days, silent 180, sleeping 365, lapsed 730 (defaults: 12 repurchase gaps, 200 are needed)'
        """
        days = f"active {self.active} days, silent {self.silent}, sleeping {self.sleeping}, lapsed {self.lapsed}"
        if self.origin == "settings":
            return f"{days} (from campanile.yaml)"
        if self.origin == "defaults":
            return f"{days} (defaults: {self.gaps:,} repurchase gaps, {_FEWEST_GAPS} are needed)"
        return f"{days} (75th, 90th and 95th percentile of {self.gaps:,} repurchase gaps)"


def stage_cuts(settings: StageSettings, buying_days: ir.Table) -> StageCuts:
    """The cut points: fixed by settings, else from repurchase gaps, else the defaults.

    Args:
        settings: All four days, or none.
        buying_days: customer_id and day, each pair once.
    """
    if settings.active and settings.silent and settings.sleeping and settings.lapsed:
        return StageCuts(settings.active, settings.silent, settings.sleeping, settings.lapsed, "settings")
    count, cuts = engine.percentiles(repurchase_gaps(buying_days), _SHARES)
    if count < _FEWEST_GAPS:
        return StageCuts(*_FALLBACK, "defaults", count)
    active, silent, sleeping = cuts
    return _rising(active, silent, sleeping, count)


def _rising(active: int, silent: int, sleeping: int, count: int) -> StageCuts:
    """Cut points at least a day apart, and lapsed half as long again as sleeping, at least 90 days longer."""
    silent = max(silent, active + 1)
    sleeping = max(sleeping, silent + 1)
    return StageCuts(active, silent, sleeping, max(-(-3 * sleeping // 2), sleeping + 90), "repurchase gaps", count)


def repurchase_gaps(buying_days: ir.Table) -> ir.IntegerColumn:
    """Days from each buying day of a customer to the next one."""
    window = ibis.window(group_by="customer_id", order_by="day")
    following = buying_days.mutate(gap=buying_days.day.delta(buying_days.day.lag().over(window), unit="day"))
    gaps: ir.IntegerColumn = following.filter(following.gap.notnull()).gap
    return gaps


def stage_of(days: ir.IntegerValue, cuts: StageCuts) -> ir.StringValue:
    """The stage by days since the last valid order; NULL days are no order."""
    return ibis.cases(
        (days.isnull(), "prospect"),
        (days <= cuts.active, "active"),
        (days <= cuts.silent, "silent"),
        (days <= cuts.sleeping, "sleeping"),
        (days <= cuts.lapsed, "lapsed"),
        else_="dead",
    )
