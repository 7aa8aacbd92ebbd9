"""What a customer's orders say: when, how often, for how much, in what rhythm. One scan of the orders."""

from __future__ import annotations

import ibis
import ibis.expr.types as ir

from campanile.clock import Duration
from campanile.customers import engine
from campanile.customers.columns.past import YEAR, Past
from campanile.customers.rfm import FREQUENCY, MONEY, RECENCY
from campanile.spec.scoring import RfmSettings

#: So many buying days make a rhythm of one's own.
OWN_RHYTHM = 3
#: Of the buyers, for scores only.
SCORED = (RECENCY, FREQUENCY, MONEY)


def buyers(past: Past) -> ir.Table:
    """One row per customer with a valid order: raw values, rhythm, margin, and what RFM is made of."""
    settings = past.project.settings.policy.rfm
    found = _less_returns(past, _summed(past, settings), settings.window)
    found = _with_rhythm(past, found)
    return (
        _with_raw_scores(found, settings)
        .mutate(margin_12m=_margin(past, found))
        .drop("_discount", "_orders", "_days", "_money")
    )


def _summed(past: Past, settings: RfmSettings) -> ir.Table:
    """What each customer bought: in all, in 365 days, and in the window of RFM."""
    orders = past.orders
    at, net, day = orders["at"], orders.net, past.order_day(orders["at"])
    year, recent = at >= past.start_of(YEAR), at >= past.start_of(settings.window)
    discount = orders.discount.sum(where=year) if "discount" in orders.columns else ibis.null("int64")
    return orders.group_by(orders.customer_id).agg(
        first_order_at=at.min(),
        last_order_at=at.max(),
        orders=orders.count(),
        buying_days=engine.distinct_days(day),
        frequency_365d=year.sum(),
        money_365d=net.sum(where=year).fill_null(0),
        _first_day=day.min(),
        _last_day=day.max(),
        _discount=ibis.coalesce(discount, 0),
        _orders=recent.sum(),
        _days=engine.distinct_days(day, recent) if settings.frequency_of == "days" else recent.sum(),
        _money=net.sum(where=recent).fill_null(0),
    )


def _less_returns(past: Past, buyers: ir.Table, window: Duration) -> ir.Table:
    """The buyers with money lowered by what came back of orders we do not know."""
    back = past.database.unmatched_returns(past.as_of)
    year, recent = (back["at"] >= past.start_of(length) for length in (YEAR, window))
    lost = back.group_by("customer_id").agg(
        lost_365d=back.amount.sum(where=year), lost_rfm=back.amount.sum(where=recent)
    )
    joined = buyers.left_join(lost, "customer_id")
    lost_365d, lost_rfm = joined.lost_365d.fill_null(0), joined.lost_rfm.fill_null(0)
    lower = joined.mutate(money_365d=joined.money_365d - lost_365d, _money=joined["_money"] - lost_rfm)
    return lower.select(buyers.columns)


def _with_rhythm(past: Past, buyers: ir.Table) -> ir.Table:
    """Days since the last order, and the mean gap between buying days of those who have at least three."""
    gap = buyers["_last_day"].delta(buyers["_first_day"], unit="day") / (buyers.buying_days - 1)
    own = buyers.buying_days >= OWN_RHYTHM
    return buyers.mutate(
        recency_days=past.days_since(buyers["_last_day"]),
        usual_gap=ibis.ifelse(own, gap.cast("float64"), ibis.null("float64")),
    )


def due(past: Past, last_order_at: ir.TimestampValue, gap: ir.FloatingValue) -> ir.DateValue:
    """The date a usual gap after the last order, to the nearest day."""
    day: ir.DateValue = past.order_day(last_order_at) + gap.round().cast("int64").as_interval("D")
    return day


def _with_raw_scores(buyers: ir.Table, settings: RfmSettings) -> ir.Table:
    """With what each letter is made of; recency by visits is put in where visits are known."""
    money, orders = buyers["_money"], buyers["_orders"]
    if settings.money_of == "average":
        average = (money / ibis.greatest(orders, 1)).round().cast("int64")
        money = ibis.ifelse(orders > 0, average, money)
    return buyers.mutate(**{RECENCY: buyers.recency_days, FREQUENCY: buyers["_days"], MONEY: money})


def _margin(past: Past, buyers: ir.Table) -> ir.IntegerValue:
    """Margin of 365 days in minor units, as `economics` of the shop reckons it."""
    economics = past.project.settings.economics
    rate, money, discount = float(economics.margin_rate), buyers.money_365d, buyers["_discount"]
    earned = money * rate if economics.margin_of == "net" else (money + discount) * rate - discount
    margin: ir.IntegerValue = earned.round().cast("int64")
    return margin
