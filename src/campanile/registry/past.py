"""The lifts of past experiments: what a new one is believed to do before it is seen."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from campanile.measure.counts import Moments
from campanile.measure.lift import Estimate
from campanile.measure.prior import lift_estimate
from campanile.registry.kept import Reading, readings
from campanile.spec.project import Project


def past_lifts(project: Project, campaign: str, metric: str) -> tuple[Estimate, ...]:
    """The lift of every treatment of every other experiment that judged by this metric, by its last kept readout.

    Readouts before their window ended, and those that could not be trusted, say nothing.
    """
    folder = project.readouts_dir
    names = sorted(path.name for path in folder.iterdir() if path.is_dir()) if folder.is_dir() else []
    found: list[Estimate] = []
    for name in names:
        last = next((each for each in reversed(readings(folder / name, name)[0]) if _tells(each)), None)
        if name != campaign and last is not None and last.values["comparisons"][0]["metric"] == metric:
            found += _lifts(last, metric)
    return tuple(found)


def _tells(reading: Reading) -> bool:
    return reading.ended and bool(reading.values["comparisons"]) and not _distrusted(reading)


def _distrusted(reading: Reading) -> bool:
    checks = reading.values["trust"]["checks"]
    return any(check["passed"] is False and check.get("consequence") == "no verdict" for check in checks)


def _lifts(reading: Reading, metric: str) -> list[Estimate]:
    arms = {arm["arm"]: arm for arm in reading.values["arms"]}
    pairs = [row for row in reading.values["comparisons"] if row["metric"] == metric and row["cut"] is None]
    known = [(_moments(arms[row["control"]], metric), _moments(arms[row["treatment"]], metric)) for row in pairs]
    return [lift_estimate(*both) for both in known if both[0].mean > 0]


def _moments(arm: Mapping[str, Any], metric: str) -> Moments:
    figures = arm["metrics"][metric]
    return Moments(arm["n"], figures["mean"] or 0.0, figures["variance"] or 0.0)
