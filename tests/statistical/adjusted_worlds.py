"""How often limits hold a truth, for simulations of any method."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from campanile.measure import ArmStatistics, pair

Limits = tuple[float | None, float | None]


def held(one: Callable[[], Limits], truth: float, replications: int) -> float:
    """The share of replications whose limits hold the truth; `one` draws a replication and answers with its limits."""
    found = 0
    for _ in range(replications):
        low, high = one()
        assert low is not None
        assert high is not None
        found += low <= truth <= high
    return found / replications


def arm_of(name: str, n: int, values: Mapping[str, NDArray[np.float64]]) -> ArmStatistics:
    """The statistics of an arm of `n` customers of whom all but those given have zero in every metric."""

    def centred(one: NDArray[np.float64], other: NDArray[np.float64]) -> float:
        return float((one * other).sum() - one.sum() * other.sum() / n)

    return ArmStatistics(
        arm=name,
        n=n,
        sums={metric: int(column.sum()) for metric, column in values.items()},
        squares={metric: centred(column, column) for metric, column in values.items()},
        products={pair(a, b): centred(values[a], values[b]) for a, b in combinations(sorted(values), 2)},
        nonzero={metric: int(np.count_nonzero(column)) for metric, column in values.items()},
        negative={metric: int((column < 0).sum()) for metric, column in values.items()},
    )
