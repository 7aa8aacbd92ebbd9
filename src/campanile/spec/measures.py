"""The measures of an event condition: `count`, `sum amount`, `last channel` … one `_Kind` each."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from campanile.errors import did_you_mean
from campanile.spec.conditions import Measure
from campanile.spec.fields import Unreadable
from campanile.spec.vocabulary import EventType, FieldType


@dataclass(frozen=True)
class _Kind:
    """Whether a measure takes a field, which ones, and whether its result is of the field's own type or a number."""

    field: Literal["none", "may", "must"]
    numbers_only: bool = False
    own_type: bool = False


MEASURES: Mapping[str, _Kind] = {
    "count": _Kind("none"),
    "days": _Kind("none"),
    "sum": _Kind("must", numbers_only=True, own_type=True),
    "avg": _Kind("must", numbers_only=True, own_type=True),
    "min": _Kind("must", numbers_only=True, own_type=True),
    "max": _Kind("must", numbers_only=True, own_type=True),
    "median": _Kind("must", numbers_only=True, own_type=True),
    "distinct": _Kind("must"),
    "share": _Kind("may", numbers_only=True),
    "usual": _Kind("must", own_type=True),
    "first": _Kind("must", own_type=True),
    "last": _Kind("must", own_type=True),
    "since_last": _Kind("none"),
    "since_first": _Kind("none"),
    "gap": _Kind("none"),
}


def parse_measure(text: str, event_name: str, event: EventType) -> Measure:
    """The measure that a key of an event condition names.

    >>> parse_measure("sum qty", "bought", EventType({"qty": FieldType.NUMBER}))
    Measure(kind='sum', field='qty', type=<FieldType.NUMBER: 'num'>)

    Raises:
        Unreadable: there is no such measure, or it does not go with the field.
    """
    word, _, field = " ".join(text.split()).partition(" ")
    kind = MEASURES.get(word)
    if kind is None:
        raise Unreadable(f'no measure "{word}"', did_you_mean(word, (*MEASURES, "where", "in")) or _known())
    if not field:
        if kind.field == "must":
            raise Unreadable(f"{word} needs a field", f"write {word} and a field of {event_name}")
        return Measure(word, None, FieldType.NUMBER)
    if kind.field == "none":
        raise Unreadable(f"{word} takes no field", f"write {word} alone")
    type_ = _field_type(word, kind, field, event_name, event)
    return Measure(word, field, type_ if kind.own_type else FieldType.NUMBER)


def _field_type(word: str, kind: _Kind, field: str, event_name: str, event: EventType) -> FieldType:
    type_ = event.type_of(field)
    if type_ is None:
        raise Unreadable(f'"{event_name}" has no field "{field}"', event.cure_for(field))
    if kind.numbers_only and not type_.is_number:
        raise Unreadable(f"{word} needs a number, {field} is {type_}", "name a field that holds numbers")
    if type_ is FieldType.LIST:
        raise Unreadable(f"{word} needs a single value, {field} is {type_}", "name another field")
    return type_


def _known() -> str:
    return f"known: {', '.join(MEASURES)}"
