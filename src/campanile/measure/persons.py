"""Assigned customers whose records were merged later: one unit per person, or none where the arms differ.

An assignment names records as they were. Since then two of them may have turned out to be one person, who was assigned
twice. In one arm that is one unit, from the earlier due moment on. In two arms nothing that the person does belongs to
either, so the person is left out of the analysis, and counted.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import ibis
import ibis.expr.types as ir

from campanile.customers.database import CustomerDatabase


@dataclass(frozen=True)
class Merged:
    """What merges after the assignment did to it.

    Attributes:
        persons: Persons who were assigned more than once.
        left_out: Those of them who were in different arms.
        assigned: Assigned records by arm, before anybody was left out; their sizes are what the split promised.
    """

    persons: int = 0
    left_out: int = 0
    assigned: Mapping[str, int] = field(default_factory=dict)


def by_person(database: CustomerDatabase, units: ir.Table, cuts: Sequence[str] = ()) -> ir.Table:
    """The assigned units with one row per person; without merges the units as they are.

    Args:
        database: Knows who was merged.
        units: customer_id, arm, stratum, due_at, pre_orders, pre_revenue and the cuts of every assigned record.
        cuts: Columns of classes; a person is in that of the earliest record.
    """
    if not database.merged:
        return units
    persons = _counted(database, units, cuts)
    return persons.filter(persons["arms"] == 1).select(units.columns)


def merged_units(database: CustomerDatabase, units: ir.Table) -> Merged:
    """How many persons were assigned more than once, and how many of them are left out."""
    if not database.merged:
        return Merged()
    persons = _counted(database, units)
    twice = persons.filter(persons["records"] > 1)
    found = twice.aggregate(persons=twice.count(), left_out=(twice["arms"] > 1).sum()).to_pyarrow().to_pylist()[0]
    if not found["persons"]:
        return Merged()
    sizes = units.group_by("arm").aggregate(records=units.count()).to_pyarrow().to_pylist()
    assigned = {row["arm"]: row["records"] for row in sizes}
    return Merged(found["persons"], found["left_out"], assigned)


def _counted(database: CustomerDatabase, units: ir.Table, cuts: Sequence[str] = ()) -> ir.Table:
    """One row per person: the earliest assignment, what the records did before together, how many records and arms."""
    rows = database.by_person(units)
    figures: dict[str, ir.Scalar] = {
        "arm": rows["arm"].min(),
        **{name: rows[name].argmin(rows["due_at"], where=rows[name].notnull()) for name in ("stratum", *cuts)},
        "due_at": rows["due_at"].min(),
        "pre_orders": rows["pre_orders"].sum().cast(rows["pre_orders"].type()),
        "pre_revenue": rows["pre_revenue"].sum().cast(rows["pre_revenue"].type()),
        "records": rows.count(),
        "arms": rows["arm"].nunique(),
    }
    return rows.group_by("customer_id").aggregate(**figures).mutate(arms=ibis._["arms"].cast("int64"))
