"""What the files say today against what was registered: every changed key, and who changed it.

Reads the frozen spec of the ledger, the project, and git where there is git. Never changes what judges: the registered
values do.
"""

from __future__ import annotations

import subprocess
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

from campanile.errors import CampanileError
from campanile.plan.freeze import frozen_spec
from campanile.report.readout import Deviation
from campanile.spec.campaign import ONLY_WAVE
from campanile.spec.flow import flow_text
from campanile.spec.loader import FileReport, Path_, load_document
from campanile.spec.own_metrics import METRICS_FILE
from campanile.spec.project import Project

_ABSENT = "(absent)"
_SETTINGS = "campanile.yaml"
_UNCOMMITTED = ("not committed", "")
_PATIENCE = 10
#: Longer values are cut: the page names the change, git shows it.
_LONGEST = 160


def deviations(
    project: Project, campaign: str, registered: Mapping[str, Any], wave: str = ONLY_WAVE
) -> tuple[Deviation, ...]:
    """Every key that differs today from what was registered, in the order of `_files`."""
    try:
        today = frozen_spec(project, campaign, wave)
    except CampanileError:
        today = {}
    found = []
    for part, file in _files(campaign).items():
        if file == _SETTINGS and not today:
            continue  # the campaign is gone: nobody can say what the settings would be to it
        before, after = registered.get(part), today.get(part)
        if part in _NAMED and before and today:  # what dropped a name is listed already
            before = {name: before[name] for name in before if name in (after or {})}
        changes = _changes(before, after, ()) if part in _WHOLE else _known_only(before, after)
        found += [_deviation(project.root, file, (*_ABOVE.get(part, ()), *key), values) for key, values in changes]
    return tuple(found)


#: Parts in which a new key is a change; a new segment or template changes nothing that was registered.
_WHOLE = frozenset({"campaign", "experiment"})
#: Parts of segments.yaml and experiments/metrics.yaml.
_NAMED = frozenset({"segments", "metrics", "own_metrics"})


#: The key of its file under which a part of the frozen spec stands.
_ABOVE: Mapping[str, Path_] = {
    "economics": ("economics",),
    "shop": ("shop",),
    "channels": ("channels",),
    "policy": ("policy",),
    "segments": ("segments",),
    "metrics": ("metrics",),
}


def _files(campaign: str) -> dict[str, str]:
    return {
        "campaign": f"campaigns/{campaign}.yaml",
        "experiment": f"experiments/{campaign}.yaml",
        "own_metrics": METRICS_FILE,
        "segments": "segments.yaml",
        "metrics": "segments.yaml",
        "economics": _SETTINGS,
        "shop": _SETTINGS,
        "channels": _SETTINGS,
        "policy": _SETTINGS,
        "templates": "templates",
    }


def _known_only(before: object, after: object) -> Iterator[tuple[Path_, tuple[object, object]]]:
    known = before if isinstance(before, Mapping) else {}
    later = after if isinstance(after, Mapping) else {}
    for key, value in known.items():
        yield from _changes(value, later.get(key), (key,))


def _changes(before: object, after: object, at: Path_) -> Iterator[tuple[Path_, tuple[object, object]]]:
    """Every place whose value differs, with both values; a list is one value."""
    if isinstance(before, Mapping) and isinstance(after, Mapping):
        for key in dict.fromkeys((*before, *after)):
            yield from _changes(before.get(key), after.get(key), (*at, key))
    elif not _same(before, after):
        yield at, (before, after)


def _same(before: object, after: object) -> bool:
    """Whether two values of JSON are equal, however their numbers are held."""
    if isinstance(before, list) and isinstance(after, list):
        return len(before) == len(after) and all(map(_same, before, after))
    if isinstance(before, Mapping) and isinstance(after, Mapping):
        return before.keys() == after.keys() and all(_same(before[key], after[key]) for key in before)
    numbers = (_number(before), _number(after))
    return before == after if None in numbers else numbers[0] == numbers[1]


def _number(value: object) -> Decimal | None:
    """The value as a number; None for text, true, false and nothing."""
    counts = isinstance(value, int | float | Decimal) and not isinstance(value, bool)
    return Decimal(str(value)) if counts else None


def _deviation(root: Path, file: str, key: Path_, values: tuple[object, object]) -> Deviation:
    """The deviation with the author of the line; a template is a file of its own."""
    name = ".".join(map(str, key)) or "(whole file)"
    if file == "templates":
        file, name = f"templates/{key[0]}", "content"
        values = ("as registered", "changed" if values[1] is not None else None)
        who, when = _last_author(root, file)
    else:
        who, when = _author(root, file, key)
    return Deviation(file, name, _text(values[0]), _text(values[1]), who, when)


def _text(value: object) -> str:
    words = _ABSENT if value is None else flow_text(value)
    return words if len(words) <= _LONGEST else f"{words[: _LONGEST - 1]}…"


def _author(root: Path, file: str, key: Path_) -> tuple[str, str]:
    """Who wrote the line of that key, and when; of a key that is gone, who last changed the file."""
    path = root / file
    document = load_document(path, root, FileReport(file)) if path.is_file() else None
    line = document.lines.get(key) if document else None
    if line is None:
        return _last_author(root, file)
    rows = _git(root, "blame", "--porcelain", "-L", f"{line},{line}", "--", file)
    facts = dict(row.partition(" ")[::2] for row in rows)
    if rows and not rows[0].partition(" ")[0].strip("0"):
        return _UNCOMMITTED
    return facts.get("author", ""), _day(facts.get("author-time", ""))


def _last_author(root: Path, file: str) -> tuple[str, str]:
    """Who last changed the file, and when."""
    if _git(root, "status", "--porcelain", "--", file):
        return _UNCOMMITTED
    rows = _git(root, "log", "-1", "--format=%an%x09%at", "--", file)
    who, _, seconds = rows[0].partition("\t") if rows else ("", "", "")
    return who, _day(seconds)


def _day(seconds: str) -> str:
    return f"{datetime.fromtimestamp(int(seconds), UTC):%Y-%m-%d}" if seconds else ""


def _git(root: Path, *arguments: str) -> list[str]:
    """The lines that git prints; none where there is no git, no repository or no such file in it."""
    command = ["git", "-C", str(root), "--no-pager", *arguments]
    try:
        done = subprocess.run(  # noqa: S603 - fixed words; file names come after --
            command, capture_output=True, timeout=_PATIENCE, check=True, stdin=subprocess.DEVNULL
        )
    except (OSError, subprocess.SubprocessError):
        return []
    return done.stdout.decode("utf-8", errors="replace").splitlines()
