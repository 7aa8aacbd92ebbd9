"""A page of planned messages to look at before anything is sent."""

from __future__ import annotations

from pathlib import Path

from campanile.errors import CampanileError, cure_of
from campanile.events import CONTROL
from campanile.ledger import Ledger
from campanile.ledger.hand_overs import sample
from campanile.messages.preview import MAX_SHOWN, contact_sheet, preview
from campanile.messages.render import open_messages
from campanile.sending.frozen import planned_record
from campanile.spec.project import Project


def write_preview(project: Project, campaign: str, ledger: Ledger, *, count: int = 10) -> tuple[Path, int]:
    """Path of the page, and how many messages it shows: `count` of each arm, drawn by their ids, links inert.

    Raises:
        CampanileError: The campaign is not planned, or a message cannot be rendered.
    """
    plan = planned_record(ledger, campaign)
    arms = [arm for arm in plan.arms if arm != CONTROL]
    each = max(1, min(count, MAX_SHOWN // max(1, len(arms))))
    chosen = [message for arm in arms for message in sample(ledger, plan.plan_id, arm, each)]
    messages = preview(open_messages(project, campaign).as_samples().render, chosen, most=MAX_SHOWN)
    page = contact_sheet(messages, title=f"{campaign}, wave {plan.wave}", labels=[message.arm for message in chosen])
    path = project.home / "previews" / f"{campaign}.html"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch(mode=0o600)
        path.write_text(page, encoding="utf-8")
    except OSError as error:
        raise CampanileError(f"the page {path} cannot be written ({error.strerror})", cure_of(error)) from None
    return path, len(messages)
