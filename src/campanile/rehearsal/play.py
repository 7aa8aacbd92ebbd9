"""Plays a campaign from the shop's files to its readout, against customers whose reaction was put in.

Everything happens in a folder of its own, with the project's own campaign, experiment, templates and policy. Only three
things differ from real work: the files are made up, mail goes to a server on loopback, and the clock is the campaign's.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from datetime import time as clock_time
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from campanile import clock
from campanile.customers.database import CustomerDatabase
from campanile.customers.importing import import_tables
from campanile.customers.profile import refresh_profile
from campanile.errors import CampanileError
from campanile.events import CONTROL
from campanile.ledger.store import Ledger
from campanile.measure.types import Comparison
from campanile.plan.explain import explain
from campanile.plan.make import STEP, make_plan, message_id
from campanile.plan.types import Plan
from campanile.readout.read import read_out
from campanile.registry.page import write_page
from campanile.rehearsal.mailbox import mailbox, received
from campanile.rehearsal.react import Effect, Truth, react
from campanile.rehearsal.shop import write_shop
from campanile.report.files import write_readout
from campanile.report.readout import Readout
from campanile.sending.run import run_campaign
from campanile.sending.status import status, status_text
from campanile.spec.campaign import ONLY_WAVE
from campanile.spec.project import Project
from campanile.spec.settings import LedgerSettings

#: Tables that customers' reactions add to.
_AFTERWARDS = ("order", "returned", "unsubscribed")

Tell = Callable[[str], None]
Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Script:
    """How a rehearsal is set up: the same script gives the same figures."""

    customers: int = 50_000
    seed: int = 1
    effect: Effect = field(default_factory=Effect)


@dataclass(frozen=True)
class Rehearsal:
    """What a rehearsal came to, and where everything lies."""

    home: Path
    mails: Path
    plan: Plan
    account: dict[str, Any]
    truth: Truth
    readout: Readout
    pages: tuple[Path, ...]

    @property
    def _primary(self) -> Comparison:
        """The primary metric of the first treatment against control."""
        return self.readout.against_control(self.readout.setting.primary)[0]

    def to_json(self) -> dict[str, Any]:
        """The figures as plain JSON values."""
        found = self._primary
        return {
            "contract": 1,
            "audience": self.plan.audience,
            "arms": dict(self.plan.arms),
            "status": self.account,
            "truth": {"difference": self.truth.difference, "reached": self.truth.reached},
            "found": {"difference": found.difference, "low": found.low, "high": found.high, "p_value": found.p_value},
            "decision": self.readout.verdict.decision,
            "home": str(self.home),
            "mails": str(self.mails),
            "pages": [str(page) for page in self.pages],
        }

    def text(self) -> str:
        """The end of the rehearsal in words: truth beside what was found, and where to look."""
        found = self._primary
        middle, low, high = (100 * (figure or 0.0) for figure in (found.difference, found.low, found.high))
        inside = "contains" if low <= self.truth.difference * 100 <= high else "misses"
        return "\n".join(
            [
                self.readout.verdict.sentence,
                "",
                f"Put in:  {self.truth.difference * 100:.2f} points more buyers per assigned customer; "
                f"{self.truth.reached:.1%} of the treated got their mail",
                f"Found:   {middle:.2f} points [{low:.2f}, {high:.2f}]: the interval {inside} the truth",
                "",
                f"Readout  {next(page for page in self.pages if page.suffix == '.html')}",
                f"Mails    {self.mails}",
                f"Ledger   {self.home / 'ledger.sqlite'}",
            ]
        )


def rehearse(
    project: Project,
    campaign: str,
    script: Script = Script(),
    *,
    tell: Tell = lambda _line: None,
    progress: Progress = lambda _done, _total: None,
) -> Rehearsal:
    """The finished rehearsal of a campaign; its folder is emptied first.

    Raises:
        CampanileError: The campaign is not sent by e-mail or has no experiment, or a step of it fails.
    """
    experiment = project.experiment(campaign)
    if experiment is None or project.campaign(campaign).channel.use != "email":
        raise CampanileError(f"{campaign} cannot be rehearsed", "only a campaign by e-mail that has an experiment can")
    home = project.home / "rehearsal" / campaign
    shutil.rmtree(home, ignore_errors=True)
    # Whatever the shop's own ledger is, a rehearsal has one of its own, in its folder.
    settings = project.settings.model_copy(update={"ledger": LedgerSettings()})
    stage = _Stage(replace(project, home=home, settings=settings), campaign, script, tell, progress)
    stage.open_shop()
    plan = stage.plan()
    account = stage.send()
    truth = stage.react(plan)
    readout = stage.read()
    pages = write_readout(readout, stage.project.readouts_dir / campaign)
    write_page(stage.project)
    return Rehearsal(home, stage.mails, plan, account, truth, readout, tuple(pages))


@dataclass(frozen=True)
class _Stage:
    """The acts of a rehearsal; each tells what it does and how long it took."""

    project: Project
    campaign: str
    script: Script
    tell: Tell
    progress: Progress

    @property
    def mails(self) -> Path:
        return self.project.home / "mails"

    @property
    def start(self) -> datetime:
        """The planned send moment by the shop's clock."""
        timing = self.project.campaign(self.campaign).timing
        return clock.local_moment(timing.start, timing.at, self.project.zone)

    @property
    def as_of(self) -> datetime:
        """Nine in the morning, four days before the send."""
        day = self.start.astimezone(self.project.zone).date() - timedelta(days=4)
        return clock.local_moment(day, clock_time(9), self.project.zone)

    def open_shop(self) -> None:
        """Makes the shop's files up, imports and profiles them."""
        zone, folder = self.project.zone, self.project.home / "data"
        with self._act(f"A shop of {self.script.customers:,} customers and two years of orders"):
            shop = write_shop(
                folder, as_of=self.as_of.astimezone(zone), customers=self.script.customers, seed=self.script.seed
            )
        with CustomerDatabase.open(self.project) as database:
            with self._act(f"Import, with {shop.bad_rows} bad rows in it"):
                report = import_tables(self.project, database, now=self.as_of)
            self.tell(_indented(report.text()))
            with self._act("Profile"):
                profile = refresh_profile(self.project, database, self.as_of)
            self.tell(_indented(profile.text(self.project.zone)))

    def plan(self) -> Plan:
        """Plans the campaign and tells the plan."""
        with (
            self._act(f"Plan of {self.campaign}"),
            CustomerDatabase.open(self.project) as database,
            Ledger.open(self.project.ledger_place) as ledger,
        ):
            plan = make_plan(
                self.project, self.campaign, self.as_of, database=database, ledger=ledger, progress=self.progress
            )
        self.tell(_indented(explain(plan, self.project.zone)))
        return plan

    def send(self) -> dict[str, Any]:
        """Sends through a mail server on loopback; the account of every message."""
        with self._act("Send through SMTP on loopback"), mailbox(self.mails) as port:
            project = self._with_server(port)
            run_campaign(project, self.campaign, mode="send", now=lambda: self.start, progress=self.progress)
        with Ledger.open(self.project.ledger_place) as ledger:
            record = ledger.plan(self.campaign)
            assert record is not None
            account = status(ledger, record)
        self.tell(_indented(status_text(account)))
        return account

    def react(self, plan: Plan) -> Truth:
        """Lets customers react, and imports what they did."""
        experiment = self.project.experiment(self.campaign)
        assert experiment is not None
        snapshot, folder = self.project.home / plan.snapshot, self.project.home / "data"
        with self._act("Customers react"):
            truth = react(
                snapshot,
                self._recipients(snapshot),
                folder,
                effect=self.script.effect,
                offer=self.project.campaign(self.campaign).offer,
                days=(experiment.primary.window.after(self.start) - self.start).days,
                seed=self.script.seed,
                zone=self.project.zone.key,
            )
            with CustomerDatabase.open(self.project) as database:
                import_tables(self.project, database, only=_AFTERWARDS, now=self._end)
        return truth

    def read(self) -> Readout:
        """Reads the experiment a day after the last window."""
        with (
            self._act("Readout"),
            CustomerDatabase.open(self.project) as database,
            Ledger.open(self.project.ledger_place) as ledger,
        ):
            return read_out(self.project, self.campaign, database=database, ledger=ledger, now=self._end)

    @property
    def _end(self) -> datetime:
        experiment = self.project.experiment(self.campaign)
        assert experiment is not None
        return experiment.primary.window.after(self.start) + timedelta(days=1)

    def _recipients(self, snapshot: Path) -> set[str]:
        """Ids of the customers whose mail lies in the mail server's folder."""
        arrived = received(self.mails)
        units = pq.read_table(snapshot, columns=["customer_id", "arm"]).to_pydict()
        pairs = zip(units["customer_id"], units["arm"], strict=True)
        return {
            unit
            for unit, arm in pairs
            if arm != CONTROL and message_id(self.campaign, ONLY_WAVE, STEP, unit) in arrived
        }

    def _with_server(self, port: int) -> Project:
        """The project with its mail going to that port of this machine."""
        settings = self.project.settings
        mail = settings.channels["email"].model_copy(
            update={"via": "smtp", "host": "127.0.0.1", "port": port, "security": "none", "username": ""}
        )
        return replace(
            self.project, settings=settings.model_copy(update={"channels": {**settings.channels, "email": mail}})
        )

    def _act(self, name: str) -> _Act:
        return _Act(name, self.tell)


class _Act:
    """Tells how long a block took."""

    def __init__(self, name: str, tell: Tell) -> None:
        self.name, self.tell, self.began = name, tell, 0.0

    def __enter__(self) -> None:
        self.began = time.perf_counter()

    def __exit__(self, *error: object) -> None:
        if error[0] is None:
            self.tell(f"{self.name} ({time.perf_counter() - self.began:.1f} s)")


def _indented(text: str) -> str:
    return "\n".join(f"  {line}" for line in text.splitlines())
