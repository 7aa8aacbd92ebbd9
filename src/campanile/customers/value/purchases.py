"""BG/NBD: how often customers buy, and when they stop. Pure functions of numbers.

While a customer is alive, purchases come by chance at a rate of their own; after each purchase the customer stops with
a probability of their own. Rates are gamma distributed over customers (r, alpha), probabilities beta (a, b).

The letters are those of the literature and not those of RFM: `x` repeat purchases (purchases without the first), `t_x`
the age at the last purchase, `T` the age now, both counted from the first purchase. Times are weeks, and so is alpha.

* P. Fader, B. Hardie, K. L. Lee, "Counting Your Customers" the Easy Way, Marketing Science 24 (2005).
* P. Fader, B. Hardie, K. L. Lee, Computing P(alive) Using the BG/NBD Model, note 021 (2008).
* P. Fader, B. Hardie, Overcoming the BG/NBD Model's #NUM! Error Problem, note 027 (2013).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy.special import betaincinv, digamma, expit, gammaln, hyp2f1

from campanile.customers.value.fitting import Distinct, Numbers, distinct, most_likely

#: Where the fit starts: shops whose customers buy rarely, often, and hardly ever stop.
_STARTS = ((1.0, 10.0, 1.0, 1.0), (0.3, 5.0, 0.5, 3.0), (2.0, 4.0, 0.3, 10.0))
#: The formula of expected purchases divides by a - 1 and by a + b + x - 1; this far from zero it is right to 1e-6.
_NUDGE = 1e-6
#: How many probabilities to stop stand for all, where 2F1 gives no number: right to 1e-4.
_QUANTILES = 400
_SMALLEST = 1e-300


@dataclass(frozen=True)
class Histories:
    """Purchase histories of customers, of each how many have it."""

    x: Numbers
    t_x: Numbers
    T: Numbers
    count: Numbers

    @property
    def customers(self) -> int:
        """How many customers they are."""
        return int(self.count.sum())

    @property
    def repeaters(self) -> int:
        """How many of them have bought more than once."""
        return int(self.count[self.x > 0].sum())

    @cached_property
    def by_column(self) -> tuple[Distinct, Distinct, Distinct]:
        """The distinct values of x, t_x and T."""
        return distinct(self.x), distinct(self.t_x), distinct(self.T)


@dataclass(frozen=True)
class PurchaseModel:
    """The parameters of BG/NBD. `alpha` is in weeks."""

    r: float
    alpha: float
    a: float
    b: float

    def log_likelihood(self, histories: Histories) -> float:
        """The log-likelihood of the histories.

        >>> model = PurchaseModel(0.243, 4.414, 0.793, 2.426)
        >>> one = Histories(*(np.array([value]) for value in (2.0, 30.43, 38.86, 1.0)))
        >>> round(model.log_likelihood(one), 4)
        -9.4586
        """
        return _log_likelihood(np.log([self.r, self.alpha, self.a, self.b]), histories)[0]

    def p_alive(self, x: Numbers, t_x: Numbers, T: Numbers) -> Numbers:  # noqa: N803 - the letter of the literature
        """The probability that a customer has not stopped; 1 for whoever bought once, who had no chance to stop.

        >>> model = PurchaseModel(0.243, 4.414, 0.793, 2.426)
        >>> model.p_alive(np.array([2.0, 0.0]), np.array([30.43, 0.0]), np.array([38.86, 38.86])).round(3).tolist()
        [0.727, 1.0]
        """
        repeats = np.maximum(x, 1.0)
        silence = (self.r + x) * np.log((self.alpha + T) / (self.alpha + t_x))
        odds = np.log(self.a) - np.log(self.b + repeats - 1) + silence
        return np.where(x > 0, expit(-odds), 1.0)

    def expected_orders(self, weeks: float, x: Numbers, t_x: Numbers, T: Numbers) -> Numbers:  # noqa: N803
        """The purchases that a customer with this history is expected to make in the next weeks.

        The published formula holds (1 - z)^(r + x) times 2F1(r + x, b + x; a + b + x - 1; z), which overflows for loyal
        customers. Euler's transformation makes of it (1 - z)^(a - 1) times 2F1(a + b - 1 - r, a - 1; a + b + x - 1; z),
        whose first two parameters do not grow with x.

        >>> model = PurchaseModel(0.243, 4.414, 0.793, 2.426)
        >>> model.expected_orders(39, np.array([2.0]), np.array([30.43]), np.array([38.86])).round(3).tolist()
        [1.226]
        """
        a = self.a if abs(self.a - 1) > _NUDGE else 1 + _NUDGE
        c = a + self.b + x - 1
        c = np.where(np.abs(c) > _NUDGE, c, _NUDGE)
        z = weeks / (self.alpha + T + weeks)
        with np.errstate(all="ignore"):
            tail = np.power(1 - z, a - 1) * hyp2f1(a + self.b - 1 - self.r, a - 1, c, z)
            if_alive = c / (a - 1) * (1 - tail)
        most = (self.r + x) * weeks / (self.alpha + T)
        lost = ~((if_alive >= 0) & (if_alive <= most))
        if lost.any():
            if_alive[lost] = self._by_quantiles(x[lost], weeks / (self.alpha + T[lost]))
        return if_alive * self.p_alive(x, t_x, T)

    def _by_quantiles(self, x: Numbers, stretch: Numbers) -> Numbers:
        """The expected purchases of those alive without 2F1: a mean over probabilities to stop, Beta(a, b + x)."""
        shares = (np.arange(_QUANTILES) + 0.5) / _QUANTILES
        p = np.maximum(betaincinv(self.a, self.b + x[:, None], shares), _SMALLEST)
        gone = -np.expm1(-(self.r + x[:, None]) * np.log1p(p * stretch[:, None]))
        mean: Numbers = np.mean(gone / p, axis=1)
        return mean


def fit(histories: Histories) -> PurchaseModel | None:
    """The most likely parameters; None when none were found."""
    found = most_likely(lambda logs: _log_likelihood(logs, histories), _STARTS, histories.customers)
    return PurchaseModel(*found) if found else None


def _log_likelihood(logs: Numbers, histories: Histories) -> tuple[float, Numbers]:
    """The log-likelihood, and how it changes with the logarithm of each parameter."""
    r, alpha, a, b = np.exp(logs)
    n, (by_x, by_t_x, by_T) = histories.count, histories.by_column  # noqa: N806
    x, rate = by_x.values, r + by_x.values
    last = np.maximum(b + x - 1, _SMALLEST)
    log_T, log_t_x = np.log(alpha + by_T.values)[by_T.place], np.log(alpha + by_t_x.values)[by_t_x.place]  # noqa: N806
    alive = -rate[by_x.place] * log_T
    stopped = np.where(x > 0, np.log(a) - np.log(last), -np.inf)[by_x.place] - rate[by_x.place] * log_t_x
    both = np.logaddexp(alive, stopped)
    w = n * np.exp(stopped - both)
    n_x, w_x = by_x.totals(n), by_x.totals(w)
    value = (n * both).sum() + n_x @ (
        gammaln(rate) - gammaln(r) + r * np.log(alpha)
        + gammaln(a + b) + gammaln(b + x) - gammaln(b) - gammaln(a + b + x)
    )  # fmt: skip
    of_r = n_x @ (digamma(rate) - digamma(r) + np.log(alpha)) - ((n - w) * log_T + w * log_t_x).sum()
    by_age = by_x.totals((n - w) / (alpha + histories.T) + w / (alpha + histories.t_x))
    of_alpha = r / alpha * n.sum() - rate @ by_age
    of_a = n_x @ (digamma(a + b) - digamma(a + b + x)) + w.sum() / a
    of_b = n_x @ (digamma(a + b) + digamma(b + x) - digamma(b) - digamma(a + b + x)) - w_x @ (1 / last)
    return float(value), np.array([r * of_r, alpha * of_alpha, a * of_a, b * of_b])
