"""Conditions of targets and segments: one function per form, listed in `CONDITION_FORMS`.

Never raises for what a marketer wrote: what cannot be read is reported with its place and left out.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

from campanile.errors import did_you_mean
from campanile.spec.comparisons import parse_comparison, parse_window
from campanile.spec.conditions import (
    All,
    AnyOf,
    Around,
    AtLeastOf,
    Condition,
    EventUse,
    Extreme,
    Fields,
    FieldTest,
    Happened,
    InSegment,
    Is,
    IsNot,
    Lifetime,
    Measure,
    Metric,
    NoneOf,
    Since,
    Times,
    Window,
)
from campanile.spec.fields import Unreadable
from campanile.spec.measures import MEASURES, parse_measure
from campanile.spec.sentences import comma_cure
from campanile.spec.shop_tables import Lack
from campanile.spec.vocabulary import EventType, FieldType, Vocabulary

Path_ = tuple[str | int, ...]
Report = Callable[[Path_, str, str], None]
Node = Mapping[Any, object]
T = TypeVar("T")

_FIELDS_OR = "a condition names a field of a customer, or one of "
#: What `did` and `did_not` ask without a measure: cheaper than a count, which may have to tell orders apart.
_HAPPENED = Measure("happened", None, FieldType.BOOL)


@dataclass
class Reader:
    """What reading needs to know, and how many problems it has reported."""

    vocabulary: Vocabulary
    segments: Collection[str]
    report: Report
    metrics: Mapping[str, FieldType] = field(default_factory=dict)
    problems: int = 0

    def problem(self, at: Path_, what: str, cure: str = "") -> None:
        """Reports a problem."""
        self.problems += 1
        self.report(at, what, cure)

    def lack(self, at: Path_, found: Lack | None) -> None:
        """Reports what the shop has no data for, if anything."""
        if found is not None:
            self.problem(at, *found)

    def read(self, parse: Callable[[], T], at: Path_) -> T | None:
        """What `parse` returns; None after reporting why it could not read."""
        try:
            return parse()
        except Unreadable as unreadable:
            self.problem(at, unreadable.what, unreadable.cure)
            return None

    def only(self, data: Node, known: Collection[str], what: str, at: Path_) -> None:
        """Reports every key that is not known."""
        for key in data:
            if key not in known:
                self.problem((*at, key), f'{what} has no "{key}"', did_you_mean(str(key), known))


def read_conditions(reader: Reader, data: object, at: Path_) -> tuple[Condition, ...]:
    """The conditions of a list."""
    return tuple(condition for condition, _ in read_items(reader, data, at))


def read_items(reader: Reader, data: object, at: Path_) -> list[tuple[Condition, object]]:
    """The conditions of a list, each with the data that it was read from."""
    if not isinstance(data, list | tuple):
        reader.problem(at, f'"{at[-1] if at else "this"}" is a list of conditions', 'write each one after "- "')
        return []
    if not data:
        reader.problem(at, "there is no condition here", "write one at least")
    found = [(_condition(reader, item, (*at, index)), item) for index, item in enumerate(data)]
    return [(condition, item) for condition, item in found if condition]


def _condition(reader: Reader, data: object, at: Path_) -> Condition | None:
    if not isinstance(data, Mapping) or not data:
        reader.problem(at, "a condition is a mapping", "write {FIELD: comparison} or {did: EVENT}")
        return None
    form = next((form for key, form in CONDITION_FORMS.items() if key in data), _fields)
    return form(reader, data, at)


# --- fields ----------------------------------------------------------------------------------------------------------
def _fields(reader: Reader, data: Node, at: Path_) -> Condition | None:
    places = {name: (*at, name) for name in data if not _rest_of_text(reader, str(name), data[name], (*at, name))}
    tests = [_test(reader, customer_field(reader, name, place), place, data[name]) for name, place in places.items()]
    for test in _present(tests):
        _possible(reader, test, places[test.field])
    return Fields(_present(tests))


def _possible(reader: Reader, test: FieldTest, at: Path_) -> None:
    """Reports values that the field never has, which would silently leave nobody."""
    held = reader.vocabulary.values.get(test.field)
    if held is None or not isinstance(test.comparison, Is | IsNot):
        return
    for value in test.comparison.values:
        if value not in held:
            words = f'"{value}"' if isinstance(value, str) else value
            reader.problem(at, f"{test.field} cannot be {words}", did_you_mean(str(value), map(str, held)))


def _rest_of_text(reader: Reader, name: str, value: object, at: Path_) -> bool:
    """Whether this is no key but what stands behind a comma, which is then reported."""
    known = (*reader.vocabulary.fields, *reader.metrics)
    cure = "" if name in known else comma_cure(name, value, known)
    if cure:
        reader.problem(at, f'"{name}" is no field, and says nothing', cure)
    return bool(cure)


def customer_field(reader: Reader, name: object, at: Path_) -> FieldType | None:
    """The type of a field of a customer or of a metric; None after reporting that there is none."""
    type_ = reader.vocabulary.fields.get(str(name)) or reader.metrics.get(str(name))
    if type_ is None:
        known = (*reader.vocabulary.fields, *reader.metrics)
        cure = did_you_mean(str(name), known) or f"{_FIELDS_OR}{', '.join(CONDITION_FORMS)}"
        reader.problem(at, f'no field "{name}"', cure)
    elif reader.vocabulary.shop and str(name) in reader.vocabulary.fields:
        reader.lack(at, reader.vocabulary.shop.lacks_field(str(name)))
    return type_


def _test(reader: Reader, type_: FieldType | None, at: Path_, value: object) -> FieldTest | None:
    """The comparison with the field that is last in the path; None when it has no type or cannot be read."""
    if type_ is None:
        return None
    comparison = reader.read(lambda: parse_comparison(value, type_), at)
    if isinstance(comparison, Times):
        _own_figure(reader, comparison.name, at)
    return FieldTest(str(at[-1]), type_, comparison) if comparison else None


def _own_figure(reader: Reader, name: str, at: Path_) -> None:
    """Reports when a figure cannot be multiplied."""
    type_ = customer_field(reader, name, at)
    if type_ and not type_.is_number:
        reader.problem(at, f'"{name}" is {type_}, not a number', "name a field or a metric that holds numbers")


def _present(tests: Iterable[FieldTest | None]) -> tuple[FieldTest, ...]:
    return tuple(test for test in tests if test)


# --- events ----------------------------------------------------------------------------------------------------------
def _did(reader: Reader, data: Node, at: Path_) -> Condition | None:
    name, event = _event(reader, data["did"], (*at, "did"))
    others = [key for key in data if key not in ("did", "where", "in")]
    use = _event_use(reader, data, name, event, at)
    if len(others) > 1:
        _two_measures(reader, others, at)
    if len(others) != 1 or event is None:
        return Happened(use, _HAPPENED, Is((True,)))
    key, place = str(others[0]), (*at, others[0])
    if key in reader.vocabulary.fields:
        reader.problem(place, f'"{key}" is a field of the customer, not a measure', "put it in a condition of its own")
        return None
    measure = reader.read(lambda: parse_measure(key, name, event), place)
    _check_measured(reader, measure, name, place)
    test = _test(reader, measure.type, place, data[others[0]]) if measure else None
    return Happened(use, measure, test.comparison) if measure and test else None


def _check_measured(reader: Reader, measure: Measure | None, event: str, at: Path_) -> None:
    """Reports when the shop has no data for the field that is measured."""
    if reader.vocabulary.shop and measure and measure.field:
        reader.lack(at, reader.vocabulary.shop.lacks_column(event, measure.field))


def _did_not(reader: Reader, data: Node, at: Path_) -> Condition | None:
    name, event = _event(reader, data["did_not"], (*at, "did_not"))
    for key in data:
        if _is_measure(key):
            reader.problem((*at, key), "did_not takes no measure", f"write did: {name}, {key}: …")
        elif key not in ("did_not", "where", "in"):
            reader.problem((*at, key), f'did_not has no "{key}"', did_you_mean(str(key), ("where", "in")))
    return Happened(_event_use(reader, data, name, event, at), _HAPPENED, Is((False,)))


def _event(reader: Reader, name: object, at: Path_) -> tuple[str, EventType | None]:
    event = reader.vocabulary.events.get(str(name))
    if event is None:
        cure = did_you_mean(str(name), reader.vocabulary.events) or "an event is a table of the customer database"
        reader.problem(at, f'no event "{name}"', cure)
    elif reader.vocabulary.shop:
        reader.lack(at, reader.vocabulary.shop.lacks_event(str(name)))
    return str(name), event


def _two_measures(reader: Reader, keys: list[Any], at: Path_) -> None:
    measures = [str(key) for key in keys if _is_measure(key)]
    if len(measures) > 1:
        reader.problem(at, "one measure per condition", f"write two conditions: {', '.join(measures)}")
    for key in keys:
        if str(key) not in measures:
            near = did_you_mean(str(key), (*MEASURES, "where", "in")) or f"known: where, in, {', '.join(MEASURES)}"
            reader.problem((*at, key), f'an event condition has no "{key}"', near)


def _is_measure(key: object) -> bool:
    return str(key).partition(" ")[0] in MEASURES


def _event_use(reader: Reader, data: Node, name: str, event: EventType | None, at: Path_) -> EventUse:
    where = _where(reader, data["where"], name, event, (*at, "where")) if "where" in data else ()
    every_state = name == "order" and any(test.field == "state" for test in where)
    return EventUse(name, where, _window(reader, data, at), every_state)


def _window(reader: Reader, data: Node, at: Path_) -> Window:
    if "in" not in data:
        return Lifetime()
    window = reader.read(lambda: parse_window(data["in"]), (*at, "in")) or Lifetime()
    if isinstance(window, Since | Around):
        _event(reader, window.event, (*at, "in"))
    return window


def _where(reader: Reader, data: object, name: str, event: EventType | None, at: Path_) -> tuple[FieldTest, ...]:
    if not isinstance(data, Mapping) or not data:
        reader.problem(at, "where is a mapping of event fields", "write where: {FIELD: comparison}")
        return ()
    if event is None:
        return ()
    tests = _present(_event_test(reader, name, event, (*at, field), value) for field, value in data.items())
    return tuple(sorted(tests, key=lambda test: test.field))


def _event_test(reader: Reader, name: str, event: EventType, at: Path_, value: object) -> FieldTest | None:
    field = str(at[-1])
    type_ = event.type_of(field)
    if type_ is None:
        reader.problem(at, f'"{name}" has no field "{field}"', event.cure_for(field))
    elif reader.vocabulary.shop:
        reader.lack(at, reader.vocabulary.shop.lacks_column(name, field))
    test = _test(reader, type_, at, value)
    if test and isinstance(test.comparison, Extreme):
        reader.problem(at, f'"{value}" ranks customers, not events', "use it on a field or a measure")
    if test and isinstance(test.comparison, Times):
        reader.problem(at, f'"{value}" compares customers, not events', "use it on a field or a measure")
    return test


# --- combinations ----------------------------------------------------------------------------------------------------
def _segment(reader: Reader, data: Node, at: Path_) -> Condition | None:
    _alone(reader, data, "segment", at)
    return InSegment(segment_name(reader, data["segment"], (*at, "segment")))


def segment_name(reader: Reader, name: object, at: Path_) -> str:
    """The name of a segment; reports when there is none of that name."""
    if name not in reader.segments:
        reader.problem(at, f'no segment "{name}"', did_you_mean(str(name), reader.segments))
    return str(name)


def _combination(
    word: str, kind: Callable[[tuple[Condition, ...]], Condition]
) -> Callable[[Reader, Node, Path_], Condition | None]:
    def read(reader: Reader, data: Node, at: Path_) -> Condition | None:
        _alone(reader, data, word, at)
        return kind(read_conditions(reader, data[word], (*at, word)))

    return read


def _at_least_of(reader: Reader, data: Node, at: Path_) -> Condition | None:
    reader.only(data, ("at_least", "of"), "at_least", at)
    conditions = read_conditions(reader, data["of"], (*at, "of")) if "of" in data else ()
    number = data.get("at_least")
    if "of" not in data or "at_least" not in data:
        reader.problem(at, "at_least and of belong together", "write {at_least: 2, of: [condition, …]}")
    elif isinstance(number, bool) or not isinstance(number, int) or number < 1:
        reader.problem((*at, "at_least"), f'cannot read "{number}" for a number of conditions', "write 1, 2 …")
    elif isinstance(data["of"], list) and number > len(data["of"]):
        what = f"{number} of {len(data['of'])} conditions can never hold"
        reader.problem((*at, "at_least"), what, f"write at most {len(data['of'])}")
    else:
        return AtLeastOf(number, conditions)
    return None


def _alone(reader: Reader, data: Node, word: str, at: Path_) -> None:
    for key in data:
        if key != word:
            reader.problem((*at, key), f'"{word}" stands alone', f'put "{key}" in a condition of its own')


CONDITION_FORMS: Mapping[str, Callable[[Reader, Node, Path_], Condition | None]] = {
    "did": _did,
    "did_not": _did_not,
    "segment": _segment,
    "all": _combination("all", All),
    "any": _combination("any", AnyOf),
    "none": _combination("none", NoneOf),
    "at_least": _at_least_of,
    "of": _at_least_of,
}


# --- metrics ---------------------------------------------------------------------------------------------------------
_METRIC_KEYS = ("of", "where", "in", "take")


def read_metric(reader: Reader, name: str, data: object, at: Path_) -> Metric | None:
    """The metric that the data says; None when a problem was reported."""
    if not isinstance(data, Mapping) or not {"of", "take"} <= data.keys():
        reader.problem(at, "a metric says of which event it takes what", "write {of: EVENT, in: 90d, take: sum amount}")
        return None
    reader.only(data, _METRIC_KEYS, "a metric", at)
    event_name, event = _event(reader, data["of"], (*at, "of"))
    use = _event_use(reader, data, event_name, event, at)
    if event is None:
        return None
    measure = reader.read(lambda: parse_measure(str(data["take"]), event_name, event), (*at, "take"))
    _check_measured(reader, measure, event_name, (*at, "take"))
    return Metric(name, use, measure) if measure else None
