"""What a plan says of money: the worth of an order by pandas, the rest by hand from the registered terms."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, timedelta
from math import sqrt

import duckdb
import pandas as pd
import pytest

from campanile.customers.database import CustomerDatabase
from campanile.ledger.store import Ledger
from campanile.plan.explain import explain
from campanile.plan.make import make_plan, stored_plan
from campanile.plan.outlook import Money, Worth, outlook_of, worth_of_orders
from campanile.plan.strength import strength_of
from campanile.plan.types import to_json
from campanile.spec.experiment import ExperimentSpec
from campanile.spec.project import Project
from conftest import AS_OF

WORTH = Worth(orders=1_000, mean=20_000.0, variance=15_000.0**2)
MONEY = Money(margin_rate=0.4, contact=5.0)


def experiment(*arms: str, expect: str | None = "6%") -> ExperimentSpec:
    return ExperimentSpec(
        campaign="spring",
        hypothesis="It works.",
        split={"control": "20%", **dict.fromkeys(arms, f"{80 // len(arms)}%")},
        primary={"metric": "response_rate", "window": "30d", "baseline": "4%", "expect": expect},
    )


def test_spending_is_that_of_customers_who_draw_an_order_each() -> None:
    """Mean and variance of a value that is an order with the chance, and else nothing."""
    values = pd.Series([0.0] * 96 + [100.0, 200.0, 300.0, 400.0])
    orders = values[values > 0]
    spend = Worth(4, orders.mean(), orders.var(ddof=0)).spend(0.04)
    assert spend.mean == pytest.approx(values.mean())
    assert spend.variance == pytest.approx(values.var(ddof=0))


def test_control_costs_the_margin_of_what_it_would_have_bought() -> None:
    spec, arms = experiment("mail"), {"control": 4_000, "mail": 16_000}
    found = outlook_of(spec, strength_of(spec, arms), arms, WORTH, MONEY)
    assert found is not None
    # Two points more of 4,000 customers at 200.00 with 40% margin, less 4,000 contacts at 0.05.
    assert found.holdout_cost == pytest.approx(0.02 * 4_000 * 20_000 * 0.4 - 4_000 * 5)
    assert found.trial is None, "one arm has nothing to be tried against"
    assert found.best_control_share == pytest.approx(0.5, abs=0.02), "rates vary nearly alike"
    strength = strength_of(spec, arms)
    assert strength is not None
    assert found.best_absolute < strength.absolute


def test_the_textbook_power_formula_gives_nearly_the_same_rise() -> None:
    """(z_a + z_b) times the standard error at equal variances; the arms' own differ by the rise, so a little more."""
    spec, arms = experiment("mail"), {"control": 4_000, "mail": 16_000}
    found = outlook_of(spec, strength_of(spec, arms), arms, WORTH, MONEY)
    assert found is not None
    textbook = (1.959964 + 0.841621) * sqrt(WORTH.spend(0.04).variance * (1 / 4_000 + 1 / 16_000))
    assert textbook < found.smallest_revenue < 1.1 * textbook


def test_two_arms_may_be_tried_on_a_few() -> None:
    spec, arms = experiment("mail", "card"), {"control": 4_000, "mail": 8_000, "card": 8_000}
    found = outlook_of(spec, strength_of(spec, arms), arms, WORTH, MONEY)
    assert found is not None
    ratio = 0.04 * 0.96 / 0.02**2
    assert found.trial == pytest.approx(sqrt(16_000 * ratio / 4 + (0.75 * ratio) ** 2) - 0.75 * ratio, abs=1)


def test_without_an_expectation_nobody_says_what_control_costs() -> None:
    spec, arms = experiment("mail", expect=None), {"control": 4_000, "mail": 16_000}
    found = outlook_of(spec, strength_of(spec, arms), arms, WORTH, MONEY)
    assert found is not None
    assert (found.holdout_cost, found.trial) == (None, None)


@pytest.fixture
def planned(shop: Project) -> Project:
    with CustomerDatabase.open(shop) as database, Ledger.open(shop.ledger_path) as ledger:
        make_plan(shop, "winback", AS_OF, database=database, ledger=ledger)
    return shop


def test_an_order_is_worth_what_the_audience_paid_in_two_years(planned: Project) -> None:
    with Ledger.open(planned.ledger_path) as ledger:
        plan = stored_plan(ledger, "winback")
    assert plan is not None
    snapshot = planned.home / plan.snapshot
    with CustomerDatabase.open(planned, read_only=True) as database:
        worth = worth_of_orders(database, snapshot, AS_OF)
        orders = database.net_orders(AS_OF).to_pandas()
    since = pd.Timestamp(AS_OF.astimezone(UTC).replace(tzinfo=None)) - pd.DateOffset(months=24)
    people = duckdb.execute(f"SELECT customer_id FROM '{snapshot}'").df()["customer_id"]
    net = orders[orders["customer_id"].isin(people) & (orders["at"] >= since)]["net"]
    assert worth is not None
    assert worth.orders == len(net) > 30
    assert (worth.mean, worth.variance) == pytest.approx((net.mean(), net.var()))


def test_the_plan_keeps_and_tells_it(planned: Project) -> None:
    with Ledger.open(planned.ledger_path) as ledger:
        plan = stored_plan(ledger, "winback")
    assert plan is not None
    assert plan.outlook is not None
    told = json.loads(json.dumps(to_json(plan)))["outlook"]
    assert told["order_worth"] == pytest.approx(plan.outlook.order_worth / 100)
    words = explain(plan, planned.zone)
    assert "Smallest detectable rise in revenue" in words
    assert f"Keeping {plan.arms['control']:,} in control costs" in words
    assert "In money" not in explain(replace(plan, outlook=None), planned.zone), "a plan of an earlier version"


def test_a_shop_without_orders_has_no_outlook(planned: Project) -> None:
    with Ledger.open(planned.ledger_path) as ledger:
        plan = stored_plan(ledger, "winback")
    assert plan is not None
    with CustomerDatabase.open(planned, read_only=True) as database:
        long_ago = AS_OF - timedelta(days=3_000)
        assert worth_of_orders(database, planned.home / plan.snapshot, long_ago) is None
