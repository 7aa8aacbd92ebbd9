"""What kind of campaign comes next, and the one factor that changes. Rules in the order in which they are asked.

Reads the verdict, the diagnosis, beliefs and parts. Returns a decision with its reasons. Never changes two factors.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from campanile.improve.belief import Belief
from campanile.improve.diagnosis import Diagnosis, Fault
from campanile.improve.parts import Parting
from campanile.report.readout import Decision

Kind = Literal["roll_out", "confirm", "change_factor", "narrow", "follow_up", "stop"]
Factor = Literal["none", "target", "offer", "message", "channel", "timing"]

#: A part has to pay with this chance before a stopped campaign goes on with it alone.
SURE = 0.80
#: A campaign that has asked for more customers this often gets another factor instead.
PATIENCE = 2
#: What the rule has not decided is asked once more while it pays with this chance.
HOPE = 0.20
_FACTORS: dict[Fault, Factor] = {
    "channel": "channel",
    "message": "message",
    "product": "offer",
    "offer": "offer",
    "bought_anyway": "target",
    "cost": "channel",
    "none": "offer",
}


@dataclass(frozen=True)
class Case:
    """What a decision is taken from.

    Attributes:
        verdict: By the registered rule.
        broken: Guards that the arm broke.
        profit: Believed profit per customer, before fixed cost.
        worthwhile: The chance that the next wave as a whole pays, its fixed cost included.
        parting: The cut that parts best; None without cuts.
        rolled_out: Whether this wave already was a roll-out (a control of a tenth or less).
        extended: How often campaigns of this name were extended before.
        fading: Whether the effect has fallen over three campaigns or more.
        possible: Factors that can be changed with what the project has.
    """

    verdict: Decision
    broken: tuple[str, ...]
    profit: Belief
    worthwhile: float
    parting: Parting | None
    diagnosis: Diagnosis
    rolled_out: bool
    extended: int
    fading: bool
    possible: Sequence[Factor]


@dataclass(frozen=True)
class Next:
    """The kind of the next campaign.

    Attributes:
        why: The rule and its figures, in sentences.
        otherwise: What would change the decision.
    """

    kind: Kind
    factor: Factor
    why: str
    otherwise: str


def decide(case: Case) -> Next:
    """The next campaign by the first rule that holds."""
    drops = _drops(case)
    if case.broken:
        return _changed(case, f"A guard was broken ({', '.join(case.broken)}), so it is not repeated as it is.")
    if case.verdict == "roll_out":
        return _rolled_out(case, drops=drops)
    if case.verdict == "stop":
        return _stopped(case, drops=drops)
    return _extended(case, drops=drops)


def _drops(case: Case) -> bool:
    """Whether only parts go on: those that pay, where levels differ beyond chance, or the whole does not pay."""
    parting = case.parting
    if parting is None or not parting.dropped or parting.profit <= 0:
        return False
    return parting.differs or case.profit.mean <= 0


def _rolled_out(case: Case, *, drops: bool) -> Next:
    if case.fading:
        why = "The registered rule says roll out, but the effect has fallen over the last campaigns."
        return Next("follow_up", "target", why, "An effect that holds its level in the next wave.")
    if drops:
        why = "The registered rule says roll out; parts whose profit is expected below zero are left alone."
        return Next("roll_out", "target", why, _PARTS_CHANGE)
    if case.rolled_out and "offer" in case.possible:
        why = "It is rolled out and pays; whether a smaller offer does as well is the dearest open question."
        return Next("change_factor", "offer", why, "A smaller offer that earns less per customer.")
    return Next("roll_out", "none", "The registered rule says roll out.", "A lower limit of the profit below zero.")


def _extended(case: Case, *, drops: bool) -> Next:
    if drops:
        why = "Not decided as a whole, but parts differ: those whose profit is expected below zero are left out."
        return Next("narrow", "target", why, _PARTS_CHANGE)
    if case.profit.mean > 0 and case.worthwhile >= 0.5 and case.extended < PATIENCE:
        why = "Not decided, and a profit is more likely than a loss: the same again, sized for the shrunken effect."
        return Next("confirm", "none", why, "An upper limit below what was called worthwhile, or a lower one above it.")
    if case.profit.mean > 0 and case.worthwhile >= 0.5:
        return _changed(case, f"It was extended {case.extended} times and is still not decided: one factor changes.")
    return _changed(case, "Not decided, and by what is believed a loss is more likely than a profit.")


def _stopped(case: Case, *, drops: bool) -> Next:
    sure = case.parting and [word for word in case.parting.kept if word.word == "keep" and word.chance >= SURE]
    if drops and sure:
        names = ", ".join(word.level for word in sure)
        why = f"The whole does not pay, but a part does with a chance of {SURE:.0%} or more: {names}."
        return Next("narrow", "target", why, _PARTS_CHANGE)
    return _changed(case, "The registered rule says stop: it is not repeated as it is.")


def _changed(case: Case, why: str) -> Next:
    """Another factor: the one that the diagnosis names, else the next that can be changed; stop where none can."""
    wanted = _FACTORS[case.diagnosis.fault]
    order = [wanted, "offer", "message", "channel", "timing"]
    factor = next((each for each in order if each in case.possible), None)
    told = "No factor is left that this project could change."
    if factor is None and not case.broken and case.verdict != "stop" and case.profit.chance >= HOPE:
        chance = f"{case.profit.chance:.0%}"
        sentence = f"{why} {told} It may still pay, with a chance of {chance}: a small sample more will say."
        return Next("confirm", "none", sentence, f"A chance of a profit below {HOPE:.0%}.")
    if factor is None:
        return Next("stop", "none", f"{why} {told}", "Another template, offer or channel to try.")
    named = "" if factor == wanted else f" The diagnosis names the {wanted}, which this project cannot change alone."
    sentence = f"{why} {case.diagnosis.sentence}{named}"
    return Next("change_factor", factor, sentence, "A diagnosis that names another factor.")


_PARTS_CHANGE = "A next readout in which the parts no longer differ."
