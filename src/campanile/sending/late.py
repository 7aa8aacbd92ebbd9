"""A schedule that comes too late does not fire."""

from __future__ import annotations

from datetime import datetime

from campanile import clock
from campanile.errors import CampanileError
from campanile.spec.project import Project


def refuse_late(project: Project, campaign: str, *, scheduled: datetime | None, now: datetime) -> None:
    """Returns when a run starts about when it was to start; schedulers start overdue runs whenever they are back.

    Args:
        project: Says how late is too late.
        campaign: Name of the campaign.
        scheduled: When the run was to start; None for one that a person starts now.
        now: The present moment.

    Raises:
        CampanileError: It starts too late. Nothing was sent.
    """
    within = project.settings.sending.start_within
    if scheduled is not None and now > within.after(scheduled):
        what = f"this run of {campaign} was to start on {clock.words(scheduled, project.zone)}, more than {within} ago"
        raise CampanileError(what, "nothing was sent; start it by hand if its messages are still wanted")
