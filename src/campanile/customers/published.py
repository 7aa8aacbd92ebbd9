"""The customer database on PostgreSQL or Spark: published from the DuckDB file, or the shop's own tables, only read.

Files are read, judged and merged on DuckDB, wherever one selects. A table that changed since it was last published is
copied whole and then put in the place of the old one.

Each engine computes its own profile, and keeps with it what it is of and which scores it knew. What a profile leaves
for later ones is one for all engines: the history of stages, the moments of profiles, frozen cut points and models of
value. They are published before a profile is made, and what it wrote is taken back afterwards. So a stage of before or
a change of stage is the same for whoever asks, whichever engine made the profiles in between.
What only imports, audits, merges and the reading of the ledger need stays on DuckDB.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import ibis
import ibis.expr.types as ir
from ibis.backends import BaseBackend

from campanile.customers import engine
from campanile.customers.database import (
    AUDITED,
    IMPORTS,
    LEDGER_READ,
    PROFILE,
    PROFILE_HISTORY,
    PROFILE_RUNS,
    PROFILE_STATE,
    RFM_CUTS,
    SCORES,
    SOURCES,
    VALUE_MODELS,
    CustomerDatabase,
)
from campanile.customers.people.tables import PEOPLE, PEOPLE_APART, PEOPLE_LOG
from campanile.errors import CampanileError
from campanile.spec.project import Project

#: Which content of the landing database each table was published from.
PUBLISHED = "published"
_PUBLISHED = ibis.schema({"place": "string", "table": "string", "content": "string"})
#: Tables of the product that are of one database only.
_STAY = frozenset(
    {
        PROFILE, PROFILE_STATE, SCORES, IMPORTS, SOURCES, LEDGER_READ, AUDITED, PEOPLE_LOG, PEOPLE_APART, PUBLISHED,
    }
)  # fmt: skip
#: What a profile leaves for later ones.
_SHARED = frozenset({PROFILE_HISTORY, PROFILE_RUNS, RFM_CUTS, VALUE_MODELS})
#: Of the product's own tables, those whose change makes another profile.
_DECIDE = _SHARED | {PEOPLE}
_BATCH = 50_000

Place = tuple[str, str]
#: Of a table: `shop` or `own`, and its name.
Key = tuple[str, str]


class PublishedDatabase(CustomerDatabase):
    """The same tables on another engine. Campaigns read them; what the product writes lies beside the shop's."""

    def __init__(self, backend: BaseBackend, landing: CustomerDatabase, *, shop: Place, own: Place) -> None:
        super().__init__(backend, landing.path, read_only=False)
        # What the settings say of orders, levels and households holds wherever the tables are.
        self._mapped, self._all_orders, self._tiers = landing._mapped, landing._all_orders, landing._tiers
        self.household = landing.household
        self._shop = shop
        self._own = own
        #: Where tables lie: those of the shop, and the product's own.
        self.places: Mapping[str, Place] = {"shop": shop, "own": own}
        #: Tables that all engines share, and that were written here since they were published.
        self.written: set[str] = set()

    def store_own(self, name: str, relation: ir.Table) -> ir.Table:
        """One of the product's own tables, now with these rows instead of what it held."""
        if name in _SHARED and name not in self.written:
            # Should nothing be taken back, it is published anew.
            contents = _known(self)
            contents.pop(("own", name), None)
            _remember(self, contents)
            self.written.add(name)
        return super().store_own(name, relation)

    def append_own(self, name: str, relation: ir.Table) -> None:
        """Adds rows to one of the product's own tables, which is swapped whole: every engine can do that."""
        there = self.own(name)
        self.store_own(name, ibis.union(there, relation.select(*there.columns)))


@contextmanager
def on_engine(project: Project, landing: CustomerDatabase, name: str) -> Iterator[CustomerDatabase]:
    """The customer database on the engine of that name, as new as the landing database, which it is for DuckDB.

    Args:
        project: Its settings say where the engine is.
        landing: Open for writing; the past of the ledger is in it already.
        name: duckdb, postgres or spark.

    Raises:
        CampanileError: The engine is not installed or cannot be reached.
    """
    if name == "duckdb":
        yield landing
        return
    settings = project.settings.database
    if name == "postgres":
        backend, shop, own = engine.connect_postgres(settings.postgres)
    else:
        backend, shop, own = engine.connect_spark(settings.spark, project.home)
    try:
        with engine.engine_errors(landing.path):
            database = PublishedDatabase(backend, landing, shop=shop, own=own)
            publish(landing, database, native=name == "postgres" and settings.postgres.native)
            yield database
            take_back(landing, database)
    finally:
        engine.disconnect(backend)


def publish(landing: CustomerDatabase, there: PublishedDatabase, *, native: bool = False) -> tuple[str, ...]:
    """The tables that were copied: those whose content is not what was published last.

    Args:
        landing: Where the tables come from.
        there: Where they go.
        native: The shop's tables are there already, and only the product's go.
    """
    known = _known(there)
    wanted = {("own", name): landing.own(name) for name in landing.own_tables() - _STAY}
    if not native:
        # Records as they were imported: who was merged with whom is told by a table of its own.
        wanted |= {("shop", name): landing.records(name) for name in landing.tables()}
    contents = {place: engine.content(landing.ibis, rows) for place, rows in wanted.items()}
    changed = [place for place in wanted if contents[place] != known.get(place)]
    for place in changed:
        _copy(landing, there, place, wanted[place])
    for kind, name in known.keys() - wanted.keys():
        engine.drop(there.ibis, name, database=there.places[kind])
    if changed or known.keys() - wanted.keys():
        _remember(there, contents)
    if native or any(kind == "shop" or name in _DECIDE for kind, name in changed):
        there.note_profile(())
    return tuple(name for _, name in changed)


def take_back(landing: CustomerDatabase, there: PublishedDatabase) -> None:
    """Nothing; the landing database now has what profiles elsewhere left for later ones, as if they were made there."""
    contents = _known(there)
    with TemporaryDirectory() as folder, engine.transaction(landing.ibis):
        for name in sorted(there.written):
            path = Path(folder) / f"{name}.parquet"
            engine.write_parquet(there, there.own(name), path)
            landing.store_own(name, engine.parquet_rows(landing, path))
            contents["own", name] = engine.content(landing.ibis, landing.own(name))
    if there.written:
        _remember(there, contents)
        there.written.clear()


def _known(there: PublishedDatabase) -> dict[Key, str]:
    if PUBLISHED not in there.own_tables():
        return {}
    rows = there.own(PUBLISHED).to_pyarrow().to_pylist()
    return {(row["place"], row["table"]): row["content"] for row in rows}


def _remember(there: PublishedDatabase, contents: dict[Key, str]) -> None:
    rows = [{"place": kind, "table": name, "content": content} for (kind, name), content in sorted(contents.items())]
    there.store_own(PUBLISHED, ibis.memtable(rows, schema=_PUBLISHED))


def _copy(landing: CustomerDatabase, there: PublishedDatabase, key: Key, rows: ir.Table) -> None:
    kind, name = key
    batches = engine.batches(landing, rows, _BATCH)
    engine.load(there.ibis, name, rows.schema(), batches, database=there.places[kind])


def refuse(project: Project, what: str) -> None:
    """Nothing; CampanileError when the project's engine is another than DuckDB, which alone does `what`."""
    name = project.settings.database.engine
    if name != "duckdb":
        cure = "write engine: duckdb under database: in campanile.yaml; it selects the same customers"
        raise CampanileError(f"{what} works on DuckDB, and database.engine says {name}", cure)
