"""The customer database on PostgreSQL or Spark: published from the DuckDB file, or the shop's own tables, only read.

Files are read, judged and merged on DuckDB, wherever one selects. A table that changed since it was last published is
copied whole and then put in the place of the old one, all of them at once where the engine has transactions. As with
the DuckDB file, one process at a time works there.

Each engine computes its own profile, and keeps with it what it is of and which scores it knew. What a profile leaves
for later ones is one for all engines: the history of stages, the moments of profiles, frozen cut points and models of
value. They are published before a profile is made, and what it wrote is taken back afterwards. So a stage of before or
a change of stage is the same for whoever asks, whichever engine made the profiles in between.
What only imports, audits, merges and the reading of the ledger need stays on DuckDB.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

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
    VERSIONS,
    CustomerDatabase,
    version_key,
)
from campanile.customers.people.tables import PEOPLE, PEOPLE_APART, PEOPLE_LOG
from campanile.customers.tables import PRODUCT
from campanile.errors import CampanileError
from campanile.spec.project import Project

#: Which content of the landing database each table was published from.
PUBLISHED = "published"
_PUBLISHED = ibis.schema({"place": "string", "table": "string", "content": "string", "mark": "string"})
#: Tables of the product that are of one database only.
_STAY = frozenset(
    {
        PROFILE, PROFILE_STATE, SCORES, IMPORTS, SOURCES, LEDGER_READ, AUDITED, PEOPLE_LOG, PEOPLE_APART, PUBLISHED,
        VERSIONS,
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


class Published(NamedTuple):
    """What is known of a table that was published."""

    #: Of all its rows and columns.
    content: str
    #: Without reading them: the same mark is the same content, another one may be.
    mark: str


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
            self.written.add(name)
            _remember(self, {key: each for key, each in _known(self).items() if key != ("own", name)})
        return super().store_own(name, relation)

    def _changes_own(self, name: str) -> None:
        """Nothing: versions are kept where the tables come from."""

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
        with engine.engine_errors(landing.path), engine.alone(backend, (shop, own)):
            database = PublishedDatabase(backend, landing, shop=shop, own=own)
            publish(landing, database, native=name == "postgres" and settings.postgres.native)
            yield database
            take_back(landing, database)
    finally:
        engine.disconnect(backend)


def publish(landing: CustomerDatabase, there: PublishedDatabase, *, native: bool = False) -> tuple[str, ...]:
    """The tables that were copied: those whose content is not what was published last, or that are no longer there.

    Whoever is killed half-way leaves the tables as they were, or tables that the next one copies again.

    Args:
        landing: Where the tables come from.
        there: Where they go.
        native: The shop's tables are there already, and only the product's go.
    """
    with landing.settled(), there.settled():
        wanted = {("own", name): landing.own(name) for name in landing.own_tables() - _STAY}
        if not native:
            # Records as they were imported: who was merged with whom is told by a table of its own.
            wanted |= {("shop", name): landing.records(name) for name in landing.tables()}
        known = _known(there)
        news = _compared(landing, wanted, known)
    changed = [key for key in wanted if key not in known or news[key].content != known[key].content]
    # Tables that a shop keeps there itself are never taken away, whoever put them there before.
    gone = [key for key in known if key not in wanted and not (native and key[0] == "shop")]
    with engine.transaction(there.ibis):
        fresh = [(key, _copied(landing, there, key, wanted[key])) for key in changed]
        if changed or gone:
            # Forgotten before they change: without transactions a kill must not leave wrong what is known of a table.
            _remember(there, {key: known[key] for key in wanted if key in known and key not in changed})
            _exchange(there, fresh, gone)
        if native or any(kind == "shop" or name in _DECIDE for kind, name in changed):
            there.note_profile(())
        if news != known:
            _remember(there, news)
    return tuple(name for _, name in changed)


def _compared(
    landing: CustomerDatabase, wanted: Mapping[Key, ir.Table], known: Mapping[Key, Published]
) -> dict[Key, Published]:
    """What each table is now. Rows are read only of those that may have changed since they were published."""
    marks = _marks(landing, wanted)
    found = {}
    for key, rows in wanted.items():
        same = key in known and known[key].mark == marks[key]
        found[key] = Published(known[key].content if same else engine.content(landing.ibis, rows), marks[key])
    return found


def _marks(landing: CustomerDatabase, tables: Mapping[Key, ir.Table]) -> dict[Key, str]:
    """What is another where a table may have changed: its version, its columns, and where its rows lie.

    The version tells what this product wrote, also where rows came to lie as others did before; the place what somebody
    else wrote into the file.
    """
    versions = landing.versions()
    schemas = {"shop": "main", "own": PRODUCT}
    places = engine.places(landing.ibis, [(schemas[kind], name) for kind, name in tables])
    return {
        key: sha256(repr((versions.get(version_key(*key)), tuple(rows.schema().items()), place)).encode()).hexdigest()
        for (key, rows), place in zip(tables.items(), places, strict=True)
    }


def _exchange(there: PublishedDatabase, fresh: Sequence[tuple[Key, str]], gone: Sequence[Key]) -> None:
    """Puts copies in the place of tables, and takes away those that are no longer wanted."""
    for (kind, name), rows in fresh:
        engine.put(there.ibis, name, rows, database=there.places[kind])
    for kind, name in gone:
        engine.drop(there.ibis, name, database=there.places[kind])


def take_back(landing: CustomerDatabase, there: PublishedDatabase) -> None:
    """Nothing; the landing database now has what profiles elsewhere left for later ones, as if they were made there."""
    if not there.written:
        return
    taken = sorted(there.written)
    with TemporaryDirectory() as folder, engine.transaction(landing.ibis):
        for name in taken:
            path = Path(folder) / f"{name}.parquet"
            engine.write_parquet(there, there.own(name), path)
            landing.store_own(name, engine.parquet_rows(landing, path))
    tables = {("own", name): landing.own(name) for name in taken}
    _remember(there, {**_known(there), **_compared(landing, tables, {})})
    there.written.clear()


def _known(there: PublishedDatabase) -> dict[Key, Published]:
    """What was published last, of the tables that are there."""
    if PUBLISHED not in there.own_tables():
        return {}
    rows = there.own(PUBLISHED).to_pyarrow().to_pylist()
    tables = {"shop": there.tables(), "own": there.own_tables()}
    return {
        (row["place"], row["table"]): Published(row["content"], row.get("mark", ""))
        for row in rows
        if row["table"] in tables[row["place"]]
    }


def _remember(there: PublishedDatabase, published: Mapping[Key, Published]) -> None:
    rows = [
        {"place": kind, "table": name, "content": each.content, "mark": each.mark}
        for (kind, name), each in sorted(published.items())
    ]
    there.store_own(PUBLISHED, ibis.memtable(rows, schema=_PUBLISHED))


def _copied(landing: CustomerDatabase, there: PublishedDatabase, key: Key, rows: ir.Table) -> str:
    """Where a copy of the rows lies, until it is put in the place of the table."""
    kind, name = key
    batches = engine.batches(landing, rows, _BATCH)
    return engine.fill(there.ibis, name, rows.schema(), batches, database=there.places[kind])


def refuse(project: Project, what: str) -> None:
    """Nothing; CampanileError when the project's engine is another than DuckDB, which alone does `what`."""
    name = project.settings.database.engine
    if name != "duckdb":
        cure = "write engine: duckdb under database: in campanile.yaml; it selects the same customers"
        raise CampanileError(f"{what} works on DuckDB, and database.engine says {name}", cure)
