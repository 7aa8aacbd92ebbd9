"""What a plan means in money: what its arms can show, what another split would show, what keeping a control costs.

The registered rate says how many will buy in the window, their own past orders say for how much. What they bought just
before the campaign would not do: a target of sleeping customers has bought nothing lately, by its very choice.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from functools import partial
from math import sqrt
from pathlib import Path
from typing import NamedTuple

from campanile.clock import Duration
from campanile.customers.database import CustomerDatabase
from campanile.customers.engine import parquet_rows
from campanile.customers.zones import naive
from campanile.design.amounts import Spend, smallest_amount
from campanile.design.power import smallest_detectable
from campanile.design.split import best_split, holdout_cost
from campanile.design.trial import best_trial
from campanile.events import CONTROL
from campanile.plan.types import Outlook, Strength
from campanile.spec.experiment import ExperimentSpec

_PAST = Duration(months=24)
#: Fewer orders say little of what an order is worth.
_FEWEST = 30


class Worth(NamedTuple):
    """Mean and variance of an order of some customers, minor units; how many orders that is taken from."""

    orders: int
    mean: float
    variance: float

    def spend(self, rate: float) -> Spend:
        """What customers spend of whom so many buy, once each.

        >>> Worth(100, 50.0, 400.0).spend(0.1)
        Spend(mean=5.0, variance=265.0, grows=True)
        """
        mean = rate * self.mean
        return Spend(mean, rate * (self.variance + self.mean**2) - mean**2)


class Money(NamedTuple):
    """Margin as a share of an order, and what it costs to contact a customer, minor units."""

    margin_rate: float
    contact: float


def worth_of_orders(database: CustomerDatabase, snapshot: Path, as_of: datetime) -> Worth | None:
    """What the valid orders of the assigned customers were worth in the two years before; None of too few."""
    if "order" not in database.tables():
        return None
    units = parquet_rows(database, snapshot).select("customer_id")
    orders = database.net_orders(as_of)
    recent = orders.filter(orders["at"] >= naive(_PAST.before(as_of))).semi_join(units, "customer_id")
    net = recent["net"].cast("float64")
    row = recent.aggregate(orders=recent.count(), mean=net.mean(), variance=net.var(how="sample")).to_pyarrow()
    found = row.to_pylist()[0]
    return Worth(**found) if found["orders"] >= _FEWEST and found["variance"] else None


def outlook_of(
    experiment: ExperimentSpec, strength: Strength | None, arms: Mapping[str, int], worth: Worth | None, money: Money
) -> Outlook | None:
    """What the plan means in money; None when there is nothing to show or no past to tell it from.

    Args:
        experiment: Its power and the share of alpha that an arm gets.
        strength: Of the primary metric, a rate.
        arms: Their sizes.
        worth: Of an order of the audience.
        money: What an order earns and a message costs.
    """
    if strength is None or worth is None:
        return None
    alpha, power = float(experiment.alpha_each), float(experiment.power)
    control, arm = arms[CONTROL], arms[strength.arm]
    amount = smallest_amount(control, arm, worth.spend(strength.baseline), alpha=alpha, power=power)
    best = best_split(control + arm, partial(smallest_detectable, baseline=strength.baseline, alpha=alpha, power=power))
    cost, trial = _if_right(strength, arms, worth, money)
    return Outlook(
        orders=worth.orders,
        order_worth=worth.mean,
        smallest_revenue=amount.absolute,
        smallest_revenue_relative=amount.relative,
        best_control_share=best.share,
        best_absolute=best.smallest.absolute,
        holdout_cost=cost,
        trial=trial,
    )


def _if_right(
    strength: Strength, arms: Mapping[str, int], worth: Worth, money: Money
) -> tuple[float | None, int | None]:
    """What control costs and how many a trial of two arms needs, if the expectation is right."""
    if strength.expected is None or strength.expected <= strength.baseline:
        return None, None
    gained = strength.expected - strength.baseline
    cost = holdout_cost(arms[CONTROL], gained * worth.mean * money.margin_rate, contact=money.contact)
    treated = [size for name, size in arms.items() if name != CONTROL]
    if len(treated) != 2:
        return cost, None
    spread = sqrt(strength.baseline * (1 - strength.baseline))
    return cost, best_trial(sum(treated), spread=spread, between=gained).arm
