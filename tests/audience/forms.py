"""Random conditions in the form of domain.md §3.2: plain data, drawn from the vocabulary by the type of each field."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from audience.world import VOCABULARY
from campanile.spec.vocabulary import FieldType

WORDS = ["alpha", "beta", "gamma", "21", "京都", "o'neil", "a-x"]
WEEKDAYS = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
CLOCK = {"hour": FieldType.NUMBER, "weekday": FieldType.WEEKDAY, "month": FieldType.NUMBER, "day": FieldType.NUMBER}
EVENTS = ["order", "bought", "returned", "visited", "contacted", "carted", "surveyed"]
DATES = ["2024-02-29", "2025-03-30", "2025-10-26", "2026-01-01", "2026-02-28", "2026-03-01", "2026-12-31"]
LENGTHS = ["4h", "36h", "1d", "7d", "30d", "90d", "2w", "1m", "6m", "1y", "2y"]
DAYS = [length for length in LENGTHS if not length.endswith("h")]
RANGES = ["180d..90d", "3d..4h", "2y..1y", "6m..1m", "2w..1d", "48h..1h"]

numbers = st.sampled_from([-1, 0, 1, 2, 3, 5, 10, 20, 99.5, 100, 0.5])
words = st.sampled_from(WORDS)
percents = st.sampled_from(["0.5", "5", "10", "33.3", "50", "100"])
known = st.sampled_from(["known", "unknown"])
sides = st.sampled_from(["at least", "over", "at most", "under"])


@st.composite
def number_forms(draw: st.DrawFn, *, ranked: bool) -> Any:
    """A comparison with numbers; `ranked` allows those with all customers and with other figures."""
    one, other = sorted([draw(numbers), draw(numbers)])
    forms = [
        one,
        [one, other],
        f"{draw(sides)} {one}",
        f"exactly {one}",
        f"not {one}",
        f"{one}..{other}",
        f"any of {one}, {other}",
        f"none of {one}, {other}",
        draw(known),
    ]
    if ranked:
        forms += [f"{draw(st.sampled_from(['top', 'bottom']))} {draw(percents)}%"] * 2
        beside = draw(st.sampled_from(["age", "stored_value", "clv_12m", "spend", "gap", "visits"]))
        word = draw(st.sampled_from(["at least", "over", "at most", "under", "exactly", "not"]))
        forms.append(f"{word} {draw(st.sampled_from(['0.5', '1', '1.5', '3']))} x {beside}")
    return draw(st.sampled_from(forms))


@st.composite
def text_forms(draw: st.DrawFn, pool: list[str], *, parts: bool) -> Any:
    """A comparison with texts; `parts` allows those that look inside."""
    one, other = draw(st.sampled_from(pool)), draw(st.sampled_from(pool))
    forms = [one, [one, other], f"not {one}", f"any of {one}, {other}", f"none of {one}, {other}", draw(known)]
    if parts:
        forms += [f"contains {one[:2]}", f"starts {one[:2]}"]
    return draw(st.sampled_from(forms))


@st.composite
def date_forms(draw: st.DrawFn, *, yearly: bool) -> Any:
    """A comparison with days."""
    length, (first, last) = draw(st.sampled_from(DAYS)), sorted([draw(st.sampled_from(DATES)) for _ in range(2)])
    forms = [
        f"last {length}", f"next {length}", "in 5d..9d", f"exactly {length} ahead", "today", "this month",
        "last month", "next month", draw(known),
    ]  # fmt: skip
    if not yearly:
        forms += [f"over {length} ago", f"before {first}", f"after {first}", f"{first}..{last}", first]
    return draw(st.sampled_from(forms))


@st.composite
def list_forms(draw: st.DrawFn) -> Any:
    """A comparison with a field that holds several texts."""
    one, other = draw(words), draw(words)
    forms = [one, [one, other], f"not {one}", draw(known), *(f"{all_} of {one}, {other}" for all_ in ("any", "all"))]
    return draw(st.sampled_from([*forms, f"none of {one}, {other}"]))


def comparisons(type_: FieldType, *, ranked: bool) -> st.SearchStrategy[Any]:
    """Comparisons with a value of the type."""
    return {
        FieldType.NUMBER: number_forms(ranked=ranked),
        FieldType.MONEY: number_forms(ranked=ranked),
        FieldType.TEXT: text_forms(WORDS, parts=True),
        FieldType.WEEKDAY: text_forms(WEEKDAYS, parts=False),
        FieldType.BOOL: st.sampled_from([True, False, "known", "unknown"]),
        FieldType.DATE: date_forms(yearly=False),
        FieldType.YEARLY: date_forms(yearly=True),
        FieldType.LIST: list_forms(),
    }[type_]


@st.composite
def customer_fields(draw: st.DrawFn) -> dict[str, Any]:
    """One to three fields of a customer, or metrics."""
    types = VOCABULARY.fields | dict.fromkeys(["spend", "gap", "visits"], FieldType.NUMBER)
    free = [name for name in types if name not in VOCABULARY.values]
    names = draw(st.lists(st.sampled_from(free), min_size=1, max_size=3, unique=True))
    return {name: draw(comparisons(types[name], ranked=True)) for name in names}


@st.composite
def windows(draw: st.DrawFn) -> str:
    """A window of each of the seven kinds."""
    edge, event = draw(st.sampled_from(["last", "first"])), draw(st.sampled_from(EVENTS))
    first, last = sorted([draw(st.sampled_from(DATES)) for _ in range(2)])
    calendar = [f"{which} {unit}" for which in ("this", "last") for unit in ("month", "quarter", "year")]
    around = f"{draw(st.sampled_from(LENGTHS))} {draw(st.sampled_from(['after', 'before']))} {edge} {event}"
    kinds = [
        st.sampled_from(LENGTHS), st.sampled_from(RANGES), st.just(f"{first}..{last}"), st.just("lifetime"),
        st.sampled_from(["today", "yesterday", *calendar]), st.just(f"since {edge} {event}"), st.just(around),
    ]  # fmt: skip
    return draw(st.one_of(kinds))


@st.composite
def measures(draw: st.DrawFn, event: str, *, numbers_only: bool = False) -> tuple[str, FieldType]:
    """A measure of an event, and the type of what it gives."""
    fields = dict(VOCABULARY.events[event].fields)
    single = [name for name, type_ in (fields | CLOCK).items() if type_ is not FieldType.LIST]
    numeric = [name for name, type_ in fields.items() if type_.is_number] or ["hour"]
    number = draw(st.sampled_from(numeric))
    plain = ["count", "days", "share", "since_last", "since_first", "gap", f"share {number}"]
    plain += [f"{word} {number}" for word in ("sum", "avg", "min", "max", "median")]
    plain.append(f"distinct {draw(st.sampled_from(single))}")
    name, word = draw(st.sampled_from(single)), draw(st.sampled_from(["usual", "first", "last"]))
    if numbers_only or draw(st.integers(0, 3)):
        return draw(st.sampled_from(plain)), FieldType.NUMBER
    return f"{word} {name}", (fields | CLOCK)[name]


@st.composite
def event_parts(draw: st.DrawFn, event: str) -> dict[str, Any]:
    """`where` and `in`, either or both or none."""
    fields, parts = dict(VOCABULARY.events[event].fields) | CLOCK, {}
    if draw(st.booleans()):
        names = draw(st.lists(st.sampled_from(sorted(fields)), min_size=1, max_size=2, unique=True))
        parts["where"] = {name: draw(comparisons(fields[name], ranked=False)) for name in names}
    if draw(st.integers(0, 2)):
        parts["in"] = draw(windows())
    return parts


@st.composite
def events(draw: st.DrawFn) -> dict[str, Any]:
    """What somebody did or did not."""
    event = draw(st.sampled_from(EVENTS))
    parts = draw(event_parts(event))
    kind = draw(st.integers(0, 5))
    if kind < 2:
        return {("did" if kind else "did_not"): event} | parts
    measure, type_ = draw(measures(event))
    return {"did": event, **parts, measure: draw(comparisons(type_, ranked=True))}


def joined(inside: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """all, any, none and at least so many of conditions."""
    lists = st.lists(inside, min_size=1, max_size=3)
    counted = lists.flatmap(lambda of: st.integers(1, len(of)).map(lambda number: {"at_least": number, "of": of}))
    return st.one_of(*(lists.map(lambda each, word=word: {word: each}) for word in ("all", "any", "none")), counted)


leaves = st.one_of(events(), events(), customer_fields())
conditions = st.recursive(
    st.one_of(leaves, st.sampled_from([{"segment": "some"}, {"segment": "others"}])), joined, max_leaves=4
)


@st.composite
def metrics(draw: st.DrawFn) -> dict[str, dict[str, Any]]:
    """Three named figures of different events."""
    found = {}
    for name, event in {"spend": "order", "gap": "bought", "visits": "visited"}.items():
        measure, _ = draw(measures(event, numbers_only=True))
        found[name] = {"of": event, **draw(event_parts(event)), "take": measure}
    return found


@st.composite
def segments(draw: st.DrawFn) -> dict[str, list[Any]]:
    """Two named segments, of which one uses the other."""
    return {"some": [draw(leaves)], "others": [draw(leaves), {"none": [{"segment": "some"}]}]}
