"""Sentences of a proposal: hypothesis, risks, and what will be learned."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from campanile.improve.closed import Closed
from campanile.improve.decide import Next
from campanile.improve.outlook import Metric, Money, Sizes
from campanile.report.numbers import AVERAGE, PERCENT, Unit

_DOES = {
    "roll_out": "rolled out to everybody it pays for",
    "confirm": "sent once more, to an audience sized for the shrunken effect",
    "narrow": "sent only to the parts where a profit is expected",
    "follow_up": "followed up with content for those who did not buy",
    "stop": "not sent again",
}
_CHANGES = {
    "offer": "with a smaller offer beside the current one",
    "message": "with another message beside the current one",
    "channel": "by another channel",
    "timing": "at another hour",
    "target": "to another target",
}


def hypothesis(found: Closed, nxt: Next, metric: Metric, money: Money) -> str:
    """What the next campaign expects, as a sentence with numbers."""
    doing = _DOES.get(nxt.kind) or f"sent {_CHANGES.get(nxt.factor, 'again')}"
    unit = _unit(metric)
    name = metric.name.replace("_", " ")
    window = found.terms.experiment.primary.window
    change = "lifts" if metric.lift > 0 else "leaves"
    lead = f"{found.name}, {doing}, {change} the {window} {name} "
    if metric.lift <= 0:
        return f"{lead}at {unit.text(metric.baseline)}."
    scale = found.readout.setting.currency.scale
    code = found.readout.setting.currency.code
    earned = f"{money.profit.mean / scale:.2f} {code}"
    numbers = f"from {unit.text(metric.baseline)} to {unit.text(metric.expected)}"
    return f"{lead}{numbers} and earns {earned} per treated customer before fixed cost."


def chance_words(chance: float) -> str:
    """A chance in whole percent, never none and never certain.

    >>> chance_words(0.0004), chance_words(0.256), chance_words(0.9996)
    ('under 1%', '26%', 'over 99%')
    """
    return "under 1%" if chance < 0.01 else "over 99%" if chance > 0.99 else f"{chance:.0%}"


def _unit(metric: Metric) -> Unit:
    return PERCENT if metric.variance is None else AVERAGE


def risks(found: Closed, nxt: Next, plan: Sizes, conflicts: Sequence[str], loss: float) -> tuple[str, ...]:
    """What may go wrong, the most likely first."""
    return tuple(_risks(found, nxt, plan, conflicts, loss))


def _risks(found: Closed, nxt: Next, plan: Sizes, conflicts: Sequence[str], loss: float) -> Iterator[str]:
    yield f"Loss: with a chance of {chance_words(loss)} the wave as a whole loses money."
    if plan.short:
        power = f"{plan.power:.0%}"
        yield f"Too few customers: the believed effect would be seen with a chance of {power} only."
    for guard in found.readout.guards:
        if guard.state in {"broken", "open"}:
            word = "was broken" if guard.state == "broken" else "is not shown to be kept"
            yield f"Guard: {guard.name.replace('_', ' ')} {guard.limit} {word} in {guard.arm}."
    left = sum(outcome.counts.get("opted_out") or 0 for outcome in found.arms.values())
    if left:
        yield f"Opt-outs: {left:,} customers left last time and cannot be written to any more."
    if conflicts:
        yield f"Contact load and overlap: within a week of {', '.join(conflicts)}."
    if not plan.counted:
        yield "Sizes: the audience is that of last time; nobody counted it today."
    if nxt.factor == "channel":
        yield "Law: consent by another channel is another consent; everybody is checked for it before the split."
    yield "Stock: nothing here knows whether what is promoted will be there."


def learning(found: Closed, nxt: Next, plan: Sizes) -> str:
    """What the next campaign will teach, and how it will be decided, written before it is sent."""
    terms = found.terms
    if nxt.kind == "stop":
        return "Nothing more: the same campaign is not worth another sample. Its rows stay in the knowledge base."
    question = {
        "roll_out": "whether the effect holds on everybody, wave after wave",
        "confirm": "whether the effect is there at all, at its shrunken size",
        "narrow": "whether the parts that were kept pay by themselves",
        "follow_up": "whether content moves those whom the offer did not",
        "change_factor": f"what the {nxt.factor} alone does: everything else is as it was",
        "stop": "",
    }[nxt.kind]
    rule = f"{terms.roll_out.text}; stop: {terms.stop.text}"
    arms = f" and between its {plan.arms} arms" if plan.arms > 1 else ""
    return f"It will show {question}. The decision is taken against control{arms} by the registered rule: {rule}."
