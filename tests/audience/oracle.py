"""Who a target means, in plain Python loops over plain data. Shares no code with the product's parser or compiler."""
# ruff: noqa: PLR0911, PLR0912

from __future__ import annotations

import calendar
import math
import re
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from fractions import Fraction
from typing import Any

from audience.world import VOCABULARY, World

NUMBER = r"(-?\d+(?:\.\d+)?)"
WEEKDAYS = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
EVERY_STATE = "order of every state"
ZERO_WITHOUT_EVENTS = ("count", "days", "sum", "distinct")


class Oracle:
    """Evaluates conditions on the rows of a world."""

    def __init__(
        self,
        world: World,
        segments: dict[str, list[Any]] | None = None,
        metrics: dict[str, dict[str, Any]] | None = None,
        *,
        orders_may_be_void: bool = False,
    ) -> None:
        self.world = world
        self.segments = segments or {}
        self.metrics = metrics or {}
        self.today = world.as_of.astimezone(world.zone).date()
        self.now = world.as_of.astimezone(UTC).replace(tzinfo=None)
        self.extremes: dict[str, set[str]] = {}
        self.windows: dict[str, tuple[datetime | None, datetime | None]] = {}
        self.rows = {row["customer_id"]: row for row in world.customers}
        self.by_customer: dict[tuple[str, str], list[dict[str, Any]]] = {}
        seen = {kind: [row for row in rows if row["at"] < self.now] for kind, rows in world.events.items()}
        if orders_may_be_void:
            seen = without_void(seen)
        for kind, rows in seen.items():
            for row in rows:
                self.by_customer.setdefault((kind, row["customer_id"]), []).append(row)

    def ids(self, condition: dict[str, Any]) -> set[str]:
        """Everybody for whom the condition holds."""
        return {customer for customer in self.rows if self.holds(condition, customer)}

    def holds(self, condition: dict[str, Any], customer: str) -> bool:
        if "did" in condition or "did_not" in condition:
            return self.event(condition, customer)
        if "segment" in condition:
            return all(self.holds(each, customer) for each in self.segments[condition["segment"]])
        for word, judge in (("all", all), ("any", any)):
            if word in condition:
                return judge(self.holds(each, customer) for each in condition[word])
        if "none" in condition:
            return not any(self.holds(each, customer) for each in condition["none"])
        if "of" in condition:
            return sum(self.holds(each, customer) for each in condition["of"]) >= condition["at_least"]
        return all(self.field(customer, name, wanted) for name, wanted in condition.items())

    def field(self, customer: str, name: str, wanted: Any) -> bool:
        if metric := self.metrics.get(name):
            return self.event(as_condition(metric) | {metric["take"]: wanted}, customer)
        type_ = str(VOCABULARY.fields[name])
        if share := extreme(wanted):
            values = (major(row[name], type_) for row in self.rows.values())
            return customer in self.among(f"{name} {wanted}", values, share)
        return self.compared(major(self.rows[customer][name], type_), wanted, type_, customer)

    def figure(self, name: str, customer: str) -> Any:
        """A field or metric of a customer, as a number."""
        if metric := self.metrics.get(name):
            return self.measure(metric["take"], as_condition(metric), customer)
        return major(self.rows[customer][name], str(VOCABULARY.fields[name]))

    def compared(self, value: Any, wanted: Any, type_: str, customer: str) -> bool:
        match = re.fullmatch(rf"(at least|over|at most|under|exactly|not) {NUMBER} x (\S+)", str(wanted))
        if match is None:
            return compare(value, wanted, type_, self.today)
        other = self.figure(match[3], customer)
        if value is None or other is None:
            return False
        more = round(value - Fraction(match[2]) * other, 6)
        return {
            "at least": more >= 0, "over": more > 0, "at most": more <= 0, "under": more < 0,
            "exactly": more == 0, "not": more != 0,
        }[match[1]]  # fmt: skip

    # --- events --------------------------------------------------------------------------------------------------
    def event(self, condition: dict[str, Any], customer: str) -> bool:
        if "did_not" in condition:
            return not self.matching({"did": condition["did_not"]} | condition, customer)
        measures = [key for key in condition if key not in ("did", "where", "in")]
        if not measures:
            return bool(self.matching(condition, customer))
        measure, wanted = measures[0], condition[measures[0]]
        if share := extreme(wanted):
            # Whose count or sum is 0 for want of any event has nothing that could be ranked.
            none = measure.partition(" ")[0] in ZERO_WITHOUT_EVENTS
            values = (
                None if none and not self.matching(condition, each) else self.measure(measure, condition, each)
                for each in self.rows
            )
            return customer in self.among(str(condition), values, share)
        value = self.measure(measure, condition, customer)
        return self.compared(value, wanted, self.result_type(measure, condition), customer)

    def among(self, key: str, values: Iterator[Any], share: tuple[str, Fraction]) -> set[str]:
        """Whose value is among the highest or lowest share of all values; worked out once for every customer."""
        if key not in self.extremes:
            end, part = share
            everybody = {each: value for each, value in zip(self.rows, values, strict=True) if value is not None}
            known = sorted(everybody.values(), reverse=end == "top")
            last = known[math.ceil(part * len(known)) - 1] if known else None
            self.extremes[key] = {
                each for each, value in everybody.items() if (value >= last if end == "top" else value <= last)
            }
        return self.extremes[key]

    def result_type(self, measure: str, condition: dict[str, Any]) -> str:
        word, _, name = measure.partition(" ")
        if word in ("usual", "first", "last"):
            return self.event_type(condition["did"], name)
        return "num"

    def event_type(self, kind: str, name: str) -> str:
        if name in ("hour", "month", "day"):
            return "num"
        return "str" if name == "weekday" else str(VOCABULARY.events[kind].fields[name])

    def matching(self, condition: dict[str, Any], customer: str, where: bool = True) -> list[dict[str, Any]]:
        kind = condition["did"]
        if kind == "order" and "state" in condition.get("where", {}) and (EVERY_STATE, customer) in self.by_customer:
            kind = EVERY_STATE
        rows = self.by_customer.get((kind, customer), [])
        rows = [row for row in rows if self.inside(row["at"], condition, customer)]
        if not where:
            return rows
        tests = condition.get("where", {})
        return [row for row in rows if all(self.event_field(condition["did"], row, *test) for test in tests.items())]

    def event_field(self, kind: str, row: dict[str, Any], name: str, wanted: Any) -> bool:
        return compare(self.value(kind, row, name), wanted, self.event_type(kind, name), self.today)

    def value(self, kind: str, row: dict[str, Any], name: str) -> Any:
        local = row["at"].replace(tzinfo=UTC).astimezone(self.world.zone)
        if name in ("hour", "month", "day"):
            return getattr(local, name)
        if name == "weekday":
            return WEEKDAYS[local.weekday()]
        return major(row[name], self.event_type(kind, name))

    def inside(self, at: datetime, condition: dict[str, Any], customer: str) -> bool:
        text = str(condition.get("in", "lifetime"))
        if match := re.fullmatch(r"(?:since|(\w+) (after|before)) (last|first) (\w+)", text):
            moments = [row["at"] for row in self.by_customer.get((match[4], customer), [])]
            if not moments:
                return False
            return self.around(at, (max if match[3] == "last" else min)(moments), match[1], match[2])
        if text not in self.windows:
            self.windows[text] = window(text, self.world.as_of, self.world.zone)
        start, end = self.windows[text]
        moment = at.replace(tzinfo=UTC)
        return (start is None or moment >= start) and (end is None or moment < end)

    def around(self, at: datetime, moment: datetime, length: str | None, side: str | None) -> bool:
        """After the moment and at most so long after it, or before it and at most so long before it."""
        if length is None:
            return at > moment
        ends = [each if length[-1] == "h" else self.local(each) for each in (at, moment)]
        if side == "after":
            return at > moment and ends[0] <= moved(ends[1], length, 1)
        return at < moment and ends[0] >= moved(ends[1], length, -1)

    def local(self, at: datetime) -> datetime:
        return at.replace(tzinfo=UTC).astimezone(self.world.zone).replace(tzinfo=None)

    def day(self, row: dict[str, Any]) -> date:
        return row["at"].replace(tzinfo=UTC).astimezone(self.world.zone).date()

    def measure(self, measure: str, condition: dict[str, Any], customer: str) -> Any:
        word, _, name = measure.partition(" ")
        rows, kind = self.matching(condition, customer), condition["did"]
        if word == "share":
            every = self.matching(condition, customer, where=False)
            whole = self.total(every, kind, name)
            return Fraction(self.total(rows, kind, name), whole) if whole else None
        if word == "count":
            return self.total(rows, kind, "")
        if not rows:
            return 0 if word in ZERO_WITHOUT_EVENTS else None
        days = sorted({self.day(row) for row in rows})
        known = [value for row in rows if name and (value := self.value(kind, row, name)) is not None]
        return self.taken(word, name, rows=rows, kind=kind, days=days, known=known)

    def total(self, rows: list[dict[str, Any]], kind: str, name: str) -> Any:
        if name:
            return sum((self.value(kind, row, name) or 0 for row in rows), Fraction(0))
        if kind == "bought":
            orders = [row["order_id"] for row in rows]
            return len(set(orders) - {None}) + orders.count(None)
        return len(rows)

    def taken(self, word: str, name: str, *, rows: list[Any], kind: str, days: list[date], known: list[Any]) -> Any:
        if word in ("first", "last"):
            edge = (min if word == "first" else max)(row["at"] for row in rows)
            values = [self.value(kind, row, name) for row in rows if row["at"] == edge]
            values = [value for value in values if value is not None]
            return min(values) if values else None
        if word == "gap":
            return Fraction((days[-1] - days[0]).days, len(days) - 1) if len(days) > 1 else None
        plain = {
            "days": lambda: len(days),
            "since_last": lambda: (self.today - days[-1]).days,
            "since_first": lambda: (self.today - days[0]).days,
            "sum": lambda: sum(known, Fraction(0)),
            "distinct": lambda: len(set(known)),
        }
        if word in plain:
            return plain[word]()
        if not known:
            return None
        return {
            "avg": lambda: sum(known, Fraction(0)) / len(known),
            "min": lambda: min(known),
            "max": lambda: max(known),
            "median": lambda: median(known),
            "usual": lambda: min(known, key=lambda value: (-Counter(known)[value], value)),
        }[word]()


def without_void(events: dict[str, list[dict[str, Any]]]) -> dict[str, list[dict[str, Any]]]:
    """The events without orders that do not count and without their lines; all orders under a name of their own."""
    back: Counter[str] = Counter()
    for row in events.get("returned", []):
        back[row["order_id"]] += row["amount"] or 0
    orders = events.get("order", [])
    valid = [
        row
        for row in orders
        if row["state"] in ("paid", "part_refunded")
        and row["amount"] is not None
        and row["amount"] - (back[row["order_id"]] if row["order_id"] else 0) > 0
    ]
    void = {row["order_id"] for row in orders} - {row["order_id"] for row in valid} - {None}
    lines = [row for row in events.get("bought", []) if row["order_id"] not in void]
    return events | {"order": valid, EVERY_STATE: orders, "bought": lines}


def as_condition(metric: dict[str, Any]) -> dict[str, Any]:
    """What a metric counts, as a condition without its measure."""
    return {"did": metric["of"]} | {key: metric[key] for key in ("where", "in") if key in metric}


def major(value: Any, type_: str) -> Any:
    """A stored value as a marketer thinks of it; numbers exactly."""
    if value is None or type_ not in ("num", "money"):
        return value
    return Fraction(value, 100) if type_ == "money" else Fraction(str(value))


def median(values: list[Any]) -> Any:
    ordered = sorted(values)
    middle = len(ordered) // 2
    return ordered[middle] if len(ordered) % 2 else (ordered[middle - 1] + ordered[middle]) / 2


def extreme(wanted: Any) -> tuple[str, Fraction] | None:
    match = re.fullmatch(r"(top|bottom) (\d+(?:\.\d+)?)%", str(wanted))
    return (match[1], Fraction(match[2]) / 100) if match else None


# --- comparisons -------------------------------------------------------------------------------------------------
def compare(value: Any, wanted: Any, type_: str, today: date) -> bool:
    if wanted == "known":
        return value is not None
    if wanted == "unknown":
        return value is None
    if value is None:
        return False
    if type_ == "list":
        return compare_list(value, wanted)
    if isinstance(wanted, list):
        return any(equal(value, each, type_) for each in wanted)
    if type_ == "date":
        return compare_date(value, str(wanted), today)
    if type_ == "anniv":
        return any(compare_date(each, str(wanted), today) for each in birthdays(value, today))
    text = str(wanted)
    for prefix, judge in (("any of ", any), ("none of ", lambda found: not any(found))):
        if text.startswith(prefix):
            return judge(equal(value, part.strip(), type_) for part in text.removeprefix(prefix).split(","))
    if type_ in ("num", "money"):
        return compare_number(value, text)
    if text.startswith("not "):
        return value != text.removeprefix("not ")
    if text.startswith("contains "):
        return text.removeprefix("contains ") in value
    if text.startswith("starts "):
        return value.startswith(text.removeprefix("starts "))
    return equal(value, wanted, type_)


def equal(value: Any, wanted: Any, type_: str) -> bool:
    if type_ == "bool":
        return value is wanted
    return value == Fraction(str(wanted)) if type_ in ("num", "money") else value == str(wanted)


def compare_list(value: list[str], wanted: Any) -> bool:
    if isinstance(wanted, list):
        return any(str(each) in value for each in wanted)
    for word, judge in (("any of", any), ("all of", all), ("none of", lambda found: not any(found))):
        if str(wanted).startswith(word + " "):
            return judge(part.strip() in value for part in str(wanted)[len(word) :].split(","))
    if str(wanted).startswith("not "):
        return str(wanted).removeprefix("not ") not in value
    return str(wanted) in value


def compare_number(value: Any, text: str) -> bool:
    if match := re.fullmatch(rf"{NUMBER}\.\.{NUMBER}", text):
        return Fraction(match[1]) <= value <= Fraction(match[2])
    match = re.fullmatch(rf"(?:(at least|over|at most|under|exactly|not) )?{NUMBER}", text)
    assert match, text
    number = Fraction(match[2])
    return {
        "at least": value >= number,
        "over": value > number,
        "at most": value <= number,
        "under": value < number,
        "not": value != number,
    }.get(match[1], value == number)


def birthdays(born: date, today: date) -> Iterator[date]:
    """The day in the years around today; who was born on 29 February has it on 28 February in common years."""
    for year in range(today.year - 2, today.year + 3):
        day = 28 if (born.month, born.day) == (2, 29) and not calendar.isleap(year) else born.day
        yield date(year, born.month, day)


def compare_date(value: date, text: str, today: date) -> bool:
    if match := re.fullmatch(r"(\d+-\d+-\d+)\.\.(\d+-\d+-\d+)", text):
        return date.fromisoformat(match[1]) <= value <= date.fromisoformat(match[2])
    if match := re.fullmatch(r"(before|after) (\S+)", text):
        day = date.fromisoformat(match[2])
        return value < day if match[1] == "before" else value > day
    if match := re.fullmatch(r"(last|this|next) month", text):
        months = value.year * 12 + value.month - today.year * 12 - today.month
        return months == {"last": -1, "this": 0, "next": 1}[match[1]]
    if text == "today":
        return value == today
    if match := re.fullmatch(r"last (\w+)", text):
        return moved(today, match[1], -1) <= value <= today
    if match := re.fullmatch(r"next (\w+)", text):
        return today <= value <= moved(today, match[1], 1)
    if match := re.fullmatch(r"in (\w+)\.\.(\w+)", text):
        return moved(today, match[1], 1) <= value <= moved(today, match[2], 1)
    if match := re.fullmatch(r"exactly (\w+) ahead", text):
        return value == moved(today, match[1], 1)
    if match := re.fullmatch(r"over (\w+) ago", text):
        return value < moved(today, match[1], -1)
    return value == date.fromisoformat(text)


def moved(day: Any, length: str, sign: int) -> Any:
    """A day or moment moved by a length; months clamp to their last day."""
    count, unit = int(length[:-1]), length[-1]
    if unit in "hdw":
        return day + sign * timedelta(**{{"h": "hours", "d": "days", "w": "weeks"}[unit]: count})
    index = day.year * 12 + day.month - 1 + sign * count * (12 if unit == "y" else 1)
    year, month = index // 12, index % 12 + 1
    return day.replace(year=year, month=month, day=min(day.day, calendar.monthrange(year, month)[1]))


def window(text: str, as_of: datetime, zone: Any) -> tuple[datetime | None, datetime | None]:
    """Start and end in UTC, half-open."""
    local = as_of.astimezone(zone)

    def midnight(day: date) -> datetime:
        return datetime(day.year, day.month, day.day, tzinfo=zone).astimezone(UTC)

    def ago(length: str) -> datetime:
        return (moved(as_of.astimezone(UTC), length, -1) if length[-1] == "h" else moved(local, length, -1)).astimezone(
            UTC
        )

    if text == "lifetime":
        return None, None
    if match := re.fullmatch(r"(\d+-\d+-\d+)\.\.(\d+-\d+-\d+)", text):
        return midnight(date.fromisoformat(match[1])), midnight(date.fromisoformat(match[2]) + timedelta(days=1))
    if match := re.fullmatch(r"(\w+)\.\.(\w+)", text):
        return ago(match[1]), ago(match[2])
    if text in ("today", "yesterday"):
        day = local.date() - timedelta(days=text == "yesterday")
        return midnight(day), midnight(day + timedelta(days=1))
    if match := re.fullmatch(r"(this|last) (month|quarter|year)", text):
        size = {"month": 1, "quarter": 3, "year": 12}[match[2]]
        index = (local.year * 12 + local.month - 1) // size * size - (size if match[1] == "last" else 0)
        first, after = (date(each // 12, each % 12 + 1, 1) for each in (index, index + size))
        return midnight(first), midnight(after)
    return ago(text), None
