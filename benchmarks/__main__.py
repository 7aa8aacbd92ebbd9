"""`python -m benchmarks`: every stage at every size in a process of its own, beside its reference; prints one table."""

from __future__ import annotations

import argparse
import os
import platform
import sys
from collections.abc import Iterator, Sequence
from importlib.metadata import version
from typing import Any

from benchmarks import assignment, planning, profiling, readout, rendering, selection, sending, shop
from benchmarks.harness import Cost, DifferentAnswersError, Row, check_same, measured, medians

_HEAD = (
    ("stage", ""), ("items", "of the stage"), ("CPU s", "ours"), ("CPU s", "reference"), ("ratio", ""),
    ("items/s", "ours, wall"), ("peak MB", "ours"), ("peak MB", "reference"), ("reference", ""),
)  # fmt: skip
_PACKAGES = ("duckdb", "ibis-framework", "jinja2", "aiosmtplib", "sqlalchemy")
#: With more messages than this, stages that take minutes are run once.
_MANY = 50_000


def main() -> None:
    """Reads the options, measures and prints."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--sizes", default="100000,1000000", help="customers of each shop, parted by commas")
    parser.add_argument("--times", type=int, default=3, help="runs of each work; the median by CPU counts")
    options = parser.parse_args()
    sizes = [int(word) for word in options.sizes.split(",")]
    print(conditions())
    measurements = {size: list(_measure(size, options.times)) for size in sizes}
    print("\n" + table([_HEAD_LINES[0], _HEAD_LINES[1], *_lines(measurements)]))
    if len(sizes) > 1:
        print("\n" + memory(measurements, sizes[0], sizes[-1]))


def _measure(size: int, times: int) -> Iterator[Row]:
    _tell(f"a shop of {size:,} customers")
    measured(shop.build, size=size)
    profile, by_hand, report = medians([profiling.ours, profiling.by_hand, profiling.report], times=times, size=size)
    check_same("profile", [profile.answer, by_hand.answer])
    yield Row("profile", size, profile, by_hand, "DuckDB SQL by hand")
    yield Row("profile, checked", size, report, None, "")
    works = [selection.ours, selection.compiled, selection.by_hand, selection.every_rule]
    *chosen, every_rule = medians(works, times=times, size=size)
    yield from _selection(size, chosen)
    yield Row("selection, every rule", size, every_rule, chosen[0], "selection with caps alone")
    yield from _assignment(size, times)
    _tell("plan")
    plan = measured(planning.plan, size=size)
    messages = sum(units for arm, units in plan.answer.items() if arm != "control")
    heavy = times if messages < _MANY else 1
    texts, mails, *rest = _rendering(size, messages, heavy)
    yield Row("plan", messages, plan, chosen[0] + mails.ours, "its selection and mails alone")
    yield from (texts, mails, *rest)
    yield from _sending(size, mails.ours, heavy)
    yield from _readout(size, messages, times)


def _selection(size: int, costs: Sequence[Cost]) -> Iterator[Row]:
    ours, compiled, by_hand = costs
    check_same("selection", [cost.answer for cost in costs])
    yield Row("selection", size, ours, by_hand, "DuckDB SQL by hand")
    yield Row("selection, SQL only", size, compiled, by_hand, "DuckDB SQL by hand")


def _assignment(size: int, times: int) -> Iterator[Row]:
    _tell("assignment")
    measured(assignment.units, size=size)
    works = [assignment.ours, assignment.stratified, assignment.hashed]
    ours, stratified, hashed = medians(works, times=times, size=size)
    wrong = assignment.differences(ours.answer, stratified.answer, hashed.answer)
    if wrong:
        raise DifferentAnswersError(f"assignment: {', '.join(wrong)}")
    yield Row("assignment", size, ours, stratified, "DuckDB sha256, exact in strata")
    yield Row("assignment", size, ours, hashed, "DuckDB sha256, one cut point")


def _rendering(size: int, messages: int, times: int) -> list[Row]:
    _tell(f"rendering {messages:,} messages")
    texts, mails, jinja = medians([rendering.texts, rendering.mails, rendering.jinja], times=times, size=size)
    check_same("rendering", [texts.answer, mails.answer, jinja.answer])
    skeleton, stdlib = medians([rendering.skeleton, rendering.email_message], times=max(times, 3), size=size)
    check_same("mail bytes", [skeleton.answer, stdlib.answer])
    sample = skeleton.answer[0]
    return [
        Row("texts", messages, texts, jinja, "jinja2 SandboxedEnvironment"),
        Row("mails", messages, mails, jinja + stdlib.scaled(messages / sample), "jinja2 + EmailMessage (scaled)"),
        Row("mail bytes", sample, skeleton, stdlib, "EmailMessage"),
    ]


def _sending(size: int, mails: Cost, times: int) -> Iterator[Row]:
    _tell("sending")
    ours, bare = medians([sending.ours, sending.bare], times=times, size=size)
    check_same("sending", [*ours.answer, *bare.answer])
    messages = ours.answer[0]
    yield Row("sending", messages, ours, bare, "aiosmtplib, mails ready")
    yield Row("sending", messages, ours, bare + mails, "aiosmtplib + our mails alone")


def _readout(size: int, messages: int, times: int) -> Iterator[Row]:
    _tell("readout")
    measured(shop.react, size=size)
    yield Row("history", messages, measured(readout.history, size=size), None, "")
    ours, by_hand = medians([readout.ours, readout.by_hand], times=times, size=size)
    check_same("readout", [ours.answer, by_hand.answer])
    assigned = sum(figures[0] for figures in ours.answer.values())
    yield Row("readout", assigned, ours, by_hand, "DuckDB SQL by hand")


_HEAD_LINES = [[words[line] for words in _HEAD] for line in (0, 1)]


def _lines(measurements: dict[int, list[Row]]) -> Iterator[list[str]]:
    for size, rows in measurements.items():
        yield []
        yield [f"{size:,} customers"]
        yield from (row.cells() for row in rows)


def memory(measurements: dict[int, list[Row]], small: int, large: int) -> str:
    """How the peak memory of each stage grows from the smaller to the larger shop."""
    first, last = ({row.stage: row.ours for row in measurements[size]} for size in (small, large))
    lines = [["peak MB, ours", f"{small:,}", f"{large:,}", "ratio"]]
    for stage, cost in first.items():
        before, after = cost.peak_mb, last[stage].peak_mb
        lines.append([stage, f"{before:.0f}", f"{after:.0f}", f"{after / before:.2f}"])
    return table(lines)


def table(lines: Sequence[Sequence[str]]) -> str:
    """The lines in columns; the first and the ninth column to the left, figures to the right."""
    wide = [line for line in lines if len(line) > 1]
    widths = [max(len(line[column]) for line in wide) for column in range(len(wide[0]))]
    sides = [">" if 0 < column < 8 else "<" for column in range(len(widths))]
    return "\n".join(
        "  ".join(f"{cell:{side}{width}}" for cell, side, width in zip(line, sides, widths, strict=False)).rstrip()
        for line in lines
    )


def conditions() -> str:
    """The machine, its load and the versions, in one line."""
    packages = ", ".join(f"{name} {version(name)}" for name in _PACKAGES)
    load = ", ".join(f"{figure:.1f}" for figure in os.getloadavg())
    return f"{os.cpu_count()} cores, load {load} at the start; Python {platform.python_version()}, {packages}"


def _tell(what: Any) -> None:
    print(what, file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
