"""Many re-randomisations, each read as a readout would read it: how many raised a false alarm.

Reads units of the past. Returns rates with their exact binomial limits. Whatever an assignment shows here is chance, or
a fault of the assignment, of the data or of a method; the limits tell which.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import Literal, NamedTuple

from scipy import special

from campanile.errors import CampanileError
from campanile.events import CONTROL
from campanile.measure.types import Comparison
from campanile.money import Currency
from campanile.readout.adjusted import Way
from campanile.readout.effects import REVENUE, Effects
from campanile.readout.terms import Terms, treatments
from campanile.replay.draws import Drawn, Draws
from campanile.replay.units import Units

Judgement = Literal["kept", "above", "below", "open"]

#: The level of the limits of a rate: once in a hundred they miss it.
LEVEL = 0.99
#: With fewer buyers, every assignment looks alike.
FEWEST_BUYERS = 10
#: Where so many times alpha is not ruled out, the replications are too few.
_FAR_ABOVE = 2
_GRAVEST: tuple[Judgement, ...] = ("above", "open", "below", "kept")
_MARGIN = "margin_per_customer"

Progress = Callable[[int, int], None]


class Limits(NamedTuple):
    """A share of trials with its exact limits."""

    hits: int
    trials: int
    low: float
    high: float

    @property
    def rate(self) -> float:
        """The share; 0 of no trial."""
        return self.hits / self.trials if self.trials else 0.0


def binomial_limits(hits: int, trials: int, *, level: float = LEVEL) -> Limits:
    """The exact limits of a probability that showed itself so often. Clopper and Pearson (1934), Biometrika 26:404.

    >>> found = binomial_limits(50, 1000, level=0.95)
    >>> round(found.low, 4), round(found.high, 4)
    (0.0373, 0.0654)
    """
    tail = (1 - level) / 2
    low = float(special.betaincinv(hits, trials - hits + 1, tail)) if hits else 0.0
    high = float(special.betaincinv(hits + 1, trials - hits, 1 - tail)) if hits < trials else 1.0
    return Limits(hits, trials, low, high)


@dataclass(frozen=True)
class Row:
    """One metric of one treatment, estimated in one way.

    Attributes:
        registered: Whether the experiment is judged in this way.
        alarms: Replications in which p was below alpha.
        covered: Replications in which the interval held 0, which is the truth.
        methods: Replications by the method of the p-value.
    """

    metric: str
    treatment: str
    way: Way
    registered: bool
    alpha: float
    alarms: Limits
    covered: Limits
    methods: Mapping[str, int]

    @property
    def judgement(self) -> Judgement:
        """Whether the false alarms are as many as promised, more, or fewer; open where twice as many may be."""
        if self.alarms.low > self.alpha:
            return "above"
        if self.alarms.high < self.alpha:
            return "below"
        return "kept" if self.alarms.high <= _FAR_ABOVE * self.alpha else "open"


@dataclass(frozen=True)
class Replay:
    """What came of a replay.

    Attributes:
        split: Share by arm.
        buyers: Units that bought in their window.
        rows: The registered way first.
    """

    units: Units
    split: Mapping[str, Decimal]
    series: Series
    buyers: int
    rows: tuple[Row, ...]

    @property
    def judging(self) -> tuple[Row, ...]:
        """The rows of the way in which the experiment is judged."""
        return tuple(row for row in self.rows if row.registered)

    @property
    def judgement(self) -> Judgement:
        """The gravest of the judging rows."""
        found = {row.judgement for row in self.judging}
        return next(word for word in _GRAVEST if word in found)


class Series(NamedTuple):
    """How many replications, and which: another seed gives other salts."""

    replications: int = 1000
    seed: int = 1


_A_THOUSAND = Series()


def replay(
    units: Units,
    currency: Currency,
    series: Series = _A_THOUSAND,
    *,
    split: Mapping[str, Decimal] | None = None,
    progress: Progress = lambda _done, _total: None,
) -> Replay:
    """Assigns the units again and again, each time with a fresh salt, and reads each assignment.

    Args:
        units: The customers and what they did.
        currency: Of their orders.
        series: How often, and with which salts.
        split: Share by arm; the experiment's by default.
        progress: Told (done, in all).

    Raises:
        CampanileError: Too few bought for anything to be said.
    """
    terms = _with_split(units.terms, split)
    buyers = int(units.rows["responded"].sum().to_pyarrow().as_py() or 0)
    if buyers < FEWEST_BUYERS:
        raise CampanileError(
            f"{buyers} of {units.n:,} customers bought in the window, too few to tell assignments apart",
            "take another date with --as-of, a longer window, or a wider target",
        )
    trial = _Trial.of(units, terms)
    tallies = _tallied(trial, currency, series, progress)
    rows = (tally.row(key, trial.terms, series.replications) for key, tally in tallies.items())
    return Replay(
        units, terms.experiment.split, series, buyers, tuple(sorted(rows, key=lambda row: not row.registered))
    )


def _with_split(terms: Terms, split: Mapping[str, Decimal] | None) -> Terms:
    """The terms with another split; each arm is then compared with control."""
    if split is None:
        return terms
    experiment = terms.experiment.model_copy(update={"split": split, "compare": _pairs(split)})
    return replace(terms, experiment=experiment, parts=dict.fromkeys(split, Decimal(1)))


def _pairs(split: Mapping[str, Decimal]) -> tuple[tuple[str, str], ...]:
    return tuple((arm, CONTROL) for arm in split if arm != CONTROL)


class _Key(NamedTuple):
    metric: str
    treatment: str
    way: Way


@dataclass
class _Tally:
    """What the replications of one row came to so far."""

    alarms: int = 0
    intervals: int = 0
    covered: int = 0
    methods: Counter[str] = field(default_factory=Counter)

    def add(self, found: Comparison) -> None:
        self.alarms += found.p_value is not None and found.p_value < found.alpha
        self.methods[found.p_method] += 1
        if found.low is not None and found.high is not None:
            self.intervals += 1
            self.covered += found.low <= 0 <= found.high

    def row(self, key: _Key, terms: Terms, replications: int) -> Row:
        return Row(
            *key,
            registered=key.way == terms.experiment.adjust,
            alpha=terms.alpha,
            alarms=binomial_limits(self.alarms, replications),
            covered=binomial_limits(self.covered, self.intervals),
            methods=dict(self.methods.most_common()),
        )


@dataclass(frozen=True)
class _Trial:
    """What is measured of each draw.

    Attributes:
        metrics: What is compared.
        ways: In which ways.
    """

    terms: Terms
    draws: Draws
    metrics: tuple[str, ...]
    ways: tuple[Way, ...]

    @classmethod
    def of(cls, units: Units, terms: Terms) -> _Trial:
        amount, _ = terms.margin
        primary = terms.experiment.primary.metric
        margin = (_MARGIN,) if terms.list_rate is not None else ()
        metrics = tuple(dict.fromkeys((primary, REVENUE, *margin)))
        measured = (amount if metric.startswith(("margin", "profit")) else metric for metric in metrics)
        rows = units.rows
        facts = rows.aggregate(
            strata=rows["stratum"].nunique(), past=(rows["pre_orders"] != 0).any()
        ).to_pyarrow().to_pylist()[0]  # fmt: skip
        several, past = facts["strata"] > 1, bool(facts["past"])
        ways: dict[Way, bool] = {"none": True, "strata": several, "past": past}
        draws = Draws(
            rows,
            terms.experiment.split,
            tuple(dict.fromkeys(measured)),
            by_stratum=several,
            past=past,
            sticky=units.sticky,
        )
        return cls(terms, draws, metrics, tuple(way for way, there in ways.items() if there))

    def comparisons(self, drawn: Drawn, currency: Currency) -> Iterator[tuple[_Key, Comparison]]:
        """Every treatment against control, as a readout would compare it."""
        effects = Effects(self.terms, currency, drawn.arms, drawn.strata)
        for treatment in treatments(self.terms):
            for metric in self.metrics:
                for way in self.ways:
                    found = effects.estimate(treatment, CONTROL, metric, way=way, alpha=self.terms.alpha)
                    yield _Key(metric, treatment, way), found


def _tallied(trial: _Trial, currency: Currency, series: Series, progress: Progress) -> dict[_Key, _Tally]:
    tallies: dict[_Key, _Tally] = {}
    for number in range(series.replications):
        drawn = trial.draws.draw(f"{trial.terms.experiment.campaign}:aa:{series.seed}:{number}")
        for key, found in trial.comparisons(drawn, currency):
            tallies.setdefault(key, _Tally()).add(found)
        progress(number + 1, series.replications)
    return tallies
