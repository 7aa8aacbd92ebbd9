"""Finds which records are one person: pairs, components, who leads. Writes temporary tables only.

Reads all records and the persons merged before, which stay together whatever the rules say now: only a split takes them
apart. Groups that are too large, or hold two records that something tells apart, are reported and not merged, because
nobody can know which of them are the same.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import reduce

import ibis
import ibis.expr.types as ir

from campanile.customers import engine
from campanile.customers.database import CustomerDatabase
from campanile.customers.people.components import components
from campanile.customers.people.lead import placed
from campanile.customers.people.pairs import candidates, paired, pairs, shared_keys, usable_rules, vetoed
from campanile.customers.people.report import CONFLICT, TOO_LARGE, MatchReport
from campanile.customers.people.tables import KNOWN, LEADS, PEOPLE, PEOPLE_APART, PEOPLE_TABLES
from campanile.customers.tables import CUSTOMERS, ORDER
from campanile.customers.zones import naive
from campanile.spec.people import MatchRule, PeopleSettings

_RECORDS, _PAIRS, _GROUPS, _FOUND = (f"campanile_people_{name}" for name in ("records", "pairs", "groups", "found"))
_EXAMPLES = 5


@dataclass(frozen=True)
class Matching:
    """Records with the persons they belong to.

    Attributes:
        people: Every record of a person with several, as the table `people` holds them; a temporary table.
        report: What was found.
    """

    people: ir.Table
    report: MatchReport


def match_people(database: CustomerDatabase, settings: PeopleSettings, now: datetime) -> Matching:
    """What merging by these settings would come to; the customer database stays as it is.

    Args:
        database: Open for writing, because the engine keeps temporary tables.
        settings: What records of one person have in common, and what tells them apart.
        now: Aware; the moment of new merges.

    Raises:
        CampanileError: No customers were imported.
    """
    with engine.engine_errors(database.path):
        search = _Search(database, settings)
        groups = search.groups()
        people = engine.store(database.ibis, _FOUND, search.people(groups, now), temp=True)
        return Matching(people, search.report(groups, people))


@dataclass(frozen=True)
class _Search:
    """One search: where, and by which rules."""

    database: CustomerDatabase
    settings: PeopleSettings

    @property
    def customers(self) -> ir.Table:
        return self.database.records(CUSTOMERS)

    @property
    def rules(self) -> tuple[MatchRule, ...]:
        return usable_rules(self.customers, self.settings)

    def stored(self, name: str) -> ir.Table:
        """A temporary table of this search."""
        return self.database.ibis.table(name)

    def groups(self) -> ir.Table:
        """Records that hang together: customer_id, label, records, and why a group is held; NULL when it is not."""
        backend, apart = self.database.ibis, self.database.own(PEOPLE_APART)
        records = engine.store(backend, _RECORDS, candidates(self.customers, self.settings), temp=True)
        found = engine.store(backend, _PAIRS, self._pairs(records, apart), temp=True)
        matching = found.filter(found["veto"].isnull()).select("a_id", "b_id")
        known = self.database.own(PEOPLE)
        known = known.filter(known["customer_id"] != known["person_id"])
        edges = matching.union(known.select(a_id="person_id", b_id="customer_id"), distinct=True)
        labels = components(backend, edges)
        return engine.store(backend, _GROUPS, self._judged(labels, records, apart), temp=True)

    def _pairs(self, records: ir.Table, apart: ir.Table) -> ir.Table:
        """Every pair that a rule finds, with the rule and what tells the two apart."""
        found = [
            vetoed(pairs(records, rule, self.settings), self.settings, apart).mutate(
                rule=ibis.literal(rule), rank=ibis.literal(rank, "int64")
            )
            for rank, rule in enumerate(self.rules)
        ]
        schema = {"a_id": "string", "b_id": "string", "veto": "string", "rule": "string", "rank": "int64"}
        return reduce(ibis.union, found) if found else ibis.memtable([], schema=schema)

    def _judged(self, labels: ir.Table, records: ir.Table, apart: ir.Table) -> ir.Table:
        """The groups with the reason why they are held."""
        counted = labels.mutate(records=labels.count().over(group_by="label"))
        small = counted.filter(counted["records"] <= self.settings.largest)
        members = small.inner_join(records, "customer_id").select("label", *records.columns)
        inside = vetoed(paired(members, "label"), self.settings, apart)
        told = inside.filter(inside["veto"].notnull()).inner_join(small, [("a_id", "customer_id")])
        conflicts = told.select(conflict="label").distinct()
        joined = counted.left_join(conflicts, counted["label"] == conflicts["conflict"])
        held = ibis.cases(
            (joined["records"] > self.settings.largest, TOO_LARGE),
            (joined["conflict"].notnull(), CONFLICT),
            else_=ibis.null("string"),
        )
        return joined.select("customer_id", "label", "records", held=held)

    def people(self, groups: ir.Table, now: datetime) -> ir.Table:
        """The table `people` after merging; what was merged before and did not change stays as it is."""
        known = self.database.own(PEOPLE)
        free = groups.filter(groups["held"].isnull()).select("customer_id", "label")
        orders = self.database.records(ORDER) if ORDER in self.database.tables() else None
        new = placed(free, self.customers, orders, known, self.settings)
        before = known.select(_id="customer_id", _person="person_id", _rule="rule", _at="merged_at")
        joined = new.left_join(before, new["customer_id"] == before["_id"]).left_join(
            self._first_rules(), "customer_id"
        )
        stays = (joined["person_id"] == joined["_person"]).fill_null(engine.FALSE)
        leads = joined["customer_id"] == joined["person_id"]
        told = ibis.ifelse(joined["_rule"] == LEADS, ibis.null("string"), joined["_rule"])
        rule = ibis.ifelse(leads, LEADS, ibis.coalesce(joined["first_rule"], told, KNOWN))
        merged = joined.select(
            "customer_id",
            "person_id",
            "place",
            rule=ibis.ifelse(stays, joined["_rule"], rule),
            merged_at=ibis.ifelse(stays, joined["_at"], ibis.timestamp(naive(now))),
        )
        untouched = known.anti_join(free, "customer_id")
        shape = ibis.schema(PEOPLE_TABLES[PEOPLE])
        return merged.cast(shape).union(untouched.select(*merged.columns).cast(shape))

    def _first_rules(self) -> ir.Table:
        """The first rule of the settings by which a record matches another: customer_id, first_rule."""
        found = self.stored(_PAIRS)
        found = found.filter(found["veto"].isnull())
        sides = [found.select("rule", "rank", customer_id=side) for side in ("a_id", "b_id")]
        both = sides[0].union(sides[1])
        return both.group_by("customer_id").aggregate(first_rule=both["rule"].argmin(both["rank"]))

    def report(self, groups: ir.Table, people: ir.Table) -> MatchReport:
        """What was found, in numbers and ids."""
        found, records = self.stored(_PAIRS), self.stored(_RECORDS)
        known = self.database.own(PEOPLE)
        told = found.filter(found["veto"].notnull()).select("a_id", "b_id", "veto").distinct()
        touched = people.anti_join(known, ["customer_id", "person_id"]).select("person_id").distinct()
        grown = people.semi_join(touched, "person_id")
        sized = grown.group_by("person_id").aggregate(size=grown.count())
        members = people.filter(people["customer_id"] != people["person_id"]).count().to_pyarrow().as_py()
        held = groups.filter(groups["held"].notnull())
        total = int(records.count().to_pyarrow().as_py())
        return MatchReport(
            records=total,
            persons=total - int(members),
            pairs=self._by_rule(_counts(found.filter(found["veto"].isnull()), "rule")),
            shared={rule: self._widely_shared(records, rule) for rule in self.rules},
            vetoed=_counts(told, "veto"),
            sizes=_counts(sized, "size"),
            held=_counts(held.select("label", "held").distinct(), "held"),
            examples=_examples(grown.order_by("person_id", "place"), "person_id", "place"),
            held_examples=_examples(held, "label", "customer_id"),
            skipped=tuple(rule for rule in self.settings.match if rule not in self.rules),
        )

    def _by_rule(self, counted: Mapping[str, int]) -> dict[str, int]:
        return {rule: counted.get(rule, 0) for rule in self.rules}

    def _widely_shared(self, records: ir.Table, rule: MatchRule) -> int:
        shared = shared_keys(records, rule)
        return int(shared.filter(shared["records"] > self.settings.shared_by).count().to_pyarrow().as_py())


def _counts(rows: ir.Table, column: str) -> dict:  # type: ignore[type-arg] # keys are what the column holds
    """How many rows hold each value, by value."""
    counted = rows.group_by(value=rows[column]).aggregate(rows=rows.count()).order_by("value").to_pyarrow().to_pylist()
    return {row["value"]: row["rows"] for row in counted}


def _examples(rows: ir.Table, group: str, order: str) -> tuple[tuple[str, ...], ...]:
    """The ids of the first groups, each in this order."""
    first = rows.select(group).distinct().order_by(group).limit(_EXAMPLES)
    found = rows.semi_join(first, group).order_by(group, order).to_pyarrow().to_pylist()
    ids: dict[str, list[str]] = {}
    for row in found:
        ids.setdefault(row[group], []).append(row["customer_id"])
    return tuple(tuple(each) for each in ids.values())
