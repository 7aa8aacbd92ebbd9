"""Did it do harm? Each registered guard on each treatment: kept, broken, or not shown either way.

A guard is kept only when even the upper limit of the interval is within the limit, and broken only when even the lower
limit is beyond it: chance alone neither stops a campaign nor clears it. While a window is open, a guard that would tell
how many customers of an arm ordered, or what control did, is open and says nothing else.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from campanile.events import CONTROL
from campanile.measure.counts import Count
from campanile.measure.rates import newcombe, wilson
from campanile.measure.sums import ArmOutcome
from campanile.readout.terms import Terms, treatments
from campanile.report.readout import GuardFinding, GuardState
from campanile.spec.rules import Guard

#: What is counted among whom: when an arm stands alone, and when it is set against control; "" is everyone assigned.
#: Harm among customers written to is that of those customers: who was never written to cannot have left because of it.
_COUNTED: Mapping[str, tuple[tuple[str, str], tuple[str, str]]] = {
    "return_rate": (("returned", "ordered"), ("returned", "ordered")),
    "opt_out_rate": (("opted_out_written", "written"), ("opted_out", "")),
    "complaint_rate": (("complained_written", "written"), ("complained", "")),
}
_AMONG = {"ordered": "customers who ordered", "written": "customers written to", "": "customers assigned"}
_TABLES = {"return_rate": "returned", "opt_out_rate": "unsubscribed", "complaint_rate": "spam_report or ticket"}


def guard_findings(terms: Terms, arms: Mapping[str, ArmOutcome], *, ended: bool) -> tuple[GuardFinding, ...]:
    """Every registered guard on every treatment; `ended` is whether the last customer's window is over."""
    return tuple(
        _found(Question(name, guard, arm), arms, terms.alpha, ended=ended)
        for name, guard in terms.experiment.guards.items()
        for arm in treatments(terms)
    )


@dataclass(frozen=True)
class Question:
    """One guard on one arm."""

    name: str
    guard: Guard
    arm: str

    @property
    def tells_the_effect(self) -> bool:
        """Whether its figures hold control's, or count customers who ordered."""
        return self.guard.relative_to_control or self.counted[1] == "ordered"

    @property
    def counted(self) -> tuple[str, str]:
        """The counter, and the counter of those among whom; "" is everyone assigned."""
        alone, against = _COUNTED[self.name]
        return against if self.guard.relative_to_control else alone

    def answer(self, state: GuardState, detail: str, **figures: float | None) -> GuardFinding:
        """The finding of that state."""
        relative = self.guard.relative_to_control
        return GuardFinding(self.name, self.arm, self.guard.text, state, detail, relative=relative, **figures)


def _found(question: Question, arms: Mapping[str, ArmOutcome], alpha: float, *, ended: bool) -> GuardFinding:
    counter, among = question.counted
    treated, control = (_count(arms[arm], counter, among) for arm in (question.arm, CONTROL))
    if treated is None or control is None:
        return question.answer("unknown", f"The customer database has no table {_TABLES[question.name]}.")
    if question.tells_the_effect and not ended:
        return question.answer("open", "Looked at when the window has ended.")
    if not treated.n or (question.guard.relative_to_control and not control.n):
        return question.answer("open", f"There are no {_AMONG[among]} yet.")
    return rate_guard(question, treated, control, alpha=alpha, among=_AMONG[among])


def rate_guard(question: Question, treated: Count, control: Count, *, alpha: float, among: str) -> GuardFinding:
    """Whether a rate stayed within its limit, alone or beside control's.

    Args:
        question: Which guard on which arm.
        treated: Of the arm.
        control: Of control; looked at when the limit is measured from it.
        alpha: Of the interval.
        among: Whom the rate is of, in words.
    """
    detail = f"{treated.responders:,} of {treated.n:,} {among}"
    limit = float(question.guard.limit)
    if not question.guard.relative_to_control:
        low, high = wilson(treated, alpha=alpha)
        return question.answer(_state(low, high, limit), f"{detail}.", rate_treatment=treated.rate, low=low, high=high)
    low, high = newcombe(control, treated, alpha=alpha)
    return question.answer(
        _state(low, high, limit),
        f"{detail}, against {control.responders:,} of {control.n:,} in control.",
        rate_control=control.rate,
        rate_treatment=treated.rate,
        low=low,
        high=high,
    )


def _state(low: float, high: float, limit: float) -> GuardState:
    """Where the interval lies: within the limit, beyond it, or across it.

    >>> _state(0.002, 0.006, 0.01), _state(0.02, 0.03, 0.01), _state(0.005, 0.03, 0.01)
    ('kept', 'broken', 'open')
    """
    if high <= limit:
        return "kept"
    return "broken" if low > limit else "open"


def _count(arm: ArmOutcome, counter: str, among: str) -> Count | None:
    """How many of whom; None when the database does not hold it."""
    found = arm.counts[counter]
    whole = arm.counts[among] if among else arm.statistics.n
    return None if found is None or whole is None else Count(found, whole)
