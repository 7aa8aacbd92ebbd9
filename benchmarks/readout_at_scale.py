"""`python -m benchmarks.readout_at_scale`: a readout of millions, beside SQL written by hand and beside tea-tasting."""

from __future__ import annotations

import argparse
import math
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

from benchmarks import assigned, reading, tea
from benchmarks.__main__ import conditions, table
from benchmarks.harness import Cost, DifferentAnswersError, check_same, measured, measured_by, medians

_HEAD = (
    ["stage", "CPU s", "CPU s", "ratio", "wall s", "wall s", "peak MB", "peak MB", "reference"],
    ["", "ours", "reference", "", "ours", "reference", "ours", "reference", ""],
)


def main() -> None:
    """Reads the options, measures and prints."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.readout_at_scale", description=__doc__)
    parser.add_argument("--customers", default="10000000", help="assigned customers of each shop, parted by commas")
    parser.add_argument("--times", type=int, default=1, help="runs of each work; the median by CPU counts")
    parser.add_argument("--tea", default=sys.executable, help="an interpreter that has tea-tasting 1.14")
    options = parser.parse_args()
    print(conditions(), flush=True)
    for size in (int(word) for word in options.customers.split(",")):
        print("\n" + table([*_HEAD, [], *_measure(size, options.times, options.tea)]), flush=True)


def _measure(size: int, times: int, interpreter: str) -> Iterator[list[str]]:
    _tell(f"an experiment with {size:,} customers")
    rows = measured(assigned.build, customers=size).answer
    yield [f"{size:,} assigned, {rows['order']:,} orders, five metrics, {len(assigned.CUTS)} cuts"]
    _tell("from orders")
    ours, by_hand = medians([reading.ours, reading.by_hand], times=times, customers=size)
    check_same("readout", [ours.answer, by_hand.answer])
    yield _line("readout, from orders", ours, by_hand, "SQL by hand, one scan of outcomes")
    _tell("a table of units")
    outcomes = measured(reading.outcomes_by_hand, customers=size)
    table_of, sets = medians([reading.elsewhere, reading.elsewhere_by_hand], times=times, customers=size)
    check_same("readout --from", [table_of.answer, sets.answer])
    yield _line("readout --from, units", table_of, sets, "SQL by hand, one scan of the file")
    yield from _beside_tea(interpreter, size, ours, table_of, outcomes)


def _beside_tea(interpreter: str, size: int, ours: Cost, table_of: Cost, outcomes: Cost) -> Iterator[list[str]]:
    """The lines with tea-tasting; one that says so where the interpreter has none."""
    version = _version(interpreter)
    if version is None:
        yield ["tea-tasting is not installed: give --tea the interpreter of an environment with tea-tasting==1.14.0"]
        return
    _tell(f"tea-tasting {version}")
    cuts = list(assigned.CUTS)
    found = measured_by(interpreter, tea.analysed, path=str(assigned.outcomes_file(size)), cuts=cuts)
    _check_means(table_of, found)
    yield _line("readout --from, units", table_of, found, f"tea-tasting {version}, all and every level")
    yield _line("readout, from orders", ours, outcomes + found, f"SQL for outcomes, then tea-tasting {version}")


def _version(interpreter: str) -> str | None:
    code = "import tea_tasting; print(tea_tasting.__version__)"
    done = subprocess.run([interpreter, "-c", code], capture_output=True, text=True, check=False)
    return done.stdout.strip() if done.returncode == 0 else None


def _check_means(ours: Cost, theirs: Cost) -> None:
    """Nothing; DifferentAnswersError when tea-tasting has other means (ours are in millionths but for the rate)."""
    for arm, means in theirs.answer.items():
        for name, mine, other in zip(tea.METRICS, ours.answer[arm][1:], means, strict=True):
            scale = 1 if name == "responded" else 10**6
            if not math.isclose(mine / scale, other, rel_tol=1e-5):
                raise DifferentAnswersError(f"{name} of {arm}: {mine / scale} and {other}")


def _line(stage: str, ours: Cost, reference: Cost, against: str) -> list[str]:
    return [
        stage, f"{ours.cpu:.2f}", f"{reference.cpu:.2f}", f"{ours.cpu / reference.cpu:.2f}", f"{ours.wall:.1f}",
        f"{reference.wall:.1f}", f"{ours.peak_mb:.0f}", f"{reference.peak_mb:.0f}", against,
    ]  # fmt: skip


def _tell(what: Any) -> None:
    print(what, file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
