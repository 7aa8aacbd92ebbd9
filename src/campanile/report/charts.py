"""The drawings of a readout: rates by arm, differences, effects by level, responders over time, delivery.

Reads values of the readout. Returns drawings with the same content in words, or None where there is nothing to draw.
"""

from __future__ import annotations

from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, MaxNLocator

from campanile.events import CONTROL, MessageState
from campanile.measure.cuts import Part
from campanile.measure.types import Comparison
from campanile.report import svg
from campanile.report.document import Drawing
from campanile.report.numbers import PERCENT, Unit
from campanile.report.readout import ArmFigures, Curve, Delivery

_WIDTH = 4.6

#: Tone of each state, in the order of drawing.
_STATE_TONES: dict[str, str] = {
    MessageState.ACCEPTED: "good",
    MessageState.UNKNOWN: "care",
    MessageState.REJECTED: "bad",
    MessageState.SUPPRESSED: "wait",
    MessageState.EXPIRED: "wait",
    MessageState.HELD: "wait",
    MessageState.DUE: "wait",
    MessageState.CLAIMED: "wait",
}


def colours(arms: Sequence[str]) -> dict[str, str]:
    """The colour of each arm, the same in every drawing."""
    treatments = [arm for arm in arms if arm != CONTROL]
    return {CONTROL: svg.series(0), **{arm: svg.series(number) for number, arm in enumerate(treatments, 1)}}


def rates(arms: Sequence[ArmFigures], metric: str, *, title: str, unit: Unit) -> Drawing | None:
    """Mean of one metric by arm, with its interval where there is one."""
    known = [(arm, arm.metrics[metric]) for arm in arms if arm.metrics and metric in arm.metrics]
    if not known:
        return None
    palette = colours([arm.arm for arm, _ in known])
    words = []
    with svg.canvas(_WIDTH, 0.75 + 0.45 * len(known)) as figure:
        axes = figure.subplots()
        for row, (arm, moment) in enumerate(known):
            low, high = moment.low, moment.high
            if low is not None and high is not None:
                axes.plot([low, high], [row, row], color=palette[arm.arm], linewidth=2.5, solid_capstyle="round")
            axes.plot([moment.mean], [row], "o", color=palette[arm.arm], markersize=8)
            label = unit.text(moment.mean)
            axes.annotate(label, (moment.mean, row), (0, 8), textcoords="offset points", ha="center", fontweight="bold")
            words.append(f"{arm.arm}: {label} ({unit.interval(low, high)}) of {arm.n:,} customers")
        _rows(axes, [arm.arm for arm, _ in known])
        _units(axes, unit)
        text = "; ".join(words) + "."
        return Drawing("rates", title, text, svg.to_svg(figure, name="rates", title=title, description=text))


def differences(
    found: Sequence[Comparison], *, title: str, unit: Unit, break_even: dict[str, float | None]
) -> Drawing | None:
    """Difference from control by treatment, with interval, zero and the treatment's break-even."""
    known = [comparison for comparison in found if comparison.low is not None and comparison.high is not None]
    if not known:
        return None
    palette = colours([comparison.treatment for comparison in known])
    with svg.canvas(_WIDTH, 0.75 + 0.5 * len(known)) as figure:
        axes = figure.subplots()
        axes.axvline(0, color=svg.MUTED, linewidth=1)
        for row, comparison in enumerate(known):
            _dot(axes, row, comparison, unit, palette[comparison.treatment])
            even = break_even.get(comparison.treatment)
            if even is not None:
                axes.plot([even, even], [row - 0.32, row + 0.32], color=svg.INK, linewidth=1.5, linestyle=(0, (2, 1.5)))
        marked = any(even is not None for even in break_even.values())
        _rows(axes, [comparison.treatment for comparison in known])
        _units(axes, unit, "dashed mark: break-even" if marked else "")
        text = "; ".join(_told(comparison, unit, break_even.get(comparison.treatment)) for comparison in known) + "."
        drawn = svg.to_svg(figure, name="differences", title=title, description=text)
        return Drawing("differences", title, text, drawn)


def _dot(axes: Axes, row: int, found: Comparison, unit: Unit, colour: str) -> None:
    """One difference with its interval and its figure above it."""
    low, high = found.low or 0.0, found.high or 0.0
    axes.plot([low, high], [row, row], color=colour, linewidth=2.5, solid_capstyle="round")
    axes.plot([found.difference], [row], "o", color=colour, markersize=8)
    label = unit.text(found.difference)
    axes.annotate(label, (found.difference, row), (0, 8), textcoords="offset points", ha="center", fontweight="bold")


def _told(found: Comparison, unit: Unit, even: float | None) -> str:
    words = f"{found.treatment}: {unit.text(found.difference)} ({unit.interval(found.low, found.high)})"
    return words if even is None else f"{words}, break-even at {unit.text(even)}"


def forest(found: Sequence[Part], *, name: str, title: str, unit: Unit) -> Drawing | None:
    """Difference by level with its interval; an open ring is the difference drawn towards the mean of all levels."""
    known = [(each, each.comparison.low, each.comparison.high) for each in found]
    sure = [(each, low, high) for each, low, high in known if low is not None and high is not None]
    if len(sure) < 2:
        return None
    with svg.canvas(_WIDTH, 0.75 + 0.36 * len(sure)) as figure:
        axes = figure.subplots()
        axes.axvline(0, color=svg.MUTED, linewidth=1)
        for row, (each, low, high) in enumerate(sure):
            axes.plot([low, high], [row, row], color=svg.series(1), linewidth=2, solid_capstyle="round")
            axes.plot([each.comparison.difference], [row], "o", color=svg.series(1), markersize=6)
            if each.shrunken is not None:
                axes.plot([each.shrunken], [row], "o", color=svg.INK, markersize=9, fillstyle="none")
        _rows(axes, [each.comparison.level or "" for each, _, _ in sure])
        _units(axes, unit, "ring: shrunken")
        text = "; ".join(_level_told(each, unit) for each, _, _ in sure) + "."
        return Drawing(name, title, text, svg.to_svg(figure, name=name, title=title, description=text))


def _level_told(each: Part, unit: Unit) -> str:
    found = each.comparison
    limits = unit.interval(found.low, found.high)
    return f"{found.level}: {unit.text(found.difference)} ({limits}), shrunken {unit.text(each.shrunken)}"


def curves(found: Sequence[Curve], *, title: str) -> Drawing | None:
    """Share of each arm that had responded by the end of each day of the window."""
    if not any(sum(curve.responders) for curve in found):
        return None
    palette = colours([curve.arm for curve in found])
    with svg.canvas(_WIDTH, 2.5) as figure:
        axes = figure.subplots()
        for curve in found:
            shares = [0.0, *(responders / curve.n for responders in curve.responders)]
            axes.plot(range(len(shares)), shares, color=palette[curve.arm], linewidth=2, drawstyle="steps-post")
        _ends(axes, found, palette)
        axes.set_xlabel("day of the window")
        axes.set_ylim(bottom=0)
        axes.set_xlim(0, len(found[0].responders) * 1.02)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.yaxis.set_major_formatter(FuncFormatter(lambda share, _: PERCENT.text(share)))
        axes.yaxis.set_major_locator(MaxNLocator(5))
        axes.tick_params(length=0)
        axes.grid(axis="y")
        text = "; ".join(f"{curve.arm}: {curve.responders[-1]:,} of {curve.n:,}" for curve in found) + " by the end."
        return Drawing("curves", title, text, svg.to_svg(figure, name="curves", title=title, description=text))


def _ends(axes: Axes, found: Sequence[Curve], palette: dict[str, str]) -> None:
    """Names of the arms at the end of their lines, moved apart where lines end close together."""
    ends = sorted((curve.responders[-1] / curve.n, curve.arm) for curve in found)
    gap = 0.07 * max(share for share, _ in ends)
    at = -gap
    for share, arm in ends:
        at = max(share, at + gap)
        axes.annotate(
            _short(arm), (len(found[0].responders), at), (5, 0), textcoords="offset points", va="center",
            color=palette[arm], fontweight="bold", annotation_clip=False,
        )  # fmt: skip


def delivery(found: Sequence[Delivery], *, title: str) -> Drawing | None:
    """Where each arm's messages stand, as shares of what was planned."""
    known = [account for account in found if account.planned]
    if not known:
        return None
    states = [state for state in _STATE_TONES if any(account.states.get(state) for account in known)]
    with svg.canvas(_WIDTH, 0.6 + 0.42 * len(known) + 0.22 * ((len(states) + 2) // 3)) as figure:
        axes = figure.subplots()
        for row, account in enumerate(known):
            left = 0.0
            for state in states:
                share = account.states.get(state, 0) / account.planned
                axes.barh(
                    row, share, left=left, height=0.55, color=svg.tone(_STATE_TONES[state]), edgecolor=svg.SURFACE,
                    linewidth=0.8, label=state if row == 0 else None, alpha=_shade(state, states),
                )  # fmt: skip
                left += share
        _rows(axes, [account.arm for account in known])
        axes.set_xlim(0, 1)
        axes.xaxis.set_major_formatter(FuncFormatter(lambda share, _: f"{share * 100:.0f}%"))
        axes.grid(visible=False)
        figure.legend(loc="outside lower left", ncols=3, frameon=False, handlelength=1, fontsize=9)
        text = "; ".join(_states(account) for account in known) + "."
        return Drawing("delivery", title, text, svg.to_svg(figure, name="delivery", title=title, description=text))


def _shade(state: str, states: Sequence[str]) -> float:
    """States of one tone are told apart by their strength."""
    alike = [other for other in states if _STATE_TONES[other] == _STATE_TONES[state]]
    return 1 - 0.6 * alike.index(state) / len(alike)


def _states(account: Delivery) -> str:
    counts = ", ".join(f"{count:,} {state}" for state, count in account.states.items() if count)
    return f"{account.arm}: {counts} of {account.planned:,} planned"


def _rows(axes: Axes, names: Sequence[str]) -> None:
    """One row a name, the first on top."""
    axes.set_yticks(range(len(names)), [_short(name) for name in names])
    axes.set_ylim(len(names) - 0.4, -0.75)
    axes.tick_params(length=0)


def _short(name: str) -> str:
    """The name as far as a drawing has room for it.

    >>> _short("treatment"), _short("ten percent off everything")
    ('treatment', 'ten percent o…')
    """
    return name if len(name) <= 14 else f"{name[:13]}…"


def _units(axes: Axes, unit: Unit, note: str = "") -> None:
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: unit.text(value).removesuffix(unit.suffix)))
    axes.xaxis.set_major_locator(MaxNLocator(5))
    axes.grid(axis="x")
    axes.set_xlabel("; ".join(filter(None, (unit.suffix.strip(), note))))
    axes.margins(x=0.12)
