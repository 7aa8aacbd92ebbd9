"""Which wave of a campaign is meant at a moment. The schedule is data: nothing here remembers anything."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from campanile import clock
from campanile.spec.campaign import CampaignSpec, Timing
from campanile.spec.project import Project

#: How far the clocks of the world are from UTC.
_EASTERNMOST, _WESTERNMOST = timedelta(hours=14), timedelta(hours=-12)
#: A wave is planned at most this long before its first message is due: its customers are those of the day.
LEAD = timedelta(hours=12)


def due_between(timing: Timing, project: Project) -> tuple[datetime, datetime]:
    """The first and the last moment at which anybody's message of a wave can be due."""
    if timing.clock == "shop":
        due = clock.local_moment(timing.start, timing.at, project.zone)
        return due, due
    local = datetime.combine(timing.start, timing.at, tzinfo=UTC)
    return local - _EASTERNMOST, local - _WESTERNMOST


def wave_at(spec: CampaignSpec, project: Project, moment: datetime) -> str:
    """The first wave of which something can still go out; the last one when all are over."""
    return next((wave for wave in spec.waves if _open(spec, wave, project, moment)), spec.waves[-1])


def due_waves(spec: CampaignSpec, project: Project, now: datetime) -> tuple[str, ...]:
    """The waves whose time has come, or comes within `LEAD`, and has not passed."""
    return tuple(
        wave
        for wave in spec.waves
        if due_between(spec.in_wave(wave).timing, project)[0] - LEAD <= now and _open(spec, wave, project, now)
    )


def _open(spec: CampaignSpec, wave: str, project: Project, moment: datetime) -> bool:
    timing = spec.in_wave(wave).timing
    return timing.expiry(due_between(timing, project)[1]) > moment
