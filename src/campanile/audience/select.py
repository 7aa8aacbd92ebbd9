"""A target becomes an audience: who is eligible, and for everybody else the one line that left them out.

The order never changes: base, `from`, `who`, `except`, reachability, suppression, cap, same address once, `one_per`,
`keep`. All
of it comes before the split into arms, so control and treatment lose the same people. Everything stays lazy.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import TYPE_CHECKING, cast

import ibis
import ibis.expr.types as ir

from campanile.audience.aggregates import Aggregates
from campanile.audience.compile import Verdict, compile_condition, customer_column, every, named_figure
from campanile.audience.figures import Reading
from campanile.audience.frame import Frame
from campanile.audience.reach import (
    UNSUBSCRIBED,
    address_of,
    cap_text,
    not_suppressed,
    not_unsubscribed,
    reach_of,
    reach_text,
    reachable,
    suppression_text,
    under_cap,
)
from campanile.clock import iso
from campanile.customers.database import COMMITTED, SUPPRESSED
from campanile.customers.engine import arm_number
from campanile.customers.value import scores
from campanile.errors import CampanileError
from campanile.spec.conditions import InSegment, NoneOf, Target
from campanile.spec.project import Project
from campanile.spec.vocabulary import FieldType

if TYPE_CHECKING:
    from campanile.customers.database import CustomerDatabase

_KEEPS = "_keeps "
_ONE_PER, _SAME_ADDRESS, _KEEP = "one_per", "same address", "keep"


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
        eligible: customer_id and all columns of the customers.
        everyone: Every customer of the base once: customer_id, and `line`, NULL for the eligible.
        lines: The lines of the waterfall in their order, each with its text.
        judged: Every customer of the base once: customer_id, and for each line whether it keeps them, as `_keeps LINE`.
    """

    eligible: ir.Table
    everyone: ir.Table
    lines: Mapping[str, str]
    judged: ir.Table

    def sql(self) -> str:
        """The SQL that finds the eligible."""
        return str(ibis.to_sql(self.eligible.select("customer_id"), dialect="duckdb"))

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
            raise CampanileError(f'no customer "{customer_id}"', "give an id as the customer database has it")
        verdicts = self.judged.filter(self.judged["customer_id"] == customer_id).to_pyarrow().to_pylist()[0]
        lost, gone, words = found[0]["line"], False, []
        for line, text in self.lines.items():
            name = f"{_KEEPS}{line}"
            keeps = verdicts.get(name, None if gone else line != lost)
            gone = gone or line == lost
            words.append(Word(line, text, keeps, decides=line == lost))
        return tuple(words)

    def waterfall(self) -> tuple[Step, ...]:
        """What every line left and lost, counted in one query on first use."""
        return self._steps

    @property
    def size(self) -> int:
        """How many are eligible."""
        return self._steps[-1].left

    @cached_property
    def _steps(self) -> tuple[Step, ...]:
        rows = self.everyone.group_by("line").aggregate(customers=ibis._.count()).to_pyarrow().to_pylist()
        lost = {row["line"]: row["customers"] for row in rows}
        left = sum(lost.values())
        steps = [Step("base", "everyone in the customer database", left, 0)]
        for line, text in self.lines.items():
            left -= lost.get(line, 0)
            steps.append(Step(line, text, left, lost.get(line, 0)))
        return tuple(steps)


@dataclass(frozen=True)
class _Rule:
    """One line that keeps the customers for whom its verdict is true."""

    line: str
    text: str
    keeps: Verdict

    @property
    def verdict(self) -> str:
        """The column that holds its verdict."""
        return f"{_KEEPS}{self.line}"


def select(
    target: Target, database: CustomerDatabase, as_of: datetime, *, project: Project, medium: str | None
) -> Audience:
    """The audience of a target as seen at `as_of` (aware).

    Args:
        target: Whom the campaign is for.
        database: The customers and their events.
        as_of: Nothing that happened at or after this moment is seen.
        project: The shop's segments, contact policy, currency and time zone.
        medium: The medium that must reach everybody; None asks for no reachability, cap or address.

    Raises:
        CampanileError: the shop has no such field or table, or nobody can be reached by the medium.
    """
    unfit = scores.refused(project, database, as_of)
    frame = Frame(as_of, project.zone, project.currency, project.segments, project.metrics, unfit)
    aggregates = Aggregates(database, frame)
    rules = [*_target_rules(target, aggregates), *(_medium_rules(medium, project, aggregates) if medium else ())]
    customers = database.customers(as_of)
    ranking = _Ranking.of(target, medium, aggregates)
    judged = _judged(aggregates.joined(customers), rules, ranking)
    # Not by `_line`: from single verdicts the engine sees that it need not join everybody with everything.
    ranked = ranking.ranked(judged.filter(*(judged[rule.verdict] for rule in rules)))
    everyone = judged.select("customer_id", line=_first_lost(judged, rules))
    if ranking.lines:
        lost, left = everyone.filter(everyone["line"].notnull()), ranked.select("customer_id", line=ranked["_line"])
        everyone = ibis.union(lost, left)
    eligible = customers.semi_join(ranked.filter(ranked["_line"].isnull()), "customer_id")
    return Audience(eligible, everyone, {rule.line: rule.text for rule in rules} | ranking.lines, judged)


def _target_rules(target: Target, aggregates: Aggregates) -> Iterator[_Rule]:
    if target.from_:
        verdict = compile_condition(InSegment(target.from_), aggregates)
        yield _Rule("from", f"segment: {target.from_}", verdict)
    for number, line in enumerate(target.who, 1):
        yield _Rule(f"who {number}", line.text, compile_condition(line.condition, aggregates))
    for number, line in enumerate(target.except_, 1):
        verdict = compile_condition(NoneOf((line.condition,)), aggregates)
        yield _Rule(f"except {number}", line.text, verdict)


def _medium_rules(medium: str, project: Project, aggregates: Aggregates) -> Iterator[_Rule]:
    yield _Rule("reachability", reach_text(medium), reachable(medium, aggregates.frame))
    yield _suppression(medium, aggregates)
    cap = project.settings.policy.caps.get(medium)
    if cap:
        committed = aggregates.database.own(COMMITTED)
        yield _Rule("cap", cap_text(medium, cap), under_cap(medium, cap, aggregates, committed))


def _suppression(medium: str, aggregates: Aggregates) -> _Rule:
    """The line that leaves out whoever must not be contacted: by the ledger, and by what the shop imported."""
    suppressed = aggregates.database.own(SUPPRESSED)
    keeps = not_suppressed(medium, suppressed, aggregates.frame)
    unsubscribes = UNSUBSCRIBED in aggregates.database.tables()
    if unsubscribes:
        keeps = every([keeps, not_unsubscribed(medium, aggregates)])
    return _Rule("suppression", suppression_text(medium, unsubscribes=unsubscribes), keeps)


def _judged(joined: ir.Table, rules: Sequence[_Rule], ranking: _Ranking) -> ir.Table:
    """Every verdict, and what ranking needs; a projection of its own, because some verdicts rank the whole base."""
    verdicts = {rule.verdict: rule.keeps(joined) for rule in rules}
    return joined.select("customer_id", **verdicts, **ranking.columns(joined))


def _first_lost(judged: ir.Table, rules: Sequence[_Rule]) -> ir.Value:
    """The line of the first rule that does not keep a customer; NULL when all do."""
    line: ir.Value = ibis.null("string")
    for rule in reversed(rules):
        line = ibis.ifelse(judged[rule.verdict], line, rule.line)
    return line


@dataclass(frozen=True)
class _Ranking:
    """The last lines: of several with one address or one household the first, and of those left the first so many."""

    target: Target
    medium: str | None
    frame: Frame
    by: Reading | None

    @classmethod
    def of(cls, target: Target, medium: str | None, aggregates: Aggregates) -> _Ranking:
        """The ranking of a target; asks for the aggregates it needs."""
        keep = target.keep
        by = named_figure(keep.by, aggregates) if keep and keep.by else None
        return cls(target, medium, aggregates.frame, by)

    @property
    def lines(self) -> dict[str, str]:
        """The lines with their texts, as far as they apply."""
        lines = {}
        if self.medium:
            lines[_SAME_ADDRESS] = f"one customer per {reach_of(self.medium).address}: the {self._first()}"
        if self.target.one_per:
            lines[_ONE_PER] = f"one customer per {self.target.one_per}: the {self._first()}"
        if self.target.keep:
            lines[_KEEP] = f"at most {self.target.keep.at_most}: the {self._first()}"
        return lines

    def _first(self) -> str:
        keep = self.target.keep
        if keep is None:
            return "smallest customer_id"
        return f"{keep.first} {keep.by}" if keep.by else "first at random"

    def columns(self, joined: ir.Table) -> dict[str, ir.Value]:
        """What places customers: whom they share a place with, and what the first of them has less or more of."""
        columns: dict[str, ir.Value] = {}
        if self.medium:
            contact = reach_of(self.medium).address
            columns[contact] = customer_column(joined, contact, FieldType.TEXT, self.frame)
        if self.target.one_per:
            columns["_one_per"] = customer_column(joined, self.target.one_per, FieldType.TEXT, self.frame)
        if self.by:
            columns["_by"] = self.by(joined).value
        return columns

    def ranked(self, passed: ir.Table) -> ir.Table:
        """Those who passed all rules with `_line`, the ranking line that loses them."""
        passed = passed.mutate(_line=ibis.null("string"))
        if self.medium:
            passed = self._losing(passed, _SAME_ADDRESS, address_of(passed, self.medium, self.frame))
        if self.target.one_per:
            # Who is in no household is one.
            own = passed["_one_per"].fill_null("") == ""
            unit = ibis.ifelse(own, passed["customer_id"], passed["_one_per"])
            passed = self._losing(passed.mutate(_own=own, _unit=unit), _ONE_PER, "_own", "_unit")
        if self.target.keep:
            passed = self._losing(passed, _KEEP, at_most=self.target.keep.at_most)
        return passed

    def _losing(self, passed: ir.Table, line: str, *shared: ir.Value | str, at_most: int = 1) -> ir.Table:
        """The same with `line` for those who come after the first of those who share these values and are left."""
        order = self._order(passed)
        place = ibis.row_number().over(group_by=[passed["_line"], *shared], order_by=order)
        lost = passed["_line"].isnull() & (place >= at_most)
        return passed.mutate(_line=ibis.ifelse(lost, line, passed["_line"]))

    def _order(self, passed: ir.Table) -> list[ir.Value]:
        by_id, keep = passed["customer_id"].asc(), self.target.keep
        if keep is None:
            return [by_id]
        if keep.first == "random":
            salt = f"keep:{iso(self.frame.as_of)}"
            return [arm_number(cast(ir.StringValue, passed["customer_id"]), salt).asc(), by_id]
        by = passed["_by"]
        return [by.asc(nulls_first=False) if keep.first == "lowest" else by.desc(nulls_first=False), by_id]
