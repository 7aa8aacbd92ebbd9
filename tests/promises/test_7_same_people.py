"""Promise 7: the order of rows decides nothing."""

from __future__ import annotations

import duckdb

from campanile.spec.project import Project
from conftest import planned


def test_shuffled_tables_give_the_same_plan(shop: Project) -> None:
    first = planned(shop)
    with duckdb.connect(shop.database_path) as raw:
        raw.execute("select setseed(0.5)")
        for table in ("customers", "order", "contacted", "returned", "ticket"):
            raw.execute(f'create table shuffled as select * from "{table}" order by random()')
            raw.execute(f'delete from "{table}"')
            raw.execute(f'insert into "{table}" select * from shuffled')
            raw.execute("drop table shuffled")
    second = planned(shop)
    assert second.snapshot == first.snapshot, "the snapshot is named after its content"
    assert second.plan_id == first.plan_id


def test_threads_give_the_same_plan(shop: Project) -> None:
    """Chunks are handed to threads as they come; the assignment must not see them."""
    from campanile.customers.database import CustomerDatabase
    from campanile.ledger.store import Ledger
    from campanile.plan.make import make_plan
    from conftest import AS_OF

    plans = []
    for threads in (1, 4):
        with CustomerDatabase.open(shop) as database, Ledger.open(shop.ledger_path) as ledger:
            database.ibis.con.execute(f"set threads = {threads}")
            plans.append(make_plan(shop, "winback", AS_OF, database=database, ledger=ledger))
    assert plans[0].snapshot == plans[1].snapshot
