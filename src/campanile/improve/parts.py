"""Which parts of the audience are worth writing to, after luck is taken out.

Reads a closed experiment and what is known. Returns one word on every level of one cut. Never drops a level for a
difference that chance would make: levels are drawn towards their mean, the more so the less they really differ.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from scipy import special

from campanile.events import CONTROL
from campanile.improve.belief import Belief
from campanile.improve.closed import Closed
from campanile.improve.knowledge import PROFIT, RESPONSE, Knowledge, kind_of, offer_words, usable
from campanile.measure.cuts import Heterogeneity, Part, heterogeneity, shrunken
from campanile.measure.lift import Estimate
from campanile.measure.pooling import cochran, pool
from campanile.measure.sums import OTHER, UNKNOWN

#: So much of the audience, at most, is spent on parts that are kept only to learn.
EXPLORED = 0.10
#: Levels are told apart when chance would make them differ so with this probability at most.
UNLIKE = 0.10
#: Below this chance of a profit a part is not worth exploring.
_HOPE = 0.20


@dataclass(frozen=True)
class PartWord:
    """What is believed of one part. Money is minor units per customer, before fixed cost.

    Attributes:
        customers: In the experiment, all arms.
        today: In today's audience of the same target; None when nobody counted.
        campaigns: Readouts that it rests on.
        word: keep, drop, or explore (kept to learn, though its profit is not expected).
    """

    cut: str
    level: str
    customers: int
    today: int | None
    measured: float
    profit: float
    variance: float
    campaigns: int
    word: str

    @property
    def chance(self) -> float:
        """The chance that it pays."""
        return (
            float(special.ndtr(self.profit / math.sqrt(self.variance))) if self.variance > 0 else float(self.profit > 0)
        )

    def moved(self, shift: float, variance: float) -> PartWord:
        """The word with its profit moved and spread so."""
        return replace(self, profit=self.profit + shift, variance=variance)


@dataclass(frozen=True)
class Parting:
    """The cut along which the audience is judged, and whether its levels differ."""

    cut: str
    p_value: float | None
    words: tuple[PartWord, ...]

    @property
    def differs(self) -> bool:
        """Whether parts are to be left alone, and their levels differ by more than chance would make."""
        return bool(self.dropped) and self.p_value is not None and self.p_value <= UNLIKE

    @property
    def dropped(self) -> tuple[PartWord, ...]:
        """The parts to leave alone."""
        return tuple(word for word in self.words if word.word == "drop")

    @property
    def kept(self) -> tuple[PartWord, ...]:
        """The parts that pay, and those explored."""
        return tuple(word for word in self.words if word.word != "drop")

    @property
    def profit(self) -> float:
        """Believed profit per customer over the parts that stay, by their size."""
        sizes = [word.customers for word in self.kept]
        total = sum(sizes)
        return sum(word.profit * n for word, n in zip(self.kept, sizes, strict=True)) / total if total else 0.0


def partings(
    found: Closed, arm: str, known: Knowledge, profit: Belief, today: Mapping[str, Mapping[str, int]]
) -> tuple[Parting, ...]:
    """Every registered cut, the one whose levels differ most surely first.

    Args:
        found: The closed experiment.
        arm: Of its treatments, the one that goes on.
        known: What earlier campaigns taught.
        profit: What is believed of the whole audience, minor units per customer.
        today: Customers in today's audience by cut and level.
    """
    by_cut: dict[str, list[Part]] = {}
    for part in found.readout.parts:
        told = part.comparison
        if told.metric == PROFIT and told.treatment == arm and told.control == CONTROL and told.cut:
            by_cut.setdefault(told.cut, []).append(part)
    found_all = [
        _parting(found, arm, cut, levels, (known, profit, today.get(cut, {}))) for cut, levels in by_cut.items()
    ]
    return tuple(sorted(found_all, key=lambda each: 1.0 if each.p_value is None else each.p_value))


def _parting(
    found: Closed,
    arm: str,
    cut: str,
    parts: Sequence[Part],
    believed: tuple[Knowledge, Belief, Mapping[str, int]],
) -> Parting:
    known, profit, today = believed
    pooled = [_with_earlier(found, arm, part, known) for part in parts]
    test = heterogeneity([part for part, _ in pooled], cut)
    drawn = shrunken([part for part, _ in pooled], test)
    # The levels scatter around what is believed of the whole, not around what was measured of it.
    shift = profit.mean - test.pooled if test.pooled is not None else 0.0
    today = _by_level(parts, today)
    words = [
        _word(found, part, campaigns, today).moved(shift, _spread(part, test, profit))
        for part, (_, campaigns) in zip(drawn, pooled, strict=True)
    ]
    return Parting(cut, test.p_value, _judged(words))


def foretold(found: Closed, arm: str, known: Knowledge, metric: str) -> Estimate | None:
    """What wider campaigns with the very same offer said of the parts that this one was narrowed to.

    Their levels are drawn towards their mean first: those that stayed were chosen for being the best. None where no
    earlier campaign was wider along a cut.
    """
    kind, offer = kind_of(found, arm), offer_words(found.offer(arm))
    best: tuple[int, Estimate] | None = None
    for cut, sizes in found.levels.items():
        rows = [row for row in known.rows if row.kind == kind and row.offer == offer and row.cut == cut]
        by_level: dict[str, list[Estimate]] = {}
        for row in rows:
            by_level.setdefault(row.level, []).extend(usable([row.response if metric == RESPONSE else row.profit]))
        gone = {level for level, told in by_level.items() if told} - sizes.keys()
        kept = {level: n for level, n in sizes.items() if by_level.get(level)}
        if kept and gone and (best is None or len(gone) > best[0]):
            best = len(gone), _drawn({level: told for level, told in by_level.items() if told}, kept)
    return best[1] if best else None


def _drawn(by_level: Mapping[str, Sequence[Estimate]], kept: Mapping[str, int]) -> Estimate:
    """The mean of the levels that stayed, by size, after all levels were drawn towards their mean."""
    pooled = {level: pool(told) for level, told in by_level.items()}
    spread = cochran([Estimate(each.mean, each.variance) for each in pooled.values()])
    about = 1 / math.fsum(1 / (each.variance + spread.between) for each in pooled.values())
    mean = doubt = 0.0
    for level, n in kept.items():
        weight, each = n / sum(kept.values()), pooled[level]
        stays = spread.between / (spread.between + each.variance)
        mean += weight * (spread.mean + stays * (each.mean - spread.mean))
        doubt += weight * math.sqrt(stays * each.variance + (1 - stays) ** 2 * about)
    return Estimate(mean, doubt**2)


def _with_earlier(found: Closed, arm: str, part: Part, known: Knowledge) -> tuple[Part, int]:
    """The part together with what the very same offer did in it before; and how many readouts that is."""
    told = part.comparison
    kind, offer = kind_of(found, arm), offer_words(found.offer(arm))
    earlier = usable(row.profit for row in known.same(kind, offer, cut=told.cut or "", level=told.level or ""))
    if not earlier or not part.variance > 0:
        return part, 1
    both = pool([*earlier, Estimate(told.difference, part.variance)])
    return Part(replace(told, difference=both.mean), both.variance), len(earlier) + 1


def _by_level(parts: Sequence[Part], today: Mapping[str, int]) -> dict[str, int]:
    """Today's customers of the levels that the readout has, the others in `OTHER`; empty when nobody counted."""
    names = [part.comparison.level or "" for part in parts]
    found = {name: today.get(name, 0) for name in names} if today else {}
    if found and OTHER in found:
        found[OTHER] = sum(n for level, n in today.items() if level not in names)
    return found


def _word(found: Closed, part: Part, campaigns: int, today: Mapping[str, int]) -> PartWord:
    told = part.comparison
    cut, level = told.cut or "", told.level or ""
    drawn = told.difference if part.shrunken is None else part.shrunken
    customers = found.levels[cut].get(level, told.n_control + told.n_treatment)
    return PartWord(cut, level, customers, today.get(level), told.difference, drawn, 0.0, campaigns, "keep")


def _spread(part: Part, test: Heterogeneity, profit: Belief) -> float:
    """The variance of what is believed of a level: its own, and that of the mean it is drawn towards."""
    kept = test.between / (test.between + part.variance) if test.between > 0 and part.variance > 0 else 0.0
    return kept * part.variance + (1 - kept) ** 2 * profit.variance


def _judged(words: Sequence[PartWord]) -> tuple[PartWord, ...]:
    """Keeps what pays; of the rest explores the most hopeful, as far as it is small."""
    left = EXPLORED * sum(word.customers for word in words)
    found = {}
    for word in sorted(words, key=lambda each: (-each.chance, each.level)):
        # Nobody can name the customers of these levels in a target.
        told = "keep" if word.profit > 0 or word.level in {OTHER, UNKNOWN} else "drop"
        if told == "drop" and word.chance >= _HOPE and word.customers <= left:
            told, left = "explore", left - word.customers
        found[word.level] = told
    return tuple(replace(word, word=found[word.level]) for word in words)
