"""Merges records, takes merges back, tells of a person. No record is changed: a person is rows of ids beside them."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

import ibis
import ibis.expr.types as ir

from campanile.customers import engine
from campanile.customers.database import CustomerDatabase
from campanile.customers.people.matching import match_people
from campanile.customers.people.report import MatchReport
from campanile.customers.people.tables import LEADS, PEOPLE, PEOPLE_APART, PEOPLE_LOG
from campanile.customers.tables import CUSTOMERS
from campanile.customers.zones import naive
from campanile.errors import CampanileError
from campanile.spec.people import PeopleSettings
from campanile.spec.project import Project

MERGED, SPLIT = "merge", "split"


@dataclass(frozen=True)
class Person:
    """The records that are one person, and what happened to them.

    Attributes:
        person_id: The leader's customer_id; the record's own when it was never merged.
        records: customer_id, rule and merged_at of each, in the order in which their values count.
        apart: Records that were split from this person's and never join again.
        log: What was merged and split, oldest first.
    """

    person_id: str
    records: tuple[dict[str, Any], ...]
    apart: tuple[str, ...]
    log: tuple[dict[str, Any], ...]


def merge_people(database: CustomerDatabase, settings: PeopleSettings, now: datetime) -> MatchReport:
    """What was merged; all of it in one transaction. Merging again without new records changes nothing.

    Args:
        database: Open for writing.
        settings: What records of one person have in common.
        now: Aware; when it happens.

    Raises:
        CampanileError: No customers were imported, or the database is open read-only.
    """
    database.needs_writing()
    found = match_people(database, settings, now)
    with engine.engine_errors(database.path):
        known = database.own(PEOPLE)
        changed = found.people.anti_join(known, ["customer_id", "person_id"])
        count = int(changed.count().to_pyarrow().as_py())
        if count or _differ(found.people, known):
            with engine.transaction(database.ibis):
                database.append_own(PEOPLE_LOG, _logged(changed, naive(now)))
                database.store_own(PEOPLE, found.people.order_by("person_id", "place"))
                database.note_profile(())
    return replace(found.report, merged=count)


def merge_after_import(project: Project, database: CustomerDatabase, now: datetime) -> MatchReport | None:
    """What an import let merge; None unless the settings say that every import merges what it finds."""
    settings = project.settings.policy.people
    if settings is None or not settings.automatic or CUSTOMERS not in database.tables():
        return None
    return merge_people(database, settings, now)


def _differ(found: ir.Table, known: ir.Table) -> bool:
    """Whether places changed, so that other values count."""
    return bool(found.anti_join(known, ["customer_id", "place"]).count().to_pyarrow().as_py())


def _logged(changed: ir.Table, at: datetime) -> ir.Table:
    return changed.select("customer_id", "person_id", "rule", at=ibis.timestamp(at), what=ibis.literal(MERGED))


def split_people(database: CustomerDatabase, customers: Sequence[str], now: datetime) -> tuple[str, ...]:
    """The persons that these records were taken out of. None of them is merged with the rest of that person again.

    Args:
        database: Open for writing.
        customers: customer_id of records, each a record of a merged person.
        now: Aware; when it happens.

    Raises:
        CampanileError: Some of them were never merged; nothing was split then.
    """
    database.needs_writing()
    out = set(customers)
    with engine.engine_errors(database.path), engine.transaction(database.ibis):
        before = _rows(database, PEOPLE, "customer_id", out)
        lacking = sorted(out - {row["customer_id"] for row in before})
        if lacking:
            what = f"not merged with any record: {', '.join(lacking)}"
            raise CampanileError(what, "campanile people show CUSTOMER tells which records are one person")
        persons = sorted({row["person_id"] for row in before})
        members = _rows(database, PEOPLE, "person_id", persons)
        database.delete_own(PEOPLE, "person_id", persons)
        stay = _left(members, out, naive(now))
        _append(database, PEOPLE, stay)
        _append(database, PEOPLE_APART, _apart(members, out, naive(now)))
        moved = [row for row in stay if row["person_id"] not in persons]
        told = [*(row for row in members if row["customer_id"] in out), *moved]
        _append(database, PEOPLE_LOG, [_log(row, naive(now)) for row in told])
        database.note_profile(())
    return tuple(persons)


def _left(members: Sequence[dict[str, Any]], out: Collection[str], at: datetime) -> list[dict[str, Any]]:
    """The rows of `people` for the records that stay together, under a new leader where the old one left."""
    persons: dict[str, list[dict[str, Any]]] = {}
    for row in sorted(members, key=lambda row: row["place"]):
        if row["customer_id"] not in out:
            persons.setdefault(row["person_id"], []).append(row)
    rows = []
    for person, stay in persons.items():
        if len(stay) > 1:
            led = any(row["customer_id"] == person for row in stay)
            leader = person if led else stay[0]["customer_id"]
            changes = {} if led else {"person_id": leader, "merged_at": at}
            named = [row | changes | ({"rule": LEADS} if row["customer_id"] == leader else {}) for row in stay]
            rows += [row | {"place": place} for place, row in enumerate(named)]
    return rows


def _apart(members: Sequence[dict[str, Any]], out: Collection[str], at: datetime) -> list[dict[str, Any]]:
    """Each record that left with every other one of its person, both ways round."""
    return [
        {"customer_id": one["customer_id"], "other_id": other["customer_id"], "at": at}
        for one in members
        for other in members
        if one["person_id"] == other["person_id"]
        and one["customer_id"] != other["customer_id"]
        and ({one["customer_id"], other["customer_id"]} & set(out))
    ]


def _log(row: dict[str, Any], at: datetime) -> dict[str, Any]:
    facts = {"at": at, "what": SPLIT, "rule": row["rule"]}
    return {**facts, "customer_id": row["customer_id"], "person_id": row["person_id"]}


def person_of(database: CustomerDatabase, customer: str) -> Person:
    """The person that a record belongs to.

    Raises:
        CampanileError: There is no such record.
    """
    records = database.records(CUSTOMERS)
    if not records.filter(records["customer_id"] == customer).count().to_pyarrow().as_py():
        raise CampanileError(f'no customer "{customer}"', "give an id as the customer database has it")
    own = _rows(database, PEOPLE, "customer_id", [customer])
    person = own[0]["person_id"] if own else customer
    members = sorted(_rows(database, PEOPLE, "person_id", [person]), key=lambda row: row["place"])
    shown = [{name: row[name] for name in ("customer_id", "rule", "merged_at")} for row in members]
    ids = [row["customer_id"] for row in members] or [customer]
    apart = sorted({row["other_id"] for row in _rows(database, PEOPLE_APART, "customer_id", ids)})
    log = _rows(database, PEOPLE_LOG, "customer_id", ids)
    alone = {"customer_id": customer, "rule": None, "merged_at": None}
    ordered = sorted(log, key=lambda row: (row["at"], row["customer_id"]))
    return Person(person, tuple(shown or [alone]), tuple(apart), tuple(ordered))


def _rows(database: CustomerDatabase, name: str, column: str, values: Collection[str]) -> list[dict[str, Any]]:
    table = database.own(name)
    found: list[dict[str, Any]] = table.filter(table[column].isin(sorted(values))).to_pyarrow().to_pylist()
    return found


def _append(database: CustomerDatabase, name: str, rows: Sequence[dict[str, Any]]) -> None:
    if rows:
        database.append_own(name, ibis.memtable(list(rows), schema=database.own(name).schema()))
