"""The readout as JSON values, in the shape that other programs rely on (contract 1).

Money is in major units of `currency`; shares are fractions; a figure that is withheld, unknown or unbounded is null.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import asdict
from typing import Any

from campanile import __version__, clock
from campanile.measure.cuts import Heterogeneity, Part, simultaneous
from campanile.measure.types import Comparison, Economics
from campanile.report.readout import (
    ArmFigures,
    Deviation,
    GuardFinding,
    Moment,
    Otherwise,
    Readout,
    Setting,
    Trust,
    Verdict,
)
from campanile.spec.rules import METRICS

_MONEY = frozenset({"revenue_per_customer", "margin_per_customer", "profit_per_customer", "order_value"})


def jsonable(readout: Readout) -> dict[str, Any]:
    """The document of contract 1, with further keys of this product."""
    setting = readout.setting
    scale = setting.currency.scale
    parts = {
        "contract": 1,
        "experiment": setting.campaign,
        "wave": setting.wave,
        "currency": setting.currency.code,
        **_moments(setting),
        "version": __version__,
        "design": _design(readout),
        "verdict": verdict_values(readout.verdict),
        "trust": trust_values(readout.trust),
        "arms": [_arm(arm, readout) for arm in readout.arms],
        "comparisons": [
            *(comparison_values(found, _unit(found.metric, setting)) for found in readout.comparisons),
            *(
                part_values(found, _unit(found.comparison.metric, setting), readout.levels(found))
                for found in readout.parts
            ),
        ],
        "so_far": [comparison_values(found, 1) for found in readout.so_far],
        "heterogeneity": [heterogeneity_values(found, _unit(found.metric, setting)) for found in readout.heterogeneity],
        "channels": [_channel(found, scale) for found in readout.channels],
        "chances": [asdict(found) for found in readout.chances],
        "otherwise": [_otherwise(found, _unit(found.comparison.metric, setting)) for found in readout.otherwise],
        "economics": [economics_values(found, scale) for found in readout.economics],
        "guards": [guard_values(found) for found in readout.guards],
        "delivery": [{"arm": found.arm, "planned": found.planned, **found.states} for found in readout.delivery],
        "attribution": [
            {**asdict(found), "redeemed_amount": found.redeemed_amount / scale} for found in readout.attribution
        ],
        "deviations": [deviation_values(found) for found in readout.deviations],
    }
    return {key: finite(value) for key, value in parts.items()}


def _design(readout: Readout) -> dict[str, Any]:
    setting = readout.setting
    return {
        **design_values(setting.hypothesis, setting.alpha, readout.arms, readout.terms),
        "primary": setting.primary,
        "kind": {**METRICS, **setting.own}[setting.primary],
        "window": str(setting.window),
        "plan_id": setting.plan_id,
        "fingerprint": setting.fingerprint,
    }


def design_values(
    hypothesis: str, alpha: float, arms: Iterable[ArmFigures], terms: Iterable[tuple[str, str]]
) -> dict[str, Any]:
    """What was agreed beforehand as JSON values, so that a readout can be read alone."""
    return {
        "hypothesis": hypothesis,
        "alpha": alpha,
        "split": {arm.arm: arm.share for arm in arms},
        "terms": [{"label": label, "text": text} for label, text in terms],
    }


def verdict_values(verdict: Verdict) -> dict[str, Any]:
    """The verdict as JSON values."""
    return {
        "decision": verdict.decision,
        "sentence": verdict.sentence,
        "reasons": list(verdict.reasons),
        "arm": verdict.arm or None,
    }


def deviation_values(found: Deviation) -> dict[str, Any]:
    """One deviation as JSON values."""
    return {
        "file": found.file,
        "key": found.key,
        "registered": found.registered,
        "today": found.today,
        "who": found.who or None,
        "when": found.when or None,
    }


def _moments(setting: Setting) -> dict[str, Any]:
    return {
        "as_of": clock.iso(setting.as_of),
        "window_ends": clock.iso(setting.window_ends),
        "read_at": clock.iso(setting.read_at),
        "registered_at": clock.iso(setting.registered_at) if setting.registered_at else None,
    }


def trust_values(trust: Trust) -> dict[str, Any]:
    """The checks as JSON values."""
    srm = trust.srm
    return {
        "srm": {"p_value": srm.p_value if srm else None, "alarm": srm.alarm if srm else None},
        "checks": [
            {
                "name": check.name,
                "passed": check.passed,
                "detail": check.detail,
                "consequence": check.consequence,
            }
            for check in trust.checks
        ],
    }


def _arm(arm: ArmFigures, readout: Readout) -> dict[str, Any]:
    names = list(arm.metrics) if arm.metrics is not None else [readout.setting.primary]
    metrics = {
        name: moment_values(arm.metrics[name] if arm.metrics else None, _unit(name, readout.setting)) for name in names
    }
    return {"arm": arm.arm, "n": arm.n, "share": arm.share, "metrics": metrics}


def moment_values(moment: Moment | None, unit: int) -> dict[str, float | None]:
    """Mean, sum and variance of one metric in one arm; null while withheld."""
    if moment is None:
        return {"mean": None, "sum": None, "variance": None}
    return {"mean": moment.mean / unit, "sum": moment.total / unit, "variance": moment.variance / unit**2}


def _unit(metric: str, setting: Setting) -> int:
    """Minor units in the unit that the metric is printed in."""
    return setting.currency.scale if metric in _MONEY or setting.own.get(metric) == "money" else 1


def comparison_values(found: Comparison, unit: int) -> dict[str, Any]:
    """One comparison as JSON values; `unit` is how many of its units make one that is printed."""
    return {
        "metric": found.metric,
        "kind": found.kind,
        "treatment": found.treatment,
        "control": found.control,
        "cut": found.cut,
        "level": found.level,
        "difference": found.difference / unit,
        "low": _over(found.low, unit),
        "high": _over(found.high, unit),
        "p_value": found.p_value,
        "p_adjusted": found.p_adjusted,
        "lift": found.lift,
        "lift_low": found.lift_low,
        "lift_high": found.lift_high,
        "interval_method": found.interval_method,
        "p_method": found.p_method,
        "alpha": found.alpha,
        "mean_treatment": found.mean_treatment / unit,
        "mean_control": found.mean_control / unit,
        "n_treatment": found.n_treatment,
        "n_control": found.n_control,
    }


def part_values(part: Part, unit: int, levels: int) -> dict[str, Any]:
    """The comparison of one level, with limits that hold for all levels of its cut at once and the shrunken effect."""
    low, high = simultaneous(part, levels)
    more = {"low_all_levels": low / unit, "high_all_levels": high / unit, "shrunken": _over(part.shrunken, unit)}
    return {**comparison_values(part.comparison, unit), **more}


def heterogeneity_values(found: Heterogeneity, unit: int) -> dict[str, Any]:
    """Whether the levels of one cut differ, as JSON values."""
    return {
        "metric": found.metric,
        "treatment": found.treatment,
        "control": found.control,
        "cut": found.cut,
        "levels": found.levels,
        "statistic": found.statistic,
        "p_value": found.p_value,
        "between_sd": found.between**0.5 / unit,
        "pooled": _over(found.pooled, unit),
    }


def _channel(found: Comparison, scale: int) -> dict[str, Any]:
    """Revenue by one channel of the orders; its share of control's is what would have come there anyway."""
    values = comparison_values(found, scale)
    del values["level"], values["cut"]
    organic = found.mean_control / found.mean_treatment if found.mean_treatment > 0 else None
    return {"channel": found.level, **values, "organic_share": organic}


def _otherwise(found: Otherwise, unit: int) -> dict[str, Any]:
    return {
        "way": found.way,
        **comparison_values(found.comparison, unit),
        "variance_reduction": found.reduction,
        "share_reached": found.share,
    }


def economics_values(found: Economics, scale: int) -> dict[str, Any]:
    """The money of one treatment as JSON values, in major units."""
    ratios = {
        name: getattr(found, name)
        for name in (
            "incremental_responders", "incremental_responders_low", "incremental_responders_high", "roi", "roi_low",
            "roi_high", "roi_media", "roi_media_low", "roi_media_high", "iroas", "iroas_low", "iroas_high",
            "break_even_difference", "organic_share", "organic_share_low", "organic_share_high",
        )
    }  # fmt: skip
    amounts = {
        name: _over(getattr(found, name), scale)
        for name in (
            "incremental_revenue", "incremental_revenue_low", "incremental_revenue_high", "incremental_margin",
            "incremental_margin_low", "incremental_margin_high", "incremental_profit", "profit_low", "profit_high",
            "profit_per_unit", "cost", "cost_full", "cost_per_incremental_order", "cost_per_incremental_order_low",
            "cost_per_incremental_order_high", "break_even_revenue", "holdout_cost", "holdout_cost_low",
            "holdout_cost_high", "claimed_without_control",
        )
    }  # fmt: skip
    return {"treatment": found.treatment, "alpha": found.alpha, **ratios, **amounts}


def guard_values(found: GuardFinding) -> dict[str, Any]:
    """One guard as JSON values."""
    return {
        "name": found.name,
        "arm": found.arm,
        "limit": found.limit,
        "state": found.state,
        "relative_to_control": found.relative,
        "rate_control": found.rate_control,
        "rate_treatment": found.rate_treatment,
        "low": found.low,
        "high": found.high,
    }


def _over(value: float | None, unit: int) -> float | None:
    return None if value is None else value / unit


def finite(value: Any) -> Any:
    """The value with infinities and NaN as null, which is all that JSON knows of them.

    >>> finite({"p": [0.5, float("inf")]})
    {'p': [0.5, None]}
    """
    if isinstance(value, dict):
        return {str(key): finite(item) for key, item in value.items()}
    if isinstance(value, list):
        return [finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
