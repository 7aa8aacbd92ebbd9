"""A project: the folder that marketers and analysts commit to, read as a whole."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from zoneinfo import ZoneInfo

from campanile.errors import CampanileError, Problem, ProblemsError, UsageError, did_you_mean
from campanile.money import Currency
from campanile.spec.campaign import CampaignSpec
from campanile.spec.conditions import Metric, Segment
from campanile.spec.experiment import ExperimentSpec
from campanile.spec.own_metrics import OwnMetric
from campanile.spec.places import LedgerPlace, OnPostgres
from campanile.spec.segment_map import SegmentMap, segment_map
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
    #: Campaigns that cannot be used, and why; nothing else is the worse for it.
    broken: Mapping[str, tuple[Problem, ...]] = field(default_factory=dict)
    own_metrics: Mapping[str, OwnMetric] = field(default_factory=dict)

    def campaign(self, name: str) -> CampaignSpec:
        """The campaign of that name.

        Raises:
            UsageError: There is none.
            ProblemsError: Its files have problems; names all of them.
        """
        if name in self.broken:
            raise ProblemsError(self.broken[name])
        found = self.campaigns.get(name)
        if found is None:
            cure = did_you_mean(name, {*self.campaigns, *self.broken}) or "look in campaigns/"
            raise UsageError(f'no campaign "{name}"', cure)
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
    def segment_map(self) -> SegmentMap:
        """What cells of RFM scores are called here."""
        return segment_map(self.settings.policy.rfm.segments, self.root)

    @property
    def database_path(self) -> Path:
        """The file of the customer database."""
        return self.home / self.settings.database.duckdb

    @property
    def ledger_place(self) -> LedgerPlace:
        """Where the ledger is."""
        ledger = self.settings.ledger
        return OnPostgres(ledger.postgres, ledger.place, self.snapshots_dir) if ledger.postgres else self.ledger_path

    @property
    def ledger_path(self) -> Path:
        """The file of a ledger on SQLite."""
        if self.settings.ledger.postgres:
            raise CampanileError(
                "the ledger is on PostgreSQL and in no file", "report this, it is an error of Campanile"
            )
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
    def audits_dir(self) -> Path:
        """Where the page of the audit is written."""
        return self.home / "audit"

    @property
    def readouts_dir(self) -> Path:
        """Where readouts are written."""
        return self.home / "readouts"

    @property
    def replays_dir(self) -> Path:
        """Where A/A replays are written."""
        return self.home / "aa"

    @property
    def outbox_dir(self) -> Path:
        """Where the outbox channel writes its messages."""
        return self.home / "outbox"


def load_project(root: Path, *, home: Path | None = None) -> Project:
    """The project in this folder. A campaign that cannot be read is missing in it, and hinders no other.

    Raises:
        UsageError: There is no such folder.
        ProblemsError: With every problem of campanile.yaml and segments.yaml.
    """
    from campanile.spec.check import read_project

    if not root.is_dir():
        raise UsageError(f"no folder {root}", "give the folder that holds campanile.yaml")
    parts = read_project(root)
    if parts.shop_problems or parts.settings is None:
        raise ProblemsError(parts.shop_problems)
    return Project(
        root=root,
        settings=parts.settings,
        campaigns={name: spec for name, spec in parts.campaigns.items() if name not in parts.broken},
        experiments={name: spec for name, spec in parts.experiments.items() if name not in parts.broken},
        segments=parts.segments,
        metrics=parts.metrics,
        home=home or root / parts.settings.home,
        broken=parts.broken,
        own_metrics=parts.own_metrics,
    )
