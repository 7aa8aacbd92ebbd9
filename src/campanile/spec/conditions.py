"""What a target says, as frozen values. Parsed by grammar.py, compiled to one relation by the room `audience`.

Meaning of every form: an unknown value makes a comparison false, in both directions; only `unknown` is true of it.
Values are hashable and compare by content, so equal event uses share one aggregate.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Literal

from campanile.clock import Duration
from campanile.spec.vocabulary import FieldType

Scalar = str | Decimal | bool
NO_TIME = Duration()


# --- comparisons -----------------------------------------------------------------------------------------------------
@dataclass(frozen=True)
class Is:
    """Equal to one of the values; a list field holds one of them."""

    values: tuple[Scalar, ...]


@dataclass(frozen=True)
class IsNot:
    """Known, and none of the values; a list field holds none of them."""

    values: tuple[Scalar, ...]


@dataclass(frozen=True)
class HasAll:
    """A list field holds all of the values."""

    values: tuple[str, ...]


@dataclass(frozen=True)
class Known:
    """Whether there is a value at all."""

    known: bool


@dataclass(frozen=True)
class Bound:
    """A number on one side of another."""

    word: Literal["at least", "over", "at most", "under"]
    number: Decimal


@dataclass(frozen=True)
class Between:
    """A number between two others, both included."""

    low: Decimal
    high: Decimal


@dataclass(frozen=True)
class Extreme:
    """Among the highest or lowest share of all customers that have a value, ties in."""

    end: Literal["top", "bottom"]
    percent: Decimal


@dataclass(frozen=True)
class Times:
    """A number beside a multiple of another figure of the same customer: a field, or a metric."""

    word: Literal["at least", "over", "at most", "under", "exactly", "not"]
    factor: Decimal
    name: str


@dataclass(frozen=True)
class Contains:
    """A text with this text anywhere inside, letter case kept."""

    text: str


@dataclass(frozen=True)
class Starts:
    """A text that begins with this text, letter case kept."""

    text: str


@dataclass(frozen=True)
class DateSpan:
    """Calendar days from first to last, both included; None is open. A comparison of dates and a window of events."""

    first: date | None
    last: date | None


@dataclass(frozen=True)
class DaysAround:
    """Calendar days from `first` to `last` relative to today, both included; None is open."""

    first: DayShift | None
    last: DayShift | None


@dataclass(frozen=True)
class DayShift:
    """Today moved back, or ahead, by a length; `days_more` is added afterwards."""

    length: Duration
    ahead: bool
    days_more: int = 0


@dataclass(frozen=True)
class InMonth:
    """The calendar month `offset` months after the present one."""

    offset: int


Comparison = (
    Is
    | IsNot
    | HasAll
    | Known
    | Bound
    | Between
    | Extreme
    | Times
    | Contains
    | Starts
    | DateSpan
    | DaysAround
    | InMonth
)  # fmt: skip


# --- windows ---------------------------------------------------------------------------------------------------------
@dataclass(frozen=True)
class Lifetime:
    """Everything before as_of."""


@dataclass(frozen=True)
class Length:
    """From `older` before as_of to `newer` before as_of; half-open."""

    older: Duration
    newer: Duration = NO_TIME


@dataclass(frozen=True)
class CalendarWindow:
    """Today, yesterday, or this or last month, quarter or year in the shop's time zone."""

    unit: Literal["day", "month", "quarter", "year"]
    back: int  #: 0 this, 1 last


@dataclass(frozen=True)
class Since:
    """After the customer's first or last event of a kind, its own moment excluded, up to as_of; empty without one."""

    edge: Literal["first", "last"]
    event: str


@dataclass(frozen=True)
class Around:
    """So long after the customer's first or last event of a kind, or before it; its own moment excluded.

    A length after ends with its last moment, one before begins with its first: `30d after` is (t, t + 30d], `30d
    before` is [t - 30d, t).
    """

    length: Duration
    side: Literal["after", "before"]
    edge: Literal["first", "last"]
    event: str


Window = Lifetime | Length | DateSpan | CalendarWindow | Since | Around


# --- conditions ------------------------------------------------------------------------------------------------------
@dataclass(frozen=True)
class FieldTest:
    """One comparison with one field of a customer or of an event."""

    field: str
    type: FieldType
    comparison: Comparison


@dataclass(frozen=True)
class EventUse:
    """The events of one kind that match `where` inside a window: what one aggregate reads."""

    event: str
    where: tuple[FieldTest, ...]  #: by field name, so that the order in YAML makes no difference
    window: Window
    every_state: bool = False  #: whether orders that do not count are among them, because `where` names a state


@dataclass(frozen=True)
class Measure:
    """What is taken of the events: the word of the grammar, its field if it has one, the type of the result."""

    kind: str
    field: str | None
    type: FieldType


@dataclass(frozen=True)
class Fields:
    """All these fields of the customer compare as said."""

    tests: tuple[FieldTest, ...]


@dataclass(frozen=True)
class Happened:
    """A measure of the customer's own events compares as said.

    `did: X` alone and `did_not: X` take the measure `happened`, true or false, which has no word in the grammar.
    """

    use: EventUse
    measure: Measure
    comparison: Comparison


@dataclass(frozen=True)
class InSegment:
    """All conditions of a named segment hold."""

    name: str


@dataclass(frozen=True)
class All:
    """All hold."""

    conditions: tuple[Condition, ...]


@dataclass(frozen=True)
class AnyOf:
    """One holds at least."""

    conditions: tuple[Condition, ...]


@dataclass(frozen=True)
class NoneOf:
    """Not one holds."""

    conditions: tuple[Condition, ...]


@dataclass(frozen=True)
class AtLeastOf:
    """So many hold at least."""

    number: int
    conditions: tuple[Condition, ...]


Condition = Fields | Happened | InSegment | All | AnyOf | NoneOf | AtLeastOf


# --- targets ---------------------------------------------------------------------------------------------------------
@dataclass(frozen=True)
class Segment:
    """A named list of conditions; all must hold."""

    name: str
    conditions: tuple[Condition, ...]


@dataclass(frozen=True)
class Metric:
    """A named figure of every customer, used like a field."""

    name: str
    use: EventUse
    measure: Measure


@dataclass(frozen=True)
class Line:
    """One condition of `who` or `except`, and its text for the waterfall."""

    condition: Condition
    text: str


@dataclass(frozen=True)
class Keep:
    """At most so many of those that are left; by a field's value, or at random."""

    at_most: int
    by: str | None = None
    first: Literal["highest", "lowest", "random"] = "random"


@dataclass(frozen=True)
class Target:
    """Whom a campaign is for: all of `who`, none of `except_`, out of the segment `from_`; the first of each `one_per`.

    Then at most as many as `keep` says.
    """

    who: tuple[Line, ...]
    except_: tuple[Line, ...] = ()
    from_: str | None = None
    keep: Keep | None = None
    one_per: str | None = None


def walk(conditions: Sequence[Condition]) -> Iterator[Condition]:
    """Every condition and those inside it, not following segments."""
    for condition in conditions:
        yield condition
        if isinstance(condition, All | AnyOf | NoneOf | AtLeastOf):
            yield from walk(condition.conditions)


def segments_used(conditions: Sequence[Condition]) -> tuple[str, ...]:
    """The names of the segments that the conditions use themselves, in order of appearance.

    >>> segments_used([NoneOf((InSegment("vip"),)), InSegment("mailable")])
    ('vip', 'mailable')
    """
    return tuple(dict.fromkeys(each.name for each in walk(conditions) if isinstance(each, InSegment)))


def names_used(conditions: Sequence[Condition]) -> Iterator[str]:
    """The names of the fields and metrics that the conditions compare, and that they compare with."""
    for each in walk(conditions):
        if isinstance(each, Fields):
            yield from (test.field for test in each.tests)
        tests = each.tests if isinstance(each, Fields) else (each,) if isinstance(each, Happened) else ()
        yield from (test.comparison.name for test in tests if isinstance(test.comparison, Times))


def segments_needed(target: Target, segments: Mapping[str, Segment]) -> frozenset[str]:
    """The names of the segments that decide who is in a target, those that segments use in turn included.

    >>> segments = {"a": Segment("a", (InSegment("b"),)), "b": Segment("b", ()), "c": Segment("c", ())}
    >>> sorted(segments_needed(Target((Line(InSegment("a"), ""),)), segments))
    ['a', 'b']
    """
    lines = [line.condition for line in (*target.who, *target.except_)]
    waiting = [*segments_used(lines), *filter(None, [target.from_])]
    found: set[str] = set()
    while waiting:
        if (name := waiting.pop()) not in found:
            found.add(name)
            waiting += segments_used(segments[name].conditions)
    return frozenset(found)


def metrics_needed(target: Target, segments: Mapping[str, Segment]) -> frozenset[str]:
    """The names of fields and metrics that decide who is in a target, by its segments too.

    >>> metrics_needed(Target((), keep=Keep(5, "spend")), {})
    frozenset({'spend'})
    """
    conditions = [line.condition for line in (*target.who, *target.except_)]
    conditions += [each for name in segments_needed(target, segments) for each in segments[name].conditions]
    by = target.keep.by if target.keep else None
    return frozenset((*names_used(conditions), *filter(None, [by])))


def fields_of(target: Target, segments: Mapping[str, Segment]) -> frozenset[str]:
    """The names of fields and metrics that a target reads at all: to decide who is in it, and of whom it takes one.

    >>> sorted(fields_of(Target((), one_per="household", keep=Keep(5, "spend")), {}))
    ['household', 'spend']
    """
    return metrics_needed(target, segments) | frozenset(filter(None, [target.one_per]))


def find_circle(segments: Mapping[str, Segment]) -> tuple[str, ...] | None:
    """The names along a circle of segments that use one another, first and last equal; None when there is none.

    >>> a, b = Segment("a", (InSegment("b"),)), Segment("b", (InSegment("a"),))
    >>> find_circle({"a": a, "b": b})
    ('a', 'b', 'a')
    """
    done: set[str] = set()

    def visit(name: str, path: tuple[str, ...]) -> tuple[str, ...] | None:
        if name in path:
            return (*path[path.index(name) :], name)
        if name in done or name not in segments:
            return None
        for used in segments_used(segments[name].conditions):
            if circle := visit(used, (*path, name)):
                return circle
        done.add(name)
        return None

    return next((circle for name in segments if (circle := visit(name, ()))), None)
