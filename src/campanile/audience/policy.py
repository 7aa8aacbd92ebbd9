"""The contact policy as rules of the selection: holdout, caps, share of marketing, priority, quiet hours.

All of them are decided before the split, by what is known of everybody: control loses the same people as treatment.
Messages of service are free of all but the quiet hours.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import cast

import ibis
import ibis.expr.types as ir

from campanile.audience.aggregates import Aggregates, Events
from campanile.audience.compare import surely
from campanile.audience.compile import Verdict, customer_column
from campanile.audience.due import DueTimes
from campanile.audience.rivals import Rivals
from campanile.audience.rules import Rule
from campanile.customers.database import COMMITTED
from campanile.customers.zones import naive
from campanile.spec.campaign import CampaignSpec, Purpose
from campanile.spec.conditions import EventUse, FieldTest, Is, Length
from campanile.spec.fields import percent
from campanile.spec.policy import EVERY_MEDIUM, Cap, MarketingShare
from campanile.spec.settings import Policy
from campanile.spec.shop_tables import HOLDOUT
from campanile.spec.vocabulary import FieldType

SHARE, PRIORITY, QUIET = "marketing share", "priority", "quiet hours"
#: Shares are compared in whole parts of this.
_PARTS = 10**9


@dataclass(frozen=True)
class Dispatch:
    """What the rules ask about the messages that a selection is for.

    Attributes:
        medium: By which they go.
        purpose: Marketing or service.
        due: When they are due; None for a target by itself, which has no day.
        rivals: Other marketing campaigns of the same days.
    """

    medium: str
    purpose: Purpose = "marketing"
    due: DueTimes | None = None
    rivals: Rivals | None = None

    @classmethod
    def of(cls, campaign: CampaignSpec, customers: ir.Table, aggregates: Aggregates, policy: Policy) -> Dispatch:
        """The messages of a campaign to these customers."""
        due = DueTimes.of(customers, campaign.timing, aggregates.frame.zone)
        competes = policy.one_per_day and campaign.purpose == "marketing"
        rivals = Rivals.ask(due, aggregates) if competes else None
        return cls(campaign.channel.use, campaign.purpose, due, rivals)


def policy_rules(policy: Policy, dispatch: Dispatch, aggregates: Aggregates) -> Iterator[Rule]:
    """The lines that the policy of the shop draws, in their order."""
    if dispatch.purpose == "marketing":
        if policy.holdout:
            share = percent(policy.holdout.share)
            yield Rule("holdout", f"not among the {share} who get no marketing at all", _not_held_out(aggregates))
        yield from _caps(policy, dispatch, aggregates)
        if policy.marketing_share and policy.marketing_share.enforce == "exclude":
            share_text = marketing_share_text(policy.marketing_share)
            yield Rule(SHARE, share_text, under_marketing_share(policy.marketing_share, aggregates))
        if dispatch.rivals and dispatch.rivals.first:
            yield Rule(PRIORITY, dispatch.rivals.text, _without_rival(dispatch.rivals))
    if dispatch.due and dispatch.due.timing.quiet:
        yield Rule(QUIET, _quiet_text(dispatch.due), _can_be_sent(dispatch.due, aggregates.frame.as_of))


def _not_held_out(aggregates: Aggregates) -> Verdict:
    frame = aggregates.frame
    return lambda joined: ~surely(customer_column(joined, HOLDOUT, FieldType.BOOL, frame))


def scopes_of(policy: Policy, medium: str) -> Iterator[tuple[str, Cap]]:
    """The caps that a message of the medium meets: those of the medium, then those over all."""
    for scope in (medium, EVERY_MEDIUM):
        for cap in policy.caps.get(scope, ()):
            yield scope, cap


def _caps(policy: Policy, dispatch: Dispatch, aggregates: Aggregates) -> Iterator[Rule]:
    caps = list(scopes_of(policy, dispatch.medium))
    if not caps:
        return
    committed = aggregates.database.by_person(aggregates.database.own(COMMITTED))
    counted = {_cap_line(scope, cap): _sent_around(committed, scope, cap, dispatch.due) for scope, cap in caps}
    waiting = aggregates.ask_beside(committed, **{line: which.sum() for line, which in counted.items()})
    for scope, cap in caps:
        line = _cap_line(scope, cap)
        yield Rule(line, cap_text(scope, cap), _under_cap(scope, cap, aggregates, waiting[line]))


def _cap_line(scope: str, cap: Cap) -> str:
    return f"cap {scope} {cap.within}"


def cap_text(scope: str, cap: Cap) -> str:
    """The rule in words.

    >>> cap_text("all", Cap(at_most=3, within="7d"))
    'at most 3 marketing messages in 7d, this one and those of other plans included'
    """
    what = "messages" if scope == EVERY_MEDIUM else scope
    return f"at most {cap.at_most} marketing {what} in {cap.within}, this one and those of other plans included"


def _sent_around(committed: ir.Table, scope: str, cap: Cap, due: DueTimes | None) -> ir.BooleanValue:
    """Which messages of other plans go out within the cap's length of this wave's."""
    tests: list[ir.Value] = [committed["customer_id"].notnull()]
    if scope != EVERY_MEDIUM:
        tests.append(committed["channel"] == scope)
    if due:
        first, last = due.moments[0], due.moments[-1]
        tests.append(committed["at"] > ibis.timestamp(naive(cap.within.before(first))))
        tests.append(committed["at"] < ibis.timestamp(naive(cap.within.after(last))))
    return cast(ir.BooleanValue, ibis.and_(*tests))


def _under_cap(scope: str, cap: Cap, aggregates: Aggregates, waiting: str) -> Verdict:
    """Whether one more message stays within the cap. Service messages are free, those of unknown purpose are not."""
    where = () if scope == EVERY_MEDIUM else (FieldTest("channel", FieldType.TEXT, Is((scope,))),)
    sent = aggregates.ask(EventUse("contacted", where, Length(cap.within)), "not service", _not_service)
    return lambda joined: _number(joined, sent) + _number(joined, waiting) < cap.at_most


def _number(joined: ir.Table, name: str) -> ir.IntegerValue:
    return cast(ir.IntegerValue, joined[name].fill_null(0))


def _not_service(events: Events) -> ir.Scalar:
    if "purpose" not in events.table.columns:
        return events.count()
    return cast(ir.BooleanColumn, events.field("purpose").fill_null("") != "service").sum(where=events.match)


def marketing_share_text(share: MarketingShare) -> str:
    """The rule in words.

    >>> marketing_share_text(MarketingShare())
    'at most 30% of the messages of the last 90d were marketing'
    """
    return f"at most {percent(share.at_most)} of the messages of the last {share.within} were marketing"


def under_marketing_share(share: MarketingShare, aggregates: Aggregates) -> Verdict:
    """Whether no more than the share of what a customer was sent was marketing; who was sent nothing has none."""
    use = EventUse("contacted", (), Length(share.within))
    every = aggregates.ask(use, "rows", Events.count)
    marketing = aggregates.ask(use, "not service", _not_service)
    parts = round(share.at_most * _PARTS)
    return lambda joined: _number(joined, marketing) * _PARTS <= _number(joined, every) * parts


def _without_rival(rivals: Rivals) -> Verdict:
    return lambda joined: cast(ir.BooleanValue, rivals.foremost(joined, first=True).isnull())


def _quiet_text(due: DueTimes) -> str:
    assert due.timing.quiet is not None
    start, end = due.timing.quiet
    return f"some minute outside {start:%H:%M}-{end:%H:%M} before its deadline, {due.timing.deadline} after its moment"


def _can_be_sent(due: DueTimes, as_of: datetime) -> Verdict:
    hopeless = due.hopeless(as_of)
    return lambda joined: ~due.among(joined, hopeless)
