"""The customer database: one DuckDB file, read through Ibis. Campaigns only read it; the product has its own schema."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

import ibis
import ibis.expr.types as ir
from ibis.backends.duckdb import Backend

from campanile import clock
from campanile.customers import engine
from campanile.customers.asked import Asked
from campanile.customers.changes import HISTORY_TYPES, RUN_TYPES, Run, stage_changes, tier_changes
from campanile.customers.orders import before, unmatched_returns, valid_lines, valid_orders
from campanile.customers.own_events import RESPONDED, RESPONSE_TYPES, RESPONSES, united
from campanile.customers.people.tables import PEOPLE, PEOPLE_TABLES
from campanile.customers.tables import (
    ASSIGNED,
    BOUGHT,
    CONTACTED,
    CUSTOMERS,
    ORDER,
    PRODUCT,
    RETURNED,
    mapping_example,
    table_names,
)
from campanile.customers.zones import naive
from campanile.errors import CampanileError, did_you_mean
from campanile.spec.mapping import TableMapping
from campanile.spec.project import Project

if TYPE_CHECKING:
    from campanile.customers.import_report import TableReport

#: The product's own tables.
PROFILE = "profile"
PROFILE_STATE = "profile_state"
IMPORTS = "imports"
SOURCES = "import_sources"
CONTACTS = "contacts"
ASSIGNMENTS = "assignments"
SUPPRESSED = "suppressed"
COMMITTED = "commitments"
RIVALS = "rivals"
LEDGER_READ = "ledger_read"
AUDITED = "audited"
PROFILE_HISTORY = "profile_history"
PROFILE_RUNS = "profile_runs"
RFM_CUTS = "rfm_cuts"
VALUE_MODELS = "value_models"
SCORES = "scores"
#: Which version of each table there is: one that changes gets another stamp in the same transaction.
VERSIONS = "table_versions"

_OWN: Mapping[str, Mapping[str, str]] = {
    PROFILE_STATE: {"as_of": "timestamp", "settings": "string"},
    IMPORTS: {
        "imported_at": "timestamp", "table": "string", "read": "int64", "skipped": "int64", "rejected": "int64",
        "duplicates": "int64", "new": "int64", "updated": "int64", "rows": "int64",
    },
    SOURCES: {
        "table": "string", "source": "string", "columns": "string", "mapping": "string", "watermark": "string",
        "imported_at": "timestamp",
    },
    CONTACTS: {
        "message_id": "string", "customer_id": "string", "at": "timestamp", "channel": "string", "campaign": "string",
        "purpose": "string", "arm": "string",
    },
    ASSIGNMENTS: {"customer_id": "string", "at": "timestamp", "campaign": "string", "wave": "string", "arm": "string"},
    SUPPRESSED: {"channel": "string", "address": "string"},
    RESPONSES: RESPONSE_TYPES,
    COMMITTED: {"customer_id": "string", "channel": "string", "at": "timestamp"},
    RIVALS: {
        "customer_id": "string", "day": "date", "campaign": "string", "place": "int64", "comes_first": "boolean",
    },
    LEDGER_READ: {"ledger": "string", "serial": "int64"},
    **PEOPLE_TABLES,
    AUDITED: {
        "as_of": "timestamp", "serial": "int64", "settings": "string", "complete": "boolean", "covered": "string",
        "findings": "string",
    },
    PROFILE_HISTORY: HISTORY_TYPES,
    PROFILE_RUNS: RUN_TYPES,
    RFM_CUTS: {"as_of": "timestamp(6)", "position": "int64", "cut": "int64"},
    VALUE_MODELS: {
        "fitted_at": "timestamp", "evidence": "string", "problem": "string", "customers": "int64", "repeaters": "int64",
        "r": "float64", "alpha": "float64", "a": "float64", "b": "float64", "log_likelihood": "float64",
        "spend_problem": "string", "spenders": "int64", "correlation": "float64",
        "p": "float64", "q": "float64", "gamma": "float64",
    },
    SCORES: {"name": "string", "version": "string", "as_of": "timestamp", "customers": "int64"},
    VERSIONS: {"key": "string", "stamp": "string"},
}  # fmt: skip
_NO_RETURNS = {"customer_id": "string", "at": "timestamp(6)", "amount": "int64"}
#: Events that the product kept itself, and those that follow from the history of the profile.
_CHANGES = ("stage_changed", "tier_changed")
_HISTORY: Mapping[str, str] = {CONTACTED: CONTACTS, ASSIGNED: ASSIGNMENTS}


def version_key(kind: str, name: str) -> str:
    """The name of a table among the versions: of the `shop`, or the product's `own`."""
    return f"{kind} {name}"


class CustomerDatabase:
    """An open customer database. Use as a context manager; one process at a time may write."""

    def __init__(
        self,
        backend: Backend,
        path: Path,
        *,
        read_only: bool,
        mapped: Mapping[str, TableMapping] | None = None,
        tiers: Sequence[str] = (),
    ) -> None:
        #: Ibis on DuckDB, or on the engine that the tables were published to.
        self.ibis = backend
        self.path = path
        self.read_only = read_only
        self._mapped = frozenset(mapped or ())
        self._all_orders = not (mapped and ORDER in mapped and any(source.rows for source in mapped[ORDER].each()))
        self._tiers = tuple(tiers)
        self._shop: engine.Location = None
        self._own: tuple[str, str] = (backend.current_catalog, PRODUCT)
        self._cleanup = ExitStack()
        #: What makes a household where the import names none.
        self.household = "imported"
        self._merged: bool | None = None
        self._asked = Asked()

    @classmethod
    def open(cls, project: Project, *, read_only: bool = False) -> CustomerDatabase:
        """The customer database of a project; made when there is none.

        Raises:
            CampanileError: Another process has it open, it is damaged, or there is none to read.
        """
        path = project.database_path
        if read_only and not path.exists():
            raise CampanileError("there is no customer database yet", "run campanile import first")
        path.parent.mkdir(parents=True, exist_ok=True)
        mapped = project.settings.imports
        with ExitStack() as cleanup:
            cleanup.enter_context(engine.PrivateFiles())
            connection = engine.connect(path, read_only=read_only, memory=project.settings.database.memory)
            tiers = project.settings.policy.tiers
            database = cls(connection, path, read_only=read_only, mapped=mapped, tiers=tiers)
            cleanup.callback(database.ibis.disconnect)
            if project.settings.policy.people:
                database.household = project.settings.policy.people.household
            if not read_only:
                database._make_own_tables()
            database._cleanup = cleanup.pop_all()
        return database

    def __enter__(self) -> CustomerDatabase:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Closes the file, so that other processes may open it."""
        self._cleanup.close()

    def needs_writing(self) -> None:
        """Raises CampanileError when the database is open for reading only."""
        if self.read_only:
            raise CampanileError(f"{self.path.name} is open for reading only", "open it for writing")

    def settled(self) -> AbstractContextManager[None]:
        """Nothing; inside, no table comes or goes, so the engine is asked once which there are and what they hold."""
        return self._asked.settled()

    def tables(self) -> frozenset[str]:
        """The names of the shop's tables that are there."""
        return self._asked.once("tables", lambda: self._all_tables() & frozenset(table_names()))

    def _all_tables(self) -> frozenset[str]:
        return frozenset(self.ibis.list_tables(database=self._shop))

    def _read(self, name: str, place: engine.Location) -> ir.Table:
        return self._asked.once((name, place), lambda: self.ibis.table(name, database=place))

    @property
    def merged(self) -> bool:
        """Whether any records were merged; without, persons are records and nothing is joined."""
        if self._merged is None:
            self._merged = bool(self.own(PEOPLE).limit(1).count().to_pyarrow().as_py())
        return self._merged

    def by_person(self, rows: ir.Table) -> ir.Table:
        """The same rows, with customer_id the person's where their record was merged."""
        if not self.merged:
            return rows
        from campanile.customers.people.view import by_person

        return by_person(rows, self.own(PEOPLE))

    def table(self, name: str) -> ir.Table:
        """All rows of a table of the shop as persons have them: merged customers are one row, events bear its id.

        Raises:
            CampanileError: There is no such table; names the lines that would import it.
        """
        rows = self.records(name)
        if name == CUSTOMERS and (self.merged or self.household != "imported"):
            from campanile.customers.people.view import persons, with_household

            return with_household(persons(rows, self.own(PEOPLE)) if self.merged else rows, self.household)
        return rows if name == CUSTOMERS else self.by_person(rows)

    def records(self, name: str) -> ir.Table:
        """All rows of a table of the shop as they were imported, whoever was merged.

        Raises:
            CampanileError: There is no such table; names the lines that would import it.
        """
        if name not in table_names():
            raise CampanileError(f'there is no kind of event "{name}"', did_you_mean(name, table_names()))
        if name not in self.tables():
            cure = "run campanile import"
            if name not in self._mapped:
                cure = f"add to campanile.yaml and run campanile import:\n{mapping_example(name)}"
            raise CampanileError(f'the customer database has no table "{name}"', cure)
        return engine.by_bytes(self._read(name, self._shop))

    def customers(self, as_of: datetime) -> ir.Table:
        """One row per customer: imported fields and the profile as of that moment; an imported column wins.

        Raises:
            CampanileError: No customers were imported, or the profile is of another moment.
        """
        customers = self.table(CUSTOMERS)
        known = self.profile_as_of()
        if known != as_of:
            found = f"is as of {clock.iso(known)}" if known else "was never made"
            raise CampanileError(f"the profile {found}, not {clock.iso(as_of)}", "run campanile profile with --as-of")
        profile = self.own(PROFILE)
        joined = customers.left_join(profile, "customer_id")
        computed = [column for column in profile.columns if column != "customer_id"]
        return joined.select(
            *(customers[column] for column in customers.columns if column not in computed),
            **{column: customers[column] if column in customers.columns else profile[column] for column in computed},
        )

    def events(self, kind: str, as_of: datetime, *, every_state: bool = False) -> ir.Table:
        """The events of one kind before a moment: customer_id, at (naive UTC) and the event's fields.

        Orders and bought lines are valid ones only, orders of every state if asked; contacted and assigned include
        what the product did itself.

        Raises:
            CampanileError: The shop has no such table.
        """
        own = kind in RESPONDED and (kind not in self.tables() or self.answered)
        if own or kind in (*_HISTORY, *_CHANGES):
            return before(self._with_own_history(kind), as_of)
        rows = before(self.table(kind), as_of)
        if kind == ORDER and not every_state:
            return self._valid(rows, as_of).drop("net")
        if kind == BOUGHT and ORDER in self.tables():
            orders = before(self.table(ORDER), as_of)
            return valid_lines(rows, orders, self._returned(as_of), all_known=self._all_orders)
        return rows

    def net_orders(self, as_of: datetime) -> ir.Table:
        """Valid orders before a moment with `net`, their amount less what had come back by then, in minor units."""
        return self._valid(before(self.table(ORDER), as_of), as_of)

    def unmatched_returns(self, as_of: datetime) -> ir.Table:
        """Returns before a moment that name no order known by then, and so lower none: customer_id, at, amount."""
        if RETURNED not in self.tables() or "amount" not in self.table(RETURNED).columns:
            return ibis.memtable([], schema=ibis.schema(_NO_RETURNS))
        back = before(self.table(RETURNED), as_of)
        if ORDER in self.tables():
            back = unmatched_returns(back, before(self.table(ORDER), as_of))
        return back.select("customer_id", "at", amount=back["amount"].fill_null(0).cast("int64"))

    def _valid(self, orders: ir.Table, as_of: datetime) -> ir.Table:
        return valid_orders(orders, self._returned(as_of))

    def _returned(self, as_of: datetime) -> ir.Table | None:
        return before(self.table(RETURNED), as_of) if RETURNED in self.tables() else None

    def _with_own_history(self, kind: str) -> ir.Table:
        """What the product knows of a kind of events itself, and what the shop imported of it."""
        imported = self.table(kind) if kind in self.tables() else None
        if kind in _CHANGES:
            return united(kind, self.by_person(self._changes(kind)), {"cause": "string"}, imported)
        name = RESPONSES if kind in RESPONDED else _HISTORY[kind]
        own = self.own(name)
        own = own.filter(own["event"] == kind) if kind in RESPONDED else own
        return united(kind, self.by_person(own), _OWN[name], imported)

    @property
    def answered(self) -> bool:
        """Whether anything that people answered to the product's own messages is known."""
        known = self._asked.once("answered", lambda: self.own(RESPONSES).limit(1).count().to_pyarrow().as_py())
        return bool(known)

    def kinds(self) -> frozenset[str]:
        """The kinds of events that the shop imports or the product knows itself."""
        return self.tables() | (RESPONDED if self.answered else frozenset())

    def _changes(self, kind: str) -> ir.Table:
        history, runs = self.own(PROFILE_HISTORY), self.profile_runs()
        return tier_changes(history, runs, self._tiers) if kind == "tier_changed" else stage_changes(history, runs)

    def own(self, name: str) -> ir.Table:
        """One of the product's own tables; empty when a database that is only read has none yet."""
        if self._has_own(name):
            return engine.by_bytes(self._read(name, self._own))
        return ibis.memtable([], schema=ibis.schema(_OWN[name]))

    def _has_own(self, name: str) -> bool:
        return name in self.own_tables()

    @property
    def own_place(self) -> tuple[str, str]:
        """Catalog and schema of the product's own tables."""
        return self._own

    def own_tables(self) -> frozenset[str]:
        """The names of the product's own tables that are there."""
        return self._asked.once("own tables", self._list_own)

    def _list_own(self) -> frozenset[str]:
        catalog, schema = self._own
        there = schema in self.ibis.list_databases(catalog=catalog)
        return frozenset(self.ibis.list_tables(database=self._own) if there else ())

    def store_own(self, name: str, relation: ir.Table) -> ir.Table:
        """One of the product's own tables, now with these rows instead of what it held."""
        self._merged = None
        self._asked.forget()
        self._changes_own(name)
        return engine.store(self.ibis, name, relation, database=self._own)

    def append_own(self, name: str, relation: ir.Table) -> None:
        """Adds rows to one of the product's own tables, by column name."""
        self._merged = None
        self._changes_own(name)
        self.ibis.insert(name, relation, database=self._own)

    def delete_own(self, name: str, column: str, values: Sequence[str]) -> None:
        """Takes rows out of one of the product's own tables: those whose column holds one of the values."""
        self._merged = None
        self._changes_own(name)
        engine.delete(self.ibis, name, column, values, database=self._own)

    def _changes_own(self, name: str) -> None:
        """Notes that one of the product's own tables is about to change: first, so that no change goes unnoted."""
        engine.stamp(self.ibis, VERSIONS, version_key("own", name), database=self._own)

    def _make_own_tables(self) -> None:
        with engine.engine_errors(self.path):
            if PRODUCT not in self.ibis.list_databases(catalog=self._own[0]):
                self.ibis.create_database(PRODUCT)
            there = self.ibis.list_tables(database=self._own)
            for name in _OWN.keys() - set(there):
                self.ibis.create_table(name, schema=ibis.schema(_OWN[name]), database=self._own)

    def profile_as_of(self) -> datetime | None:
        """The moment the profile is of, in UTC; None when there is none."""
        found = self._profile_state()
        return found["as_of"].replace(tzinfo=UTC) if found else None

    def profile_settings(self) -> str:
        """What the profile was made with; "" when there is none."""
        found = self._profile_state()
        return str(found["settings"]) if found else ""

    def _profile_state(self) -> dict[str, Any] | None:
        rows = self.own(PROFILE_STATE).to_pyarrow().to_pylist()
        return rows[0] if rows else None

    def note_profile(self, states: Iterable[Mapping[str, object]]) -> None:
        """Remembers what the profile is of; nothing at all says that it must be made again."""
        self.store_own(PROFILE_STATE, ibis.memtable(list(states), schema=ibis.schema(_OWN[PROFILE_STATE])))

    def profile_runs(self) -> tuple[Run, ...]:
        """The profiles that were made, in order of the moments they are of."""
        rows = self.own(PROFILE_RUNS).order_by("as_of").to_pyarrow().to_pylist()
        return tuple(Run(row["as_of"], row["scoring"]) for row in rows)

    def note_runs(self, runs: Iterable[Run]) -> None:
        """Remembers which profiles were made."""
        rows = [{"as_of": run.as_of, "scoring": run.scoring} for run in runs]
        self.store_own(PROFILE_RUNS, ibis.memtable(rows, schema=ibis.schema(_OWN[PROFILE_RUNS])))

    def note_import(self, at: datetime, reports: Sequence[TableReport]) -> None:
        """Logs an import; what it changed is another version, and the profile must be made again."""
        rows = [
            {
                "imported_at": naive(at), "table": report.table, "read": report.read,
                "skipped": report.skipped, "rejected": sum(report.rejected.values()), "duplicates": report.duplicates,
                "new": report.new, "updated": report.updated, "rows": report.rows,
            }
            for report in reports
        ]  # fmt: skip
        if rows:
            self.append_own(IMPORTS, ibis.memtable(rows, schema=ibis.schema(_OWN[IMPORTS])))
        changed = [report.table for report in reports if report.changed]
        for table in changed:
            engine.stamp(self.ibis, VERSIONS, version_key("shop", table), database=self._own)
        if changed:
            self.note_profile(())

    def versions(self) -> Mapping[str, str]:
        """The stamp of each table that was changed since stamps are kept, by `version_key`."""
        return {row["key"]: row["stamp"] for row in self.own(VERSIONS).to_pyarrow().to_pylist()}
