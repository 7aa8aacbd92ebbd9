"""A gap between two products as contributions of their factors that add up exactly.

Reads two sets of factors with the same names. Returns a contribution for each. Never leaves a remainder.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from itertools import combinations

#: With more factors the average over all orders takes too long.
MOST = 10


def contributions(planned: Mapping[str, float], actual: Mapping[str, float]) -> dict[str, float]:
    """What each factor adds to the difference of the two products; they add up to it.

    Logarithmic means (log-mean Divisia, Ang 2004, Energy Policy 32:1131) where every factor is above zero; else the
    average over all orders in which the factors may change (Shapley).

    >>> plan = {"audience": 8000.0, "reached": 0.95, "basket": 98.0}
    >>> found = contributions(plan, {"audience": 7874.0, "reached": 0.9, "basket": 98.0})
    >>> {name: round(value) for name, value in found.items()}
    {'audience': -11420, 'reached': -38893, 'basket': 0}

    Raises:
        ValueError: The factors differ, or are too many.
    """
    if planned.keys() != actual.keys() or len(planned) > MOST:
        raise ValueError(f"factors {sorted(planned)} and {sorted(actual)} cannot be set against each other")
    if min(*planned.values(), *actual.values()) > 0:
        return _by_logarithms(planned, actual)
    return _by_orders(planned, actual)


def _by_logarithms(planned: Mapping[str, float], actual: Mapping[str, float]) -> dict[str, float]:
    before, after = math.prod(planned.values()), math.prod(actual.values())
    if math.isclose(before, after, rel_tol=1e-12):
        weight = (before + after) / 2
    else:
        weight = (after - before) / (math.log(after) - math.log(before))
    return {name: weight * (math.log(actual[name]) - math.log(planned[name])) for name in planned}


def _by_orders(planned: Mapping[str, float], actual: Mapping[str, float]) -> dict[str, float]:
    names, found = list(planned), {}
    for name in names:
        others = [other for other in names if other != name]
        total = 0.0
        for size in range(len(others) + 1):
            share = 1 / (len(names) * math.comb(len(others), size))
            for changed in combinations(others, size):
                rest = math.prod(actual[other] if other in changed else planned[other] for other in others)
                total += share * rest * (actual[name] - planned[name])
        found[name] = total
    return found


def in_whole_units(parts: Mapping[str, float], total: int) -> dict[str, int]:
    """The parts as whole numbers that add up to `total`: what rounding leaves goes to those it took most from.

    >>> in_whole_units({"a": 33.4, "b": 33.3, "c": 33.3}, 100)
    {'a': 34, 'b': 33, 'c': 33}
    """
    if not parts:
        return {}
    found = {name: math.floor(value) for name, value in parts.items()}
    left = total - sum(found.values())
    by_loss = sorted(parts, key=lambda name: found[name] - parts[name])
    each, more = divmod(left, len(parts))
    return {name: value + each + (by_loss.index(name) < more) for name, value in found.items()}
