"""The shop that is measured: a project whose stores lie in runs/bench/<size>, and a customer database made by SQL.

The tables are those that an import leaves behind: the same columns and types, clustered by customer, proportioned like
the shop of `campanile rehearse` (four orders, six visits and 1.6 contacts a customer). Every value is a hash of a
customer's number, so the same size gives the same tables on any machine.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import duckdb

    from campanile.customers.database import CustomerDatabase
    from campanile.spec.project import Project

ROOT = Path(__file__).resolve().parent.parent
CAMPAIGN = "winback"
AS_OF = datetime(2026, 3, 1, 1, tzinfo=UTC)
#: The campaign's own send moment, and a moment after the last window.
SENT_AT = datetime(2026, 3, 5, 2, 30, tzinfo=UTC)
READ_AT = datetime(2026, 4, 5, 2, 30, tzinfo=UTC)
#: The customer database before the campaign and after customers reacted; the ledger before and after sending.
BEFORE, AFTER = "customers.duckdb", "after.duckdb"
PLANNED, SENT = "ledger.sqlite", "sent.sqlite"

_RANDOM = """
-- Mixed twice: of two hashes in one call DuckDB only takes the exclusive or, so one word would tell another.
CREATE TEMP MACRO u(number, word) AS (hash(xor(hash(number), hash(word))) >> 11)::DOUBLE / 9007199254740992;
CREATE TEMP MACRO gauss(number, word) AS
    sqrt(-2 * ln(1 - u(number, word || '1'))) * cos(2 * pi() * u(number, word || '2'));
CREATE TEMP MACRO pick(words, number, word) AS words[1 + floor(u(number, word) * len(words))::BIGINT];
CREATE TEMP MACRO days_before(days) AS TIMESTAMP '{as_of}' - to_seconds(60 + floor(days * 86400)::BIGINT);
"""

_PEOPLE = """
CREATE TEMP TABLE person AS
SELECT i, 'C' || lpad(i::VARCHAR, 7, '0') AS customer_id,
    20 + u(i, 'age') * 980 AS age,
    least(age, 730.0) AS seen,
    least(seen, -450 * ln(1 - u(i, 'life'))) AS alive,
    -6.0 / 365 * ln(1 - u(i, 'rate')) AS rate,
    exp(ln(220) + 0.45 * gauss(i, 'basket')) AS basket
FROM range({customers}) AS numbers(i);

CREATE OR REPLACE TABLE customers AS
SELECT customer_id,
    CASE WHEN u(i, 'noname') < 0.004 THEN NULL ELSE
        pick(string_split('王,李,张,刘,陈,杨,黄,赵,吴,周,徐,孙,马,朱,胡,郭', ','), i, 'family')
        || pick(string_split('伟,芳,娜,敏,静,丽,强,磊,军,洋,勇,艳,思远,嘉懿,若曦,一鸣,子涵,欣诺', ','), i, 'given')
    END AS name,
    CASE WHEN u(i, 'mail') < 0.008 THEN 'unknown'
        ELSE 'c' || lpad(CASE WHEN u(i, 'mail') < 0.014 AND i > 0 THEN i - 1 ELSE i END::VARCHAR, 7, '0')
            || '@' || ['mail', 'post', 'inbox'][1 + i % 3] || '.example' END AS email,
    '+86145' || lpad(i::VARCHAR, 8, '0') AS phone,
    pick(['female', 'female', 'male'], i, 'gender') AS gender,
    (TIMESTAMP '{as_of}' - to_days((6600 + u(i, 'born') * 19000)::INTEGER))::DATE AS birth_date,
    pick(['上海', '北京', '广州', '杭州', '成都', '西安', '绵阳', '天水'], i, 'city') AS city,
    1 + floor(4 * u(i, 'tier') * u(i, 'city'))::BIGINT AS city_tier,
    CASE WHEN u(i, 'level') < 0.8 THEN 'basic' WHEN u(i, 'level') < 0.96 THEN 'gold' ELSE 'platinum' END AS tier,
    days_before(age)::DATE AS registered_at,
    u(i, 'email') < 0.86 AS email_consent,
    u(i, 'sms') < 0.55 AS sms_consent
FROM person ORDER BY customer_id;
"""

_ORDERS = """
CREATE OR REPLACE TABLE "order" AS
WITH drawn AS (
    SELECT customer_id, i * 10000 + k AS number, basket,
        days_before(seen - alive * u(number, 'at')) AS "at"
    FROM (SELECT *, unnest(range(floor(rate * alive + u(i, 'orders'))::BIGINT)) AS k FROM person)
), priced AS (
    SELECT *, round(100 * basket * exp(0.5 * gauss(number, 'price')))::BIGINT AS gross,
        CASE WHEN u(number, 'off') < 0.25 THEN gross * 15 // 100 ELSE 0 END AS discount
    FROM drawn
)
SELECT customer_id, "at",
    'O' || lpad((row_number() OVER (ORDER BY customer_id, "at", number))::VARCHAR, 9, '0') AS order_id,
    CASE WHEN u(number, 'state') < 0.955 THEN 'paid' WHEN u(number, 'state') < 0.98 THEN 'cancelled_by_hand'
        ELSE 'unpaid' END AS state,
    gross - discount AS amount, gross, discount, pick(['web', 'app', 'store'], number, 'channel') AS channel
FROM priced ORDER BY customer_id, "at", number;

CREATE OR REPLACE TABLE returned AS
SELECT customer_id, "at" + to_days(2 + (u(order_id, 'back') * 18)::INTEGER) AS "at", order_id,
    CASE WHEN u(order_id, 'part') < 0.5 THEN amount ELSE amount * 2 // 5 END AS amount,
    pick(['size', 'quality', 'late'], order_id, 'why') AS reason
FROM "order" WHERE state = 'paid' AND u(order_id, 'returned') < 0.04 AND "at" < TIMESTAMP '{as_of}' - to_days(20)
ORDER BY customer_id, "at";
"""

#: Kind of event: how many a customer on average, over how many days, and its columns by the event's `number`.
_EVENTS = {
    "visited": (6.0, 365, "pick(['web', 'app'], number, 'v') AS channel, round(1 + 9 * u(number, 'm'), 1) AS minutes, "
                "1 + floor(8 * u(number, 'p'))::BIGINT AS pages"),
    "contacted": (1.6, 90, "pick(['email', 'email', 'email', 'email', 'sms'], number, 'c') AS channel, "
                  "pick(['newsletter', 'new-year'], number, 'g') AS campaign, "
                  "pick(['marketing', 'marketing', 'marketing', 'service', 'service'], number, 'p') AS purpose"),
    "ticket": (0.06, 180, "pick(['complaint', 'question'], number, 'k') AS kind, "
               "CASE WHEN u(number, 's') < 0.3 THEN 'open' ELSE 'closed' END AS status"),
    "unsubscribed": (0.02, 365, "'email' AS channel"),
}  # fmt: skip

_EVENT = """
CREATE OR REPLACE TABLE {kind} AS
SELECT customer_id, "at", {columns} FROM (
    SELECT customer_id, hash(xor(hash(i * 1000 + k), hash('{kind}'))) AS number,
        days_before({days} * u(number, 'at')) AS "at"
    FROM (
        SELECT *, unnest(range(floor({mean} * least(rate * 365 / 6, 5) + u(i, '{kind}'))::BIGINT)) AS k FROM person
    )
) ORDER BY customer_id, "at";
"""

#: What customers do after the campaign: 4 in 100 buy, 6 of those whose mail went out; some send back, some leave.
_REACTIONS = """
CREATE TEMP TABLE reaction AS
SELECT customer_id, arm, due_at + to_seconds(1 + (u(customer_id, 'when') * 29 * 86400)::BIGINT) AS "at",
    round(100 * exp(ln(230) + 0.6 * gauss(customer_id, 'price')))::BIGINT AS gross,
    CASE WHEN arm <> 'control' AND gross >= 19900 THEN 5000 ELSE 0 END AS discount
FROM '{snapshot}' WHERE u(customer_id, 'buys') < CASE WHEN arm = 'control' THEN 0.04 ELSE 0.06 END;

CREATE OR REPLACE TABLE "order" AS
SELECT * FROM (
    FROM "order" UNION ALL
    SELECT customer_id, "at", 'R' || customer_id, 'paid', gross - discount, gross, discount, 'web' FROM reaction
) ORDER BY customer_id, "at";

INSERT INTO returned
SELECT customer_id, "at" + to_days(1), 'R' || customer_id, gross - discount, 'quality' FROM reaction
WHERE u(customer_id, 'back') < 0.04;

INSERT INTO unsubscribed
SELECT customer_id, due_at + to_days(1), 'email' FROM '{snapshot}'
WHERE arm <> 'control' AND u(customer_id, 'leaves') < 0.003;
"""


def open_project(size: int, *, database: str = BEFORE, ledger: str = PLANNED, port: int = 0) -> Project:
    """This repository's project with its stores in runs/bench/<size>, its mail going to `port` of this machine."""
    from campanile.spec.project import load_project

    project = load_project(_files(size), home=home(size))
    settings = project.settings
    mail = settings.channels["email"].model_copy(
        update={"via": "smtp", "host": "127.0.0.1", "port": port, "security": "none", "username": ""}
    )
    stores = {
        "database": settings.database.model_copy(update={"duckdb": database}),
        "ledger": settings.ledger.model_copy(update={"sqlite": ledger}),
        "channels": {**settings.channels, "email": mail},
    }
    return replace(project, settings=settings.model_copy(update=stores))


def open_database(project: Project) -> CustomerDatabase:
    """The customer database, with everything imported that Ibis would import on its first answer."""
    import ibis.backends.duckdb.converter  # noqa: F401

    from campanile.customers.database import CustomerDatabase

    return CustomerDatabase.open(project)


def home(size: int) -> Path:
    """The folder of a shop of that size."""
    return ROOT / "runs" / "bench" / str(size)


def _files(size: int) -> Path:
    """The project's files as they were when the measurements began: somebody may edit them meanwhile."""
    return home(size) / "project"


def plain_engine(path: Path) -> duckdb.DuckDBPyConnection:
    """The file in plain DuckDB, with as much memory as the product gives it."""
    import duckdb

    from campanile.customers.engine.duck import memory_limit

    config: dict[str, Any] = {"memory_limit": f"{memory_limit() // 1024**2}MiB", "temp_directory": f"{path}.spill"}
    return duckdb.connect(path, config=config)


def build(size: int) -> Callable[[], dict[str, int]]:
    """Makes the shop's tables, unless they were made by this very code before; answers with their rows."""
    path, stamp = home(size) / BEFORE, home(size) / "made.json"
    made = {"customers": size, "code": hashlib.sha256(Path(__file__).read_bytes()).hexdigest()}

    def work() -> dict[str, int]:
        if not stamp.exists() or json.loads(stamp.read_text()) != made:
            shutil.rmtree(home(size), ignore_errors=True)
            path.parent.mkdir(parents=True)
            _make_tables(path, size)
            stamp.write_text(json.dumps(made))
        _copy_files(size)
        with plain_engine(path) as engine:
            names = ["customers", "order", "returned", *_EVENTS]
            return {name: engine.execute(f'SELECT count(*) FROM "{name}"').fetchall()[0][0] for name in names}

    return work


def _copy_files(size: int) -> None:
    shutil.rmtree(_files(size), ignore_errors=True)
    for folder in ("campaigns", "experiments", "templates"):
        shutil.copytree(ROOT / folder, _files(size) / folder)
    for file in ("campanile.yaml", "segments.yaml"):
        shutil.copy(ROOT / file, _files(size))


def _make_tables(path: Path, size: int) -> None:
    as_of = AS_OF.replace(tzinfo=None)
    with plain_engine(path) as engine:
        engine.execute(_RANDOM.format(as_of=as_of))
        engine.execute(_PEOPLE.format(customers=size, as_of=as_of))
        engine.execute(_ORDERS.format(as_of=as_of))
        for kind, (mean, days, columns) in _EVENTS.items():
            engine.execute(_EVENT.format(kind=kind, mean=mean, days=days, columns=columns))


def react(size: int) -> Callable[[], int]:
    """Makes the customer database in which customers have reacted to the campaign; answers with its orders."""
    from campanile.ledger.store import Ledger

    project = open_project(size, database=AFTER)
    with Ledger.open(project.ledger_path) as ledger:
        plan = ledger.plan(CAMPAIGN)
    assert plan is not None

    def work() -> int:
        shutil.copyfile(home(size) / BEFORE, project.database_path)
        with plain_engine(project.database_path) as engine:
            engine.execute(_RANDOM.format(as_of=AS_OF.replace(tzinfo=None)))
            engine.execute(_REACTIONS.format(snapshot=project.home / plan.snapshot))
            return int(engine.execute('SELECT count(*) FROM "order"').fetchall()[0][0])

    return work
