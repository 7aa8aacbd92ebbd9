"""An experiment as its analyst commits it: split, metrics, guards, and the rule that will decide."""

from __future__ import annotations

import re
from collections.abc import Mapping
from decimal import Decimal
from typing import Annotated, Any, Literal

from pydantic import Field, PlainValidator, ValidationInfo, WithJsonSchema, field_validator, model_validator

from campanile.errors import did_you_mean
from campanile.events import CONTROL
from campanile.spec.fields import (
    SHARE_SCHEMA,
    ArmName,
    Length,
    Name,
    Sentence,
    Share,
    Spec,
    Text,
    Unreadable,
    choice,
    percent,
    share,
    shown,
)
from campanile.spec.rules import METRICS, RULE, Guard, MetricKind, Rule, guard, of_metric, rule

_MEASURED_IN: Mapping[MetricKind, str] = {"count": "a number of orders", "money": "an amount of money"}

#: Fields whose values make the strata of a split; more make strata of a handful of customers.
MOST_STRATIFIED = 3

#: More parts are looked at by nobody, and each costs the others of its metric some of their certainty.
MOST_CUTS = 10

#: What must not get worse.
GUARDS = ("return_rate", "opt_out_rate", "complaint_rate")

#: How far from 100% the shares may add up: 33.3333% three times is meant as a third each.
SHARE_TOLERANCE = Decimal("0.0005")


def metric_name(value: object) -> str:
    """The name of a metric; whether there is one is known with the metrics of the shop's own (`ExperimentSpec.own`)."""
    return value if isinstance(value, str) else choice(value, METRICS, "metric")


def _figure(value: object, info: ValidationInfo) -> Decimal:
    """A rate as `3%`, or an amount or a number of orders as `12.50`: what the metric is measured in."""
    metric = info.data.get("metric")
    kind = METRICS.get(metric) if metric else None
    if isinstance(value, Decimal | int) and not isinstance(value, bool) and value >= 0:
        if kind == "rate" and value >= 1:
            raise Unreadable(f"{metric} is a rate, its {info.field_name} cannot be {value}", f"write {value}%")
        return Decimal(value)
    found = share(value)
    if kind is not None and kind != "rate":
        what = f"{metric} is {_MEASURED_IN[kind]} per customer, its {info.field_name} cannot be {value}"
        raise Unreadable(what, "write a number without %, as in 12.50")
    return found


def _significance(value: object) -> Decimal:
    number = share(value)
    if not 0 < number < Decimal("0.5"):
        raise Unreadable(f"wants a share between 0 and 50%, got {shown(value)}", "write 5%")
    return number


def _power(value: object) -> Decimal:
    number = share(value)
    if not Decimal("0.5") <= number < 1:
        raise Unreadable(f"wants a share from 50% to under 100%, got {shown(value)}", "write 80%")
    return number


def _each_with_control(data: dict[str, Any]) -> tuple[tuple[str, str], ...]:
    return tuple((arm, CONTROL) for arm in data.get("split", ()) if arm != CONTROL)


_FIGURE_SCHEMA = {"words": "share, or amount for money", "type": ["string", "number"], "examples": ["3%"]}
Metric = Annotated[
    str, PlainValidator(metric_name), WithJsonSchema({"words": "metric", "type": "string", "examples": list(METRICS)})
]
GuardName = Annotated[
    str,
    PlainValidator(lambda value: choice(value, GUARDS, "guard")),
    WithJsonSchema({"words": "guard", "enum": list(GUARDS)}),
]
GuardText = Annotated[
    Guard,
    PlainValidator(guard),
    WithJsonSchema(
        {
            "words": "limit",
            "type": "string",
            "pattern": r"^(under|at most)\s+(control\s*\+\s*)?\d+(\.\d+)?\s*(%|points?)$",
            "examples": ["under 1%", "at most control + 3%"],
        }
    ),
]
RuleText = Annotated[
    Rule,
    PlainValidator(rule),
    WithJsonSchema(
        {
            "words": "rule",
            "type": "string",
            "pattern": f"^{re.sub(r'[?]P<[a-z]+>', '', RULE.pattern)}$",
            "examples": ["profit per customer above 0 at 95%", "upper limit below 0.3 points"],
        }
    ),
]
Figure = Annotated[Decimal, PlainValidator(_figure), WithJsonSchema(_FIGURE_SCHEMA)]
Significance = Annotated[Decimal, PlainValidator(_significance), SHARE_SCHEMA]
Power = Annotated[Decimal, PlainValidator(_power), SHARE_SCHEMA]


class Primary(Spec):
    """The one metric that judges the campaign."""

    metric: Metric = Field(description="The metric, per assigned customer.")
    window: Length = Field(description="How long responses count, from the planned send moment; control has the same.")
    baseline: Figure | None = Field(None, description="What control is expected to show: a share, or an amount.")
    expect: Figure | None = Field(None, description="What the treatment is expected to show.")

    @model_validator(mode="after")
    def _expects_more(self) -> Primary:
        if self.baseline is None or self.expect is None or self.expect > self.baseline:
            return self
        if self.baseline == self.expect:
            raise Unreadable("baseline and expect are the same", "expect what the campaign is meant to reach")
        cure = "baseline is what control shows, expect what the treatment shows: write the larger one there"
        raise Unreadable(f"{self.metric} is expected to fall, and the campaign to harm", cure)


class Decision(Spec):
    """The rule that will decide, fixed before the first send."""

    roll_out: RuleText | None = Field(None, description="When the campaign is worth rolling out.")
    stop: RuleText | None = Field(None, description="When it is not worth repeating.")


class ExperimentSpec(Spec):
    """One file of experiments/: the experiment of the campaign with the same file name."""

    campaign: Name = Field(description="The file name without .yaml.", json_schema_extra={"from_file": True})
    file: str = Field("", description="The file, relative to the project.", json_schema_extra={"from_file": True})
    own: Mapping[str, MetricKind] = Field(
        default_factory=dict,
        description="Kinds of the metrics in experiments/metrics.yaml.",
        json_schema_extra={"from_file": True},
    )
    hypothesis: Sentence = Field(description="One sentence: what lifts what, from what, to what.")
    split: Mapping[ArmName, Share] = Field(description="Share of each arm, control among them; together 100%.")
    stratify: tuple[Text, ...] = Field((), description="Customer fields inside whose values the split is exact.")
    primary: Primary = Field(description="The one metric that judges the campaign.")
    adjust: Literal["none", "strata", "past"] = Field(
        "none",
        description="How the effect that judges is estimated: `none`, the plain difference; `strata`, every stratum at "
        "its share of the audience; `past`, with what orders before the campaign foretell taken out (CUPED). The "
        "others are shown beside it.",
    )
    secondary: tuple[Metric, ...] = Field((), description="Further metrics to read out; they do not judge.")
    guards: Mapping[GuardName, GuardText] = Field(default_factory=dict, description="What must not get worse.")
    cuts: tuple[Text, ...] = Field(
        (), description="Customer fields, as they were when planned, by whose values the effect is read out in parts."
    )
    alpha: Significance = Field(Decimal("0.05"), description="Accepted chance of a false alarm.")
    power: Power = Field(Decimal("0.8"), description="Wanted chance of seeing the expected effect.")
    monitor: Literal["none", "always_valid"] = Field(
        "none",
        description="What is shown before the window ends: `none`; or `always_valid`, the primary metric so far with "
        "limits that hold however often one looks. Wants a response rate with a baseline.",
    )
    compare: tuple[tuple[ArmName, ArmName], ...] = Field(
        default_factory=_each_with_control, description="Pairs [arm, against]; default: each arm with control."
    )
    decide: Decision = Field(default_factory=Decision, description="The rule that will decide.")

    @field_validator("primary", "secondary")
    @classmethod
    def _known_metrics(cls, value: Any, info: ValidationInfo) -> Any:
        kinds = {**METRICS, **info.data.get("own", {})}
        for metric in (value.metric,) if isinstance(value, Primary) else value:
            choice(metric, kinds, "metric")
        if isinstance(value, Primary):
            _check_figures(value, kinds[value.metric])
        return value

    @field_validator("split")
    @classmethod
    def _adds_up(cls, split: Mapping[str, Decimal]) -> Mapping[str, Decimal]:
        if not split.get(CONTROL):
            what = "control share must be above 0%" if CONTROL in split else "the split has no control"
            raise Unreadable(what, "give control a share, as in control: 20%")
        total = sum(split.values(), Decimal(0))
        if abs(total - 1) > SHARE_TOLERANCE:
            raise Unreadable(f"arm shares add up to {percent(total)}", "make them add up to 100%")
        if len(split) < 2:
            raise Unreadable("the split has only control", "add an arm, as in treatment: 80%")
        empty = [arm for arm, part in split.items() if not part]
        if empty:
            raise Unreadable(f'the share of arm "{empty[0]}" is 0%', "give it a share above 0%, or remove it")
        return split

    @field_validator("stratify")
    @classmethod
    def _few(cls, fields: tuple[str, ...]) -> tuple[str, ...]:
        if len(fields) > MOST_STRATIFIED:
            raise Unreadable(
                f"stratify names {len(fields)} fields, it takes {MOST_STRATIFIED}", "keep the strongest ones"
            )
        return fields

    @field_validator("cuts")
    @classmethod
    def _some(cls, fields: tuple[str, ...]) -> tuple[str, ...]:
        if len(fields) > MOST_CUTS:
            raise Unreadable(f"cuts names {len(fields)} fields, it takes {MOST_CUTS}", "keep those you would act on")
        twice = next((field for field in fields if fields.count(field) > 1), None)
        if twice is not None:
            raise Unreadable(f"cuts names {twice} twice", "name it once")
        return fields

    @field_validator("compare")
    @classmethod
    def _pairs_of_arms(cls, pairs: tuple[tuple[str, str], ...], info: ValidationInfo) -> tuple[tuple[str, str], ...]:
        arms = info.data.get("split", {})
        for arm in (arm for pair in pairs for arm in pair if arms and arm not in arms):
            raise Unreadable(f'compare names arm "{arm}", which the split does not have', did_you_mean(arm, arms))
        for pair in pairs:
            if pair[0] == pair[1]:
                raise Unreadable(f'compare sets arm "{pair[0]}" against itself', "name two different arms")
        return pairs

    @field_validator("decide")
    @classmethod
    def _rules_of_metrics(cls, decision: Decision, info: ValidationInfo) -> Decision:
        primary = info.data.get("primary")
        if not isinstance(primary, Primary):
            return decision
        rules = {
            key: of_metric(found, found.metric or primary.metric, {**METRICS, **info.data.get("own", {})})
            for key, found in decision
            if found is not None
        }
        return Decision(**rules)

    @model_validator(mode="after")
    def _has_strata(self) -> ExperimentSpec:
        if self.adjust == "strata" and not self.stratify:
            raise Unreadable("adjust: strata without stratify", "name the fields under stratify, or write adjust: past")
        return self

    @model_validator(mode="after")
    def _can_be_monitored(self) -> ExperimentSpec:
        if self.monitor == "none":
            return self
        if self.kinds[self.primary.metric] != "rate":
            raise Unreadable(f"{self.primary.metric} cannot be monitored", "monitor a rate, or leave it out")
        if not self.primary.baseline:
            raise Unreadable("monitor wants to know how much is expected", "write primary: {baseline: 3%}")
        return self

    @model_validator(mode="after")
    def _metrics_once(self) -> ExperimentSpec:
        named = [self.primary.metric, *self.secondary]
        twice = next((metric for metric in named if named.count(metric) > 1), None)
        if twice is not None:
            raise Unreadable(f"{twice} is named twice in primary and secondary", "name it once")
        return self

    @property
    def kinds(self) -> Mapping[str, MetricKind]:
        """What each metric is: the product's, and those of the shop's own that it reads."""
        read = (self.primary.metric, *self.secondary)
        return {**METRICS, **{metric: kind for metric, kind in self.own.items() if metric in read}}

    @property
    def treatments(self) -> tuple[str, ...]:
        """The arms that get messages, in the order of the file."""
        return tuple(arm for arm in self.split if arm != CONTROL)

    @property
    def alpha_each(self) -> Decimal:
        """What of alpha each treatment gets (Bonferroni), because the best of them is what is acted upon."""
        return self.alpha / len(self.treatments)


def _check_figures(primary: Primary, kind: MetricKind) -> None:
    """Unreadable when what is expected of a metric of the shop's own is not in its unit."""
    for key in ("baseline", "expect"):
        figure = getattr(primary, key)
        if figure is not None and kind == "rate" and figure >= 1:
            raise Unreadable(f"{primary.metric} is a rate, its {key} cannot be {figure}", f"write {figure}%")
