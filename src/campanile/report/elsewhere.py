"""The readout of an experiment run elsewhere as a value, as JSON of contract 1, and as a document.

The room `readout` fills it, this room draws it. Holds figures of whole arms and parts; never a unit. Amounts of money
and counts are in millionths of their unit, as they were added up.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from campanile import __version__
from campanile.measure.cuts import Heterogeneity, Part
from campanile.measure.types import Comparison, Economics
from campanile.measure.units import SCALE
from campanile.report.jsonable import (
    comparison_values,
    design_values,
    economics_values,
    finite,
    guard_values,
    heterogeneity_values,
    moment_values,
    part_values,
    trust_values,
    verdict_values,
)
from campanile.report.readout import ArmFigures, GuardFinding, Trust, Verdict

_PROFIT = "profit_per_customer"


@dataclass(frozen=True)
class ElsewhereReadout:
    """One reading of a table of units. Comparisons, parts and economics are empty where nothing may be claimed.

    Attributes:
        kinds: rate, money or count, by metric.
        currency: Code of the shop's currency; "" when nobody said one.
        parts: The comparisons of each level of each cut.
        terms: The rules as label and text, for people.
        window: How long responses counted; "" when nobody said.
    """

    experiment: str
    hypothesis: str
    primary: str
    kinds: Mapping[str, str]
    alpha: float
    currency: str
    verdict: Verdict
    trust: Trust
    arms: tuple[ArmFigures, ...]
    guards: tuple[GuardFinding, ...] = ()
    comparisons: tuple[Comparison, ...] = ()
    parts: tuple[Part, ...] = ()
    heterogeneity: tuple[Heterogeneity, ...] = ()
    economics: tuple[Economics, ...] = ()
    terms: tuple[tuple[str, str], ...] = ()
    window: str = ""

    def scale(self, metric: str) -> int:
        """Units of the statistics in one unit of what is printed."""
        return 1 if self.kinds.get(metric) == "rate" else SCALE

    def levels(self, cut: str | None) -> int:
        """How many levels of a cut are compared."""
        return len({part.comparison.level for part in self.parts if part.comparison.cut == cut})


def elsewhere_values(readout: ElsewhereReadout) -> dict[str, Any]:
    """The document of contract 1."""
    parts = {
        "contract": 1,
        "experiment": readout.experiment,
        "currency": readout.currency or None,
        "version": __version__,
        "design": {
            **design_values(readout.hypothesis, readout.alpha, readout.arms, readout.terms),
            "primary": readout.primary,
            "kind": readout.kinds[readout.primary],
            "window": readout.window or None,
            "plan_id": None,
            "fingerprint": None,
        },
        "verdict": verdict_values(readout.verdict),
        "trust": trust_values(readout.trust),
        "arms": [_arm(arm, readout) for arm in readout.arms],
        "comparisons": [
            *(comparison_values(found, readout.scale(found.metric)) for found in readout.comparisons),
            *(
                part_values(part, readout.scale(part.comparison.metric), readout.levels(part.comparison.cut))
                for part in readout.parts
            ),
        ],
        "heterogeneity": [heterogeneity_values(found, readout.scale(found.metric)) for found in readout.heterogeneity],
        "economics": [economics_values(found, SCALE) for found in readout.economics],
        "guards": [guard_values(found) for found in readout.guards],
        "deviations": [],
    }
    return {key: finite(value) for key, value in parts.items()}


def _arm(arm: ArmFigures, readout: ElsewhereReadout) -> dict[str, Any]:
    metrics = {name: moment_values(found, readout.scale(name)) for name, found in (arm.metrics or {}).items()}
    return {"arm": arm.arm, "n": arm.n, "share": arm.share, "metrics": metrics}
