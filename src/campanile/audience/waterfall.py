"""What a selection comes to: who is eligible, how many each line lost, and why one customer is in or out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import ibis
import ibis.expr.types as ir

from campanile.audience.policy import PRIORITY
from campanile.audience.rivals import Rivals
from campanile.audience.rules import ABOVE, KEEPS, LOSER, WINNER
from campanile.customers import engine
from campanile.errors import CampanileError


@dataclass(frozen=True)
class Step:
    """One line of the waterfall: how many customers it left and lost. The first has lost nobody."""

    line: str
    text: str
    left: int
    lost: int


@dataclass(frozen=True)
class Word:
    """What one line of the waterfall says of one customer; `keeps` is None where it has no word."""

    line: str
    text: str
    keeps: bool | None
    decides: bool  #: whether it is the line that left the customer out


@dataclass(frozen=True)
class Audience:
    """Who is eligible, and why everybody else is not; lazy until counted or written.

    Attributes:
        ids: The customer_id of the eligible.
        eligible: The same with all columns of the customers.
        everyone: Every customer of the base once: customer_id, and `line`, NULL for the eligible.
        lines: The lines of the waterfall in their order, each with its text.
        judged: Every customer of the base once: customer_id, and for each line whether it keeps them, as `_keeps LINE`.
        rivals: Other campaigns that have customers on the same days; None when there are none.
    """

    ids: ir.Table
    eligible: ir.Table
    everyone: ir.Table
    lines: Mapping[str, str]
    judged: ir.Table
    rivals: Rivals | None = None

    def sql(self) -> str:
        """The SQL that finds the eligible, in the words of the engine that they are on."""
        return engine.sql_of(self.ids)

    def excluded(self) -> ir.Table:
        """Everybody who is left out, once: customer_id and the line that did it."""
        return self.everyone.filter(self.everyone["line"].notnull())

    def explain(self, customer_id: str) -> tuple[Word, ...]:
        """What each line says of one customer, in the order of the waterfall.

        Every line of the target and of the medium is asked, also after one has left the customer out. Lines that rank
        those who are left have no word about somebody who is not.

        Raises:
            CampanileError: There is no such customer.
        """
        found = self.everyone.filter(self.everyone["customer_id"] == customer_id).to_pyarrow().to_pylist()
        if not found:
            cure = "give an id as the customer database has it; campanile people show tells who was merged"
            raise CampanileError(f'no customer "{customer_id}"', cure)
        verdicts = self.judged.filter(self.judged["customer_id"] == customer_id).to_pyarrow().to_pylist()[0]
        lost, gone, words = found[0]["line"], False, []
        for line, text in self._told(found[0]).items():
            name = f"{KEEPS}{line}"
            keeps = verdicts.get(name, None if gone else line != lost)
            gone = gone or line == lost
            words.append(Word(line, text, keeps, decides=line == lost))
        return tuple(words)

    def _told(self, customer: Mapping[str, Any]) -> Mapping[str, str]:
        """The lines with their texts, that of the priority with the campaign that this customer was lost to."""
        if self.rivals is None or customer["line"] != PRIORITY:
            return self.lines
        return {**self.lines, PRIORITY: f"{self.lines[PRIORITY]}; lost to {self.rivals.first[customer[WINNER]]}"}

    def waterfall(self) -> tuple[Step, ...]:
        """What every line left and lost, counted in one query on first use."""
        return self._steps

    @property
    def size(self) -> int:
        """How many are eligible."""
        return self._steps[-1].left

    @property
    def lost_to(self) -> dict[str, int]:
        """How many customers each other campaign of the same day has kept for itself, the foremost first."""
        return self._met(self.rivals.first, PRIORITY) if self.rivals else {}

    @property
    def shared_with(self) -> dict[str, int]:
        """How many of the eligible each other campaign has that would lose them if it were planned again."""
        return self._met(self.rivals.after, None) if self.rivals else {}

    def _met(self, campaigns: Mapping[int, str], line: str | None) -> dict[str, int]:
        met = {row["rival"]: row["customers"] for row in self._counts if row["line"] == line}
        return {name: met[place] for place, name in campaigns.items() if place in met}

    @property
    def above_share(self) -> int:
        """How many of the eligible have had more marketing than the policy would like; 0 when it does not warn."""
        return sum(row["above"] for row in self._counts if row["line"] is None)

    @cached_property
    def _counts(self) -> Sequence[Mapping[str, Any]]:
        """Customers by the line that lost them, and by the other campaign that has them."""
        everyone = self.everyone
        line = everyone["line"]
        met: ir.Value = ibis.null("int64")
        if self.rivals:
            met = ibis.cases((line.isnull(), everyone[LOSER]), (line == PRIORITY, everyone[WINNER]), else_=met)
        above = everyone[ABOVE].cast("int64") if ABOVE in everyone.columns else ibis.literal(0, "int64")
        counted = everyone.select(line=line, rival=met, above=above)
        found: list[dict[str, Any]] = (
            counted.group_by("line", "rival")
            .aggregate(customers=counted.count(), above=counted["above"].sum())
            .to_pyarrow()
            .to_pylist()
        )
        return found

    @cached_property
    def _steps(self) -> tuple[Step, ...]:
        lost: Counter[str | None] = Counter()
        for row in self._counts:
            lost[row["line"]] += row["customers"]
        left = lost.total()
        steps = [Step("base", "everyone in the customer database", left, 0)]
        for line, text in self.lines.items():
            left -= lost[line]
            steps.append(Step(line, text, left, lost[line]))
        return tuple(steps)
