"""One entry per experiment: what is committed, what the ledger knows of its plans, and what was read.

Reads the project, the ledger where there is one, and the kept readouts. Returns frozen values. Changes nothing; a part
that cannot be read is a problem of its entry, and hides no other entry.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

from campanile import clock
from campanile.errors import CampanileError, UsageError, did_you_mean
from campanile.ledger.records import PlanRecord, Registration
from campanile.ledger.store import Ledger
from campanile.money import Currency
from campanile.plan.freeze import frozen_spec
from campanile.plan.snapshot import latest_due
from campanile.plan.waves import due_between
from campanile.readout.terms import Terms, in_words, read_terms
from campanile.registry.kept import Reading, readings
from campanile.report.files import folder_name
from campanile.spec.campaign import ONLY_WAVE, Timing
from campanile.spec.project import Project

State = Literal["draft", "planned", "sending", "paused", "window running", "ready to read", "read"]
#: What somebody has to do something about comes first.
STATES: tuple[State, ...] = ("paused", "ready to read", "sending", "window running", "planned", "draft", "read")


@dataclass(frozen=True)
class Design:
    """What an experiment asks, and by which rule it is judged.

    Attributes:
        kind: Of the primary metric: rate, count or money.
        window: As `30d`; "" when nobody said.
        split: Share by arm.
        arms: Units by arm, once planned.
        terms: All of it as label and text, for people.
        fingerprint: Of the plan; "" before it and of experiments elsewhere.
    """

    hypothesis: str
    primary: str
    kind: str
    window: str
    currency: str
    alpha: float
    split: Mapping[str, float]
    arms: Mapping[str, int]
    terms: tuple[tuple[str, str], ...]
    fingerprint: str = ""


@dataclass(frozen=True)
class Version:
    """One frozen plan of an experiment.

    Attributes:
        registered_at: When its first message left; None before.
    """

    plan_id: str
    wave: str
    fingerprint: str
    as_of: datetime
    planned_at: datetime
    registered_at: datetime | None
    arms: Mapping[str, int]


@dataclass(frozen=True)
class Entry:
    """One experiment.

    Attributes:
        kind: Whether it is a campaign of this shop, or was run elsewhere.
        registered: The frozen spec that judges; None before a plan, and of experiments elsewhere.
        wave: Whose spec that is.
        window_ends: End of the last customer's window; None before a plan, or when its snapshot is gone.
        problems: What could not be read, as sentences.
    """

    name: str
    kind: Literal["campaign", "elsewhere"]
    state: State
    design: Design | None
    versions: tuple[Version, ...] = ()
    readings: tuple[Reading, ...] = ()
    registered: Mapping[str, Any] | None = None
    wave: str = ONLY_WAVE
    window_ends: datetime | None = None
    problems: tuple[str, ...] = ()

    @property
    def latest(self) -> Reading | None:
        """The latest readout; one that was made after the window had ended goes before all others."""
        return max(self.readings, key=lambda each: (each.ended, each.read_at, each.name), default=None)

    @property
    def since(self) -> datetime | None:
        """When something happened to it last."""
        moments = [reading.read_at for reading in self.readings] + [version.planned_at for version in self.versions]
        return max(moments, default=None)


def registry(project: Project, now: datetime | None = None) -> tuple[Entry, ...]:
    """Every experiment of the shop at a moment: what has to be done first, and the latest of a state first."""
    found = sorted(_entries(project, now or clock.now()), key=lambda each: each.name)
    found.sort(key=lambda each: each.since.timestamp() if each.since else 0.0, reverse=True)
    return tuple(sorted(found, key=lambda each: STATES.index(each.state)))


def entry(project: Project, name: str, now: datetime | None = None) -> Entry:
    """The experiment of that name.

    Raises:
        UsageError: There is none.
    """
    found = {each.name: each for each in _entries(project, now or clock.now())}
    if name not in found:
        raise UsageError(f'no experiment "{name}"', did_you_mean(name, found) or "run `campanile experiments`")
    return found[name]


def _entries(project: Project, now: datetime) -> Iterator[Entry]:
    plans, registrations = _planned(project)
    names = {*project.experiments, *plans, *(name for name in project.broken if _has_file(project, name))}
    for name in sorted(names):
        found = _Campaign(project, name, plans.get(name, []), registrations, now).entry()
        if found is not None:
            yield found
    known = {folder_name(name) for name in names}
    for folder in sorted(project.readouts_dir.iterdir()) if project.readouts_dir.is_dir() else ():
        if folder.is_dir() and folder.name not in known:
            yield from _elsewhere(folder)


def _has_file(project: Project, name: str) -> bool:
    return (project.root / "experiments" / f"{name}.yaml").exists()


def _planned(project: Project) -> tuple[dict[str, list[PlanRecord]], dict[str, Registration]]:
    """The plans of every campaign, oldest first, and the registration of each plan."""
    plans: dict[str, list[PlanRecord]] = {}
    registrations: dict[str, Registration] = {}
    if not Ledger.is_there(project.ledger_place):
        return plans, registrations
    with Ledger.open(project.ledger_place) as ledger:
        for record in ledger.plans():
            plans.setdefault(record.campaign, []).append(record)
            registered = ledger.registration(record.campaign, record.wave)
            if registered is not None:
                registrations[record.plan_id] = registered
    return plans, registrations


@dataclass(frozen=True)
class _Campaign:
    """An experiment of this shop, as far as it has come."""

    project: Project
    name: str
    plans: list[PlanRecord]
    registrations: Mapping[str, Registration]
    now: datetime

    def entry(self) -> Entry | None:
        """The entry; None of a campaign that measures nothing."""
        found, problems = readings(self.project.readouts_dir / folder_name(self.name), self.name)
        problems = (*(str(problem) for problem in self.project.broken.get(self.name, ())), *problems)
        terms = None
        try:
            spec = self.spec()
            if spec is not None and not spec.get("experiment"):
                return None
            terms = read_terms(self.name, spec) if spec else None
        except CampanileError as error:
            spec, problems = None, (*problems, str(error))
        ends = self.window_ends(terms) or max((each.window_ends for each in found if each.window_ends), default=None)
        return Entry(
            name=self.name,
            kind="campaign",
            state=self.state(ends, found),
            design=self.design(terms) if terms else None,
            versions=tuple(map(self.version, self.plans)),
            readings=found,
            registered=spec if self.plans else None,
            wave=self.read[0].wave if self.read else ONLY_WAVE,
            window_ends=ends,
            problems=problems,
        )

    @cached_property
    def read(self) -> list[PlanRecord]:
        """The plans that a readout reads: of every wave that was begun, in order; of none that was, the latest."""
        begun = [plan for plan in self.plans if plan.state != "planned" or plan.plan_id in self.registrations]
        return sorted(begun, key=lambda plan: plan.wave) or self.plans[-1:]

    def spec(self) -> Mapping[str, Any] | None:
        """What judges: the registered spec, else the planned one, else today's files; None when those are broken."""
        if not self.read:
            campaign = self.project.campaigns.get(self.name)
            return frozen_spec(self.project, self.name, campaign.waves[0]) if campaign else None
        registered = self.registrations.get(self.read[0].plan_id)
        spec: Mapping[str, Any] = json.loads(registered.spec_json) if registered else self.read[0].spec
        return spec

    def window_ends(self, terms: Terms | None) -> datetime | None:
        """The end of the last window: of a repeating campaign that of the last wave that may still go out."""
        if not self.read or terms is None:
            return None
        found = [latest_due(self.project.home / plan.snapshot) for plan in self.read]
        timing = Timing.model_validate(terms.spec["campaign"]["timing"])
        if timing.until is not None:
            last = timing.model_copy(update={"start": timing.days[-1]})
            found.append(due_between(last, self.project)[1])
        return max((terms.experiment.primary.window.after(due) for due in found if due), default=None)

    def state(self, ends: datetime | None, found: tuple[Reading, ...]) -> State:
        ended = any(reading.ended for reading in found)
        if not self.plans:
            return "read" if ended else "draft"
        states = {plan.state for plan in self.read}
        if states == {"planned"} and self.read[0].plan_id not in self.registrations:
            return "planned"
        if ends and self.now >= ends:
            return "read" if ended else "ready to read"
        under_way: tuple[Literal["paused", "sending"], ...] = ("paused", "sending")
        return next((state for state in under_way if state in states), "window running")

    def design(self, terms: Terms) -> Design:
        experiment = terms.experiment
        currency = (terms.spec.get("shop") or {}).get("currency") or self.project.currency.code
        return Design(
            hypothesis=experiment.hypothesis,
            primary=experiment.primary.metric,
            kind=experiment.kinds[experiment.primary.metric],
            window=str(experiment.primary.window),
            currency=currency,
            alpha=terms.alpha,
            split={arm: float(share) for arm, share in experiment.split.items()},
            arms=self.sizes,
            terms=in_words(terms, Currency(currency)),
            fingerprint=self.read[0].fingerprint if self.read else "",
        )

    @property
    def sizes(self) -> dict[str, int]:
        """Units by arm; of a repeating campaign those of all waves, who is in several as often as that."""
        whole: Counter[str] = Counter()
        for plan in self.read:
            whole.update(plan.arms)
        return dict(whole)

    def version(self, plan: PlanRecord) -> Version:
        registered = self.registrations.get(plan.plan_id)
        at = registered.at if registered else None
        return Version(plan.plan_id, plan.wave, plan.fingerprint, plan.as_of, plan.created_at, at, plan.arms)


def _elsewhere(folder: Path) -> Iterator[Entry]:
    """The experiment that was run elsewhere and whose readouts this folder keeps."""
    found, problems = readings(folder, folder.name)
    if not found and not problems:
        return
    name = str(found[-1].values.get("experiment") or folder.name) if found else folder.name
    found = tuple(Reading(name, each.name, each.folder, each.read_at, each.values) for each in found)
    # A campaign that is in neither the files nor the ledger of this home has left its readouts.
    kind: Literal["campaign", "elsewhere"] = "elsewhere" if not found or found[-1].elsewhere else "campaign"
    ends = max((each.window_ends for each in found if each.window_ends), default=None)
    yield Entry(
        name, kind, "read", design_of(found[-1]) if found else None, readings=found, window_ends=ends, problems=problems
    )


def design_of(reading: Reading) -> Design:
    """The design as a kept readout tells it."""
    values, told = reading.values, reading.design
    comparisons = values["comparisons"]
    primary = told.get("primary") or (comparisons[0]["metric"] if comparisons else "")
    return Design(
        hypothesis=told.get("hypothesis") or "",
        primary=primary,
        kind=told.get("kind") or next((row["kind"] for row in comparisons if row["metric"] == primary), ""),
        window=told.get("window") or "",
        currency=reading.currency or "",
        alpha=told.get("alpha") or (comparisons[0].get("alpha", 0.05) if comparisons else 0.05),
        split=told.get("split") or {arm["arm"]: arm.get("share") for arm in values["arms"]},
        arms={arm["arm"]: arm["n"] for arm in values["arms"]},
        terms=tuple((term["label"], term["text"]) for term in told.get("terms") or ()),
        fingerprint=told.get("fingerprint") or "",
    )
