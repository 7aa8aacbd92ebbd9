"""Every customer of the shop into an arm inside their stratum, by the product and by hand."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.harness import paused
from benchmarks.shop import AS_OF, BEFORE, CAMPAIGN, home, open_database, open_project, plain_engine

_NUMBER = "('0x' || left(sha256('winback:1:' || customer_id), 15))::BIGINT AS number"
_HASHED = """
COPY (
    SELECT customer_id, CASE WHEN number < 230584300921369395 THEN 'control' ELSE 'treatment' END AS arm
    FROM (SELECT customer_id, {number} FROM '{units}')
) TO '{path}' (FORMAT parquet, COMPRESSION zstd)
"""
_STRATIFIED = """
COPY (
    SELECT customer_id, stratum,
        CASE WHEN row_number() OVER (PARTITION BY stratum ORDER BY number, customer_id)
            <= round(0.2 * count(*) OVER (PARTITION BY stratum)) THEN 'control' ELSE 'treatment' END AS arm
    FROM (
        SELECT customer_id, number,
            CASE WHEN count(*) OVER (PARTITION BY label) < 10 THEN '(pooled)' ELSE label END AS stratum
        FROM (
            SELECT customer_id, {number},
                coalesce("rfm.m"::VARCHAR, 'unknown') || ' / ' || coalesce(city_tier::VARCHAR, 'unknown') AS label
            FROM '{units}'
        )
    )
) TO '{path}' (FORMAT parquet, COMPRESSION zstd)
"""


def units(size: int) -> Callable[[], Any]:
    """Writes everybody who is to be assigned to Parquet, with the fields of the strata; answers with their number."""
    from campanile.customers.engine import write_parquet

    with open_database(open_project(size)) as database:
        customers = database.customers(AS_OF).select("customer_id", "rfm.m", "city_tier")
        write_parquet(database, customers, _units(size))
    return lambda: size


def ours(size: int) -> Callable[[], Any]:
    """Arm and stratum of everybody by `assign`, written to Parquet; answers with the sizes."""
    from campanile.customers.engine import parquet_rows, write_parquet
    from campanile.design.assign import assign

    project = open_project(size)
    experiment = project.experiment(CAMPAIGN)
    assert experiment is not None
    database = open_database(project)
    everybody, path = parquet_rows(database, _units(size)), home(size) / "assigned.parquet"

    def work() -> Any:
        assigned = assign(everybody, split=experiment.split, stratify=experiment.stratify, salt=f"{CAMPAIGN}:1")
        write_parquet(database, assigned.select("customer_id", "stratum", "arm"), path)
        with paused():
            return sizes_in(path)

    return work


def hashed(size: int) -> Callable[[], Any]:
    """The same hash with one cut point, no strata, so sizes by chance; answers with the sizes."""
    return _by_hand(size, _HASHED, home(size) / "assigned-hashed.parquet")


def stratified(size: int) -> Callable[[], Any]:
    """The same hash, exact sizes inside strata; answers with the sizes."""
    return _by_hand(size, _STRATIFIED, home(size) / "assigned-stratified.parquet")


def _by_hand(size: int, statement: str, path: Path) -> Callable[[], Any]:
    engine = plain_engine(home(size) / BEFORE)
    query = statement.format(number=_NUMBER, units=_units(size), path=path)

    def work() -> Any:
        engine.execute(query)
        with paused():
            return sizes_in(path)

    return work


def _units(size: int) -> Path:
    return home(size) / "units.parquet"


def sizes_in(path: Path) -> dict[str, int]:
    """How many customers of each stratum (where there are strata) are in each arm."""
    import duckdb

    table = duckdb.read_parquet(str(path))
    by = "stratum || ' ' || arm" if "stratum" in table.columns else "arm"
    return dict(table.aggregate(f"{by} AS part, count(*)").order("part").fetchall())


def differences(exact: dict[str, int], other: dict[str, int], by_chance: dict[str, int]) -> list[str]:
    """What is wrong with the sizes: strata that differ by more than one customer, or a share beyond five sigmas."""
    found = [part for part in exact.keys() | other.keys() if abs(exact.get(part, 0) - other.get(part, 0)) > 1]
    customers = sum(exact.values())
    if sum(other.values()) != customers or sum(by_chance.values()) != customers:
        found.append("somebody is missing")
    if abs(by_chance["control"] - 0.2 * customers) > 5 * (customers * 0.2 * 0.8) ** 0.5:
        found.append("the hash is not uniform")
    return found
