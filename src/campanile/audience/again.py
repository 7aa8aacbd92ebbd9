"""Whom a repeating campaign has had already: they are left out of later waves, control as well as treated."""

from __future__ import annotations

from datetime import UTC, datetime, time

from campanile.audience.aggregates import Aggregates
from campanile.audience.rules import Rule
from campanile.customers.database import ASSIGNMENTS
from campanile.spec.campaign import CampaignSpec

AGAIN = "again"


def not_again(campaign: CampaignSpec, aggregates: Aggregates) -> Rule:
    """The line that leaves out customers of earlier waves, for ever or for as long as `again` says.

    Args:
        campaign: As it goes out in the wave that is selected.
        aggregates: Asked for the assignments of earlier waves.
    """
    day, length = campaign.timing.start, campaign.timing.again
    assigned = aggregates.database.by_person(aggregates.database.own(ASSIGNMENTS))
    mine = assigned.filter(assigned["campaign"] == campaign.name, assigned["wave"] < day.isoformat())
    if length is not None:
        since = length.before(datetime.combine(day, time(), tzinfo=UTC)).date()
        mine = mine.filter(mine["wave"] > since.isoformat())
    taken = aggregates.ask_beside(mine, taken=mine.count())["taken"]
    text = f"not in a wave of the last {length}" if length else "not in an earlier wave"
    return Rule(AGAIN, text, lambda joined: joined[taken].isnull())
