"""The most likely parameters of a model, found from several starts."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Numbers = npt.NDArray[np.float64]

#: The log-likelihood at logarithms of the parameters, and how it changes with each of them.
LogLikelihood = Callable[[Numbers], tuple[float, Numbers]]

#: Where customers are all alike in something, the likelihood rises for ever ever more slowly; at these logarithms of
#: parameters nothing is left to gain, and floating point still tells everything apart.
_FARTHEST = 11.5
#: Below it a slope of the mean log-likelihood counts as none.
_FLAT = 1e-4


@dataclass(frozen=True)
class Distinct:
    """The distinct values of a column, and which of them each row has.

    Functions that cost much are computed of the distinct values alone: 130,000 histories have some hundred numbers of
    purchases and some hundred ages. Long columns are multiplied and summed, not `@`: that wakes a thread for each core,
    which costs a hundred times as much where the cores have other work.
    """

    values: Numbers
    place: npt.NDArray[np.intp]

    def totals(self, amounts: Numbers) -> Numbers:
        """The sum of the rows' amounts for each distinct value.

        >>> distinct(np.array([5.0, 7.0, 5.0])).totals(np.array([1.0, 2.0, 3.0])).tolist()
        [4.0, 2.0]
        """
        return np.bincount(self.place, weights=amounts, minlength=len(self.values)).astype(np.float64)


def distinct(column: Numbers) -> Distinct:
    """The column as its distinct values.

    >>> found = distinct(np.array([5.0, 7.0, 5.0]))
    >>> np.log(found.values)[found.place].round(2).tolist()
    [1.61, 1.95, 1.61]
    """
    return Distinct(*np.unique(column, return_inverse=True))


def most_likely(
    log_likelihood: LogLikelihood, starts: Sequence[Sequence[float]], size: int
) -> tuple[float, ...] | None:
    """The parameters with the highest likelihood; None when none were found.

    Args:
        log_likelihood: Of logarithms of the parameters, which are all above zero.
        starts: Parameters to begin with.
        size: How many observations there are; the search looks at the mean of their log-likelihoods.

    >>> def top_at_two(logs: Numbers) -> tuple[float, Numbers]:
    ...     away = logs - np.log(2)
    ...     return -float(away @ away), -2 * away
    >>> [round(value, 6) for value in most_likely(top_at_two, [(1.0,)], 1) or ()]
    [2.0]
    """
    from scipy.optimize import minimize

    def loss(logs: Numbers) -> tuple[float, Numbers]:
        value, slopes = log_likelihood(logs)
        return -value / size, -slopes / size

    found = [
        minimize(
            loss, np.log(start), jac=True, method="L-BFGS-B",
            bounds=[(-_FARTHEST, _FARTHEST)] * len(start), options={"ftol": 1e-13, "gtol": 1e-7, "maxiter": 500},
        )
        for start in starts
    ]  # fmt: skip
    found = [each for each in found if np.isfinite(each.fun)]
    if not found:
        return None
    best = min(found, key=lambda each: float(each.fun))
    inside = np.abs(best.x) < _FARTHEST - _FLAT
    if np.abs(best.jac[inside]).max(initial=0.0) > _FLAT:
        return None
    return tuple(float(value) for value in np.exp(best.x))
