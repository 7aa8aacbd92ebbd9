"""What a registered monitoring shows before the window ends: limits that may be looked at every day."""

from __future__ import annotations

from collections.abc import Mapping

from campanile.measure.compare import compare
from campanile.measure.counts import count_of
from campanile.measure.sequential import always_valid, customers_worth
from campanile.measure.sums import ArmOutcome
from campanile.measure.types import Comparison
from campanile.readout.terms import Terms


def so_far(terms: Terms, arms: Mapping[str, ArmOutcome]) -> tuple[Comparison, ...]:
    """The primary metric of every registered pair so far, with always-valid limits; empty where none were registered.

    All are assigned at once, so what comes in with time is responses: they tell how much of the experiment has been
    seen. Each pair keeps its alpha: pairs are judged when the window has ended, with their correction.
    """
    experiment = terms.experiment
    baseline = experiment.primary.baseline
    if experiment.monitor != "always_valid" or not baseline:
        return ()
    found = []
    for treatment, control in experiment.compare:
        first, second = arms[control].statistics, arms[treatment].statistics
        one_look = compare(first, second, experiment.primary.metric, kind="rate", alpha=terms.alpha)
        responders = sum(count_of(arm, one_look.metric).responders for arm in (first, second))
        n = first.n + second.n
        seen = customers_worth(responders, n, float(baseline))
        found.append(always_valid(one_look, first, second, planned=n, seen=seen))
    return tuple(found)
