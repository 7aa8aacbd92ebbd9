"""The same audience in pandas, for scale: only the columns that the target needs, read from the same file."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pandas as pd

from benchmarks.crowd import AS_OF, CLUSTERED, home, plain_engine
from benchmarks.harness import paused
from benchmarks.selection import ids_in

_NOW = pd.Timestamp(AS_OF.replace(tzinfo=None))
_EAST = pd.Timedelta(hours=8)


def full(customers: int) -> Callable[[], Any]:
    """RFM money, stage and the target of `benchmarks.audience` from raw orders; answers with the ids."""
    engine = plain_engine(home(customers) / CLUSTERED)
    path = home(customers) / "pandas.parquet"

    def frame(table: str, columns: str) -> pd.DataFrame:
        return engine.execute(f'SELECT {columns} FROM "{table}"').df()

    def work() -> Any:
        returned = _before(frame("returned", 'customer_id, "at", order_id, amount'))
        orders = _before(frame("order", 'customer_id, "at", order_id, state, amount'))
        counts = _valid(orders, returned)
        valid, void = orders[counts], orders.loc[~counts, "order_id"]
        people = frame("customers", "customer_id, email, gender, city_tier, email_consent").set_index("customer_id")
        people = people[_reachable(people, frame("suppressed_view", "channel, address"))]
        people = people[people.city_tier.isin([1, 2]) & people.gender.notna()]
        people = people[people.index.isin(_spenders(valid))]
        lines = _before(frame("bought", 'customer_id, "at", order_id, category, price_type, qty'))
        people = people[_lines_say(people, lines[~lines.order_id.isin(void)])]
        people = people[_events_say(people, frame, returned)]
        chosen = people.sort_index().drop_duplicates("address").reset_index()[["customer_id"]]
        chosen.to_parquet(path, compression="zstd")
        with paused():
            return ids_in(path)

    engine.execute("CREATE TEMP VIEW suppressed_view AS FROM campanile.suppressed")
    return work


def _before(events: pd.DataFrame) -> pd.DataFrame:
    return events[events["at"] < _NOW]


def _within(events: pd.DataFrame, days: int) -> pd.DataFrame:
    return events[events["at"] >= _NOW - pd.Timedelta(days=days)]


def _valid(orders: pd.DataFrame, returned: pd.DataFrame) -> pd.Series:
    orders["net"] = orders.amount - orders.order_id.map(returned.groupby("order_id").amount.sum()).fillna(0)
    return orders.state.isin(["paid", "part_refunded"]) & (orders.net > 0)


def _spenders(valid: pd.DataFrame) -> pd.Index:
    """Who is active, silent or sleeping, in the upper three fifths by money, and has bought enough on two days."""
    year = _within(valid, 365).groupby("customer_id").agg(net=("net", "sum"), amount=("amount", "mean"))
    by = valid.assign(day=(valid["at"] + _EAST).dt.normalize()).groupby("customer_id")
    buyers = by.agg(last=("day", "max"), days=("day", "nunique")).join(year)
    money = buyers.net.fillna(0)
    low = money.quantile([0.4], interpolation="inverted_cdf").iloc[0]
    recency = ((_NOW + _EAST).normalize() - buyers["last"]).dt.days
    return buyers.index[(recency <= 365) & (money > low) & (buyers.amount > 15000) & (buyers.days >= 2)]


def _reachable(people: pd.DataFrame, suppressed: pd.DataFrame) -> pd.Series:
    people["address"] = people.email.str.strip().str.lower()
    written = people.address.str.match(r"^[^@\s]+@([a-z0-9-]+\.)+[a-z][a-z0-9-]+$")
    return people.email_consent & written & ~people.address.isin(suppressed.address)


def _lines_say(people: pd.DataFrame, lines: pd.DataFrame) -> pd.Series:
    pieces = _within(lines[lines.category == "skincare"], 365).groupby("customer_id").qty.sum()
    makeup = _within(lines[(lines.category == "makeup") & (lines.price_type == "sale")], 30).customer_id
    return (people.index.map(pieces).fillna(0) >= 2) & ~people.index.isin(makeup)


def _events_say(people: pd.DataFrame, frame: Callable[[str, str], pd.DataFrame], returned: pd.DataFrame) -> pd.Series:
    visits = _within(_before(frame("visited", 'customer_id, "at"')), 180).customer_id.value_counts()
    tickets = _before(frame("ticket", 'customer_id, "at", kind, status'))
    gone = _before(frame("unsubscribed", 'customer_id, "at", channel'))
    mails = _within(_before(frame("contacted", 'customer_id, "at", channel, purpose')), 7)
    mails = mails[(mails.channel == "email") & (mails.purpose != "service")].customer_id.value_counts()
    out = [
        _within(returned, 60).customer_id,
        tickets[(tickets.kind == "complaint") & (tickets.status == "open")].customer_id,
        gone[gone.channel.isin(["email", ""]) | gone.channel.isna()].customer_id,
        mails.index[mails >= 2],
    ]
    enough = people.index.isin(visits.index[visits >= 2])
    for left_out in out:
        enough &= ~people.index.isin(left_out)
    return enough
