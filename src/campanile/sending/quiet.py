"""The quiet hours of a campaign that was planned."""

from __future__ import annotations

from collections.abc import Mapping

from campanile.spec.campaign import Timing
from campanile.spec.quiet import Quiet


def quiet_hours(spec: Mapping[str, object]) -> Quiet | None:
    """The quiet hours of a planned campaign, as its frozen spec has them.

    >>> quiet_hours({"campaign": {"timing": {"start": "2026-03-05", "at": "10:30", "quiet": "22:00-08:00"}}})
    (datetime.time(22, 0), datetime.time(8, 0))
    """
    campaign = spec.get("campaign")
    timing = campaign.get("timing") if isinstance(campaign, Mapping) else None
    # Read as the file is read: the default of an absent `quiet` holds here too.
    return Timing.model_validate(timing).quiet if timing else None
