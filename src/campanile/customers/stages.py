"""Life-cycle stages: computed from the days since the last order, never tagged."""

from __future__ import annotations

from dataclasses import dataclass

import ibis
import ibis.expr.types as ir

from campanile.customers import engine
from campanile.customers.changes import ORDER, REACH, SIGN, TIME
from campanile.spec.scoring import StageSettings

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


@dataclass(frozen=True)
class Staged:
    """The columns of a customer's stage.

    Attributes:
        stage: One of `STAGES`.
        why: What decides it: order, time, visit or contact.
        since_day: The first day of the stage by what is known now; unknown where an order, a sign or reach decides.
    """

    stage: ir.StringValue
    why: ir.StringValue
    since_day: ir.IntegerValue


def staged(
    days: ir.IntegerValue, sign_days: ir.IntegerValue, gone: ir.BooleanValue, cuts: StageCuts, hold: int
) -> Staged:
    """The stage with what decides it, and how many days ago it began where days gone by decide it.

    Args:
        days: Since the last valid order; NULL for none.
        sign_days: Since the last visit, click or enquiry; NULL for none.
        gone: Whether the customer cannot be reached, or asked to be forgotten.
        cuts: The last days of each stage.
        hold: A sign in so many days holds a customer one stage higher; 0 where nothing does.
    """
    natural = stage_of(days, cuts)
    held = natural.isin(list(_HIGHER)) & (sign_days <= hold).fill_null(engine.FALSE)
    held = held if hold else engine.FALSE
    higher = natural.cases(*_HIGHER.items(), else_=natural)
    limits = {"silent": cuts.active, "sleeping": cuts.silent, "lapsed": cuts.sleeping, "dead": cuts.lapsed}
    by_days = days - natural.cases(*limits.items(), else_=ibis.null("int64")) - 1
    since = ibis.least(by_days, ibis.coalesce(sign_days - hold - 1, by_days)) if hold else by_days
    since = ibis.greatest(since, 0)
    return Staged(
        stage=ibis.cases((gone, "dead"), (held, higher), else_=natural),
        why=ibis.cases((gone, REACH), (held, SIGN), (natural.isin(["prospect", "active"]), ORDER), else_=TIME),
        since_day=ibis.ifelse(gone | held, ibis.null("int64"), since),
    )


#: Where a sign of life holds a customer.
_HIGHER = {"silent": "active", "sleeping": "silent", "lapsed": "sleeping", "dead": "lapsed"}

#: Parts of a stage: a prospect by how long known and how lately heard of, and who has bought once and lately.
SUBSTAGES = ("new_lead", "active_lead", "cold_lead", "inactive_lead", "new")
_COLD, _INACTIVE = 90, 180


def substage_of(
    stage: ir.StringValue, orders: ir.IntegerValue, known_days: ir.IntegerValue, sign_days: ir.IntegerValue
) -> ir.StringValue:
    """The part of a stage, NULL for none.

    A prospect known for at most 90 days is a new lead, one heard of in 90 days an active lead; then a cold lead, and
    after 180 days without a word an inactive one. An active customer with exactly one order is new.

    Args:
        stage: Of the customer.
        orders: Valid ones.
        known_days: Days since the customer is known; NULL where nobody wrote it down.
        sign_days: Days since the last visit, click or enquiry; NULL for none.
    """
    prospect = stage == "prospect"
    silent = ibis.least(ibis.coalesce(sign_days, known_days), ibis.coalesce(known_days, sign_days))
    return ibis.cases(
        ((stage == "active") & (orders == 1), "new"),
        (prospect & (known_days <= _COLD), "new_lead"),
        (prospect & (sign_days <= _COLD), "active_lead"),
        (prospect & (silent > _INACTIVE), "inactive_lead"),
        (prospect & silent.notnull(), "cold_lead"),
    )
