"""Makes the plan of one wave: select, split, write the snapshot, check every message, register all of it at once.

Reads the customer database and the project. Returns a frozen `Plan`. Sends nothing, and leaves nothing half-done:
until the last step, one transaction of the ledger, there is no plan.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from decimal import Decimal
from functools import partial
from pathlib import Path
from zoneinfo import ZoneInfo

import ibis.expr.types as ir

from campanile import clock
from campanile.audience.due import zone_or
from campanile.audience.select import select
from campanile.audience.waterfall import Audience
from campanile.customers.database import CustomerDatabase
from campanile.customers.engine import batches, parquet_rows
from campanile.customers.profile import ensure_profile
from campanile.customers.published import refuse
from campanile.design.assign import assign, assign_each
from campanile.errors import CampanileError
from campanile.events import CONTROL, PlannedMessage
from campanile.ledger.records import PlanRecord
from campanile.ledger.store import Ledger
from campanile.messages.check import RenderCheck, check_all
from campanile.messages.context import following, freeze
from campanile.messages.render import CampaignMessages, open_messages
from campanile.plan.codes import CODE, Codes, codes_for
from campanile.plan.freeze import fingerprint, frozen_spec
from campanile.plan.needs import fields_read
from campanile.plan.outlook import Money, outlook_of, worth_of_orders
from campanile.plan.past import sync_others, sync_past, wait_for_earlier
from campanile.plan.snapshot import remove_drafts, snapshot_relation, write_snapshot
from campanile.plan.sound import needs_sound_data
from campanile.plan.strength import strength_of
from campanile.plan.types import Left, Load, Outlook, Plan, Strength, from_summary, summary
from campanile.plan.waves import wave_at
from campanile.plan.weigh import weigh, weigh_policy
from campanile.spec.campaign import REMINDER, CampaignSpec, Remind
from campanile.spec.project import Project
from campanile.spec.vocabulary import load_vocabulary

#: Messages in one batch: what one Prefect task sends.
BATCH = 5_000
STEP = "message"
#: How far back `pre_…` looks at least: an audience is often chosen for having bought nothing lately.
_YEAR = clock.Duration(days=365)
#: Where a medium's address stands in the customer table.
ADDRESS = {"email": "email", "sms": "phone"}

Progress = Callable[[int, int], None]


def make_plan(  # noqa: PLR0913 - the stores come from outside, so that a flow opens them once
    project: Project,
    campaign: str,
    as_of: datetime,
    *,
    database: CustomerDatabase,
    ledger: Ledger,
    wave: str | None = None,
    progress: Progress = lambda _done, _total: None,
) -> Plan:
    """The frozen plan of one wave of the campaign; the one already begun, unchanged, when sending has begun.

    Args:
        project: What is committed.
        campaign: Name of the campaign.
        as_of: Aware moment; nothing later is seen.
        database: The shop's customers.
        ledger: Where the plan is registered.
        wave: Which one of a repeating campaign; default: the first of which something can still go out at `as_of`.
        progress: Told (messages checked, messages in all).

    Raises:
        CampanileError: A limit of the audit is broken, nobody is left, a message cannot be rendered, or a store fails.
            Nothing is registered then.
    """
    refuse(project, "a plan")
    whole = project.campaign(campaign)
    wave = wave or wave_at(whole, project, as_of)
    spec = whole.in_wave(wave)
    known = stored_plan(ledger, campaign, wave)
    if known is not None and known.begun:
        return known
    needs_sound_data(project, database, as_of)
    sync_past(project, database, ledger, spec)
    wait_for_earlier(project, whole, wave, as_of=as_of, ledger=ledger)
    sync_others(project, spec, wave, as_of=as_of, database=database, ledger=ledger)
    ensure_profile(project, database, as_of, fields=fields_read(project))
    work = _Work(project, spec, wave, as_of, database, ledger)
    audience = select(spec.target, database, as_of, project=project, campaign=spec)
    path, digest, arms = work.split(audience)
    messages = open_messages(project, campaign, columns=audience.eligible.columns)
    work = replace(work, codes=codes_for(project, spec, wave, arms, ledger))
    check = work.check(path, messages, arms=arms, progress=progress)
    return work.register(path, digest, arms=arms, audience=audience, check=check, messages=messages)


def stored_plan(ledger: Ledger, campaign: str, wave: str | None = None) -> Plan | None:
    """The plan as the ledger keeps it; None when the campaign was never planned."""
    record = ledger.plan(campaign, wave)
    if record is None:
        return None
    return from_summary(record, begun=ledger.begun(record.plan_id))


def message_id(campaign: str, wave: str, step: str, customer_id: str) -> str:
    """The id of a message: 32 hex digits, the same however often it is planned.

    >>> message_id("winback", "1", "message", "C1")
    '88bc88adf68dab00d532c0fd7c540e74'
    """
    return hashlib.sha256("\x1f".join((campaign, wave, step, customer_id)).encode()).hexdigest()[:32]


@dataclass(frozen=True)
class _Work:
    """One planning: what every step of it needs."""

    project: Project
    spec: CampaignSpec
    wave: str
    as_of: datetime
    database: CustomerDatabase
    ledger: Ledger
    codes: Codes = field(default_factory=lambda: Codes({}))

    @property
    def folder(self) -> Path:
        return self.project.snapshots_dir / self.spec.name

    def split(self, audience: Audience) -> tuple[Path, str, dict[str, int]]:
        """Path and sha256 of the written snapshot, and the size of each arm in the order of the split."""
        if audience.size == 0:
            raise CampanileError(
                f"nobody is left for {self.spec.name}",
                "run `campanile plan` with a wider target; the waterfall shows who goes where",
            )
        experiment = self.project.experiment(self.spec.name)
        shares = experiment.split if experiment else {"treatment": Decimal(1)}
        strata = experiment.stratify if experiment else ()
        window = experiment.primary.window if experiment else clock.Duration(days=30)
        if self.spec.repeats:
            assigned = assign_each(audience.eligible, split=shares, stratify=strata, salt=self.spec.name)
        else:
            assigned = assign(audience.eligible, split=shares, stratify=strata, salt=f"{self.spec.name}:{self.wave}")
        relation = snapshot_relation(
            assigned,
            self.database,
            project=self.project,
            timing=self.spec.timing,
            before=(min(window.before(self.as_of), _YEAR.before(self.as_of)), self.as_of),
        )
        cuts = experiment.cuts if experiment else ()
        keep = dict.fromkeys(("customer_id", "arm", "stratum", "due_at", "pre_orders", "pre_revenue", *strata, *cuts))
        path, digest = write_snapshot(self.database, relation, self.folder, tuple(keep))
        counted = parquet_rows(self.database, path)["arm"].value_counts(name="n").to_pyarrow().to_pylist()
        sizes = {row["arm"]: row["n"] for row in counted}
        return path, digest, {arm: sizes.get(arm, 0) for arm in shares}

    def check(self, path: Path, messages: CampaignMessages, *, arms: dict[str, int], progress: Progress) -> RenderCheck:
        """What rendering everybody came to; CampanileError when one message cannot be rendered."""
        steps = 2 if self.spec.timing.remind else 1
        total = steps * sum(size for arm, size in arms.items() if arm != CONTROL)
        planned = _told(self.messages(path, messages.variables), total, progress)
        check = check_all(messages.as_samples().render, planned)
        check.raise_for_failures()
        return check

    def messages(self, path: Path, fields: Collection[str]) -> Iterator[PlannedMessage]:
        """Every message of the snapshot, in the order of customer ids; streamed."""
        rows = _recipients(self.database, path, self.as_of, fields={*fields, ADDRESS[self.spec.channel.use]})
        vocabulary = load_vocabulary()
        money = {name for name, kind in vocabulary.fields.items() if kind == "money"}
        frozen = partial(freeze, fields=sorted(fields), money=money, currency=self.project.currency)
        number, codes = 0, self.codes.giver()
        for batch in batches(self.database, rows):
            for row in batch.to_pylist():
                file = self.spec.offer_for(str(row["arm"])).codes
                own = {CODE: next(codes[file])} if file else {}
                message = self.message(row, {**frozen(row), **own}, number // BATCH)
                yield message
                number += 1
                if self.spec.timing.remind:
                    yield self.reminder(message, self.spec.timing.remind)

    def reminder(self, first: PlannedMessage, remind: Remind) -> PlannedMessage:
        """The second message to the same recipient, at the same time of day where that is."""
        due = remind.after.after(first.due_at.astimezone(clock.zone(first.zone))).astimezone(UTC)
        return replace(
            first,
            message_id=message_id(self.spec.name, self.wave, REMINDER, first.customer_id),
            step=REMINDER,
            variables=following(first),
            due_at=due,
            expires_at=self.spec.timing.expiry(due),
        )

    def message(self, row: dict[str, object], variables: dict[str, object], batch: int) -> PlannedMessage:
        """The planned message of one recipient."""
        due_at = row["due_at"]
        assert isinstance(due_at, datetime)
        due = due_at.replace(tzinfo=UTC)
        customer, medium = str(row["customer_id"]), self.spec.channel.use
        return PlannedMessage(
            message_id=message_id(self.spec.name, self.wave, STEP, customer),
            customer_id=customer,
            arm=str(row["arm"]),
            step=STEP,
            channel=medium,
            address=str(row[ADDRESS[medium]]),
            variables=variables,
            due_at=due,
            expires_at=self.spec.timing.expiry(due),
            zone=self.zone(row.get("timezone")).key,
            batch=batch,
        )

    def zone(self, name: object) -> ZoneInfo:
        """The zone that `at` and `quiet` mean for a customer with that time zone."""
        shop = self.project.zone
        return shop if self.spec.timing.clock == "shop" else zone_or(str(name or ""), shop)

    def _too_late(self) -> str | None:
        """What is said when every message of the plan would expire at once."""
        timing = self.spec.timing
        moment = clock.local_moment(timing.start, timing.at, self.project.zone)
        if timing.expiry(moment) > self.as_of:
            return None
        return f"timing.start is {timing.start}: its deadline has passed, and every message would expire unsent"

    def register(  # noqa: PLR0913
        self,
        path: Path,
        digest: str,
        *,
        arms: dict[str, int],
        audience: Audience,
        check: RenderCheck,
        messages: CampaignMessages,
    ) -> Plan:
        """The plan, now in the ledger with all of its messages."""
        frozen = frozen_spec(self.project, self.spec.name, self.wave)
        print_ = fingerprint(frozen)
        experiment = self.project.experiment(self.spec.name)
        strength = strength_of(experiment, arms) if experiment else None
        policy = weigh_policy(audience, self.project.settings.policy.marketing_share)
        identity = f"{self.spec.name}:{self.wave}:{print_}:{digest}:{clock.iso(self.as_of)}"
        draft = Plan(
            plan_id=hashlib.sha256(identity.encode()).hexdigest()[:16],
            campaign=self.spec.name,
            wave=self.wave,
            as_of=self.as_of,
            fingerprint=print_,
            snapshot=path.relative_to(self.project.home).as_posix(),
            audience=sum(arms.values()),
            arms=arms,
            waterfall=tuple(Left(step.line, step.text, step.left, step.lost) for step in audience.waterfall()),
            strength=strength,
            load=_load(self.project, self.spec, check),
            currency=self.project.currency.code,
            problems=weigh(arms, strength, check, policy=policy, too_late=self._too_late()),
            lost_to=audience.lost_to,
            shared_with=audience.shared_with,
            outlook=self.outlook(path, arms, strength),
        )
        record = _record(draft, frozen, digest)
        self.ledger.register(record, self.messages(path, messages.variables))
        remove_drafts(self.folder, {Path(each.snapshot).name for each in self.ledger.plans()})
        return draft

    def outlook(self, path: Path, arms: dict[str, int], strength: Strength | None) -> Outlook | None:
        """What the plan means in money, from the past orders of its audience."""
        experiment = self.project.experiment(self.spec.name)
        if experiment is None or strength is None:
            return None
        contact = _each(self.project, self.spec) * self.project.currency.scale
        money = Money(float(self.project.settings.economics.margin_rate), float(contact))
        return outlook_of(experiment, strength, arms, worth_of_orders(self.database, path, self.as_of), money)


def _recipients(database: CustomerDatabase, snapshot: Path, as_of: datetime, *, fields: Collection[str]) -> ir.Table:
    """Everybody who gets a message, with address, zone and what the templates read, ordered by customer id."""
    units = parquet_rows(database, snapshot)
    treated = units.filter(units["arm"] != CONTROL).select("customer_id", "arm", "due_at")
    customers = database.customers(as_of)
    wanted = sorted({*fields, "timezone"} & set(customers.columns) - {"customer_id"})
    return treated.inner_join(customers.select("customer_id", *wanted), "customer_id").order_by("customer_id")


def _told(messages: Iterator[PlannedMessage], total: int, progress: Progress) -> Iterator[PlannedMessage]:
    for number, message in enumerate(messages, 1):
        yield message
        if number % 500 == 0 or number == total:
            progress(number, total)


def _load(project: Project, spec: CampaignSpec, check: RenderCheck) -> Load:
    """What will be sent and what it costs in minor units."""
    each = _each(project, spec)
    units = check.segments_total if spec.channel.use == "sms" else check.messages
    cost = project.currency.minor(each * units + spec.costs.fixed)
    return Load(check.messages, check.segments_total, check.bytes_max, cost, check.by_arm)


def _each(project: Project, spec: CampaignSpec) -> Decimal:
    """What a message costs, major units."""
    own = spec.costs.per_message
    return project.settings.economics.cost_per_message[spec.channel.use] if own is None else own


def _record(plan: Plan, frozen: dict[str, object], digest: str) -> PlanRecord:
    return PlanRecord(
        plan_id=plan.plan_id,
        campaign=plan.campaign,
        wave=plan.wave,
        as_of=plan.as_of,
        created_at=clock.now(),
        fingerprint=plan.fingerprint,
        spec=json.loads(json.dumps({**frozen, "summary": summary(plan)})),
        snapshot=plan.snapshot,
        snapshot_sha256=digest,
        arms=plan.arms,
    )
