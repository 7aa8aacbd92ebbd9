"""The values measurement speaks in: what one arm did, and what comparing two arms says.

Reads sufficient statistics only. Returns frozen values. Never sees a customer or a table.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal
from itertools import combinations
from typing import Literal

from campanile.errors import CampanileError

#: What a metric is: the share of customers who did something, an amount per customer (money or a count), or one amount
#: per other amount, such as revenue per order: an explanation, never the effect.
Kind = Literal["rate", "money", "ratio"]
#: Two metric names in alphabetical order.
Pair = tuple[str, str]
#: Customers and the sum of their amounts, by class of amount; zero has no class.
Classes = Mapping[int, tuple[int, int]]

#: Classes of amount to each doubling: neighbours differ by 4 %. Sums within them are exact, so only the spread inside a
#: class is lost, a five-thousandth of the variance.
CLASSES_PER_DOUBLING = 16


def pair(first: str, second: str) -> Pair:
    """The key under which two metrics' co-product is kept.

    >>> pair("revenue", "orders")
    ('orders', 'revenue')
    """
    return (first, second) if first <= second else (second, first)


def classes_of(values: Iterable[int]) -> dict[int, tuple[int, int]]:
    """The classes of amounts that are not zero; those of amounts below zero have negative numbers.

    >>> classes_of([0, 100, 101, -100, 0, 5000])
    {107: (2, 201), -107: (1, -100), 197: (1, 5000)}
    """
    found: dict[int, tuple[int, int]] = {}
    for value in values:
        if value:
            place = 1 + math.floor(math.log2(abs(value)) * CLASSES_PER_DOUBLING)
            count, total = found.get(place if value > 0 else -place, (0, 0))
            found[place if value > 0 else -place] = (count + 1, total + value)
    return found


@dataclass(frozen=True, slots=True)
class Aggregate:
    """What the engine says of one metric in one arm: `sum`, `var_samp` and two counts.

    `total` and `variance` may be None, as SQL answers for no row and for one row. `negative` counts the customers
    below zero (more came back in the window than was bought). `classes` is None where nobody asked for them.
    """

    total: int | float | Decimal | None
    variance: float | Decimal | None
    nonzero: int
    negative: int = 0
    classes: Classes | None = None


@dataclass(frozen=True)
class ArmStatistics:
    """The sufficient statistics of one arm. Add those of its parts with `+`; order and grouping do not matter.

    Attributes:
        arm: Name of the arm.
        n: Customers assigned, delivered or not.
        sums: Exact sum of each metric: responders, orders or minor units.
        squares: Centred sum of squares of each metric (M2).
        products: Centred sum of products of pairs of metrics; the key is `pair(a, b)`.
        nonzero: Customers whose value is not zero: responders or buyers.
        negative: Customers whose value is below zero.
        classes: Customers and sums by class of amount, of the metrics that have them.
    """

    arm: str
    n: int
    sums: Mapping[str, int]
    squares: Mapping[str, float]
    products: Mapping[Pair, float] = field(default_factory=dict)
    nonzero: Mapping[str, int] = field(default_factory=dict)
    negative: Mapping[str, int] = field(default_factory=dict)
    classes: Mapping[str, Classes] = field(default_factory=dict)

    @classmethod
    def from_aggregates(
        cls,
        arm: str,
        n: int,
        metrics: Mapping[str, Aggregate],
        covariances: Mapping[Pair, float | Decimal | None] | None = None,
    ) -> ArmStatistics:
        """The statistics that an engine's aggregates of one arm give; `covariances` holds `covar_samp` by pair.

        >>> arm = ArmStatistics.from_aggregates("control", 4, {"revenue": Aggregate(10, 25.0, nonzero=1)})
        >>> arm.mean("revenue"), arm.variance("revenue")
        (2.5, 25.0)

        Raises:
            CampanileError: A sum is not a whole number of minor units.
        """
        _check_whole(n, f"the size of arm {arm}")
        products = {pair(*key): _centred(value, n) for key, value in (covariances or {}).items()}
        return cls(
            arm=arm,
            n=int(n),
            sums={name: _check_whole(part.total or 0, f"the sum of {name}") for name, part in metrics.items()},
            squares={name: _centred(part.variance, n) for name, part in metrics.items()},
            products=products,
            nonzero={name: int(part.nonzero) for name, part in metrics.items()},
            negative={name: int(part.negative) for name, part in metrics.items()},
            classes={name: part.classes for name, part in metrics.items() if part.classes is not None},
        )

    @classmethod
    def from_counts(cls, arm: str, n: int, responders: Mapping[str, int]) -> ArmStatistics:
        """The statistics of rate metrics, from the number who responded.

        >>> ArmStatistics.from_counts("control", 2000, {"response_rate": 44}).mean("response_rate")
        0.022
        """
        squares = {name: count * (n - count) / n if n else 0.0 for name, count in responders.items()}
        zero = dict.fromkeys(responders, 0)
        return cls(arm, n, dict(responders), squares, nonzero=dict(responders), negative=zero)

    @classmethod
    def from_values(cls, arm: str, values: Mapping[str, Sequence[int]]) -> ArmStatistics:
        """The statistics of customers given one by one, for notebooks and checks; all lists have one length.

        >>> ArmStatistics.from_values("control", {"revenue": [0, 0, 0, 10]}).variance("revenue")
        25.0
        """
        n = len(next(iter(values.values())))
        means = {name: sum(column) / n for name, column in values.items()}
        apart = {name: [value - means[name] for value in column] for name, column in values.items()}
        return cls(
            arm,
            n,
            sums={name: sum(column) for name, column in values.items()},
            squares={name: math.fsum(value * value for value in column) for name, column in apart.items()},
            products={
                pair(a, b): math.fsum(x * y for x, y in zip(apart[a], apart[b], strict=True))
                for a, b in combinations(sorted(values), 2)
            },
            nonzero={name: sum(value != 0 for value in column) for name, column in values.items()},
            negative={name: sum(value < 0 for value in column) for name, column in values.items()},
            classes={name: classes_of(column) for name, column in values.items()},
        )

    def mean(self, metric: str) -> float:
        """The metric per assigned customer; a sum that no customer carries is an error."""
        self._check_customers(1)
        return self.sums[metric] / self.n

    def variance(self, metric: str) -> float:
        """The sample variance of the metric (divisor n - 1)."""
        self._check_customers(2)
        return self.squares[metric] / (self.n - 1)

    def covariance(self, first: str, second: str) -> float:
        """The sample covariance of two metrics (divisor n - 1)."""
        self._check_customers(2)
        return self.products[pair(first, second)] / (self.n - 1)

    def __add__(self, other: ArmStatistics) -> ArmStatistics:
        """The statistics of both parts together, by the formula of Chan, Golub and LeVeque (1983)."""
        if (self.arm, set(self.sums)) != (other.arm, set(other.sums)):
            raise ValueError(f"parts of {self.arm} and {other.arm} with other metrics cannot be added")
        return ArmStatistics(
            arm=self.arm,
            n=self.n + other.n,
            sums=_added(self.sums, other.sums),
            squares={
                name: value + other.squares[name] + self._between(other, (name, name))
                for name, value in self.squares.items()
            },
            products={
                key: value + other.products[key] + self._between(other, key) for key, value in self.products.items()
            },
            nonzero=_added(self.nonzero, other.nonzero),
            negative=_added(self.negative, other.negative),
            classes={
                name: _joined(classes, other.classes[name])
                for name, classes in self.classes.items()
                if name in other.classes
            },
        )

    def _between(self, other: ArmStatistics, key: Pair) -> float:
        """What the distance between the parts' means adds to a centred product: exact until the one division."""
        if not self.n or not other.n:
            return 0.0
        first, second = (other.sums[name] * self.n - self.sums[name] * other.n for name in key)
        return first * second / (self.n * other.n * (self.n + other.n))

    def _check_customers(self, least: int) -> None:
        if self.n < least:
            raise CampanileError(
                f"arm {self.arm} has {self.n} customers, and at least {least} are needed for a figure",
                "check the audience and the split of the plan",
            )


@dataclass(frozen=True, slots=True)
class Comparison:
    """What one treatment did beyond control on one metric. Withheld figures are None.

    Amounts of money are in the unit of the statistics they come from (minor units).

    Attributes:
        difference: Mean of treatment minus mean of control, per assigned customer.
        low: Lower limit of the difference at 1 - alpha, two-sided.
        p_value: Two-sided, of no difference.
        p_adjusted: `p_value` after correction over the declared comparisons; None before it.
        lift: Difference divided by the mean of control.
        buyers_control: Customers of control whose value is not zero: what the precision hangs on.
    """

    metric: str
    kind: Kind
    control: str
    treatment: str
    n_control: int
    n_treatment: int
    mean_control: float
    mean_treatment: float
    difference: float
    low: float | None
    high: float | None
    p_value: float | None
    interval_method: str
    p_method: str
    alpha: float
    p_adjusted: float | None = None
    lift: float | None = None
    lift_low: float | None = None
    lift_high: float | None = None
    buyers_control: int | None = None
    buyers_treatment: int | None = None
    cut: str | None = None
    level: str | None = None


@dataclass(frozen=True, slots=True)
class ArmCosts:
    """What one treatment cost, in the unit of the money metrics.

    Known: `contact`, all messages of the arm; `fixed`, its part of the campaign's fixed cost; `gifts`. An estimate:
    `discounts`, what was redeemed beyond control's rate, because that rate is (already inside net revenue, so only a
    denominator of ROI, whose interval does not hold this doubt).
    """

    contact: float = 0.0
    fixed: float = 0.0
    gifts: float = 0.0
    discounts: float = 0.0

    @property
    def media(self) -> float:
        """What was paid out: contact, fixed and gifts.

        >>> ArmCosts(contact=400, fixed=500, discounts=4000).media
        900.0
        """
        return self.contact + self.fixed + self.gifts

    @property
    def full(self) -> float:
        """What was paid out and given away.

        >>> ArmCosts(contact=400, fixed=500, discounts=4000).full
        4900.0
        """
        return self.media + self.discounts


@dataclass(frozen=True, slots=True)
class Economics:
    """Whether one treatment paid. Limits are at 1 - alpha; withheld figures are None.

    Attributes:
        alpha: That of the comparisons it rests on.
        incremental_profit: Margin gained over control by all treated, minus contact, gifts and fixed cost.
        profit_per_unit: Incremental profit divided by the customers assigned to the treatment.
        roi: Incremental profit divided by cost and discounts (ROI_full).
        roi_media: Incremental profit divided by cost alone.
        iroas: Incremental net revenue divided by cost.
        cost: Contact, fixed and gifts.
        cost_per_incremental_order: Cost per responder beyond control; `high` None means without an upper bound.
        break_even_difference: The difference in response rate at which the profit is zero.
        break_even_revenue: The difference in net revenue per customer at which the profit is zero.
        organic_share: Control's revenue per customer divided by the treatment's: what would have come anyway.
        holdout_cost: Profit that control's customers would have brought if treated (negative: saved).
        claimed_without_control: The profit a report without a control would claim.
    """

    treatment: str
    alpha: float
    incremental_responders: float
    incremental_responders_low: float | None
    incremental_responders_high: float | None
    incremental_revenue: float
    incremental_revenue_low: float | None
    incremental_revenue_high: float | None
    incremental_margin: float
    incremental_margin_low: float | None
    incremental_margin_high: float | None
    incremental_profit: float
    profit_low: float | None
    profit_high: float | None
    profit_per_unit: float
    roi: float | None
    roi_low: float | None
    roi_high: float | None
    roi_media: float | None
    roi_media_low: float | None
    roi_media_high: float | None
    iroas: float | None
    iroas_low: float | None
    iroas_high: float | None
    cost: float
    cost_full: float
    cost_per_incremental_order: float | None
    cost_per_incremental_order_low: float | None
    cost_per_incremental_order_high: float | None
    break_even_difference: float | None
    break_even_revenue: float | None
    organic_share: float | None
    organic_share_low: float | None
    organic_share_high: float | None
    holdout_cost: float
    holdout_cost_low: float | None
    holdout_cost_high: float | None
    claimed_without_control: float


def scaled(comparison: Comparison, factor: float, metric: str) -> Comparison:
    """The comparison of the metric times a known positive factor: another unit, or a margin rate on revenue.

    p-value and lift stay as they are.
    """
    if factor <= 0:
        raise CampanileError(f"the factor of {metric} is {factor:g}", "use a margin rate or a unit above zero")
    return replace(
        comparison,
        metric=metric,
        mean_control=comparison.mean_control * factor,
        mean_treatment=comparison.mean_treatment * factor,
        difference=comparison.difference * factor,
        low=times(comparison.low, factor),
        high=times(comparison.high, factor),
    )


def shift(comparison: Comparison, constant: float, metric: str) -> Comparison:
    """The comparison after every treated customer's value is moved by a known constant, such as minus the contact cost.

    The interval moves with it. The question "is it zero?" is another one now, so the p-value is None (`compare_profit`
    answers it), and a lift of a profit has no meaning.
    """
    moved = replace(
        comparison,
        metric=metric,
        mean_treatment=comparison.mean_treatment + constant,
        difference=comparison.difference + constant,
        low=None if comparison.low is None else comparison.low + constant,
        high=None if comparison.high is None else comparison.high + constant,
    )
    return replace(moved, p_value=None, p_adjusted=None, lift=None, lift_low=None, lift_high=None)


def times(value: float | None, factor: float) -> float | None:
    """A figure times a factor; a withheld one stays withheld.

    >>> times(2.0, 3), times(None, 3)
    (6.0, None)
    """
    return None if value is None else value * factor


def merged(parts: Iterable[ArmStatistics]) -> dict[str, ArmStatistics]:
    """The statistics by arm, parts of one arm (strata, files, days) added up.

    >>> strata = [ArmStatistics.from_counts("control", n, {"response_rate": 1}) for n in (10, 30)]
    >>> merged(strata)["control"].mean("response_rate")
    0.05
    """
    arms: dict[str, ArmStatistics] = {}
    for part in parts:
        arms[part.arm] = arms[part.arm] + part if part.arm in arms else part
    return arms


def _added(first: Mapping[str, int], second: Mapping[str, int]) -> dict[str, int]:
    return {name: count + second[name] for name, count in first.items()}


def _joined(first: Classes, second: Classes) -> dict[int, tuple[int, int]]:
    joined = dict(first)
    for place, (count, total) in second.items():
        others, their_total = joined.get(place, (0, 0))
        joined[place] = (count + others, total + their_total)
    return joined


def _centred(variance: float | Decimal | None, n: int) -> float:
    """M2 or a co-product from `var_samp` or `covar_samp`, which are NULL or NaN for fewer than two rows."""
    value = 0.0 if variance is None else float(variance)
    return 0.0 if math.isnan(value) else value * (n - 1)


def _check_whole(value: int | float | Decimal, what: str) -> int:
    if value != int(value):
        raise CampanileError(f"{what} is {value}, not a whole number", "count money in minor units")
    return int(value)
