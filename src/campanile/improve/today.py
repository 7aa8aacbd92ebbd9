"""What stands today: who would be in the audience, which days are taken, what else the project could send.

Reads the customer database, the ledger and the project's files. Changes nothing.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING

from campanile.audience.select import select
from campanile.customers.profile import ensure_profile
from campanile.ledger.store import Ledger
from campanile.measure.sums import UNKNOWN
from campanile.plan.needs import fields_read
from campanile.spec.project import Project
from campanile.spec.references import TEMPLATE_SUFFIXES

if TYPE_CHECKING:
    from campanile.customers.database import CustomerDatabase
    from campanile.spec.campaign import CampaignSpec

_NUMBERED = re.compile(r"(?P<base>.+?)-(?P<number>\d+)")


@dataclass(frozen=True)
class Today:
    """What a proposal has to fit into.

    Attributes:
        day: Today, in the shop.
        name: Of the next campaign: no file and no plan has it.
        audience: Customers that the same target means today; None when nobody counted.
        waterfall: Who is left out, as line and number lost.
        levels: Those customers by cut and level.
        busy: Other campaigns by the day that they are sent.
        messages: Other templates for the medium.
        media: What a message costs by each other medium that could carry this one, major units.
        reach: Customers that the same target means by each of those, where they were counted.
    """

    day: date
    name: str
    audience: int | None = None
    waterfall: tuple[tuple[str, int], ...] = ()
    levels: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    busy: Mapping[date, tuple[str, ...]] = field(default_factory=dict)
    messages: tuple[str, ...] = ()
    media: Mapping[str, Decimal] = field(default_factory=dict)
    reach: Mapping[str, int] = field(default_factory=dict)


def files_today(project: Project, campaign: str, medium: str, message: str, now: datetime) -> Today:
    """What the project's files and the ledger say."""
    prices = project.settings.economics.cost_per_message
    suffixes = {name: TEMPLATE_SUFFIXES[name] for name in project.settings.channels if name in TEMPLATE_SUFFIXES}
    folder = project.root / "templates"
    mine = suffixes.get(medium, ())
    names = {path.name.removesuffix(mine[0]) for path in folder.glob(f"*{mine[0]}")} if mine else set()
    others = sorted(
        name
        for name in names
        if name != message and not name.startswith("_") and all((folder / f"{name}{end}").is_file() for end in mine)
    )
    media = {
        name: prices[name]
        for name, ends in suffixes.items()
        if name != medium and name in prices and all((folder / f"{message}{end}").is_file() for end in ends)
    }
    busy: dict[date, tuple[str, ...]] = {}
    for name, spec in sorted(project.campaigns.items()):
        if name != campaign:
            busy[spec.timing.start] = (*busy.get(spec.timing.start, ()), name)
    day = now.astimezone(project.zone).date()
    return Today(day, next_name(campaign, _taken(project)), busy=busy, messages=tuple(others), media=media)


def counted(  # noqa: PLR0913 - what is asked of whom, and when
    today: Today,
    project: Project,
    spec: CampaignSpec,
    *,
    cuts: Collection[str],
    database: CustomerDatabase,
    at: datetime,
) -> Today:
    """The same with the audience that a campaign's target means at a moment, by the levels of its cuts."""
    ensure_profile(project, database, at, fields=fields_read(project))
    found = select(spec.target, database, at, project=project, campaign=spec)
    levels: dict[str, dict[str, int]] = {}
    for cut in cuts:
        column = found.eligible[cut].cast("string").fill_null(UNKNOWN)
        rows = found.eligible.group_by(level=column).aggregate(n=found.eligible.count()).to_pyarrow().to_pylist()
        levels[cut] = {row["level"]: row["n"] for row in rows}
    steps = tuple((step.line, step.lost) for step in found.waterfall() if step.lost)
    reach = {}
    for medium in today.media:
        other = spec.model_copy(update={"channel": spec.channel.model_copy(update={"use": medium})})
        reach[medium] = select(spec.target, database, at, project=project, campaign=other).size
    return replace(today, audience=found.size, waterfall=steps, levels=levels, reach=reach)


def _taken(project: Project) -> set[str]:
    """Names of campaigns that there are, were planned, or are proposed."""
    taken = {*project.campaigns, *project.broken, *project.experiments}
    taken |= {path.stem for path in (project.root / "campaigns" / "proposed").glob("*.yaml")}
    if Ledger.is_there(project.ledger_place):
        with Ledger.open(project.ledger_place) as ledger:
            taken |= {plan.campaign for plan in ledger.plans()}
    return taken


def base_name(name: str) -> str:
    """The name without the number of the wave.

    >>> base_name("winback-3"), base_name("winback")
    ('winback', 'winback')
    """
    match = _NUMBERED.fullmatch(name)
    return match["base"] if match else name


def next_name(name: str, taken: Collection[str]) -> str:
    """The name with the next number that nothing has.

    >>> next_name("winback", ["winback"]), next_name("winback-2", ["winback", "winback-2", "winback-3"])
    ('winback-2', 'winback-4')
    """
    base, number = base_name(name), 2
    match = _NUMBERED.fullmatch(name)
    if match:
        number = int(match["number"]) + 1
    while f"{base}-{number}" in taken:
        number += 1
    return f"{base}-{number}"


@dataclass(frozen=True)
class Start:
    """The proposed day, why not an earlier one, and who else writes around it."""

    day: date
    reasons: tuple[str, ...]
    conflicts: tuple[str, ...]


def next_start(today: Today, last: date, *, ready: date, cool_down: int, lead: int = 3) -> Start:
    """The next sensible day: the weekday of last time, after the window, the cool-down and the time to prepare.

    Args:
        today: With the days of other campaigns.
        last: The day of the closed campaign.
        ready: When its window had ended.
        cool_down: Days that the contact policy or the target leave customers in peace.
        lead: Days that a person needs to read, merge and plan.
    """
    earliest = max(today.day + timedelta(days=lead), ready, last + timedelta(days=cool_down))
    day = earliest + timedelta(days=(last.weekday() - earliest.weekday()) % 7)
    reasons = [f"the same weekday as last time, {lead} days or more from today and after the window of {last}"]
    if cool_down:
        reasons.append(f"{cool_down} days of peace after a marketing message are kept")
    weeks = 0
    while day in today.busy and weeks < 8:
        reasons.append(f"not {day}: {', '.join(today.busy[day])} goes out that day")
        day, weeks = day + timedelta(days=7), weeks + 1
    near = [
        f"{name} on {other}"
        for other, names in sorted(today.busy.items())
        if abs((other - day).days) <= 7
        for name in names
    ]
    return Start(day, tuple(reasons), tuple(near))
