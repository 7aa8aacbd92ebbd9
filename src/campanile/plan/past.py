"""What the ledger knows and a selection must see: who was written to, who was assigned, whose address is suppressed."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from campanile import clock
from campanile.customers.database import CustomerDatabase
from campanile.customers.history import (
    record_assignment,
    sync_commitments,
    sync_history,
    sync_suppressions,
)
from campanile.errors import CampanileError
from campanile.ledger.commitments import Around, commitments
from campanile.ledger.store import Ledger
from campanile.spec.campaign import CampaignSpec, Timing
from campanile.spec.project import Project

#: How far the clocks of the world are from UTC.
_EASTERNMOST, _WESTERNMOST = timedelta(hours=14), timedelta(hours=-12)


def sync_past(project: Project, database: CustomerDatabase, ledger: Ledger) -> None:
    """Nothing; the customer database now knows the product's own contacts, assignments and suppressions.

    Raises:
        CampanileError: The snapshot of an earlier campaign is gone.
    """
    sync_history(database, ledger)
    sync_suppressions(database, ledger.suppressions())
    for record in ledger.plans():
        if record.state == "planned":
            continue
        snapshot = project.home / record.snapshot
        if not snapshot.exists():
            raise CampanileError(
                f"the assignment of {record.campaign} is gone: {record.snapshot}", "restore it from a backup"
            )
        record_assignment(database, snapshot, campaign=record.campaign, wave=record.wave, at=record.created_at)


def sync_planned(  # noqa: PLR0913 - what is planned, from when it is seen, and the stores
    project: Project, spec: CampaignSpec, wave: str, *, as_of: datetime, database: CustomerDatabase, ledger: Ledger
) -> None:
    """Nothing; the customer database now knows what other plans send within the cap's length of this campaign."""
    medium = spec.channel.use
    cap = project.settings.policy.caps.get(medium)
    if cap is None:
        return
    first, last = _due_between(spec.timing, project)
    around = Around(spec.name, wave, medium, as_of, cap.within.before(first), cap.within.after(last))
    sync_commitments(database, medium, commitments(ledger, around))


def _due_between(timing: Timing, project: Project) -> tuple[datetime, datetime]:
    """The first and the last moment at which anybody's message of the campaign can be due."""
    if timing.clock == "shop":
        due = clock.local_moment(timing.start, timing.at, project.zone)
        return due, due
    local = datetime.combine(timing.start, timing.at, tzinfo=UTC)
    return local - _EASTERNMOST, local - _WESTERNMOST
