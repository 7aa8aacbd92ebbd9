"""Writes a proposal: two files that wait for a person's merge, and the page of reasons.

The files lie in proposed/, which nothing reads: no plan, no check, no run. Before they are written they are read back
by the strict loader, and checked as if they lay in campaigns/ and experiments/.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from campanile.errors import CampanileError, Problem, cure_of
from campanile.improve.page import document
from campanile.improve.proposal import Proposal
from campanile.improve.yaml_text import yaml_text
from campanile.report.files import write_text
from campanile.report.html import html
from campanile.report.markdown import markdown
from campanile.spec.check import check_project
from campanile.spec.loader import FileReport, load_document
from campanile.spec.project import Project

FOLDERS = ("campaigns", "experiments")
_COMMENTS: Mapping[str, str] = {
    "offer": "The changed factor: the offer.",
    "target": "The changed factor: the target. Parts that do not pay are left out by the last line of except.",
    "channel": "The changed factor: the channel.",
    "message": "The changed factor: the message, in one arm.",
    "timing": "The changed factor: the hour.",
}


def texts(proposal: Proposal) -> dict[str, str]:
    """The text of both files by folder; none when the proposal is to stop."""
    if proposal.campaign is None or proposal.experiment is None:
        return {}
    merge = (
        f"Proposed after {proposal.source} by `campanile propose`; nothing reads it here. To send it, a person moves "
        f"both files: git mv campaigns/proposed/{proposal.name}.yaml campaigns/ && "
        f"git mv experiments/proposed/{proposal.name}.yaml experiments/"
    )
    return {
        "campaigns": yaml_text(
            proposal.campaign, comments=_campaign_comments(proposal), head=(merge, proposal.next.why)
        ),
        "experiments": yaml_text(proposal.experiment, comments=_experiment_comments(proposal), head=(merge,)),
    }


def _campaign_comments(proposal: Proposal) -> dict[str, str]:
    factor = proposal.next.factor
    place = "arms" if factor in {"offer", "message"} and "arms" in (proposal.campaign or {}) else factor
    found: dict[str, str] = {place: _COMMENTS[factor]} if factor in _COMMENTS else {}
    reasons = "; ".join(proposal.start.reasons)
    day = f"The day: {reasons}."
    found["timing"] = f"{found['timing']} {day}" if "timing" in found else day
    return found


def _experiment_comments(proposal: Proposal) -> dict[str, str]:
    plan = proposal.sizes
    kept = proposal.offers[0].rate.kept if proposal.offers else 1.0
    chosen = next((word.rate.kept for word in proposal.offers if word.chosen), kept)
    power = f"{plan.power:.0%}"
    return {
        "split": f"Of {plan.audience:,} customers {plan.in_control:,} get nothing; the believed effect is seen with a "
        f"chance of {power}.",
        "primary": f"The baseline is control's rate of last time; of the measured effect {chosen:.0%} is believed.",
    }


def problems(project: Project, proposal: Proposal) -> tuple[Problem, ...]:
    """What `campanile check` would say of the files if they lay in campaigns/ and experiments/."""
    with tempfile.TemporaryDirectory(prefix="campanile-proposal-") as place:
        root = Path(place)
        for path in project.root.glob("*.yaml"):
            shutil.copy(path, root / path.name)
        for folder in ("templates", *FOLDERS):
            (root / folder).mkdir()
        for path in (project.root / "templates").glob("*"):
            if path.is_file():
                shutil.copy(path, root / "templates" / path.name)
        shared = project.root / "experiments" / "metrics.yaml"
        if shared.is_file():
            shutil.copy(shared, root / "experiments" / "metrics.yaml")
        for folder, text in texts(proposal).items():
            (root / folder / f"{proposal.name}.yaml").write_text(text, encoding="utf-8", newline="\n")
            _read_back(root / folder / f"{proposal.name}.yaml", root, getattr(proposal, folder[:-1]))
        return check_project(root).problems


def _read_back(path: Path, root: Path, data: Mapping[str, Any]) -> None:
    """Nothing; CampanileError when the strict loader does not read the file as the data it was made from."""
    report = FileReport(path.name)
    document = load_document(path, root, report)
    if report.problems or document is None or document.data != data:
        what = f"the proposal {path.stem} cannot be written so that it is read as it is meant"
        raise CampanileError(what, "report this, it is an error of Campanile")


def write_proposal(project: Project, proposal: Proposal) -> tuple[Path, ...]:
    """Paths of the two files, where there are any, and of the page of reasons as HTML and Markdown.

    Raises:
        CampanileError: The proposal would not pass `campanile check`, or a folder cannot be written.
    """
    found = problems(project, proposal) if proposal.campaign else ()
    mine = [each for each in found if Path(each.file).stem == proposal.name]
    if mine:
        what = f"the proposal after {proposal.source} does not pass check: {mine[0].what}"
        raise CampanileError(what, mine[0].cure or "mend what it names in the files of the shop")
    page = document(proposal, project)
    files = {
        project.root / folder / "proposed" / f"{proposal.name}.yaml": text for folder, text in texts(proposal).items()
    }
    files |= {
        project.home / "proposals" / f"{proposal.name}.html": html(page),
        project.home / "proposals" / f"{proposal.name}.md": markdown(page),
    }
    try:
        for path in files:
            path.parent.mkdir(parents=True, exist_ok=True)
        return tuple(write_text(path, text) for path, text in files.items())
    except OSError as error:
        what = f"cannot write the proposal {proposal.name}: {error.strerror}"
        raise CampanileError(what, cure_of(error)) from error
