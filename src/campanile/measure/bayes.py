"""What the counts say in plain words: how likely treatment is better, and what choosing wrongly would cost.

Reads counts. Returns chances: those of the effect given the data and the prior, which a p-value is not. They do not pay
for peeking either: decide by the registered rule, and say it in these words. By quadrature, so the same counts always
give the same figures.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import optimize, special

from campanile.errors import CampanileError
from campanile.measure.counts import Count, check_alpha
from campanile.measure.quadrature import over

_Array = NDArray[np.float64]
#: Chances whose quantiles, counted from either end, cut a posterior into pieces that are integrated one by one.
_TAILS = np.concatenate([10.0 ** np.arange(-18, -1), np.arange(0.05, 0.51, 0.09)])


class Beta(NamedTuple):
    """What is believed of a rate: as if `yes` of `yes + no` customers had been seen to respond.

    One of each (the default of `rate_readout`) believes every rate alike.
    """

    yes: float = 1.0
    no: float = 1.0

    def seen(self, count: Count) -> Beta:
        """The belief after the counts.

        >>> Beta().seen(Count(3, 10))
        Beta(yes=4.0, no=8.0)
        """
        return Beta(self.yes + count.responders, self.no + count.n - count.responders)

    @property
    def mean(self) -> float:
        """The expected rate."""
        return self.yes / (self.yes + self.no)


@dataclass(frozen=True, slots=True)
class RateReadout:
    """Treatment's rate against control's, in chances.

    Attributes:
        chance: That treatment's rate is above control's.
        difference: The expected difference.
        low: Below it the difference lies with chance alpha / 2; `high` likewise above.
        loss_treatment: Responders per customer lost, on average, by choosing treatment where control is better.
        loss_control: The same by choosing control where treatment is better.
    """

    chance: float
    difference: float
    low: float
    high: float
    loss_treatment: float
    loss_control: float


def rate_readout(control: Count, treatment: Count, *, prior: Beta | None = None, alpha: float = 0.05) -> RateReadout:
    """The difference of two rates in chances; `prior` is what is believed of either rate beforehand.

    >>> found = rate_readout(Count(44, 2000), Count(264, 8000))
    >>> round(found.chance, 3), round(found.low, 4), round(found.high, 4), round(found.loss_treatment, 6)
    (0.995, 0.0028, 0.0179, 7e-06)

    Raises:
        CampanileError: More responders than customers, or a prior that is not above zero.
    """
    check_alpha(alpha)
    prior = _checked(prior or Beta(), control, treatment)
    first, second = prior.seen(control), prior.seen(treatment)
    lost = _expected_excess(first, second)
    return RateReadout(
        chance=_chance_above(first, second, 0.0),
        difference=second.mean - first.mean,
        low=_quantile(first, second, alpha / 2),
        high=_quantile(first, second, 1 - alpha / 2),
        loss_treatment=lost,
        loss_control=lost + second.mean - first.mean,
    )


def _pieces(of: Beta, other: Beta, shift: float) -> tuple[_Array, _Array]:
    """Nodes and weights for an integral over the density of `of`, cut where it or the other one (moved) is steep."""
    own = _quantiles(of)
    cuts = np.unique(np.concatenate([own, np.clip(_quantiles(other) + shift, own.min(), own.max())]))
    nodes, weights = over(cuts)
    logs = special.xlogy(of.yes - 1, nodes) + special.xlog1py(of.no - 1, -nodes) - special.betaln(of.yes, of.no)
    density = weights * np.exp(logs)
    return nodes, density / density.sum()  # with millions of customers the logarithms are right to 8 digits only


def _quantiles(law: Beta) -> _Array:
    return np.concatenate([special.betaincinv(law.yes, law.no, _TAILS), special.betainccinv(law.yes, law.no, _TAILS)])


def _chance_above(first: Beta, second: Beta, difference: float) -> float:
    """The chance that the second rate exceeds the first by more than `difference`."""
    nodes, weights = _pieces(first, second, -difference)
    above = special.betaincc(second.yes, second.no, np.clip(nodes + difference, 0.0, 1.0))
    return float(np.clip(weights @ above, 0.0, 1.0))


def _expected_excess(first: Beta, second: Beta) -> float:
    """The mean of what the first rate exceeds the second by, zero where it does not."""
    nodes, weights = _pieces(first, second, 0.0)
    below = special.betainc(second.yes, second.no, nodes)
    partial = second.mean * special.betainc(second.yes + 1, second.no, nodes)
    return float(weights @ (nodes * below - partial))


def _quantile(first: Beta, second: Beta, chance: float) -> float:
    def excess(difference: float) -> float:
        return 1 - _chance_above(first, second, difference) - chance

    return float(optimize.brentq(excess, -1.0, 1.0, xtol=1e-12))


def _checked(prior: Beta, *counts: Count) -> Beta:
    if not (prior.yes > 0 and prior.no > 0):
        raise CampanileError(f"the prior is {prior.yes:g} and {prior.no:g}", "give two numbers above zero")
    for count in counts:
        if not 0 <= count.responders <= count.n or not count.n:
            raise CampanileError(f"{count.responders} of {count.n} customers responded", "check the counts of the arm")
    return prior
