"""RFM: recency, frequency and money as scores from 1 to 5 (5 is best), and the named segments made of them."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Mapping, Sequence

import ibis
import ibis.expr.types as ir

from campanile.customers import engine
from campanile.money import Currency
from campanile.spec.settings import RfmSettings

SCORES = 5

#: Recency scores and frequency scores of every named segment. Covers all 25 cells exactly once.
SEGMENTS: Mapping[str, tuple[tuple[int, ...], tuple[int, ...]]] = {
    "champion": ((5,), (4, 5)),
    "loyal": ((3, 4), (4, 5)),
    "potential_loyalist": ((4, 5), (2, 3)),
    "new": ((5,), (1,)),
    "promising": ((4,), (1,)),
    "need_attention": ((3,), (3,)),
    "about_to_sleep": ((3,), (1, 2)),
    "at_risk": ((1, 2), (3, 4)),
    "cant_lose": ((1, 2), (5,)),
    "hibernating": ((1, 2), (1, 2)),
}

#: What RFM needs to mean something (Klaviyo's published preconditions).
_FEWEST_BUYERS = 500
_SHORTEST_HISTORY = 180
_LONGEST_PAUSE = 30
_FEWEST_ORDERS = 3


def scored(buyers: ir.Table, settings: RfmSettings, currency: Currency) -> ir.Table:
    """The buyers with `rfm.r`, `rfm.f`, `rfm.m`, `rfm.sum`, `rfm.code` and `rfm.segment`.

    Args:
        buyers: One row per customer with a valid order: recency_days, and rfm_orders and rfm_money in the RFM window.
        settings: Fixed cut points, or None for quantiles.
        currency: Of the shop; fixed cut points of money are in its major units.
    """
    money_cuts = None if settings.money is None else tuple(currency.minor(cut) for cut in settings.money)
    recency = _recency_score(buyers, settings.recency)
    frequency = _score(buyers.rfm_orders, settings.frequency)
    # A customer who sent back more than was bought has the lowest score, however the quantiles fall.
    money = ibis.ifelse(buyers.rfm_money < 0, 1, _score(buyers.rfm_money, money_cuts))
    with_scores = buyers.mutate(**{"rfm.r": recency, "rfm.f": frequency, "rfm.m": money})
    r, f, m = (with_scores[f"rfm.{letter}"] for letter in "rfm")
    return with_scores.mutate(
        **{
            "rfm.sum": r + f + m,
            "rfm.code": r.cast("string") + f.cast("string") + m.cast("string"),
            "rfm.segment": ibis.cases(*((r.isin(rs) & f.isin(fs), name) for name, (rs, fs) in SEGMENTS.items())),
        }
    )


def _score(values: ir.IntegerColumn, lower_bounds: Sequence[int] | None) -> ir.IntegerValue:
    """The score of each value: by the lower bounds of scores 2 to 5, or tie-safe by quantiles without them."""
    if lower_bounds is not None:
        return _count(values >= bound for bound in lower_bounds)
    return _count(values > cut for cut in engine.cut_points(values, SCORES))


def _recency_score(buyers: ir.Table, most_days: Sequence[int] | None) -> ir.IntegerValue:
    """The score of days since the last order: the fewer, the better."""
    days = buyers.recency_days
    if most_days is not None:
        return _count(days <= bound for bound in most_days)
    freshness = buyers.mutate(freshness=-days).freshness
    return _count(-days > cut for cut in engine.cut_points(freshness, SCORES))


def _count(conditions: Iterable[ir.BooleanValue]) -> ir.IntegerValue:
    """One more than the number of conditions that hold."""
    one: ir.IntegerValue = ibis.literal(1, "int64")
    return functools.reduce(lambda total, holds: total + holds.cast("int64"), conditions, one)


def tie_safe(worse: int, count: int, scores: int = SCORES) -> int:
    """The score of a customer when `worse` of `count` customers are strictly worse.

    >>> [tie_safe(worse, 10) for worse in (0, 1, 2, 9)]
    [1, 1, 2, 5]
    """
    return 1 + scores * worse // count


def warnings(*, buyers: int, history_days: int, days_since_last_order: int, most_orders: int) -> tuple[str, ...]:
    """Sentences that say why RFM scores may mean little here; empty when they are fine.

    >>> warnings(buyers=12, history_days=400, days_since_last_order=2, most_orders=5)
    ('only 12 customers have bought; RFM wants 500',)
    """
    found = []
    if buyers < _FEWEST_BUYERS:
        found.append(f"only {buyers} customers have bought; RFM wants {_FEWEST_BUYERS}")
    if history_days < _SHORTEST_HISTORY:
        found.append(f"orders go back {history_days} days only; RFM wants {_SHORTEST_HISTORY}")
    if days_since_last_order > _LONGEST_PAUSE:
        found.append(f"the newest order is {days_since_last_order} days old; is the import up to date?")
    if most_orders < _FEWEST_ORDERS:
        found.append(f"nobody has ordered {_FEWEST_ORDERS} times")
    return tuple(found)
