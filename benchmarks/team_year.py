"""A team's year, rehearsed: twelve rounds of propose, follow and read, beside what other teams would have earned.

Customers belong to hidden segments: some buy because of a campaign, some would have bought anyway and only use the
coupon, some never buy, and some buy less when they are written to. Nobody sees the segments. A proposal sees two fields
that go with them, and what its own experiments measured. Messages are not sent; measurement, cuts, shrinkage, verdict
and proposal are the product's own. Profits are expected ones by the truth, so luck decides what a team learns and not
what it is paid.
"""

from __future__ import annotations

import argparse
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np

from campanile.clock import Duration
from campanile.events import CONTROL
from campanile.improve.closed import Closed
from campanile.improve.knowledge import Knowledge, rows_of
from campanile.improve.proposal import Proposal, propose
from campanile.improve.today import Today
from campanile.measure.sums import ArmOutcome
from campanile.measure.types import Aggregate, ArmStatistics, classes_of, pair
from campanile.money import Currency
from campanile.readout.effects import Effects
from campanile.readout.judged import judged
from campanile.readout.terms import read_terms
from campanile.report.readout import ArmFigures, Readout, Setting, Trust, Verdict
from campanile.spec.project import Project, load_project

ROUNDS = 12
CUSTOMERS = 20_000
ROOT = Path(__file__).parents[1]
#: The shops of the documentation begin here; the rules of proposals were chosen on shops below 24.
FIRST = 1_000
DOCS = ROOT / "docs"
_FROM, _TO = "<!-- made by python -m benchmarks.team_year --write -->", "<!-- made until here -->"
#: Hidden segments: rate without a campaign, points that a full offer adds, points that being written to adds.
SEGMENTS = {
    "persuadable": (0.030, 0.050, 0.006),
    "buys anyway": (0.120, 0.010, 0.000),
    "lost": (0.006, 0.002, 0.000),
    "annoyed": (0.050, 0.000, -0.016),
}
OFFERS = (0, 6, 12, 25, 50)
#: An offer of so much has two thirds of the effect of a large one.
_REACH = 18.0
#: Of those who would have bought anyway, so many use the coupon they were sent.
USED_ANYWAY = 0.5
BASKET, MARGIN_RATE, CONTACT, FIXED = 220.0, 0.4, 0.35, 300.0
FIELDS = {"city_tier": ("1", "2", "3", "4"), "favourite_category": ("gifts", "makeup", "skincare", "tools", "haircare")}
_CHINA, _BEGIN = ZoneInfo("Asia/Shanghai"), datetime(2026, 1, 8, 2, 30, tzinfo=UTC)
TEAMS = ("nobody", "everyone", "best rate wins", "proposals", "best visible rule", "oracle")


@dataclass(frozen=True)
class World:
    """A shop whose truth is known.

    Attributes:
        segment: Hidden segment of each customer.
        fields: What can be seen of each customer: index of the level, by field.
        base: Rate without a campaign, by segment.
        pull: Points that a full offer adds.
        voice: Points that being written to adds.
    """

    rng: np.random.Generator
    segment: np.ndarray
    fields: Mapping[str, np.ndarray]
    base: np.ndarray
    pull: np.ndarray
    voice: np.ndarray

    @classmethod
    def drawn(cls, seed: int) -> World:
        """The shop of a seed: how large the segments are, how strong they react, and how well fields tell them."""
        rng = np.random.default_rng(seed)
        shares = rng.dirichlet(np.array([1.6, 1.6, 3.0, 1.2]))
        segment = rng.choice(len(SEGMENTS), CUSTOMERS, p=shares)
        fields = {}
        for name, levels in FIELDS.items():
            chances = rng.dirichlet(np.full(len(levels), 0.9), len(SEGMENTS)) * 0.85 + 0.15 / len(levels)
            fields[name] = (rng.random(CUSTOMERS)[:, None] > np.cumsum(chances[segment], axis=1)).sum(axis=1)
            fields[name] = np.minimum(fields[name], len(levels) - 1)
        strength = rng.uniform(0.5, 1.5, (3, len(SEGMENTS)))
        base, pull, voice = (
            np.array(column) * strength[at] for at, column in enumerate(zip(*SEGMENTS.values(), strict=True))
        )
        return cls(rng, segment, fields, base, pull, voice)

    def rate(self, amount: float) -> np.ndarray:
        """Each customer's chance to buy when written to with a coupon of that amount."""
        reach = 1 - np.exp(-amount / _REACH)
        return np.clip(self.base + self.pull * reach + self.voice, 0, 1)[self.segment]

    def worth(self, amount: float) -> np.ndarray:
        """Expected profit of writing to each customer, beyond leaving them alone; fixed cost not counted."""
        treated = self.rate(amount) * BASKET - self.used(amount) * amount
        return (treated - self.base[self.segment] * BASKET) * MARGIN_RATE - CONTACT

    def used(self, amount: float) -> np.ndarray:
        """Each customer's chance to buy with the coupon: whom it moved uses it, of the others so many."""
        rate, base = self.rate(amount), self.base[self.segment]
        return np.maximum(rate - base, 0) + np.minimum(rate, base) * USED_ANYWAY


@dataclass
class Team:
    """One that follows the proposals: what it sends next, and what it has learned."""

    world: World
    project: Project
    campaign: dict[str, Any]
    experiment: dict[str, Any]
    known: Knowledge = field(default_factory=Knowledge)
    kinds: list[str] = field(default_factory=list)

    def year(self) -> list[float]:
        """Expected profit of each round."""
        earned, stopped = [], False
        for number in range(ROUNDS):
            if stopped:
                earned.append(0.0)
                continue
            found, profit = self.round(number)
            earned.append(profit)
            proposal = propose(found, self.project, self.known, self.today(found, number))
            self.known = Knowledge((*self.known.rows, *rows_of(found)))
            self.kinds.append(f"{proposal.next.kind}:{proposal.next.factor}")
            stopped = proposal.next.kind == "stop"
            if not stopped and proposal.next.kind != "follow_up":
                self.follow(proposal)
        return earned

    def follow(self, proposal: Proposal) -> None:
        """Takes the proposal as it is."""
        assert proposal.campaign is not None
        assert proposal.experiment is not None
        self.campaign, self.experiment = dict(proposal.campaign), dict(proposal.experiment)

    def today(self, found: Closed, number: int) -> Today:
        """The same audience as in the last round: in this shop nobody comes or goes."""
        day = (found.readout.setting.window_ends + timedelta(days=1)).date()
        return Today(day, f"year-{number + 2}", found.assigned, levels=found.levels)

    def audience(self) -> np.ndarray:
        """Whom the campaign's target means."""
        eligible = np.ones(CUSTOMERS, bool)
        for line in self.campaign["target"].get("except", ()):
            for name, levels in line.items():
                gone = [FIELDS[name].index(str(level)) for level in levels]
                eligible &= ~np.isin(self.world.fields[name], gone)
        return eligible

    def amount(self, arm: str) -> float:
        """The coupon of an arm."""
        offer = (self.campaign.get("arms") or {}).get(arm, {}).get("offer") or self.campaign["offer"]
        return float(offer.get("amount", 0))

    def round(self, number: int) -> tuple[Closed, float]:
        """One wave, sent, lived through and read; and its expected profit."""
        world, rng = self.world, self.world.rng
        eligible = self.audience()
        shares = {arm: float(str(text).rstrip("%")) / 100 for arm, text in self.experiment["split"].items()}
        arms = list(shares)
        arm = np.searchsorted(np.cumsum(list(shares.values()))[:-1], rng.random(CUSTOMERS), side="right")
        chance = world.base[world.segment].copy()
        given, used = np.zeros(CUSTOMERS), np.zeros(CUSTOMERS)
        profit = -FIXED
        for index, name in enumerate(arms):
            if name == CONTROL:
                continue
            mine = eligible & (arm == index)
            chance[mine], given[mine] = world.rate(self.amount(name))[mine], self.amount(name)
            used[mine] = world.used(self.amount(name))[mine]
            profit += float(world.worth(self.amount(name))[mine].sum())
        drawn = rng.random(CUSTOMERS)
        buys = drawn < chance
        given = np.where(drawn < used, given, 0)  # of those who buy, whoever drew the least
        basket = np.round(rng.lognormal(np.log(BASKET) - 0.125, 0.5, CUSTOMERS) * 100)
        revenue = np.where(buys, np.maximum(basket - given * 100, 0), 0).astype(np.int64)
        lived = _Lived(
            arms, np.where(eligible, arm, -1), buys, revenue, np.where(buys, given * 100, 0).astype(np.int64)
        )
        return self.read(lived, number), profit

    def read(self, lived: _Lived, number: int) -> Closed:
        """The closed experiment that the product makes of what happened."""
        name = "year" if number == 0 else f"year-{number + 1}"
        spec = {
            "campaign": self.campaign,
            "experiment": self.experiment,
            "economics": {"margin_rate": MARGIN_RATE, "margin_of": "net", "cost_per_message": {"email": CONTACT}},
        }
        terms = read_terms(name, _jsonable(spec))
        everybody = lived.arm >= 0
        arms = {arm.arm: ArmOutcome(arm, _counts(arm)) for arm in lived.statistics(everybody)}
        cuts = {
            cut: {
                level: {arm.arm: arm for arm in lived.statistics(everybody & (values == index))}
                for index, level in enumerate(FIELDS[cut])
                if len(lived.statistics(everybody & (values == index))) == len(lived.arms)
            }
            for cut, values in self.world.fields.items()
        }
        effects = Effects(terms, Currency("CNY"), arms, cuts=cuts)
        readout = judged(_known(name, number, terms.experiment.hypothesis, effects), effects, {})
        levels = {
            cut: {level: sum(arm.n for arm in found.values()) for level, found in by_level.items()}
            for cut, by_level in cuts.items()
        }
        return Closed(readout, terms, arms, levels)


@dataclass(frozen=True)
class _Lived:
    """What everybody did in one window; `arm` is -1 for customers outside the audience."""

    arms: list[str]
    arm: np.ndarray
    buys: np.ndarray
    revenue: np.ndarray
    discount: np.ndarray

    def statistics(self, rows: np.ndarray) -> list[ArmStatistics]:
        """The sufficient statistics of some customers by arm; arms of fewer than ten are left out."""
        found = []
        for index, name in enumerate(self.arms):
            mine = rows & (self.arm == index)
            if mine.sum() >= 10:
                found.append(self._arm(name, mine))
        return found

    def _arm(self, name: str, mine: np.ndarray) -> ArmStatistics:
        n = int(mine.sum())
        buys, revenue = self.buys[mine].astype(np.int64), self.revenue[mine]
        metrics = {
            "response_rate": _aggregate(buys),
            "orders_per_customer": _aggregate(buys),
            "revenue_per_customer": _aggregate(revenue, classed=True),
            "discount_per_customer": _aggregate(self.discount[mine]),
            "pre_orders": Aggregate(0, 0.0, 0),
            "pre_revenue": Aggregate(0, 0.0, 0),
            "reached": Aggregate(0 if name == CONTROL else n, 0.0, 0 if name == CONTROL else n),
        }
        together = float(np.cov(buys, revenue)[0, 1])
        return ArmStatistics.from_aggregates(
            name, n, metrics, {pair("orders_per_customer", "revenue_per_customer"): together}
        )


def _aggregate(values: np.ndarray, *, classed: bool = False) -> Aggregate:
    classes = classes_of(values[values != 0].tolist()) if classed else None
    return Aggregate(int(values.sum()), float(values.var(ddof=1)), int((values != 0).sum()), 0, classes)


def _counts(arm: ArmStatistics) -> dict[str, int | None]:
    return {"handed_over": 0 if arm.arm == CONTROL else arm.n, "opted_out": 0}


def _jsonable(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _jsonable(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_jsonable(item) for item in value]
    return value if isinstance(value, str | int | bool) or value is None else float(value)


def _known(name: str, number: int, hypothesis: str, effects: Effects) -> Readout:
    due = _BEGIN + timedelta(days=30 * number)
    window = Duration(days=21)
    setting = Setting(
        campaign=name, wave="1", shop="rehearsed", hypothesis=hypothesis, currency=Currency("CNY"), zone=_CHINA,
        primary="response_rate", alpha=effects.terms.alpha, window=window, as_of=due - timedelta(days=4),
        first_due=due, window_ends=window.after(due), read_at=window.after(due) + timedelta(days=1), plan_id=name,
        fingerprint=name, registered_at=due,
    )  # fmt: skip
    arms = tuple(ArmFigures(arm, found.statistics.n, 0.0) for arm, found in effects.arms.items())
    return Readout(setting, Verdict("no_verdict", ""), Trust(None, ()), arms, ())


def first_campaign() -> dict[str, Any]:
    """What the team begins with: a large coupon for everybody."""
    return {
        "objective": "retention",
        "target": {"who": [{"email_consent": True}]},
        "offer": {"kind": "coupon", "amount": 50},
        "timing": {"start": "2026-01-08", "at": "18:30"},
        "channel": {"use": "email", "message": "winback"},
        "costs": {"fixed": int(FIXED)},
    }


def first_experiment() -> dict[str, Any]:
    """How the team measures it."""
    return {
        "hypothesis": "A coupon brings customers back.",
        "split": {"control": "20%", "treatment": "80%"},
        "primary": {"metric": "response_rate", "window": "21d"},
        "cuts": list(FIELDS),
        "decide": {"roll_out": "profit per customer above 0 at 95%", "stop": "upper limit below 0.2 points"},
    }


def best_rate_wins(world: World) -> list[float]:
    """A/B without a control: each round the champion against another offer, and the higher response rate stays."""
    champion, earned = 50, []
    for _ in range(ROUNDS):
        rival = int(world.rng.choice([amount for amount in OFFERS if amount != champion]))
        half = world.rng.random(CUSTOMERS) < 0.5
        earned.append(float(np.where(half, world.worth(champion), world.worth(rival)).sum()) - FIXED)
        bought = [
            world.rng.random(int(side.sum())) < world.rate(amount)[side]
            for amount, side in ((champion, half), (rival, ~half))
        ]
        champion = champion if bought[0].mean() >= bought[1].mean() else rival
    return earned


def oracle(world: World) -> list[float]:
    """Knows every customer's segment: the best offer for each, or none."""
    best = np.max([world.worth(amount) for amount in OFFERS], axis=0)
    return [max(0.0, float(best[best > 0].sum()) - FIXED)] * ROUNDS


def best_visible(world: World) -> list[float]:
    """Knows the truth of what the fields show: one offer, for the cells of both fields that it pays for."""
    first, second = world.fields.values()
    cell = first * len(FIELDS["favourite_category"]) + second
    found = []
    for amount in OFFERS:
        sums = np.bincount(cell, weights=world.worth(amount))
        found.append(float(sums[sums > 0].sum()) - FIXED)
    return [max(0.0, *found)] * ROUNDS


@cache
def _project() -> Project:
    return load_project(ROOT)


def year(seed: int) -> tuple[dict[str, list[float]], list[str]]:
    """Expected profit by team and round in the shop of a seed, and the kinds of proposals that were made."""
    team = Team(World.drawn(seed), _project(), first_campaign(), first_experiment())
    earned = {
        "nobody": [0.0] * ROUNDS,
        "everyone": [float(team.world.worth(50).sum()) - FIXED] * ROUNDS,
        "proposals": team.year(),
        "best rate wins": best_rate_wins(World.drawn(seed)),
        "best visible rule": best_visible(team.world),
        "oracle": oracle(team.world),
    }
    return {name: earned[name] for name in TEAMS}, team.kinds


def table(years: Sequence[Mapping[str, list[float]]]) -> str:
    """Profit of a year by team as Markdown: mean over shops with its standard error, the worst and the best tenth."""
    lines = [
        "| team | profit of a year | ± | worst tenth | best tenth | last round |",
        "|---|---:|---:|---:|---:|---:|",
    ]
    for name in TEAMS:
        sums = np.array([sum(earned[name]) for earned in years])
        low, high = np.quantile(sums, [0.1, 0.9])
        error = sums.std(ddof=1) / len(years) ** 0.5
        last = np.mean([earned[name][-1] for earned in years])
        figures = (sums.mean(), error, low, high, last)
        lines.append(f"| {name} | " + " | ".join(f"{figure:,.0f}".replace("-", "−") for figure in figures) + " |")
    return "\n".join(lines)


def chart(years: Sequence[Mapping[str, list[float]]]) -> str:
    """Mean cumulative profit by team and round as an SVG for the documentation."""
    import matplotlib as mpl
    from matplotlib.figure import Figure

    style = {"svg.hashsalt": "campanile", "svg.fonttype": "none", "font.size": 9}
    with mpl.rc_context(style):
        figure = Figure(figsize=(7.2, 4.0), layout="constrained")
        axes = figure.subplots()
        for name in TEAMS:
            mean = np.cumsum(np.mean([earned[name] for earned in years], axis=0)) / 1000
            width = 2.6 if name == "proposals" else 1.4
            axes.plot(range(1, ROUNDS + 1), mean, label=name, linewidth=width)
            axes.annotate(name, (ROUNDS, mean[-1]), (5, -3), textcoords="offset points")
        axes.set(xlabel="round", ylabel="cumulative profit, thousand CNY a shop", xlim=(1, ROUNDS + 2.6))
        axes.axhline(0, color="0.6", linewidth=0.8)
        axes.set_xticks(range(1, ROUNDS + 1))
        axes.spines[["top", "right"]].set_visible(False)
        buffer = io.StringIO()
        figure.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None})
    return "\n".join(line.rstrip() for line in buffer.getvalue().splitlines()) + "\n"


def main() -> None:
    """Prints the profit of a year by team over many seeds; with --write, puts table and chart into docs/."""
    parser = argparse.ArgumentParser(description="Rehearse a team's year over many shops.")
    parser.add_argument("--seeds", type=int, default=60)
    parser.add_argument("--write", action="store_true")
    asked = parser.parse_args()
    years = [year(FIRST + seed)[0] for seed in range(asked.seeds)]
    print(table(years))
    if asked.write:
        page = DOCS / "method-team-year.md"
        head, rest = page.read_text(encoding="utf-8").split(_FROM)
        tail = rest.split(_TO)[1]
        page.write_text(f"{head}{_FROM}\n\n{table(years)}\n\n{_TO}{tail}", encoding="utf-8")
        (DOCS / "team-year.svg").write_text(chart(years), encoding="utf-8")


if __name__ == "__main__":
    main()
