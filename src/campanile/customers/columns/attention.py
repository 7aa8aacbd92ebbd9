"""What contacts, visits and clicks say: last signs of life, AIPL, the channel and the hour that work, cost to serve."""

from __future__ import annotations

from decimal import Decimal

import ibis
import ibis.expr.types as ir

from campanile.customers.columns.past import YEAR, Past
from campanile.customers.tables import CONTACTED, VISITED

#: Kinds of events by what they say of a customer's attention.
PASSIVE = ("contacted", "delivered", "opened")
ACTIVE = ("visited", "viewed", "searched", "saved", "carted", "checkout", "clicked", "asked", "form", "attended")
PRAISE = ("reviewed", "referred")
#: What holds a customer one stage higher, where settings say so; a prospect that does so is an active lead.
SIGNS = ("visited", "clicked", "asked")

_NUMBERS = {kind: number for number, kind in enumerate((*PASSIVE, *ACTIVE, *PRAISE))}
_GOOD_STARS = 4
_SMOOTHING = 20
_FINE = 1000
_HOURS, _PACKED = 24, 2**31


def attention(past: Past) -> ir.Table | None:
    """One row per customer with any such event: last_visit_at, last_sign_at, reached_at, acted_at, praised_at, _cost.

    None where the shop keeps no such events. All tables are read in one scan.
    """
    parts = [part for kind in (*PASSIVE, *ACTIVE, *PRAISE) if (part := _part(past, kind)) is not None]
    if not parts:
        return None
    rows = ibis.union(*parts) if len(parts) > 1 else parts[0]
    at = rows["at"]
    last = {
        name: at.max(where=rows.kind.isin([_NUMBERS[kind] for kind in kinds]))
        for name, kinds in (
            ("last_visit_at", (VISITED,)), ("last_sign_at", SIGNS), ("reached_at", PASSIVE), ("acted_at", ACTIVE),
            ("praised_at", PRAISE),
        )
    }  # fmt: skip
    return rows.group_by("customer_id").agg(**last, _cost=rows.cost.sum())


def _part(past: Past, kind: str) -> ir.Table | None:
    if kind == CONTACTED:
        rows = past.database.events(CONTACTED, past.as_of)
        return rows.select("customer_id", "at", kind=_number(kind), cost=_cost(past, rows))
    found = past.events(kind)
    if found is None:
        return None
    if kind == "reviewed":
        if "stars" not in found.columns:
            return None
        found = found.filter(found.stars >= _GOOD_STARS)
    return found.select("customer_id", "at", kind=_number(kind), cost=ibis.literal(0, "int64"))


def _number(kind: str) -> ir.IntegerScalar:
    """A kind of event as a number: the engine compares numbers faster than words."""
    return ibis.literal(_NUMBERS[kind], "int8")


def _cost(past: Past, contacts: ir.Table) -> ir.IntegerValue:
    """What a message cost, in thousandths of a minor unit: what the shop pays a medium, in the last 365 days."""
    scale = past.project.currency.scale * _FINE
    prices = past.project.settings.economics.cost_per_message
    branches = [(contacts.channel == medium, int(Decimal(price) * scale)) for medium, price in prices.items() if price]
    zero = ibis.literal(0, "int64")
    if not branches:
        return zero
    recent = contacts["at"] >= past.start_of(YEAR)
    cost: ir.IntegerValue = ibis.ifelse(recent, ibis.cases(*branches, else_=0).cast("int64"), zero)
    return cost


def cost_to_serve(attention: ir.Table) -> ir.IntegerValue:
    """Minor units of the messages of 365 days."""
    cost: ir.IntegerValue = (attention["_cost"].fill_null(0) / _FINE).round().cast("int64")
    return cost


def aipl(past: Past, attention: ir.Table, buyers: ir.Table) -> ir.StringValue:
    """The highest stage reached inside the window of `policy: aipl`: aware, interested, purchased or loyal."""
    start = past.start_of(past.project.settings.policy.aipl)

    def since(at: ir.Value) -> ir.BooleanValue:
        return (at >= start).fill_null(False)  # noqa: FBT003 - Ibis takes it so

    bought = since(buyers.last_order_at)
    return ibis.cases(
        ((bought & (buyers.orders > 1)) | since(attention.praised_at), "L"),
        (bought, "P"),
        (since(attention.acted_at), "I"),
        (since(attention.reached_at), "A"),
    )


def preferred_channel(past: Past) -> ir.Table | None:
    """The medium with the most clicks and replies for its contacts, smoothed as (a + 1) / (n + 20); who reacted at all.

    Ties go to the later reaction, then by name.
    """
    reactions = [rows for kind in ("clicked", "replied") if (rows := past.events(kind, "channel")) is not None]
    if not reactions:
        return None
    start = past.start_of(YEAR)
    parts = [rows.select("customer_id", "channel", "at", reaction=ibis.literal(1, "int64")) for rows in reactions]
    contacts = past.database.events(CONTACTED, past.as_of)
    parts.append(contacts.select("customer_id", "channel", "at", reaction=ibis.literal(0, "int64")))
    rows = ibis.union(*parts).filter(lambda rows: (rows["at"] >= start) & rows.channel.notnull())
    counted = rows.group_by("customer_id", "channel").agg(
        a=rows.reaction.sum(), n=(1 - rows.reaction).sum(), last_at=rows["at"].max(where=rows.reaction == 1)
    )
    counted = counted.filter(counted.a > 0)
    score = (counted.a + 1) / (counted.n + _SMOOTHING)
    order = [ibis.desc(score), counted.last_at.desc(), counted.channel.asc()]
    ranked = counted.mutate(rank=ibis.row_number().over(group_by="customer_id", order_by=order))
    return ranked.filter(ranked["rank"] == 0).select("customer_id", preferred_channel=ranked.channel)


def preferred_hour(past: Past) -> ir.Table | None:
    """The hour of the shop's day with most clicks in 365 days, or orders where no clicks are kept; ties the earlier.

    An hour counts twice and its neighbours once, so that one chance click decides nothing against a busy evening.
    """
    rows = past.events("clicked")
    rows = past.orders if rows is None else rows
    rows = rows.filter(rows["at"] >= past.start_of(YEAR))
    from campanile.customers.zones import shop_time

    hours = rows.select("customer_id", hour=shop_time(rows["at"], past.project.zone).hour().cast("int64"))
    # Two hours share a sum: one counts ones, the other 2^31 each, which no customer has of either.
    step = ibis.ifelse(hours.hour % 2 == 0, ibis.literal(1, "int64"), ibis.literal(_PACKED, "int64"))
    counted = hours.group_by("customer_id").agg(
        **{f"pair_{pair}": step.sum(where=hours.hour // 2 == pair).fill_null(0) for pair in range(_HOURS // 2)}
    )
    weighed = counted.select("customer_id", **_weights(counted))
    weights = [weighed[f"weight_{hour}"] for hour in range(_HOURS)]
    first = ibis.cases(*((weight == weighed["most"], hour) for hour, weight in enumerate(weights)))
    return weighed.select("customer_id", preferred_hour=first.cast("int64"))


def _weights(counted: ir.Table) -> dict[str, ir.Value]:
    """For every hour twice its count and those of its neighbours, and the most of all."""
    pairs = [counted[f"pair_{pair}"] for pair in range(_HOURS // 2)]
    counts = [count for pair in pairs for count in (pair % _PACKED, pair // _PACKED)]
    weights = [2 * counts[hour] + counts[hour - 1] + counts[(hour + 1) % _HOURS] for hour in range(_HOURS)]
    return {f"weight_{hour}": weight for hour, weight in enumerate(weights)} | {"most": ibis.greatest(*weights)}
