"""What a plan is made of, as plain JSON values, and the fingerprint over it.

The fingerprint decides whether today's files are still the ones that were planned. Comments, order of keys and layout
do not change it; a word of a template does.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Collection, Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any

from campanile.spec.campaign import ONLY_WAVE
from campanile.spec.conditions import metrics_needed, segments_needed
from campanile.spec.loader import FileReport, load_document
from campanile.spec.own_metrics import METRICS_FILE
from campanile.spec.project import Project

#: The name of another file in a template; messages.compose takes no computed ones.
_REFERENCE = re.compile(rb"""{%[-+]?\s*(?:extends|include)\s+["']([\w.-]+)["']""")


def frozen_spec(project: Project, campaign: str, wave: str = ONLY_WAVE) -> dict[str, Any]:
    """Campaign, experiment, segments, metrics, economics, templates and what recipients see of the settings, as now.

    Keys: `campaign`, `experiment` (None without one), `own_metrics`, `segments`, `metrics`, `economics`, `templates`
    (file → sha256), `shop`, `channels` (the campaign's medium only), `policy` (who is held out of all marketing).
    """
    spec = project.campaign(campaign)
    economics = project.settings.economics
    return {
        "campaign": _on_its_day(_data(project.root, f"campaigns/{campaign}.yaml"), wave),
        "experiment": _data(project.root, f"experiments/{campaign}.yaml") if spec.measured else None,
        "own_metrics": _own_metrics(project, campaign) if spec.measured else {},
        "segments": _named(project, "segments", segments_needed(spec.target, project.segments)),
        "metrics": _named(project, "metrics", metrics_needed(spec.target, project.segments) & project.metrics.keys()),
        "economics": {
            "margin_rate": float(economics.margin_rate),
            "margin_of": economics.margin_of,
            "cost_per_message": {medium: float(cost) for medium, cost in sorted(economics.cost_per_message.items())},
        },
        "templates": _templates(project.root, set(spec.templates)),
        "shop": _shop(project),
        "channels": {spec.channel.use: _sender(project, spec.channel.use)},
        "policy": {"holdout": _holdout(project) if spec.purpose == "marketing" else None},
    }


def fingerprint(spec: Mapping[str, Any]) -> str:
    """sha256 over the canonical JSON of a frozen spec, as hex.

    >>> fingerprint({"a": 1, "b": 2}) == fingerprint({"b": 2, "a": 1})
    True
    """
    canonical = json.dumps(spec, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()


def _data(root: Path, name: str) -> Any:
    path = root / name
    if not path.exists():
        return None
    document = load_document(path, root, FileReport(name))
    return _plain(document.data) if document else None


def _named(project: Project, key: str, names: Collection[str]) -> dict[str, Any] | None:
    """The segments or metrics that decide this campaign's audience; an edit of another one is no deviation."""
    if not names:
        return None
    named = _data(project.root, "segments.yaml")[key]
    return {name: named[name] for name in sorted(names)}


def _on_its_day(campaign: Any, wave: str) -> Any:
    """The campaign's file with the day of its wave as that of sending."""
    if wave == ONLY_WAVE:
        return campaign
    return {**campaign, "timing": {**campaign["timing"], "start": wave}}


def _own_metrics(project: Project, campaign: str) -> dict[str, Any]:
    """The metrics of experiments/metrics.yaml that the campaign's experiment names, as they are written there."""
    experiment = project.experiment(campaign)
    named = {experiment.primary.metric, *experiment.secondary} & project.own_metrics.keys() if experiment else set()
    written = _data(project.root, METRICS_FILE) if named else {}
    return {name: written[name] for name in sorted(named)}


def _shop(project: Project) -> dict[str, str]:
    """What messages say of the shop."""
    shop = project.settings.shop
    words = {name: getattr(shop, name) for name in ("name", "language", "base_url", "postal_address")}
    # Left out while empty, so that plans of before it was there are still the same.
    website = {"website": shop.website} if shop.website else {}
    return {**words, **website, "currency": shop.currency.code}


def _sender(project: Project, medium: str) -> dict[str, str]:
    """What recipients see of a channel. By which server and with which password it goes may change at any time."""
    channel = project.settings.channels.get(medium)
    seen = ("sender", "reply_to", "unsubscribe_mailto", "signature")
    words = {name: getattr(channel, name) for name in seen} if channel else {}
    return {**words, "opt_out": channel.rules.opt_out} if channel and channel.rules else words


def _holdout(project: Project) -> dict[str, object] | None:
    """Who gets no marketing at all: others would be in it if one of these changed."""
    holdout = project.settings.policy.holdout
    return {**holdout.model_dump(), "share": float(holdout.share)} if holdout else None


def _plain(value: object) -> object:
    """The value with decimals as numbers that JSON knows."""
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_plain(item) for item in value]
    return float(value) if isinstance(value, Decimal) else value


def _templates(root: Path, names: set[str]) -> dict[str, str]:
    """sha256 by file of the named templates and of every file that they extend or include."""
    folder = root / "templates"
    waiting = [path for name in names for path in folder.glob(f"{name}.*.j2")]
    found: dict[str, str] = {}
    while waiting:
        path = waiting.pop()
        if path.name in found or not path.is_file():
            continue
        source = path.read_bytes()
        found[path.name] = hashlib.sha256(source).hexdigest()
        waiting += [folder / named.decode() for named in _REFERENCE.findall(source)]
    return dict(sorted(found.items()))
