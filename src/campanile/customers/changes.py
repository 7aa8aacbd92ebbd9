"""The history of the profile as events: when a customer's stage or member level changed, from what to what, and why.

The history holds intervals: in [valid_from, valid_to) every profile that was made showed the customer in this state. An
interval begins at a profile, not at the change itself; `entered_at` is when the stage began by what was known then.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import ibis
import ibis.expr.types as ir

#: What an interval says of a customer.
STATE = ("stage", "rfm_code", "rfm_segment", "tier")
HISTORY_TYPES = {
    "customer_id": "string", "valid_from": "timestamp(6)", "valid_to": "timestamp(6)", **dict.fromkeys(STATE, "string"),
    "entered_at": "timestamp(6)", "why": "string",
}  # fmt: skip
RUN_TYPES = {"as_of": "timestamp(6)", "scoring": "string"}
#: What decides a stage: the last order, days gone by, a sign of life, or how the customer can be reached.
ORDER, TIME, SIGN, REACH = "order", "time", "visit", "contact"
#: A change made by a refund: by what is known now, the stage began before the profile that still showed another one.
REFUND = "refund"

_HEIGHTS = {"dead": 0, "prospect": 1, "lapsed": 2, "sleeping": 3, "silent": 4, "active": 5}
_UP, _DOWN = "up", "down"


@dataclass(frozen=True)
class Run:
    """A profile that was made: as of when (naive UTC), and a fingerprint of how stages and scores were made."""

    as_of: datetime
    scoring: str


def comparable_since(runs: Sequence[Run], as_of: datetime, scoring: str) -> datetime | None:
    """From when to a moment all profiles were made in one way; None when none before it was.

    >>> day = lambda number: datetime(2026, 3, number)
    >>> runs = [Run(day(1), "a"), Run(day(2), "b"), Run(day(3), "b")]
    >>> comparable_since(runs, day(4), "b").day, comparable_since(runs, day(4), "a")
    (2, None)
    """
    since = None
    for run in sorted(runs, key=lambda run: run.as_of, reverse=True):
        if run.as_of >= as_of:
            continue
        if run.scoring != scoring:
            break
        since = run.as_of
    return since


def stage_changes(history: ir.Table, runs: Sequence[Run]) -> ir.Table:
    """One event per change of stage: customer_id, at, from, to, direction, cause.

    Changes between profiles that were made in different ways are none: nothing happened to the customer.
    """
    found = _followed(history, "stage", runs)
    height, before = (column.cases(*_HEIGHTS.items(), else_=0) for column in (found.stage, found.before))
    direction = ibis.ifelse(height > before, _UP, _DOWN)
    late = found.entered_at < found.previous_run
    cause = ibis.cases(
        ((found.why == REACH) | (found.before == "dead") & (found.why == TIME), REACH),
        (found.stage == "prospect", REFUND),
        ((found.why == ORDER) | (direction == _UP), found.why),
        (late, REFUND),
        else_=TIME,
    )
    at = ibis.ifelse(late | (found.entered_at > found.valid_from), found.valid_from, found.entered_at)
    return found.select(
        "customer_id", at=at, **{"from": found.before, "to": found.stage}, direction=direction, cause=cause
    )


def tier_changes(history: ir.Table, runs: Sequence[Run], tiers: Sequence[str]) -> ir.Table:
    """One event per change of member level, at the profile that saw it first: customer_id, at, from, to, direction.

    The direction is unknown for levels that are not in `tiers`, which are in order from the lowest.
    """
    found = _followed(history, "tier", runs, any_scoring=True)
    nothing = ibis.null("int64")
    heights = list(enumerate(tiers))
    after, before = (
        column.cases(*((tier, height) for height, tier in heights), else_=nothing) if heights else nothing
        for column in (found.tier, found.before)
    )
    direction = ibis.cases((after > before, _UP), (after < before, _DOWN), else_=ibis.null("string"))
    return found.select(
        "customer_id", at=found.valid_from, **{"from": found.before, "to": found.tier}, direction=direction
    )


def _followed(history: ir.Table, column: str, runs: Sequence[Run], *, any_scoring: bool = False) -> ir.Table:
    """Intervals whose value differs from that of the interval right before, with `before` and `previous_run`."""
    window = ibis.window(group_by="customer_id", order_by="valid_from")
    followed = history.mutate(before=history[column].lag().over(window), until=history.valid_to.lag().over(window))
    ordered = sorted(runs, key=lambda run: run.as_of)
    rows = [
        {"run": run.as_of, "previous_run": before.as_of}
        for before, run in itertools.pairwise(ordered)
        if any_scoring or before.scoring == run.scoring
    ]
    pairs = ibis.memtable(rows, schema=ibis.schema({"run": "timestamp(6)", "previous_run": "timestamp(6)"}))
    changed = followed.filter(
        followed.before.notnull(), followed[column].notnull(), followed.before != followed[column],
        followed.until == followed.valid_from,
    )  # fmt: skip
    return changed.inner_join(pairs, changed.valid_from == pairs.run).drop("run")
