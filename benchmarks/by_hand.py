"""What somebody writes in SQL who knows DuckDB and these tables: the references of `make bench-audience`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.crowd import AS_OF, BY_TIME, CLUSTERED, home, plain_engine
from benchmarks.harness import paused
from benchmarks.profiling import BUYERS, EVERYBODY, SCORED, sums
from benchmarks.selection import ids_in

if TYPE_CHECKING:
    import duckdb

#: The same target as `benchmarks.audience.TARGET`, with the e-mail policy of campanile.yaml.
_SELECTED = """
COPY (
WITH refunds AS (
    SELECT order_id, sum(amount) AS refunded FROM returned WHERE "at" < TIMESTAMP '{as_of}' GROUP BY order_id
), known AS (
    SELECT customer_id, order_id, "at", amount,
        state IN ('paid', 'part_refunded') AND amount - coalesce(refunded, 0) > 0 AS counts
    FROM "order" LEFT JOIN refunds USING (order_id) WHERE "at" < TIMESTAMP '{as_of}'
), buyers AS (
    SELECT customer_id FROM known WHERE counts GROUP BY customer_id
    HAVING avg(amount) FILTER ("at" >= TIMESTAMP '{as_of}' - INTERVAL 365 DAY) > 15000
        AND count(DISTINCT ("at" + INTERVAL 8 HOUR)::DATE) >= 2
), lines AS (
    SELECT customer_id, sum(qty) FILTER (category = 'skincare') AS pieces,
        bool_or(category = 'makeup' AND price_type = 'sale' AND "at" >= TIMESTAMP '{as_of}' - INTERVAL 30 DAY) AS makeup
    FROM (
        FROM bought WHERE "at" >= TIMESTAMP '{as_of}' - INTERVAL 365 DAY AND "at" < TIMESTAMP '{as_of}'
            AND category IN ('skincare', 'makeup')
    ) ANTI JOIN (FROM known WHERE NOT counts) USING (order_id)
    GROUP BY customer_id
), contacts AS (
    SELECT customer_id, "at", channel, purpose FROM contacted
    UNION ALL SELECT customer_id, "at", channel, purpose FROM campanile.contacts
), capped AS (
    SELECT customer_id FROM contacts
    WHERE "at" >= TIMESTAMP '{as_of}' - INTERVAL 7 DAY AND "at" < TIMESTAMP '{as_of}'
        AND purpose IS DISTINCT FROM 'service'
    GROUP BY customer_id HAVING count(*) FILTER (channel = 'email') >= 2 OR count(*) >= 3
), visitors AS (
    SELECT customer_id FROM visited
    WHERE "at" >= TIMESTAMP '{as_of}' - INTERVAL 180 DAY AND "at" < TIMESTAMP '{as_of}'
    GROUP BY customer_id HAVING count(*) >= 2
), reachable AS (
    SELECT customer_id, lower(trim(email)) AS address
    FROM customers JOIN {profile} AS profile USING (customer_id)
    WHERE stage IN ('active', 'silent', 'sleeping') AND "rfm.m" >= 3 AND city_tier IN (1, 2) AND gender IS NOT NULL
        AND email_consent AND email_ok AND address <> ''
        AND address NOT IN (SELECT address FROM campanile.suppressed WHERE channel = 'email')
)
SELECT customer_id FROM reachable
SEMI JOIN buyers USING (customer_id)
SEMI JOIN (FROM lines WHERE pieces >= 2) USING (customer_id)
SEMI JOIN visitors USING (customer_id)
ANTI JOIN (FROM lines WHERE makeup) USING (customer_id)
ANTI JOIN (
    FROM returned WHERE "at" >= TIMESTAMP '{as_of}' - INTERVAL 60 DAY AND "at" < TIMESTAMP '{as_of}'
) USING (customer_id)
ANTI JOIN (FROM ticket WHERE kind = 'complaint' AND status = 'open' AND "at" < TIMESTAMP '{as_of}') USING (customer_id)
ANTI JOIN (
    FROM unsubscribed WHERE coalesce(channel, '') IN ('email', '') AND "at" < TIMESTAMP '{as_of}'
) USING (customer_id)
ANTI JOIN capped USING (customer_id)
QUALIFY row_number() OVER (PARTITION BY address ORDER BY customer_id) = 1
) TO '{path}' (FORMAT parquet, COMPRESSION zstd)
"""
#: `benchmarks.audience.READY`, which asks nothing of orders, with the same policy.
_READY = """
COPY (
WITH contacts AS (
    SELECT customer_id, "at", channel, purpose FROM contacted
    UNION ALL SELECT customer_id, "at", channel, purpose FROM campanile.contacts
), capped AS (
    SELECT customer_id FROM contacts
    WHERE "at" >= TIMESTAMP '{as_of}' - INTERVAL 7 DAY AND "at" < TIMESTAMP '{as_of}'
        AND purpose IS DISTINCT FROM 'service'
    GROUP BY customer_id HAVING count(*) FILTER (channel = 'email') >= 2 OR count(*) >= 3
), reachable AS (
    SELECT customer_id, lower(trim(email)) AS address
    FROM customers JOIN {profile} AS profile USING (customer_id)
    WHERE stage IN ('active', 'silent', 'sleeping') AND "rfm.r" >= 2 AND "rfm.f" >= 2 AND "rfm.m" >= 3
        AND "rfm.sum" >= 8 AND "rfm.segment" <> 'cant_lose' AND city_tier IN (1, 2) AND gender IS NOT NULL
        AND tier IN ('gold', 'platinum') AND NOT coalesce(recency_days > 300, false)
        AND email_consent AND email_ok AND address <> ''
        AND address NOT IN (SELECT address FROM campanile.suppressed WHERE channel = 'email')
)
SELECT customer_id FROM reachable
ANTI JOIN (
    FROM unsubscribed WHERE coalesce(channel, '') IN ('email', '') AND "at" < TIMESTAMP '{as_of}'
) USING (customer_id)
ANTI JOIN capped USING (customer_id)
QUALIFY row_number() OVER (PARTITION BY address ORDER BY customer_id) = 1
) TO '{path}' (FORMAT parquet, COMPRESSION zstd)
"""
#: Quintiles as most people write them, ties cut apart by the id.
_NTILES = """
WITH scored AS (
    SELECT buyer.*, ntile(5) OVER (ORDER BY recency_days DESC, customer_id) AS r,
        ntile(5) OVER (ORDER BY frequency_365d, customer_id) AS f,
        ntile(5) OVER (ORDER BY money_365d, customer_id) AS m
    FROM buyer
)
"""


def profile(customers: int) -> Callable[[], Any]:
    """The profile by SQL written for DuckDB, stored in a file of its own; answers with sums over its columns."""
    engine, path = _opened(customers, "by-hand.duckdb")

    def work() -> Any:
        _make_profile(engine, SCORED)
        engine.close()
        with paused():
            return sums(path, "profile")

    return work


def selected(customers: int) -> Callable[[], Any]:
    """The ids by SQL written for DuckDB over the ready profile; answers with their number and the sum of hashes."""
    return _over_ready(customers, _SELECTED, "selected-by-hand.parquet")


def ready(customers: int) -> Callable[[], Any]:
    """The ids of the target over fields of customers and profile alone, by SQL written for DuckDB."""
    return _over_ready(customers, _READY, "ready-by-hand.parquet")


def _over_ready(customers: int, query: str, file: str) -> Callable[[], Any]:
    engine, path = plain_engine(home(customers) / CLUSTERED), home(customers) / file

    def work() -> Any:
        _select(engine, "campanile.profile", path, query)
        with paused():
            return ids_in(path)

    return work


def full(customers: int) -> Callable[[], Any]:
    """Profile and selection from raw orders clustered by customer, with exact cut points; answers with the ids."""
    engine, _ = _opened(customers, "by-hand.duckdb")
    return _full(engine, SCORED, home(customers) / "full-by-hand.parquet")


def full_by_time(customers: int) -> Callable[[], Any]:
    """The same from orders and lines in the order of time, with ntile; who is tied with a cut point may differ."""
    engine, _ = _opened(customers, "by-hand.duckdb")
    engine.execute(f"ATTACH '{home(customers) / BY_TIME}' AS by_time (READ_ONLY)")
    for table in ("order", "bought"):
        engine.execute(f'CREATE TEMP VIEW "{table}" AS FROM by_time."{table}"')
    return _full(engine, _NTILES, home(customers) / "full-by-time.parquet")


def _full(engine: duckdb.DuckDBPyConnection, scored: str, path: Path) -> Callable[[], Any]:
    def work() -> Any:
        _make_profile(engine, scored)
        _select(engine, "by_hand.profile", path)
        with paused():
            return ids_in(path)

    return work


def _opened(customers: int, name: str) -> tuple[duckdb.DuckDBPyConnection, Path]:
    engine, path = plain_engine(home(customers) / CLUSTERED), home(customers) / name
    path.unlink(missing_ok=True)
    engine.execute(f"ATTACH '{path}' AS by_hand")
    return engine, path


def _make_profile(engine: duckdb.DuckDBPyConnection, scored: str) -> None:
    engine.execute(BUYERS.format(as_of=AS_OF.replace(tzinfo=None)))
    engine.execute(f"CREATE TABLE by_hand.profile AS {scored} {EVERYBODY}")


def _select(engine: duckdb.DuckDBPyConnection, profile: str, path: Path, query: str = _SELECTED) -> None:
    engine.execute(query.format(as_of=AS_OF.replace(tzinfo=None), profile=profile, path=path))
