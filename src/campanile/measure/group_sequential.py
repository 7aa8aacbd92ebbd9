"""A few planned looks: by how much each must exceed chance so that all together err no more often than alpha.

Reads how much of the information each look has (customers so far over customers at the end). Returns bounds of z, and
alphas to give to any comparison. The looks need be neither equally spaced nor known in number beforehand: only the
spending function is fixed. Never looks at a result.

Lan and DeMets (1983), Biometrika 70:659; integrated as by Armitage, McPherson and Rowe (1969), JRSS A 132:235.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray
from scipy import optimize, special

from campanile.errors import CampanileError, did_you_mean
from campanile.measure.counts import check_alpha
from campanile.measure.quadrature import over

#: How alpha is spent: hardly any early (O'Brien and Fleming), or nearly evenly (Pocock).
Spending = Literal["obrien_fleming", "pocock"]
_Array = NDArray[np.float64]
#: Pieces of the quadrature per standard deviation of the smallest step, and their least number.
_PIECES_PER_STEP, _FEWEST = 0.4, 6
#: Looks nearer to each other than this share of the information are one look.
_NEAREST = 0.001
#: Beyond this z nothing happens by chance (1e-350); a bound there says that the look cannot stop anything.
_FARTHEST = 40.0


class _Spent(Protocol):
    def __call__(self, time: float, alpha: float) -> float: ...


@dataclass(frozen=True, slots=True)
class Looks:
    """The plan of a few looks.

    Attributes:
        times: Share of the information at each look.
        bounds: |z| that each look must reach, two-sided.
        alphas: The level of each look by itself: give it to `compare` for limits that hold over all looks (the repeated
            confidence intervals of Jennison and Turnbull 1989, JRSS B 51:305).
        spent: Chance of a false finding up to and with each look.
    """

    times: tuple[float, ...]
    bounds: tuple[float, ...]
    alphas: tuple[float, ...]
    spent: tuple[float, ...]


def obrien_fleming(time: float, alpha: float) -> float:
    """What a one-sided test at alpha has spent at a share of the information, after O'Brien and Fleming.

    >>> round(obrien_fleming(0.5, 0.025), 5), round(obrien_fleming(1.0, 0.025), 5)
    (0.00153, 0.025)
    """
    return 2 * float(special.ndtr(special.ndtri(alpha / 2) / math.sqrt(time)))


def pocock(time: float, alpha: float) -> float:
    """What a one-sided test at alpha has spent at a share of the information, after Pocock.

    >>> round(pocock(0.5, 0.025), 4), round(pocock(1.0, 0.025), 9)
    (0.0155, 0.025)
    """
    return alpha * math.log1p((math.e - 1) * time)


_SPENDING: Mapping[Spending, _Spent] = {"obrien_fleming": obrien_fleming, "pocock": pocock}


def looks(times: Sequence[float], *, alpha: float = 0.05, spending: Spending = "obrien_fleming") -> Looks:
    """The bounds of each look so that the chance of a false finding at any of them is alpha, two-sided.

    A look is added by calling again with its time after those before: their bounds do not change.

    >>> [round(bound, 3) for bound in looks([0.2, 0.4, 0.6, 0.8, 1.0]).bounds]
    [4.877, 3.357, 2.68, 2.29, 2.031]

    Raises:
        CampanileError: The times do not rise to 1 at most, or the spending function is unknown.
    """
    _check(times, spending)
    half = check_alpha(alpha) / 2
    spent = [2 * _SPENDING[spending](time, half) for time in times]
    bounds: list[float] = []
    path = _Path(finest=math.sqrt(min(time - before for time, before in zip(times, [0.0, *times], strict=False))))
    for time, total, before in zip(times, spent, [0.0, *spent], strict=False):
        bounds.append(path.bound(time, total - before))
        path = path.carried(time, bounds[-1])
    alphas = tuple(2 * float(special.ndtr(-bound)) for bound in bounds)
    return Looks(tuple(times), tuple(bounds), alphas, tuple(spent))


@dataclass(frozen=True)
class _Path:
    """Where the score z·√time can be at a time if no look has stopped yet: quadrature nodes with their chances.

    `finest` is the standard deviation of the smallest step of all, which the nodes must not jump over.
    """

    finest: float
    time: float = 0.0
    nodes: _Array = field(default_factory=lambda: np.zeros(1))
    chances: _Array = field(default_factory=lambda: np.ones(1))

    def bound(self, time: float, chance: float) -> float:
        """The |z| beyond which the path goes with this chance at the next look."""

        def excess(bound: float) -> float:
            return math.log(max(self._beyond(time, bound), 1e-320)) - math.log(chance)

        if chance < 1e-300 or excess(_FARTHEST) > 0:
            return math.inf
        return float(optimize.brentq(excess, 0.0, _FARTHEST, xtol=1e-10))

    def _beyond(self, time: float, bound: float) -> float:
        step, limit = math.sqrt(time - self.time), bound * math.sqrt(time)
        outside = special.ndtr((self.nodes - limit) / step) + special.ndtr((-limit - self.nodes) / step)
        return float(self.chances @ outside)

    def carried(self, time: float, bound: float) -> _Path:
        """The path at the next look, among those that stay within the bound."""
        step, limit = math.sqrt(time - self.time), min(bound, 9.0) * math.sqrt(time)
        count = max(_FEWEST, math.ceil(2 * _PIECES_PER_STEP * limit / self.finest))
        nodes, weights = over(np.linspace(-limit, limit, count + 1))
        apart = (nodes[:, None] - self.nodes[None, :]) / step
        density = np.exp(-(apart**2) / 2) @ self.chances / (step * math.sqrt(2 * math.pi))
        return _Path(self.finest, time, nodes, weights * density)


def _check(times: Sequence[float], spending: Spending) -> None:
    if spending not in _SPENDING:
        raise CampanileError(f'no way to spend alpha is called "{spending}"', did_you_mean(spending, _SPENDING))
    rising = all(time - before >= _NEAREST for before, time in zip([0.0, *times], times, strict=False))
    if not times or not rising or times[-1] > 1:
        shown = ", ".join(f"{time:g}" for time in times) or "none"
        raise CampanileError(
            f"looks at {shown} of the information", "give shares that rise by 0.1 % or more, up to 1, such as 0.5, 1"
        )
