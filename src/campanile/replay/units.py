"""Whose orders are replayed: the customers of a past wave, or of a target as of a past date, with what they did.

Reads a snapshot and the customer database. Returns a table of the engine's with one row per unit; it lives as long as
the connection. Whatever a wave did to its customers stays in their orders: to a fresh assignment it is one more way in
which customers differ, and no effect.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory

import ibis.expr.types as ir
import pyarrow as pa
import pyarrow.parquet as pq

from campanile import clock
from campanile.audience.frame import Frame
from campanile.audience.select import select
from campanile.customers import engine
from campanile.customers.database import CustomerDatabase
from campanile.customers.profile import ensure_profile
from campanile.design.assign import assign
from campanile.errors import CampanileError
from campanile.ledger.store import Ledger
from campanile.measure.outcomes import LIST_MARGIN_COLUMN, Wave, outcomes, span
from campanile.measure.own import PREFIX, OwnMetrics
from campanile.plan.freeze import frozen_spec
from campanile.plan.needs import fields_read
from campanile.plan.past import sync_past
from campanile.plan.snapshot import latest_due, snapshot_relation, write_snapshot
from campanile.readout.terms import Terms, read_terms
from campanile.spec.project import Project

_TABLE = "campanile_replay"
#: How far back `pre_…` looks at least, as in a plan.
_YEAR = clock.Duration(days=365)
_MESSAGES = pa.schema({"customer_id": pa.string(), "state": pa.string()})


@dataclass(frozen=True)
class Units:
    """Customers of the past and what they did in their window.

    Attributes:
        rows: customer_id, stratum, responded, orders, revenue, pre_orders, pre_revenue; list_margin and metrics of the
            shop's own where they are read.
        n: How many rows.
        repeated: Rows beyond the first of a customer: units that are none of their own.
        first_due: Where the first window began, aware UTC.
        ends: Where the last one ended.
        source: Where they come from, in words.
        sticky: Whether each unit's arm is its own number's alone, as in a repeating campaign.
    """

    terms: Terms
    rows: ir.Table
    n: int
    repeated: int
    first_due: datetime
    ends: datetime
    source: str
    sticky: bool = False


def past_wave(
    project: Project, campaign: str, *, database: CustomerDatabase, ledger: Ledger, now: datetime
) -> Units | None:
    """The customers of the campaign's past waves, of a repeating one all whose windows have ended.

    None when it was never planned.

    Raises:
        CampanileError: No window has ended, it measures nothing, or a snapshot is gone.
    """
    plans = sorted((plan for plan in ledger.plans() if plan.campaign == campaign), key=lambda plan: plan.wave)
    if not plans:
        return None
    registration = ledger.registration(campaign, plans[0].wave)
    terms = read_terms(campaign, json.loads(registration.spec_json) if registration else plans[0].spec)
    window = terms.experiment.primary.window
    dues = {plan.wave: latest_due(project.home / plan.snapshot) for plan in plans}
    over = [plan for plan in plans if (due := dues[plan.wave]) and window.after(due) <= now] or plans[:1]
    words = f"wave {over[0].wave}" if len(over) == 1 else f"{len(over)} waves, {over[0].wave} to {over[-1].wave},"
    snapshots = tuple(project.home / plan.snapshot for plan in over)
    found = _measured(project, database, terms, snapshots, now, f"{words} of {campaign}")
    if found.ends > now:
        ends = clock.words(found.ends, project.zone)
        raise CampanileError(
            f"the window of {campaign} ends on {ends}, so what its customers do is not known yet",
            "replay its target as of a past date: give --as-of",
        )
    return found


def past_audience(  # noqa: PLR0913 - what is selected, when, and the stores
    project: Project,
    campaign: str,
    as_of: datetime,
    *,
    database: CustomerDatabase,
    ledger: Ledger | None,
    now: datetime,
) -> Units:
    """The customers whom the campaign would have got at a past moment, and what they did in the window after it.

    Raises:
        CampanileError: The window has not ended, the campaign measures nothing, or nobody is left.
    """
    spec = project.campaign(campaign)
    terms = read_terms(campaign, json.loads(json.dumps(frozen_spec(project, campaign, spec.waves[0]))))
    window = terms.experiment.primary.window
    if window.after(as_of) > now:
        latest = clock.words(window.before(now), project.zone)
        raise CampanileError(
            f"a window of {window} from {clock.words(as_of, project.zone)} has not ended", f"go back to {latest}"
        )
    local = as_of.astimezone(project.zone)
    once = {"start": local.date(), "every": None, "until": None, "again": None}
    spec = spec.model_copy(update={"timing": spec.timing.model_copy(update=once)})
    if ledger is not None:
        sync_past(project, database, ledger)
    ensure_profile(project, database, as_of, fields=fields_read(project))
    audience = select(spec.target, database, as_of, project=project, campaign=spec)
    strata = terms.experiment.stratify
    assigned = assign(audience.eligible, split=terms.experiment.split, stratify=strata, salt=f"{campaign}:replay")
    before = (min(window.before(as_of), _YEAR.before(as_of)), as_of)
    snapshot = snapshot_relation(assigned, database, project=project, timing=spec.timing, before=before)
    with TemporaryDirectory(prefix="campanile-aa-") as folder:
        columns = ("customer_id", "arm", "stratum", "due_at", "pre_orders", "pre_revenue")
        path, _ = write_snapshot(database, snapshot, Path(folder), columns)
        source = f"the target of {campaign} as of {clock.words(as_of, project.zone)}"
        return _measured(project, database, terms, (path,), now, source)


def _measured(  # noqa: PLR0913, PLR0917
    project: Project, database: CustomerDatabase, terms: Terms, snapshots: tuple[Path, ...], now: datetime, source: str
) -> Units:
    """The units of snapshots with what they did, in a temporary table."""
    experiment = terms.experiment
    with _no_messages() as messages:
        wave = Wave(
            experiment.campaign,
            snapshots,
            (messages,),
            window=experiment.primary.window,
            read_at=now,
            list_rate=terms.list_rate,
            own=OwnMetrics(Frame(now, project.zone, project.currency, {}), terms.own),
        )
        within = span(database, wave)
        relation = outcomes(database, wave, within)
        kept = ["customer_id", "stratum", "responded", "orders", "revenue", "pre_orders", "pre_revenue"]
        kept += [name for name in relation.columns if name == LIST_MARGIN_COLUMN or name.startswith(PREFIX)]
        rows = engine.store(database.ibis, _TABLE, relation.select(*kept), temp=True)
    counted = rows.aggregate(n=rows.count(), customers=rows["customer_id"].nunique()).to_pyarrow().to_pylist()[0]
    first, ends = within.first_due.astimezone(UTC), within.ends.astimezone(UTC)
    sticky = (terms.spec["campaign"].get("timing") or {}).get("every") is not None
    return Units(terms, rows, counted["n"], counted["n"] - counted["customers"], first, ends, source, sticky)


@contextmanager
def _no_messages() -> Iterator[Path]:
    """A file of no messages: what was sent says nothing about a fresh assignment."""
    with TemporaryDirectory(prefix="campanile-aa-") as folder:
        path = Path(folder) / "messages.parquet"
        pq.write_table(_MESSAGES.empty_table(), path)
        yield path
