"""The report of a profile: counts, what its scores and stages were worth 90 days ago, and who moved since."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

import ibis
import ibis.expr.types as ir

from campanile.customers import engine, rfm
from campanile.customers.columns.attention import attention
from campanile.customers.columns.past import Past
from campanile.customers.database import PROFILE, PROFILE_HISTORY
from campanile.customers.profile import scored_buyers
from campanile.customers.profile_report import NOT_YET, Migration, ProfileReport, Rate
from campanile.customers.stages import STAGES, StageCuts, stage_of
from campanile.customers.tables import CUSTOMERS
from campanile.customers.value.columns import value_report
from campanile.customers.zones import naive

#: How far ahead scores and stages are asked to predict, and how far back moves between stages are looked at.
_AHEAD = timedelta(days=90)
_LETTERS = ("rfm.r", "rfm.f", "rfm.m")


def report_profile(past: Past, cuts: StageCuts) -> ProfileReport:
    """The profile that was just made, in figures."""
    database, segments = past.database, past.project.segment_map
    profile = database.own(PROFILE)
    stages, named = _counts(profile, "stage"), _counts(profile, "rfm.segment")
    strangers = past.orders.anti_join(database.table(CUSTOMERS), "customer_id").customer_id.nunique()
    seen = _of_buyers(profile)
    earlier = _earlier(past, cuts)
    rates = _rates_of(earlier, past, segments.names)
    return ProfileReport(
        as_of=past.as_of,
        customers=int(profile.count().execute()),
        buyers=int(str(seen["buyers"])),
        strangers=int(strangers.execute()),
        stages={stage: stages.get(stage, 0) for stage in STAGES},
        segments={name: named.get(name, 0) for name in segments.names},
        stage_cuts=cuts.sentence,
        gaps=cuts.gaps,
        stage_rates=rates.pop("stage"),
        score_rates=rates,
        migration=_migration(profile, earlier, cuts),
        history=int(database.own(PROFILE_HISTORY).count().execute()),
        profiles=len(database.profile_runs()),
        warnings=_warnings(seen, past.as_of),
        value=value_report(past.project, database, past.as_of),
    )


def _of_buyers(profile: ir.Table) -> dict[str, object]:
    bought = profile.filter(profile.orders > 0)
    return _first_row(
        bought.aggregate(
            buyers=bought.count(),
            first=bought.first_order_at.min(),
            last=bought.recency_days.min(),
            most=bought.orders.max(),
        )
    )


def _warnings(seen: Mapping[str, object], as_of: datetime) -> tuple[str, ...]:
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
    known = rows.filter(rows[column].notnull())
    counted = known.group_by(value=known[column]).agg(rows=known.count()).to_pyarrow()
    return dict(zip(counted["value"].to_pylist(), counted["rows"].to_pylist(), strict=True))


def _earlier(past: Past, cuts: StageCuts) -> ir.Table:
    """The buyers as they were known 90 days ago, with their scores then and their stage by today's cut points."""
    then = Past(past.project, past.database, past.as_of - _AHEAD)
    seen = attention(then) if past.project.settings.policy.rfm.recency_of == "visit" else None
    buyers = scored_buyers(then, seen)
    return buyers.mutate(stage=stage_of(buyers.recency_days, cuts))


def _rates_of(earlier: ir.Table, past: Past, segments: Sequence[str]) -> dict[str, tuple[Rate, ...]]:
    """How many of each stage, score and segment 90 days ago have bought since: what it is worth."""
    start = ibis.timestamp(naive(past.as_of - _AHEAD))
    later = past.orders.filter(lambda orders: orders["at"] >= start)
    since = later.select("customer_id").distinct().mutate(bought=True)
    joined = earlier.left_join(since, "customer_id")
    found = joined.mutate(bought=joined.bought.fill_null(engine.FALSE))
    rates = {column: _rates(found, column) for column in ("stage", *_LETTERS, "rfm.segment")}
    for column, order in (("stage", STAGES), ("rfm.segment", tuple(segments))):
        rates[column] = tuple(sorted(rates[column], key=lambda rate: order.index(str(rate.level))))
    return rates


def _rates(rows: ir.Table, column: str) -> tuple[Rate, ...]:
    counted = (
        rows.group_by(level=rows[column])
        .agg(customers=rows.count(), bought=rows.bought.sum())
        .order_by("level")
        .to_pyarrow()
        .to_pylist()
    )
    return tuple(Rate(row["level"], row["customers"], row["bought"]) for row in counted)


def _migration(profile: ir.Table, earlier: ir.Table, cuts: StageCuts) -> tuple[Migration, ...]:
    """Who was in which stage 90 days ago and is in which now, by days since the last order and today's cuts."""
    before = earlier.select("customer_id", before="stage")
    joined = profile.left_join(before, "customer_id")
    moves = joined.select(before=joined.before.fill_null(NOT_YET), now=stage_of(joined.recency_days, cuts))
    rows = moves.group_by("before", "now").agg(customers=moves.count()).to_pyarrow().to_pylist()
    found: dict[str, dict[str, int]] = {}
    for row in rows:
        found.setdefault(row["before"], {})[row["now"]] = row["customers"]
    return tuple(
        Migration(before, {stage: found[before].get(stage, 0) for stage in STAGES})
        for before in (NOT_YET, *STAGES)
        if before in found
    )
