"""Named segments and metrics: the keys `segments` and `metrics` of segments.yaml, or of a file with a target."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from campanile.spec.conditions import Metric, Segment, find_circle
from campanile.spec.fields import Unreadable, name, shown
from campanile.spec.grammar import Names, parse_conditions, parse_metric
from campanile.spec.reading import Path_, Report
from campanile.spec.vocabulary import Vocabulary

KEYS = ("segments", "metrics")
_WRITE = {"segments": "write name: [conditions]", "metrics": "write name: {of: EVENT, in: 90d, take: sum amount}"}


@dataclass(frozen=True)
class Named:
    """Segments and metrics without problems; `names` also has the broken ones, so that each is reported only once."""

    segments: Mapping[str, Segment] = field(default_factory=dict)
    metrics: Mapping[str, Metric] = field(default_factory=dict)
    names: Names = field(default_factory=Names)


def read_named(
    data: Mapping[str, object], report: Report, vocabulary: Vocabulary, beside: Named | None = None
) -> Named:
    """What the keys `segments` and `metrics` of a file say, and the names `beside` it that it does not give anew."""
    before = beside or Named()
    found = {
        key: parse_metric(
            _checked(key, "metric", ("metrics", key), report),
            item,
            vocabulary=vocabulary,
            report=report,
            at=("metrics", key),
        )
        for key, item in _mapping(data, "metrics", report).items()
    }
    metrics = {**before.metrics, **{key: metric for key, metric in found.items() if metric is not None}}
    written = _mapping(data, "segments", report)
    types = {key: metric.measure.type for key, metric in metrics.items()}
    names = Names((*before.names.segments, *written), types)
    segments = {**before.segments, **_segments(written, report, vocabulary, names)}
    _report_circles(segments, report)
    return Named(segments, metrics, names)


def _mapping(data: Mapping[str, object], key: str, report: Report) -> Mapping[str, object]:
    named = data.get(key)
    if isinstance(named, dict):
        return named
    if named is not None:
        report((key,), f"{key} wants keys and values, got {shown(named)}", _WRITE[key])
    return {}


def _segments(
    written: Mapping[str, object], report: Report, vocabulary: Vocabulary, names: Names
) -> dict[str, Segment]:
    segments = {}
    for key, item in written.items():
        at: Path_ = ("segments", key)
        conditions = parse_conditions(item, vocabulary=vocabulary, names=names, report=report, at=at)
        if conditions is not None:
            segments[key] = Segment(_checked(key, "segment", at, report), conditions)
    return segments


def _checked(key: str, noun: str, at: Path_, report: Report) -> str:
    try:
        return name(key)
    except Unreadable as error:
        report(at, f"the {noun} {error.what}", error.cure)
        return key


def _report_circles(segments: Mapping[str, Segment], report: Report) -> None:
    rest = dict(segments)
    while circle := find_circle(rest):
        path = " → ".join(circle)
        report(("segments", circle[0]), f"the segments go round in a circle: {path}", "take one out of the other")
        del rest[circle[0]]
