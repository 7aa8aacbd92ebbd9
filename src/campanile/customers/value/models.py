"""The models of a shop: fitted on set days, and kept, so that the daily profile does not fit them again."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from datetime import UTC, date, datetime, time
from typing import Any

import ibis
import ibis.expr.types as ir

from campanile.customers.database import VALUE_MODELS, CustomerDatabase
from campanile.customers.orders import before
from campanile.customers.tables import ORDER, RETURNED
from campanile.customers.value import purchases, spend
from campanile.customers.value.histories import as_histories, distinct, histories, spending, stored, told_apart
from campanile.customers.value.purchases import PurchaseModel
from campanile.customers.value.spend import SpendModel
from campanile.customers.zones import naive
from campanile.spec.project import Project

#: Fewer customers with a second buying day teach nothing.
FEWEST_REPEATERS = 100
#: Beyond it the value of an order and how often somebody buys are not independent.
MOST_CORRELATION = 0.3
_ORDERS, _MONEY = ("r", "alpha", "a", "b"), ("p", "q", "gamma")
_PLAIN = (
    "fitted_at", "problem", "customers", "repeaters", "log_likelihood", "spend_problem", "spenders", "correlation",
)  # fmt: skip


@dataclass(frozen=True)
class Model:
    """What a shop's orders taught, or why they taught nothing.

    Attributes:
        fitted_at: UTC; orders before it were seen.
        problem: Why there is no forecast of purchases; "" when there is one.
        customers: Customers with a valid order.
        repeaters: Those of them with a second buying day.
        orders: How often customers buy and when they stop.
        log_likelihood: Of their histories.
        spend_problem: Why there is no forecast of money; "" when there is one.
        spenders: Customers whose repeat purchases have an amount.
        correlation: Of the number of repeat purchases with their mean amount.
        money: What purchases are worth, in major units.
    """

    fitted_at: datetime
    problem: str = ""
    customers: int = 0
    repeaters: int = 0
    orders: PurchaseModel | None = None
    log_likelihood: float | None = None
    spend_problem: str = ""
    spenders: int = 0
    correlation: float | None = None
    money: SpendModel | None = None

    @property
    def version(self) -> str:
        """A fingerprint of the parameters; "" without any.

        >>> one, other = (Model(datetime(2026, 3, 1), orders=PurchaseModel(r, 4.414, 0.793, 2.426)) for r in (0.2, 0.3))
        >>> one.version == other.version
        False
        """
        models = [model for model in (self.orders, self.money) if model]
        if not models:
            return ""
        parameters = " ".join(f"{value:.6g}" for model in models for value in asdict(model).values())
        return hashlib.sha256(parameters.encode()).hexdigest()[:10]

    @property
    def warnings(self) -> tuple[str, ...]:
        """Sentences on what to think of the forecasts."""
        found = [each for each in (self.problem, self.spend_problem) if each]
        if self.correlation is not None and abs(self.correlation) > MOST_CORRELATION:
            found.append(
                f"how often customers buy and how much are correlated by {self.correlation:.2f}; the forecast of money "
                "takes it that they are not, so clv_12m ranks customers better than it tells amounts"
            )
        return tuple(found)


def fitting_moment(project: Project, as_of: datetime) -> datetime:
    """The last moment at which the model is made anew: so many days apart, whatever was done in between.

    It depends on the calendar alone, so that a profile of a past date finds the same model whenever it is made.
    """
    every = project.settings.policy.value.refit
    day = as_of.astimezone(project.zone).date().toordinal()
    return datetime.combine(date.fromordinal(day - day % every), time(), project.zone).astimezone(UTC)


def model_of(project: Project, database: CustomerDatabase, as_of: datetime) -> Model:
    """The model that holds at a moment: the one kept, or where orders or settings have changed a new one."""
    moment = fitting_moment(project, as_of)
    evidence = _evidence(project, database, moment)
    kept = database.own(VALUE_MODELS)
    kept = kept.filter(kept.fitted_at == ibis.timestamp(naive(moment)), kept.evidence == evidence)
    found = kept.limit(1).to_pyarrow().to_pylist()
    if found:
        return _read(found[0])
    model = _fitted(project, database, moment)
    if not database.read_only:
        row = _written(model, evidence)
        database.append_own(VALUE_MODELS, ibis.memtable([row], schema=database.own(VALUE_MODELS).schema()))
    return model


def _evidence(project: Project, database: CustomerDatabase, moment: datetime) -> str:
    """A fingerprint of the settings and of how many orders and returns there were, and for how much."""
    counts: list[object] = [project.settings.policy.value.history, project.zone.key, project.currency.code]
    for name in (ORDER, RETURNED):
        if name in database.tables():
            counts.append(_count(before(database.table(name), moment)))
    return hashlib.sha256(repr(counts).encode()).hexdigest()


def _count(rows: ir.Table) -> tuple[object, ...]:
    columns = {"rows": rows.count()}
    if "amount" in rows.columns:
        columns["amount"] = rows.amount.sum()
    return tuple(rows.aggregate(**columns).to_pyarrow().to_pylist()[0].values())


def _fitted(project: Project, database: CustomerDatabase, moment: datetime) -> Model:
    rows = histories(project, database, moment)
    if rows is None:
        return Model(moment, problem="no forecast of orders: the shop has imported none")
    rows = stored(database, rows, "_fit")
    if length := project.settings.policy.value.history:
        since = length.before(moment).astimezone(project.zone).date()
        rows = rows.filter(rows.first_day >= ibis.date(since))
    seen = as_histories(distinct(told_apart(rows)))
    if seen.repeaters < FEWEST_REPEATERS:
        problem = (
            f"no forecast of orders: by {_day(project, moment)}, when the model was made, only {seen.repeaters} "
            f"customers had bought on a second day; it wants {FEWEST_REPEATERS}"
        )
        return Model(moment, problem=problem, customers=seen.customers, repeaters=seen.repeaters)
    found = purchases.fit(seen)
    if found is None:
        problem = "no forecast of orders: no parameters of the model fit the orders of this shop"
        return Model(moment, problem=problem, customers=seen.customers, repeaters=seen.repeaters)
    model = Model(
        moment, customers=seen.customers, repeaters=seen.repeaters, orders=found,
        log_likelihood=found.log_likelihood(seen),
    )  # fmt: skip
    return _with_money(model, rows, project.currency.scale)


def _with_money(model: Model, rows: ir.Table, scale: int) -> Model:
    """The model, with what purchases are worth as far as amounts tell."""
    paid = spending(rows, scale)
    known = paid.customers if paid else 0
    if paid is None or known < FEWEST_REPEATERS:
        problem = f"no forecast of money: only {known} customers have repeat orders with an amount"
        return replace(model, spend_problem=f"{problem}; it wants {FEWEST_REPEATERS}", spenders=known)
    money = spend.fit(paid)
    problem = "" if money else "no forecast of money: the amounts of this shop fit no model with a finite mean"
    return replace(model, spend_problem=problem, spenders=known, correlation=paid.correlation(), money=money)


def _day(project: Project, moment: datetime) -> str:
    return moment.astimezone(project.zone).date().isoformat()


def _written(model: Model, evidence: str) -> dict[str, object]:
    """The model as a row of the table of models."""
    row = {name: getattr(model, name) for name in _PLAIN} | dict.fromkeys((*_ORDERS, *_MONEY))
    for part in (model.orders, model.money):
        row |= asdict(part) if part else {}
    return row | {"fitted_at": naive(model.fitted_at), "evidence": evidence}


def _read(row: Mapping[str, Any]) -> Model:
    """The model of a row of the table of models."""
    orders = PurchaseModel(*(row[name] for name in _ORDERS)) if row["r"] is not None else None
    money = SpendModel(*(row[name] for name in _MONEY)) if row["p"] is not None else None
    values = {name: row[name] for name in _PLAIN} | {"fitted_at": row["fitted_at"].replace(tzinfo=UTC)}
    return Model(**values, orders=orders, money=money)
