"""Several questions at once: p-values corrected for how many were asked.

Reads p-values. Returns them corrected, in the order given. Never mixes families: the caller says what belongs together.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from scipy import special

from campanile.errors import CampanileError
from campanile.measure.quadrature import over
from campanile.measure.types import Comparison

#: Where control's mean may lie, in standard errors.
_CONTROL = over(np.linspace(-9, 9, 161))


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


def dunnett(p_values: Sequence[float], n_control: int, n_treatments: Sequence[int]) -> tuple[float, ...]:
    """The two-sided p-values of several treatments against one control, corrected with what that control links.

    As `holm` the chance of any false finding stays at alpha; less is lost on the smallest p-value, because all share
    one control and err together. For large arms (the normal law). Dunnett (1955), JASA 50:1096.

    >>> [round(p, 4) for p in dunnett([0.01, 0.04, 0.03], 1000, [1000, 1000, 1000])]
    [0.0273, 0.1019, 0.0778]

    Raises:
        CampanileError: An arm is empty, or there are not as many sizes as p-values.
    """
    sizes = [n_control, *n_treatments]
    if len(n_treatments) != len(_checked(p_values)) or min(sizes) < 1:
        raise CampanileError(
            f"{len(p_values)} p-values come with arms of {', '.join(map(str, sizes))}", "give one treatment for each"
        )
    return tuple(max(p, _any_beyond(p, [n / (n + n_control) for n in n_treatments])) for p in p_values)


def _any_beyond(p_value: float, shares: Sequence[float]) -> float:
    """The chance that any of several z, linked by one control, goes as far as a single one does with this p-value.

    Given where control lies they are independent, each with that share of its variance left to control.
    """
    reach = -special.ndtri(p_value / 2)
    nodes, weights = _CONTROL
    none = np.zeros_like(nodes)
    for share in shares:
        own = math.sqrt(1 - share)
        centre = math.sqrt(share) * nodes
        beyond = special.ndtr((centre - reach) / own) + special.ndtr((-centre - reach) / own)
        none += np.log1p(-np.minimum(beyond, 1 - 1e-16))
    density = np.exp(-(nodes**2) / 2) / math.sqrt(2 * math.pi)
    return min(1.0, float(weights @ (density * -np.expm1(none))))


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
