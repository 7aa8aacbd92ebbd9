"""Rules that decide, limits that guard, and the metrics that both speak of."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Literal

from campanile.spec.fields import Unreadable, choice, share, shown

MetricKind = Literal["rate", "count", "money"]

#: Metrics that need no definition. Money metrics are measured in minor units per assigned customer.
METRICS: Mapping[str, MetricKind] = {
    "response_rate": "rate",
    "orders_per_customer": "count",
    "revenue_per_customer": "money",
    "margin_per_customer": "money",
    "profit_per_customer": "money",
}

_GUARD = re.compile(r"(?:under|at most)\s+(?P<relative>control\s*\+\s*)?(?P<limit>\S.*)")

RULE = re.compile(
    r"(?P<metric>[A-Za-z0-9_ -]*?)\s*(?:(?P<limit>lower|upper) limit\s+)?(?P<way>above|below)\s+"
    r"(?P<bound>-?\d+(?:\.\d+)?)\s*(?P<unit>%|points?)?(?:\s+at\s+(?P<level>\S+))?"
)

_RULE_CURE = 'write a metric and a bound, as in "profit per customer above 0 at 95%" or "upper limit below 0.3 points"'


@dataclass(frozen=True)
class Guard:
    """A limit that a rate must stay under: absolute, or measured from control's rate."""

    limit: Decimal
    relative_to_control: bool
    text: str = ""


@dataclass(frozen=True)
class Rule:
    """True when one limit of the interval of the difference from control is beyond the bound.

    `side` "lower": the lower limit is above `bound`; "upper": the upper limit is below it. `bound` is a fraction for
    rates (0.3 points = 0.003), a number of orders for counts, and major units of the currency for money. `level` is
    the confidence of the interval.
    """

    metric: str
    side: Literal["lower", "upper"]
    bound: Decimal
    level: Decimal
    text: str = ""


def guard(value: object) -> Guard:
    """The guard that `under 1%` or `at most control + 3%` says.

    >>> guard("at most control + 3%")
    Guard(limit=Decimal('0.03'), relative_to_control=True, text='at most control + 3%')
    """
    if isinstance(value, Guard):
        return value
    cure = 'write "under 1%" or "at most control + 3%"'
    match = _GUARD.fullmatch(value.strip()) if isinstance(value, str) else None
    if match is None or not isinstance(value, str):
        raise Unreadable(f"cannot read the guard, got {shown(value)}", cure)
    limit = re.sub(r"\s*points?$", "%", match["limit"])
    try:
        return Guard(share(limit), match["relative"] is not None, value.strip())
    except Unreadable as error:
        raise Unreadable(f"cannot read the guard, got {shown(value)}", cure) from error


def rule(value: object) -> Rule:
    """The rule that a sentence such as `profit per customer above 0 at 95%` says; metric "" means the primary.

    >>> rule("upper limit below 0.3 points")
    Rule(metric='', side='upper', bound=Decimal('0.003'), level=Decimal('0.95'), text='upper limit below 0.3 points')
    """
    return value if isinstance(value, Rule) else _rule_of(value, METRICS)


def read_rule(text: str, kinds: Mapping[str, MetricKind], *, primary: str) -> Rule:
    """The rule that a sentence says of other metrics than the product's own; its metric is named.

    >>> read_rule("visit above 1 points", {"visit": "rate"}, primary="visit").bound
    Decimal('0.01')

    Raises:
        Unreadable: It says none, or its unit is not that of the metric.
    """
    found = _rule_of(text, kinds)
    return of_metric(found, found.metric or primary, kinds)


def _rule_of(value: object, metrics: Iterable[str]) -> Rule:
    words = value.strip() if isinstance(value, str) else ""
    match = RULE.fullmatch(words)
    if match is None:
        raise Unreadable(f"cannot read the rule, got {shown(value)}", _RULE_CURE)
    side: Literal["lower", "upper"] = "lower" if match["way"] == "above" else "upper"
    if match["limit"] not in {None, side}:
        raise Unreadable(f'a rule asks for "lower limit above" or "upper limit below", got {shown(value)}', _RULE_CURE)
    metric = _metric_of(match["metric"], metrics) if match["metric"] else ""
    bound = Decimal(match["bound"]) / (100 if match["unit"] else 1)
    return Rule(metric, side, bound, _level(match["level"]), words)


def _metric_of(words: str, metrics: Iterable[str]) -> str:
    """The metric that the words name: as it is written, or with _ for blanks."""
    names = tuple(metrics)
    return words if words in names else choice(words.replace(" ", "_"), names, "metric")


def _level(words: str | None) -> Decimal:
    if words is None:
        return Decimal("0.95")
    level = share(words)
    if not Decimal("0.5") < level < 1:
        raise Unreadable(f"a rule wants a confidence between 50% and 100%, got {words}", "write at 95%")
    return level


def of_metric(found: Rule, metric: str, kinds: Mapping[str, MetricKind]) -> Rule:
    """The rule with its metric named and its unit checked; Unreadable when the unit does not fit."""
    in_points = re.search(r"\d\s*(%|points?)", found.text.split(" at ")[0]) is not None
    if kinds[metric] == "rate" and not in_points and found.bound:
        raise Unreadable(f'the rule "{found.text}" needs a unit', f"write {found.bound} points")
    if kinds[metric] != "rate" and in_points:
        raise Unreadable(f'the rule "{found.text}" measures {metric} in points', "write a number without unit")
    return replace(found, metric=metric)
