"""The page of reasons: the decision first, then the diagnosis, then the eleven parts of a proposal.

Reads a proposal. Returns a `Document` of finished text.
"""

from __future__ import annotations

from campanile.improve.decide import Kind
from campanile.improve.diagnosis import Diagnosis, Factor
from campanile.improve.outlook import Metric
from campanile.improve.parts import PartWord
from campanile.improve.proposal import Proposal
from campanile.improve.texts import chance_words
from campanile.money import Currency
from campanile.report.document import (
    Account,
    Block,
    Document,
    Headline,
    KeyFigure,
    KeyFigures,
    Label,
    Paragraph,
    Section,
    Table,
    Tone,
)
from campanile.report.numbers import AVERAGE, COUNT, PERCENT, POINTS, WHOLE_PERCENT, WITHHELD, Unit, money, p_value
from campanile.spec.project import Project

WORDS: dict[Kind, tuple[str, Tone]] = {
    "roll_out": ("Roll out", "good"),
    "confirm": ("Confirm", "care"),
    "change_factor": ("Change one factor", "care"),
    "narrow": ("Narrow to parts", "care"),
    "follow_up": ("Follow up", "care"),
    "stop": ("Stop", "bad"),
}
_FACTORS = {
    "audience": "Audience",
    "reached": "Reached",
    "responded": "Responded, of those reached",
    "orders": "Orders per responder",
    "basket": "Basket before discount",
    "margin": "Margin, of the basket before discount",
    "bought_anyway": "Bought anyway",
    "cost": "Cost",
}


def document(proposal: Proposal, project: Project) -> Document:
    """The page of one proposal."""
    return _Page(proposal, project).document()


class _Page:
    """The page in the making."""

    def __init__(self, proposal: Proposal, project: Project) -> None:
        self.proposal, self.project = proposal, project
        currency = Currency(proposal.currency)
        self.cash, self.each = money(currency), money(currency, each=True)

    def document(self) -> Document:
        proposal = self.proposal
        sections = (
            self.diagnosis(proposal.diagnosis), self.factor(), self.target(), self.offer(), self.timing(),
            self.channel(), self.experiment(), self.forecast(), self.budget(), self.risks(), self.learning(),
        )  # fmt: skip
        return Document(
            title=proposal.name if proposal.campaign else f"After {proposal.source}",
            subtitle=proposal.hypothesis,
            facts=(
                ("Shop", self.project.settings.shop.name),
                ("After", proposal.source),
                ("Made", f"{proposal.today.day}"),
            ),
            headline=self.headline(),
            sections=sections,
            definitions=(),
            kind="Proposal for the next campaign",
        )

    def headline(self) -> Headline:
        """Part 1: the decision and why, and what would change it."""
        proposal, ahead = self.proposal, self.proposal.forecast
        word, tone = WORDS[proposal.next.kind]
        profit = self.cash.interval(ahead.profit_low, ahead.profit_high)
        figures = (
            KeyFigure(Label("Expected profit"), self.cash.text(ahead.profit), profit),
            KeyFigure(Label("Chance of a loss"), chance_words(ahead.loss)),
            KeyFigure(
                Label("Customers"), COUNT.text(proposal.sizes.audience), f"{proposal.sizes.in_control:,} in control"
            ),
            KeyFigure(Label("Budget"), self.cash.text(ahead.cost)),
        )
        reasons = (f"What would change this: {proposal.next.otherwise}",)
        return Headline(word, tone, proposal.next.why, KeyFigures(figures), reasons)

    def diagnosis(self, found: Diagnosis) -> Section:
        rows = tuple(
            (Label(_FACTORS[factor.name]), (*self.factor_cells(factor), self.cash.text(factor.contribution)))
            for factor in found.factors
        )
        columns = tuple(map(Label, ("Factor", "Planned" if found.against == "plan" else "Control", "Actual", "Adds")))
        note = (
            f"Together {self.cash.text(found.gap)}: profit {self.cash.text(found.actual)} against "
            f"{self.cash.text(found.planned)}. The contributions add up to the last cent."
        )
        if (self.proposal.experiment or {}).get("adjust", "none") != "none":
            note += " They are of the plain difference, not of the adjusted one that judges."
        table = Table(Label(f"Arm {found.arm} against {found.against}"), columns, rows, note)
        checks = tuple(Paragraph(f"Look first at: {check}.") for check in found.checks)
        return Section("diagnosis", "Why did it come out so?", found.sentence, (table, *checks))

    def factor_cells(self, factor: Factor) -> tuple[str, str]:
        units: dict[str, Unit] = {
            "audience": COUNT, "reached": PERCENT, "responded": PERCENT, "orders": AVERAGE, "margin": PERCENT,
        }  # fmt: skip
        unit = units.get(factor.name, self.cash)
        return unit.text(factor.planned), unit.text(factor.actual)

    def factor(self) -> Section:
        """Part 2."""
        factor = self.proposal.next.factor
        told = f"One factor changes: the {factor}." if factor != "none" else "No factor changes, only size and day."
        text = "Everything else is copied. The day moves for every arm alike, so it cannot explain a difference."
        return Section("factor", "2. What changes", told, (Paragraph(text),))

    def target(self) -> Section:
        """Part 3: parts by shrunken profit with today's sizes."""
        proposal, blocks = self.proposal, []
        for parting in proposal.partings:
            rows = tuple((Label(word.level), self.part_cells(word)) for word in parting.words)
            names = (
                parting.cut,
                "Then",
                "Today",
                "Profit each, measured",
                "Profit each, believed",
                "Pays with chance",
                "Next",
            )
            note = f"p that all levels are alike: {p_value(parting.p_value)}."
            blocks.append(Table(Label(f"Parts by {parting.cut}"), tuple(map(Label, names)), rows, note))
        counted = "counted today" if proposal.sizes.counted else "as large as last time, nobody counted today"
        answer = f"{proposal.sizes.audience:,} customers, {counted}."
        if proposal.narrowed:
            gone = ", ".join(f"{word.cut} {word.level}" for word in proposal.partings[0].dropped)
            answer += f" Left alone: {gone}, where no profit is expected."
        lost = "; ".join(f"{line} {lost:,}" for line, lost in proposal.today.waterfall)
        more: tuple[Block, ...] = (Paragraph(f"Left out today: {lost}."),) if lost else ()
        return Section("target", "3. Target", answer, (*blocks, *more))

    def part_cells(self, word: PartWord) -> tuple[str, ...]:
        return (
            COUNT.text(word.customers),
            WITHHELD if word.today is None else COUNT.text(word.today),
            self.each.text(word.measured),
            self.each.text(word.profit),
            chance_words(word.chance),
            word.word,
        )

    def offer(self) -> Section:
        """Part 4."""
        rows = tuple(
            (
                Label(word.offer),
                (
                    word.arm, "yes" if word.moved else "not shown", POINTS.text(word.rate.measured.mean),
                    POINTS.text(word.rate.mean), self.each.text(word.profit.mean), "chosen" if word.chosen else "",
                ),
            )
            for word in self.proposal.offers
        )  # fmt: skip
        names = ("Offer", "Arm", "Moved customers", "Measured", "Believed", "Profit each", "")
        chosen = next(word for word in self.proposal.offers if word.chosen)
        even = self.proposal.forecast.break_even
        answer = f"{chosen.offer}: of the offers made, the one that earns most per customer; of equals the smallest."
        answer += f" It breaks even at {POINTS.text(even)}." if even is not None else ""
        return Section("offer", "4. Offer", answer, (Table(Label("Offers"), tuple(map(Label, names)), rows, words=3),))

    def timing(self) -> Section:
        """Part 5."""
        start = self.proposal.start
        lines = [*start.reasons, *(f"in the same week: {name}" for name in start.conflicts)]
        return Section("timing", "5. Timing", f"{start.day}.", tuple(Paragraph(f"{line}.") for line in lines))

    def channel(self) -> Section:
        """Part 6."""
        rows = tuple(
            (
                Label(word.medium),
                (
                    self.each.text(word.cost),
                    self.each.text(word.profit),
                    COUNT.text(word.campaigns),
                    "used" if word.chosen else "",
                ),
            )
            for word in self.proposal.channels
        )
        names = ("Channel", "Cost each", "Profit each", "Campaigns", "")
        chosen = next(word for word in self.proposal.channels if word.chosen)
        answer = f"{chosen.medium}, by margin per head after its cost."
        if self.proposal.next.factor == "channel" and self.proposal.campaign:
            answer = f"{self.proposal.campaign['channel']['use']} instead of {chosen.medium}: the factor that changes."
        return Section("channel", "6. Channel", answer, (Table(Label("Channels"), tuple(map(Label, names)), rows),))

    def experiment(self) -> Section:
        """Part 7."""
        plan, metric = self.proposal.sizes, self.proposal.metric
        unit = PERCENT if metric.variance is None else AVERAGE
        rows = (
            KeyFigure(Label("Control"), WHOLE_PERCENT.text(plan.control), f"{plan.in_control:,} customers"),
            KeyFigure(Label("Treated"), COUNT.text(plan.treated), f"{plan.arms} arm{'s' if plan.arms > 1 else ''}"),
            KeyFigure(Label("Baseline"), unit.text(metric.baseline)),
            KeyFigure(Label("Expected"), unit.text(metric.expected), "after shrinkage"),
            KeyFigure(Label("Smallest detectable"), _difference(metric, plan.smallest)),
            KeyFigure(Label("Chance to see what is believed"), WHOLE_PERCENT.text(plan.power)),
        )
        return Section("experiment", "7. Experiment", self.proposal.hypothesis, (Account("Sizes", rows),))

    def forecast(self) -> Section:
        """Part 8."""
        ahead = self.proposal.forecast
        rows = (
            KeyFigure(
                Label("Responders beyond control"), COUNT.text(ahead.responders),
                COUNT.interval(ahead.responders_low, ahead.responders_high),
            ),
            KeyFigure(Label("Revenue beyond control"), self.cash.text(ahead.revenue)),
            KeyFigure(Label("Margin beyond control"), self.cash.text(ahead.margin)),
            KeyFigure(Label("Cost"), self.cash.text(ahead.cost)),
            KeyFigure(
                Label("Profit"), self.cash.text(ahead.profit), self.cash.interval(ahead.profit_low, ahead.profit_high)
            ),
            KeyFigure(Label("Chance of a loss"), chance_words(ahead.loss)),
        )  # fmt: skip
        kept = next(word for word in self.proposal.offers if word.chosen).profit
        answer = f"Planned with {kept.kept:.0%} of the measured effect; {kept.campaigns} earlier campaigns of the kind."
        return Section("forecast", "8. Forecast", answer, (Account("Expected, 95% limits", rows),))

    def budget(self) -> Section:
        """Part 9."""
        ahead = self.proposal.forecast
        half = (
            f"Half of it would reach {ahead.half_treated:,} customers, who are expected to earn "
            f"{self.cash.text(ahead.half)}."
            if ahead.half_treated
            else "Half of it would not even pay the fixed cost."
        )
        most = f"Up to {self.each.text(ahead.affordable)} per treated customer can be spent without an expected loss."
        return Section("budget", "9. Budget", f"{self.cash.text(ahead.cost)}.", (Paragraph(half), Paragraph(most)))

    def risks(self) -> Section:
        """Part 10."""
        return Section("risks", "10. Risks", "", tuple(map(Paragraph, self.proposal.risks)), "care")

    def learning(self) -> Section:
        """Part 11."""
        return Section("learning", "11. What will be learned", self.proposal.learning)


def _difference(metric: Metric, value: float | None) -> str:
    return POINTS.text(value) if metric.variance is None else AVERAGE.text(value)
