"""What another split would buy, what a holdout costs, and how long a campaign that repeats must run.

Reads sizes and a function that says what two arms can show (of `power` or of `amounts`). Returns figures for `plan`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import ceil, inf
from typing import NamedTuple

from campanile.design.power import Lift, Sizes

#: What arms of these sizes (control, treatment) can show.
Shows = Callable[[int, int], Lift]

#: The shares of control that a curve has unless told otherwise.
SHARES = (0.02, 0.05, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5)


class Split(NamedTuple):
    """A split into control and treatment, and the smallest lift that it shows."""

    share: float
    sizes: Sizes
    smallest: Lift


def split_curve(total: int, shows: Shows, *, shares: Sequence[float] = SHARES) -> tuple[Split, ...]:
    """What `total` customers show at several shares of control.

    >>> from functools import partial
    >>> from campanile.design.power import smallest_detectable
    >>> for split in split_curve(20_000, partial(smallest_detectable, baseline=0.03), shares=[0.05, 0.2, 0.5]):
    ...     print(f"{split.share:.0%} {split.sizes.control:,} {split.smallest.absolute:.4f}")
    5% 1,000 0.0182
    20% 4,000 0.0092
    50% 10,000 0.0071

    Raises:
        ValueError: A share is not between 0 and 1, or leaves an arm empty.
    """
    return tuple(_split(total, share, shows) for share in shares)


def best_split(total: int, shows: Shows) -> Split:
    """The split that shows the smallest lift: a half where both arms vary alike, and near it otherwise.

    What it would cost is another question (`holdout_cost`): half of the customers get no campaign.

    >>> from functools import partial
    >>> from campanile.design.amounts import Spend, smallest_amount
    >>> best_split(20_000, partial(smallest_amount, spend=Spend(1.0, 100.0, grows=False))).share
    0.5

    Raises:
        ValueError: Fewer than two customers.
    """
    if total < 2:
        raise ValueError(f"{total} customers cannot be split")
    low, high = 1, total - 1

    def lift(control: int) -> float:
        return shows(control, total - control).absolute

    while high - low > 2:  # the curve falls, then rises: a search by thirds
        third = (high - low) // 3
        if lift(low + third) < lift(high - third):
            high -= third
        else:
            low += third
    control = min(range(low, high + 1), key=lambda size: (lift(size), abs(2 * size - total)))
    return Split(control / total, Sizes(control, total - control), shows(control, total - control))


def holdout_cost(control: int, gain: float, *, contact: float = 0.0) -> float:
    """The profit forgone because control gets no campaign; below zero, what it saves.

    Args:
        control: Customers in control.
        gain: Expected margin per treated customer beyond control: margin rate times the expected difference.
        contact: What it costs to contact one customer.

    >>> holdout_cost(2_000, 1.50, contact=0.05), holdout_cost(2_000, 0.25, contact=0.5)
    (2900.0, -500.0)

    Raises:
        ValueError: Fewer than no customers, or a contact that pays.
    """
    if control < 0 or contact < 0:
        raise ValueError(f"control of {control} customers at {contact:g} a contact: neither can be below zero")
    return control * (gain - contact)


def periods_needed(needed: Sizes, arrivals: float, *, control_share: float) -> int:
    """How many waves (or days) until both arms have the needed sizes, when each brings `arrivals` customers.

    A customer who comes again keeps the arm and adds no unit: count those not seen before. The window of the last ones
    comes on top.

    >>> periods_needed(Sizes(3417, 13668), 500, control_share=0.2)
    35

    Raises:
        ValueError: Nobody arrives, or the share is not between 0 and 1.
    """
    _check_share(control_share)
    if not 0 < arrivals < inf:
        raise ValueError(f"{arrivals:g} customers a period never fill the arms")
    return max(
        ceil(round(needed.control / (arrivals * control_share), 9)),
        ceil(round(needed.treatment / (arrivals * (1 - control_share)), 9)),
    )


def _split(total: int, share: float, shows: Shows) -> Split:
    _check_share(share)
    control = round(total * share)
    if not 0 < control < total:
        raise ValueError(f"a control of {share:.1%} of {total} customers leaves an arm empty")
    return Split(share, Sizes(control, total - control), shows(control, total - control))


def _check_share(share: float) -> None:
    if not 0 < share < 1:
        raise ValueError(f"the share of control is {share:g}, not between 0 and 1")
