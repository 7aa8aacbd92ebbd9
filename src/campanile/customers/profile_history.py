"""Keeps what each profile showed: intervals in which a customer's stage, scores, segment and level stayed the same.

A profile may be made of any date in any order and any number of times. It says what holds from its moment until that of
the next one; the intervals of a customer tile the time since the first without gap or overlap.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from datetime import datetime

import ibis
import ibis.expr.types as ir

from campanile.customers import engine
from campanile.customers.changes import HISTORY_TYPES, STATE, Run, comparable_since
from campanile.customers.columns.past import Past
from campanile.customers.database import PROFILE_HISTORY, CustomerDatabase
from campanile.customers.zones import naive

_CHANGED, _STATE = "campanile_changed", "campanile_state"
_QUARTER_DAYS = 90


def keep(database: CustomerDatabase, as_of: datetime, state: ir.Table, scoring: str) -> None:
    """Nothing; the history now says what the profile as of a moment showed, until the next profile that was made.

    Args:
        database: Open for writing, inside a transaction.
        as_of: Aware.
        state: customer_id, the columns of `STATE`, entered_at and why.
        scoring: How stages and scores were made.
    """
    moment = naive(as_of)
    runs = database.profile_runs()
    later = [run.as_of for run in runs if run.as_of > moment]
    history = database.own(PROFILE_HISTORY)
    state = engine.store(database.ibis, _STATE, _known_tier(state, history, moment, past=bool(later)), temp=True)
    changed = engine.store(database.ibis, _CHANGED, _changed(state, history, moment), temp=True)
    if not runs:
        database.store_own(PROFILE_HISTORY, _typed(_from(state, moment)))
    elif changed.count().execute():
        affected = history.semi_join(changed, "customer_id")
        new = state.semi_join(changed, "customer_id")
        pieces = _pieces(affected, new, moment, min(later, default=None))
        kept = history.anti_join(changed, "customer_id")
        database.store_own(PROFILE_HISTORY, ibis.union(_typed(kept), _typed(_joined_up(pieces))))
    noted = [*(run for run in runs if run.as_of != moment), Run(moment, scoring)]
    database.note_runs(sorted(noted, key=lambda run: run.as_of))


def _known_tier(state: ir.Table, history: ir.Table, moment: datetime, *, past: bool) -> ir.Table:
    """The state with its level; of a date before the newest profile only what was written down then is known."""
    if not past:
        return state
    there = _covering(history, moment).select("customer_id", known=ibis._.tier)
    joined = state.left_join(there, "customer_id")
    return joined.select(*(state[name] for name in state.columns if name != "tier"), tier=joined.known)


def _covering(history: ir.Table, moment: datetime) -> ir.Table:
    at = ibis.timestamp(moment)
    return history.filter(history.valid_from <= at, history.valid_to.isnull() | (history.valid_to > at))


def _changed(state: ir.Table, history: ir.Table, moment: datetime) -> ir.Table:
    """The customers for whom the history does not yet say what the profile shows, or who are no longer there."""
    there = _covering(history, moment)
    joined = state.left_join(there, "customer_id", rname="{name}_there")
    same = [joined[name].identical_to(joined[f"{name}_there"]) for name in STATE]
    differs = ~functools.reduce(lambda left, right: left & right, same) | joined.valid_from.isnull()
    return ibis.union(
        joined.filter(differs).select("customer_id"), there.anti_join(state, "customer_id").select("customer_id")
    )


def _pieces(old: ir.Table, state: ir.Table, moment: datetime, end: datetime | None) -> ir.Table:
    """The intervals of changed customers, cut at the moment and at the next profile, with the new state between."""
    at = ibis.timestamp(moment)
    before = old.filter(old.valid_from < at).mutate(valid_to=ibis.least(ibis.coalesce(ibis._.valid_to, at), at))
    parts = [before, _from(state, moment, end)]
    if end is not None:
        after = old.filter(old.valid_to.isnull() | (old.valid_to > ibis.timestamp(end)))
        parts.append(after.mutate(valid_from=ibis.greatest(ibis._.valid_from, ibis.timestamp(end))))
    return ibis.union(*(_typed(part) for part in parts))


def _from(state: ir.Table, moment: datetime, end: datetime | None = None) -> ir.Table:
    """The state as intervals from a moment on."""
    until = ibis.null("timestamp(6)") if end is None else ibis.timestamp(end)
    return state.mutate(valid_from=ibis.timestamp(moment), valid_to=until)


def _joined_up(pieces: ir.Table) -> ir.Table:
    """Neighbours with the same state as one interval; when and why it began is what its first piece says."""
    window = ibis.window(group_by="customer_id", order_by="valid_from")
    same = [pieces[name].identical_to(pieces[name].lag().over(window)) for name in STATE]
    follows = functools.reduce(
        lambda left, right: left & right, same, pieces.valid_to.lag().over(window) == pieces.valid_from
    )
    marked = pieces.mutate(starts=ibis.ifelse(follows.fill_null(engine.FALSE), 0, 1))
    so_far = ibis.cumulative_window(group_by="customer_id", order_by="valid_from")
    numbered = marked.mutate(number=marked.starts.sum().over(so_far))
    open_end = numbered.valid_to.isnull().any()
    joined = numbered.group_by("customer_id", "number", *STATE).agg(
        valid_from=numbered.valid_from.min(),
        last=numbered.valid_to.max(),
        open_end=open_end,
        entered_at=numbered.entered_at.argmin(numbered.valid_from),
        why=numbered.why.argmin(numbered.valid_from),
    )
    return joined.mutate(valid_to=ibis.ifelse(joined.open_end, ibis.null("timestamp(6)"), joined["last"]))


def _typed(rows: ir.Table) -> ir.Table:
    return rows.select(**{name: rows[name].cast(type_) for name, type_ in HISTORY_TYPES.items()})


def earlier_columns(past: Past, state: ir.Table, runs: Sequence[Run], scoring: str) -> ir.Table | None:
    """What was before, by profiles made in the same way as this one; None where there are none.

    stage_before and rfm_segment_before: the value before the last change to the present one.
    stage_90d_ago and rfm_segment_90d_ago: the value 90 days ago, unknown where no profile goes back so far.
    _stage_since: when the present stage began, as far as the profiles go back.
    """
    since = comparable_since(runs, naive(past.as_of), scoring)
    if since is None:
        return None
    history = past.database.own(PROFILE_HISTORY)
    history = history.filter(history.valid_from < past.moment)
    history = history.filter(history.valid_to.isnull() | (history.valid_to > ibis.timestamp(since)))
    now = state.select("customer_id", stage_now="stage", segment_now="rfm_segment")
    joined = history.inner_join(now, "customer_id")
    end = ibis.least(ibis.coalesce(joined.valid_to, past.moment), past.moment)
    joined = joined.mutate(end=end, other=joined.stage != joined.stage_now)
    window = ibis.window(group_by="customer_id")
    joined = joined.mutate(until=joined.end.max(where=joined.other).over(window))
    quarter = past.moment - ibis.interval(days=_QUARTER_DAYS)
    then = (joined.valid_from <= quarter) & (joined.end > quarter)
    moved = joined.rfm_segment != joined.segment_now
    current = ~joined.other & (joined.until.isnull() | (joined.valid_from >= joined.until))
    return joined.group_by("customer_id").agg(
        stage_before=joined.stage.argmax(joined.valid_from, where=joined.other),
        rfm_segment_before=joined.rfm_segment.argmax(joined.valid_from, where=moved),
        stage_90d_ago=joined.stage.max(where=then),
        rfm_segment_90d_ago=joined.rfm_segment.max(where=then),
        _stage_since=joined.entered_at.min(where=current),
    )
