"""The next campaign, from a closed one: decision, one changed factor, target, offer, timing, channel, sizes, forecast.

Reads a closed experiment, what the shop has learned before, and what stands today. Returns a proposal. Sends nothing,
writes nothing, reads no file; the same input gives the same proposal.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

from campanile.clock import Duration
from campanile.events import CONTROL
from campanile.improve.belief import Belief, believed, prior_of, spread_like
from campanile.improve.closed import Closed
from campanile.improve.decide import Case, Factor, Next, decide
from campanile.improve.diagnosis import Diagnosis, diagnose
from campanile.improve.draft import Data, campaign_data, evening_is_free, experiment_data, in_order, smaller_offer
from campanile.improve.knowledge import MARGIN, PROFIT, RESPONSE, Knowledge, Row, kind_of, offer_words, usable, words_of
from campanile.improve.outlook import ROLLED_OUT, Forecast, Metric, Money, Sizes, Way, forecast, sizes, trend
from campanile.improve.parts import Parting, foretold, partings
from campanile.improve.texts import hypothesis, learning, risks
from campanile.improve.today import Start, Today, base_name, next_start
from campanile.measure.lift import Estimate
from campanile.spec.project import Project

#: From this chance on a falling effect is taken for one.
_FADING = 0.95
#: From this chance of a profit on, by all readings together, a control of a tenth is enough to go on measuring.
CERTAIN = 0.95


@dataclass(frozen=True)
class OfferWord:
    """What one arm's offer did. Money is minor units per customer.

    Attributes:
        moved: Whether more responded than in control, at the registered level.
        chosen: Whether the next campaign makes it.
    """

    arm: str
    offer: str
    rate: Belief
    profit: Belief
    moved: bool
    chosen: bool


@dataclass(frozen=True)
class ChannelWord:
    """What one medium costs and earns per customer, minor units; `profit` None where nothing is known of it."""

    medium: str
    cost: float
    profit: float | None
    campaigns: int
    chosen: bool


@dataclass(frozen=True)
class Proposal:
    """The next campaign and its reasons. Amounts are minor units.

    Attributes:
        name: Of the proposed campaign.
        source: The closed campaign that it follows.
        campaign: Data of campaigns/proposed/NAME.yaml; None when the proposal is to stop.
        experiment: Data of experiments/proposed/NAME.yaml; None with it.
    """

    name: str
    source: str
    next: Next
    diagnosis: Diagnosis
    partings: tuple[Parting, ...]
    offers: tuple[OfferWord, ...]
    start: Start
    channels: tuple[ChannelWord, ...]
    metric: Metric
    sizes: Sizes
    money: Money
    forecast: Forecast
    risks: tuple[str, ...]
    learning: str
    hypothesis: str
    campaign: Mapping[str, Any] | None
    experiment: Mapping[str, Any] | None
    currency: str
    today: Today

    @property
    def narrowed(self) -> bool:
        """Whether parts of the audience are left out."""
        return self.next.factor == "target" and bool(self.partings) and bool(self.partings[0].dropped)


def propose(found: Closed, project: Project, known: Knowledge, today: Today) -> Proposal:
    """The proposal that follows from a closed experiment.

    Args:
        found: The closed experiment.
        project: The shop: policy, channels, economics.
        known: What earlier campaigns taught; rows of later ones are not looked at.
        today: What it has to fit into.
    """
    return _Work(found, project, known.before(found), today).proposal()


@dataclass(frozen=True)
class _Work:
    """One proposal in the making."""

    found: Closed
    project: Project
    known: Knowledge
    today: Today

    def proposal(self) -> Proposal:
        found, today = self.found, self.today
        offers = self.offers()
        chosen = next(word for word in offers if word.chosen)
        arm = chosen.arm
        money = self.money(arm, chosen)
        parted = partings(found, arm, self.known, chosen.profit, today.levels)
        diagnosis = diagnose(found, arm)
        nxt = decide(self.case(arm, money, parted, diagnosis))
        if nxt.factor == "target" and parted and parted[0].dropped:
            money = _of_parts(money, parted[0])
        start, metric = self.start(), self.metric(arm)
        if metric.variance is None and metric.name == RESPONSE:
            metric = replace(metric, lift=money.rate.mean)
        plan = self.sizes(nxt, metric, money, parted)
        ahead = forecast(money, plan.treated)
        campaign = None if nxt.kind == "stop" else campaign_data(found, arm, nxt, _first(parted), today, start.day)
        sentence = hypothesis(found, nxt, metric, money)
        experiment = experiment_data(found, campaign, plan, metric, sentence) if campaign else None
        return Proposal(
            name=today.name,
            source=found.name,
            next=nxt,
            diagnosis=diagnosis,
            partings=parted,
            offers=offers,
            start=start,
            channels=self.channels(arm, chosen),
            metric=metric,
            sizes=plan,
            money=money,
            forecast=ahead,
            risks=risks(found, nxt, plan, start.conflicts, ahead.loss),
            learning=learning(found, nxt, plan),
            hypothesis=sentence,
            campaign=in_order(campaign),
            experiment=in_order(experiment),
            currency=found.readout.setting.currency.code,
            today=today,
        )

    def belief(self, arm: str, metric: str) -> Belief:
        """What is believed of an arm's difference in a metric, per customer."""
        measured, rate = self.found.effect(arm, metric), self.found.effect(arm, RESPONSE)
        spread = spread_like(measured, rate)
        if metric not in {RESPONSE, MARGIN}:
            return believed(measured, [], None, spread)
        same = self.alike(arm)
        like = [row for row in self.known.like(kind_of(self.found, arm)) if row not in same]
        contact = self.found.contact_each(arm)
        mine, others = (_estimates(rows, metric, contact) for rows in (same, like))
        told = foretold(self.found, arm, self.known, metric)
        prior = told and Estimate(told.mean + (contact if metric == MARGIN else 0.0), told.variance)
        return believed(measured, mine, prior or prior_of(others), spread)

    def alike(self, arm: str) -> list[Row]:
        """Earlier readouts of the very same offer to the very same target."""
        rows = self.known.same(kind_of(self.found, arm), offer_words(self.found.offer(arm)))
        return [row for row in rows if row.words == words_of(self.found.campaign["target"])]

    def offers(self) -> tuple[OfferWord, ...]:
        """Every arm's offer, the smallest first; chosen is the smallest of those that earn most."""
        alpha = self.found.terms.alpha_each
        words = []
        for arm in self.found.treatments:
            rate = self.belief(arm, RESPONSE)
            profit = self.belief(arm, MARGIN).plus(-self.found.contact_each(arm))
            told = next(row for row in self.found.readout.against_control(RESPONSE) if row.treatment == arm)
            moved = told.low is not None and told.low > 0 and (told.p_value or 0.0) < alpha
            words.append(OfferWord(arm, offer_words(self.found.offer(arm)), rate, profit, moved, chosen=False))
        words.sort(key=lambda word: self.value(word.arm))
        best = max(words, key=lambda word: word.profit.mean)
        return tuple(replace(word, chosen=word is best) for word in words)

    def value(self, arm: str) -> float:
        """The value of an arm's offer, to put offers in order."""
        offer = self.found.offer(arm)
        return float(str(offer.get("amount") or str(offer.get("off", "0")).rstrip("%")))

    def money(self, arm: str, word: OfferWord) -> Money:
        """What one treated customer is believed to bring."""
        found = self.found
        gained, rate = found.effect(arm, MARGIN), found.effect(arm, RESPONSE)
        revenue = found.effect(arm, "revenue_per_customer").mean * word.profit.kept
        each = gained.mean / rate.mean if rate.mean > 0 and gained.mean > 0 else None
        return Money(word.profit, found.contact_each(arm), found.fixed, revenue, word.rate, each)

    def metric(self, arm: str) -> Metric:
        """The primary metric as the next campaign expects it; amounts in major units, as its file has them."""
        name = self.found.terms.experiment.primary.metric
        control = self.found.figures(CONTROL).metrics
        assert control is not None
        kind = self.found.terms.experiment.kinds[name]
        scale = self.found.readout.setting.currency.scale if kind == "money" else 1
        told = self.belief(arm, name).mean / scale
        if kind == "rate":
            return Metric(name, control[name].mean, told)
        return Metric(name, control[name].mean / scale, told, control[name].variance / scale**2)

    def case(self, arm: str, money: Money, parted: tuple[Parting, ...], diagnosis: Diagnosis) -> Case:
        """What the decision is taken from."""
        found = self.found
        split = float(found.terms.experiment.split[CONTROL])
        return Case(
            verdict=found.readout.verdict.decision,
            broken=tuple(
                guard.name.replace("_", " ")
                for guard in found.readout.guards
                if guard.arm == arm and guard.state == "broken"
            ),
            profit=money.profit,
            worthwhile=money.total(self.audience).chance,
            parting=_first(parted),
            diagnosis=diagnosis,
            rolled_out=split <= ROLLED_OUT + 1e-9,
            extended=self.extended(),
            fading=self.fading(arm),
            possible=self.possible(arm),
        )

    @property
    def audience(self) -> int:
        return self.found.assigned if self.today.audience is None else self.today.audience

    def extended(self) -> int:
        """How many earlier waves of this campaign were not decided."""
        base = base_name(self.found.name)
        told = {row.experiment for row in self.known.rows if base_name(row.experiment) == base}
        return len({row.experiment for row in self.known.rows if row.experiment in told and row.decision == "extend"})

    def fading(self, arm: str) -> bool:
        """Whether the profit per customer of the very same offer has fallen over three campaigns or more."""
        rows = self.alike(arm)
        mine = self.found.effect(arm, PROFIT)
        effects = [(each.mean, each.variance) for each in (*usable(row.profit for row in rows), mine)]
        return trend(effects) > _FADING

    def possible(self, arm: str) -> list[Factor]:
        """Factors that can be changed with what the project has, and that no campaign of the kind has tried."""
        found, smaller = self.found, smaller_offer(self.found.offer(arm))
        tried = self.known.offers(kind_of(found, arm)) | {offer_words(found.offer(name)) for name in found.treatments}
        factors: list[Factor] = []
        if smaller is not None and offer_words(smaller) not in tried:
            factors.append("offer")
        if self.today.messages and len(found.treatments) == 1:
            factors.append("message")
        if self.today.media:
            factors.append("channel")
        if evening_is_free(found.campaign["timing"]) and found.readout.verdict.decision != "stop":
            factors.append("timing")
        return factors

    def start(self) -> Start:
        """The next sensible day."""
        found, zone = self.found, self.project.zone
        setting = found.readout.setting
        last = setting.first_due.astimezone(zone).date()
        ends = setting.window_ends.astimezone(zone).date()
        caps = self.project.settings.policy.caps
        lengths = [
            cap.within for scope in (found.terms.medium, "all") for cap in caps.get(scope, ()) if cap.at_most == 1
        ]
        lengths += [Duration.parse(text) for text in _peace(found.campaign["target"])]
        days = max(((length.after(setting.as_of) - setting.as_of).days for length in lengths), default=0)
        return next_start(self.today, last, ready=ends + timedelta(days=1), cool_down=days)

    def way(self, nxt: Next, money: Money) -> Way:
        """How much is risked."""
        if nxt.kind in {"roll_out", "follow_up"} or (
            nxt.kind == "change_factor" and self.found.readout.verdict.decision == "roll_out"
        ):
            return "roll_out"
        if nxt.kind == "confirm" and money.profit.chance >= CERTAIN:
            return "sure"
        return "try" if money.profit.mean > 0 else "wary"

    def sizes(self, nxt: Next, metric: Metric, money: Money, parted: tuple[Parting, ...]) -> Sizes:
        """The split of the next campaign."""
        audience = self.audience
        if nxt.factor == "target" and parted:
            gone = parted[0].dropped
            if self.today.audience is not None:
                audience -= sum(word.today or 0 for word in gone)
            else:
                audience -= sum(word.customers for word in gone)
        if nxt.factor == "channel":
            audience = next(iter(self.today.reach.values()), audience)
        terms = self.found.terms
        arms = 2 if nxt.factor in {"offer", "message"} and nxt.kind == "change_factor" else 1
        plan = sizes(
            audience,
            metric,
            way=self.way(nxt, money),
            arms=arms,
            alpha=terms.alpha,
            power=float(terms.experiment.power),
        )
        return replace(plan, counted=self.today.audience is not None)

    def channels(self, arm: str, word: OfferWord) -> tuple[ChannelWord, ...]:
        """The medium used, and the others that could carry the message."""
        scale = self.found.readout.setting.currency.scale
        used = self.found.terms.medium
        mine = ChannelWord(used, self.found.contact_each(arm), word.profit.mean, word.profit.campaigns + 1, chosen=True)
        found = [mine]
        objective, _, kind = kind_of(self.found, arm)
        for medium, price in sorted(self.today.media.items()):
            rows = usable(row.profit for row in self.known.like((objective, medium, kind)))
            mean = sum(each.mean for each in rows) / len(rows) if rows else None
            found.append(ChannelWord(medium, float(price) * scale, mean, len(rows), chosen=False))
        return tuple(found)


def _estimates(rows: Sequence[Row], metric: str, contact: float) -> tuple[Estimate, ...]:
    """What rows say of the response rate, or of margin: their profit with the cost of contact put back."""
    if metric == RESPONSE:
        return usable(row.response for row in rows)
    return usable(row.profit and Estimate(row.profit.mean + contact, row.profit.variance) for row in rows)


def _first(parted: tuple[Parting, ...]) -> Parting | None:
    return parted[0] if parted else None


def _peace(target: Data) -> list[str]:
    """Lengths of the lines of a target that leave out whoever was written to."""
    lines = target.get("except") or []
    lines = lines if isinstance(lines, list) else [lines]
    return [
        line["in"] for line in lines if isinstance(line, Mapping) and line.get("did") == "contacted" and "in" in line
    ]


def _of_parts(money: Money, parting: Parting) -> Money:
    """The money of the parts that stay; their doubts are taken to go together, which is the careful side."""
    total = sum(word.customers for word in parting.kept)
    spread = sum(word.customers * word.variance**0.5 for word in parting.kept) / total
    profit = replace(money.profit, mean=parting.profit, variance=spread**2)
    change = (profit.mean + money.contact) / (money.profit.mean + money.contact) if money.profit.mean > 0 else 1.0
    rate = replace(money.rate, mean=money.rate.mean * change)
    return replace(money, profit=profit, rate=rate, revenue=money.revenue * change)
