"""The shop of `make bench-readout`: an experiment with millions assigned, made by the engine alone.

Every value is a hash of a customer's or an order's number, so the same size gives the same tables on any machine. There
are two orders a customer over four months, a quarter of them in the window; ten cuts of two to ten levels stand in the
snapshot. Orders lie in the order of their customers, as an import leaves them behind.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import duckdb

    from campanile.customers.database import CustomerDatabase
    from campanile.spec.project import Project

ROOT = Path(__file__).resolve().parent.parent
DUE = datetime(2026, 3, 5, 2, 30, tzinfo=UTC)
READ_AT = datetime(2026, 4, 5, 2, 30, tzinfo=UTC)
CUTS = tuple(f"cut_{number}" for number in range(10))

_RANDOM = """
-- Mixed twice: of two hashes in one call DuckDB only takes the exclusive or, so one word would tell another.
CREATE TEMP MACRO u(number, word) AS (hash(xor(hash(number), hash(word))) >> 11)::DOUBLE / 9007199254740992;
CREATE TEMP MACRO gauss(number, word) AS
    sqrt(-2 * ln(1 - u(number, word || '1'))) * cos(2 * pi() * u(number, word || '2'));
"""
_TABLES = """
CREATE TABLE customers AS SELECT 'C' || lpad(i::VARCHAR, 8, '0') AS customer_id FROM range({customers}) AS numbers(i);

CREATE TABLE "order" AS
WITH buyer AS (
    SELECT i, 'C' || lpad(i::VARCHAR, 8, '0') AS customer_id,
        least(floor(2 * exp(gauss(i, 'rate') - 0.5) + u(i, 'orders')), 500)::BIGINT AS n,
        exp(ln(180) + 0.5 * gauss(i, 'basket')) AS basket
    FROM range({customers}) AS numbers(i)
), drawn AS (SELECT *, i * 512 + k AS number FROM (SELECT *, unnest(range(n)) AS k FROM buyer))
SELECT customer_id, 'O' || number AS order_id,
    TIMESTAMP '{due}' - to_days(90) + to_seconds(floor(u(number, 'at') * 120 * 86400)::BIGINT) AS "at",
    CASE WHEN u(number, 'state') < 0.97 THEN 'paid' ELSE 'cancelled' END AS state,
    round(100 * basket * exp(0.5 * gauss(number, 'price')))::BIGINT AS amount,
    CASE WHEN u(number, 'off') < 0.25 THEN 1500 ELSE 0 END::BIGINT AS discount
FROM drawn;

CREATE TABLE returned AS
SELECT customer_id, "at" + to_days(2) AS "at", order_id, amount * 2 // 5 AS amount
FROM "order" WHERE state = 'paid' AND u(order_id, 'returned') < 0.04;
"""
#: The arm is a hash: how the product assigns is measured elsewhere.
_SNAPSHOT = """
COPY (
    SELECT c.customer_id, CASE WHEN u(c.customer_id, 'arm') < 0.2 THEN 'control' ELSE 'treatment' END AS arm,
        's' || floor(20 * u(c.customer_id, 'stratum'))::VARCHAR AS stratum, TIMESTAMP '{due}' AS due_at,
        coalesce(pre_orders, 0)::BIGINT AS pre_orders, coalesce(pre_revenue, 0)::BIGINT AS pre_revenue, {cuts}
    FROM customers AS c LEFT JOIN (
        SELECT customer_id, count(*) AS pre_orders, sum(amount) AS pre_revenue FROM "order"
        WHERE "at" < TIMESTAMP '{due}' GROUP BY customer_id
    ) USING (customer_id) ORDER BY c.customer_id
) TO '{snapshot}' (FORMAT parquet);
COPY (
    SELECT customer_id, CASE WHEN u(customer_id, 'sent') < 0.99 THEN 'accepted' ELSE 'rejected' END AS state
    FROM '{snapshot}' WHERE arm <> 'control'
) TO '{messages}' (FORMAT parquet);
"""


def home(customers: int) -> Path:
    """The folder of a shop of that size."""
    return ROOT / "runs" / "bench" / "readout" / str(customers)


def snapshot(customers: int) -> Path:
    """The assignment."""
    return home(customers) / "assignment.parquet"


def messages(customers: int) -> Path:
    """What became of the messages."""
    return home(customers) / "messages.parquet"


def outcomes_file(customers: int) -> Path:
    """The outcome of every assigned customer, as SQL by hand computed it: what a program that reads tables is given."""
    return home(customers) / "outcomes.parquet"


def build(customers: int) -> Callable[[], dict[str, int]]:
    """Makes the shop, unless it was made by this very code before; answers with its rows."""
    stamp = home(customers) / "made.json"
    made = {"customers": customers, "code": hashlib.sha256(Path(__file__).read_bytes()).hexdigest()}

    def work() -> dict[str, int]:
        if not stamp.exists() or json.loads(stamp.read_text()) != made:
            shutil.rmtree(home(customers), ignore_errors=True)
            home(customers).mkdir(parents=True)
            with open_database(customers):  # with the product's own tables
                pass
            with plain_engine(customers) as engine:
                _make(engine, customers)
            stamp.write_text(json.dumps(made))
        with plain_engine(customers) as engine:
            names = ("customers", "order", "returned")
            return {name: engine.execute(f'SELECT count(*) FROM "{name}"').fetchall()[0][0] for name in names}

    return work


def _make(engine: duckdb.DuckDBPyConnection, customers: int) -> None:
    due = DUE.replace(tzinfo=None)
    engine.execute(_RANDOM)
    engine.execute(_TABLES.format(customers=customers, due=due))
    cuts = ", ".join(
        f"'l' || floor({2 + number * 8 // 9} * u(c.customer_id, '{name}'))::VARCHAR AS {name}"
        for number, name in enumerate(CUTS)
    )
    engine.execute(_SNAPSHOT.format(due=due, cuts=cuts, snapshot=snapshot(customers), messages=messages(customers)))


def plain_engine(customers: int) -> duckdb.DuckDBPyConnection:
    """The file in plain DuckDB, with as much memory as the product gives it."""
    import duckdb

    from campanile.customers.engine.duck import memory_limit

    path = home(customers) / "customers.duckdb"
    config: dict[str, Any] = {"memory_limit": f"{memory_limit() // 1024**2}MiB", "temp_directory": f"{path}.spill"}
    return duckdb.connect(path, config=config)


def open_database(customers: int) -> CustomerDatabase:
    """The customer database, with everything imported that Ibis would import on its first answer."""
    import ibis.backends.duckdb.converter  # noqa: F401

    from campanile.customers.database import CustomerDatabase

    return CustomerDatabase.open(open_project(customers))


def open_project(customers: int) -> Project:
    """This repository's settings without its campaigns, with the stores in the folder of that size."""
    from campanile.spec.project import load_project

    files = home(customers) / "project"
    files.mkdir(exist_ok=True, parents=True)
    for file in ("campanile.yaml", "segments.yaml"):
        shutil.copy(ROOT / file, files)
    return load_project(files, home=home(customers))
