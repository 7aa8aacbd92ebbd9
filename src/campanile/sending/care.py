"""How fast and how carefully the messages of one plan go out, as the shop's settings say now."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from campanile.audience.policy import scopes_of
from campanile.ledger import PlanRecord
from campanile.ledger.rules import NO_RULES, Rate, Rules
from campanile.spec.project import Project
from campanile.spec.sending import Breakers


@dataclass(frozen=True)
class Care:
    """What a run heeds beside the plan.

    Attributes:
        rates: How fast hand-overs may begin.
        rules: What the gate asks.
        breakers: What pauses the campaign; None when nothing does.
    """

    rates: tuple[Rate, ...] = ()
    rules: Rules = NO_RULES
    breakers: Breakers | None = None


CARELESS = Care()


def care_of(project: Project, plan: PlanRecord) -> Care:
    """The care that the settings ask for this plan's messages; those of service meet no caps."""
    settings = project.settings
    medium = project.campaign(plan.campaign).channel.use
    caps = tuple(scopes_of(settings.policy, medium)) if plan.purpose == "marketing" else ()
    rules = Rules(caps, settings.sending.warm_up, project.zone)
    return Care(tuple(_rates(project, medium)), rules, settings.sending.breakers)


def _rates(project: Project, medium: str) -> Iterator[Rate]:
    """That of the medium first, also when only a provider's own word limits it; then that of its sender."""
    pace = project.settings.sending.pace
    sender = project.settings.channels[medium].sender
    for name in (medium, *([sender] if sender in pace else [])):
        limit = pace.get(name)
        yield Rate(name) if limit is None else Rate(name, float(limit.per_second), limit.held)
