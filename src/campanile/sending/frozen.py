"""Whether the plan that is about to be sent is still the one that was made."""

from __future__ import annotations

import hashlib
import json

from campanile.errors import CampanileError
from campanile.ledger import Ledger, PlanRecord
from campanile.plan.freeze import frozen_spec
from campanile.spec.project import Project

#: Parts of a frozen spec that decide what recipients see. Once a message has left, only these may not change: the
#: experiment may, and the readout lists it as a deviation.
_SEEN = ("campaign", "templates", "shop", "channels")


def planned_record(ledger: Ledger, campaign: str, wave: str | None = None) -> PlanRecord:
    """The plan of a wave; by default of the first of which something waits, or of the latest.

    Raises:
        CampanileError: It was never planned.
    """
    plan = ledger.plan(campaign, wave)
    if plan is None and wave is not None:
        raise CampanileError(f"wave {wave} of {campaign} is not planned", f"run `campanile plan {campaign}`")
    if wave is None:
        waiting = (record for record in ledger.plans() if record.campaign == campaign and record.state != "sent")
        plan = min(waiting, key=lambda record: record.wave, default=plan)
    if plan is None:
        raise CampanileError(f"{campaign} is not planned", f"run `campanile plan {campaign}`")
    return plan


def check_frozen(project: Project, ledger: Ledger, plan: PlanRecord) -> None:
    """Returns when the snapshot and everything that recipients see are as planned; CampanileError otherwise."""
    _check_snapshot(project, plan)
    now = json.loads(json.dumps(frozen_spec(project, plan.campaign, plan.wave)))
    begun = ledger.begun(plan.plan_id)
    parts = _SEEN if begun else tuple(now)
    changed = [part for part in parts if part in plan.spec and plan.spec[part] != now[part]]
    if not changed:
        return
    what = f"{' and '.join(changed)} of {plan.campaign} changed since it was planned"
    if begun:
        raise CampanileError(f"{what}, and its first messages are out", "restore the committed files, then run again")
    raise CampanileError(what, f"run `campanile plan {plan.campaign}` and look at it again")


def _check_snapshot(project: Project, plan: PlanRecord) -> None:
    path = project.home / plan.snapshot
    try:
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        what = f"the snapshot {path} of {plan.campaign} cannot be read ({error.strerror})"
        raise CampanileError(what, "restore it from a backup: without it the experiment cannot be read") from None
    if digest != plan.snapshot_sha256:
        what = f"the snapshot {path} is not the one that was planned"
        raise CampanileError(what, "restore it from a backup: who is in which arm is written there")
