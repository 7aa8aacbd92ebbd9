"""Targets and segments: from plain YAML data to frozen conditions, every problem reported with its place.

Reads data that the strict loader gave: texts, numbers, true, false, lists and mappings.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Literal

from campanile.spec.conditions import Condition, Keep, Line, Metric, Target
from campanile.spec.flow import flow_text
from campanile.spec.reading import (
    Node,
    Path_,
    Reader,
    Report,
    customer_field,
    read_conditions,
    read_items,
    read_metric,
    segment_name,
)
from campanile.spec.shop_tables import COMPUTED
from campanile.spec.vocabulary import FieldType, Vocabulary

_TARGET_KEYS = ("from", "who", "except", "one_per", "keep")
_KEEP_KEYS = ("at_most", "by", "first")
_First = Literal["highest", "lowest", "random"]


@dataclass(frozen=True)
class Names:
    """What conditions may name beside the vocabulary: segments, and metrics with what they hold."""

    segments: Collection[str] = ()
    metrics: Mapping[str, FieldType] = field(default_factory=dict)


def parse_target(
    data: object, *, vocabulary: Vocabulary, names: Names, report: Report, at: Path_ = ()
) -> Target | None:
    """The target that the data says; None when a problem was reported."""
    reader = Reader(vocabulary, names.segments, report, names.metrics)
    target = _target(reader, data, at)
    return None if reader.problems else target


def parse_conditions(
    data: object, *, vocabulary: Vocabulary, names: Names, report: Report, at: Path_ = ()
) -> tuple[Condition, ...] | None:
    """The conditions of a list, all of which must hold; None when a problem was reported."""
    reader = Reader(vocabulary, names.segments, report, names.metrics)
    conditions = read_conditions(reader, data, at)
    return None if reader.problems else conditions


def parse_metric(key: str, data: object, *, vocabulary: Vocabulary, report: Report, at: Path_ = ()) -> Metric | None:
    """The metric of that name; None when a problem was reported.

    A shop may say itself what a computed field such as usual_gap is: in conditions its metric takes the field's place.
    """
    reader = Reader(vocabulary, (), report)
    if key in vocabulary.fields and key not in COMPUTED:
        reader.problem(at, f'"{key}" is a field of the customer already', "give the metric another name")
    metric = read_metric(reader, key, data, at)
    if metric and metric.measure.type is not (known := vocabulary.fields.get(key, metric.measure.type)):
        what = f'"{key}" is a field of the customer that is {known}; the metric is {metric.measure.type}'
        reader.problem(at, what, "give the metric another name")
    return None if reader.problems else metric


def _target(reader: Reader, data: object, at: Path_) -> Target | None:
    if not isinstance(data, Mapping):
        reader.problem(at, "a target is a mapping", "write who: and a list of conditions")
        return None
    reader.only(data, _TARGET_KEYS, "a target", at)
    if "who" not in data and "from" not in data:
        reader.problem(at, "the target says nobody", "write who: and a list of conditions, or from: and a segment")
    return Target(
        _lines(reader, data, "who", at),
        _lines(reader, data, "except", at),
        segment_name(reader, data["from"], (*at, "from")) if "from" in data else None,
        _keep(reader, data["keep"], (*at, "keep")) if "keep" in data else None,
        _one_per(reader, data["one_per"], (*at, "one_per")) if "one_per" in data else None,
    )


def _lines(reader: Reader, data: Node, key: str, at: Path_) -> tuple[Line, ...]:
    found = read_items(reader, data[key], (*at, key)) if key in data else []
    return tuple(Line(condition, flow_text(item)) for condition, item in found)


def _one_per(reader: Reader, field: object, at: Path_) -> str | None:
    type_ = customer_field(reader, field, at)
    if type_ and type_ is not FieldType.TEXT:
        reader.problem(at, f"one_per wants a field with text, {field} is {type_}", "name household, or the like")
    return str(field)


def _keep(reader: Reader, data: object, at: Path_) -> Keep | None:
    if not isinstance(data, Mapping):
        reader.problem(at, "keep is a mapping", "write keep: {at_most: 5000, by: FIELD, first: highest}")
        return None
    reader.only(data, _KEEP_KEYS, "keep", at)
    by, at_most = data.get("by"), data.get("at_most")
    if by is not None:
        _ranking(reader, by, (*at, "by"))
    first = _first(reader, data.get("first", "random" if by is None else "highest"), by, (*at, "first"))
    if isinstance(at_most, bool) or not isinstance(at_most, int) or at_most < 1:
        what = "keep says no number" if at_most is None else f'cannot read "{at_most}" for a number of customers'
        reader.problem((*at, "at_most"), what, "write at_most: and a whole number from 1")
        return None
    return Keep(at_most, None if by is None else str(by), first) if first else None


def _ranking(reader: Reader, field: object, at: Path_) -> None:
    type_ = customer_field(reader, field, at)
    if type_ and not type_.is_number and type_ is not FieldType.DATE:
        reader.problem(at, f"keep ranks by a number or a date, {field} is {type_}", "name another field")


def _first(reader: Reader, word: object, by: object, at: Path_) -> _First | None:
    words: tuple[_First, ...] = ("random",) if by is None else ("highest", "lowest")
    found = next((known for known in words if known == word), None)
    if found is None:
        cure = "name a field with by:, or write first: random" if by is None else "write highest or lowest"
        reader.problem(at, f'cannot keep the "{word}" first {"without" if by is None else "by"} a field', cure)
    return found
