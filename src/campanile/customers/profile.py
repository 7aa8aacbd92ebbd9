"""The profile: one row per customer as of a moment, computed from valid orders. Campaigns select over it."""

from __future__ import annotations

import hashlib
from datetime import date, datetime, timedelta

import ibis
import ibis.expr.types as ir

from campanile.clock import Duration
from campanile.customers import engine, rfm
from campanile.customers.database import PROFILE, CustomerDatabase
from campanile.customers.orders import before
from campanile.customers.profile_report import ProfileReport, Rate
from campanile.customers.reach import MAILABLE, contact_flags, gone, mailable
from campanile.customers.stages import STAGES, StageCuts, stage_cuts, stage_of
from campanile.customers.tables import CUSTOMERS, ORDER, VISITED
from campanile.customers.value.columns import value_report, with_value
from campanile.customers.zones import naive, shop_day
from campanile.spec.project import Project

_YEAR = Duration(days=365)
#: How far ahead scores and stages are asked to predict.
_AHEAD = timedelta(days=90)
_BUYERS = "campanile_buyers"
_NO_ORDERS = {"customer_id": "string", "at": "timestamp", "order_id": "string", "amount": "int64", "net": "int64"}


def refresh_profile(project: Project, database: CustomerDatabase, as_of: datetime) -> ProfileReport:
    """Computes the profile as of a moment, replaces the one there is, and says how well it would have predicted.

    Args:
        project: Its settings say how scores and stages are made.
        database: Open for writing.
        as_of: Aware; nothing at or after it is seen.

    Raises:
        CampanileError: No customers were imported, or the database is open read-only.
    """
    with engine.engine_errors(database.path):
        cuts = _write_profile(project, database, as_of)
        return _report(project, database, as_of, cuts)


def ensure_profile(project: Project, database: CustomerDatabase, as_of: datetime) -> None:
    """Computes the profile unless it is of that moment, these settings and this data already."""
    if database.profile_as_of(_fingerprint(project)) != as_of:
        with engine.engine_errors(database.path):
            _write_profile(project, database, as_of)


def _fingerprint(project: Project) -> str:
    policy = project.settings.policy
    text = repr(
        (
            policy.rfm,
            policy.stages,
            policy.value,
            policy.scores,
            project.settings.economics.margin_rate,
            project.zone.key,
            project.currency.code,
        )
    )
    return hashlib.sha256(text.encode()).hexdigest()


def _write_profile(project: Project, database: CustomerDatabase, as_of: datetime) -> StageCuts:
    database.needs_writing()
    customers = database.table(CUSTOMERS)
    cuts = stage_cuts(project.settings.policy.stages, _buying_days(project, database, as_of))
    with engine.transaction(database.ibis):
        buyers = _scored_buyers(project, database, as_of)
        profile = _profile(customers, buyers, _visits(project, database, as_of), cuts)
        profile = with_value(project, database, profile, as_of)
        database.store_own(PROFILE, profile.order_by("customer_id"))
        state = {"as_of": naive(as_of), "settings": _fingerprint(project)}
        database.note_profile([state])
    return cuts


def _orders(database: CustomerDatabase, as_of: datetime) -> ir.Table:
    if ORDER not in database.tables():
        return ibis.memtable([], schema=ibis.schema(_NO_ORDERS))
    return database.net_orders(as_of)


def _first_moment(database: CustomerDatabase) -> datetime | None:
    """When the oldest order was placed, naive UTC: the engine knows it without looking."""
    if ORDER not in database.tables():
        return None
    first: datetime | None = database.table(ORDER)["at"].min().to_pyarrow().as_py()
    return first


def _buying_days(project: Project, database: CustomerDatabase, as_of: datetime) -> ir.Table:
    """Every day on which a customer bought, once."""
    orders = _orders(database, as_of)
    day = shop_day(orders["at"], project.zone, since=_first_moment(database))
    return orders.select(orders.customer_id, day=day).distinct()


def _scored_buyers(project: Project, database: CustomerDatabase, as_of: datetime) -> ir.Table:
    """One row per known customer with a valid order: raw values and RFM scores."""
    settings = project.settings.policy.rfm
    buyers = _buyers(project, database, as_of, settings.window)
    stored = engine.store(database.ibis, _BUYERS, buyers.semi_join(database.table(CUSTOMERS), "customer_id"), temp=True)
    return rfm.scored(stored, settings, project.currency)


def _buyers(project: Project, database: CustomerDatabase, as_of: datetime, window: Duration) -> ir.Table:
    """One row per customer with a valid order before a moment."""
    orders = _orders(database, as_of)
    at, net = orders["at"], orders.net
    days = shop_day(at, project.zone, since=_first_moment(database))
    year, recent = (at >= _literal(length.before(as_of)) for length in (_YEAR, window))
    found = orders.group_by("customer_id").agg(
        first_order_at=at.min(),
        last_order_at=at.max(),
        orders=orders.count(),
        buying_days=days.nunique(),
        frequency_365d=year.sum(),
        money_365d=net.sum(where=year).fill_null(0),
        rfm_orders=recent.sum(),
        rfm_money=net.sum(where=recent).fill_null(0),
    )
    last_day = shop_day(found.last_order_at, project.zone, since=_first_moment(database))
    found = found.mutate(recency_days=_days_until(project, as_of, last_day))
    return _less_returns(database, found, as_of, window)


def _less_returns(database: CustomerDatabase, buyers: ir.Table, as_of: datetime, window: Duration) -> ir.Table:
    """The buyers with money lowered by what came back of orders we do not know."""
    back = database.unmatched_returns(as_of)
    year, recent = (back["at"] >= _literal(length.before(as_of)) for length in (_YEAR, window))
    lost = back.group_by("customer_id").agg(
        lost_365d=back.amount.sum(where=year), lost_rfm=back.amount.sum(where=recent)
    )
    joined = buyers.left_join(lost, "customer_id")
    return joined.mutate(
        money_365d=joined.money_365d - joined.lost_365d.fill_null(0),
        rfm_money=joined.rfm_money - joined.lost_rfm.fill_null(0),
    ).select(buyers.columns)


def _visits(project: Project, database: CustomerDatabase, as_of: datetime) -> ir.Table | None:
    if VISITED not in database.tables():
        return None
    visits = before(database.table(VISITED), as_of)
    last = visits.group_by("customer_id").agg(last_visit_at=visits["at"].max())
    days = _days_until(project, as_of, shop_day(last.last_visit_at, project.zone))
    return last.select("customer_id", visit_recency_days=days)


def _profile(customers: ir.Table, buyers: ir.Table, visits: ir.Table | None, cuts: StageCuts) -> ir.Table:
    joined = customers.left_join(buyers, "customer_id")
    values = {column: buyers[column] for column in buyers.columns if column != "customer_id"}
    for column in ("orders", "buying_days", "frequency_365d", "money_365d"):
        values[column] = buyers[column].fill_null(0)
    stage = ibis.ifelse(gone(customers), "dead", stage_of(buyers.recency_days, cuts))
    flags = contact_flags(customers)
    if "email" in customers.columns:
        values[MAILABLE] = mailable(customers.email) if "email_ok" in customers.columns else flags["email_ok"]
    profile = joined.select(customers.customer_id, **values, **flags, stage=stage)
    profile = profile.drop("rfm_orders", "rfm_money")
    if visits is None:
        return profile
    seen = profile.left_join(visits, "customer_id")
    return seen.select(*profile.columns, visits.visit_recency_days)


def _literal(moment: datetime) -> ir.TimestampValue:
    return ibis.timestamp(naive(moment))


def _days_until(project: Project, as_of: datetime, day: ir.DateValue) -> ir.IntegerValue:
    """Calendar days in the shop's zone from `day` to the moment."""
    today: date = as_of.astimezone(project.zone).date()
    days: ir.IntegerValue = ibis.date(today).delta(day, unit="day")
    return days


def _report(project: Project, database: CustomerDatabase, as_of: datetime, cuts: StageCuts) -> ProfileReport:
    profile = database.own(PROFILE)
    stages = _counts(profile, "stage")
    segments = _counts(profile.filter(profile["rfm.segment"].notnull()), "rfm.segment")
    orders = _orders(database, as_of)
    strangers = orders.anti_join(database.table(CUSTOMERS), "customer_id").customer_id.nunique()
    bought = profile.filter(profile.orders > 0)
    seen = _first_row(
        bought.aggregate(
            buyers=bought.count(),
            first=bought.first_order_at.min(),
            last=bought.recency_days.min(),
            most=bought.orders.max(),
        )
    )
    rates = _check(project, database, as_of, cuts)
    return ProfileReport(
        as_of=as_of,
        customers=int(profile.count().execute()),
        buyers=int(str(seen["buyers"])),
        strangers=int(strangers.execute()),
        stages={stage: stages.get(stage, 0) for stage in STAGES},
        segments={name: segments.get(name, 0) for name in rfm.SEGMENTS},
        stage_cuts=cuts.sentence,
        stage_rates=rates.pop("stage"),
        score_rates=rates,
        value=value_report(project, database, as_of),
        warnings=_warnings(seen, as_of),
    )


def _warnings(seen: dict[str, object], as_of: datetime) -> tuple[str, ...]:
    first, last, most = seen["first"], seen["last"], seen["most"]
    if not isinstance(first, datetime) or not isinstance(last, int) or not isinstance(most, int):
        return ("nobody has bought yet: no RFM, everybody is a prospect",)
    history = (naive(as_of) - first).days
    buyers = int(str(seen["buyers"]))
    return rfm.warnings(buyers=buyers, history_days=history, days_since_last_order=last, most_orders=most)


def _first_row(rows: ir.Table) -> dict[str, object]:
    found: dict[str, object] = rows.to_pyarrow().to_pylist()[0]
    return found


def _counts(rows: ir.Table, column: str) -> dict[str, int]:
    counted = rows.group_by(value=rows[column]).agg(rows=rows.count()).to_pyarrow()
    return dict(zip(counted["value"].to_pylist(), counted["rows"].to_pylist(), strict=True))


def _check(
    project: Project, database: CustomerDatabase, as_of: datetime, cuts: StageCuts
) -> dict[str, tuple[Rate, ...]]:
    """How many of each stage and score 90 days ago have bought since: what a stage or score is worth."""
    earlier = as_of - _AHEAD
    buyers = _scored_buyers(project, database, earlier)
    later = _orders(database, as_of).filter(lambda orders: orders["at"] >= _literal(earlier))
    since = later.select("customer_id").distinct().mutate(bought=True)
    joined = buyers.mutate(stage=stage_of(buyers.recency_days, cuts)).left_join(since, "customer_id")
    found = joined.mutate(bought=joined.bought.fill_null(engine.FALSE))
    rates = {"stage": _rates(found, "stage")}
    order = {stage: position for position, stage in enumerate(STAGES)}
    rates["stage"] = tuple(sorted(rates["stage"], key=lambda rate: order[str(rate.level)]))
    return rates | {column: _rates(found, column) for column in ("rfm.r", "rfm.f", "rfm.m")}


def _rates(rows: ir.Table, column: str) -> tuple[Rate, ...]:
    counted = (
        rows.group_by(level=rows[column])
        .agg(customers=rows.count(), bought=rows.bought.sum())
        .order_by("level")
        .to_pyarrow()
        .to_pylist()
    )
    return tuple(Rate(row["level"], row["customers"], row["bought"]) for row in counted)
