"""Reads one wave out: gathers what the stores hold, then trust, effect, money and the verdict, in this order."""

from __future__ import annotations

import hashlib
import json
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from campanile.audience.frame import Frame
from campanile.customers.database import CustomerDatabase
from campanile.customers.history import sync_history, sync_responses
from campanile.errors import CampanileError
from campanile.events import MessageState
from campanile.ledger.answers import answers
from campanile.ledger.attribution import answers_of
from campanile.ledger.records import PlanRecord
from campanile.ledger.repair import public_reason
from campanile.ledger.store import Ledger
from campanile.measure import outcomes as measured
from campanile.measure.by_channel import by_channel
from campanile.measure.lift import Estimate
from campanile.measure.outcomes import Span, Wave
from campanile.measure.own import OwnMetrics
from campanile.measure.persons import Merged
from campanile.measure.sums import ArmOutcome, Measured, measure
from campanile.plan.waves import due_between
from campanile.privacy import redact
from campanile.readout.deviations import deviations
from campanile.readout.effects import Effects, in_order
from campanile.readout.evidence import evidence_values
from campanile.readout.guards import guard_findings
from campanile.readout.judged import judged
from campanile.readout.parts import large
from campanile.readout.so_far import so_far
from campanile.readout.terms import Terms, in_words, read_terms, treatments
from campanile.readout.trust import Inquiry, Record, examine
from campanile.readout.verdict import early
from campanile.report.numbers import moment
from campanile.report.readout import ArmFigures, Delivery, Readout, Setting, Verdict
from campanile.spec.campaign import Timing
from campanile.spec.project import Project

#: Reasons shown for each arm and state; the rest is added up.
_REASONS = 5


def read_out(  # noqa: PLR0913 - the stores come from outside, so that a flow opens them once
    project: Project,
    campaign: str,
    *,
    database: CustomerDatabase,
    ledger: Ledger,
    now: datetime,
    past: Callable[[str], Sequence[Estimate]] = lambda _metric: (),
) -> Readout:
    """The readout of a campaign at `now`, judged by what was registered before its first send.

    A repeating campaign is one experiment over all of its waves: it ends when the last window of the last one has.
    Before the last customer's window has ended, and when a check that ends trust has failed, there is no verdict;
    before the end no effect is in the readout at all.

    Args:
        project: Today's files: shop, currency, and what deviates.
        campaign: Name of the campaign.
        database: The shop's customers and orders.
        ledger: Plan, registration and messages.
        now: Aware moment; nothing later is seen.
        past: The lifts of past campaigns in a metric, for the readout's wording in chances.

    Raises:
        CampanileError: The campaign was never planned, has no experiment, or a store lacks what is needed.
    """
    plans = _plans(ledger, campaign)
    reading = _Reading.of(project, plans, ledger, now.astimezone(UTC))
    with _exported(ledger, plans) as messages:
        return reading.read(database, messages, past)


def _plans(ledger: Ledger, campaign: str) -> tuple[PlanRecord, ...]:
    """The plans of every wave that was begun, in the order of waves; of none that was, the latest plan."""
    plan = ledger.plan(campaign)
    if plan is None:
        raise CampanileError(f"{campaign} was never planned", f"run `campanile plan {campaign}`")
    begun = [record for record in ledger.plans() if record.campaign == campaign and record.state != "planned"]
    return tuple(sorted(begun, key=lambda record: record.wave)) or (plan,)


@contextmanager
def _exported(ledger: Ledger, plans: Sequence[PlanRecord]) -> Iterator[tuple[Path, ...]]:
    """The plans' messages as Parquet, without addresses, for as long as the block runs."""
    with tempfile.TemporaryDirectory(prefix="campanile-readout-") as folder:
        paths = tuple(Path(folder) / f"{plan.plan_id}.parquet" for plan in plans)
        for plan, path in zip(plans, paths, strict=True):
            ledger.export_messages(plan.plan_id, path)
        yield paths


@dataclass(frozen=True)
class _Reading:
    """One reading: the stores but the customer database, and the registered terms."""

    project: Project
    plans: tuple[PlanRecord, ...]
    ledger: Ledger
    now: datetime
    terms: Terms
    registered_at: datetime | None

    @property
    def plan(self) -> PlanRecord:
        """The plan of the first wave, whose terms judge."""
        return self.plans[0]

    @classmethod
    def of(cls, project: Project, plans: tuple[PlanRecord, ...], ledger: Ledger, now: datetime) -> _Reading:
        plan = plans[0]
        registration = ledger.registration(plan.campaign, plan.wave)
        spec = json.loads(registration.spec_json) if registration else plan.spec
        terms = read_terms(plan.campaign, spec)
        return cls(project, plans, ledger, now, terms, registration.at if registration else None)

    def read(
        self, database: CustomerDatabase, messages: tuple[Path, ...], past: Callable[[str], Sequence[Estimate]]
    ) -> Readout:
        """The readout, with the plans' messages exported to files."""
        if not database.read_only:
            sync_history(database, self.ledger)
            sync_responses(database, answers(self.ledger))
        intact = all(list(map(self.intact, self.plans)))
        wave = self.wave(messages)
        within = measured.span(database, wave)
        setting = self.setting(within)
        # Before the windows end no effect is in the readout, so nothing is parted.
        summed = measure(measured.outcomes(database, wave, within), wave.cuts if setting.ended else ())
        _check_arms(self.plan.campaign, self.terms, summed.arms)
        record = self.record(database, intact=intact, merged=measured.merged_units(database, wave))
        known = self.known(setting, summed, _delivery(database, messages, self.terms), record)
        if not setting.ended:
            return replace(known, verdict=early(setting, known, moment(setting.window_ends, setting.zone)))
        pairs = [arm for arm in in_order(self.terms) if arm in summed.arms]
        levels = {cut: large(found, pairs) for cut, found in summed.cuts.items()}
        channels = by_channel(database, wave, within, {arm: summed.arms[arm].statistics.n for arm in pairs})
        effects = Effects(self.terms, self.project.currency, summed.arms, summed.strata, levels, channels)
        first_days = measured.response_curve(database, wave, within)
        before = past(self.terms.experiment.primary.metric)
        found = judged(known, effects, first_days, before)
        return replace(found, evidence=evidence_values(found, effects, first_days, before))

    def wave(self, messages: tuple[Path, ...]) -> Wave:
        """What is to be measured."""
        project, experiment = self.project, self.terms.experiment
        return Wave(
            self.plan.campaign,
            tuple(project.home / plan.snapshot for plan in self.plans),
            messages,
            window=experiment.primary.window,
            read_at=self.now,
            list_rate=self.terms.list_rate,
            cuts=experiment.cuts,
            own=OwnMetrics(Frame(self.now, project.zone, project.currency, {}), self.terms.own),
        )

    def known(self, setting: Setting, summed: Measured, delivery: tuple[Delivery, ...], record: Record) -> Readout:
        """What may be said before any effect is looked at, and what a registered monitoring shows."""
        terms, arms = self.terms, summed.arms
        inquiry = Inquiry(terms, setting, self.project.currency, arms, delivery, record)
        return Readout(
            setting=setting,
            verdict=_UNDECIDED,
            trust=examine(inquiry),
            arms=tuple(ArmFigures(arm, arms[arm].statistics.n, share) for arm, share in in_order(terms).items()),
            delivery=delivery,
            guards=guard_findings(terms, arms, ended=setting.ended),
            so_far=() if setting.ended else so_far(terms, arms),
            # Before the end, coupons would tell how many of an arm bought.
            attribution=tuple(answers_of(self.ledger, self.plans)) if setting.ended else (),
            terms=in_words(terms, self.project.currency),
            deviations=deviations(self.project, self.plan.campaign, terms.spec, self.plan.wave),
        )

    def ends(self, span: Span) -> datetime:
        """The end of the last window: of a repeating campaign that of the last wave that may still go out."""
        timing = Timing.model_validate(self.terms.spec["campaign"]["timing"])
        if timing.until is None:
            return span.ends
        last = due_between(timing.model_copy(update={"start": timing.days[-1]}), self.project)[1]
        return max(span.ends, self.terms.experiment.primary.window.after(last))

    def setting(self, span: Span) -> Setting:
        """What is read, and when."""
        project, terms, plan = self.project, self.terms, self.plan
        return Setting(
            campaign=plan.campaign,
            wave=plan.wave if len(self.plans) == 1 else f"{plan.wave} to {self.plans[-1].wave}",
            shop=project.settings.shop.name,
            hypothesis=terms.experiment.hypothesis,
            currency=project.currency,
            zone=project.zone,
            primary=terms.experiment.primary.metric,
            own={metric.name: metric.kind for metric in terms.own},
            alpha=terms.alpha,
            window=terms.experiment.primary.window,
            as_of=plan.as_of,
            first_due=span.first_due,
            window_ends=self.ends(span),
            read_at=self.now,
            plan_id=plan.plan_id,
            fingerprint=plan.fingerprint,
            registered_at=self.registered_at,
        )

    def intact(self, plan: PlanRecord) -> bool:
        """Whether the assignment is the one that was planned; CampanileError when it cannot even be read."""
        snapshot = self.project.home / plan.snapshot
        try:
            with snapshot.open("rb") as file:
                digest = hashlib.file_digest(file, "sha256").hexdigest()
            if digest != plan.snapshot_sha256:
                pq.read_table(snapshot)
        except (OSError, pa.ArrowException) as error:
            what = f"the snapshot {snapshot} of {plan.campaign} cannot be read"
            why = error.strerror if isinstance(error, OSError) and error.strerror else "it is damaged"
            cure = "restore it from a backup: who is in which arm is written there"
            raise CampanileError(f"{what} ({why})", cure) from None
        return digest == plan.snapshot_sha256

    def record(self, database: CustomerDatabase, *, intact: bool, merged: Merged) -> Record:
        """What the stores say of the wave's making."""
        newest, a_day = measured.newest_order(database, self.now)
        return Record(
            intact,
            self.registered_at,
            min(filter(None, (self.ledger.first_hand_over(plan.plan_id) for plan in self.plans)), default=None),
            newest,
            a_day,
            merged,
        )


_UNDECIDED = Verdict("no_verdict", "")


def _check_arms(campaign: str, terms: Terms, arms: Mapping[str, ArmOutcome]) -> None:
    """Raises CampanileError when a registered arm has too few customers to compare."""
    small = [arm for arm in in_order(terms) if arm not in arms or arms[arm].statistics.n < 2]
    if small:
        what = f"arm {small[0]} of {campaign} has fewer than two customers, so there is nothing to compare"
        raise CampanileError(what, "plan the campaign with a larger audience")


def _delivery(database: CustomerDatabase, messages: tuple[Path, ...], terms: Terms) -> tuple[Delivery, ...]:
    """The account of each treatment's messages, counted by the engine."""
    exported = database.ibis.read_parquet(list(messages))
    keys = ("arm", "state", "reason")
    rows = exported.group_by(*keys).aggregate(messages=exported.count()).to_pyarrow().to_pylist()
    arms = dict.fromkeys((*treatments(terms), *sorted({row["arm"] for row in rows})))
    return tuple(_account(arm, [row for row in rows if row["arm"] == arm]) for arm in arms)


def _account(arm: str, rows: list[dict[str, Any]]) -> Delivery:
    states: Counter[str] = Counter({state.value: 0 for state in MessageState})
    reasons: Counter[tuple[str, str]] = Counter()
    for row in rows:
        states[row["state"]] += row["messages"]
        if row["reason"] and row["state"] != MessageState.ACCEPTED:
            reasons[row["state"], redact(public_reason(row["reason"]))] += row["messages"]
    shown = dict(reasons.most_common(_REASONS))
    rest = sum(reasons.values()) - sum(shown.values())
    return Delivery(arm, dict(states), {**shown, **({("other", "other reasons"): rest} if rest else {})})
