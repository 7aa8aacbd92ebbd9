"""The decision, by the rules that were registered and nothing else.

Reads finished checks, guards and comparisons. Returns a verdict with the sentence for the person who decides. The order
is fixed: trust first, harm second, money third.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from campanile.measure.types import Comparison, Economics
from campanile.money import Currency
from campanile.report.definitions import label
from campanile.report.numbers import PERCENT, Unit, level, money
from campanile.report.readout import Decision, GuardFinding, Readout, Setting, Trust, Verdict
from campanile.spec.rules import Rule

#: A rule on profit per customer looks ahead, where the fixed cost of this wave does not come again for each customer.
_FIXED = (
    "each customer brings more than it costs to reach them; whether this wave also earned its fixed cost back is open."
)


@dataclass(frozen=True)
class Judgement:
    """One rule held against one comparison.

    Attributes:
        limit: The limit of the interval that the rule asks for; None when it is withheld.
        holds: Whether it is beyond the bound.
        words: The rule and the figure, as a reason.
    """

    rule: Rule
    limit: float | None
    holds: bool
    words: str


@dataclass(frozen=True)
class ArmCase:
    """Everything that decides about one treatment.

    Attributes:
        response: Response rate against control, for the sentence.
    """

    arm: str
    roll_out: Judgement
    stop: Judgement
    economics: Economics
    response: Comparison
    guards: tuple[GuardFinding, ...] = ()

    @property
    def broken(self) -> tuple[GuardFinding, ...]:
        """The guards that this arm broke."""
        return tuple(guard for guard in self.guards if guard.state == "broken")

    @property
    def unmeasured(self) -> tuple[str, ...]:
        """What keeps a roll-out back: guards that the data do not hold. One merely not shown to be kept does not."""
        return tuple(
            f"{label(guard.name).text.lower()} {guard.limit} was not measured. {guard.detail}"
            for guard in self.guards
            if guard.state == "unknown"
        )


def judge(rule: Rule, found: Comparison, scale: int, unit: Unit) -> Judgement:
    """The rule held against a comparison that was made at the rule's level.

    Args:
        rule: Its bound is in major units where the metric is money.
        found: The comparison.
        scale: Units of the comparison in one unit of the bound.
        unit: How the limit is written.

    Raises:
        ValueError: The comparison is of another metric than the rule.
    """
    if found.metric != rule.metric:
        raise ValueError(f"a rule on {rule.metric} cannot judge {found.metric}")
    bound = float(rule.bound) * scale
    limit = found.low if rule.side == "lower" else found.high
    holds = limit is not None and (limit > bound if rule.side == "lower" else limit < bound)
    told = "cannot be computed" if limit is None else f"is {unit.text(limit)}"
    words = f"“{rule.text}” {'holds' if holds else 'does not hold'}: the {rule.side} limit {told}."
    return Judgement(rule, limit, holds, words)


def early(setting: Setting, known: Readout, ends: str) -> Verdict:
    """No verdict, because a window is still open; with what is shown already, where looking was registered."""
    reasons = [f"the window ends on {ends}"]
    reasons += [_broken(guard) + " Consider stopping the send." for guard in known.guards if guard.state == "broken"]
    for found in known.so_far:
        name = f"{found.treatment} against {found.control}"
        if found.low is not None and found.low > 0:
            reasons.append(f"{name}: more responses are shown already, by limits that hold at every look.")
        if found.high is not None and found.high < 0:
            reasons.append(f"{name}: fewer responses are shown already. Consider stopping the send.")
    return Verdict("no_verdict", f"No verdict yet: the window ends on {ends} ({setting.zone.key}).", tuple(reasons))


def decide(trust: Trust, cases: Sequence[ArmCase], currency: Currency) -> Verdict:
    """The verdict after the window has ended."""
    failed = trust.failed("no verdict")
    if failed:
        reasons = tuple(f"{label(check.name).text}: {check.detail}" for check in failed)
        return Verdict("no_verdict", f"No verdict, because the result cannot be trusted: {reasons[0]}", reasons)
    held_back = tuple(f"{label(check.name).text}: {check.detail}" for check in trust.failed("no roll-out"))
    decisions = {case.arm: _decision(case, held_back) for case in cases}
    decision = overall(list(decisions.values()))
    chosen = max(
        (case for case in cases if decisions[case.arm] == decision), key=lambda case: case.economics.incremental_profit
    )
    several = len(cases) if len(cases) > 1 else 0
    told = [reason for case in cases for reason in _reasons(case, held_back, named=bool(several))]
    return Verdict(decision, _sentence(decision, chosen, currency, several=several), tuple(told), chosen.arm)


def _decision(case: ArmCase, held_back: Sequence[str]) -> Decision:
    waits = bool(held_back or case.unmeasured)
    return ruling(roll_out=case.roll_out.holds, stop=case.stop.holds, broken=bool(case.broken), waits=waits)


def ruling(*, roll_out: bool, stop: bool, broken: bool, waits: bool) -> Decision:
    """What the two rules say of one arm, when a guard may be broken and a roll-out may have to wait.

    >>> ruling(roll_out=True, stop=False, broken=False, waits=False)
    'roll_out'
    """
    if broken:
        return "stop"
    if roll_out:
        return "extend" if stop or waits else "roll_out"
    return "stop" if stop else "extend"


def overall(decisions: Sequence[Decision]) -> Decision:
    """One arm worth rolling out is enough; stopping takes all of them.

    >>> overall(["stop", "roll_out"]), overall(["stop", "extend"]), overall(["stop", "stop"])
    ('roll_out', 'extend', 'stop')
    """
    for decision in ("roll_out", "extend", "stop"):
        if decision in decisions:
            return decision
    return "no_verdict"


def _reasons(case: ArmCase, held_back: Sequence[str], *, named: bool) -> list[str]:
    """Why, for one arm: harm, the two rules, and what keeps a roll-out back."""
    prefix = f"{case.arm}: " if named else ""
    reasons = [_broken(guard) for guard in case.broken]
    reasons += [prefix + case.roll_out.words, prefix + case.stop.words]
    if case.roll_out.holds and case.stop.holds:
        reasons.append(f"{prefix}both rules hold: it pays, but less than what was called worthwhile; a person decides.")
    if case.roll_out.holds:
        reasons += [f"{prefix}no roll-out before this is mended: {what}" for what in (*held_back, *case.unmeasured)]
        reasons += [f"{prefix}{_FIXED}"] if _fixed_cost_open(case) else []
    listed = {"open"} if case.roll_out.holds else {"open", "unknown"}
    shown = [guard for guard in case.guards if guard.state in listed]
    reasons += [f"{prefix}not shown to be kept: {label(guard.name).text.lower()} {guard.limit}." for guard in shown]
    return reasons


def _fixed_cost_open(case: ArmCase) -> bool:
    """Whether each customer pays and the wave as a whole, its fixed cost included, may still have lost."""
    low = case.economics.profit_low
    return low is not None and low <= 0


def _broken(guard: GuardFinding) -> str:
    return f"{guard.arm} broke a guard: {label(guard.name).text.lower()} {guard.limit}, {guard.detail}"


def _sentence(decision: Decision, case: ArmCase, currency: Currency, *, several: int) -> str:
    """The decision for the person who takes it: money with its interval, then the rates behind it."""
    subject = f"arm {case.arm}" if several else "the campaign"
    cash, paid, response = money(currency), case.economics, case.response
    interval = f"{level(paid.alpha)} interval {cash.interval(paid.profit_low, paid.profit_high)}"
    if several:
        interval += f", corrected for {several} arms"
    told = "earned" if paid.incremental_profit >= 0 else "lost"
    result = f"{subject} {told} {cash.text(abs(paid.incremental_profit))} after all costs ({interval})"
    treated, control = PERCENT.text(response.mean_treatment), PERCENT.text(response.mean_control)
    rates = f"{treated} of its customers responded, {control} of control"
    if decision == "roll_out":
        keep = "Keep a control of 5 to 10% in the roll-out."
        if paid.incremental_profit < 0:
            return f"It pays for each customer, though {result}, its fixed cost being spread over few: {rates}. {keep}"
        return f"{result[0].upper()}{result[1:]}: {rates}. {keep}"
    if decision == "extend":
        return f"Not decided yet. By the best estimate {result}: {rates}."
    if case.broken:
        return f"Do not repeat it as it is. {_broken(case.broken[0])} {result[0].upper()}{result[1:]}."
    return f"Do not repeat it as it is: {result}; {rates}."
