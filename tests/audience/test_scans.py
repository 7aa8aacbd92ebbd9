"""Event tables are read once for a whole target, however many conditions ask something of them."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from audience.test_compile_oracle import named, parse
from audience.test_generated import database, load, project, shop  # noqa: F401 - fixtures
from campanile.audience.aggregates import Aggregates
from campanile.audience.compile import compile_condition
from campanile.audience.frame import Frame
from campanile.customers.database import CustomerDatabase
from campanile.money import Currency

AS_OF = datetime(2026, 3, 1, 1, tzinfo=UTC)
CONDITIONS: list[Any] = [
    {"did": "visited", "in": "30d"},
    {"did": "visited", "in": "90d", "count": "at least 2"},
    {"did": "visited", "where": {"channel": "web"}, "sum pages": "over 3"},
    {"did": "visited", "since_last": "at most 60"},
    {"did": "visited", "in": "1y", "avg minutes": "over 1"},
    {"did_not": "visited", "in": "7d"},
    {"did": "visited", "days": "at least 2"},
    {"did": "visited", "in": "180d..90d", "max pages": "over 2"},
    {"did": "visited", "gap": "under 60"},
    {"did": "visited", "where": {"device": "phone"}, "share": "at least 0.5"},
]


@pytest.mark.parametrize("number", [1, 5, 10])
def test_ten_conditions_scan_an_event_table_once(database: CustomerDatabase, number: int) -> None:  # noqa: F811
    load(database, shop(CONDITIONS, 1, "Asia/Shanghai", AS_OF))
    beside = named({}, {})
    aggregates = Aggregates(database, Frame(AS_OF, ZoneInfo("Asia/Shanghai"), Currency("CNY"), {}, {}))
    verdicts = [compile_condition(parse(each, beside.names), aggregates) for each in CONDITIONS[:number]]
    joined = aggregates.joined(database.customers(AS_OF))
    judged = joined.select("customer_id", **{f"_{index}": verdict(joined) for index, verdict in enumerate(verdicts)})
    assert scans(database, judged) == {"visited": 1, "customers": 1, "profile": 1}


def scans(opened: CustomerDatabase, relation: Any) -> dict[str, int]:
    """How often the engine's own plan reads each table."""
    query = opened.ibis.compile(relation)
    plan = json.loads(opened.ibis.con.execute(f"EXPLAIN (FORMAT json) {query}").fetchall()[0][1])
    found: dict[str, int] = {}
    waiting = list(plan)
    while waiting:
        node = waiting.pop()
        waiting += node["children"]
        if "SCAN" in node["name"] and (table := node["extra_info"].get("Table")):
            name = table.split(".")[-1].strip('"')
            found[name] = found.get(name, 0) + 1
    return found
