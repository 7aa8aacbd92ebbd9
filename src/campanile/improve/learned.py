"""Answers out of the knowledge base: what do we know about SMS for sleeping customers?

Reads rows. Returns those that every word fits, what they come to together, by factor and by part, and the sample that
would answer what is open. Campaigns are taken to differ: the mean of their effects has their spread in it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from campanile.design.power import Sizes, needed_sizes
from campanile.improve.knowledge import Knowledge, Row, usable, words_of
from campanile.measure.lift import Estimate
from campanile.measure.pooling import Pooled, pool
from campanile.money import Currency
from campanile.report.jsonable import finite
from campanile.report.numbers import POINTS, Unit, money

#: Words of a question that ask for nothing.
_IDLE = frozenset(
    {"what", "do", "does", "we", "know", "of", "about", "for", "the", "a", "an", "in", "on", "by", "to", "and", "with"}
    | {"customer", "customers", "campaign", "campaigns"}
)
_SAME = {"mail": "email", "mails": "email", "e-mail": "email", "text": "sms", "texts": "sms"}
FACTORS = ("medium", "offer", "objective")


@dataclass(frozen=True)
class Group:
    """What some rows come to together; profit is minor units per customer."""

    factor: str
    value: str
    campaigns: int
    response: Pooled | None
    profit: Pooled | None


@dataclass(frozen=True)
class Answer:
    """What the knowledge base says to a question.

    Attributes:
        words: That were looked for.
        unknown: Words that fit no row at all; they were left out of the question.
        rows: Every arm of a campaign that fits, as a whole.
        together: All of them.
        factors: By medium, offer and objective.
        parts: By cut and level, over all campaigns that fit.
        needed: Customers in control and treatment of one campaign that would show the mean effect on the response rate;
            None where it is shown already, or where there is no effect to show.
    """

    words: tuple[str, ...]
    unknown: tuple[str, ...]
    rows: tuple[Row, ...]
    together: Group
    factors: tuple[Group, ...]
    parts: tuple[Group, ...]
    needed: Sizes | None


def answer(known: Knowledge, question: Iterable[str]) -> Answer:
    """What is known to a question in words: a medium, an offer, an objective, or words of the target.

    >>> answer(Knowledge(), ["what", "about", "SMS"]).unknown
    ('sms',)
    """
    asked = [_SAME.get(word, word) for text in question for word in text.lower().replace("?", " ").split()]
    asked = [word for word in dict.fromkeys(asked) if word not in _IDLE]
    words = tuple(word for word in asked if any(_fits(row, word) for row in known.rows))
    rows = [row for row in known.rows if all(_fits(row, word) for word in words)]
    whole = tuple(row for row in rows if not row.cut)
    factors = (
        _group(factor, value, [row for row in whole if getattr(row, factor) == value])
        for factor in FACTORS
        for value in sorted({getattr(row, factor) for row in whole})
    )
    parts = sorted({(row.cut, row.level) for row in rows if row.cut})
    return Answer(
        words=words,
        unknown=tuple(word for word in asked if word not in words),
        rows=whole,
        together=_group("", "", whole),
        factors=tuple(factors),
        parts=tuple(
            _group(cut, level, [row for row in rows if (row.cut, row.level) == (cut, level)]) for cut, level in parts
        ),
        needed=_needed(whole),
    )


def _fits(row: Row, word: str) -> bool:
    return word in {row.medium, row.objective, *row.offer.split()} or words_of(word) <= row.words


def _group(factor: str, value: str, rows: Sequence[Row]) -> Group:
    response, profit = usable(row.response for row in rows), usable(row.profit for row in rows)
    campaigns = len({row.experiment for row in rows})
    return Group(factor, value, campaigns, pool(response) if response else None, pool(profit) if profit else None)


def _needed(rows: Sequence[Row]) -> Sizes | None:
    """The sample of one campaign that would show the mean effect, at 80% power and the split of a half."""
    found = [row for row in rows if row.response is not None and row.baseline]
    effects = usable(row.response for row in found)
    if not effects:
        return None
    pooled = pool(effects)
    if pooled.low > 0 or pooled.high < 0:
        return None
    size = sum(row.n_control for row in found)
    baseline = sum((row.baseline or 0.0) * row.n_control for row in found) / size
    expected = baseline + abs(pooled.mean)
    return needed_sizes(baseline, expected) if baseline < expected < 1 else None


def answer_values(found: Answer, currency: Currency) -> dict[str, Any]:
    """The answer as JSON values (contract 1); money in major units."""
    values = {
        "contract": 1,
        "words": list(found.words),
        "unknown": list(found.unknown),
        "currency": currency.code,
        "rows": [_row(row, currency.scale) for row in found.rows],
        "together": _group_values(found.together, currency.scale),
        "factors": [_group_values(group, currency.scale) for group in found.factors],
        "parts": [_group_values(group, currency.scale) for group in found.parts],
        "needed": {"control": found.needed.control, "treatment": found.needed.treatment} if found.needed else None,
    }
    return {key: finite(value) for key, value in values.items()}


def _row(row: Row, scale: int) -> dict[str, Any]:
    return {
        "experiment": row.experiment,
        "read_at": row.read_at.isoformat(),
        "arm": row.arm,
        "objective": row.objective,
        "medium": row.medium,
        "offer": row.offer,
        "decision": row.decision,
        "n_control": row.n_control,
        "n_treatment": row.n_treatment,
        "baseline": row.baseline,
        "response": _estimate(row.response, 1),
        "profit_per_customer": _estimate(row.profit, scale),
    }


def _estimate(found: Estimate | None, scale: int) -> dict[str, float] | None:
    return None if found is None else {"difference": found.mean / scale, "error": found.variance**0.5 / scale}


def _group_values(group: Group, scale: int) -> dict[str, Any]:
    return {
        "factor": group.factor or None,
        "value": group.value or None,
        "campaigns": group.campaigns,
        "response": _pooled(group.response, 1),
        "profit_per_customer": _pooled(group.profit, scale),
    }


def _pooled(found: Pooled | None, scale: int) -> dict[str, float | None] | None:
    if found is None:
        return None
    return {
        "mean": found.mean / scale,
        "low": found.low / scale,
        "high": found.high / scale,
        "next_low": None if found.next_low is None else found.next_low / scale,
        "next_high": None if found.next_high is None else found.next_high / scale,
        "between_sd": found.between**0.5 / scale,
    }


def answer_text(found: Answer, currency: Currency) -> str:
    """The answer for a terminal."""
    lines = [f'No campaign knows the word "{word}"; it was left out of the question.' for word in found.unknown]
    if not found.rows:
        return "\n".join([*lines, "Nothing is known yet: read a closed experiment with `campanile readout`."])
    count = found.together.campaigns
    asked = " ".join(found.words) or "everything"
    lines += [f"{asked}: {count} campaign{'s' if count > 1 else ''}, {len(found.rows)} arms"]
    lines += [f"  {line}" for line in _group_lines(found.together, currency)]
    for title, groups in (("By factor", found.factors), ("By part of the audience", found.parts)):
        lines += ["", title] if groups else []
        for group in groups:
            lines += [f"  {group.factor} {group.value} ({group.campaigns})"]
            lines += [f"    {line}" for line in _group_lines(group, currency)]
    lines += ["", _open(found)]
    return "\n".join(lines)


def _group_lines(group: Group, currency: Currency) -> list[str]:
    pairs = (("responders", group.response, POINTS), ("profit each", group.profit, money(currency, each=True)))
    return [f"{name}: {_words(pooled, unit)}" for name, pooled, unit in pairs if pooled]


def _words(found: Pooled, unit: Unit) -> str:
    told = f"{unit.text(found.mean)} (95% {unit.interval(found.low, found.high)})"
    if found.next_low is None:
        return told
    return f"{told}; the next campaign lies within {unit.interval(found.next_low, found.next_high)}"


def _open(found: Answer) -> str:
    pooled = found.together.response
    if found.needed is not None:
        sizes = f"{found.needed.control:,} in control and {found.needed.treatment:,} treated"
        return f"Open: whether it moves customers at all. One campaign with {sizes} would show the mean effect."
    if pooled is None or pooled.mean == 0:
        return "Open: whether it moves customers at all; there is no effect to size a campaign for."
    return f"Answered: on average it {'moves' if pooled.mean > 0 else 'puts off'} customers."
