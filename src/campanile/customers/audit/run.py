"""The audit as a whole: which checks run, over which tables, in what order."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import cached_property

import ibis

from campanile.clock import Duration
from campanile.customers import engine
from campanile.customers.audit.characters import Texts, look_at_texts
from campanile.customers.audit.contacts import Phones, look_at_mail, look_at_phones
from campanile.customers.audit.events import (
    MONEY_TABLES,
    Moment,
    Rows,
    look_at_events,
    look_at_links,
    look_at_repeats,
)
from campanile.customers.audit.findings import Age, Audit, Finding, Value
from campanile.customers.audit.imports import LastImport, last_imports, refusals_of, serial_of
from campanile.customers.audit.people import copies, look_at_people
from campanile.customers.database import CustomerDatabase
from campanile.customers.tables import CUSTOMERS, ORDER, table_names
from campanile.customers.zones import naive
from campanile.spec.audit import FRESH, ORDERS
from campanile.spec.project import Project

_YEAR = Duration(days=365)
#: What the dearer parts of an audit count; the others are always counted.
_MAIL = frozenset({"invalid_email", "duplicate_email"})
_PHONES = frozenset({"invalid_phone", "duplicate_phone"})
_COPIES = frozenset({"duplicate_rows", "duplicate_person"})
_TEXTS = frozenset({"unprintable", "mojibake", "rare_characters"})
_REPEATS = frozenset({"duplicate_rows", "duplicate_orders"})
_LINKS = frozenset({"orders_without_lines", "lines_without_order", "returns_above_order"})


def audit(
    project: Project,
    database: CustomerDatabase,
    as_of: datetime,
    *,
    needs: Mapping[str, tuple[str, ...]],
    wanted: Collection[str] | None = None,
) -> Audit:
    """What can be counted about the customer database as of a moment.

    Args:
        project: Its settings give zone, region of telephone numbers and limits.
        database: The customers; only read.
        as_of: Aware; events at or after it are not seen.
        needs: Customer fields that somebody reads, and who.
        wanted: The checks that matter; the dear ones among the others are left out. None is all.

    Raises:
        CampanileError: No customers were imported, or the engine fails.
    """
    with engine.engine_errors(database.path):
        return _Work(project, database, as_of, needs, frozenset(wanted) if wanted is not None else None).audit()


def ages_of(project: Project, database: CustomerDatabase, as_of: datetime, tables: Collection[str]) -> tuple[Age, ...]:
    """How old these tables are, and nothing else: the engine knows the newest row without reading many."""
    found = []
    with engine.engine_errors(database.path):
        for table in tables:
            newest = None
            if table in database.tables():
                rows = database.table(table)
                newest = rows["at"].max(where=rows["at"] < ibis.timestamp(naive(as_of))).to_pyarrow().as_py()
            found.append(age(project, table, 0, newest=newest, as_of=as_of))
    return tuple(found)


def age(project: Project, table: str, rows: int, *, newest: datetime | None, as_of: datetime) -> Age:
    """The age of a table by its newest row (naive UTC), judged by the shop's limit; orders by two days without one.

    Days are calendar days of the shop: at any time of the 3rd, a row of the 1st is two days old.
    """
    limit = project.settings.policy.audit.freshness.get(table, FRESH if table == ORDERS else None)
    moment = newest.replace(tzinfo=UTC) if newest else None
    stale = False
    if limit is not None:
        oldest = limit.before(as_of.astimezone(project.zone))
        if not limit.hours:
            oldest = oldest.replace(hour=0, minute=0, second=0, microsecond=0)
        stale = moment is None or moment < oldest
    return Age(table, rows, moment, limit, stale)


@dataclass(frozen=True)
class _Work:
    """One audit: what every part of it needs."""

    project: Project
    database: CustomerDatabase
    as_of: datetime
    needs: Mapping[str, tuple[str, ...]]
    wanted: frozenset[str] | None

    def audit(self) -> Audit:
        """All parts, put together."""
        customers = self.database.table(CUSTOMERS)
        moment = self.moment(CUSTOMERS)
        day, imported = (each.replace(tzinfo=UTC).astimezone(self.project.zone).date() for each in moment.ends)
        people = look_at_people(customers, as_of=day, imported=imported, needs=self.needs)
        phones = look_at_phones(self.database, customers, self.region) if self.wants(_PHONES) else Phones()
        texts = look_at_texts(self.database, customers) if self.wants(_TEXTS) else Texts()
        tables = [look_at_events(self.database, table, self.moment(table)) for table in self.events]
        refusals = tuple(refusals_of(self.project, self.imports))
        findings = (
            *people.findings,
            *(look_at_mail(self.database, customers) if self.wants(_MAIL) else ()),
            *phones.findings,
            *(copies(customers) if self.wants(_COPIES) else ()),
            *texts.findings,
            *self.of_events(tables),
            *(each.finding for each in refusals),
        )
        return Audit(
            as_of=self.as_of,
            serial=serial_of(self.database),
            customers=people.customers,
            reachable=people.reachable,
            value=self.value(),
            completeness=(*people.completeness, *(each for table in tables for each in table.completeness)),
            findings=tuple(replace(each, examples=()) if people.ids_tell else each for each in findings),
            ages=tuple(self.age(table) for table in tables),
            characters=texts.characters,
            refusals=refusals,
            unjudged_phones=phones.unjudged,
            complete=not any(table.unseen for table in tables),
        )

    def wants(self, checks: frozenset[str]) -> bool:
        """Whether one of the checks matters."""
        return self.wanted is None or bool(self.wanted & checks)

    @property
    def region(self) -> str:
        """The country of telephone numbers without a country code."""
        return self.project.settings.shop.phone_region

    @cached_property
    def imports(self) -> Mapping[str, LastImport]:
        """The last import of each table."""
        return last_imports(self.database)

    @property
    def events(self) -> tuple[str, ...]:
        """The tables of events that are there, the money first."""
        there = self.database.tables() - {CUSTOMERS}
        money = [table for table in MONEY_TABLES if table in there]
        return (*money, *(table for table in table_names() if table in there and table not in money))

    def moment(self, table: str) -> Moment:
        """From when the audit looks at a table, and when that table was imported last."""
        known = self.imports.get(table)
        return Moment(naive(self.as_of), known.at if known else naive(self.as_of), self.project.zone)

    def of_events(self, tables: list[Rows]) -> Iterator[Finding]:
        """What is wrong with events, one table after the other, then between them."""
        for table in tables:
            yield from table.findings
            if table.table in MONEY_TABLES and self.wants(_REPEATS):
                yield from look_at_repeats(self.database, table.table, self.moment(table.table))
        if self.wants(_LINKS):
            yield from look_at_links(self.database, self.moment(ORDER))

    def age(self, table: Rows) -> Age:
        """How old a table is."""
        return age(self.project, table.table, table.rows, newest=table.newest, as_of=self.as_of)

    def value(self) -> Value:
        """What the customers bought in the year before."""
        if ORDER not in self.database.tables():
            return Value(0, 0, 0)
        orders = self.database.net_orders(self.as_of)
        orders = orders.filter(orders["at"] >= ibis.timestamp(naive(_YEAR.before(self.as_of))))
        found = orders.aggregate(
            orders=orders.count(), buyers=orders["customer_id"].nunique(), revenue=orders["net"].sum()
        ).to_pyarrow().to_pylist()[0]  # fmt: skip
        return Value(found["orders"], found["buyers"], int(found["revenue"] or 0))
