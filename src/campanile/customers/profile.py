"""The profile: one row per customer as of a moment, computed from valid orders. Campaigns select over it."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime

import ibis
import ibis.expr.types as ir

from campanile.clock import Duration
from campanile.customers import engine, rfm
from campanile.customers.assembly import Parts, assembled, state_of
from campanile.customers.columns.attention import attention
from campanile.customers.columns.buying import buyers
from campanile.customers.columns.past import Past
from campanile.customers.database import PROFILE, RFM_CUTS, CustomerDatabase
from campanile.customers.families import EVERYTHING, Family, families_in, families_of, written
from campanile.customers.profile_history import earlier_columns, keep
from campanile.customers.profile_report import ProfileReport
from campanile.customers.stages import StageCuts, stage_cuts
from campanile.customers.tables import CUSTOMERS
from campanile.customers.value.columns import with_value
from campanile.customers.zones import naive
from campanile.spec.project import Project

_BUYERS, _ATTENTION, _STATE = "campanile_buyers", "campanile_attention", "campanile_state_now"
_RFM = ("rfm.r", "rfm.f", "rfm.m", "rfm.sum", "rfm.code", "rfm.segment", "rfm8")
#: Of forecasts and shares; small chances to be alive need more than figures of a condition do.
_DECIMALS = 9
#: Between how a profile was made and which families it has.
_WITH = " with "


def refresh_profile(
    project: Project, database: CustomerDatabase, as_of: datetime, *, refreeze: bool = False
) -> ProfileReport:
    """Computes the profile as of a moment, replaces the one there is, and says how well it would have predicted.

    Args:
        project: Its settings say how scores and stages are made.
        database: Open for writing.
        as_of: Aware; nothing at or after it is seen.
        refreeze: Whether frozen cut points of money are made anew.

    Raises:
        CampanileError: No customers were imported, or the database is open read-only.
    """
    from campanile.customers.checking import report_profile

    past = Past(project, database, as_of)
    with engine.engine_errors(database.path):
        cuts = _write_profile(past, refreeze=refreeze)
        return report_profile(past, cuts)


def ensure_profile(
    project: Project, database: CustomerDatabase, as_of: datetime, *, fields: Iterable[str] | None = None
) -> None:
    """Computes the profile unless it is of that moment, these settings and this data already.

    Args:
        project: Its settings say how scores and stages are made.
        database: Open for writing, unless the profile stands.
        as_of: Aware; nothing at or after it is seen.
        fields: The customer fields that will be read; None for all. Dear columns that nobody reads may be left out.
    """
    asked = EVERYTHING if fields is None else families_of(fields)
    there = _families_of(project, database, as_of)
    if there is None or not asked <= there:
        with engine.engine_errors(database.path):
            _write_profile(Past(project, database, as_of), refreeze=False, families=asked | (there or frozenset()))


def _families_of(project: Project, database: CustomerDatabase, as_of: datetime) -> frozenset[Family] | None:
    """The dear columns of the profile that stands; None when it is of another moment or of other settings."""
    if database.profile_as_of() != as_of:
        return None
    made, _, families = database.profile_settings().partition(_WITH)
    return families_in(families) if made == _fingerprint(project) else None


def backfill_history(
    project: Project,
    database: CustomerDatabase,
    moments: Sequence[datetime],
    *,
    progress: Callable[[int, int], None] = lambda _done, _total: None,
) -> None:
    """Nothing; the history now says what profiles as of past moments would have shown. The profile stays as it is.

    Only stages and segments that follow from orders and events: what the shop says of today only, such as who can be
    reached and which level they have, is not put into the past.

    Args:
        project: Its settings say how scores and stages are made.
        database: Open for writing.
        moments: Aware, in any order; those that are there already are written again. Of those before the first order
            only the last is asked: everybody was a prospect then.
        progress: Told how many are done, of how many.
    """
    database.needs_writing()
    with engine.engine_errors(database.path):
        moments = _with_orders(moments, Past(project, database, max(moments)).first_order) if moments else moments
        for done, moment in enumerate(moments, start=1):
            past = Past(project, database, moment)
            with database.settled(), engine.transaction(database.ibis):
                state = state_of(_parts(past), past, stages_at(past), today_only=False)
                keep(database, moment, state, scoring(project))
            progress(done, len(moments))


def _with_orders(moments: Sequence[datetime], first_order: datetime | None) -> Sequence[datetime]:
    """The moments after the first order (naive UTC) in their order, and the last one before it.

    >>> from datetime import UTC
    >>> days = [datetime(2026, 1, day, tzinfo=UTC) for day in (3, 1, 2, 4)]
    >>> [moment.day for moment in _with_orders(days, datetime(2026, 1, 2, 12))]
    [3, 2, 4]
    """
    empty = [moment for moment in moments if first_order is None or naive(moment) <= first_order]
    left_out = set(empty) - {max(empty)} if empty else set()
    return [moment for moment in moments if moment not in left_out]


def past_moments(start: datetime, until: datetime, every: Duration) -> tuple[datetime, ...]:
    """The moments from `start` on, so far apart, before `until`.

    >>> [moment.day for moment in past_moments(datetime(2026, 1, 1), datetime(2026, 1, 15), Duration(days=7))]
    [1, 8]
    """
    found = []
    while start < until:
        found.append(start)
        start = every.after(start)
    return tuple(found)


def scoring(project: Project) -> str:
    """A fingerprint of how stages, scores and segments are made: only what it is equal for can be compared."""
    policy = project.settings.policy
    parts = (policy.rfm, policy.stages, project.segment_map, project.zone.key, project.currency.code)
    return hashlib.sha256(repr(parts).encode()).hexdigest()


def _fingerprint(project: Project) -> str:
    policy, economics = project.settings.policy, project.settings.economics
    parts = (scoring(project), policy.aipl, policy.tiers, policy.value, policy.scores, economics)
    return hashlib.sha256(repr(parts).encode()).hexdigest()


def _write_profile(past: Past, *, refreeze: bool, families: frozenset[Family] = EVERYTHING) -> StageCuts:
    database, project = past.database, past.project
    database.needs_writing()
    database.table(CUSTOMERS)
    with database.settled(), engine.transaction(database.ibis):
        cuts = stages_at(past)
        found = _parts(past, refreeze=refreeze)
        state = engine.store(database.ibis, _STATE, state_of(found, past, cuts, today_only=True), temp=True)
        earlier = None
        if Family.BEFORE in families:
            earlier = earlier_columns(past, state, database.profile_runs(), scoring(project))
        profile = assembled(found, past, state, earlier, families)
        profile = with_value(past, profile, found.buyers, forecasts=Family.FORECASTS in families)
        database.store_own(PROFILE, _as_every_engine_says(profile).order_by("customer_id"))
        keep(database, past.as_of, state, scoring(project))
        made = f"{_fingerprint(project)}{_WITH}{written(families)}"
        database.note_profile([{"as_of": naive(past.as_of), "settings": made}])
    return cuts


def _as_every_engine_says(profile: ir.Table) -> ir.Table:
    """The profile with so many decimals as are the same in whatever order an engine adds up."""
    doubles = [name for name, type_ in profile.schema().items() if type_.is_floating()]
    return profile.mutate(**{name: profile[name].round(_DECIMALS) for name in doubles})


def _parts(past: Past, *, refreeze: bool = False) -> Parts:
    """What stages need: the customers, buyers with scores, and what they looked at, each read once."""
    seen = attention(past)
    if seen is not None:
        seen = engine.store(past.database.ibis, _ATTENTION, seen, temp=True)
    return Parts(past.database.table(CUSTOMERS), scored_buyers(past, seen, refreeze=refreeze), seen)


def stages_at(past: Past) -> StageCuts:
    """The cut points of stages by what was known then."""
    orders = past.orders
    days = orders.select(orders.customer_id, day=past.order_day(orders["at"])).distinct()
    return stage_cuts(past.project.settings.policy.stages, days)


def scored_buyers(past: Past, seen: ir.Table | None, *, refreeze: bool = False) -> ir.Table:
    """One row per known customer with a valid order: raw values and RFM scores."""
    project, database = past.project, past.database
    settings = project.settings.policy.rfm
    found = buyers(past).semi_join(database.table(CUSTOMERS), "customer_id")
    if settings.recency_of == "visit":
        found = _by_visit(past, found, seen)
    stored = engine.store(database.ibis, _BUYERS, found, temp=True)
    how = rfm.scales(settings, project.currency, _frozen(past, stored, refreeze=refreeze))
    return rfm.named(rfm.scored(stored, how), project.segment_map, settings)


def _by_visit(past: Past, found: ir.Table, seen: ir.Table | None) -> ir.Table:
    """The buyers with recency since the last visit; unknown for those who never came."""
    if seen is None:
        return found.mutate(**{rfm.RECENCY: ibis.null("int64")})
    visits = seen.select("customer_id", visit_days=past.days_since(past.day(seen.last_visit_at)))
    joined = found.left_join(visits, "customer_id")
    kept = {name: joined[name] for name in found.columns if name != rfm.RECENCY}
    return joined.select(**kept, **{rfm.RECENCY: joined.visit_days})


def _frozen(past: Past, buyers: ir.Table, *, refreeze: bool) -> tuple[int, ...]:
    """The kept cut points of money; made of these buyers the first time, and when asked to."""
    settings = past.project.settings.policy.rfm
    if settings.money != "frozen":
        return ()
    kept = past.database.own(RFM_CUTS).order_by("position").to_pyarrow().to_pylist()
    if len(kept) == settings.scores - 1 and not refreeze:
        return tuple(row["cut"] for row in kept)
    cuts = rfm.rounded_cuts(engine.cut_points(buyers[rfm.MONEY], settings.scores))
    rows = [
        {"as_of": naive(past.as_of), "position": position, "cut": cut} for position, cut in enumerate(cuts, start=1)
    ]
    if rows:
        past.database.store_own(RFM_CUTS, ibis.memtable(rows, schema=past.database.own(RFM_CUTS).schema()))
    return cuts
