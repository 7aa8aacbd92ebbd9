"""The files of a readout: HTML for people, Markdown for the repository, JSON and CSV for programs.

Never half-written: each file is written beside its place and renamed.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping
from pathlib import Path
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


def write_readout(readout: Readout, folder: Path) -> tuple[Path, ...]:
    """Paths of readout.html, .md and .json, comparisons.csv, and evidence.json, which `folder` now holds.

    Raises:
        CampanileError: The folder cannot be written.
    """
    return write_files(document(readout), jsonable(readout), folder, evidence=readout.evidence)


def write_files(
    composed: Document, values: dict[str, Any], folder: Path, *, evidence: Mapping[str, object] | None = None
) -> tuple[Path, ...]:
    """Paths of the files of a readout that is composed already; as `write_readout`."""
    kept = json.dumps(evidence, ensure_ascii=False, allow_nan=False) + "\n" if evidence else None
    texts = {
        "readout.html": html(composed),
        "readout.md": markdown(composed),
        "readout.json": json.dumps(values, ensure_ascii=False, indent=2, allow_nan=False) + "\n",
        "comparisons.csv": _csv(values["comparisons"]),
        **({"evidence.json": kept} if kept else {}),
    }
    try:
        folder.mkdir(parents=True, exist_ok=True)
        return tuple(write_text(folder / name, text) for name, text in texts.items())
    except OSError as error:
        what = f"cannot write the readout in {folder}: {error.strerror}"
        raise CampanileError(what, f"{cure_of(error)}, or choose another home") from error


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
