"""RFM: recency, frequency and money as scores from 1 to k (k is best), and the named segments made of them."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import cast

import ibis
import ibis.expr.types as ir

from campanile.customers import engine
from campanile.money import Currency
from campanile.spec.scoring import RfmSettings
from campanile.spec.segment_map import SegmentMap, SegmentRule, own_map

#: The columns that `scored` reads: days since the last order or visit, orders or days, money in minor units.
RECENCY, FREQUENCY, MONEY = "rfm_recency", "rfm_frequency", "rfm_money"

#: What RFM needs to mean something (Klaviyo's published preconditions).
_FEWEST_BUYERS = 500
_SHORTEST_HISTORY = 180
_LONGEST_PAUSE = 30
_FEWEST_ORDERS = 3
#: Digits that stay of a frozen cut point.
_DIGITS = 2


@dataclass(frozen=True)
class Scale:
    """How one letter becomes a score: by a method, or by fixed bounds in the order of the settings."""

    method: str
    bounds: tuple[int, ...] = ()


@dataclass(frozen=True)
class Scales:
    """How the three letters become scores from 1 to `scores`."""

    scores: int
    recency: Scale
    frequency: Scale
    money: Scale

    @property
    def for_scopes(self) -> Scales:
        """The same for part of the lines, where cut points of all the money would say nothing."""
        return replace(self, money=Scale("quantile"))


def scales(settings: RfmSettings, currency: Currency, frozen: Sequence[int] = ()) -> Scales:
    """How this shop scores.

    Args:
        settings: Of the shop.
        currency: Of the shop; its settings give cut points of money in major units.
        frozen: The kept cut points of money in minor units, where settings ask for frozen ones.
    """
    money = settings.money
    if money == "frozen":
        of_money = Scale("fixed", tuple(frozen)) if frozen else Scale("quantile")
    else:
        of_money = _scale(money if isinstance(money, str) else tuple(currency.minor(cut) for cut in money))
    return Scales(settings.scores, _scale(settings.recency), _scale(settings.frequency), of_money)


def _scale(setting: tuple[int, ...] | str) -> Scale:
    return Scale(setting) if isinstance(setting, str) else Scale("fixed", setting)


def scored(buyers: ir.Table, how: Scales, *, prefix: str = "rfm") -> ir.Table:
    """The buyers with three scores, as `rfm.r`, `rfm.f` and `rfm.m`.

    Args:
        buyers: One row per customer: customer_id, rfm_recency (unknown where nobody came), rfm_frequency, rfm_money.
        how: Methods and cut points.
        prefix: What stands before the letters.
    """
    r, f, m = (f"{prefix}.{letter}" for letter in "rfm")
    found = buyers.mutate(_freshness=(-buyers[RECENCY]).cast("int64"))
    found = found.mutate(**{r: _recency_score(found, how)})
    found = found.mutate(**{f: _score(found, FREQUENCY, how.frequency, how.scores, within=(r,))})
    score = _score(found, MONEY, how.money, how.scores, within=(r, f))
    if how.money.method != "nested":
        # A customer who sent back more than was bought has the lowest score, however the quantiles fall.
        score = ibis.ifelse(found[MONEY] < 0, 1, score)
    return found.mutate(**{m: score}).drop("_freshness")


def named(buyers: ir.Table, segments: SegmentMap, settings: RfmSettings) -> ir.Table:
    """The scored buyers with `rfm.sum`, `rfm.code`, `rfm.segment`, and `rfm8` where each letter is high or low."""
    r, f, m = (buyers[f"rfm.{letter}"] for letter in "rfm")
    high = _halves(buyers, settings)
    return buyers.mutate(
        **{
            "rfm.sum": r + f + m,
            "rfm.code": r.cast("string") + f.cast("string") + m.cast("string"),
            "rfm.segment": segment_of(segments, *(high if segments.high_low else (r, f, m))),
            "rfm8": segment_of(own_map("eight"), *high),
        }
    )


def segment_of(segments: SegmentMap, r: ir.Value, f: ir.Value, m: ir.Value) -> ir.StringValue:
    """The name of the cell of three scores."""
    scores = {"r": r, "f": f, "m": m, "fm": (f + m + 1) // 2}
    values = [scores[axis] for axis in segments.axes]
    return ibis.cases(*((_inside(rule, values), rule.name) for rule in segments.rules))


def _inside(rule: SegmentRule, values: Sequence[ir.Value]) -> ir.BooleanValue:
    boxes = [
        functools.reduce(
            lambda left, right: left & right,
            (value.between(low, high) for value, (low, high) in zip(values, box, strict=True)),
        )
        for box in rule.boxes
    ]
    return cast(ir.BooleanValue, functools.reduce(lambda left, right: left | right, boxes))


def _halves(buyers: ir.Table, settings: RfmSettings) -> list[ir.IntegerValue]:
    """Each letter as 2 where it is high and 1 where it is low: above the mean of all, or from a score on."""
    letters = [buyers[f"rfm.{letter}"] for letter in "rfm"]
    if isinstance(settings.high, int):
        return [ibis.ifelse(letter >= settings.high, 2, 1) for letter in letters]
    sums = buyers.aggregate(rows=buyers.count(), **{letter.get_name(): letter.sum() for letter in letters})
    totals = sums.to_pyarrow().to_pylist()[0]
    rows = totals["rows"]
    return [ibis.ifelse(letter * rows > (totals[letter.get_name()] or 0), 2, 1) for letter in letters]


def _recency_score(buyers: ir.Table, how: Scales) -> ir.IntegerValue:
    """The score of days since the last order: the fewer, the better; the lowest for those who never came."""
    if how.recency.method == "fixed":
        score = _count(buyers[RECENCY] <= bound for bound in how.recency.bounds)
    else:
        score = _score(buyers, "_freshness", how.recency, how.scores, within=())
    return ibis.coalesce(score, 1) if how.recency.method != "nested" else score


def _score(buyers: ir.Table, column: str, scale: Scale, scores: int, *, within: tuple[str, ...]) -> ir.IntegerValue:
    """The score of each value: by fixed lower bounds, tie-safe by quantiles, or by parts of equal size."""
    values = cast(ir.IntegerColumn, buyers[column])
    if scale.method == "fixed":
        return _count(values >= bound for bound in scale.bounds)
    if scale.method == "quantile":
        return _count(values > cut for cut in engine.cut_points(values, scores))
    order = [ibis.asc(values, nulls_first=True), buyers.customer_id]
    parts = ibis.ntile(scores).over(group_by=[buyers[name] for name in within], order_by=order)
    return cast(ir.IntegerValue, parts.cast("int64") + 1)


def _count(conditions: Iterable[ir.BooleanValue]) -> ir.IntegerValue:
    """One more than the number of conditions that hold."""
    one: ir.IntegerValue = ibis.literal(1, "int64")
    return functools.reduce(lambda total, holds: total + holds.cast("int64"), conditions, one)


def rounded_cuts(cuts: Sequence[int]) -> tuple[int, ...]:
    """Cut points to keep: two digits of each, still rising.

    >>> rounded_cuts([1234, 1251, 56789])
    (1200, 1300, 57000)
    >>> rounded_cuts([3, 3, 4])
    (3, 4, 5)
    """
    found: list[int] = []
    for cut in cuts:
        unit = 10 ** max(len(str(abs(cut))) - _DIGITS, 0)
        rounded = (cut + unit // 2) // unit * unit
        found.append(max(rounded, found[-1] + 1) if found else max(rounded, 1))
    return tuple(found)


def tie_safe(worse: int, count: int, scores: int = 5) -> int:
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
