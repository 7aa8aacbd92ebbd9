"""A closed experiment: its readout, the terms that judged it, and what its arms did, as the kept evidence tells it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from campanile.errors import CampanileError
from campanile.events import CONTROL
from campanile.measure.lift import Estimate
from campanile.measure.sums import ArmOutcome
from campanile.readout.evidence import read_again, statistics_of
from campanile.readout.terms import Terms, read_terms, treatments
from campanile.registry.entries import entry
from campanile.report.readout import ArmFigures, Readout
from campanile.spec.project import Project

EVIDENCE = "evidence.json"


@dataclass(frozen=True)
class Closed:
    """An experiment whose window has ended and whose effects are known.

    Attributes:
        arms: What each arm did, by name.
        levels: Customers by level of each registered cut, all arms together.
    """

    readout: Readout
    terms: Terms
    arms: Mapping[str, ArmOutcome]
    levels: Mapping[str, Mapping[str, int]]

    @property
    def name(self) -> str:
        """Of the campaign."""
        return self.readout.setting.campaign

    @property
    def campaign(self) -> Mapping[str, Any]:
        """The campaign as it was registered, as plain data."""
        found: Mapping[str, Any] = self.terms.spec["campaign"]
        return found

    @property
    def treatments(self) -> tuple[str, ...]:
        """The arms that got messages."""
        return treatments(self.terms)

    @property
    def assigned(self) -> int:
        """Everybody in the experiment."""
        return sum(arm.n for arm in self.readout.arms)

    def figures(self, arm: str) -> ArmFigures:
        """The means of one arm."""
        return next(each for each in self.readout.arms if each.arm == arm)

    def effect(self, arm: str, metric: str) -> Estimate:
        """The difference of an arm from control with its variance; money in minor units."""
        mine, other = self.figures(arm), self.figures(CONTROL)
        assert mine.metrics is not None
        assert other.metrics is not None
        difference = mine.metrics[metric].mean - other.metrics[metric].mean
        return Estimate(difference, mine.metrics[metric].variance / mine.n + other.metrics[metric].variance / other.n)

    def offer(self, arm: str) -> Mapping[str, Any]:
        """The offer that an arm got, as plain data."""
        change = (self.campaign.get("arms") or {}).get(arm) or {}
        found: Mapping[str, Any] = change.get("offer") or self.campaign["offer"]
        return found

    def contact_each(self, arm: str) -> float:
        """Minor units that messages cost per customer of an arm."""
        outcome = self.arms[arm]
        sent = outcome.counts.get("handed_over") or 0
        return self.terms.contact_cost(arm, sent, self.readout.setting.currency) / outcome.statistics.n

    @property
    def fixed(self) -> float:
        """Fixed cost of the campaign, minor units."""
        return float(self.terms.fixed) * self.readout.setting.currency.scale


def closed(readout: Readout, evidence: Mapping[str, Any]) -> Closed:
    """The closed experiment that a readout and its evidence tell.

    Raises:
        CampanileError: There is no verdict to go by.
    """
    if readout.verdict.decision == "no_verdict":
        what = f"there is no verdict on {readout.setting.campaign}, so nothing follows from it: "
        cure = "mend what its readout names, and send the campaign once more"
        raise CampanileError(what + readout.verdict.sentence.rstrip("."), cure)
    terms = read_terms(readout.setting.campaign, evidence["spec"])
    arms = {part["arm"]: ArmOutcome(statistics_of(part), part["counts"]) for part in evidence["arms"]}
    levels = {
        cut: {level: sum(part["n"] for part in parts) for level, parts in found.items()}
        for cut, found in evidence["cuts"].items()
    }
    return Closed(readout, terms, arms, levels)


def read_closed(project: Project, name: str) -> Closed:
    """The closed experiment of that name, from its latest readout after the window had ended.

    Raises:
        UsageError: There is no such experiment.
        CampanileError: It was run elsewhere, is still open, was not read, or its evidence is gone.
    """
    found = entry(project, name)
    if found.kind == "elsewhere":
        what = f"{name} was run elsewhere, and no campaign of this shop can follow from it"
        raise CampanileError(what, "look at `campanile learned` for what it teaches")
    reading = found.latest
    if reading is None or not reading.ended:
        raise CampanileError(f"{name} is {found.state}, not closed", f"run `campanile readout {name}` after its window")
    path = reading.folder / EVIDENCE
    if not path.is_file():
        what = f"the readout {reading.name} of {name} has no {EVIDENCE}"
        raise CampanileError(what, f"run `campanile readout {name}` again, which keeps it")
    return closed(read_again(path), _evidence(path))


def _evidence(path: Path) -> Mapping[str, Any]:
    """What `read_again` has just read, as plain values."""
    values: Mapping[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return values
