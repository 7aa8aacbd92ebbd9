"""The columns of value and scores beside the profile, and the report on them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

import ibis
import ibis.expr.types as ir

from campanile import clock
from campanile.customers.columns.past import Past
from campanile.customers.database import CustomerDatabase
from campanile.customers.tables import CUSTOMERS, ORDER
from campanile.customers.value import scores
from campanile.customers.value.scores import ScoreVersion
from campanile.spec.project import Project

if TYPE_CHECKING:
    from campanile.customers.value.holdout import Holdout, Part
    from campanile.customers.value.models import Model

#: The forecasts of every profile, and what they hold: clv_12m is money in minor units.
FORECASTS = {"p_alive": "float64", "expected_orders_12m": "float64", "clv_12m": "int64"}
_MODEL = "bgnbd"


@dataclass(frozen=True)
class ValueReport:
    """What the forecasts rest on, whether they have predicted, and which scores are known. Holds no customer.

    Attributes:
        model: None when the shop imports every forecast itself.
        holdout: None when there was no forecast to check.
        scores: Every version of every imported score.
        refused: Why selections may not use a score, by its name.
    """

    model: Model | None
    holdout: Holdout | None
    scores: tuple[ScoreVersion, ...]
    refused: Mapping[str, str]

    @property
    def lines(self) -> list[str]:
        """The report for people."""
        lines = []
        if self.model and self.model.orders:
            lines.append(f"forecast: {_MODEL} {self.model.version}, made {self.model.fitted_at:%Y-%m-%d}")
            lines[0] += f" of {self.model.customers:,} customers, {self.model.repeaters:,} of them with repeat orders"
        if self.model and self.model.correlation is not None:
            lines.append(f"  correlation of how often and how much: {self.model.correlation:.2f}")
        if self.holdout:
            lines.append(f"  {self.holdout.sentence}")
            lines.append("  by tenth, expected/made: " + ", ".join(_pair(part) for part in self.holdout.parts))
        for score in self.scores:
            named = f"{score.name} {score.version}".rstrip()
            lines.append(f"score: {named}, of {score.as_of:%Y-%m-%d}, {score.customers:,} customers")
        lines += [f"warning: {sentence}" for sentence in (self.model.warnings if self.model else ())]
        return lines + [f"warning: {sentence}" for sentence in self.refused.values()]

    def to_json(self) -> dict[str, Any]:
        """The report as plain data."""
        return {
            "model": _model_json(self.model) if self.model else None,
            "holdout": asdict(self.holdout) if self.holdout else None,
            "scores": [asdict(score) | {"as_of": clock.iso(score.as_of)} for score in self.scores],
            "refused": dict(self.refused),
        }


def _pair(part: Part) -> str:
    return f"{part.expected:.2f}/{part.actual:.2f}"


def _model_json(model: Model) -> dict[str, Any]:
    found = {"name": _MODEL, "version": model.version, "columns": list(FORECASTS)} | asdict(model)
    return found | {"fitted_at": clock.iso(model.fitted_at), "warnings": list(model.warnings)}


def with_value(past: Past, profile: ir.Table, buyers: ir.Table, *, forecasts: bool) -> ir.Table:
    """The profile with forecasts and imported scores as known at its moment.

    A score in the table `score` wins over a forecast of that name. What nobody can tell is NULL.

    Args:
        past: The shop as it was known then.
        profile: Of all customers.
        buyers: Of the same moment; their histories are taken from them.
        forecasts: Whether there are forecasts among the columns.
    """
    project, database, as_of = past.project, past.database, past.as_of
    imported = scores.latest(project, database, as_of)
    scores.note_scores(database, as_of)
    found = _with_forecasts(past, profile, buyers) if forecasts else profile
    return found if imported is None else _beside(found, imported)


def _with_forecasts(past: Past, profile: ir.Table, buyers: ir.Table) -> ir.Table:
    own = [name for name in FORECASTS if name not in scores.imported(past.database)]
    computed = _forecast(past, buyers)
    if computed is None:
        return profile.mutate(**{name: ibis.null(FORECASTS[name]) for name in own})
    return _beside(profile, computed.select("customer_id", *own))


def _beside(left: ir.Table, right: ir.Table) -> ir.Table:
    joined = left.left_join(right, "customer_id")
    return joined.select(left, *(right[column] for column in right.columns if column != "customer_id"))


def _forecast(past: Past, buyers: ir.Table) -> ir.Table | None:
    project, database = past.project, past.database
    if ORDER not in database.tables() or not _forecasts(database):
        return None
    from campanile.customers.value.forecast import forecast
    from campanile.customers.value.histories import of_buyers

    return forecast(project, database, past.as_of, of_buyers(project, database, past.as_of, buyers))


def _forecasts(database: CustomerDatabase) -> bool:
    """Whether any forecast is not imported."""
    taken = {*scores.imported(database), *database.table(CUSTOMERS).columns}
    return not taken >= set(FORECASTS)


def value_report(project: Project, database: CustomerDatabase, as_of: datetime) -> ValueReport:
    """What there is to say of forecasts and scores as of the moment of the profile."""
    from campanile.customers.value import holdout
    from campanile.customers.value.models import model_of

    model = model_of(project, database, as_of) if _forecasts(database) else None
    return ValueReport(
        model=model,
        holdout=holdout.check(project, database, as_of) if model and model.orders else None,
        scores=scores.versions(database),
        refused={name: what for name, (what, _) in scores.refused(project, database, as_of).items()},
    )
