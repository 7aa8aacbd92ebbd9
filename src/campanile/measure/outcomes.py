"""What every assigned customer did in their window: one lazy relation, and the aggregates that measurement needs of it.

Reads a wave's snapshot, the customer database and the ledger's export of messages. Returns relations and sums by arm;
no customer ever reaches Python. Control has the same clock, and everybody assigned counts, delivered or not.

Contact cost is not a column. A message may cost a fraction of a minor unit (0.006 CNY), which rounds to nothing per
customer; so the relation counts messages, and the cost of an arm is its count times the exact price.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import ibis
import ibis.expr.types as ir

from campanile.clock import Duration
from campanile.customers.database import CustomerDatabase
from campanile.customers.orders import before, valid_orders
from campanile.errors import CampanileError
from campanile.events import MessageState
from campanile.measure.own import PREFIX, OwnMetrics
from campanile.measure.persons import Merged, by_person
from campanile.measure.persons import merged_units as count_merged

#: Column of the relation by metric. Money is in minor units.
METRICS: Mapping[str, str] = {
    "response_rate": "responded",
    "orders_per_customer": "orders",
    "revenue_per_customer": "revenue",
    "discount_per_customer": "discount",
    "pre_orders": "pre_orders",
    "pre_revenue": "pre_revenue",
    "reached": "written",
}

#: Margin by a rate of list prices, one whole number per customer in parts of a minor unit (`list_margin_parts`).
LIST_MARGIN = "list_margin_per_customer"
LIST_MARGIN_COLUMN = "list_margin"
#: Counted 0 or 1 per customer (messages: how many), summed by arm.
COUNTERS = (
    "planned",
    "handed_over",
    "written",
    "ordered",
    "returned",
    "opted_out",
    "opted_out_written",
    "complained",
    "complained_written",
    "contacted_by_others",
)

#: States of messages that the customer may have got, and that are paid for.
_HANDED_OVER = (MessageState.ACCEPTED.value, MessageState.UNKNOWN.value)


@dataclass(frozen=True)
class Wave:
    """What is to be read: one wave, or all waves of a repeating campaign together.

    Attributes:
        campaign: Its own messages are no contact by others.
        snapshots: Assignment Parquets: customer_id, arm, stratum, due_at (naive UTC), pre_orders, pre_revenue, the
            cuts. Who is in several waves is one unit, from the first of them on.
        messages: Parquets exported by the ledger.
        window: How long responses count from due_at, half-open; days and hours are counted in UTC.
        read_at: Aware moment; nothing later is seen.
        list_rate: Margin as a share of list prices, where the shop's rate is one.
        cuts: Columns of the snapshot whose values part the arms.
        own: Metrics of the shop's own that the experiment names.
    """

    campaign: str
    snapshots: tuple[Path, ...]
    messages: tuple[Path, ...]
    window: Duration
    read_at: datetime
    list_rate: Decimal | None = None
    cuts: tuple[str, ...] = ()
    own: OwnMetrics | None = None


@dataclass(frozen=True)
class Span:
    """From the first planned send moment to the end of the last customer's window, aware UTC."""

    first_due: datetime
    ends: datetime


def outcomes(database: CustomerDatabase, wave: Wave, within: Span) -> ir.Table:
    """One row per assigned customer, control included; `within` is the wave's `span`, which spares the engine the rest.

    Columns: customer_id, arm, stratum, the wave's cuts; responded (0/1: a valid order in the window), orders, revenue
    (minor units, net of returns known at `read_at`, those without a known order included), discount; pre_orders,
    pre_revenue; and the `COUNTERS`, NULL where the shop has no such table.
    """
    units = _units(database, wave)
    windows = _Windows(units, within)
    parts = [
        _messages(database, wave),
        _bought(database, wave, windows),
        _sent_back(database, wave, units),
        _returned(database, wave, windows),
        _flag(database, wave, windows, ("opted_out", {"unsubscribed": None})),
        _flag(database, wave, windows, ("complained", {"spam_report": None, "ticket": "complaint"})),
        _contacted_by_others(database, wave, windows),
    ]
    own = wave.own.parts(database, windows.of) if wave.own else []
    joined = units
    for part in (*parts, *own):
        joined = joined.left_join(part, "customer_id").drop("customer_id_right")
    zero = ("responded", "orders", "revenue", "discount", "planned", "handed_over")
    named = [name for name in joined.columns if name.startswith(PREFIX)]
    known = {name: joined[name].fill_null(0) for name in (*zero, *named, *_kept(database))}
    known["written"] = (known["handed_over"] > 0).cast("int64")
    for harm in ("opted_out", "complained"):  # NULL where the shop has no such table
        known[f"{harm}_written"] = known.get(harm, joined[harm]) * known["written"]
    known["revenue"] -= joined["sent_back"].fill_null(0)
    return _with_list_margin(joined.mutate(**known).drop("ends_at", "sent_back"), wave)


def list_margin_parts(rate: Decimal) -> tuple[int, int]:
    """The rate as whole numbers over each other: margin is counted in parts of a minor unit, so that sums stay exact.

    >>> list_margin_parts(Decimal("0.4"))
    (2, 5)
    """
    return rate.as_integer_ratio()


def _with_list_margin(relation: ir.Table, wave: Wave) -> ir.Table:
    """The relation with what the customer's goods earned when the rate is of list prices.

    rate × (revenue + discount) − discount: goods cost the same at any price, so a discount is lost in full. One number
    per customer, because revenue and discount go together: their intervals apart would not give the margin's. A part
    that came back takes none of its order's discount with it, which states the margin a little too low, never too high.
    """
    if wave.list_rate is None:
        return relation
    share, whole = list_margin_parts(wave.list_rate)
    return relation.mutate(**{LIST_MARGIN_COLUMN: share * relation["revenue"] - (whole - share) * relation["discount"]})


def span(database: CustomerDatabase, wave: Wave) -> Span:
    """When the wave's windows begin and end.

    Raises:
        CampanileError: The snapshot is missing, unreadable or empty.
    """
    units = _units(database, wave)
    found = units.aggregate(first=units["due_at"].min(), ends=units["ends_at"].max()).to_pyarrow().to_pylist()[0]
    if found["first"] is None:
        raise CampanileError("the snapshot of the plan is empty", "restore it from a copy")
    return Span(found["first"].replace(tzinfo=UTC), found["ends"].replace(tzinfo=UTC))


def orders_in_window(database: CustomerDatabase, wave: Wave, within: Span) -> ir.Table:
    """Valid orders in their customer's window, net of returns known at `read_at`; with the customer's arm, due_at."""
    return _Windows(_units(database, wave), within).of(database.net_orders(wave.read_at))


def response_curve(database: CustomerDatabase, wave: Wave, within: Span) -> dict[str, dict[int, int]]:
    """Customers by arm and by the day of their first valid order in the window; the first day is 0."""
    orders = orders_in_window(database, wave, within)
    seconds = (orders["at"].min().epoch_seconds() - orders["due_at"].min().epoch_seconds()).cast("int64")
    first = orders.group_by("arm", "customer_id").aggregate(day=(seconds // 86_400).cast("int64"))
    rows = first.group_by("arm", "day").aggregate(customers=first.count()).to_pyarrow().to_pylist()
    curve: dict[str, dict[int, int]] = {}
    for row in rows:
        curve.setdefault(row["arm"], {})[row["day"]] = row["customers"]
    return curve


def newest_order(database: CustomerDatabase, read_at: datetime) -> tuple[datetime | None, float]:
    """The moment of the newest order known at `read_at`, and how many orders a day came in the week up to it.

    A week holds every weekday, and is short enough for the pace at the end: a response dies away.
    """
    orders = before(database.table("order"), read_at)
    newest: datetime | None = orders["at"].max().to_pyarrow().as_py()
    if newest is None:
        return None, 0.0
    recent = orders.filter(orders["at"] > _naive(newest.replace(tzinfo=UTC) - timedelta(days=7))).count()
    return newest.replace(tzinfo=UTC), int(recent.to_pyarrow().as_py()) / 7


def _units(database: CustomerDatabase, wave: Wave) -> ir.Table:
    """The assignment, one row per person, with the end of each one's window."""
    units = _assigned(database, wave)
    lengths = {"months": wave.window.months, "days": wave.window.days, "hours": wave.window.hours}
    columns = (*("customer_id", "arm", "stratum", "due_at", "pre_orders", "pre_revenue"), *wave.cuts)
    units = by_person(database, units.select(*columns), wave.cuts)
    ends = units["due_at"]
    for unit, length in lengths.items():
        ends = ends + ibis.interval(**{unit: length}) if length else ends
    return units.mutate(ends_at=ends).select(*columns, "ends_at")


def merged_units(database: CustomerDatabase, wave: Wave) -> Merged:
    """What merges of records after the assignment did to it."""
    return count_merged(database, _assigned(database, wave))


def _assigned(database: CustomerDatabase, wave: Wave) -> ir.Table:
    """The assignment, one row per customer record: that of its first wave."""
    missing = next((path for path in wave.snapshots if not path.is_file()), None)
    if missing is not None:
        raise CampanileError(f"the snapshot {missing.name} is missing", "restore it from a copy")
    units = database.ibis.read_parquet(list(wave.snapshots))
    if len(wave.snapshots) == 1:
        return units
    place = ibis.row_number().over(group_by="customer_id", order_by=units["due_at"])
    return units.mutate(_place=place).filter(ibis._["_place"] == 0).drop("_place")


@dataclass(frozen=True)
class _Windows:
    """Every customer's window, and the span around them all."""

    units: ir.Table
    within: Span

    def of(self, events: ir.Table) -> ir.Table:
        """The events that fall into their customer's window, with the customer's arm and due_at.

        The span is a pair of constants that the engine compares before it joins: few of a shop's orders are in it.
        """
        first, last = (_naive(moment) for moment in (self.within.first_due, self.within.ends))
        near = events.filter(events["at"] >= first, events["at"] < last)
        joined = near.inner_join(self.units.select("customer_id", "arm", "due_at", "ends_at"), "customer_id")
        return joined.filter(joined["at"] >= joined["due_at"], joined["at"] < joined["ends_at"])


def _naive(moment: datetime) -> ir.TimestampScalar:
    return ibis.timestamp(moment.astimezone(UTC).replace(tzinfo=None).isoformat(sep=" "))


def _bought(database: CustomerDatabase, wave: Wave, windows: _Windows) -> ir.Table:
    orders = windows.of(database.net_orders(wave.read_at))
    if wave.list_rate is not None and "discount" not in orders.columns:
        raise CampanileError(
            "the margin rate is of list prices, and the orders have no discount",
            "map `discount` of `order` in campanile.yaml and import the orders, or plan with `margin_of: net`",
        )
    number = orders["order_id"].nunique() if "order_id" in orders.columns else orders.count()
    given = orders["discount"].sum() if "discount" in orders.columns else ibis.literal(0)
    return orders.group_by("customer_id").aggregate(
        responded=ibis.literal(1, "int64"),
        orders=number.cast("int64"),
        revenue=orders["net"].sum().cast("int64"),
        discount=given.cast("int64"),
    )


def _sent_back(database: CustomerDatabase, wave: Wave, units: ir.Table) -> ir.Table:
    """What each customer sent back since their due moment that names no order we know, in minor units.

    Such a return may be of an order from before the campaign: nobody can tell. It is subtracted all the same, because
    both arms have the same clock and send back as much of older orders, so that the difference stays right and only its
    interval grows; leaving it out would overstate what more orders brought. A customer's revenue may be below zero by
    it, which the methods for amounts allow for. Like other returns it counts until `read_at`.
    """
    back = database.unmatched_returns(wave.read_at).inner_join(units.select("customer_id", "due_at"), "customer_id")
    since = back.filter(back["at"] >= back["due_at"])
    return since.group_by("customer_id").aggregate(sent_back=since["amount"].sum().cast("int64"))


def _returned(database: CustomerDatabase, wave: Wave, windows: _Windows) -> ir.Table:
    """Who ordered in the window, and who sent something of it back; a fully returned order is an order here."""
    placed = windows.of(valid_orders(before(database.table("order"), wave.read_at), None))
    ordered = placed.select("customer_id").distinct().mutate(ordered=ibis.literal(1, "int64"))
    if not _returns_known(database):
        return ordered.mutate(returned=ibis.null("int64"))
    back = before(database.table("returned"), wave.read_at)
    sent_back = placed.semi_join(back.filter(back["order_id"].notnull()), "order_id").select("customer_id").distinct()
    flagged = sent_back.mutate(returned=ibis.literal(1, "int64"))
    joined = ordered.left_join(flagged, "customer_id")
    return joined.select("customer_id", "ordered", returned=joined["returned"].fill_null(0))


def _returns_known(database: CustomerDatabase) -> bool:
    if "returned" not in database.tables():
        return False
    return all("order_id" in database.table(name).columns for name in ("order", "returned"))


def _flag(
    database: CustomerDatabase, wave: Wave, windows: _Windows, flag: tuple[str, Mapping[str, str | None]]
) -> ir.Table:
    """Customers with an event of one of the flag's kinds in their window; of a ticket, only of that kind."""
    name, kinds = flag
    found = []
    for kind in sorted(database.kinds() & kinds.keys()):
        events = database.events(kind, wave.read_at)
        if kinds[kind] is not None:
            events = events.filter(events["kind"] == kinds[kind]) if "kind" in events.columns else events.limit(0)
        found.append(windows.of(events.select("customer_id", "at")).select("customer_id"))
    if not found:
        return windows.units.limit(0).select("customer_id", **{name: ibis.null("int64")})
    customers = ibis.union(*found, distinct=True) if len(found) > 1 else found[0].distinct()
    return customers.mutate(**{name: ibis.literal(1, "int64")})


def _contacted_by_others(database: CustomerDatabase, wave: Wave, windows: _Windows) -> ir.Table:
    """Customers whom another campaign contacted for marketing in their window."""
    contacts = database.events("contacted", wave.read_at)
    others = contacts.filter(
        contacts["campaign"].fill_null("") != wave.campaign, contacts["purpose"].fill_null("marketing") == "marketing"
    )
    found = windows.of(others.select("customer_id", "at")).select("customer_id").distinct()
    return found.mutate(contacted_by_others=ibis.literal(1, "int64"))


def _messages(database: CustomerDatabase, wave: Wave) -> ir.Table:
    messages = database.by_person(database.ibis.read_parquet(list(wave.messages)).select("customer_id", "state"))
    return messages.group_by("customer_id").aggregate(
        planned=messages.count().cast("int64"),
        handed_over=messages["state"].isin(_HANDED_OVER).sum().cast("int64"),
    )


def _kept(database: CustomerDatabase) -> tuple[str, ...]:
    """The counters that the database holds, so that a customer without an event counts as 0 and not as unknown."""
    tables = database.kinds()
    held = ["ordered", "contacted_by_others"]
    held += ["returned"] if _returns_known(database) else []
    held += ["opted_out"] if "unsubscribed" in tables else []
    held += ["complained"] if tables & {"spam_report", "ticket"} else []
    return tuple(held)
