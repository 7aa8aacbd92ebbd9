"""The files of a readout: HTML for people, Markdown for the repository, JSON and CSV for programs.

A folder shows the readout that was made last, and keeps every one for ever in a folder of its own, named after the
moment that it was read at. Never half-written: files and folders are written beside their place and renamed.
"""

from __future__ import annotations

import csv
import hashlib
import io
import json
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from campanile.errors import CampanileError, cure_of
from campanile.report.compose import document
from campanile.report.document import Document
from campanile.report.html import html
from campanile.report.jsonable import jsonable
from campanile.report.markdown import markdown
from campanile.report.readout import Readout

_COLUMNS = (
    "metric", "treatment", "control", "cut", "level", "difference", "low", "high", "p_value", "p_adjusted", "lift",
    "lift_low", "lift_high", "mean_treatment", "mean_control", "n_treatment", "n_control", "interval_method",
    "p_method",
)  # fmt: skip


#: Names that are a folder's as they are.
_PLAIN = re.compile(r"[A-Za-z0-9][\w-]{0,59}")
_SUFFIXES = frozenset({".html", ".md", ".json", ".csv"})
#: The file of a kept readout that says everything.
VALUES = "readout.json"
_EVIDENCE = "evidence.json"


def write_readout(readout: Readout, folder: Path) -> tuple[Path, ...]:
    """Paths of readout.html, .md and .json, comparisons.csv, and evidence.json, which `folder` now shows and has kept.

    Raises:
        CampanileError: The folder cannot be written.
    """
    return write_files(
        document(readout), jsonable(readout), folder, moment=readout.setting.read_at, evidence=readout.evidence
    )


def write_files(
    composed: Document,
    values: dict[str, Any],
    folder: Path,
    *,
    moment: datetime,
    evidence: Mapping[str, object] | None = None,
) -> tuple[Path, ...]:
    """Paths of the files of a readout that is composed already; as `write_readout`.

    Args:
        composed: The readout as a document.
        values: The readout as JSON values.
        folder: Of the experiment.
        moment: At which it was read.
        evidence: What it takes to compute it again.
    """
    texts = {
        "readout.html": html(composed),
        "readout.md": markdown(composed),
        VALUES: json.dumps(values, ensure_ascii=False, indent=2, allow_nan=False) + "\n",
        "comparisons.csv": _csv(values["comparisons"]),
    }
    if evidence:
        texts[_EVIDENCE] = json.dumps(evidence, ensure_ascii=False, allow_nan=False) + "\n"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        _keep_unkept(folder)
        _keep(folder, texts, moment)
        if not evidence:  # that of an earlier readout is no evidence of this one
            (folder / _EVIDENCE).unlink(missing_ok=True)
        return tuple(write_text(folder / name, text) for name, text in texts.items())
    except OSError as error:
        what = f"cannot write the readout in {folder}: {error.strerror}"
        raise CampanileError(what, f"{cure_of(error)}, or choose another home") from error


def folder_name(experiment: str) -> str:
    """The name of an experiment's folder: its own name, or one like it that every disk takes.

    >>> folder_name("winback"), folder_name("A/B: spring?")
    ('winback', 'A-B-spring-67028baf')
    """
    if _PLAIN.fullmatch(experiment):
        return experiment
    words = re.sub(r"[^\w]+", "-", experiment).strip("-_")[:40]
    return f"{words or 'experiment'}-{hashlib.sha256(experiment.encode()).hexdigest()[:8]}"


def kept(folder: Path) -> list[Path]:
    """The folders of the readouts that an experiment's folder has kept, by the moment that they were read at."""
    found = [path.parent for path in folder.glob(f"*/{VALUES}") if not path.parent.name.startswith(".")]
    return sorted(found, key=lambda path: path.name)


def kept_at(name: str) -> datetime | None:
    """The moment that a kept readout was read at, by the name of its folder.

    >>> kept_at("20260405T023000Z-1f3a9c2e").isoformat()
    '2026-04-05T02:30:00+00:00'
    """
    try:
        return datetime.strptime(name.partition("-")[0], _MOMENT).replace(tzinfo=UTC)
    except ValueError:
        return None


_MOMENT = "%Y%m%dT%H%M%SZ"


def _keep(folder: Path, texts: Mapping[str, str], moment: datetime) -> None:
    """Keeps a readout; one with the same figures is kept already."""
    digest = _digest(texts[VALUES])
    if any(path.name.endswith(f"-{digest}") for path in kept(folder)):
        return
    final = folder / f"{moment.astimezone(UTC):{_MOMENT}}-{digest}"
    with TemporaryDirectory(prefix=".", dir=folder, ignore_cleanup_errors=True) as place:
        draft = Path(place) / final.name
        draft.mkdir()
        for name, text in texts.items():
            (draft / name).write_text(text, encoding="utf-8", newline="\n")
        if not final.exists():
            draft.rename(final)


def _keep_unkept(folder: Path) -> None:
    """Keeps what the folder shows, if a version of Campanile wrote it that kept nothing."""
    shown = (path for path in folder.glob("[!.]*") if path.suffix in _SUFFIXES and path.is_file())
    texts = {path.name: path.read_text(encoding="utf-8") for path in shown}
    if VALUES in texts and _is_json(texts[VALUES]):
        written = datetime.fromtimestamp((folder / VALUES).stat().st_mtime, UTC)
        _keep(folder, texts, _read_at(texts[VALUES]) or written)


def _is_json(text: str) -> bool:
    try:
        json.loads(text)
    except ValueError:
        return False
    return True


def _read_at(values: str) -> datetime | None:
    """The moment that a readout says it was read at; None when it says none."""
    try:
        return datetime.fromisoformat(json.loads(values)["read_at"])
    except (ValueError, KeyError, TypeError):
        return None


def _digest(values: str) -> str:
    """Eight hex digits that tell the figures from others.

    Of nine digits each: what an engine adds up in another order differs in the sixteenth.

    >>> _digest('{"p": 0.1}') == _digest('{"p":0.10000000000000002}') != _digest('{"p": 0.2}')
    True
    """
    figures = json.dumps(_rounded(json.loads(values)), sort_keys=True)
    return hashlib.sha256(figures.encode()).hexdigest()[:8]


def _rounded(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _rounded(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_rounded(item) for item in value]
    return float(f"{value:.9g}") if isinstance(value, float) else value


def write_text(path: Path, text: str) -> Path:
    """The path of a file that now holds the text, whole."""
    draft = path.with_name(f".{path.name}.tmp")
    draft.write_text(text, encoding="utf-8", newline="\n")
    draft.replace(path)
    return path


def _csv(comparisons: list[dict[str, object]]) -> str:
    """One row a comparison; only the header while they are withheld."""
    buffer = io.StringIO()
    writer = csv.DictWriter(buffer, _COLUMNS, extrasaction="ignore", lineterminator="\n")
    writer.writeheader()
    writer.writerows(comparisons)
    return buffer.getvalue()
