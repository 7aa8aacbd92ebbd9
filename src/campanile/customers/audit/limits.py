"""What is found, held against limits: those of the shop stop campaigns, the product's own are advice."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Literal
from zoneinfo import ZoneInfo

from campanile.customers.audit.findings import Age, Finding
from campanile.customers.audit.words import CHECKS, STALE_CURE, age_sentence, sentence_of
from campanile.spec.audit import ADVICE, AuditSettings, Limit

Level = Literal["clean", "some", "many", "stops"]


@dataclass(frozen=True)
class Judged:
    """A finding, and how grave it is. `limit`: the shop's own, else the advice; None where any number is all right."""

    finding: Finding
    limit: Limit | None
    level: Level


@dataclass(frozen=True)
class Broken:
    """A limit of the shop that is broken: what was found, what was allowed, and the cure."""

    check: str
    limit: str
    figure: str
    cure: str

    @property
    def sentence(self) -> str:
        """Limit, figure and cure in one sentence.

        >>> Broken("freshness", "2d", "the newest of the orders is 9 days old", "import the newest files").sentence
        'policy: audit: freshness: 2d is broken: the newest of the orders is 9 days old; import the newest files'
        """
        return f"policy: audit: {self.check}: {self.limit} is broken: {self.figure}; {self.cure}"


def judged(settings: AuditSettings, finding: Finding) -> Judged:
    """The finding with the limit it is held against."""
    own = settings.limits.get(finding.check)
    limit = own or ADVICE.get(finding.check)
    beyond = limit is not None and limit.broken_by(finding.count, finding.of)
    level: Level = ("stops" if own else "many") if beyond else "some" if finding.count else "clean"
    return Judged(finding, limit, level)


def broken(
    settings: AuditSettings, findings: Iterable[Finding], ages: Iterable[Age], *, as_of: datetime, zone: ZoneInfo
) -> tuple[Broken, ...]:
    """The limits of the shop that are broken, in the order of what was found.

    Args:
        settings: The limits.
        findings: What was counted.
        ages: How old tables are; those without a limit of the shop break none.
        as_of: The moment that ages are of.
        zone: The shop's, for days.
    """
    stale = [
        Broken("freshness", str(age.limit), age_sentence(age, days_old(age, as_of, zone)), STALE_CURE)
        for age in ages
        if age.stale and age.table in settings.freshness
    ]
    many = [
        Broken(each.finding.check, str(each.limit), sentence_of(each.finding), CHECKS[each.finding.check].cure)
        for each in (judged(settings, finding) for finding in findings)
        if each.level == "stops"
    ]
    return (*stale, *many)


def days_old(age: Age, as_of: datetime, zone: ZoneInfo) -> int | None:
    """Calendar days of the shop since the newest row; None when there is none."""
    if age.newest is None:
        return None
    return (as_of.astimezone(zone).date() - age.newest.astimezone(zone).date()).days
