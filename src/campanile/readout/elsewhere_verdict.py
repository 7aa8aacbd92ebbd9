"""The decision on an experiment run elsewhere, by the rules of its file: trust first, harm second, money third."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from campanile.measure.counts import count_of
from campanile.measure.types import Economics
from campanile.measure.units import SCALE
from campanile.readout.elsewhere_effects import ElsewhereEffects
from campanile.readout.guards import Question, rate_guard
from campanile.readout.verdict import Judgement, judge, overall, ruling
from campanile.report.elsewhere_words import interval_words, metric_unit, money_words
from campanile.report.readout import Decision, GuardFinding, Trust, Verdict
from campanile.spec.elsewhere import PROFIT, ElsewhereSpec
from campanile.spec.fields import percent
from campanile.spec.rules import Rule


@dataclass(frozen=True)
class _Case:
    """What decides about one treatment."""

    arm: str
    roll_out: Judgement
    stop: Judgement
    guards: tuple[GuardFinding, ...]

    @property
    def decision(self) -> Decision:
        broken = any(guard.state == "broken" for guard in self.guards)
        return ruling(roll_out=self.roll_out.holds, stop=self.stop.holds, broken=broken, waits=False)

    def reasons(self, *, named: bool) -> Iterator[str]:
        """Harm and the two rules; with the arm's name where there are several."""
        prefix = f"{self.arm}: " if named else ""
        for guard in self.guards:
            if guard.state == "broken":
                yield f"{prefix}broke the guard {guard.name} {guard.limit}, {guard.detail}"
        yield prefix + self.roll_out.words
        yield prefix + self.stop.words


def rules(spec: ElsewhereSpec, *, money: bool) -> tuple[Rule, Rule]:
    """When to roll out and when to stop: what the file says, or the product's default."""
    metric, level = (PROFIT if money else spec.judged), percent(1 - spec.alpha)
    roll_out = spec.decide.roll_out or f"{metric} above 0 at {level}"
    return spec.rule(roll_out), spec.rule(spec.decide.stop or f"{metric} below 0 at {level}")


def guards_of(effects: ElsewhereEffects) -> tuple[GuardFinding, ...]:
    """Every guard on every treatment."""
    statistics, control = effects.table.statistics, effects.control
    return tuple(
        rate_guard(
            Question(name, guard, arm),
            count_of(statistics[arm], name),
            count_of(statistics[control], name),
            alpha=effects.alpha,
            among="units assigned",
        )
        for name, guard in effects.spec.guards.items()
        for arm in effects.treatments
    )


def decide_elsewhere(
    effects: ElsewhereEffects, trust: Trust, guards: Sequence[GuardFinding], paid: Sequence[Economics], currency: str
) -> Verdict:
    """The verdict with its sentence and reasons."""
    failed = trust.failed("no verdict")
    if failed:
        reasons = tuple(check.detail for check in failed)
        return Verdict("no_verdict", f"No verdict, because the result cannot be trusted: {reasons[0]}", reasons)
    profit = {found.treatment: found for found in paid}
    roll_out, stop = rules(effects.spec, money=effects.has_money)
    cases = [
        _Case(
            arm,
            _judgement(effects, roll_out, arm, currency),
            _judgement(effects, stop, arm, currency),
            tuple(guard for guard in guards if guard.arm == arm),
        )
        for arm in effects.treatments
    ]
    decision = overall([case.decision for case in cases])
    chosen = max(
        (case for case in cases if case.decision == decision), key=lambda case: _gain(effects, case.arm, profit)
    )
    told = tuple(reason for case in cases for reason in case.reasons(named=len(cases) > 1))
    return Verdict(decision, _sentence(effects, decision, chosen.arm, profit, currency), told, chosen.arm)


def _judgement(effects: ElsewhereEffects, rule: Rule, arm: str, currency: str) -> Judgement:
    """A rule on one treatment; with several, each gets its share of the rule's doubt (Bonferroni)."""
    found = effects.against_control(arm, rule.metric, alpha=(1 - float(rule.level)) / len(effects.treatments))
    unit = metric_unit(found.kind, currency, change=True)
    return judge(rule, found, 1 if found.kind == "rate" else SCALE, unit)


def _gain(effects: ElsewhereEffects, arm: str, profit: dict[str, Economics]) -> float:
    """What ranks treatments: profit, or the difference of the primary metric."""
    if arm in profit:
        return profit[arm].incremental_profit
    return effects.against_control(arm, effects.spec.judged).difference


def _sentence(
    effects: ElsewhereEffects, decision: Decision, arm: str, profit: dict[str, Economics], currency: str
) -> str:
    """The decision for the person who takes it: money with its interval where there is any, and the effect."""
    name = effects.spec.judged
    found = effects.against_control(arm, name)
    unit = metric_unit(found.kind, currency)
    told = (
        f"{name} was {unit.text(found.mean_treatment)} in {arm} and {unit.text(found.mean_control)} in {found.control}"
    )
    told += f" (difference {interval_words(found, currency)})"
    if arm in profit:
        told = f"{arm} {money_words(profit[arm], currency)}; {told}"
    starts: dict[Decision, str] = {
        "roll_out": f"Worth rolling out, by the rule of the file: {told}. Keep a control of 5 to 10%.",
        "extend": f"Not decided yet: {told}.",
        "stop": f"Do not repeat it as it is: {told}.",
    }
    return starts[decision]
