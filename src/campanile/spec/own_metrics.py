"""Metrics of a shop's own, shared by its experiments: experiments/metrics.yaml."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from campanile.spec.conditions import EventUse, Measure
from campanile.spec.fields import Unreadable, name
from campanile.spec.flow import flow_text
from campanile.spec.grammar import parse_metric
from campanile.spec.reading import Report
from campanile.spec.rules import METRICS, MetricKind
from campanile.spec.vocabulary import FieldType, Vocabulary

#: The file, relative to the project.
METRICS_FILE = "experiments/metrics.yaml"
#: Whether a customer had any such event: a rate.
ANY = "any"
_TAKES = (ANY, "count", "sum")
_WRITE = "write {of: visited, take: any}, {of: visited, take: count} or {of: bought, where: {…}, take: sum amount}"


@dataclass(frozen=True)
class OwnMetric:
    """What is taken of a customer's events inside the window of the experiment.

    Attributes:
        kind: rate where any event counts, count of events or of a number, or money.
        text: What the file says, in one line.
    """

    name: str
    use: EventUse
    measure: Measure
    kind: MetricKind
    text: str


def read_own_metrics(data: Mapping[str, object], report: Report, vocabulary: Vocabulary) -> dict[str, OwnMetric]:
    """The metrics that a file defines, by name; those with problems are reported and left out."""
    found = {key: _read(key, item, report, vocabulary) for key, item in data.items()}
    return {key: metric for key, metric in found.items() if metric is not None}


def _read(key: str, data: object, report: Report, vocabulary: Vocabulary) -> OwnMetric | None:
    try:
        take = _take(key, data)
    except Unreadable as error:
        report((key,), error.what, error.cure)
        return None
    assert isinstance(data, Mapping)  # or there would be nothing to take
    plain = {**data, "take": "count" if take == ANY else take}
    metric = parse_metric(f"of {key}", plain, vocabulary=vocabulary, report=report, at=(key,))
    if metric is None:
        return None
    kind: MetricKind = "money" if metric.measure.type is FieldType.MONEY else "count"
    return OwnMetric(key, metric.use, metric.measure, "rate" if take == ANY else kind, flow_text(data))


def _take(key: str, data: object) -> str:
    """What the metric takes of its events, when it is a metric at all.

    Raises:
        Unreadable: It is none.
    """
    if key in METRICS:
        raise Unreadable(f"{key} is a metric of the product", "give yours another name")
    name(key)
    if not isinstance(data, Mapping) or not {"of", "take"} <= data.keys():
        raise Unreadable(f"{key} does not say of which event it takes what", _WRITE)
    if "in" in data:
        raise Unreadable(f"{key} has a window, which is that of the experiment", "leave `in` out")
    take = " ".join(str(data["take"]).split())
    if take.partition(" ")[0] not in _TAKES:
        raise Unreadable(f'an experiment cannot take "{take}"', f"take {', '.join(_TAKES)} (sum of a field)")
    return take
