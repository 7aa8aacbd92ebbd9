"""Gamma-gamma: what a purchase of a customer is worth, drawn towards the mean of all the less they have bought.

The amount of a purchase varies around a mean of the customer's own (gamma, p), and those means vary over customers
(inverse gamma by q and gamma). Only repeat purchases count: `x` of them with the mean amount `mean`. The model takes it
that how often somebody buys tells nothing about how much; `correlation` says whether that holds in a shop.

P. Fader, B. Hardie, The Gamma-Gamma Model of Monetary Value, note 025 (2013).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy.special import digamma, gammaln

from campanile.customers.value.fitting import Distinct, Numbers, distinct, most_likely

#: Amounts that differ by less than this share do not vary, and what p and q are then.
_ALIKE, _SURE = 1e-9, 1e6
_STARTS = ((6.0, 4.0, 1.0), (1.0, 2.0, 1.0), (2.0, 8.0, 5.0))


@dataclass(frozen=True)
class Spending:
    """Repeat purchases of customers: how many, their mean amount, and how many customers have the same."""

    x: Numbers
    mean: Numbers
    count: Numbers

    @property
    def customers(self) -> int:
        """How many customers they are."""
        return int(self.count.sum())

    @cached_property
    def by_x(self) -> Distinct:
        """The distinct numbers of purchases."""
        return distinct(self.x)

    @cached_property
    def logs(self) -> tuple[Numbers, Numbers]:
        """For each distinct number of purchases the sum of the logarithms of means, and of what was spent."""
        log_mean = np.log(self.mean)
        return self.by_x.totals(self.count * log_mean), self.by_x.totals(self.count * (np.log(self.x) + log_mean))

    def correlation(self) -> float:
        """Pearson's correlation of the number of purchases with their mean amount; 0 when one of them never varies.

        >>> two = np.array([1.0, 2.0])
        >>> round(Spending(two, 10 * two, np.array([1.0, 1.0])).correlation(), 6)
        1.0
        """
        x, mean = (values - np.average(values, weights=self.count) for values in (self.x, self.mean))
        spread = np.sqrt((self.count @ x**2) * (self.count @ mean**2))
        return float(self.count @ (x * mean) / spread) if spread > 0 else 0.0


@dataclass(frozen=True)
class SpendModel:
    """The parameters of gamma-gamma. `gamma` is in the currency's major units."""

    p: float
    q: float
    gamma: float

    @property
    def mean(self) -> float:
        """What a purchase is worth on average over customers; infinite when q is 1 or less."""
        return self.p * self.gamma / (self.q - 1) if self.q > 1 else float("inf")

    def log_likelihood(self, spending: Spending) -> float:
        """The log-likelihood of the amounts."""
        return _log_likelihood(np.log([self.p, self.q, self.gamma]), spending)[0]

    def expected(self, x: Numbers, mean: Numbers) -> Numbers:
        """What a purchase of a customer is expected to be worth; for nobody's purchases the mean over customers.

        >>> model = SpendModel(6.25, 3.74, 15.44)
        >>> model.expected(np.array([2.0, 0.0]), np.array([22.35, 0.0])).round(2).tolist()
        [24.66, 35.22]
        """
        return self.p * (self.gamma + x * mean) / (self.p * x + self.q - 1)


def fit(spending: Spending) -> SpendModel | None:
    """The most likely parameters; None when none were found, or the mean of all customers would be infinite.

    Amounts are measured against their mean while fitting, so that it does not matter what the currency is.
    """
    unit = float(np.average(spending.mean, weights=spending.count))
    if np.ptp(spending.mean) <= _ALIKE * unit:
        # The likelihood has no highest point then: it grows with p and q for ever, along models of this one mean.
        return SpendModel(_SURE, _SURE + 1, unit)
    scaled = Spending(spending.x, spending.mean / unit, spending.count)
    found = most_likely(lambda logs: _log_likelihood(logs, scaled), _STARTS, spending.customers)
    if found is None or found[1] <= 1:
        return None
    p, q, gamma = found
    return SpendModel(p, q, gamma * unit)


def _log_likelihood(logs: Numbers, spending: Spending) -> tuple[float, Numbers]:
    """The log-likelihood, and how it changes with the logarithm of each parameter."""
    p, q, gamma = np.exp(logs)
    n, x = spending.count, spending.by_x.values
    n_x, (log_mean, log_spent) = spending.by_x.totals(n), spending.logs
    total = gamma + spending.x * spending.mean
    log_total = spending.by_x.totals(n * np.log(total))
    shape = p * x + q
    value = (
        n_x @ (gammaln(shape) - gammaln(p * x) - gammaln(q) + q * np.log(gamma))
        + (p * x) @ log_spent - log_mean.sum() - shape @ log_total
    )  # fmt: skip
    of_p = x @ (n_x * (digamma(shape) - digamma(p * x)) + log_spent - log_total)
    of_q = n_x @ (digamma(shape) - digamma(q) + np.log(gamma)) - log_total.sum()
    of_gamma = q / gamma * n.sum() - shape @ spending.by_x.totals(n / total)
    return float(value), np.array([p * of_p, q * of_q, gamma * of_gamma])
