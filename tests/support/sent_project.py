"""A project small enough to read at a glance: one campaign, one template, no experiment; its plan is in the ledger."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from pathlib import Path

from campanile.events import PlannedMessage
from campanile.ledger import Ledger, PlanRecord
from campanile.plan.freeze import fingerprint, frozen_spec
from campanile.spec.project import Project, load_project
from support.plans import NOW, plan_record

_SETTINGS = """
shop:
  name: Shop
  currency: EUR
  timezone: Asia/Shanghai
  base_url: https://t.example.com
  postal_address: 1 Example Road
channels:
  {medium}: {channel}
economics: {{margin_rate: 40%, cost_per_message: {{email: 0.01, sms: 0.05}}}}
"""
_CAMPAIGN = """
objective: retention
target: {who: [{email_consent: true}]}
offer: {kind: coupon, amount: 50}
timing: {start: 2026-03-05, at: "10:30", quiet: "21:00-09:00"}
channel: {use: MEDIUM, message: hello}
experiment: none
why: a letter to everybody
"""
_TEMPLATES = {
    "hello.sms.j2": "【Shop】Hello {{ name }}, reply R to refuse",
    "hello.subject.j2": "Hello",
    "hello.txt.j2": "Hello {{ name }}\n{{ unsubscribe_link }}\n",
    "hello.html.j2": '<html><body><p>Hello {{ name }}</p><a href="{{ unsubscribe_link }}">No more</a></body></html>',
}


def write_project(root: Path, *, port: int | None = None, medium: str = "email", **channel: object) -> Project:
    """The project in `root`; its mail goes to that port of this machine, or as `channel` says, or to files."""
    via: dict[str, object] = {"via": "outbox", "sender": "Shop <news@m.example.com>"}
    if port is not None:
        via |= {"via": "smtp", "host": "127.0.0.1", "port": port, "security": "none", "connections": 2, "timeout": 5}
    files = {
        "campanile.yaml": _SETTINGS.format(medium=medium, channel=json.dumps({**via, **channel}, ensure_ascii=False))
    }
    files |= {"campaigns/winback.yaml": _CAMPAIGN.replace("MEDIUM", medium)}
    files |= {f"templates/{name}": text for name, text in _TEMPLATES.items()}
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return load_project(root)


def write_plan(project: Project, messages: Iterable[PlannedMessage], *, plan_id: str = "") -> PlanRecord:
    """The campaign's plan with these messages, snapshot included."""
    snapshot = project.snapshots_dir / "winback" / "s.parquet"
    snapshot.parent.mkdir(parents=True, exist_ok=True)
    snapshot.write_bytes(b"who is in which arm")
    spec = json.loads(json.dumps(frozen_spec(project, "winback")))
    plan = plan_record(
        plan_id=plan_id,
        spec=spec,
        fingerprint=fingerprint(spec),
        snapshot_sha256=hashlib.sha256(snapshot.read_bytes()).hexdigest(),
        created_at=NOW,
    )
    with Ledger.open(project.ledger_place) as ledger:
        ledger.register(plan, messages)
    return plan
