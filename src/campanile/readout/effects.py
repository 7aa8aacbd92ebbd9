"""From what the arms did to comparisons and money, by the registered terms."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from campanile.events import CONTROL
from campanile.measure.compare import Profit, compare, compare_adjusted, compare_profit
from campanile.measure.counts import count_of
from campanile.measure.economics import economics
from campanile.measure.multiple import adjust
from campanile.measure.rates import wilson
from campanile.measure.strata import Strata
from campanile.measure.sums import ArmOutcome, ByLevel
from campanile.measure.types import ArmCosts, ArmStatistics, Comparison, Economics, Kind, scaled
from campanile.money import Currency
from campanile.readout.adjusted import REACHED, Pair, Way, adjustment, order_value, otherwise
from campanile.readout.terms import Terms, treatments
from campanile.report.readout import ArmFigures, Curve, Moment, Otherwise

REVENUE = "revenue_per_customer"
_MARGIN = "margin_per_customer"
PROFIT = "profit_per_customer"


@dataclass(frozen=True)
class Effects:
    """Compares arms by the registered terms.

    Attributes:
        arms: What each arm did, by name.
        strata: Their statistics by stratum.
        cuts: Their statistics by level of each registered cut.
        channels: Their revenue by the channel of the orders.
    """

    terms: Terms
    currency: Currency
    arms: Mapping[str, ArmOutcome]
    strata: Strata = field(default_factory=dict)
    cuts: Mapping[str, ByLevel] = field(default_factory=dict)
    channels: ByLevel = field(default_factory=dict)

    def comparison(self, treatment: str, control: str, metric: str, *, alpha: float | None = None) -> Comparison:
        """Treatment against control on one metric, estimated as registered; at the registered alpha by default."""
        way = self.terms.experiment.adjust
        return self.estimate(treatment, control, metric, way=way, alpha=self.terms.alpha if alpha is None else alpha)

    def estimate(self, treatment: str, control: str, metric: str, *, way: Way, alpha: float) -> Comparison:
        """Treatment against control on one metric, estimated in one of the ways."""
        first, second = self.arms[control].statistics, self.arms[treatment].statistics
        amount, factor = self.terms.margin if metric in (_MARGIN, PROFIT) else (metric, 1.0)
        adjusted = adjustment(Pair(first, second, self.strata), amount, kind=self.kind_of(amount), way=way)
        if metric == PROFIT:
            contact = self.contact(treatment) / second.n - self.contact(control) / first.n
            found = compare_profit(first, second, Profit(amount, factor, contact), alpha=alpha, adjusted=adjusted)
            return _paid_by_control(found, self.contact(control) / first.n)
        if adjusted is not None:
            found = compare_adjusted(first, second, amount, adjusted, alpha=alpha)
        else:
            found = compare(first, second, amount, kind=self.kind_of(amount), alpha=alpha)
        return scaled(found, factor, _MARGIN) if metric == _MARGIN else found

    def kind_of(self, metric: str) -> Kind:
        """How the methods see the metric: a count is an amount too."""
        return "rate" if self.terms.experiment.kinds.get(metric) == "rate" else "money"

    def declared(self) -> tuple[Comparison, ...]:
        """Every metric on every registered pair: primary first; p corrected over the pairs of one metric."""
        experiment = self.terms.experiment
        named = (experiment.primary.metric, *experiment.secondary, *experiment.kinds)
        families = (
            [self.comparison(treatment, control, metric) for treatment, control in experiment.compare]
            for metric in dict.fromkeys(named)
        )
        return tuple(found for family in families for found in adjust(family))

    def economics(self) -> tuple[Economics, ...]:
        """Whether each treatment paid, against control; the best one is reported, so intervals are at `alpha_each`."""
        return tuple(self._economics(arm, self.terms.alpha_each) for arm in treatments(self.terms))

    def _economics(self, arm: str, alpha: float) -> Economics:
        return economics(
            self.comparison(arm, CONTROL, "response_rate", alpha=alpha),
            self.comparison(arm, CONTROL, REVENUE, alpha=alpha),
            self.comparison(arm, CONTROL, _MARGIN, alpha=alpha),
            self.costs(arm),
        )

    def costs(self, arm: str) -> ArmCosts:
        """What one treatment cost, minor units; fixed cost is shared out by customers treated."""
        treated = sum(self.arms[name].statistics.n for name in treatments(self.terms))
        mine, control = self.arms[arm].statistics, self.arms[CONTROL].statistics
        beyond = mine.sums["discount_per_customer"] - control.mean("discount_per_customer") * mine.n
        fixed = float(self.terms.fixed) * self.currency.scale * mine.n / treated
        return ArmCosts(contact=self.contact(arm), fixed=fixed, discounts=max(beyond, 0.0))

    def contact(self, arm: str) -> float:
        """Minor units that the arm's messages cost: those handed over, accepted or of unknown fate."""
        return self.terms.contact_cost(arm, self.arms[arm].counts["handed_over"] or 0, self.currency)

    def contact_each(self, part: ArmStatistics) -> float:
        """Minor units that messages cost per customer of a part of an arm: as many as it got, at the arm's price."""
        got = self.arms[part.arm].statistics.sums.get(REACHED, 0)
        return self.contact(part.arm) * part.sums[REACHED] / got / part.n if got else 0.0

    def otherwise(self) -> tuple[Otherwise, ...]:
        """Primary metric and revenue of every registered pair, estimated in other ways; and revenue per order."""
        experiment = self.terms.experiment
        found: list[Otherwise] = []
        for treatment, control in experiment.compare:
            first, second = self.arms[control].statistics, self.arms[treatment].statistics
            for metric in dict.fromkeys((experiment.primary.metric, REVENUE)):
                if metric in first.sums:
                    pair = Pair(first, second, self.strata)
                    found += otherwise(pair, metric, kind=self.kind_of(metric), alpha=self.terms.alpha)
            found += order_value(first, second, alpha=self.terms.alpha)
        return tuple(found)

    def by_channel(self) -> tuple[Comparison, ...]:
        """Revenue per assigned customer of every registered pair, by the channel of the orders; exploratory."""
        return tuple(
            replace(compare(arms[control], arms[treatment], REVENUE, kind="money", alpha=self.terms.alpha), level=name)
            for treatment, control in self.terms.experiment.compare
            for name, arms in self.channels.items()
        )

    def figures(self) -> tuple[ArmFigures, ...]:
        """Every arm with its means, control first."""
        return tuple(
            ArmFigures(arm, self.arms[arm].statistics.n, float(share), self._moments(arm))
            for arm, share in in_order(self.terms).items()
        )

    def _moments(self, arm: str) -> dict[str, Moment]:
        statistics = self.arms[arm].statistics
        kinds = {metric: kind for metric, kind in self.terms.experiment.kinds.items() if metric in statistics.sums}
        moments = {
            metric: _moment(statistics, metric, self.terms.alpha, rate=kind == "rate") for metric, kind in kinds.items()
        }
        amount, factor = self.terms.margin
        earned = _moment(statistics, amount, self.terms.alpha, rate=False)
        margin = Moment(earned.mean * factor, earned.total * factor, earned.variance * factor**2)
        contact = self.contact(arm)
        profit = Moment(margin.mean - contact / statistics.n, margin.total - contact, margin.variance)
        return {**moments, _MARGIN: margin, PROFIT: profit}

    def curves(self, first_days: Mapping[str, Mapping[int, int]], days: int) -> tuple[Curve, ...]:
        """Responders of each arm by the end of each day of the window."""
        found = []
        for arm in in_order(self.terms):
            responders, total = [], 0
            for day in range(days):
                total += first_days.get(arm, {}).get(day, 0)
                responders.append(total)
            found.append(Curve(arm, self.arms[arm].statistics.n, tuple(responders)))
        return tuple(found)


def in_order(terms: Terms) -> dict[str, float]:
    """Registered share by arm, control first."""
    split = terms.experiment.split
    return {arm: float(split[arm]) for arm in (CONTROL, *treatments(terms))}


def _moment(statistics: ArmStatistics, metric: str, alpha: float, *, rate: bool) -> Moment:
    low, high = wilson(count_of(statistics, metric), alpha=alpha) if rate else (None, None)
    variance = statistics.variance(metric) if statistics.n > 1 else 0.0
    return Moment(statistics.mean(metric), float(statistics.sums[metric]), variance, low, high)


def _paid_by_control(found: Comparison, contact: float) -> Comparison:
    """The profit comparison when the arm compared against was contacted too: both means lose their own contact cost."""
    if not contact:
        return found
    return replace(found, mean_control=found.mean_control - contact, mean_treatment=found.mean_treatment - contact)
