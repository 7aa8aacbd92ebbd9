"""The fields of a customer and the kinds of events that targets may name; read from vocabulary.yaml."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal
from enum import StrEnum
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from campanile.errors import did_you_mean

if TYPE_CHECKING:
    from campanile.spec.scoring import RfmSettings
    from campanile.spec.segment_map import SegmentMap
    from campanile.spec.shop_tables import ShopTables


class FieldType(StrEnum):
    """What a field holds, and so which comparisons it takes."""

    NUMBER = "num"
    MONEY = "money"  #: integer minor units in the database, major units in YAML
    TEXT = "str"
    WEEKDAY = "weekday"  #: mon, tue, wed, thu, fri, sat or sun
    BOOL = "bool"
    DATE = "date"
    YEARLY = "anniv"  #: a date whose year is ignored, as a birthday
    LIST = "list"  #: several texts

    @property
    def is_number(self) -> bool:
        """Whether it can be added up and ranked."""
        return self in (FieldType.NUMBER, FieldType.MONEY)


#: Every event has these: its local time in the shop's zone.
CLOCK_FIELDS: Mapping[str, FieldType] = {
    "hour": FieldType.NUMBER,
    "weekday": FieldType.WEEKDAY,
    "month": FieldType.NUMBER,
    "day": FieldType.NUMBER,
}
_SCOPED = re.compile(r"rfm_[a-z][a-z0-9_]*\.[rfm]")
WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")


@dataclass(frozen=True)
class EventType:
    """The fields of one kind of event. `count_by`: the field whose distinct values are counted; None counts rows."""

    fields: Mapping[str, FieldType]
    count_by: str | None = None

    def type_of(self, name: str) -> FieldType | None:
        """The type of a field of this event, clock fields included; None when it has no such field."""
        return self.fields.get(name) or CLOCK_FIELDS.get(name)

    @property
    def names(self) -> frozenset[str]:
        """The names of all its fields, clock fields included."""
        return frozenset(self.fields) | frozenset(CLOCK_FIELDS)

    def cure_for(self, name: str) -> str:
        """What to write instead of a field that this event does not have: the near one, else all of its own.

        >>> EventType({"sku": FieldType.TEXT, "qty": FieldType.NUMBER}).cure_for("product")
        'known: qty, sku, and day, hour, month, weekday'
        """
        near = did_you_mean(name, self.names)
        if near.startswith("did you mean"):
            return near
        return f"known: {', '.join(sorted(self.fields))}, and {', '.join(sorted(CLOCK_FIELDS))}"


@dataclass(frozen=True)
class Vocabulary:
    """Everything a target can be written about."""

    fields: Mapping[str, FieldType]
    events: Mapping[str, EventType]
    #: Fields that the product computes and that can hold nothing else.
    values: Mapping[str, tuple[str | Decimal, ...]] = field(default_factory=dict)
    #: With it, names that this shop has no data for are problems.
    shop: ShopTables | None = None

    def without_values(self, imported: Collection[str]) -> Vocabulary:
        """The same, but fields that a shop imports itself may hold the shop's own words."""
        return replace(self, values={name: held for name, held in self.values.items() if name not in imported})


@cache
def load_vocabulary() -> Vocabulary:
    """The product's own vocabulary.

    >>> load_vocabulary().events["bought"].count_by
    'order_id'
    """
    import yaml

    data = yaml.safe_load((Path(__file__).parent / "vocabulary.yaml").read_text(encoding="utf-8"))
    events = {name: EventType(_types(event["fields"]), event.get("count_by")) for name, event in data["events"].items()}
    return Vocabulary(_types(data["fields"]), events, {name: _values(held) for name, held in data["values"].items()})


def with_scores(vocabulary: Vocabulary, rfm: RfmSettings, segments: SegmentMap) -> Vocabulary:
    """The same, with the fields of a shop's own RFM scopes, and the scores and segments that its settings make."""
    scoped = {f"rfm_{scope}.{letter}": FieldType.NUMBER for scope in rfm.scopes for letter in "rfm"}
    scores = tuple(Decimal(score) for score in range(1, rfm.scores + 1))
    held: dict[str, tuple[str | Decimal, ...]] = dict.fromkeys(("rfm.r", "rfm.f", "rfm.m", *scoped), scores)
    held |= dict.fromkeys(("rfm.segment", "rfm_segment_before", "rfm_segment_90d_ago"), segments.names)
    known = {name: values for name, values in held.items() if name in vocabulary.values or name in scoped}
    return replace(vocabulary, fields={**vocabulary.fields, **scoped}, values={**vocabulary.values, **known})


def field_type(name: str) -> FieldType:
    """What a field of a customer holds; scores of a shop's own RFM scopes are numbers.

    >>> field_type("rfm_teas.r").value, field_type("stage").value
    ('num', 'str')
    """
    return FieldType.NUMBER if _SCOPED.fullmatch(name) else load_vocabulary().fields[name]


def _values(held: Sequence[str | int]) -> tuple[str | Decimal, ...]:
    return tuple(value if isinstance(value, str) else Decimal(value) for value in held)


def _types(fields: Mapping[str, str]) -> dict[str, FieldType]:
    return {name: FieldType(type_) for name, type_ in fields.items()}
