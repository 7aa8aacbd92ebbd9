"""One customer in the customer database: everything that is known of them, and a stranger in their place.

A stranger keeps the orders and events, under an id that means nothing, so that figures of campaigns stay what they
were. Name, addresses and profile are gone.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from campanile.customers import engine
from campanile.customers.database import CONTACTS, PROFILE, SUPPRESSED, VERSIONS, CustomerDatabase, version_key
from campanile.customers.own_events import RESPONSES
from campanile.customers.people.tables import PEOPLE, PEOPLE_APART
from campanile.customers.tables import CONTACT_COLUMNS, CUSTOMERS

#: Columns that hold ids of customers.
_IDS = ("customer_id", "person_id", "other_id")


def records_of(database: CustomerDatabase, customer_id: str) -> list[str]:
    """The ids of all records that are one person with the customer, theirs first."""
    people = database.own(PEOPLE)
    mine = people.filter(people["customer_id"] == customer_id).to_pyarrow().to_pylist()
    if not mine:
        return [customer_id]
    same = people.filter(people["person_id"] == mine[0]["person_id"]).to_pyarrow().to_pylist()
    return [customer_id, *sorted({row["customer_id"] for row in same} - {customer_id})]


def contacts_of(database: CustomerDatabase, ids: Iterable[str]) -> list[tuple[str, str]]:
    """Channel and address of the records."""
    if CUSTOMERS not in database.tables():
        return []
    records = database.records(CUSTOMERS)
    found = []
    for row in records.filter(records["customer_id"].isin(list(ids))).to_pyarrow().to_pylist():
        found += [("email", row.get("email")), ("sms", row.get("phone"))]
    return [(channel, str(address)) for channel, address in found if address]


def everything_of(database: CustomerDatabase, ids: Iterable[str]) -> dict[str, list[dict[str, Any]]]:
    """Every row of the records, by table, as plain JSON values; the product's own tables have `campanile.` before."""
    found: dict[str, list[dict[str, Any]]] = {}
    wanted = list(ids)
    named = [(name, database.records(name)) for name in sorted(database.tables())]
    named += [(f"campanile.{name}", database.own(name)) for name in sorted(database.own_tables())]
    for name, table in named:
        if "customer_id" in table.columns:
            rows = table.filter(table["customer_id"].isin(wanted)).to_pyarrow().to_pylist()
            if rows:
                found[name] = [{key: _plain(value) for key, value in row.items()} for row in rows]
    return found


def replace_customers(database: CustomerDatabase, strangers: Mapping[str, str]) -> int:
    """How many rows got a stranger's id; one transaction, and again it changes nothing.

    Args:
        database: Open for writing.
        strangers: Id of the customer → id of the stranger.
    """
    database.needs_writing()
    changed = 0
    catalog = database.ibis.current_catalog
    with engine.engine_errors(database.path), engine.transaction(database.ibis):
        for name in sorted(database.tables()):
            place = (catalog, "main", name)
            changed += _replace(database, place, database.records(name).columns, strangers)
            engine.stamp(database.ibis, VERSIONS, version_key("shop", name), database=database.own_place)
        for customer, stranger in strangers.items():
            # The ids of messages follow from the customer's.
            place = (*database.own_place, CONTACTS)
            engine.assign(database.ibis, place, "message_id", stranger, ("customer_id", customer))
        for name in sorted(database.own_tables() - {VERSIONS, PROFILE, SUPPRESSED, RESPONSES}):
            columns = database.own(name).columns
            if set(_IDS) & set(columns):
                changed += _replace(database, (*database.own_place, name), columns, strangers)
        for name in (PROFILE, RESPONSES, PEOPLE_APART):
            if name in database.own_tables():
                database.delete_own(name, "customer_id", list(strangers))
    return changed


def _replace(
    database: CustomerDatabase, place: tuple[str, str, str], columns: Iterable[str], strangers: Mapping[str, str]
) -> int:
    there = set(columns)
    changed = 0
    for customer, stranger in strangers.items():
        if place[2] == CUSTOMERS and place[1] == "main":
            engine.delete(database.ibis, CUSTOMERS, "customer_id", [customer], database=place[:2])
            continue
        for column in sorted(CONTACT_COLUMNS & there):
            engine.assign(database.ibis, place, column, None, ("customer_id", customer))
        for column in sorted(there & set(_IDS)):
            changed += engine.assign(database.ibis, place, column, stranger, (column, customer))
    return changed


def _plain(value: object) -> object:
    if isinstance(value, datetime | date):
        return value.isoformat()
    return float(value) if isinstance(value, Decimal) else value
