"""Promise 4: everybody assigned is analysed in their arm, with the same clock, delivered or not."""

from __future__ import annotations

from datetime import datetime, timedelta

import duckdb
import pyarrow.parquet as pq
import pytest

from campanile.customers.database import CustomerDatabase
from campanile.ledger.store import Ledger
from campanile.readout import read_out
from campanile.report.readout import Readout
from campanile.sending.run import run_campaign
from campanile.spec.project import Project
from conftest import AFTER, DUE, planned


def read(project: Project) -> Readout:
    with CustomerDatabase.open(project) as database, Ledger.open(project.ledger_path) as ledger:
        return read_out(project, "winback", database=database, ledger=ledger, now=AFTER)


def order(project: Project, customers: list[str], at: datetime, amount: int = 10_000) -> None:
    """Orders of these customers at that moment, put into the customer database by hand."""
    with duckdb.connect(project.database_path) as raw:
        for number, customer in enumerate(customers):
            raw.execute(
                'insert into "order" by name '
                "select ? as customer_id, ? as at, ? as order_id, ? as amount, 'paid' as state",
                [customer, at.replace(tzinfo=None), f"X{at:%d%H%M%S}-{number}", amount],
            )


def arm(project: Project, snapshot: str, name: str) -> list[str]:
    return sorted(pq.read_table(project.home / snapshot, filters=[("arm", "=", name)])["customer_id"].to_pylist())


def test_suppressed_and_undelivered_stay_in_their_arm(shop: Project) -> None:
    plan = planned(shop)
    treated = arm(shop, plan.snapshot, "treatment")
    with duckdb.connect(shop.database_path, read_only=True) as raw:
        addresses = dict(raw.execute("select customer_id, email from customers").fetchall())
    with Ledger.open(shop.ledger_path) as ledger:
        for customer in treated[:7]:
            ledger.suppress("email", addresses[customer], reason="complaint", source="test", at=DUE)
    report = run_campaign(shop, "winback", mode="send", now=lambda: DUE)
    assert report.status["suppressed"] == 7
    order(shop, treated[:7], DUE + timedelta(days=1))
    readout = read(shop)
    figures = {figure.arm: figure for figure in readout.arms}
    assert {name: figure.n for name, figure in figures.items()} == dict(plan.arms)
    metrics = figures["treatment"].metrics
    assert metrics is not None
    assert metrics["response_rate"].total == 7, "who was never written to and bought anyway is a responder of the arm"


def test_the_window_is_half_open_and_the_same_for_control(shop: Project) -> None:
    plan = planned(shop)
    run_campaign(shop, "winback", mode="send", now=lambda: DUE)
    control = arm(shop, plan.snapshot, "control")
    end = DUE + timedelta(days=30)
    second = timedelta(seconds=1)
    for customer, at in zip(control, (DUE - second, DUE, end - second, end), strict=False):
        order(shop, [customer], at)
    metrics = {figure.arm: figure for figure in read(shop).arms}["control"].metrics
    assert metrics is not None
    assert metrics["response_rate"].total == 2
    assert metrics["revenue_per_customer"].total == pytest.approx(20_000)


def test_no_duplicate_order_of_one_customer_makes_two_responders(shop: Project) -> None:
    plan = planned(shop)
    run_campaign(shop, "winback", mode="send", now=lambda: DUE)
    treated = arm(shop, plan.snapshot, "treatment")
    order(shop, treated[:1] * 3, DUE + timedelta(days=2))
    metrics = {figure.arm: figure for figure in read(shop).arms}["treatment"].metrics
    assert metrics is not None
    assert (metrics["response_rate"].total, metrics["orders_per_customer"].total) == (1, 3)
