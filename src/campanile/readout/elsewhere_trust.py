"""Can a table of units be trusted? Chance must have drawn the arms, in the planned sizes and alike before."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from scipy import special

from campanile.design.power import smallest_detectable
from campanile.errors import CampanileError
from campanile.measure.ratio_mismatch import ALARM_BELOW, SampleRatio, srm
from campanile.measure.types import ArmStatistics
from campanile.measure.units import UnitsTable
from campanile.report.numbers import PERCENT, POINTS, p_value
from campanile.report.readout import Check, Trust
from campanile.spec.elsewhere import ElsewhereSpec

#: Fewer responders than this in control measure nothing.
LEAST_RESPONDERS = 30
#: A level with fewer expected units says nothing about balance.
_LEAST_EXPECTED = 5


def examine_units(table: UnitsTable, arms: Sequence[str]) -> Trust:
    """Every check, made before any effect is looked at."""
    spec = table.spec
    ratio, sizes = _sizes(table)
    checks = [_randomised(spec), sizes, _balance(table, arms)]
    if spec.units.control:
        control = table.statistics[spec.units.control]
        checks += [_responders(control, spec), _power(table, control)]
    return Trust(ratio, tuple(checks))


def _randomised(spec: ElsewhereSpec) -> Check:
    if spec.units.control is None:
        told = "the table has no control that was drawn at random, so nobody knows what would have happened anyway."
        return Check("randomised", passed=False, detail=told, consequence="no verdict")
    if not spec.randomised:
        told = "the arms were not drawn at random, so they differ by more than the campaign."
        return Check("randomised", passed=False, detail=told, consequence="no verdict")
    return Check("randomised", passed=True, detail="The file says that chance decided the arms.")


def _sizes(table: UnitsTable) -> tuple[SampleRatio | None, Check]:
    if not table.spec.split:
        told = "The planned split is not known, so the sizes cannot be checked: add split to the file."
        return None, Check("srm", None, told, "no verdict")
    try:
        ratio = srm(table.arms, table.spec.split)
    except CampanileError as error:
        return None, Check("srm", passed=False, detail=f"{error.what}.", consequence="no verdict")
    told = ", ".join(f"{arm} {n:,} (planned {ratio.expected[arm]:,.0f})" for arm, n in sorted(table.arms.items()))
    return ratio, Check("srm", not ratio.alarm, f"{told}: p {p_value(ratio.p_value)}.", "no verdict")


def _balance(table: UnitsTable, arms: Sequence[str]) -> Check:
    """Whether what was known before is spread alike over the arms: chi-square by cut, corrected for their number."""
    if not table.spec.cuts:
        return Check("balance", None, "The file names nothing that was known before the experiment.")
    found = {cut: unlike(table.by_level(cut), arms) for cut in table.spec.cuts}
    cut = min(found, key=lambda name: found[name])
    corrected = min(1.0, found[cut] * len(found))
    if corrected >= ALARM_BELOW:
        told = f"The arms are alike in {', '.join(found)} (smallest p {p_value(corrected)}, corrected)."
        return Check("balance", passed=True, detail=told, consequence="no verdict")
    told = f"the arms differ in {cut}, which was known before (p {p_value(corrected)}): chance did not draw them."
    return Check("balance", passed=False, detail=told, consequence="no verdict")


def unlike(levels: Mapping[str, Mapping[str, ArmStatistics]], arms: Sequence[str]) -> float:
    """The p-value of the chi-square test that all arms have the same shares of every level; 1.0 without a test."""
    counts = [[level[arm].n if arm in level else 0 for arm in arms] for level in levels.values()]
    columns = [sum(row[index] for row in counts) for index in range(len(arms))]
    whole = sum(columns)
    tested = [row for row in counts if sum(row) * min(columns) / whole >= _LEAST_EXPECTED]
    if len(tested) < 2:
        return 1.0
    sizes = [sum(row[index] for row in tested) for index in range(len(arms))]
    total = sum(sizes)
    statistic = 0.0
    for row in tested:
        for index, size in enumerate(sizes):
            expected = sum(row) * size / total
            statistic += (row[index] - expected) ** 2 / expected
    return float(special.chdtrc((len(tested) - 1) * (len(arms) - 1), statistic))


def _responders(control: ArmStatistics, spec: ElsewhereSpec) -> Check:
    name = spec.response or spec.judged
    responders = control.nonzero[name]
    few = responders < LEAST_RESPONDERS
    told = f"{responders:,} units of control have {name}"
    told += f", fewer than {LEAST_RESPONDERS}: intervals are wide and the verdict is uncertain." if few else "."
    return Check("control_buyers", not few, told, "noted")


def _power(table: UnitsTable, control: ArmStatistics) -> Check:
    """What the smallest arm could show, from the expected baseline or else from control's rate."""
    spec = table.spec
    primary, name = spec.primary, spec.judged
    if spec.metrics[name].kind != "rate":
        return Check("power", None, "Computed for rates only; the width of the interval says what was detectable.")
    known = primary.baseline if primary else None
    baseline = float(known) if known is not None else control.mean(name)
    if not 0 < baseline < 1:
        return Check(
            "power", None, f"Control's {name} is {PERCENT.text(baseline)}, which nothing can be measured from."
        )
    others = [arm for arm in table.arms if arm != control.arm]
    alpha = float(spec.alpha) / len(others)
    smallest = min(table.arms[arm] for arm in others)
    found = smallest_detectable(control.n, smallest, baseline, alpha=alpha, power=float(spec.power)).absolute
    told = f"With {spec.power:.0%} power it shows differences from {POINTS.text(found).removeprefix('+')} up"
    if primary is None or primary.expect is None:
        return Check("power", None, f"{told}; nothing was said of what was expected.")
    expected = abs(float(primary.expect) - baseline)
    return Check("power", expected >= found, f"{told}; {POINTS.text(expected).removeprefix('+')} were expected.")
