"""The evidence of a reading: what it takes to compute it again, for ever, without the customer database.

Holds sums, squares, products and classes of amounts of whole arms, strata and levels; no customer. It is written beside
the readout once the window has ended: before, it would show the effect that the readout withholds.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from campanile import clock
from campanile.clock import Duration
from campanile.errors import CampanileError, cure_of
from campanile.ledger.attribution import ArmAnswers
from campanile.measure.lift import Estimate
from campanile.measure.ratio_mismatch import SampleRatio
from campanile.measure.sums import ArmOutcome, ByLevel
from campanile.measure.types import ArmStatistics, pair
from campanile.money import Currency
from campanile.readout.effects import Effects, in_order
from campanile.readout.guards import guard_findings
from campanile.readout.judged import FirstDays, judged
from campanile.readout.terms import in_words, read_terms
from campanile.report.readout import ArmFigures, Check, Delivery, Deviation, Readout, Setting, Trust, Verdict

#: Raised when the shape changes in a way that this version cannot read.
VERSION = 1
_MOMENTS = ("as_of", "first_due", "window_ends", "read_at", "registered_at")
_SEPARATOR = " × "


def evidence_values(
    readout: Readout, effects: Effects, first_days: FirstDays, past: Sequence[Estimate] = ()
) -> dict[str, Any]:
    """The evidence as JSON values."""
    return {
        "evidence": VERSION,
        "setting": _setting_values(readout.setting),
        "spec": json.loads(json.dumps(effects.terms.spec, default=float)),
        "trust": {
            "srm": asdict(readout.trust.srm) if readout.trust.srm else None,
            "checks": [asdict(check) for check in readout.trust.checks],
        },
        "delivery": [
            {"arm": found.arm, "states": dict(found.states), "reasons": [[*key, n] for key, n in found.reasons.items()]}
            for found in readout.delivery
        ],
        "deviations": [asdict(found) for found in readout.deviations],
        "attribution": [asdict(found) for found in readout.attribution],
        "arms": [
            {**statistics_values(arm.statistics), "counts": dict(arm.counts)} for _, arm in sorted(effects.arms.items())
        ],
        "strata": _level_values(effects.strata),
        "channels": _level_values(effects.channels),
        "cuts": {cut: _level_values(levels) for cut, levels in effects.cuts.items()},
        "past": [list(lift) for lift in past],
        "first_days": {arm: {str(day): n for day, n in days.items()} for arm, days in first_days.items()},
    }


def statistics_values(arm: ArmStatistics) -> dict[str, Any]:
    """The statistics of one arm as JSON values; `statistics_of` reads them.

    >>> arm = ArmStatistics.from_values("control", {"orders": [0, 1, 2], "revenue": [0, 50, 120]})
    >>> statistics_of(json.loads(json.dumps(statistics_values(arm)))) == arm
    True
    """
    return {
        "arm": arm.arm,
        "n": arm.n,
        "sums": dict(arm.sums),
        "squares": dict(arm.squares),
        "products": {_SEPARATOR.join(key): value for key, value in arm.products.items()},
        "nonzero": dict(arm.nonzero),
        "negative": dict(arm.negative),
        "classes": {
            metric: [[place, *counted] for place, counted in sorted(classes.items())]
            for metric, classes in arm.classes.items()
        },
    }


def statistics_of(values: Mapping[str, Any]) -> ArmStatistics:
    """The statistics that such values hold."""
    return ArmStatistics(
        values["arm"],
        values["n"],
        values["sums"],
        values["squares"],
        {pair(*key.split(_SEPARATOR)): value for key, value in values["products"].items()},
        values["nonzero"],
        values["negative"],
        {metric: {place: (n, total) for place, n, total in rows} for metric, rows in values["classes"].items()},
    )


def read_again(path: Path) -> Readout:
    """The readout that the evidence in a file gives now: by today's methods, on the figures of then.

    Raises:
        CampanileError: The file cannot be read, or is no evidence of this version.
    """
    values = _values(path)
    try:
        return _again(values)
    except (KeyError, TypeError, ValueError) as error:
        raise CampanileError(f"{path.name} is damaged: a part of the evidence is missing or wrong", _CURE) from error


_CURE = "give an evidence.json as `campanile readout` wrote it, or restore it from a backup"


def _values(path: Path) -> dict[str, Any]:
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise CampanileError(f"cannot read {path} ({error.strerror})", cure_of(error)) from None
    except ValueError:
        raise CampanileError(f"{path.name} is no JSON", _CURE) from None
    if not isinstance(values, dict) or "evidence" not in values:
        raise CampanileError(f"{path.name} holds no evidence of a readout", _CURE)
    if values["evidence"] != VERSION:
        what = f"{path.name} holds evidence of version {values['evidence']}, this Campanile reads {VERSION}"
        raise CampanileError(what, "read it with the version of Campanile that wrote it")
    return values


def _again(values: Mapping[str, Any]) -> Readout:
    setting = _setting(values["setting"])
    terms = read_terms(setting.campaign, values["spec"])
    arms = {part["arm"]: ArmOutcome(statistics_of(part), part["counts"]) for part in values["arms"]}
    cuts = {cut: _levels(levels) for cut, levels in values["cuts"].items()}
    trust = values["trust"]
    known = Readout(
        setting=setting,
        verdict=Verdict("no_verdict", ""),
        trust=Trust(
            SampleRatio(**trust["srm"]) if trust["srm"] else None, tuple(Check(**check) for check in trust["checks"])
        ),
        arms=tuple(ArmFigures(arm, arms[arm].statistics.n, share) for arm, share in in_order(terms).items()),
        delivery=tuple(_delivery(part) for part in values["delivery"]),
        guards=guard_findings(terms, arms, ended=True),
        terms=in_words(terms, setting.currency),
        deviations=tuple(Deviation(**part) for part in values["deviations"]),
        attribution=tuple(ArmAnswers(**part) for part in values.get("attribution", ())),
    )
    first_days = {arm: {int(day): n for day, n in days.items()} for arm, days in values["first_days"].items()}
    channels = _levels(values["channels"])
    effects = Effects(terms, setting.currency, arms, _levels(values["strata"]), cuts, channels)
    return judged(known, effects, first_days, [Estimate(*lift) for lift in values.get("past", ())])


def _setting_values(setting: Setting) -> dict[str, Any]:
    plain = {
        name: getattr(setting, name)
        for name in ("campaign", "wave", "shop", "hypothesis", "primary", "alpha", "plan_id", "fingerprint")
    }
    moments = {name: _iso(getattr(setting, name)) for name in _MOMENTS}
    return {
        **plain,
        **moments,
        "currency": setting.currency.code,
        "zone": setting.zone.key,
        "window": asdict(setting.window),
        "own": dict(setting.own),
    }


def _setting(values: Mapping[str, Any]) -> Setting:
    moments = {name: datetime.fromisoformat(values[name]) if values[name] else None for name in _MOMENTS}
    known = {
        **values,
        **moments,
        "currency": Currency(values["currency"]),
        "zone": ZoneInfo(values["zone"]),
        "window": Duration(**values["window"]),
    }
    return Setting(**known)


def _iso(moment: datetime | None) -> str | None:
    return None if moment is None else clock.iso(moment)


def _level_values(levels: ByLevel) -> dict[str, list[dict[str, Any]]]:
    return {level: [statistics_values(arm) for _, arm in sorted(arms.items())] for level, arms in levels.items()}


def _levels(values: Mapping[str, list[dict[str, Any]]]) -> dict[str, dict[str, ArmStatistics]]:
    return {level: {part["arm"]: statistics_of(part) for part in arms} for level, arms in values.items()}


def _delivery(values: Mapping[str, Any]) -> Delivery:
    reasons = {(state, reason): n for state, reason, n in values["reasons"]}
    return Delivery(values["arm"], values["states"], reasons)
