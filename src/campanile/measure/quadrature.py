"""Integrals over pieces by a fixed rule: the same counts give the same figures to the last digit, without chance."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

_POINTS, _WEIGHTS = np.polynomial.legendre.leggauss(16)


class Rule(NamedTuple):
    """Where to look at a function, and by what to multiply what is seen: an integral is `weights @ f(nodes)`."""

    nodes: NDArray[np.float64]
    weights: NDArray[np.float64]


def over(cuts: NDArray[np.float64]) -> Rule:
    """Gauss and Legendre's rule with 16 nodes between each two cuts, which rise.

    >>> rule = over(np.array([0.0, 1.0, 3.0]))
    >>> round(float(rule.weights @ rule.nodes**2), 12)
    9.0
    """
    half = np.diff(cuts)[:, None] / 2
    nodes = cuts[:-1, None] + half + half * _POINTS
    return Rule(nodes.ravel(), (half * _WEIGHTS).ravel())
