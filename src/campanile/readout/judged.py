"""From what the arms did to effects and the verdict: the last step of a reading, the same whenever it is done again."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import timedelta

from campanile.events import CONTROL
from campanile.measure.lift import Estimate
from campanile.readout.adjusted import Pair
from campanile.readout.chances import chances
from campanile.readout.effects import Effects
from campanile.readout.parts import parts_of
from campanile.readout.terms import treatments
from campanile.readout.verdict import ArmCase, Judgement, decide, judge
from campanile.report.effect import change_unit
from campanile.report.readout import Chances, Readout, Setting
from campanile.spec.rules import Rule

#: Customers by arm and by the day of their first response.
FirstDays = Mapping[str, Mapping[int, int]]


def judged(known: Readout, effects: Effects, first_days: FirstDays, past: Sequence[Estimate] = ()) -> Readout:
    """The readout with its effects and the verdict.

    Args:
        known: What was known before any effect was looked at: trust, delivery, guards.
        effects: What the arms did.
        first_days: For the curves.
        past: Lifts of past campaigns in the primary metric, for the chances.
    """
    setting, terms = known.setting, effects.terms
    economics = effects.economics()
    cases = [
        ArmCase(
            arm=found.treatment,
            roll_out=_judgement(terms.roll_out, found.treatment, effects, setting),
            stop=_judgement(terms.stop, found.treatment, effects, setting),
            economics=found,
            response=effects.comparison(found.treatment, CONTROL, "response_rate"),
            guards=tuple(guard for guard in known.guards if guard.arm == found.treatment),
        )
        for found in economics
    ]
    days = max(1, math.ceil((setting.window.after(setting.first_due) - setting.first_due) / timedelta(days=1)))
    parts, tests = parts_of(effects)
    return replace(
        known,
        verdict=decide(known.trust, cases, setting.currency),
        arms=effects.figures(),
        comparisons=effects.declared(),
        economics=economics,
        otherwise=effects.otherwise(),
        chances=tuple(_chances(effects, past)),
        parts=parts,
        heterogeneity=tests,
        channels=effects.by_channel(),
        curves=effects.curves(first_days, days),
    )


def _chances(effects: Effects, past: Sequence[Estimate]) -> Iterator[Chances]:
    """The primary metric of every registered pair in chances; past campaigns are compared with control alone."""
    experiment, arms = effects.terms.experiment, effects.arms
    metric = experiment.primary.metric
    for treatment, control in experiment.compare:
        first, second = arms[control].statistics, arms[treatment].statistics
        before = past if control == CONTROL else ()
        rate = experiment.kinds[metric] == "rate"
        if metric in first.sums:
            found = chances(Pair(first, second), metric, rate=rate, past=before, alpha=effects.terms.alpha)
            yield from (found,) if found else ()


def _judgement(rule: Rule, arm: str, effects: Effects, setting: Setting) -> Judgement:
    """The rule on one treatment; with several, each gets its share of the rule's doubt (Bonferroni)."""
    alpha = (1 - float(rule.level)) / len(treatments(effects.terms))
    found = effects.comparison(arm, CONTROL, rule.metric, alpha=alpha)
    scale = setting.currency.scale if effects.terms.experiment.kinds[rule.metric] == "money" else 1
    return judge(rule, found, scale, change_unit(rule.metric, setting))
