"""Targets and segments: what is read, and that every problem is reported at its place with its cure."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from campanile.clock import Duration
from campanile.spec.conditions import (
    All,
    AnyOf,
    Around,
    AtLeastOf,
    Between,
    Bound,
    CalendarWindow,
    Contains,
    DateSpan,
    DaysAround,
    DayShift,
    EventUse,
    Extreme,
    Fields,
    FieldTest,
    HasAll,
    InMonth,
    InSegment,
    Is,
    IsNot,
    Keep,
    Known,
    Length,
    Lifetime,
    Line,
    Measure,
    Metric,
    NoneOf,
    Segment,
    Since,
    Starts,
    Target,
    Times,
    find_circle,
)
from campanile.spec.flow import flow_text
from campanile.spec.grammar import Names, parse_conditions, parse_metric, parse_target
from campanile.spec.loader import FileReport, load_document
from campanile.spec.vocabulary import FieldType, load_vocabulary

VOCABULARY = load_vocabulary()
METRICS = {"usual_gap": FieldType.NUMBER, "usual_amount": FieldType.MONEY}
NAMES = Names(("vip", "mailable"), METRICS)
Problems = list[tuple[tuple[str | int, ...], str, str]]


def read(condition: Any) -> tuple[Any, Problems]:
    """The one condition, and what was reported."""
    problems: Problems = []
    found = parse_conditions(
        [condition], vocabulary=VOCABULARY, names=NAMES, report=lambda *problem: problems.append(problem)
    )
    assert (found is None) == bool(problems)
    return found[0] if found else None, problems


def read_target(data: Any) -> tuple[Target | None, Problems]:
    problems: Problems = []
    found = parse_target(
        data,
        vocabulary=VOCABULARY,
        names=NAMES,
        report=lambda *problem: problems.append(problem),
        at=("target",),
    )
    assert (found is None) == bool(problems)
    return found, problems


def days(count: int) -> Duration:
    return Duration(days=count)


TODAY = DayShift(Duration(), ahead=False)
three = Decimal(3)


@pytest.mark.parametrize(
    ("field", "value", "comparison"),
    [
        ("age", 3, Is((three,))),
        ("age", "3", Is((three,))),
        ("age", Decimal("3.5"), Is((Decimal("3.5"),))),
        ("age", 3.5, Is((Decimal("3.5"),))),
        ("age", [3, "4"], Is((three, Decimal(4)))),
        ("age", "at least 3", Bound("at least", three)),
        ("age", "over 3", Bound("over", three)),
        ("age", "at most 3", Bound("at most", three)),
        ("age", "under  3", Bound("under", three)),
        ("age", ">= 3", Bound("at least", three)),
        ("age", ">3", Bound("over", three)),
        ("age", "<= 3", Bound("at most", three)),
        ("age", "< 3", Bound("under", three)),
        ("age", "== 3", Is((three,))),
        ("age", "!= 3", IsNot((three,))),
        ("age", "exactly 3", Is((three,))),
        ("age", "not 3", IsNot((three,))),
        ("age", "-3..3", Between(-three, three)),
        ("age", "0.6..0.9", Between(Decimal("0.6"), Decimal("0.9"))),
        ("age", "any of 3, 4", Is((three, Decimal(4)))),
        ("age", "none of 3，4", IsNot((three, Decimal(4)))),
        ("clv_12m", "top 5%", Extreme("top", Decimal(5))),
        ("clv_12m", "bottom 0.5%", Extreme("bottom", Decimal("0.5"))),
        ("age", "known", Known(known=True)),
        ("age", "unknown", Known(known=False)),
        ("gender", "female", Is(("female",))),
        ("gender", ["female", "male"], Is(("female", "male"))),
        ("gender", "not male", IsNot(("male",))),
        ("gender", "any of a, b c", Is(("a", "b c"))),
        ("education", "none of unknown", IsNot(("unknown",))),
        ("city", "contains 京", Contains("京")),
        ("postcode", "starts 21", Starts("21")),
        ("gender", "known", Known(known=True)),
        ("rfm.code", 555, Is(("555",))),
        ("rfm.code", ["555", 554], Is(("555", "554"))),
        ("postcode", Decimal("36.50"), Is(("36.50",))),
        ("timezone", "Asia/Shanghai", Is(("Asia/Shanghai",))),
        ("email_ok", True, Is((True,))),
        ("email_ok", False, Is((False,))),
        ("email_ok", "unknown", Known(known=False)),
        ("tags", "kol", Is(("kol",))),
        ("tags", ["kol", "vip"], Is(("kol", "vip"))),
        ("tags", "all of kol, vip", HasAll(("kol", "vip"))),
        ("tags", "not kol", IsNot(("kol",))),
        ("tier_until", "last 30d", DaysAround(DayShift(days(30), ahead=False), TODAY)),
        ("tier_until", "next 2w", DaysAround(TODAY, DayShift(days(14), ahead=True))),
        ("tier_until", "in 5d..9d", DaysAround(DayShift(days(5), ahead=True), DayShift(days(9), ahead=True))),
        ("tier_until", "exactly 7d ahead", DaysAround(DayShift(days(7), ahead=True), DayShift(days(7), ahead=True))),
        ("tier_until", "over 2y ago", DaysAround(None, DayShift(Duration(months=24), ahead=False, days_more=-1))),
        ("tier_until", "today", DaysAround(TODAY, TODAY)),
        ("tier_until", "this month", InMonth(0)),
        ("tier_until", "next month", InMonth(1)),
        ("tier_until", "before 2026-03-01", DateSpan(None, date(2026, 2, 28))),
        ("tier_until", "after 2026-02-28", DateSpan(date(2026, 3, 1), None)),
        ("tier_until", "2026-01-01..2026-01-31", DateSpan(date(2026, 1, 1), date(2026, 1, 31))),
        ("tier_until", "2026-01-01", DateSpan(date(2026, 1, 1), date(2026, 1, 1))),
        ("birth_date", "known", Known(known=True)),
        ("birth_date", "next 14d", DaysAround(TODAY, DayShift(days(14), ahead=True))),
        ("age", "over 1.5 x usual_gap", Times("over", Decimal("1.5"), "usual_gap")),
        ("age", ">= 2 x clv_12m", Times("at least", Decimal(2), "clv_12m")),
    ],
)
def test_comparisons(field: str, value: Any, comparison: Any) -> None:
    condition, problems = read({field: value})
    assert problems == []
    assert condition == Fields((FieldTest(field, VOCABULARY.fields[field], comparison),))


@pytest.mark.parametrize(
    ("text", "window"),
    [
        ("90d", Length(days(90))),
        ("4h", Length(Duration(hours=4))),
        ("2w", Length(days(14))),
        ("6m", Length(Duration(months=6))),
        ("180d..90d", Length(days(180), days(90))),
        ("3d..4h", Length(days(3), Duration(hours=4))),
        ("2025-11-01..2025-11-11", DateSpan(date(2025, 11, 1), date(2025, 11, 11))),
        ("lifetime", Lifetime()),
        ("today", CalendarWindow("day", 0)),
        ("yesterday", CalendarWindow("day", 1)),
        ("this month", CalendarWindow("month", 0)),
        ("last quarter", CalendarWindow("quarter", 1)),
        ("last year", CalendarWindow("year", 1)),
        ("since last clicked", Since("last", "clicked")),
        ("14d after first order", Around(days(14), "after", "first", "order")),
        ("48h  before last bounced", Around(Duration(hours=48), "before", "last", "bounced")),
    ],
)
def test_windows(text: str, window: Any) -> None:
    condition, problems = read({"did": "order", "in": text})
    assert problems == []
    assert condition.use == EventUse("order", (), window)


NUMBER, MONEY, TEXT = FieldType.NUMBER, FieldType.MONEY, FieldType.TEXT


@pytest.mark.parametrize(
    ("key", "value", "measure"),
    [
        ("count", 1, Measure("count", None, NUMBER)),
        ("days", 1, Measure("days", None, NUMBER)),
        ("share", 0, Measure("share", None, NUMBER)),
        ("share amount", 0, Measure("share", "amount", NUMBER)),
        ("sum amount", 1, Measure("sum", "amount", MONEY)),
        ("sum qty", 1, Measure("sum", "qty", NUMBER)),
        ("avg margin_rate", 1, Measure("avg", "margin_rate", NUMBER)),
        ("median unit_price", 1, Measure("median", "unit_price", MONEY)),
        ("min amount", 1, Measure("min", "amount", MONEY)),
        ("max  amount", 1, Measure("max", "amount", MONEY)),
        ("distinct category", 1, Measure("distinct", "category", NUMBER)),
        ("usual category", "shoes", Measure("usual", "category", TEXT)),
        ("usual hour", 20, Measure("usual", "hour", NUMBER)),
        ("usual weekday", "sat", Measure("usual", "weekday", FieldType.WEEKDAY)),
        ("first category", "shoes", Measure("first", "category", TEXT)),
        ("last own_brand", True, Measure("last", "own_brand", FieldType.BOOL)),
        ("since_last", 1, Measure("since_last", None, NUMBER)),
        ("since_first", 1, Measure("since_first", None, NUMBER)),
        ("gap", 1, Measure("gap", None, NUMBER)),
    ],
)
def test_measures(key: str, value: Any, measure: Measure) -> None:
    condition, problems = read({"did": "bought", key: value})
    assert problems == []
    assert condition.measure == measure


def test_did_alone_asks_whether_it_happened() -> None:
    assert read({"did": "order"})[0].comparison == Is((True,))
    assert read({"did_not": "order"})[0].comparison == Is((False,))
    assert read({"did": "order"})[0].measure == Measure("happened", None, FieldType.BOOL)


def test_the_order_inside_where_makes_no_other_event_use() -> None:
    first = read({"did": "bought", "where": {"sku": "A", "category": "shoes"}, "in": "90d"})[0]
    second = read({"did": "bought", "in": "90d", "where": {"category": "shoes", "sku": "A"}, "count": 2})[0]
    assert first.use == second.use
    assert hash(first.use) == hash(second.use)


def test_metrics_are_named_once_and_read_like_fields() -> None:
    problems: Problems = []
    found = parse_metric(
        "spend",
        {"of": "order", "where": {"channel": "web"}, "in": "90d", "take": "sum amount"},
        vocabulary=VOCABULARY,
        report=lambda *problem: problems.append(problem),
    )
    use = EventUse("order", (FieldTest("channel", TEXT, Is(("web",))),), Length(days(90)))
    assert found == Metric("spend", use, Measure("sum", "amount", MONEY))
    assert problems == []


@pytest.mark.parametrize(
    ("name", "data", "at", "what"),
    [
        ("age", {"of": "order", "take": "count"}, (), '"age" is a field of the customer already'),
        (
            "stage",
            {"of": "order", "take": "count"},
            (),
            '"stage" is a field of the customer that is str; the metric is num',
        ),
        ("spend", {"of": "order"}, (), "a metric says of which event it takes what"),
        ("spend", ["order"], (), "a metric says of which event it takes what"),
        ("spend", {"of": "ordr", "take": "count"}, ("of",), 'no event "ordr"'),
        ("spend", {"of": "order", "take": "sum"}, ("take",), "sum needs a field"),
        ("spend", {"of": "order", "take": "count", "on": 3}, ("on",), 'a metric has no "on"'),
    ],
)
def test_metrics_that_say_nothing(name: str, data: Any, at: Any, what: str) -> None:
    problems: Problems = []
    found = parse_metric(name, data, vocabulary=VOCABULARY, report=lambda *problem: problems.append(problem))
    assert found is None
    assert [(place, said) for place, said, _ in problems] == [(at, what)]


def test_combinations() -> None:
    assert read({"at_least": 1, "of": [{"segment": "vip"}]})[0] == AtLeastOf(1, (InSegment("vip"),))
    female = Fields((FieldTest("gender", TEXT, Is(("female",))),))
    assert read({"all": [{"gender": "female"}]})[0] == All((female,))
    assert read({"none": [{"any": [{"gender": "female"}, {"segment": "vip"}]}]})[0] == NoneOf(
        (AnyOf((female, InSegment("vip"))),)
    )


@pytest.mark.parametrize(
    ("condition", "at", "what", "cure"),
    [
        ({"did": "boughtt"}, (0, "did"), 'no event "boughtt"', 'did you mean "bought"?'),
        (
            {"did": "bought", "where": {"categry": "shoes"}},
            (0, "where", "categry"),
            '"bought" has no field "categry"',
            'did you mean "category"?',
        ),
        ({"did": "order", "in": "90 days"}, (0, "in"), 'cannot read the window "90 days"', 'did you mean "90d"?'),
        ({"did": "order", "in": 90}, (0, "in"), 'cannot read the window "90"', "write 90d (h, d, w, m or y) | "),
        (
            {"did": "order", "in": "since last ordr"},
            (0, "in"),
            'no event "ordr"',
            'did you mean "order"?',
        ),
        ({"did": "order", "in": "since order"}, (0, "in"), 'cannot read the window "since order"', "since last EVENT"),
        ({"did": "order", "in": "90d..180d"}, (0, "in"), 'the window "90d..180d" ends before it begins', "180d..90d"),
        ({"did": "order", "in": "2026-02-30..2026-03-01"}, (0, "in"), "there is no day 2026-02-30", "year-month-day"),
        ({"did": "order", "in": "9999y"}, (0, "in"), '"9999y" is longer than a shop remembers', "write at most 100y"),
        ({"did": "order", "in": "0d"}, (0, "in"), 'the window "0d" holds no moment', "write 1d or more"),
        ({"did": "order", "in": "9999999d"}, (0, "in"), 'cannot read the window "9999999d"', "write 90d"),
        ({"did": "order", "in": "next 7d"}, (0, "in"), 'cannot read the window "next 7d"', "write 90d"),
        ({"did": "order", "in": "0001-01-01..2026-01-01"}, (0, "in"), "no shop knows the day 0001-01-01", "from 1800"),
        ({"did": "order", "in": "2026-01-01..9999-12-31"}, (0, "in"), "no shop knows the day 9999-12-31", "to 2999"),
        ({"tier_until": "before 0001-01-01"}, (0, "tier_until"), "no shop knows the day 0001-01-01", "from 1800"),
        ({"tier_until": "after 9999-12-31"}, (0, "tier_until"), "no shop knows the day 9999-12-31", "to 2999"),
        ({"tier_until": "in 9d..5d"}, (0, "tier_until"), "no day is between 9d and 5d ahead", "write in 5d..9d"),
        ({"birth_date": "in 1m..5d"}, (0, "birth_date"), "no day is between 1m and 5d ahead", "write in 5d..1m"),
        ({"age": "over 1e309"}, (0, "age"), 'cannot read "over 1e309" for a number', "write a number"),
        ({"age": "over " + "9" * 400}, (0, "age"), 'cannot read "over 999', "write a number"),
        ({"age": "many"}, (0, "age"), 'cannot read "many" for a number', "write a number | at least N"),
        (
            {"age": "over 3 x usual_gapp"},
            (0, "age"),
            'no field "usual_gapp"',
            'did you mean "usual_gap"?',
        ),
        ({"age": "over 3 x gender"}, (0, "age"), '"gender" is str, not a number', "that holds numbers"),
        ({"did": "order", "share": "over 50%"}, (0, "share"), 'cannot read "over 50%"', 'did you mean "over 0.5"?'),
        ({"age": "three x usual_gap"}, (0, "age"), 'cannot read "three x usual_gap" for a number', "over K x METRIC"),
        (
            {"did": "order", "where": {"amount": "over 3 x usual_amount"}},
            (0, "where", "amount"),
            '"over 3 x usual_amount" compares customers, not events',
            "a measure",
        ),
        ({"age": ["3", "many"]}, (0, "age"), 'cannot read "many" for a number', "write digits"),
        ({"age": True}, (0, "age"), "cannot read true for a number", "write a number |"),
        ({"age": None}, (0, "age"), "there is no value here", "write a number |"),
        ({"age": {}}, (0, "age"), "a comparison is one value or a list of values", "write a number |"),
        ({"age": []}, (0, "age"), "an empty list matches nobody", "name one value at least"),
        ({"age": "9..3"}, (0, "age"), "nothing is between 9 and 3", "write the smaller one first: 3..9"),
        ({"age": "top 0%"}, (0, "age"), "top 0% is no share of the customers", "more than 0%"),
        ({"age": "top 101%"}, (0, "age"), "top 101% is no share of the customers", "at most 100%"),
        ({"email_ok": "yes"}, (0, "email_ok"), "only true, false, known or unknown here", '"yes" is none of them'),
        ({"email_ok": [True]}, (0, "email_ok"), "true or false takes no list", "write true | false | known | unknown"),
        ({"gender": True}, (0, "gender"), "cannot read true for text", "write known | unknown | any of A, B"),
        ({"gender": [True]}, (0, "gender"), "cannot read true for text", "put texts in quotes"),
        ({"gender": "not unknown"}, (0, "gender"), 'cannot read "not unknown"', "write known"),
        ({"gender": "at least 3"}, (0, "gender"), '"at least" needs a number, this is text', "write X"),
        ({"gender": ""}, (0, "gender"), 'cannot read "" for text', "write known"),
        ({"tier_until": "30d"}, (0, "tier_until"), 'cannot read "30d" for a date', "write last 30d | next 14d | "),
        ({"tier_until": ["today"]}, (0, "tier_until"), "a date takes no list", "write last 30d"),
        ({"tier_until": "2026-05-01..2026-04-01"}, (0, "tier_until"), "no day is between", "2026-04-01..2026-05-01"),
        (
            {"birth_date": "before 2026-01-01"},
            (0, "birth_date"),
            'cannot read "before 2026-01-01" for a yearly date',
            "write last 30d | next 14d",
        ),
        ({"gendr": "female"}, (0, "gendr"), 'no field "gendr"', 'did you mean "gender"?'),
        ({"at_least": 2}, (0,), "at_least and of belong together", "write {at_least: 2, of: [condition, …]}"),
        ({"of": [{"age": 3}]}, (0,), "at_least and of belong together", "write {at_least: 2, of: [condition, …]}"),
        ({"at_least": 0, "of": [{"age": 3}]}, (0, "at_least"), 'cannot read "0" for a number of', "write 1, 2"),
        ({"at_least": 2, "of": [{"age": 3}]}, (0, "at_least"), "2 of 1 conditions can never hold", "write at most 1"),
        ({"segment": "nobody"}, (0, "segment"), 'no segment "nobody"', "known: mailable, vip"),
        ({"segment": "vipp"}, (0, "segment"), 'no segment "vipp"', 'did you mean "vip"?'),
        ({"segment": "vip", "age": 3}, (0, "age"), '"segment" stands alone', 'put "age" in a condition of its own'),
        ({"any": []}, (0, "any"), "there is no condition here", "write one at least"),
        ({"any": {"age": 3}}, (0, "any"), '"any" is a list of conditions', '"- "'),
        ({"any": [{"age": "x"}]}, (0, "any", 0, "age"), 'cannot read "x" for a number', "write a number"),
        (
            {"did": "order", "count": 1, "sum amount": 3},
            (0,),
            "one measure per condition",
            "two conditions: count, sum amount",
        ),
        ({"did_not": "order", "count": 1}, (0, "count"), "did_not takes no measure", "write did: order, count: …"),
        ({"did_not": "order", "wher": {}}, (0, "wher"), 'did_not has no "wher"', 'did you mean "where"?'),
        ({"did": "order", "avg channel": 3}, (0, "avg channel"), "avg needs a number, channel is str", "numbers"),
        ({"did": "order", "sum": 3}, (0, "sum"), "sum needs a field", "write sum and a field of order"),
        ({"did": "order", "count channel": 3}, (0, "count channel"), "count takes no field", "write count alone"),
        ({"did": "order", "sum amont": 3}, (0, "sum amont"), '"order" has no field "amont"', 'did you mean "amount"?'),
        (
            {"did": "order", "distinct brands": 3},
            (0, "distinct brands"),
            "distinct needs a single value, brands is list",
            "",
        ),
        ({"did": "order", "counts": 3}, (0, "counts"), 'no measure "counts"', 'did you mean "count"?'),
        ({"did": "order", "age": 3}, (0, "age"), '"age" is a field of the customer, not a measure', "of its own"),
        ({"did": "order", "count": "many"}, (0, "count"), 'cannot read "many" for a number', "write a number |"),
        (
            {"did": "order", "usual channel": "top 5%"},
            (0, "usual channel"),
            '"top" needs a number, this is text',
            "write X",
        ),
        (
            {"did": "viewed", "where": {"price": "top 5%"}},
            (0, "where", "price"),
            '"top 5%" ranks customers',
            "a measure",
        ),
        ({"did": "order", "where": {"weekday": "saturday"}}, (0, "where", "weekday"), 'no weekday "saturday"', "sat"),
        ({"did": "order", "where": []}, (0, "where"), "where is a mapping of event fields", "write where: {FIELD"),
        ({}, (0,), "a condition is a mapping", "write {FIELD: comparison} or {did: EVENT}"),
        ("female", (0,), "a condition is a mapping", "write {FIELD: comparison}"),
    ],
)
def test_what_cannot_be_read_is_named_with_its_place_and_cure(condition: Any, at: Any, what: str, cure: str) -> None:
    _, problems = read(condition)
    assert len(problems) == 1, problems
    assert problems[0][0] == at
    assert what in problems[0][1]
    assert cure in problems[0][2]


def test_all_problems_come_at_once() -> None:
    _, problems = read_target(
        {
            "who": [
                {"gendr": "x", "age": "many"},
                {"did": "bougt", "in": "soon"},
                {"did": "order", "count": 1, "days": 2},
            ],
            "except": [{"any": [{"segment": "nobody"}, {"did": "order", "where": {"chanel": "web"}}]}],
            "kep": 3,
            "keep": {"at_most": 0, "by": "gender", "first": "best"},
        }
    )
    assert [at for at, _, _ in problems] == [
        ("target", "kep"),
        ("target", "who", 0, "gendr"),
        ("target", "who", 0, "age"),
        ("target", "who", 1, "did"),
        ("target", "who", 1, "in"),
        ("target", "who", 2),
        ("target", "except", 0, "any", 0, "segment"),
        ("target", "except", 0, "any", 1, "where", "chanel"),
        ("target", "keep", "by"),
        ("target", "keep", "first"),
        ("target", "keep", "at_most"),
    ]


def test_a_target() -> None:
    found, problems = read_target(
        {
            "from": "vip",
            "who": [{"age": 3}],
            "except": [{"did": "ticket", "where": {"kind": "complaint"}}],
            "keep": {"at_most": 5000, "by": "clv_12m", "first": "lowest"},
        }
    )
    assert problems == []
    assert found
    assert found.from_ == "vip"
    assert found.who == (Line(Fields((FieldTest("age", NUMBER, Is((three,))),)), "age: 3"),)
    assert [line.text for line in found.except_] == ["did: ticket, where: {kind: complaint}"]
    assert found.keep == Keep(5000, "clv_12m", "lowest")


@pytest.mark.parametrize(
    ("keep", "found"),
    [
        ({"at_most": 5}, Keep(5)),
        ({"at_most": 5, "first": "random"}, Keep(5)),
        ({"at_most": 5, "by": "age"}, Keep(5, "age", "highest")),
        ({"at_most": 5, "by": "registered_at", "first": "lowest"}, Keep(5, "registered_at", "lowest")),
    ],
)
def test_keep(keep: Any, found: Keep) -> None:
    target, _ = read_target({"who": [{"age": 3}], "keep": keep})
    assert target
    assert target.keep == found


@pytest.mark.parametrize(
    ("data", "at", "what"),
    [
        ("everyone", ("target",), "a target is a mapping"),
        ({}, ("target",), "the target says nobody"),
        ({"who": []}, ("target", "who"), "there is no condition here"),
        ({"who": {"age": 3}}, ("target", "who"), '"who" is a list of conditions'),
        ({"from": "vipp"}, ("target", "from"), 'no segment "vipp"'),
        ({"who": [{"age": 3}], "one_per": "age"}, ("target", "one_per"), "one_per wants a field with text, age is num"),
        ({"who": [{"age": 3}], "one_per": "houshold"}, ("target", "one_per"), 'no field "houshold"'),
        ({"who": [{"age": 3}], "keep": 5}, ("target", "keep"), "keep is a mapping"),
        ({"who": [{"age": 3}], "keep": {}}, ("target", "keep", "at_most"), "keep says no number"),
        ({"who": [{"age": 3}], "keep": {"at_most": True}}, ("target", "keep", "at_most"), "for a number of customers"),
        ({"who": [{"age": 3}], "keep": {"at_most": 5, "bye": 1}}, ("target", "keep", "bye"), 'keep has no "bye"'),
        (
            {"who": [{"age": 3}], "keep": {"at_most": 5, "first": "highest"}},
            ("target", "keep", "first"),
            'cannot keep the "highest" first without a field',
        ),
        (
            {"who": [{"age": 3}], "keep": {"at_most": 5, "by": "age", "first": "random"}},
            ("target", "keep", "first"),
            'cannot keep the "random" first by a field',
        ),
        (
            {"who": [{"age": 3}], "keep": {"at_most": 5, "by": "tags"}},
            ("target", "keep", "by"),
            "keep ranks by a number or a date, tags is list",
        ),
    ],
)
def test_targets_that_say_nothing(data: Any, at: Any, what: str) -> None:
    _, problems = read_target(data)
    assert [(place, text[: len(what)] if text.startswith(what) else text) for place, text, _ in problems] == [
        (at, what if problems[0][1].startswith(what) else problems[0][1])
    ]
    assert what in problems[0][1]


def test_circles_of_segments_are_found() -> None:
    def uses(name: str, *others: str) -> Segment:
        return Segment(name, (NoneOf(tuple(InSegment(other) for other in others)),))

    straight = {"a": uses("a", "b", "c"), "b": uses("b", "c"), "c": Segment("c", (InSegment("nowhere"),))}
    assert find_circle(straight) is None
    assert find_circle(straight | {"c": uses("c", "a")}) == ("a", "b", "c", "a")
    assert find_circle({"a": uses("a", "a")}) == ("a", "a")


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.text(max_size=12)
    | st.sampled_from(["over 3", "2026-02-30", "top 5%"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["did", "did_not", "where", "in", "count", "sum amount", "any", "none", "segment", "age", "tags"]
            )
            | st.text(max_size=5),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


@settings(max_examples=400, deadline=None)
@given(JSON)
def test_nothing_that_can_be_written_raises(data: Any) -> None:
    read(data)
    read_target({"who": data, "except": data, "keep": data, "from": data})


SCALARS = (
    st.booleans()
    | st.integers(-99, 99)
    | st.text(st.characters(codec="utf-8", exclude_categories=["C", "Z"]), max_size=6)
)
KEYS = st.text("abc ", min_size=1).map(str.strip).filter(bool)


@settings(max_examples=200, deadline=None)
@given(st.dictionaries(KEYS, SCALARS | st.lists(SCALARS, max_size=3) | st.dictionaries(KEYS, SCALARS), min_size=1))
def test_flow_text_reads_back_as_what_it_says(data: Any) -> None:
    with TemporaryDirectory() as folder:
        file = Path(folder) / "line.yaml"
        file.write_text(f"{{{flow_text(data)}}}\n", encoding="utf-8")
        report = FileReport("line.yaml")
        document = load_document(file, Path(folder), report)
    assert document
    assert (document.data, report.problems) == (data, {})


def test_a_metric_may_say_what_a_computed_field_is() -> None:
    """As the reference does with usual_gap, which the profile reckons too."""
    problems: list[Any] = []
    found = parse_metric(
        "usual_gap", {"of": "order", "take": "gap"}, vocabulary=VOCABULARY, report=lambda *said: problems.append(said)
    )
    assert found == Metric("usual_gap", EventUse("order", (), Lifetime()), Measure("gap", None, NUMBER))
    assert problems == []


def test_the_vocabulary_has_all_of_the_reference_with_money_and_contact_fields() -> None:
    shared = Path(__file__).parents[3] / "shared" / "reference" / "schema.yaml"
    if not shared.exists():
        pytest.skip("the reference schema ../shared/reference is not here")
    reference = yaml.safe_load(shared.read_text(encoding="utf-8"))

    def plain(fields: Any) -> dict[str, str]:
        return {name: "num" if type_ == "money" else str(type_) for name, type_ in fields.items()}

    fields = plain(VOCABULARY.fields)
    assert {fields[name] for name in ("name", "phone", "address")} == {"str"}
    assert {name: fields.get(name) for name in reference["fields"]} == reference["fields"]
    events = {name: plain(event.fields) for name, event in VOCABULARY.events.items()}
    assert events["order"].pop("state") == "str"
    asked = {name: event["fields"] for name, event in reference["events"].items()}
    assert {name: {key: events[name].get(key) for key in fields} for name, fields in asked.items()} == asked
