"""What the ledger knows and a selection must see: who was written to, who was assigned, whose address is suppressed."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path

from campanile.audience.policy import scopes_of
from campanile.audience.reach import reach_of
from campanile.customers.database import CustomerDatabase
from campanile.customers.history import record_assignment, sync_history, sync_responses, sync_suppressions
from campanile.customers.others import Rival, sync_commitments, sync_rivals
from campanile.customers.tables import CUSTOMERS
from campanile.errors import CampanileError
from campanile.ledger.answers import answers
from campanile.ledger.commitments import Around, commitments
from campanile.ledger.records import PlanRecord
from campanile.ledger.refusals import SIGNATURE, TOPIC, erased_among, refused_in
from campanile.ledger.store import Ledger
from campanile.plan.waves import due_between, due_waves
from campanile.spec.campaign import CampaignSpec, Timing
from campanile.spec.fields import MEDIA
from campanile.spec.project import Project


def sync_past(project: Project, database: CustomerDatabase, ledger: Ledger, spec: CampaignSpec | None = None) -> None:
    """Nothing; the customer database now knows the product's own contacts, assignments and suppressions.

    Args:
        project: Stores and settings.
        database: Open for writing.
        ledger: The ledger.
        spec: The campaign that is planned, whose topic and signature may have been refused; None for none.

    Raises:
        CampanileError: The snapshot of an earlier campaign is gone.
    """
    sync_history(database, ledger)
    sync_responses(database, answers(ledger))
    sync_suppressions(database, _suppressed(project, database, ledger, spec))
    for record in ledger.plans():
        if record.state == "planned":
            continue
        snapshot = _snapshot_of(record, project)
        record_assignment(database, snapshot, campaign=record.campaign, wave=record.wave, at=record.created_at)


def _suppressed(
    project: Project, database: CustomerDatabase, ledger: Ledger, spec: CampaignSpec | None
) -> Iterator[tuple[str, str]]:
    """Channel and address of everybody who refused, `customer` and id of who refused everything, and the erased."""
    scopes = []
    if spec is not None:
        channel = project.settings.channels.get(spec.channel.use)
        scopes = [f"{TOPIC}{spec.topic}"] if spec.topic else []
        scopes += [f"{SIGNATURE}{channel.signature}"] if channel and channel.signature else []
    yield from refused_in(ledger, scopes)
    yield from erased_among(ledger, _addresses(database))


def _addresses(database: CustomerDatabase) -> Iterator[tuple[str, str]]:
    """Channel and address of every record that has one; streamed."""
    if CUSTOMERS not in database.tables():
        return
    records = database.records(CUSTOMERS)
    for channel in MEDIA:
        column = reach_of(channel).address
        if column in records.columns:
            for batch in records.select(column).distinct().to_pyarrow_batches():
                yield from ((channel, str(value)) for value in batch.column(0).to_pylist() if value)


def wait_for_earlier(project: Project, spec: CampaignSpec, wave: str, *, as_of: datetime, ledger: Ledger) -> None:
    """Nothing, when no earlier wave of a repeating campaign waits to be sent: its customers are not known to be taken.

    Raises:
        CampanileError: One does.
    """
    for record in ledger.plans():
        earlier = spec.repeats and record.campaign == spec.name and record.wave < wave
        if earlier and record.state == "planned" and record.wave in due_waves(spec, project, as_of):
            raise CampanileError(
                f"wave {record.wave} of {spec.name} waits to be sent; nobody knows yet whom {wave} must leave out",
                f"run `campanile run {spec.name}` first, or plan when its deadline has passed",
            )


def sync_others(  # noqa: PLR0913 - what is planned, from when it is seen, and the stores
    project: Project, spec: CampaignSpec, wave: str, *, as_of: datetime, database: CustomerDatabase, ledger: Ledger
) -> None:
    """Nothing; the customer database now knows what other plans send around this campaign, and whom they have then.

    Raises:
        CampanileError: The snapshot of another campaign of the same days is gone.
    """
    policy, due = project.settings.policy, due_between(spec.timing, project)
    caps = [cap for _, cap in scopes_of(policy, spec.channel.use)]
    after = min((cap.within.before(due[0]) for cap in caps), default=due[0])
    before = max((cap.within.after(due[1]) for cap in caps), default=due[0])
    sync_commitments(database, commitments(ledger, Around(spec.name, wave, as_of, after, before)))
    marketing = policy.one_per_day and spec.purpose == "marketing"
    sync_rivals(database, list(_rivals(project, spec, wave, ledger)) if marketing else [], project.zone)


def _rivals(project: Project, spec: CampaignSpec, wave: str, ledger: Ledger) -> Iterator[Rival]:
    """The marketing campaigns that may have somebody on the days of this one, the foremost first.

    A campaign keeps its customers when its priority is the same or higher, and when its sending has begun: then its
    plan is frozen, whatever its priority.
    """
    first, last = due_between(spec.timing, project)
    near = timedelta(days=1)
    found = []
    for record in ledger.plans():
        mine = (record.campaign, record.wave) == (spec.name, wave)
        if mine or record.purpose != "marketing":
            continue
        starts, ends = due_between(Timing.model_validate(record.campaign_part("timing")), project)
        if starts <= last + near and ends >= first - near:
            begun = ledger.begun(record.plan_id)
            found.append((not begun, -record.priority, record, begun or record.priority >= spec.priority))
    for place, (_, _, record, comes_first) in enumerate(sorted(found, key=lambda each: each[:2])):
        yield Rival(record.campaign, place, comes_first, _snapshot_of(record, project))


def _snapshot_of(record: PlanRecord, project: Project) -> Path:
    """Where the assignment of a plan lies; CampanileError when it is gone."""
    snapshot = project.home / record.snapshot
    if not snapshot.exists():
        what = f"the assignment of {record.campaign} is gone: {record.snapshot}"
        again = "" if record.state != "planned" else f", or run `campanile plan {record.campaign}`"
        raise CampanileError(what, f"restore it from a backup{again}")
    return snapshot
