"""Reads an experiment that was run elsewhere out of its table of units: trust, effect, parts, money, verdict.

The same methods as for campaigns sent from here. Where no control was drawn at random there is no effect to speak of,
and the readout says so instead of computing one.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from campanile.measure.units import UnitsTable, read_units
from campanile.readout.elsewhere_effects import ElsewhereEffects
from campanile.readout.elsewhere_trust import examine_units
from campanile.readout.elsewhere_verdict import decide_elsewhere, guards_of, rules
from campanile.report.elsewhere import ElsewhereReadout
from campanile.report.elsewhere_words import amounts
from campanile.report.readout import ArmFigures, Moment, Trust, Verdict
from campanile.spec.elsewhere import PROFIT, ElsewhereSpec
from campanile.spec.fields import percent

#: Checks whose failure means that no effect can be computed at all, not only that none may decide.
_CAUSAL = ("randomised", "balance")


def read_elsewhere_out(path: Path, spec: ElsewhereSpec, *, currency: str = "") -> ElsewhereReadout:
    """The readout of a table with one row per unit, judged by the rule of its spec.

    Args:
        path: CSV or Parquet.
        spec: How the table is read, and the rule.
        currency: Code of the currency of its amounts; "" when nobody said one.

    Raises:
        ProblemsError: The table cannot be a result; every reason.
    """
    table = read_units(path, spec)
    control = spec.units.control
    arms = sorted(list(spec.split) or sorted(table.arms), key=lambda arm: arm != control)
    trust = examine_units(table, arms)
    known = ElsewhereReadout(
        experiment=spec.experiment,
        hypothesis=spec.hypothesis or "",
        primary=spec.judged,
        kinds={**{name: metric.kind for name, metric in spec.metrics.items()}, PROFIT: "money"},
        alpha=float(spec.alpha),
        currency=currency,
        verdict=_unclaimed(trust),
        trust=trust,
        arms=tuple(_figures(table, arms)),
        terms=tuple(_terms(spec, currency)),
        window=str(spec.primary.window) if spec.primary and spec.primary.window else "",
    )
    if control is None or _causal(trust):
        return known
    return _with_effects(known, ElsewhereEffects(table, spec, control))


def _causal(trust: Trust) -> tuple[str, ...]:
    return tuple(check.detail for check in trust.failed("no verdict") if check.name in _CAUSAL)


def _unclaimed(trust: Trust) -> Verdict:
    """No verdict, because nothing can be claimed; replaced where something can."""
    reasons = _causal(trust)
    return Verdict("no_verdict", f"No effect can be claimed: {reasons[0]}" if reasons else "", reasons)


def _with_effects(known: ElsewhereReadout, effects: ElsewhereEffects) -> ElsewhereReadout:
    parts, tests = effects.cuts()
    guards, paid = guards_of(effects), effects.economics()
    return replace(
        known,
        comparisons=tuple(effects.declared()),
        parts=parts,
        heterogeneity=tests,
        guards=guards,
        economics=paid,
        verdict=decide_elsewhere(effects, known.trust, guards, paid, known.currency),
    )


def _figures(table: UnitsTable, arms: list[str]) -> Iterator[ArmFigures]:
    """What each arm did on every metric."""
    whole = sum(table.arms.values())
    for arm in arms:
        found = table.statistics[arm]
        share = float(table.spec.split[arm]) if arm in table.spec.split else found.n / whole
        metrics = {
            name: Moment(found.mean(name), float(found.sums[name]), found.variance(name)) for name in table.spec.metrics
        }
        yield ArmFigures(arm, found.n, share, metrics)


def _terms(spec: ElsewhereSpec, currency: str) -> Iterator[tuple[str, str]]:
    """The rules as label and text."""
    if spec.split:
        yield "Split", ", ".join(f"{arm} {percent(part)}" for arm, part in spec.split.items())
    window = spec.primary.window if spec.primary else None
    yield "Primary metric", f"{spec.judged} within {window}" if window else spec.judged
    yield "Alpha", percent(spec.alpha)
    settings = spec.economics
    if spec.units.control:
        roll_out, stop = rules(spec, money=bool(settings and spec.revenue and spec.response))
        yield "Roll out when", roll_out.text
        yield "Stop when", stop.text
    if settings:
        costs = ", ".join(f"{arm} {each:f}" for arm, each in settings.cost_per_unit.items()) or "0"
        margin = f"margin {percent(settings.margin_rate)}"
        yield "Economics", f"{margin}; cost per unit {costs}; fixed {settings.fixed:f}{amounts(currency)}"
