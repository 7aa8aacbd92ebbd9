"""A proposal as JSON values (contract 1): money in major units, shares as fractions, unknown as null."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal
from pathlib import Path
from typing import Any

from campanile.improve.diagnosis import Diagnosis
from campanile.improve.parts import Parting
from campanile.improve.proposal import OfferWord, Proposal
from campanile.money import Currency
from campanile.report.jsonable import finite


def proposal_values(proposal: Proposal, files: Iterable[Path]) -> dict[str, Any]:
    """The whole proposal: the eleven parts, the diagnosis, and the files that hold it."""
    scale = Currency(proposal.currency).scale
    found = {
        "contract": 1,
        "proposal": proposal.name,
        "source": proposal.source,
        "currency": proposal.currency,
        "decision": {
            "kind": proposal.next.kind,
            "why": proposal.next.why,
            "what_would_change_it": proposal.next.otherwise,
        },
        "factor": proposal.next.factor,
        "diagnosis": _diagnosis(proposal.diagnosis, scale),
        "target": _target(proposal, scale),
        "offers": [_offer(word, scale) for word in proposal.offers],
        "timing": {
            "start": proposal.start.day.isoformat(),
            "reasons": list(proposal.start.reasons),
            "conflicts": list(proposal.start.conflicts),
        },
        "channels": [
            {
                "medium": word.medium,
                "cost": word.cost / scale,
                "profit_per_customer": None if word.profit is None else word.profit / scale,
                "campaigns": word.campaigns,
                "chosen": word.chosen,
            }
            for word in proposal.channels
        ],
        "experiment": _experiment(proposal),
        "forecast": _forecast(proposal, scale),
        "risks": list(proposal.risks),
        "learning": proposal.learning,
        "campaign": _plain(proposal.campaign),
        "registered": _plain(proposal.experiment),
        "files": [str(path) for path in files],
    }
    return {key: finite(value) for key, value in found.items()}


def _target(proposal: Proposal, scale: int) -> dict[str, Any]:
    return {
        "audience": proposal.sizes.audience,
        "counted_today": proposal.sizes.counted,
        "left_out": [{"line": line, "lost": lost} for line, lost in proposal.today.waterfall],
        "parts": [row for parting in proposal.partings for row in _parts(parting, scale)],
    }


def _offer(word: OfferWord, scale: int) -> dict[str, Any]:
    return {
        "arm": word.arm,
        "offer": word.offer,
        "difference": word.rate.measured.mean,
        "shrunken": word.rate.mean,
        "profit_per_customer": word.profit.mean / scale,
        "moved": word.moved,
        "chosen": word.chosen,
    }


def _diagnosis(found: Diagnosis, scale: int) -> dict[str, Any]:
    """Factors as they are; contributions and profits in major units."""
    return {
        "arm": found.arm,
        "against": found.against,
        "planned": found.planned / scale,
        "actual": found.actual / scale,
        "factors": [
            {
                "factor": factor.name,
                "planned": factor.planned / (scale if factor.name in _AMOUNTS else 1),
                "actual": factor.actual / (scale if factor.name in _AMOUNTS else 1),
                "contribution": factor.contribution / scale,
            }
            for factor in found.factors
        ],
        "fault": found.fault,
        "sentence": found.sentence,
        "checks": list(found.checks),
    }


_AMOUNTS = frozenset({"basket", "bought_anyway", "cost"})


def _parts(parting: Parting, scale: int) -> list[dict[str, Any]]:
    return [
        {
            "cut": word.cut,
            "level": word.level,
            "customers": word.customers,
            "today": word.today,
            "measured": word.measured / scale,
            "profit_per_customer": word.profit / scale,
            "chance": word.chance,
            "campaigns": word.campaigns,
            "word": word.word,
            "p_value": parting.p_value,
        }
        for word in parting.words
    ]


def _experiment(proposal: Proposal) -> dict[str, Any]:
    plan, metric = proposal.sizes, proposal.metric
    return {
        "hypothesis": proposal.hypothesis,
        "metric": metric.name,
        "baseline": metric.baseline,
        "expected": metric.expected,
        "control_share": plan.control,
        "control": plan.in_control,
        "treated": plan.treated,
        "arms": plan.arms,
        "power": plan.power,
        "smallest_detectable": plan.smallest,
    }


def _forecast(proposal: Proposal, scale: int) -> dict[str, Any]:
    ahead = proposal.forecast
    amounts = ("revenue", "margin", "profit", "profit_low", "profit_high")
    return {
        "responders": ahead.responders,
        "responders_low": ahead.responders_low,
        "responders_high": ahead.responders_high,
        **{name: getattr(ahead, name) / scale for name in amounts},
        "chance_of_loss": ahead.loss,
        "break_even_difference": ahead.break_even,
        "affordable_per_customer": ahead.affordable / scale,
        "budget": ahead.cost / scale,
        "half_budget": {"treated": ahead.half_treated, "profit": ahead.half / scale},
    }


def _plain(value: Any) -> Any:
    """Plain data with numbers that JSON knows."""
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_plain(item) for item in value]
    return float(value) if isinstance(value, Decimal) else value
