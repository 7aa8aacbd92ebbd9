"""Several questions at once: p-values corrected for how many were asked.

Reads p-values. Returns them corrected, in the order given. Never mixes families: the caller says what belongs together.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from campanile.errors import CampanileError
from campanile.measure.types import Comparison


def holm(p_values: Sequence[float]) -> tuple[float, ...]:
    """The p-values corrected so that the chance of any false finding stays at alpha. Holm (1979), Scand J Stat 6:65.

    >>> [round(p, 4) for p in holm([0.01, 0.04, 0.03])]
    [0.03, 0.06, 0.06]
    """
    count = len(_checked(p_values))
    corrected = [1.0] * count
    floor = 0.0
    for rank, index in enumerate(sorted(range(count), key=p_values.__getitem__)):
        floor = max(floor, min(1.0, (count - rank) * p_values[index]))
        corrected[index] = floor
    return tuple(corrected)


def benjamini_hochberg(p_values: Sequence[float]) -> tuple[float, ...]:
    """The p-values corrected so that the expected share of false findings stays at alpha.

    Benjamini and Hochberg (1995), JRSS B 57:289.

    >>> [round(p, 4) for p in benjamini_hochberg([0.01, 0.04, 0.03])]
    [0.03, 0.04, 0.04]
    """
    count = len(_checked(p_values))
    corrected = [1.0] * count
    ceiling = 1.0
    for rank, index in enumerate(sorted(range(count), key=p_values.__getitem__, reverse=True)):
        ceiling = min(ceiling, p_values[index] * (count / (count - rank)))
        corrected[index] = ceiling
    return tuple(corrected)


def adjust(comparisons: Sequence[Comparison]) -> tuple[Comparison, ...]:
    """The comparisons of one family with Holm's `p_adjusted`; those without a p-value stay without and do not count."""
    tested = [index for index, comparison in enumerate(comparisons) if comparison.p_value is not None]
    corrected = holm([p for comparison in comparisons if (p := comparison.p_value) is not None])
    by_index = dict(zip(tested, corrected, strict=True))
    return tuple(replace(comparison, p_adjusted=by_index.get(index)) for index, comparison in enumerate(comparisons))


def _checked(p_values: Sequence[float]) -> Sequence[float]:
    wrong = [p for p in p_values if not 0 <= p <= 1]
    if wrong:
        raise CampanileError(f"{wrong[0]} is not a p-value", "give numbers between 0 and 1")
    return p_values
