"""Other marketing campaigns that want a customer on the same day: which of them come first, and which come after.

Whoever is assigned to a campaign that comes first is lost to this one, its control included: otherwise this campaign
would reach the control of the other and not those it treats, and the other's effect could not be told from it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import cast
from zoneinfo import ZoneInfo

import ibis.expr.types as ir

from campanile.audience.aggregates import Aggregates
from campanile.audience.due import DueTimes
from campanile.customers.database import RIVALS


@dataclass(frozen=True)
class Rivals:
    """Campaigns of the same days by their place; the smallest place comes before all others.

    Attributes:
        due: When the messages of this campaign are due.
        first: Campaigns that keep their customers.
        after: Campaigns that lose theirs to this one when they are planned again.
        columns: For each day, the columns of the joined relation with the foremost campaign of either kind.
    """

    due: DueTimes
    first: Mapping[int, str]
    after: Mapping[int, str]
    columns: Mapping[str, str]

    @classmethod
    def ask(cls, due: DueTimes, aggregates: Aggregates) -> Rivals | None:
        """The campaigns that the customer database knows to have customers on these days; None when there is none."""
        table = aggregates.database.by_person(aggregates.database.own(RIVALS))
        known = table.select("place", "campaign", "comes_first").distinct().to_pyarrow().to_pylist()
        if not known:
            return None
        by_place = sorted(known, key=lambda row: row["place"])
        first = {row["place"]: row["campaign"] for row in by_place if row["comes_first"]}
        after = {row["place"]: row["campaign"] for row in by_place if not row["comes_first"]}
        place = cast(ir.IntegerColumn, table["place"])
        comes_first = cast(ir.BooleanColumn, table["comes_first"])
        asked = {}
        for day in due.days:
            asked[f"first {day}"] = place.min(where=comes_first & (table["day"] == day))
            asked[f"after {day}"] = place.min(where=~comes_first & (table["day"] == day))
        return cls(due, first, after, aggregates.ask_beside(table, **asked))

    @property
    def text(self) -> str:
        """The rule in words."""
        return f"not of {' or '.join(self.first.values())} on the same day, planned first or of higher priority"

    def foremost(self, joined: ir.Table, *, first: bool) -> ir.IntegerValue:
        """The place of the foremost campaign that has a customer on the day of this one; NULL when none has.

        Args:
            joined: Customers with what was asked for.
            first: Whether of those that come first, or of those that come after.
        """
        kind = "first" if first else "after"

        def of(zone: ZoneInfo) -> ir.Value:
            return joined[self.columns[f"{kind} {self.due.day(zone)}"]]

        return cast(ir.IntegerValue, self.due.by_zone(joined, of))
