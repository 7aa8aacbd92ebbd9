"""A project: the folder that marketers and analysts commit to, read as a whole."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from zoneinfo import ZoneInfo

from campanile.errors import CampanileError, ProblemsError, UsageError, did_you_mean
from campanile.money import Currency
from campanile.spec.campaign import CampaignSpec
from campanile.spec.conditions import Metric, Segment
from campanile.spec.experiment import ExperimentSpec
from campanile.spec.settings import ProjectSettings


@dataclass(frozen=True)
class Project:
    """Everything committed, parsed and checked."""

    root: Path
    settings: ProjectSettings
    campaigns: Mapping[str, CampaignSpec]
    experiments: Mapping[str, ExperimentSpec]
    segments: Mapping[str, Segment]
    metrics: Mapping[str, Metric]
    home: Path

    def campaign(self, name: str) -> CampaignSpec:
        """The campaign of that name; CampanileError when there is none."""
        found = self.campaigns.get(name)
        if found is None:
            cure = did_you_mean(name, self.campaigns) or "look in campaigns/"
            raise CampanileError(f'no campaign "{name}"', cure)
        return found

    def experiment(self, name: str) -> ExperimentSpec | None:
        """The experiment of the campaign of that name; None when it measures nothing."""
        return self.experiments.get(name)

    @property
    def currency(self) -> Currency:
        """The shop's currency."""
        return self.settings.shop.currency

    @property
    def zone(self) -> ZoneInfo:
        """The shop's time zone."""
        return self.settings.shop.timezone

    @property
    def database_path(self) -> Path:
        """The file of the customer database."""
        return self.home / self.settings.database.duckdb

    @property
    def ledger_path(self) -> Path:
        """The file of the ledger."""
        return self.home / self.settings.ledger.sqlite

    @property
    def snapshots_dir(self) -> Path:
        """Where the assignments of planned waves are kept."""
        return self.home / "snapshots"

    @property
    def rejects_dir(self) -> Path:
        """Where rows that an import refused are kept."""
        return self.home / "rejects"

    @property
    def readouts_dir(self) -> Path:
        """Where readouts are written."""
        return self.home / "readouts"

    @property
    def outbox_dir(self) -> Path:
        """Where the outbox channel writes its messages."""
        return self.home / "outbox"


def load_project(root: Path, *, home: Path | None = None) -> Project:
    """The project in this folder; ProblemsError with every problem of every file."""
    from campanile.spec.check import check_project

    if not root.is_dir():
        raise UsageError(f"no folder {root}", "give the folder that holds campanile.yaml")
    parts, problems = check_project(root)
    if problems or parts is None:
        raise ProblemsError(problems)
    return Project(root=root, home=home or root / parts.settings.home, **vars(parts))
