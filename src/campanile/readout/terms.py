"""The terms that were agreed before the first send, as the ledger keeps them: the only ones that judge."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from pydantic import ValidationError

from campanile.errors import CampanileError
from campanile.events import CONTROL
from campanile.measure.outcomes import LIST_MARGIN, list_margin_parts
from campanile.money import Currency
from campanile.spec.campaign import Costs
from campanile.spec.experiment import ExperimentSpec
from campanile.spec.fields import percent
from campanile.spec.loader import FileReport
from campanile.spec.own_metrics import METRICS_FILE, OwnMetric, read_own_metrics
from campanile.spec.rules import Rule
from campanile.spec.vocabulary import load_vocabulary


@dataclass(frozen=True)
class Terms:
    """The registered experiment and the economics it is judged with.

    Attributes:
        spec: The frozen spec as plain JSON values: what the plan wrote down.
        margin_rate: Margin as a share of net revenue, or of list prices.
        margin_of: Which of the two: "net" or "list".
        per_message: Exact cost of one message, major units.
        parts: Paid parts per message by arm: 1, or more for long SMS.
        fixed: Cost of the campaign as a whole, major units.
        own: The metrics of the shop's own that it reads.
    """

    spec: Mapping[str, Any]
    experiment: ExperimentSpec
    medium: str
    margin_rate: Decimal
    margin_of: str
    per_message: Decimal
    parts: Mapping[str, Decimal]
    fixed: Decimal
    own: tuple[OwnMetric, ...] = ()

    @property
    def alpha(self) -> float:
        """The registered chance of a false alarm."""
        return float(self.experiment.alpha)

    @property
    def alpha_each(self) -> float:
        """What of alpha each treatment gets: the readout speaks of the best of them."""
        return float(self.experiment.alpha_each)

    @property
    def list_rate(self) -> Decimal | None:
        """The margin rate where it is of list prices; None where it is of net revenue."""
        return self.margin_rate if self.margin_of == "list" else None

    @property
    def margin(self) -> tuple[str, float]:
        """The measured amount that margin is a multiple of, and the factor."""
        if self.list_rate is None:
            return "revenue_per_customer", float(self.margin_rate)
        return LIST_MARGIN, 1 / list_margin_parts(self.list_rate)[1]

    @property
    def roll_out(self) -> Rule:
        """The registered rule, or the product's: profit per customer above 0."""
        return self.experiment.decide.roll_out or self._default("lower")

    @property
    def stop(self) -> Rule:
        """The registered rule, or the product's: upper limit of profit per customer below 0."""
        return self.experiment.decide.stop or self._default("upper")

    def _default(self, side: str) -> Rule:
        level = 1 - self.experiment.alpha
        way = "above" if side == "lower" else "below"
        words = f"profit per customer {way} 0 at {percent(level)} (no rule was registered, this is the default)"
        return Rule("profit_per_customer", "lower" if side == "lower" else "upper", Decimal(0), level, words)

    def contact_cost(self, arm: str, messages: int, currency: Currency) -> float:
        """Minor units that this many messages of one arm cost; exact before the one conversion."""
        return float(self.per_message * self.parts[arm] * messages * currency.scale)


def read_terms(campaign: str, spec: Mapping[str, Any]) -> Terms:
    """The terms of a frozen spec.

    Raises:
        CampanileError: The campaign measures nothing, or another version wrote a spec that this one cannot read.
    """
    # Numbers become exact decimals, as the YAML loader gives them.
    frozen = json.loads(json.dumps(spec), parse_float=Decimal)
    if not frozen.get("experiment"):
        raise CampanileError(f"{campaign} runs without an experiment, so there is nothing to read out", _CURE)
    try:
        return _terms(campaign, frozen)
    except (ValidationError, KeyError, TypeError, ValueError) as error:
        what = f"the registered plan of {campaign} cannot be read"
        raise CampanileError(what, "read it with the version of Campanile that planned it") from error


_CURE = "add experiments/ to its next wave, or read its sending with `campanile status`"


def _terms(campaign: str, frozen: Mapping[str, Any]) -> Terms:
    own = _own_metrics(frozen)
    kinds = {name: metric.kind for name, metric in own.items()}
    experiment = ExperimentSpec(**{**frozen["experiment"], "campaign": campaign, "own": kinds})
    costs = Costs(**(frozen["campaign"].get("costs") or {}))
    medium = frozen["campaign"]["channel"]["use"]
    economics = frozen["economics"]
    # `check` asks for a price; plans registered before it did may have none, and were costed with 0.
    price = economics["cost_per_message"].get(medium, 0) if costs.per_message is None else costs.per_message
    rate = economics["margin_rate"] if costs.margin_rate is None else costs.margin_rate
    return Terms(
        spec=frozen,
        experiment=experiment,
        own=tuple(own.values()),
        medium=medium,
        margin_rate=Decimal(rate),
        margin_of=economics.get("margin_of", "net"),
        per_message=Decimal(price),
        parts=_parts(medium, frozen.get("summary") or {}, experiment.split),
        fixed=costs.fixed,
    )


def _own_metrics(frozen: Mapping[str, Any]) -> dict[str, OwnMetric]:
    """The metrics of the shop's own, from the registered words; plans of earlier versions have none.

    Raises:
        ValueError: Another version wrote words that this one cannot read.
    """
    report = FileReport(METRICS_FILE)
    found = read_own_metrics(frozen.get("own_metrics") or {}, report, load_vocabulary())
    if report.problems:
        raise ValueError(str(next(iter(report.problems))))
    return found


def _parts(medium: str, summary: Mapping[str, Any], arms: Iterable[str]) -> dict[str, Decimal]:
    """Paid parts per message by arm: an SMS is billed by its parts, which the plan counted for each arm's own text."""
    load = summary.get("load") or {}
    overall = (load.get("messages") or 0, load.get("segments") or 0)
    counted = {arm: (load.get("by_arm") or {}).get(arm, overall) for arm in arms}
    return {
        arm: Decimal(segments) / Decimal(messages) if medium == "sms" and messages and segments else Decimal(1)
        for arm, (messages, segments) in counted.items()
    }


def in_words(terms: Terms, currency: Currency) -> tuple[tuple[str, str], ...]:
    """The registered plan as label and text, for people."""
    experiment = terms.experiment
    primary = experiment.primary
    rate = experiment.kinds[primary.metric] == "rate"
    expected = ""
    if primary.baseline is not None and primary.expect is not None:
        before, after = ((percent(value) if rate else f"{value:f}") for value in (primary.baseline, primary.expect))
        expected = f", {before} expected to become {after}"
    rows = (
        ("Hypothesis", experiment.hypothesis),
        ("Split", ", ".join(f"{arm} {percent(share)}" for arm, share in experiment.split.items())),
        ("Strata", ", ".join(experiment.stratify)),
        ("Primary metric", f"{_words(primary.metric)} within {primary.window}{expected}"),
        ("Own metrics", "; ".join(f"{_words(metric.name)} ({metric.text})" for metric in terms.own)),
        ("Secondary metrics", ", ".join(map(_words, experiment.secondary))),
        ("Comparisons", ", ".join(f"{arm} against {other}" for arm, other in experiment.compare)),
        ("Alpha and power", f"{percent(experiment.alpha)}, {percent(experiment.power)}"),
        ("Roll out when", terms.roll_out.text),
        ("Stop when", terms.stop.text),
        ("Guards", ", ".join(f"{_words(name)} {guard.text}" for name, guard in experiment.guards.items())),
        ("Economics", _economics(terms, currency)),
    )
    return tuple((label, text) for label, text in rows if text)


_MARGIN_OF = {
    "net": "net revenue",
    "list": "list prices, less discounts: rate × (net revenue + discount) − discount",
}


def _economics(terms: Terms, currency: Currency) -> str:
    parts = _parts_in_words({arm: terms.parts[arm] for arm in treatments(terms)})
    share = f"margin {percent(terms.margin_rate)} of {_MARGIN_OF[terms.margin_of]}"
    return (
        f"{share}, {terms.per_message:f} {currency.code} per {terms.medium}"
        f"{parts}, {terms.fixed:f} {currency.code} fixed"
    )


def _parts_in_words(parts: Mapping[str, Decimal]) -> str:
    """Nothing where every message is one part; else the average, by arm where arms differ."""
    if len(set(parts.values())) > 1:
        return " in parts on average: " + " and ".join(f"{number:.2f} ({arm})" for arm, number in parts.items())
    number = next(iter(parts.values()))
    return f" in {number:.2f} parts on average" if number != 1 else ""


def _words(name: str) -> str:
    return name.replace("_", " ")


def treatments(terms: Terms) -> tuple[str, ...]:
    """The arms that get messages."""
    return tuple(arm for arm in terms.experiment.split if arm != CONTROL)
