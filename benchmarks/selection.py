"""Who is eligible for the campaign, by the product and by a selection written by hand."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.harness import paused
from benchmarks.shop import AS_OF, BEFORE, CAMPAIGN, home, open_database, open_project, plain_engine

#: campaigns/winback.yaml and the e-mail policy of campanile.yaml as somebody would write them who knows the tables.
_BY_HAND = """
COPY (
WITH refunds AS (
    SELECT order_id, sum(amount) AS refunded FROM returned WHERE "at" < TIMESTAMP '{as_of}' GROUP BY order_id
), spenders AS (
    SELECT customer_id FROM "order" LEFT JOIN refunds USING (order_id)
    WHERE "at" >= TIMESTAMP '2024-03-01 01:00' AND "at" < TIMESTAMP '{as_of}'
        AND state IN ('paid', 'part_refunded') AND amount - coalesce(refunded, 0) > 0
    GROUP BY customer_id HAVING sum(amount) > 30000
), contacts AS (
    SELECT customer_id, "at", channel, purpose FROM contacted
    UNION ALL SELECT customer_id, "at", channel, purpose FROM campanile.contacts
), capped AS (
    SELECT customer_id FROM contacts
    WHERE "at" >= TIMESTAMP '{as_of}' - INTERVAL 7 DAY AND "at" < TIMESTAMP '{as_of}'
        AND purpose IS DISTINCT FROM 'service'
    GROUP BY customer_id HAVING count(*) FILTER (channel = 'email') >= 2 OR count(*) >= 3
), reachable AS (
    SELECT customer_id, lower(trim(email)) AS address
    FROM customers JOIN campanile.profile USING (customer_id)
    WHERE stage IN ('silent', 'sleeping') AND email_consent AND email_ok AND trim(email) <> ''
        AND address NOT IN (SELECT address FROM campanile.suppressed WHERE channel = 'email')
)
SELECT customer_id FROM reachable
SEMI JOIN spenders USING (customer_id)
ANTI JOIN (
    FROM contacts WHERE purpose = 'marketing'
        AND "at" >= TIMESTAMP '{as_of}' - INTERVAL 14 DAY AND "at" < TIMESTAMP '{as_of}'
) USING (customer_id)
ANTI JOIN (FROM ticket WHERE kind = 'complaint' AND status = 'open' AND "at" < TIMESTAMP '{as_of}') USING (customer_id)
ANTI JOIN (
    FROM unsubscribed WHERE coalesce(channel, '') IN ('email', '') AND "at" < TIMESTAMP '{as_of}'
) USING (customer_id)
ANTI JOIN capped USING (customer_id)
QUALIFY row_number() OVER (PARTITION BY address ORDER BY customer_id) = 1
) TO '{path}' (FORMAT parquet, COMPRESSION zstd)
"""


def ours(size: int) -> Callable[[], Any]:
    """The ids that `select` finds, written to Parquet; answers with their number and the sum of their hashes."""
    from campanile.audience.select import select
    from campanile.customers.engine import write_parquet

    project = open_project(size)
    spec = project.campaign(CAMPAIGN)
    database = open_database(project)
    path = home(size) / "selected.parquet"

    def work() -> Any:
        audience = select(spec.target, database, AS_OF, project=project, campaign=spec)
        write_parquet(database, audience.ids, path)
        with paused():
            return ids_in(path)

    return work


def every_rule(size: int) -> Callable[[], Any]:
    """The same under a policy with every rule, and another campaign that has a tenth of all customers that day."""
    from dataclasses import replace

    import ibis

    from campanile.audience.select import select
    from campanile.customers.database import RIVALS
    from campanile.customers.engine import write_parquet
    from campanile.spec.policy import Cap, Holdout, MarketingShare

    project = open_project(size)
    spec = project.campaign(CAMPAIGN)
    policy = project.settings.policy
    policy = policy.model_copy(
        update={
            "caps": {**policy.caps, "email": (*policy.caps["email"], Cap(at_most=6, within="30d"))},
            "holdout": Holdout(share="5%", salt="2026"),
            "marketing_share": MarketingShare(at_most="70%", enforce="exclude"),
        }
    )
    project = replace(project, settings=project.settings.model_copy(update={"policy": policy}))
    database = open_database(project)
    customers = database.table("customers").select("customer_id")
    database.store_own(
        RIVALS,
        customers.filter(customers["customer_id"].endswith("7")).mutate(
            day=ibis.date(spec.timing.start), campaign=ibis.literal("gala"), place=ibis.literal(0, "int64"),
            comes_first=ibis.literal(value=True),
        ),
    )  # fmt: skip
    path = home(size) / "selected-by-every-rule.parquet"

    def work() -> Any:
        audience = select(spec.target, database, AS_OF, project=project, campaign=spec)
        write_parquet(database, audience.ids, path)
        with paused():
            database.store_own(RIVALS, database.own(RIVALS).limit(0))
            return ids_in(path)

    return work


def compiled(size: int) -> Callable[[], Any]:
    """The same ids by the SQL that `select` comes to, made before the clock starts: what the engine has to do."""
    import ibis

    from campanile.audience.select import select

    project = open_project(size)
    spec = project.campaign(CAMPAIGN)
    with open_database(project) as database:
        audience = select(spec.target, database, AS_OF, project=project, campaign=spec)
        query = ibis.to_sql(audience.ids, dialect="duckdb")
    engine = plain_engine(home(size) / BEFORE)
    path = home(size) / "selected-compiled.parquet"

    def work() -> Any:
        engine.execute(f"COPY ({query}) TO '{path}' (FORMAT parquet, COMPRESSION zstd)")
        with paused():
            return ids_in(path)

    return work


def by_hand(size: int) -> Callable[[], Any]:
    """The ids that DuckDB finds by SQL written for it, written to Parquet."""
    engine = plain_engine(home(size) / BEFORE)
    path = home(size) / "selected-by-hand.parquet"
    query = _BY_HAND.format(as_of=AS_OF.replace(tzinfo=None), path=path)

    def work() -> Any:
        engine.execute(query)
        with paused():
            return ids_in(path)

    return work


def ids_in(path: Path) -> list[Any]:
    """How many customers a Parquet file holds, and the sum of the hashes of their ids."""
    import duckdb

    query = f"SELECT count(*), sum(hash(customer_id))::VARCHAR FROM '{path}'"
    return list(duckdb.execute(query).fetchall()[0])
