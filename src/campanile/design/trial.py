"""How many to try before rolling out to the rest of a list, when profit counts and not certainty.

Reads the size of the list and two spreads. Returns sizes and what they are worth. For two arms of which nobody knows
which is better (two offers, two texts), and a list that is written to once. Not for a control: that it earns as much as
the campaign is not what anybody expects of it.

Feit and Berman (2019), "Test & Roll: Profit-maximizing A/B tests", Marketing Science 38:1038.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import inf, pi, sqrt


@dataclass(frozen=True, slots=True)
class Trial:
    """A trial of two arms on a part of a list, and then the better one for the rest.

    Attributes:
        arm: Customers to try in either arm.
        profit: Expected value of the whole list.
        gained: What the trial adds to taking one arm blindly.
        lost: What is still short of having known the better arm beforehand.
    """

    arm: int
    profit: float
    gained: float
    lost: float


def best_trial(customers: int, *, spread: float, between: float, mean: float = 0.0) -> Trial:
    """The trial that earns most on a list of known size (Test & Roll).

    Args:
        customers: Everybody on the list.
        spread: Standard deviation of a customer's value (for a response rate of p: √(p(1 - p))).
        between: Standard deviation of the arms' true means, from past campaigns.
        mean: Expected value per customer in either arm.

    n* = √(N/4 (s/σ)² + (¾ (s/σ)²)²) - ¾ (s/σ)², with s the spread, σ the one between and N customers. Far fewer than a
    test of significance asks for, because an error that is hard to see costs little.

    >>> found = best_trial(100_000, spread=(0.68 * 0.32) ** 0.5, between=0.03, mean=0.68)
    >>> found.arm, round(found.gained), round(found.lost)
    (2284, 1536, 157)

    Raises:
        ValueError: Fewer than two customers, or a spread that is not above zero.
    """
    _check(customers, spread, between)
    ratio = (spread / between) ** 2
    best = int(sqrt(customers * ratio / 4 + (0.75 * ratio) ** 2) - 0.75 * ratio)
    gained, arm = max(
        (trial_gain(customers, size, spread=spread, between=between), size)
        for size in (max(best, 1), min(best + 1, customers // 2))
    )
    return Trial(arm, customers * mean + gained, gained, customers * between / sqrt(pi) - gained)


def trial_gain(customers: int, arm: int, *, spread: float, between: float) -> float:
    """What a trial with `arm` customers in either arm adds to taking one arm blindly.

    >>> round(trial_gain(100_000, 500, spread=0.466, between=0.03))
    1376

    Raises:
        ValueError: As `best_trial`, or a trial of more than the list.
    """
    _check(customers, spread, between)
    if not 0 <= 2 * arm <= customers:
        raise ValueError(f"twice {arm} customers are not on a list of {customers}")
    if arm == 0:
        return 0.0
    return (customers - 2 * arm) * between**2 / sqrt(pi * (between**2 + spread**2 / arm))


def _check(customers: int, spread: float, between: float) -> None:
    if customers < 2:
        raise ValueError(f"a list of {customers} customers cannot be tried on")
    if not (0 < spread < inf and 0 < between < inf):
        raise ValueError(f"spreads of {spread:g} and {between:g} are not both above zero")
