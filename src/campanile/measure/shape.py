"""Whether the orders of two arms have one shape: what relabelling takes for granted, and what many orders can show.

Reads orders by class of amount. Returns a statistic. Says nothing of how many buy or how large orders are on average: a
campaign may change both. One that makes orders more or less unequal is another matter.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from campanile.measure.relabelled import Orders

#: Fewer buyers in an arm show nothing of the shape of their orders.
_FEWEST = 10
#: Beyond so many standard errors shapes differ: once in a thousand where they do not.
DIFFERENT = 3.29


class _Spread(NamedTuple):
    """Of the logarithms of an arm's orders: how many, variance and fourth central moment."""

    orders: float
    variance: float
    fourth: float


def shape_statistic(control: Orders, treatment: Orders) -> float:
    """How many standard errors apart the variances of the logarithms of both arms' orders are; 0 where too few bought.

    Layard (1973), JASA 68:195: the logarithm of a variance has the variance (kurtosis - 1) / n, with the kurtosis of
    both arms together, so that no law of orders is assumed.

    >>> even = Orders(1000, 4e4, 4e6, np.array([80.0, 125.0]), np.array([200.0, 200.0]))
    >>> uneven = Orders(1000, 4e4, 4e6, np.array([40.0, 250.0]), np.array([200.0, 200.0]))
    >>> shape_statistic(even, even), shape_statistic(even, uneven) > DIFFERENT
    (0.0, True)
    """
    first, second = _spread(control), _spread(treatment)
    if min(first.orders, second.orders) < _FEWEST or not min(first.variance, second.variance):
        return 0.0
    orders = first.orders + second.orders
    within = (first.orders * first.variance + second.orders * second.variance) / orders
    fourth = (first.orders * first.fourth + second.orders * second.fourth) / orders
    # Two values make a kurtosis of 1, and a variance that does not vary: a tenth keeps its error above nothing.
    kurtosis = max(fourth / within**2, 1.1)
    error = math.sqrt((kurtosis - 1) * (1 / first.orders + 1 / second.orders))
    return abs(math.log(first.variance / second.variance)) / error


def _spread(orders: Orders) -> _Spread:
    if not orders.buyers:
        return _Spread(0.0, 0.0, 0.0)
    logarithms = np.log(np.abs(orders.amounts))
    apart = logarithms - np.average(logarithms, weights=orders.counts)
    return _Spread(
        orders.buyers,
        float(np.average(apart**2, weights=orders.counts)),
        float(np.average(apart**4, weights=orders.counts)),
    )
