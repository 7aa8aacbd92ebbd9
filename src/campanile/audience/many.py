"""Many conditions over one shop at once: every event table is scanned once for all of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

import ibis.expr.types as ir

from campanile.audience.aggregates import Aggregates
from campanile.audience.compile import Verdict, compile_condition
from campanile.audience.frame import Frame
from campanile.audience.holdout import with_holdout
from campanile.customers.value import scores
from campanile.errors import CampanileError
from campanile.spec.conditions import Condition
from campanile.spec.project import Project

if TYPE_CHECKING:
    from campanile.customers.database import CustomerDatabase


@dataclass(frozen=True)
class Many:
    """Conditions asked of every customer.

    Attributes:
        judged: customer_id, and for each condition whether it holds, as `_0`, `_1` …; None when none could be asked.
        columns: The column of each condition by its name.
        errors: What is wrong with the conditions that this shop cannot answer, by name.
    """

    judged: ir.Table | None
    columns: Mapping[str, str]
    errors: Mapping[str, str]


def select_many(
    conditions: Mapping[str, Condition], database: CustomerDatabase, as_of: datetime, *, project: Project
) -> Many:
    """Each condition asked of the whole base, as seen at `as_of` (aware); one that cannot be asked stops no other."""
    with database.settled():
        return _select_many(conditions, database, as_of, project)


def _select_many(
    conditions: Mapping[str, Condition], database: CustomerDatabase, as_of: datetime, project: Project
) -> Many:
    unfit = scores.refused(project, database, as_of)
    frame = Frame(as_of, project.zone, project.currency, project.segments, project.metrics, unfit)
    customers = with_holdout(database.customers(as_of), project.settings.policy.holdout, frame.today)
    errors = dict(_errors(conditions, customers, database, frame))
    together = Aggregates(database, frame)
    verdicts = {name: compile_condition(conditions[name], together) for name in conditions if name not in errors}
    columns = {name: f"_{number}" for number, name in enumerate(verdicts)}
    if not verdicts:
        return Many(None, {}, errors)
    joined = together.joined(customers)
    judged = joined.select("customer_id", **{columns[name]: verdict(joined) for name, verdict in verdicts.items()})
    return Many(judged, columns, errors)


def _errors(
    conditions: Mapping[str, Condition], customers: ir.Table, database: CustomerDatabase, frame: Frame
) -> Iterator[tuple[str, str]]:
    """What is wrong with each condition by itself: a table or column that the shop lacks. Nothing is computed."""
    for name, condition in conditions.items():
        alone = Aggregates(database, frame)
        try:
            verdict: Verdict = compile_condition(condition, alone)
            verdict(alone.joined(customers))
        except CampanileError as error:
            yield name, str(error)
