"""Puts the families of columns together: the state that the history keeps, and the whole profile."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass

import ibis
import ibis.expr.types as ir

from campanile.customers import engine, rfm
from campanile.customers.changes import ORDER, SIGN, TIME
from campanile.customers.columns.attention import aipl, cost_to_serve, preferred_channel, preferred_hour
from campanile.customers.columns.balances import balances, household_size
from campanile.customers.columns.buying import SCORED, due
from campanile.customers.columns.lines import affinities, scoped_buyers
from campanile.customers.columns.past import Past
from campanile.customers.columns.person import person
from campanile.customers.families import Family, lacking
from campanile.customers.reach import MAILABLE, contact_flags, gone, mailable
from campanile.customers.stages import StageCuts, staged, substage_of
from campanile.customers.zones import utc_time

_FAVOURITES = "campanile_favourites"
_COUNTS = ("orders", "buying_days", "frequency_365d", "money_365d", "margin_12m")
_NO_ATTENTION = {"customer_id": "string", "_cost": "int64"} | dict.fromkeys(
    ("last_visit_at", "last_sign_at", "reached_at", "acted_at", "praised_at"), "timestamp(6)"
)


@dataclass(frozen=True)
class Parts:
    """What stages are made of: every customer, buyers with their scores, and who paid attention (None: not kept)."""

    customers: ir.Table
    buyers: ir.Table
    attention: ir.Table | None

    @property
    def seen(self) -> ir.Table:
        """Who paid attention; nobody where it is not kept."""
        return ibis.memtable([], schema=ibis.schema(_NO_ATTENTION)) if self.attention is None else self.attention


def state_of(parts: Parts, past: Past, cuts: StageCuts, *, today_only: bool) -> ir.Table:
    """One row per customer: the columns that the history keeps, substage, and what decides the stage.

    Args:
        parts: As of the same moment.
        past: The shop as it was known then.
        cuts: The last days of each stage.
        today_only: Whether to use what is known of today only: who can be reached, and member levels.
    """
    customers, buyers, seen = parts.customers, parts.buyers, parts.seen
    joined = customers.left_join(buyers, "customer_id").left_join(seen, "customer_id")
    out = gone(customers) if today_only else engine.FALSE
    sign_days = past.days_since(past.day(seen.last_sign_at))
    known = customers.registered_at.cast("date") if "registered_at" in customers.columns else ibis.null("date")
    hold = past.project.settings.policy.stages.hold or 0
    found = staged(buyers.recency_days, sign_days, out, cuts, hold)
    tier = customers.tier if today_only and "tier" in customers.columns else ibis.null("string")
    substage = substage_of(found.stage, buyers.orders, past.days_since(known), sign_days)
    began = joined.select(
        "customer_id",
        stage=found.stage,
        why=found.why,
        substage=substage,
        since_day=found.since_day,
        last_order_at=buyers.last_order_at,
        last_sign_at=seen.last_sign_at,
        known=known,
        rfm_code=buyers["rfm.code"],
        rfm_segment=buyers["rfm.segment"],
        tier=tier.cast("string"),
    )
    entered = _entered(began, past)
    return began.mutate(entered_at=entered).drop("since_day", "last_order_at", "last_sign_at", "known")


def _entered(state: ir.Table, past: Past) -> ir.TimestampValue:
    """When the present stage began by what is known now; at the latest this moment."""
    zone = past.project.zone
    day = (ibis.date(past.today) - state.since_day.as_interval("D")).cast("timestamp(6)")
    known = state.known.cast("timestamp(6)")
    began = ibis.cases(
        (state.why == TIME, utc_time(day, zone)),
        (state.why == SIGN, state.last_sign_at),
        (state.why == ORDER, ibis.coalesce(state.last_order_at, known)),
    )
    return ibis.least(ibis.coalesce(began, past.moment), past.moment)


def assembled(
    parts: Parts, past: Past, state: ir.Table, earlier: ir.Table | None, families: Collection[Family]
) -> ir.Table:
    """The profile: every computed column, also those that the shop imports itself, which win when it is read.

    Args:
        parts: As of the moment.
        past: The shop as it was known then.
        state: Stage and segment of every customer.
        earlier: What they were before; None where no earlier profile was made.
        families: Of the dear columns, those to make.
    """
    customers = parts.customers
    profile = customers.select("customer_id", **_own_row(past, customers))
    for family in (*_always(parts, state), *_when_asked(parts, past, earlier, families)):
        profile = _beside(profile, family)
    profile = profile.mutate(**_from_all(past, profile))
    inner = {*SCORED, *parts.seen.columns, *lacking(families)} - {"customer_id"}
    return profile.drop(*(name for name in profile.columns if name.startswith("_") or name in inner))


def _own_row(past: Past, customers: ir.Table) -> Mapping[str, ir.Value]:
    columns: dict[str, ir.Value] = {**person(past, customers), **contact_flags(customers)}
    if "email" in customers.columns:
        columns[MAILABLE] = mailable(customers.email) if "email_ok" in customers.columns else columns["email_ok"]
    if (size := household_size(customers)) is not None:
        columns["household_size"] = size
    return columns


def _always(parts: Parts, state: ir.Table) -> Iterator[ir.Table]:
    """Relations with one row per customer that every profile has."""
    yield parts.buyers
    yield parts.seen.rename(_last_visit_at="last_visit_at")
    yield state.select("customer_id", "stage", "substage", _entered_at="entered_at")


def _when_asked(parts: Parts, past: Past, earlier: ir.Table | None, families: Collection[Family]) -> Iterator[ir.Table]:
    """Relations with one row per customer of the dear columns that are asked for and that the shop does not import."""
    imported = parts.customers.columns
    if earlier is not None:
        yield earlier
    if Family.LINES in families:
        yield from _of_lines(past, parts.buyers)
    for family, name, made in (
        (Family.CHANNEL, "preferred_channel", preferred_channel),
        (Family.HOUR, "preferred_hour", preferred_hour),
    ):
        if family in families and name not in imported and (found := made(past)) is not None:
            yield found
    if Family.BALANCES in families:
        yield from balances(past, parts.customers)
    if Family.SCOPES in families:
        yield from _scoped(past)


def _of_lines(past: Past, buyers: ir.Table) -> Iterator[ir.Table]:
    """What customers like, and how often those buy who like the same."""
    favourites = affinities(past)
    if favourites is not None:
        stored = engine.store(past.database.ibis, _FAVOURITES, favourites, temp=True)
        yield stored
        yield _category_gaps(stored, buyers)


def _category_gaps(favourites: ir.Table, buyers: ir.Table) -> ir.Table:
    """For each customer, the median of the usual gaps of those with the same favourite category."""
    joined = favourites.inner_join(buyers.filter(buyers.usual_gap.notnull()), "customer_id")
    gaps = joined.group_by(usual_category=joined.favourite_category).agg(_category_gap=joined.usual_gap.median())
    return favourites.inner_join(gaps, favourites.favourite_category == gaps.usual_category).select(
        "customer_id", "_category_gap"
    )


def _scoped(past: Past) -> Iterator[ir.Table]:
    """RFM of part of the order lines, for every scope of the settings."""
    settings, currency = past.project.settings.policy.rfm, past.project.currency
    how = rfm.scales(settings, currency).for_scopes
    for scope, only in settings.scopes.items():
        found = scoped_buyers(past, only)
        if found is not None:
            stored = engine.store(past.database.ibis, f"campanile_scope_{scope}", found, temp=True)
            prefix = f"rfm_{scope}"
            yield rfm.scored(stored, how, prefix=prefix).select(
                "customer_id", *(f"{prefix}.{letter}" for letter in "rfm")
            )


def _beside(profile: ir.Table, family: ir.Table) -> ir.Table:
    joined = profile.left_join(family, "customer_id")
    new = [family[name] for name in family.columns if name not in profile.columns]
    return joined.select(*(profile[name] for name in profile.columns), *new)


def _from_all(past: Past, profile: ir.Table) -> Mapping[str, ir.Value]:
    """Columns that follow from those of several families."""
    columns: dict[str, ir.Value] = {name: profile[name].fill_null(0) for name in _COUNTS}
    own, category = profile.usual_gap, _column(profile, "_category_gap", "float64")
    columns["next_order_due"] = due(past, profile.last_order_at, ibis.coalesce(own, category))
    columns["visit_recency_days"] = past.days_since(past.day(profile["_last_visit_at"]))
    columns["aipl"] = aipl(past, profile, profile)
    columns["cost_to_serve_12m"] = cost_to_serve(profile)
    since = ibis.coalesce(_column(profile, "_stage_since", "timestamp(6)"), profile["_entered_at"])
    columns["stage_days"] = past.days_since(past.day(ibis.least(since, past.moment)))
    for name in ("stage_before", "rfm_segment_before", "stage_90d_ago", "rfm_segment_90d_ago"):
        columns[name] = _column(profile, name, "string")
    return columns


def _column(profile: ir.Table, name: str, type_: str) -> ir.Value:
    return profile[name] if name in profile.columns else ibis.null(type_)
