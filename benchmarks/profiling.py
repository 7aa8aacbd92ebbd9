"""The profile of all customers: life-cycle stage, RFM and what it is made of, by the product and by hand."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.harness import paused
from benchmarks.shop import AS_OF, BEFORE, home, open_database, open_project, plain_engine

#: campanile.yaml: RFM over 365 days, recency and money by quantiles, frequency by 2, 3, 5 and 10 orders; fixed stages.
BUYERS = """
CREATE TEMP TABLE buyer AS
WITH refunds AS (
    SELECT order_id, sum(amount) AS refunded FROM returned WHERE "at" < TIMESTAMP '{as_of}' GROUP BY order_id
), net AS (
    SELECT customer_id, "at", (amount - coalesce(refunded, 0))::BIGINT AS net,
        "at" >= TIMESTAMP '{as_of}' - INTERVAL 365 DAY AS recent
    FROM "order" LEFT JOIN refunds USING (order_id)
    WHERE "at" < TIMESTAMP '{as_of}' AND state IN ('paid', 'part_refunded') AND amount - coalesce(refunded, 0) > 0
), lost AS (
    SELECT customer_id, sum(amount) AS lost FROM returned
    WHERE "at" < TIMESTAMP '{as_of}' AND "at" >= TIMESTAMP '{as_of}' - INTERVAL 365 DAY
        AND order_id NOT IN (SELECT order_id FROM "order" WHERE "at" < TIMESTAMP '{as_of}') GROUP BY customer_id
), summed AS (
    SELECT customer_id, min("at") AS first_order_at, max("at") AS last_order_at, count(*) AS orders,
        count(DISTINCT ("at" + INTERVAL 8 HOUR)::DATE) AS buying_days, count(*) FILTER (recent) AS frequency_365d,
        coalesce(sum(net) FILTER (recent), 0)::BIGINT AS gained
    FROM net GROUP BY customer_id
)
SELECT summed.* EXCLUDE (gained), (gained - coalesce(lost, 0))::BIGINT AS money_365d,
    date_diff('day', (last_order_at + INTERVAL 8 HOUR)::DATE, (TIMESTAMP '{as_of}' + INTERVAL 8 HOUR)::DATE)
        AS recency_days
FROM summed LEFT JOIN lost USING (customer_id) SEMI JOIN customers USING (customer_id);

CREATE TEMP TABLE seen AS
SELECT customer_id, date_diff('day', (max("at") + INTERVAL 8 HOUR)::DATE, (TIMESTAMP '{as_of}' + INTERVAL 8 HOUR)::DATE)
    AS visit_recency_days
FROM visited WHERE "at" < TIMESTAMP '{as_of}' GROUP BY customer_id;
"""
#: Scores by exact cut points, ties together.
SCORED = """
WITH cuts AS (
    SELECT quantile_disc(-recency_days, [0.2, 0.4, 0.6, 0.8]) AS fresh,
        quantile_disc(money_365d, [0.2, 0.4, 0.6, 0.8]) AS money
    FROM buyer
), scored AS (
    SELECT buyer.*,
        1 + (-recency_days > fresh[1])::INTEGER + (-recency_days > fresh[2])::INTEGER
            + (-recency_days > fresh[3])::INTEGER + (-recency_days > fresh[4])::INTEGER AS r,
        1 + (frequency_365d >= 2)::INTEGER + (frequency_365d >= 3)::INTEGER + (frequency_365d >= 5)::INTEGER
            + (frequency_365d >= 10)::INTEGER AS f,
        CASE WHEN money_365d < 0 THEN 1 ELSE 1 + (money_365d > money[1])::INTEGER + (money_365d > money[2])::INTEGER
            + (money_365d > money[3])::INTEGER + (money_365d > money[4])::INTEGER END AS m
    FROM buyer, cuts
)
"""
#: Everybody, after the scores of those who bought.
EVERYBODY = """
, flagged AS (
    SELECT customer_id,
        length(email) <= 254 AND regexp_matches(email, '^[^@\\s]+@([a-z0-9-]+\\.)+[a-z][a-z0-9-]+$') AS email_ok,
        regexp_matches(regexp_replace(phone, '[\\s().-]', '', 'g'), '^\\+?[0-9]{7,15}$') AS phone_ok
    FROM customers
)
SELECT customer_id, first_order_at, last_order_at, coalesce(orders, 0) AS orders,
    coalesce(buying_days, 0) AS buying_days, coalesce(frequency_365d, 0) AS frequency_365d,
    coalesce(money_365d, 0) AS money_365d, recency_days,
    r AS "rfm.r", f AS "rfm.f", m AS "rfm.m", r + f + m AS "rfm.sum",
    r::VARCHAR || f::VARCHAR || m::VARCHAR AS "rfm.code",
    CASE WHEN r = 5 AND f >= 4 THEN 'champion' WHEN r >= 3 AND f >= 4 THEN 'loyal'
        WHEN r >= 4 AND f >= 2 THEN 'potential_loyalist' WHEN r = 5 THEN 'new' WHEN r = 4 THEN 'promising'
        WHEN r = 3 AND f = 3 THEN 'need_attention' WHEN r = 3 THEN 'about_to_sleep' WHEN f = 5 THEN 'cant_lose'
        WHEN f >= 3 THEN 'at_risk' WHEN r IS NOT NULL THEN 'hibernating' END AS "rfm.segment",
    email_ok, phone_ok,
    CASE WHEN NOT (email_ok OR phone_ok) THEN 'dead' WHEN recency_days IS NULL THEN 'prospect'
        WHEN recency_days <= 90 THEN 'active' WHEN recency_days <= 180 THEN 'silent'
        WHEN recency_days <= 365 THEN 'sleeping' WHEN recency_days <= 730 THEN 'lapsed' ELSE 'dead' END AS stage,
    visit_recency_days
FROM flagged LEFT JOIN scored USING (customer_id) LEFT JOIN seen USING (customer_id) ORDER BY customer_id
"""
_SUMS = """
SELECT count(*), sum(orders)::BIGINT, sum(buying_days)::BIGINT, sum(frequency_365d)::BIGINT, sum(money_365d)::BIGINT,
    sum(recency_days)::BIGINT, sum("rfm.sum")::BIGINT, sum(visit_recency_days)::BIGINT, count(*) FILTER (email_ok),
    count(*) FILTER (phone_ok), sum(hash(stage))::VARCHAR, sum(hash("rfm.segment"))::VARCHAR,
    sum(hash("rfm.code"))::VARCHAR,
    max(last_order_at)::VARCHAR
FROM {table}
"""


def ours(size: int) -> Callable[[], Any]:
    """Computes the profile anew; answers with sums over its columns."""
    from campanile.customers.profile import ensure_profile

    project = open_project(size)
    database = open_database(project)
    database.note_profile(())

    def work() -> Any:
        ensure_profile(project, database, AS_OF)
        database.close()
        with paused():
            return sums(home(size) / BEFORE, "campanile.profile")

    return work


def by_hand(size: int) -> Callable[[], Any]:
    """The same columns by SQL written for DuckDB, stored in a file of their own; answers with the same sums."""
    engine, path = plain_engine(home(size) / BEFORE), home(size) / "by-hand.duckdb"
    path.unlink(missing_ok=True)
    engine.execute(f"ATTACH '{path}' AS by_hand")

    def work() -> Any:
        engine.execute(BUYERS.format(as_of=AS_OF.replace(tzinfo=None)))
        engine.execute(f"CREATE TABLE by_hand.profile AS {SCORED} {EVERYBODY}")
        engine.close()
        with paused():
            return sums(path, "profile")

    return work


def sums(path: Path, table: str) -> list[Any]:
    """Sums over the columns of a profile, to compare it with another."""
    with plain_engine(path) as engine:
        return list(engine.execute(_SUMS.format(table=table)).fetchall()[0])


def report(size: int) -> Callable[[], Any]:
    """Refreshes the profile and checks what it would have predicted; answers with the number of buyers."""
    from campanile.customers.profile import refresh_profile

    project = open_project(size)
    database = open_database(project)

    def work() -> Any:
        report = refresh_profile(project, database, AS_OF)
        database.close()
        return report.buyers

    return work
