"""A target becomes an audience: who is eligible, and for everybody else the one line that left them out.

The order never changes: base, `from`, `who`, `except`, earlier waves, reachability, suppression, holdout, caps,
marketing share, priority, quiet hours, same address once, `one_per`, `keep`. All of it comes before the split into
arms, so control and treatment lose the same people. Everything stays lazy.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING, cast

import ibis
import ibis.expr.types as ir

from campanile.audience.again import not_again
from campanile.audience.aggregates import Aggregates
from campanile.audience.compile import compile_condition, customer_column, every, named_figure
from campanile.audience.figures import Reading
from campanile.audience.frame import Frame
from campanile.audience.holdout import with_holdout
from campanile.audience.policy import Dispatch, policy_rules, under_marketing_share
from campanile.audience.reach import (
    UNSUBSCRIBED,
    address_of,
    no_record_suppressed,
    not_refusing_everything,
    not_suppressed,
    not_unsubscribed,
    reach_of,
    reach_text,
    reachable,
    suppression_text,
)
from campanile.audience.rules import ABOVE, LOSER, WINNER, Rule
from campanile.audience.waterfall import Audience
from campanile.clock import iso
from campanile.customers import engine
from campanile.customers.database import SUPPRESSED
from campanile.customers.value import scores
from campanile.spec.campaign import CampaignSpec
from campanile.spec.conditions import InSegment, NoneOf, Target
from campanile.spec.project import Project
from campanile.spec.settings import Policy
from campanile.spec.vocabulary import FieldType

if TYPE_CHECKING:
    from campanile.customers.database import CustomerDatabase

_ONE_PER, _SAME_ADDRESS, _KEEP = "one_per", "same address", "keep"


def select(  # noqa: PLR0913 - what is asked of whom, and for which messages
    target: Target,
    database: CustomerDatabase,
    as_of: datetime,
    *,
    project: Project,
    medium: str | None = None,
    campaign: CampaignSpec | None = None,
) -> Audience:
    """The audience of a target as seen at `as_of` (aware).

    Args:
        target: Whom the campaign is for.
        database: The customers and their events.
        as_of: Nothing that happened at or after this moment is seen.
        project: The shop's segments, contact policy, currency and time zone.
        medium: The medium that must reach everybody; None asks for no reachability, policy or address.
        campaign: Whose messages they would get: gives medium, purpose, day, quiet hours and priority. A medium by
            itself is marketing without a day.

    Raises:
        CampanileError: the shop has no such field or table, or nobody can be reached by the medium.
    """
    with database.settled():
        return _select(target, database, as_of, project=project, medium=medium, campaign=campaign)


def _select(  # noqa: PLR0913
    target: Target,
    database: CustomerDatabase,
    as_of: datetime,
    *,
    project: Project,
    medium: str | None,
    campaign: CampaignSpec | None,
) -> Audience:
    unfit = scores.refused(project, database, as_of)
    frame = Frame(as_of, project.zone, project.currency, project.segments, project.metrics, unfit)
    aggregates, policy = Aggregates(database, frame), project.settings.policy
    customers = database.customers(as_of)
    dispatch = Dispatch(medium) if medium else None
    if campaign:
        dispatch = Dispatch.of(campaign, customers, aggregates, policy)
    earlier = [not_again(campaign, aggregates)] if campaign and campaign.repeats else []
    rules = [
        *_target_rules(target, aggregates),
        *earlier,
        *(_dispatch_rules(dispatch, policy, aggregates) if dispatch else ()),
    ]
    beside = dict(_beside(dispatch, policy, aggregates)) if dispatch else {}
    ranking = _Ranking.of(target, dispatch.medium if dispatch else None, aggregates)
    joined = aggregates.joined(with_holdout(customers, policy.holdout, frame.today))
    judged = _judged(joined, rules, ranking, beside)
    # Not by `_line`: from single verdicts the engine sees that it need not join everybody with everything.
    ranked = ranking.ranked(judged.filter(*(judged[rule.verdict] for rule in rules)))
    everyone = judged.select("customer_id", *beside, line=_first_lost(judged, rules))
    if ranking.lines:
        lost = everyone.filter(everyone["line"].notnull())
        everyone = ibis.union(lost, ranked.select("customer_id", *beside, line=ranked["_line"]))
    ids = ranked.filter(ranked["_line"].isnull()).select("customer_id")
    lines = {rule.line: rule.text for rule in rules} | ranking.lines
    rivals = dispatch.rivals if dispatch else None
    return Audience(ids, customers.semi_join(ids, "customer_id"), everyone, lines, judged, rivals)


def _target_rules(target: Target, aggregates: Aggregates) -> Iterator[Rule]:
    if target.from_:
        verdict = compile_condition(InSegment(target.from_), aggregates)
        yield Rule("from", f"segment: {target.from_}", verdict)
    for number, line in enumerate(target.who, 1):
        yield Rule(f"who {number}", line.text, compile_condition(line.condition, aggregates))
    for number, line in enumerate(target.except_, 1):
        verdict = compile_condition(NoneOf((line.condition,)), aggregates)
        yield Rule(f"except {number}", line.text, verdict)


def _dispatch_rules(dispatch: Dispatch, policy: Policy, aggregates: Aggregates) -> Iterator[Rule]:
    medium = dispatch.medium
    yield Rule("reachability", reach_text(medium), reachable(medium, aggregates.frame))
    yield _suppression(medium, aggregates)
    yield from policy_rules(policy, dispatch, aggregates)


def _suppression(medium: str, aggregates: Aggregates) -> Rule:
    """The line that leaves out whoever must not be contacted: by the ledger, and by what the shop imported."""
    suppressed = aggregates.database.own(SUPPRESSED)
    keeps = every([not_suppressed(medium, suppressed, aggregates.frame), not_refusing_everything(aggregates)])
    if aggregates.database.merged:
        keeps = every([keeps, no_record_suppressed(medium, aggregates)])
    unsubscribes = UNSUBSCRIBED in aggregates.database.tables()
    if unsubscribes:
        keeps = every([keeps, not_unsubscribed(medium, aggregates)])
    return Rule("suppression", suppression_text(medium, unsubscribes=unsubscribes), keeps)


def _beside(
    dispatch: Dispatch, policy: Policy, aggregates: Aggregates
) -> Iterator[tuple[str, Callable[[ir.Table], ir.Value]]]:
    """What is counted beside the lines, by the column that will hold it."""
    share, rivals = policy.marketing_share, dispatch.rivals
    if dispatch.purpose == "marketing" and share and share.enforce == "warn":
        within = under_marketing_share(share, aggregates)
        yield ABOVE, lambda joined: ~within(joined)
    if rivals:
        yield WINNER, partial(rivals.foremost, first=True)
        yield LOSER, partial(rivals.foremost, first=False)


def _judged(
    joined: ir.Table, rules: Sequence[Rule], ranking: _Ranking, beside: Mapping[str, Callable[[ir.Table], ir.Value]]
) -> ir.Table:
    """Every verdict, and what ranking needs; a projection of its own, because some verdicts rank the whole base."""
    verdicts = {rule.verdict: rule.keeps(joined) for rule in rules}
    counted = {name: read(joined) for name, read in beside.items()}
    return joined.select("customer_id", **verdicts, **ranking.columns(joined), **counted)


def _first_lost(judged: ir.Table, rules: Sequence[Rule]) -> ir.Value:
    """The line of the first rule that does not keep a customer; NULL when all do."""
    if not rules:
        return ibis.null("string")
    return ibis.cases(*((~judged[rule.verdict], rule.line) for rule in rules))


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
            return [engine.arm_number(cast(ir.StringValue, passed["customer_id"]), salt).asc(), by_id]
        by = passed["_by"]
        return [by.asc(nulls_first=False) if keep.first == "lowest" else by.desc(nulls_first=False), by_id]
