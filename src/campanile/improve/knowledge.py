"""What the shop has learned: one row per campaign, arm and part, out of the kept readouts.

Reads the registry and the JSON of readouts and evidence. Returns frozen rows. Rows of a readout whose checks ended
trust are no knowledge; experiments from elsewhere have no campaign and teach no row.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from campanile.events import CONTROL
from campanile.improve.closed import EVIDENCE, Closed
from campanile.measure.counts import normal_quantile
from campanile.measure.lift import Estimate
from campanile.money import Currency
from campanile.registry.entries import registry
from campanile.registry.kept import Reading
from campanile.spec.project import Project

RESPONSE, MARGIN, PROFIT = "response_rate", "margin_per_customer", "profit_per_customer"
_WORD = re.compile(r"\w+")


@dataclass(frozen=True)
class Row:
    """What one arm of one campaign did against control, in all or in one part. Money is minor units per customer.

    Attributes:
        cut: The field that parts the audience; "" for the whole.
        level: Its value; "" for the whole.
        offer: Kind and value, as `coupon 50`.
        words: Words of the target: stages, segments, fields and their values.
        response: Difference in the response rate, with its variance; None where it was not compared.
        profit: Difference in profit before fixed cost.
        baseline: Control's response rate.
    """

    experiment: str
    read_at: datetime
    arm: str
    cut: str
    level: str
    objective: str
    medium: str
    offer: str
    words: frozenset[str]
    decision: str
    n_control: int
    n_treatment: int
    response: Estimate | None
    profit: Estimate | None
    baseline: float | None

    @property
    def kind(self) -> tuple[str, str, str]:
        """What campaigns are alike: objective, medium and kind of offer."""
        return self.objective, self.medium, self.offer.partition(" ")[0]


@dataclass(frozen=True)
class Knowledge:
    """Everything learned, the earliest first."""

    rows: tuple[Row, ...] = ()

    def before(self, found: Closed) -> Knowledge:
        """What was read before a readout; never of the same experiment."""
        at = found.readout.setting.read_at
        return Knowledge(tuple(row for row in self.rows if row.experiment != found.name and row.read_at <= at))

    def like(self, kind: tuple[str, str, str], *, cut: str = "", level: str = "") -> tuple[Row, ...]:
        """Rows of campaigns of that kind: the whole, or one part."""
        return tuple(row for row in self.rows if row.kind == kind and (row.cut, row.level) == (cut, level))

    def same(self, kind: tuple[str, str, str], offer: str, *, cut: str = "", level: str = "") -> tuple[Row, ...]:
        """Those with the very same offer."""
        return tuple(row for row in self.like(kind, cut=cut, level=level) if row.offer == offer)

    def offers(self, kind: tuple[str, str, str]) -> frozenset[str]:
        """Every offer that campaigns of that kind have made."""
        return frozenset(row.offer for row in self.like(kind))


def offer_words(offer: Mapping[str, Any]) -> str:
    """An offer in short.

    >>> offer_words({"kind": "coupon", "amount": 50}), offer_words({"kind": "percent", "off": "10%"})
    ('coupon 50', 'percent 10%')
    """
    kind, value = str(offer["kind"]), offer.get("amount", offer.get("off"))
    if value is None:
        return kind
    return f"{kind} {value}" if isinstance(value, str) else f"{kind} {value:g}"


def kind_of(found: Closed, arm: str) -> tuple[str, str, str]:
    """What campaigns an arm of this one is like."""
    return found.campaign["objective"], found.campaign["channel"]["use"], found.offer(arm)["kind"]


def words_of(target: object) -> frozenset[str]:
    """The words of a target in lower case, keys and values.

    >>> sorted(words_of({"who": [{"stage": ["sleeping"], "rfm.m": "at least 4"}]}))
    ['4', 'at', 'least', 'm', 'rfm', 'sleeping', 'stage', 'who']
    """
    return frozenset(_WORD.findall(json.dumps(target, ensure_ascii=False, default=str).lower()))


def rows_of(found: Closed) -> tuple[Row, ...]:
    """The rows that one closed experiment teaches: every arm, whole and in parts."""
    return tuple(_rows_of(found))


def _rows_of(found: Closed) -> Iterator[Row]:
    readout = found.readout
    parts = {
        (part.comparison.treatment, part.comparison.cut, part.comparison.level, part.comparison.metric): part
        for part in readout.parts
        if part.comparison.control == CONTROL
    }
    for arm in found.treatments:
        known = _common(found.campaign, found.offer(arm), found.name, readout.setting.read_at)
        whole = {metric: found.effect(arm, metric) for metric in (RESPONSE, PROFIT)}
        sizes = found.figures(CONTROL).n, found.figures(arm).n
        baseline = _mean(found)
        yield Row(
            **known, arm=arm, cut="", level="", decision=readout.verdict.decision, n_control=sizes[0],
            n_treatment=sizes[1], response=whole[RESPONSE], profit=whole[PROFIT], baseline=baseline,
        )  # fmt: skip
        for (treatment, cut, level, metric), part in parts.items():
            if treatment == arm and metric == PROFIT:
                told = part.comparison
                rate = parts.get((treatment, cut, level, RESPONSE))
                yield Row(
                    **known, arm=arm, cut=cut or "", level=level or "", decision=readout.verdict.decision,
                    n_control=told.n_control, n_treatment=told.n_treatment,
                    response=Estimate(rate.comparison.difference, rate.variance) if rate else None,
                    profit=Estimate(told.difference, part.variance),
                    baseline=rate.comparison.mean_control if rate else None,
                )  # fmt: skip


def _mean(found: Closed) -> float | None:
    metrics = found.figures(CONTROL).metrics
    return metrics[RESPONSE].mean if metrics else None


def _common(campaign: Mapping[str, Any], offer: Mapping[str, Any], name: str, at: datetime) -> dict[str, Any]:
    return {
        "experiment": name,
        "read_at": at,
        "objective": campaign["objective"],
        "medium": campaign["channel"]["use"],
        "offer": offer_words(offer),
        "words": words_of(campaign["target"]),
    }


def knowledge(project: Project) -> Knowledge:
    """What all closed campaigns of the shop have taught, from the latest readout of each."""
    found = [row for each in registry(project) if each.latest for row in _rows(each.latest)]
    return Knowledge(tuple(sorted(found, key=lambda row: (row.read_at, row.experiment, row.arm, row.cut, row.level))))


def _rows(reading: Reading) -> Iterator[Row]:
    """The rows of a kept readout, by its JSON and the campaign in its evidence; none where one of them says nothing."""
    values, path = reading.values, reading.folder / EVIDENCE
    if not reading.ended or reading.decision == "no_verdict" or not path.is_file():
        return
    spec = json.loads(path.read_text(encoding="utf-8"))["spec"]
    campaign, scale = spec["campaign"], Currency(reading.currency or "EUR").scale
    levels = {
        (row["metric"], row["treatment"], row["control"], row["cut"]): row["levels"] for row in values["heterogeneity"]
    }
    groups: dict[tuple[str, str, str], dict[str, Mapping[str, Any]]] = {}
    for row in values["comparisons"]:
        if row["control"] == CONTROL and row["metric"] in {RESPONSE, PROFIT}:
            groups.setdefault((row["treatment"], row["cut"] or "", row["level"] or ""), {})[row["metric"]] = row
    arms = {arm["arm"]: arm for arm in values["arms"]}
    for (arm, cut, level), told in groups.items():
        change = ((campaign.get("arms") or {}).get(arm) or {}).get("offer")
        first = next(iter(told.values()))
        yield Row(
            **_common(campaign, change or campaign["offer"], reading.experiment, reading.read_at),
            arm=arm, cut=cut, level=level, decision=reading.decision,
            n_control=first["n_control"], n_treatment=first["n_treatment"],
            response=_estimate(told.get(RESPONSE), arms, levels, 1),
            profit=_estimate(told.get(PROFIT), arms, levels, scale),
            baseline=told[RESPONSE]["mean_control"] if RESPONSE in told else None,
        )  # fmt: skip


def _estimate(
    row: Mapping[str, Any] | None,
    arms: Mapping[str, Mapping[str, Any]],
    levels: Mapping[tuple[str, str, str, str], int],
    scale: int,
) -> Estimate | None:
    """The difference of a comparison with its variance: of the arms for the whole; of a part from its limits.

    Those for all levels at once come from the normal law, so the variance can be read off them exactly.
    """
    if row is None:
        return None
    if row["cut"] is None:
        pair = (arms[row["treatment"]], arms[row["control"]])
        variance = math.fsum(arm["metrics"][row["metric"]]["variance"] / arm["n"] for arm in pair)
    else:
        count = levels.get((row["metric"], row["treatment"], row["control"], row["cut"]), 1)
        reach = (row["high_all_levels"] - row["low_all_levels"]) / 2
        variance = (reach / normal_quantile(row["alpha"] / max(count, 1))) ** 2
    return Estimate(row["difference"] * scale, variance * scale**2)


def usable(estimates: Iterable[Estimate | None]) -> tuple[Estimate, ...]:
    """Those with a variance: what can be pooled."""
    return tuple(each for each in estimates if each is not None and each.variance > 0)
