"""What the product does in `make bench-audience`: profile, selection, assignment, and conditions by their number."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Collection
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.crowd import AS_OF, CLUSTERED, home, open_database, open_project, plain_engine
from benchmarks.harness import paused
from benchmarks.profiling import sums
from benchmarks.selection import ids_in

if TYPE_CHECKING:
    from campanile.audience.select import Audience
    from campanile.customers.database import CustomerDatabase
    from campanile.spec.project import Project

#: Ten conditions; campanile.yaml adds reachability, suppression, the cap, and one mail per address.
TARGET = """
target:
  who:
    - {stage: [active, silent, sleeping]}
    - {rfm.m: at least 3}
    - {city_tier: [1, 2], gender: known}
    - {did: order, in: 365d, avg amount: over 150}
    - {did: order, days: at least 2}
    - {did: bought, where: {category: skincare}, in: 365d, sum qty: at least 2}
    - {did: visited, in: 180d, count: at least 2}
  except:
    - {did: bought, where: {category: makeup, price_type: sale}, in: 30d}
    - {did: returned, in: 60d}
    - {did: ticket, where: {kind: complaint, status: open}}
"""
#: Ten conditions on fields of customers and profile: nothing is asked of an order, what is ready is read.
READY = """
target:
  who:
    - {stage: [active, silent, sleeping]}
    - {rfm.r: at least 2, rfm.f: at least 2, rfm.m: at least 3}
    - {rfm.sum: at least 8}
    - {city_tier: [1, 2], gender: known}
    - {tier: [gold, platinum]}
  except:
    - {rfm.segment: cant_lose}
    - {recency_days: over 300}
"""
#: Ten questions to two event tables; the first of them, the first five or all are asked.
CRITERIA = (
    "{did: order, in: 365d, sum amount: over 300}",
    "{did: bought, where: {category: [skincare, makeup, shoes]}, in: 2y}",
    "{did: order, count: at least 2}",
    "{did: order, where: {channel: [web, app]}, in: 1y}",
    "{did: order, in: 180d, max amount: over 100}",
    "{did: bought, in: 365d, sum qty: at least 2}",
    "{did: order, since_last: at most 300}",
    "{did: bought, where: {price_type: full}, in: 180d}",
    "{did: order, avg amount: over 90}",
    "{did: bought, where: {category: toys}, in: 1y}",
)
_MEDIUM = "email"
SPLIT = {"control": "0.2", "treatment": "0.8"}


def profile(customers: int) -> Callable[[], Any]:
    """Computes the profile anew; answers with sums over its columns."""
    project, database = _opened(customers)
    database.note_profile(())

    def work() -> Any:
        _profile(project, database)
        database.close()
        with paused():
            return sums(home(customers) / CLUSTERED, "campanile.profile")

    return work


def lean(customers: int) -> Callable[[], Any]:
    """Computes anew only what a target reads that names no dear column; answers with sums over its columns."""
    project, database = _opened(customers)
    database.note_profile(())

    def work() -> Any:
        _profile(project, database, fields=())
        database.close()
        with paused():
            return sums(home(customers) / CLUSTERED, "campanile.profile")

    return work


def with_profile(customers: int) -> Callable[[], Any]:
    """Computes the profile when there is none of that moment; answers with how many it is of."""
    project, database = _opened(customers)

    def work() -> Any:
        _profile(project, database)
        database.close()
        return customers

    return work


def selected(customers: int) -> Callable[[], Any]:
    """The ids of the target over the ready profile, written to Parquet; answers with their number and hashes."""
    project, database = _opened(customers)
    return _selecting(TARGET, project, database, home(customers) / "selected.parquet")


def ready(customers: int) -> Callable[[], Any]:
    """The ids of the target that asks nothing of an order, over the ready profile, written to Parquet."""
    project, database = _opened(customers)
    return _selecting(READY, project, database, home(customers) / "ready.parquet")


def compiled(customers: int) -> Callable[[], Any]:
    """The ids of the first target by its SQL, made before the clock starts: what the engine has to do."""
    return _compiled(TARGET, customers)


def ready_compiled(customers: int) -> Callable[[], Any]:
    """The same of the target that asks nothing of an order."""
    return _compiled(READY, customers)


def _compiled(text: str, customers: int) -> Callable[[], Any]:
    project, database = _opened(customers)
    with database:
        query = _found(text, project, database, _MEDIUM).sql()
    engine = plain_engine(home(customers) / CLUSTERED)
    path = home(customers) / "selected-compiled.parquet"

    def work() -> Any:
        engine.execute(f"COPY ({query}) TO '{path}' (FORMAT parquet, COMPRESSION zstd)")
        with paused():
            return ids_in(path)

    return work


def full(customers: int, memory: str | None = None) -> Callable[[], Any]:
    """Profile and selection from raw orders, in so much memory; answers with the ids' number and hashes."""
    project, database = _opened(customers, memory)
    database.note_profile(())
    select = _selecting(TARGET, project, database, home(customers) / "full.parquet")

    def work() -> Any:
        _profile(project, database, fields=())
        return select()

    return work


def criteria(customers: int, number: int) -> Callable[[], Any]:
    """The customers for whom the first `number` of the criteria hold; answers with how many they are."""
    project, database = _opened(customers)
    target = "\n    - ".join(["target:\n  who:", *CRITERIA[:number]])
    path = home(customers) / "criteria.parquet"

    def work() -> Any:
        from campanile.customers.engine import write_parquet

        found = _found(target, project, database, None)
        write_parquet(database, found.ids, path)
        with paused():
            return ids_in(path)

    return work


def units(customers: int) -> Callable[[], Any]:
    """Writes everybody, with the fields of 20 strata, to Parquet; answers with their number."""
    from campanile.customers.engine import write_parquet

    _, database = _opened(customers)
    with database:
        everybody = database.customers(AS_OF).select("customer_id", "rfm.m", "city_tier")
        write_parquet(database, everybody, _units(customers))
    return lambda: customers


def assigned(customers: int) -> Callable[[], Any]:
    """Everybody into an arm, exactly inside strata; answers with the size of the control."""
    from decimal import Decimal

    from campanile.customers.engine import parquet_rows, write_parquet
    from campanile.design.assign import assign

    _, database = _opened(customers)
    everybody, path = parquet_rows(database, _units(customers)), home(customers) / "assigned.parquet"
    split = {arm: Decimal(share) for arm, share in SPLIT.items()}

    def work() -> Any:
        arms = assign(everybody, split=split, stratify=("rfm.m", "city_tier"), salt="bench:1")
        write_parquet(database, arms.select("customer_id", "stratum", "arm"), path)
        with paused():
            return _rows_where(path, "arm = 'control'")

    return work


def hashed(customers: int) -> Callable[[], Any]:
    """The bare hash of everybody, one cut point for control; answers with the size of the control, left to chance."""
    engine = plain_engine(home(customers) / CLUSTERED)
    path = home(customers) / "hashed.parquet"
    query = f"""
        COPY (
            SELECT customer_id, ('0x' || left(sha256('bench:1:' || customer_id), 15))::BIGINT < 230584300921369395
                AS control
            FROM '{_units(customers)}'
        ) TO '{path}' (FORMAT parquet, COMPRESSION zstd)
    """

    def work() -> Any:
        engine.execute(query)
        with paused():
            return _rows_where(path, "control")

    return work


def _opened(customers: int, memory: str | None = None) -> tuple[Project, CustomerDatabase]:
    """The shop, with everything imported that a work needs, so that imports are not counted."""
    import campanile.audience.select
    import campanile.customers.profile
    import campanile.spec.targets  # noqa: F401

    project = open_project(customers, memory)
    return project, open_database(project)


def _profile(project: Project, database: CustomerDatabase, fields: Collection[str] | None = None) -> None:
    from campanile.customers.profile import ensure_profile

    ensure_profile(project, database, AS_OF, fields=fields)


def _selecting(text: str, project: Project, database: CustomerDatabase, path: Path) -> Callable[[], Any]:
    from campanile.customers.engine import write_parquet

    def work() -> Any:
        found = _found(text, project, database, _MEDIUM)
        write_parquet(database, found.ids, path)
        with paused():
            return ids_in(path)

    return work


def _found(text: str, project: Project, database: CustomerDatabase, medium: str | None) -> Audience:
    from campanile.audience.select import select
    from campanile.spec.targets import read_target_file

    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "target.yaml"
        file.write_text(text, encoding="utf-8")
        target, _ = read_target_file(str(file), project)
    return select(target, database, AS_OF, project=project, medium=medium)


def _rows_where(path: Path, condition: str) -> int:
    import duckdb

    return int(duckdb.execute(f"SELECT count(*) FROM '{path}' WHERE {condition}").fetchall()[0][0])


def _units(customers: int) -> Path:
    return home(customers) / "units.parquet"
