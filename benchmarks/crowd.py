"""The shop of `make bench-audience`: millions of customers with heavy-tailed orders, made by the engine alone.

Every value is a hash of a customer's or an order's number, so the same size gives the same tables on any machine. Rows
come out in the order of their customers, and in the order of time for each, as an import leaves them behind; no sort is
needed for that. A second file has orders and lines in the order of time, as a till writes them.
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
AS_OF = datetime(2026, 3, 1, 1, tzinfo=UTC)
CLUSTERED, BY_TIME = "customers.duckdb", "by-time.duckdb"
#: Lines of one order on average, by the four equally likely numbers of `_LINES`.
_LINES_PER_ORDER = 2

_RANDOM = """
-- Mixed twice: of two hashes in one call DuckDB only takes the exclusive or, so one word would tell another.
CREATE TEMP MACRO u(number, word) AS (hash(xor(hash(number), hash(word))) >> 11)::DOUBLE / 9007199254740992;
CREATE TEMP MACRO gauss(number, word) AS
    sqrt(-2 * ln(1 - u(number, word || '1'))) * cos(2 * pi() * u(number, word || '2'));
CREATE TEMP MACRO pick(words, number, word) AS words[1 + floor(u(number, word) * len(words))::BIGINT];
CREATE TEMP MACRO days_before(days) AS TIMESTAMP '{as_of}' - to_seconds(60 + floor(days * 86400)::BIGINT);
"""

#: One in six has not bought; of the others a few buy fifty times as often as most.
_CUSTOMERS = """
CREATE TEMP TABLE person AS
SELECT i, 'C' || lpad(i::VARCHAR, 8, '0') AS customer_id, 730 * (0.05 + 0.95 * u(i, 'age')) AS age,
    CASE WHEN u(i, 'buys') < 1 / 6.0 THEN 0
        ELSE least(floor({orders} * 1.2 * exp(1.1 * gauss(i, 'rate') - 0.605) + u(i, 'orders')), 2000) END::BIGINT AS n,
    exp(ln(180) + 0.5 * gauss(i, 'basket')) AS basket
FROM range({customers}) AS numbers(i);

CREATE TABLE customers AS
SELECT customer_id,
    CASE WHEN u(i, 'mail') < 0.008 THEN 'unknown'
        ELSE 'c' || lpad(CASE WHEN u(i, 'mail') < 0.014 AND i > 0 THEN i - 1 ELSE i END::VARCHAR, 8, '0')
            || '@' || ['mail', 'post', 'inbox'][1 + i % 3] || '.example' END AS email,
    '+8610' || lpad(i::VARCHAR, 9, '0') AS phone,
    CASE WHEN u(i, 'gender') < 0.1 THEN NULL ELSE pick(['female', 'female', 'male'], i, 'gender') END AS gender,
    (TIMESTAMP '{as_of}' - to_days((6600 + u(i, 'born') * 19000)::INTEGER))::DATE AS birth_date,
    1 + floor(4 * u(i, 'tier') * u(i, 'city'))::BIGINT AS city_tier,
    pick(['basic', 'basic', 'basic', 'gold', 'platinum'], i, 'level') AS tier,
    days_before(age)::DATE AS registered_at,
    u(i, 'email') < 0.86 AS email_consent, u(i, 'sms') < 0.55 AS sms_consent
FROM person;
"""

_ORDERS = """
CREATE TABLE "order" AS
WITH drawn AS (
    SELECT i, customer_id, i * 4096 + k AS number, basket,
        days_before(age * (1 - (k + u(i * 4096 + k, 'at')) / n)) AS "at"
    FROM (SELECT *, unnest(range(n)) AS k FROM person)
)
SELECT customer_id, "at", 'O' || number AS order_id,
    CASE WHEN u(number, 'state') < 0.97 THEN 'paid' WHEN u(number, 'state') < 0.99 THEN 'cancelled'
        ELSE 'unpaid' END AS state,
    round(100 * basket * exp(0.5 * gauss(number, 'price')))::BIGINT AS amount,
    pick(['web', 'app', 'store'], number, 'channel') AS channel
FROM drawn;

CREATE TABLE returned AS
SELECT customer_id, "at" + to_days(2 + (u(order_id, 'back') * 18)::INTEGER) AS "at", order_id,
    CASE WHEN u(order_id, 'part') < 0.5 THEN amount ELSE amount * 2 // 5 END AS amount
FROM "order" WHERE state = 'paid' AND u(order_id, 'returned') < 0.04 AND "at" < TIMESTAMP '{as_of}' - to_days(20);

CREATE TABLE bought AS
SELECT customer_id, "at", order_id,
    pick(['skincare', 'makeup', 'shoes', 'bags', 'food', 'books', 'toys', 'home'], number, 'category') AS category,
    pick(['full', 'full', 'sale'], number, 'price') AS price_type, amount // lines AS amount,
    1 + floor(3 * u(number, 'qty') * u(number, 'qty2'))::BIGINT AS qty
FROM (
    SELECT *, hash(xor(hash(order_id), hash(line))) AS number
    FROM (SELECT *, unnest(range(lines)) AS line FROM (
        SELECT *, 1 + floor(3 * u(order_id, 'lines'))::BIGINT AS lines FROM "order"
    ))
);
"""

#: Kind of event: how many a customer on average, over how many days, and its columns by the event's `number`.
_EVENTS = {
    "visited": (6.0, 365, "pick(['web', 'app'], number, 'v') AS channel, "
                "1 + floor(8 * u(number, 'p'))::BIGINT AS pages"),
    "contacted": (1.6, 90, "pick(['email', 'email', 'email', 'email', 'sms'], number, 'c') AS channel, "
                  "pick(['newsletter', 'new-year'], number, 'g') AS campaign, "
                  "pick(['marketing', 'marketing', 'marketing', 'service', 'service'], number, 'p') AS purpose"),
    "ticket": (0.06, 180, "pick(['complaint', 'question'], number, 'k') AS kind, "
               "CASE WHEN u(number, 's') < 0.3 THEN 'open' ELSE 'closed' END AS status"),
    "unsubscribed": (0.04, 365, "pick(['email', 'sms'], number, 'c') AS channel"),
}  # fmt: skip

_EVENT = """
CREATE TABLE {kind} AS
SELECT customer_id, "at", {columns} FROM (
    SELECT customer_id, hash(xor(hash(i * 1000 + k), hash('{kind}'))) AS number,
        days_before({days} * (1 - (k + 0.5) / m)) AS "at"
    FROM (SELECT *, unnest(range(m)) AS k FROM (
        SELECT *, floor({mean} * 2 * u(i, 'warm') * u(i, 'warmer') * 2 + u(i, '{kind}'))::BIGINT AS m FROM person
    ))
);
"""

_SUPPRESSED = """
INSERT INTO campanile.suppressed
SELECT 'email', email FROM customers WHERE hash(xor(hash(customer_id), hash('suppressed'))) % 25 = 0;
"""


def lines_per_customer(customers: int) -> int:
    """Twenty up to a million customers, ten for more, as the goals are set."""
    return 20 if customers <= 1_000_000 else 10


def build(customers: int) -> Callable[[], dict[str, int]]:
    """Makes the shop's tables, unless they were made by this very code before; answers with their rows."""
    folder = home(customers)
    stamp = folder / "made.json"
    made = {"customers": customers, "code": hashlib.sha256(Path(__file__).read_bytes()).hexdigest()}

    def work() -> dict[str, int]:
        if not stamp.exists() or json.loads(stamp.read_text()) != made:
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir(parents=True)
            _make(customers)
            stamp.write_text(json.dumps(made))
        with plain_engine(folder / CLUSTERED) as engine:
            names = ["customers", "order", "bought", "returned", *_EVENTS]
            return {name: engine.execute(f'SELECT count(*) FROM "{name}"').fetchall()[0][0] for name in names}

    return work


def _make(customers: int) -> None:
    folder, as_of = home(customers), AS_OF.replace(tzinfo=None)
    with plain_engine(folder / CLUSTERED) as engine:
        engine.execute(_RANDOM.format(as_of=as_of))
        orders = lines_per_customer(customers) / _LINES_PER_ORDER
        engine.execute(_CUSTOMERS.format(customers=customers, orders=orders, as_of=as_of))
        engine.execute(_ORDERS.format(as_of=as_of))
        for kind, (mean, days, columns) in _EVENTS.items():
            engine.execute(_EVENT.format(kind=kind, mean=mean, days=days, columns=columns))
        engine.execute(f"ATTACH '{folder / BY_TIME}' AS by_time")
        engine.execute('CREATE TABLE by_time."order" AS FROM "order" ORDER BY "at", order_id')
        engine.execute('CREATE TABLE by_time.bought AS FROM bought ORDER BY "at", order_id, category')
    with open_database(open_project(customers)) as database:
        database.ibis.con.execute(_SUPPRESSED)


def home(customers: int) -> Path:
    """The folder of a shop of that size."""
    return ROOT / "runs" / "bench" / "audience" / str(customers)


def open_project(customers: int, memory: str | None = None) -> Project:
    """This repository's project without its campaigns, with its stores in the folder of that size.

    Args:
        customers: Which shop.
        memory: The setting `database: memory:`, as in `1GB`; None leaves it out.
    """
    from campanile.spec.project import load_project

    files = home(customers) / f"project{memory or ''}"
    files.mkdir(exist_ok=True)
    for file in ("campanile.yaml", "segments.yaml"):
        shutil.copy(ROOT / file, files)
    if memory:
        with (files / "campanile.yaml").open("a", encoding="utf-8") as settings:
            settings.write(f"\ndatabase: {{memory: {memory}}}\n")
    return load_project(files, home=home(customers))


def open_database(project: Project) -> CustomerDatabase:
    """The customer database, with everything imported that Ibis would import on its first answer."""
    import ibis.backends.duckdb.converter  # noqa: F401

    from campanile.customers.database import CustomerDatabase

    return CustomerDatabase.open(project)


def plain_engine(path: Path) -> duckdb.DuckDBPyConnection:
    """The file in plain DuckDB, with as much memory as the product gives it."""
    import duckdb

    from campanile.customers.engine.duck import memory_limit

    config: dict[str, Any] = {"memory_limit": f"{memory_limit() // 1024**2}MiB", "temp_directory": f"{path}.spill"}
    return duckdb.connect(path, config=config)
