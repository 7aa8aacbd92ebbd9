"""An experiment that was run elsewhere: how its table of units is read, and by which rule it is judged.

A file of one's own, given to `campanile readout --from`; it is no file of experiments/, because no campaign of that
name was sent from here.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, PlainValidator, WithJsonSchema, field_validator, model_validator

from campanile.errors import ProblemsError, UsageError, did_you_mean
from campanile.spec.check import read_file, validate
from campanile.spec.experiment import SHARE_TOLERANCE, GuardText, Power, Significance
from campanile.spec.fields import (
    Amount,
    ArmName,
    Length,
    Sentence,
    Share,
    Spec,
    Text,
    Unreadable,
    YesNo,
    percent,
    shown,
)
from campanile.spec.rules import Rule, read_rule

#: What the money rule is about; the metrics of the file must not take its name.
PROFIT = "profit_per_customer"

_RULE_SCHEMA = WithJsonSchema(
    {"words": "rule", "type": "string", "examples": ["profit per customer above 0 at 95%", "visit above 1 points"]}
)


_OR_NULL = WithJsonSchema({"words": "text, or null", "type": ["string", "number", "null"]})


class UnitsColumns(Spec):
    """Which columns of the table say who was in which arm."""

    arm: Text = Field(description="Column with the name of the arm.")
    control: Annotated[ArmName | None, _OR_NULL] = Field(
        None, description="The arm that got nothing; null when nobody was held out."
    )
    unit: Annotated[Text | None, _OR_NULL] = Field(
        None, description="Column with the id of the unit; null: every row is one unit."
    )


class TableMetric(Spec):
    """One figure per unit."""

    column: Text = Field(description="Column with the figure; an empty cell is 0.")
    kind: Literal["rate", "money", "count"] = Field(
        description="rate: 0 or 1 for each unit; money: an amount; count: how many."
    )
    negative: YesNo = Field(default=False, description="Whether figures may be below zero, as after returns.")


class TableEconomics(Spec):
    """What the arms cost and what sales earn, in the unit of the money metric."""

    margin_rate: Share = Field(Decimal(1), description="Margin as a share of revenue; default: the metric is margin.")
    cost_per_unit: Mapping[ArmName, Amount] = Field(
        default_factory=dict, description="What one assigned unit of an arm cost; arms that are not named cost nothing."
    )
    fixed: Amount = Field(Decimal(0), description="Cost of the whole campaign that does not depend on units.")
    revenue: Text | None = Field(None, description="The money metric; default: the first one.")
    response: Text | None = Field(None, description="The rate that counts responders; default: the primary, or first.")


def _primary(value: object) -> object:
    return {"metric": value} if isinstance(value, str) else value


class TablePrimary(Spec):
    """The one metric that judges."""

    metric: Text = Field(description="Name of a metric of this file.")
    window: Length | None = Field(None, description="How long responses counted; said, not applied.")
    baseline: Share | None = Field(None, description="What control was expected to show, where the metric is a rate.")
    expect: Share | None = Field(None, description="What the treatment was expected to show.")


def _sentence(value: object) -> str:
    if not isinstance(value, str) or not value.strip():
        raise Unreadable(f"wants a rule, got {shown(value)}", "write it as in: profit per customer above 0 at 95%")
    return value.strip()


class TableDecision(Spec):
    """The rule that decides; default: profit per customer above 0, else the primary metric above 0."""

    roll_out: Annotated[str, PlainValidator(_sentence), _RULE_SCHEMA] | None = Field(
        None, description="When it is worth rolling out."
    )
    stop: Annotated[str, PlainValidator(_sentence), _RULE_SCHEMA] | None = Field(
        None, description="When it is not worth repeating."
    )


class ElsewhereSpec(Spec):
    """The file that `campanile readout --from TABLE --experiment FILE` reads."""

    file: str = Field("", description="The file.", json_schema_extra={"from_file": True})
    experiment: Text = Field("", description="Name of the experiment; default: the file name.")
    hypothesis: Sentence | None = Field(None, description="One sentence: what lifts what, from what, to what.")
    units: UnitsColumns = Field(alias="from", description="Which columns say who was in which arm.")
    randomised: YesNo = Field(default=True, description="Whether chance alone decided who was in which arm.")
    metrics: Mapping[Text, TableMetric] = Field(description="The figures of a unit, by name.")
    cuts: tuple[Text, ...] = Field((), description="Columns known before the experiment, to repeat the result by.")
    economics: TableEconomics | None = Field(None, description="Costs and margin; without it, no money is computed.")
    split: Mapping[ArmName, Share] = Field(
        default_factory=dict, description="Planned share of each arm; without it, the sizes cannot be checked."
    )
    primary: Annotated[TablePrimary, BeforeValidator(_primary)] | None = Field(
        None, description="The one metric that judges; default: the first."
    )
    secondary: tuple[Text, ...] = Field((), description="Further metrics; all are read out in any case.")
    guards: Mapping[Text, GuardText] = Field(
        default_factory=dict, description="Rates of this file that must not get worse."
    )
    alpha: Significance = Field(Decimal("0.05"), description="Accepted chance of a false alarm.")
    power: Power = Field(Decimal("0.8"), description="Wanted chance of seeing the expected effect.")
    compare: tuple[tuple[ArmName, ArmName], ...] = Field(
        (), description="Pairs [arm, against]; default: each arm with control."
    )
    decide: TableDecision = Field(default_factory=TableDecision, description="The rule that decides.")

    @field_validator("metrics")
    @classmethod
    def _some(cls, metrics: Mapping[str, TableMetric]) -> Mapping[str, TableMetric]:
        if not metrics:
            raise Unreadable("there is no metric", "write visit: {column: visit, kind: rate}")
        if PROFIT in metrics:
            raise Unreadable(f"{PROFIT} is computed from economics", "give the metric another name")
        return metrics

    @field_validator("split")
    @classmethod
    def _adds_up(cls, split: Mapping[str, Decimal]) -> Mapping[str, Decimal]:
        total = sum(split.values(), Decimal(0))
        if split and abs(total - 1) > SHARE_TOLERANCE:
            raise Unreadable(f"arm shares add up to {percent(total)}", "make them add up to 100%")
        empty = [arm for arm, part in split.items() if not part]
        if empty:
            raise Unreadable(f'the share of arm "{empty[0]}" is 0%', "give it a share above 0%, or remove it")
        return split

    @model_validator(mode="after")
    def _names(self) -> ElsewhereSpec:
        _known_metrics(self)
        control = self.units.control
        if control is not None and self.split and control not in self.split:
            raise Unreadable(f'the split has no arm "{control}", the control', did_you_mean(control, self.split))
        arms = {arm for pair in self.compare for arm in pair}
        arms |= set(self.economics.cost_per_unit) if self.economics else set()
        for arm in sorted(arms):
            if self.split and arm not in self.split:
                raise Unreadable(f'the split has no arm "{arm}"', did_you_mean(arm, self.split))
        for text in (self.decide.roll_out, self.decide.stop):
            if text is not None:
                self.rule(text)
        return self

    @property
    def judged(self) -> str:
        """The name of the primary metric."""
        return self.primary.metric if self.primary else next(iter(self.metrics))

    @property
    def revenue(self) -> str | None:
        """The metric that earns the margin; None when the file has no money."""
        if self.economics and self.economics.revenue:
            return self.economics.revenue
        return next((name for name, metric in self.metrics.items() if metric.kind == "money"), None)

    @property
    def response(self) -> str | None:
        """The rate that counts responders; None when the file has no rate."""
        if self.economics and self.economics.response:
            return self.economics.response
        rates = [name for name, metric in self.metrics.items() if metric.kind == "rate"]
        return self.judged if self.judged in rates else next(iter(rates), None)

    def rule(self, text: str) -> Rule:
        """The rule that a sentence says of the metrics of this file; Unreadable when it says none."""
        kinds = {name: metric.kind for name, metric in self.metrics.items()}
        if self.economics and self.revenue:
            kinds[PROFIT] = "money"
        return read_rule(text, kinds, primary=self.judged)


def _known_metrics(spec: ElsewhereSpec) -> None:
    """Raises Unreadable when a metric is named that the file does not have, or a guard watches no rate."""
    used = [*spec.secondary, *spec.guards, *([spec.primary.metric] if spec.primary else [])]
    if spec.economics:
        used += [name for name in (spec.economics.revenue, spec.economics.response) if name]
    for name in used:
        if name not in spec.metrics:
            raise Unreadable(f'no metric "{name}" in this file', did_you_mean(name, spec.metrics))
    if spec.primary and spec.primary.expect is not None and spec.metrics[spec.judged].kind != "rate":
        raise Unreadable(f"{spec.judged} is no rate, so expect says nothing", "remove baseline and expect")
    for name in spec.guards:
        if spec.metrics[name].kind != "rate":
            raise Unreadable(f'the guard "{name}" is no rate', "guards watch rates, such as opt-outs")


def read_elsewhere(path: Path) -> ElsewhereSpec:
    """The spec of an experiment run elsewhere.

    Raises:
        UsageError: There is no such file.
        ProblemsError: Every problem of the file.
    """
    if not path.is_file():
        raise UsageError(f"no file {path}", "give the file that says how the table is read")
    file = read_file(path.parent, path)
    spec = validate(file, ElsewhereSpec)
    if spec is None or file.report.problems:
        raise ProblemsError(file.report.problems)
    return spec if spec.experiment else spec.model_copy(update={"experiment": path.stem})
