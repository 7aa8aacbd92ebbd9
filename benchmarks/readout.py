"""The experiment read out after customers reacted, by the product and by SQL written for it."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from benchmarks.shop import AFTER, CAMPAIGN, READ_AT, SENT, home, open_database, open_project, plain_engine

if TYPE_CHECKING:
    from campanile.ledger.records import PlanRecord

_COMPARED = {"response_rate": "responded", "orders_per_customer": "orders", "revenue_per_customer": "revenue"}

#: What everybody assigned did within thirty days of their moment, as far as it was known on the day of reading.
_OUTCOMES = """
CREATE TEMP TABLE outcome AS
WITH units AS (
    SELECT customer_id, arm, due_at, due_at + INTERVAL 30 DAY AS ends_at, pre_orders, pre_revenue FROM '{snapshot}'
), placed AS (
    SELECT customer_id, order_id, "at", due_at, amount, discount FROM "order" JOIN units USING (customer_id)
    WHERE "at" >= (SELECT min(due_at) FROM units) AND "at" < (SELECT max(ends_at) FROM units)
        AND "at" >= due_at AND "at" < ends_at AND state IN ('paid', 'part_refunded') AND amount > 0
), refunds AS (
    SELECT order_id, sum(amount) AS refunded FROM returned
    WHERE "at" < TIMESTAMP '{read_at}' AND order_id IN (SELECT order_id FROM placed) GROUP BY order_id
), bought AS (
    SELECT customer_id, 1 AS ordered, max((refunded IS NOT NULL)::INTEGER) AS returned,
        count(*) FILTER (amount > coalesce(refunded, 0)) AS orders,
        coalesce(sum(amount - coalesce(refunded, 0)) FILTER (amount > coalesce(refunded, 0)), 0)::BIGINT AS revenue,
        coalesce(sum(discount) FILTER (amount > coalesce(refunded, 0)), 0)::BIGINT AS discount,
        min(epoch("at") - epoch(due_at)) FILTER (amount > coalesce(refunded, 0))::BIGINT // 86400 AS day
    FROM placed LEFT JOIN refunds USING (order_id) GROUP BY customer_id
), left_us AS (
    SELECT DISTINCT customer_id, 1 AS opted_out FROM unsubscribed JOIN units USING (customer_id)
    WHERE "at" >= due_at AND "at" < ends_at AND "at" < TIMESTAMP '{read_at}'
), complained AS (
    SELECT DISTINCT customer_id, 1 AS complained FROM ticket JOIN units USING (customer_id)
    WHERE "at" >= due_at AND "at" < ends_at AND "at" < TIMESTAMP '{read_at}' AND kind = 'complaint'
), others AS (
    SELECT DISTINCT customer_id, 1 AS contacted_by_others
    FROM (SELECT customer_id, "at", campaign, purpose FROM contacted
        UNION ALL SELECT customer_id, "at", campaign, purpose FROM campanile.contacts) JOIN units USING (customer_id)
    WHERE "at" >= due_at AND "at" < ends_at AND "at" < TIMESTAMP '{read_at}'
        AND campaign IS DISTINCT FROM 'winback' AND coalesce(purpose, 'marketing') = 'marketing'
)
SELECT arm, (coalesce(orders, 0) > 0)::INTEGER AS responded, coalesce(orders, 0) AS orders,
    coalesce(revenue, 0) AS revenue, coalesce(discount, 0) AS discount, day, pre_orders, pre_revenue,
    ordered, returned, opted_out, complained, contacted_by_others
FROM units LEFT JOIN bought USING (customer_id) LEFT JOIN left_us USING (customer_id)
    LEFT JOIN complained USING (customer_id) LEFT JOIN others USING (customer_id)
"""
_MOMENTS = """
SELECT arm, count(*) AS n, sum(responded), var_samp(responded), sum(orders), var_samp(orders),
    sum(revenue), var_samp(revenue), sum(discount), var_samp(discount),
    sum(pre_orders), var_samp(pre_orders), sum(pre_revenue), var_samp(pre_revenue),
    covar_samp(orders, pre_orders), covar_samp(revenue, pre_revenue), sum(ordered), sum(returned), sum(opted_out),
    sum(complained), sum(contacted_by_others)
FROM outcome GROUP BY arm ORDER BY arm
"""
_CURVE = "SELECT arm, day, count(*) FROM outcome WHERE day IS NOT NULL GROUP BY arm, day"
_DELIVERY = "SELECT arm, state, reason, count(*) FROM message WHERE plan_id = ? GROUP BY arm, state, reason"


def history(size: int) -> Callable[[], Any]:
    """Takes what was sent into the customer database, as the first readout does; answers with how much."""
    from campanile.customers.history import sync_history
    from campanile.ledger.store import Ledger

    project = open_project(size, database=AFTER, ledger=SENT)
    database, ledger = open_database(project), Ledger.open(project.ledger_path)

    def work() -> Any:
        sync_history(database, ledger)
        added = int(database.own("contacts").count().execute())
        database.close()
        return added

    return work


def ours(size: int) -> Callable[[], Any]:
    """The readout by `read_out`; answers with n, and sum and variance of three metrics, by arm."""
    import campanile.readout.read as product
    from campanile.ledger.store import Ledger

    project = open_project(size, database=AFTER, ledger=SENT)
    database, ledger = open_database(project), Ledger.open(project.ledger_path)

    def work() -> Any:
        readout = product.read_out(project, CAMPAIGN, database=database, ledger=ledger, now=READ_AT)
        return {figures.arm: [figures.n, *_moments(figures.metrics or {})] for figures in readout.arms}

    return work


def by_hand(size: int) -> Callable[[], Any]:
    """The figures by arm from DuckDB and the account of the messages from SQLite; answers with the same figures."""
    project = open_project(size, database=AFTER, ledger=SENT)
    plan = _plan(size)
    engine, ledger = plain_engine(project.database_path), sqlite3.connect(project.ledger_path)
    outcomes = _OUTCOMES.format(snapshot=project.home / plan.snapshot, read_at=READ_AT.replace(tzinfo=None))

    def work() -> Any:
        engine.execute(outcomes)
        rows = engine.execute(_MOMENTS).fetchall()
        engine.execute(_CURVE).fetchall()
        ledger.execute(_DELIVERY, (plan.plan_id,)).fetchall()
        return {row[0]: [row[1], *map(float, row[2:8])] for row in rows}

    return work


def _moments(metrics: Any) -> list[float]:
    """Sum and variance of each compared metric."""
    return [float(figure) for name in _COMPARED for figure in (metrics[name].total, metrics[name].variance)]


def _plan(size: int) -> PlanRecord:
    from campanile.ledger.store import Ledger

    with Ledger.open(home(size) / SENT) as ledger:
        plan = ledger.plan(CAMPAIGN)
    assert plan is not None
    return plan
