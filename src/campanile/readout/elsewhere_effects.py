"""Effects of an experiment run elsewhere: comparisons, parts and money from the statistics of its table."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from decimal import Decimal
from functools import cached_property

from campanile.measure.compare import Profit, compare, compare_profit
from campanile.measure.cuts import Heterogeneity, Part, examined, part
from campanile.measure.economics import economics
from campanile.measure.multiple import adjust
from campanile.measure.types import ArmCosts, ArmStatistics, Comparison, Economics, scaled
from campanile.measure.units import SCALE, UnitsTable
from campanile.spec.elsewhere import PROFIT, ElsewhereSpec, TableEconomics

_MARGIN = "margin_per_customer"


@dataclass(frozen=True)
class ElsewhereEffects:
    """Compares the arms of a table with a control; amounts are in millionths of their unit."""

    table: UnitsTable
    spec: ElsewhereSpec
    control: str

    @cached_property
    def treatments(self) -> tuple[str, ...]:
        """The other arms, as the split or the alphabet has them."""
        return tuple(arm for arm in (list(self.spec.split) or sorted(self.table.arms)) if arm != self.control)

    @property
    def pairs(self) -> tuple[tuple[str, str], ...]:
        """The declared pairs of arms."""
        return self.spec.compare or tuple((arm, self.control) for arm in self.treatments)

    @property
    def alpha(self) -> float:
        """The registered chance of a false alarm."""
        return float(self.spec.alpha)

    def declared(self) -> Iterator[Comparison]:
        """Every metric on every pair, the primary first; p corrected over the pairs of one metric."""
        for name in dict.fromkeys((self.spec.judged, *self.spec.secondary, *self.spec.metrics)):
            yield from adjust([self.comparison(*pair, name) for pair in self.pairs])

    def against_control(self, arm: str, name: str, *, alpha: float | None = None) -> Comparison:
        """One metric of one treatment against control."""
        return self.comparison(arm, self.control, name, alpha=alpha)

    def comparison(self, arm: str, against: str, name: str, *, alpha: float | None = None) -> Comparison:
        """One metric on one pair of arms; at the registered alpha unless said otherwise."""
        level = self.alpha if alpha is None else alpha
        first, second = self.table.statistics[against], self.table.statistics[arm]
        return self._profit(first, second, level) if name == PROFIT else self._compare(first, second, name, level)

    def _compare(self, first: ArmStatistics, second: ArmStatistics, name: str, alpha: float) -> Comparison:
        rate = self.spec.metrics[name].kind == "rate"
        return compare(first, second, name, kind="rate" if rate else "money", alpha=alpha)

    def _profit(self, first: ArmStatistics, second: ArmStatistics, alpha: float) -> Comparison:
        """Margin less what a unit cost, against control."""
        contact = float(self.unit_cost(second.arm) - self.unit_cost(first.arm)) * SCALE
        profit = Profit(self.spec.revenue or "", float(self.terms.margin_rate), contact)
        return compare_profit(first, second, profit, alpha=alpha)

    # --- parts -------------------------------------------------------------------------------------------------------
    def cuts(self) -> tuple[tuple[Part, ...], tuple[Heterogeneity, ...]]:
        """Every metric on every pair in every level of every cut, and whether the levels differ."""
        return examined(each for cut in self.spec.cuts for each in self._parts(cut))

    def _parts(self, cut: str) -> Iterator[Part]:
        """The comparisons of each level of a cut that has two units in both arms."""
        for level, arms in self.table.by_level(cut).items():
            for arm, against in self.pairs:
                first, second = arms.get(against), arms.get(arm)
                if first is None or second is None or min(first.n, second.n) < 2:
                    continue
                for name in self.spec.metrics:
                    compared = self._compare(first, second, name, self.alpha)
                    yield part(first, second, replace(compared, cut=cut, level=level))

    # --- money -------------------------------------------------------------------------------------------------------
    @property
    def terms(self) -> TableEconomics:
        """Costs and margin; nothing costs anything where the file names none."""
        return self.spec.economics or TableEconomics()

    @property
    def has_money(self) -> bool:
        """Whether profit can be computed."""
        return bool(self.spec.economics and self.spec.revenue and self.spec.response)

    def unit_cost(self, arm: str) -> Decimal:
        """What one assigned unit of the arm cost."""
        return self.terms.cost_per_unit.get(arm, Decimal(0))

    def economics(self) -> tuple[Economics, ...]:
        """Whether each treatment paid; the best one is spoken of, so each gets its share of alpha."""
        if not self.has_money:
            return ()
        return tuple(self._economics(arm, self.alpha / len(self.treatments)) for arm in self.treatments)

    def _economics(self, arm: str, alpha: float) -> Economics:
        revenue = self.against_control(arm, self.spec.revenue or "", alpha=alpha)
        response = self.against_control(arm, self.spec.response or "", alpha=alpha)
        margin = scaled(revenue, float(self.terms.margin_rate), _MARGIN)
        treated = sum(self.table.arms[name] for name in self.treatments)
        n = self.table.arms[arm]
        beyond = max(self.unit_cost(arm) - self.unit_cost(self.control), Decimal(0))
        costs = ArmCosts(contact=float(beyond * n * SCALE), fixed=float(self.terms.fixed * n / treated * SCALE))
        return economics(response, revenue, margin, costs)
