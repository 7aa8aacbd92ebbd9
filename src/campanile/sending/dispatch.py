"""The waves of repeating campaigns whose time has come, and what was begun and is due again: sent, and never twice.

The schedule is in the campaigns' files, what was done in the ledger. So any number of scanners may look as often as
they like: the same wave has the same plan, and a message that went out is not due any more.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from campanile import clock
from campanile.customers.database import CustomerDatabase
from campanile.errors import CampanileError, ProblemsError
from campanile.ledger import Ledger
from campanile.plan.make import make_plan, stored_plan
from campanile.plan.waves import due_waves
from campanile.sending.run import run_campaign
from campanile.spec.campaign import CampaignSpec
from campanile.spec.project import Project

Now = Callable[[], datetime]


@dataclass(frozen=True)
class Dispatched:
    """What became of one wave in one look.

    Attributes:
        planned: Whether it was planned just now.
        status: Its messages by state (contract 1); None when it could not be sent.
        problem: Why it could not be planned or sent; "" when it could.
    """

    campaign: str
    wave: str
    planned: bool
    status: Mapping[str, Any] | None = None
    problem: str = ""

    def to_json(self) -> dict[str, Any]:
        """The wave as JSON values."""
        return {
            "campaign": self.campaign,
            "wave": self.wave,
            "planned_now": self.planned,
            "status": self.status,
            "problem": self.problem or None,
        }

    @property
    def text(self) -> str:
        """The wave for people."""
        head = f"{self.campaign}, wave {self.wave}" + (" (planned now)" if self.planned else "")
        if self.status is None:
            return f"{head}: {self.problem}"
        return f"{head}: {self.status['state']}, {self.status['accepted']:,} of {self.status['planned']:,} accepted"


def dispatch_due(project: Project, *, now: Now = clock.now) -> tuple[Dispatched, ...]:
    """Every wave that was looked at: those whose time has come, and those of which something waits and is due.

    Of a campaign of one date only what a person began to send goes on: reminders, and what was put off.

    A wave that fails hinders no other campaign; its reason is in the answer, and the next look tries again.
    """
    return tuple(found for _, spec in sorted(project.campaigns.items()) for found in _of_campaign(project, spec, now))


def _of_campaign(project: Project, spec: CampaignSpec, now: Now) -> Iterator[Dispatched]:
    for wave in _waves(project, spec, now()):
        planned = False
        try:
            planned = _plan(project, spec, wave, now())
            report = run_campaign(project, spec.name, mode="send", now=now, wave=wave)
        except (CampanileError, ProblemsError) as error:
            yield Dispatched(spec.name, wave, planned, problem=str(error))
        else:
            yield Dispatched(spec.name, wave, planned, report.status)


def _waves(project: Project, spec: CampaignSpec, now: datetime) -> list[str]:
    """The waves to look at, in their order."""
    due = set(due_waves(spec, project, now)) if spec.repeats else set()
    if Ledger.is_there(project.ledger_place):
        with Ledger.open(project.ledger_place) as ledger:
            records = [record for record in ledger.plans() if record.campaign == spec.name]
            moments = {record.wave: ledger.next_due(record.plan_id) for record in records}
        waiting = {wave for wave, moment in moments.items() if moment is not None and moment <= now}
        begun = {record.wave for record in records if record.state != "planned" or spec.repeats}
        due = (due - moments.keys()) | (waiting & begun)
    return sorted(due)


def _plan(project: Project, spec: CampaignSpec, wave: str, now: datetime) -> bool:
    """Whether the wave had no plan, and has one now."""
    with Ledger.open(project.ledger_place) as ledger:
        if stored_plan(ledger, spec.name, wave) is not None:
            return False
        with CustomerDatabase.open(project) as database:
            make_plan(project, spec.name, now, database=database, ledger=ledger, wave=wave)
    return True
