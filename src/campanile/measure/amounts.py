"""Money per customer: how sure one is of the difference between two means when few customers buy.

Reads means, variances and sizes. Returns limits and p-values that agree: 0 lies outside the interval exactly when p is
below alpha. Never chooses: `compare` does, and takes Welch's interval only where it covers what it says. The derivation
and the simulations are in docs/method-money-interval.md.
"""

from __future__ import annotations

import math

from scipy import optimize

from campanile.measure.counts import Moments, t_p_value, t_quantile
from campanile.measure.lift import Estimate, Limits, fieller


def pooled_variance(control: Moments, treatment: Moments) -> float:
    """The variance within both arms together.

    >>> pooled_variance(Moments(3, 0.0, 2.0), Moments(3, 1.0, 4.0))
    3.0
    """
    squares = (control.n - 1) * control.variance + (treatment.n - 1) * treatment.variance
    return squares / _freedom(control, treatment)


def pooled_p(control: Moments, treatment: Moments, *, difference: float = 0.0) -> float:
    """The p-value of Student's t test with pooled variance that the means differ by `difference`."""
    error = math.sqrt(pooled_variance(control, treatment) * (1 / control.n + 1 / treatment.n))
    return t_p_value((_observed(control, treatment) - difference) / error, _freedom(control, treatment))


def pooled_interval(control: Moments, treatment: Moments, *, alpha: float = 0.05) -> tuple[float, float]:
    """Student's interval of the difference of means, with pooled variance."""
    error = math.sqrt(pooled_variance(control, treatment) * (1 / control.n + 1 / treatment.n))
    half = t_quantile(alpha, _freedom(control, treatment)) * error
    return _observed(control, treatment) - half, _observed(control, treatment) + half


def welch_freedom(control: Moments, treatment: Moments) -> float:
    """The degrees of freedom of Welch (1947), Biometrika 34:28, as of Satterthwaite (1946)."""
    first, second = control.mean_variance, treatment.mean_variance
    return (first + second) ** 2 / (first**2 / (control.n - 1) + second**2 / (treatment.n - 1))


def welch_p(control: Moments, treatment: Moments, *, difference: float = 0.0) -> float:
    """The p-value of Welch's t test that the means differ by `difference`."""
    error = math.sqrt(control.mean_variance + treatment.mean_variance)
    return t_p_value((_observed(control, treatment) - difference) / error, welch_freedom(control, treatment))


def welch_interval(control: Moments, treatment: Moments, *, alpha: float = 0.05) -> tuple[float, float]:
    """Welch's interval of the difference of means."""
    error = math.sqrt(control.mean_variance + treatment.mean_variance)
    half = t_quantile(alpha, welch_freedom(control, treatment)) * error
    return _observed(control, treatment) - half, _observed(control, treatment) + half


def dispersion(control: Moments, treatment: Moments) -> float:
    """Variance per unit of mean, one for both arms: pooled variance over the overall mean."""
    overall = (control.total + treatment.total) / (control.n + treatment.n)
    return pooled_variance(control, treatment) / overall


def score_statistic(control: Moments, treatment: Moments, difference: float = 0.0) -> float:
    """The quasi-Poisson score statistic that the means differ by `difference`; at 0 it is Student's pooled t.

    >>> control, treatment = Moments(50, 1.0, 9.0), Moments(950, 2.0, 20.0)
    >>> student = (2.0 - 1.0) / (pooled_variance(control, treatment) * (1 / 50 + 1 / 950)) ** 0.5
    >>> math.isclose(score_statistic(control, treatment), student)
    True
    """
    first, second = _constrained(control, treatment, difference)
    variance = dispersion(control, treatment) * (first / control.n + second / treatment.n)
    return (_observed(control, treatment) - difference) / math.sqrt(variance)


def score_p(control: Moments, treatment: Moments, *, difference: float = 0.0) -> float:
    """The p-value of the quasi-Poisson score test that the means differ by `difference`."""
    return t_p_value(score_statistic(control, treatment, difference), _freedom(control, treatment))


def score_interval(control: Moments, treatment: Moments, *, alpha: float = 0.05) -> tuple[float, float]:
    """All differences that the quasi-Poisson score test does not reject.

    Not symmetric: beside a small control it reaches further down than up, because a control that happens to be poor
    also looks less variable than it is. Either arm may be all zeros.

    >>> low, high = score_interval(Moments(500, 0.0, 0.0), Moments(9500, 0.5, 60.0))
    >>> low < 0 < high
    True
    """
    quantile = t_quantile(alpha, _freedom(control, treatment))
    return _score_limit(control, treatment, quantile), -_score_limit(treatment, control, quantile)


def score_lift(control: Moments, treatment: Moments, *, alpha: float = 0.05) -> Limits:
    """The lift's interval by the same quasi-Poisson score test, in closed form.

    Withheld when control bought nothing, and when a control of its size could not be told from zero: the overall mean
    is within `quantile` standard errors of it. Control's own mean must not decide that, or only lucky controls would
    show a lift.
    """
    square = t_quantile(alpha, _freedom(control, treatment)) ** 2 * dispersion(control, treatment)
    total = control.total + treatment.total
    if control.total <= 0 or total * control.n / (control.n + treatment.n) <= square:
        return None, None
    spread = square * total / (control.n * treatment.n)
    product = control.mean * treatment.mean
    upper = product + spread / 2 + math.sqrt(spread * (product + spread / 4))
    return treatment.mean**2 / upper - 1, upper / control.mean**2 - 1


def pooled_lift(control: Moments, treatment: Moments, *, alpha: float = 0.05) -> Limits:
    """Fieller's interval of the lift with pooled variance."""
    variance = pooled_variance(control, treatment)
    return fieller(
        Estimate(control.mean, variance / control.n),
        Estimate(treatment.mean, variance / treatment.n),
        quantile=t_quantile(alpha, _freedom(control, treatment)),
    )


def welch_lift(control: Moments, treatment: Moments, *, alpha: float = 0.05) -> Limits:
    """Fieller's interval of the lift with Welch's variances and degrees of freedom."""
    return fieller(
        Estimate(control.mean, control.mean_variance),
        Estimate(treatment.mean, treatment.mean_variance),
        quantile=t_quantile(alpha, welch_freedom(control, treatment)),
    )


def _constrained(control: Moments, treatment: Moments, difference: float) -> tuple[float, float]:
    """The most likely means among those that differ by `difference`: the larger root of a quadratic."""
    n = control.n + treatment.n
    linear = control.total + treatment.total - n * difference
    root = math.sqrt(max(linear**2 + 4 * n * control.total * difference, 0.0))
    # Of the two forms of the root, the one that does not subtract nearly equal numbers.
    first = (linear + root) / (2 * n) if linear >= 0 else 2 * control.total * difference / (root - linear)
    return max(first, 0.0), max(first + difference, 0.0)


def _score_limit(control: Moments, treatment: Moments, quantile: float) -> float:
    """The lowest difference whose score statistic stays below the quantile; the statistic falls as it grows."""
    observed = _observed(control, treatment)
    width = quantile * math.sqrt(pooled_variance(control, treatment) * (1 / control.n + 1 / treatment.n))
    while score_statistic(control, treatment, observed - width) < quantile:
        width *= 2

    def beyond(difference: float) -> float:
        return score_statistic(control, treatment, difference) - quantile

    return float(optimize.brentq(beyond, observed - width, observed, xtol=1e-13 * width))


def _freedom(control: Moments, treatment: Moments) -> int:
    return control.n + treatment.n - 2


def _observed(control: Moments, treatment: Moments) -> float:
    return treatment.mean - control.mean
