"""Runs one piece of work in a fresh process and reports its CPU seconds, wall seconds and peak memory.

CPU seconds are the figure to trust on a shared machine; ratios are between works of the same command.
"""

from __future__ import annotations

import json
import math
import resource
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Cost:
    """What one piece of work took. `answer` is what it computed, to compare with the reference's."""

    cpu: float
    wall: float
    peak_mb: float
    answer: Any

    def __add__(self, other: Cost) -> Cost:
        """Both, one after the other."""
        peak = max(self.peak_mb, other.peak_mb)
        return Cost(self.cpu + other.cpu, self.wall + other.wall, peak, self.answer)

    def scaled(self, factor: float) -> Cost:
        """As if there had been so many times as much to do; memory stays."""
        return replace(self, cpu=self.cpu * factor, wall=self.wall * factor)


@dataclass(frozen=True)
class Row:
    """One line of the table: ours beside the reference. `size` counts what the stage works on."""

    stage: str
    size: int
    ours: Cost
    reference: Cost | None
    against: str

    def cells(self) -> list[str]:
        """The line's cells as text."""
        ours, reference = self.ours, self.reference
        rate = self.size / ours.wall if ours.wall else float("nan")
        return [
            self.stage,
            f"{self.size:,}",
            f"{ours.cpu:.2f}",
            f"{reference.cpu:.2f}" if reference else "",
            f"{ours.cpu / reference.cpu:.2f}" if reference and reference.cpu else "",
            f"{rate:,.0f}",
            f"{ours.peak_mb:.0f}",
            f"{reference.peak_mb:.0f}" if reference else "",
            self.against,
        ]


class DifferentAnswersError(Exception):
    """Ours and its reference did not compute the same."""


def measured(work: Callable[..., Any], **arguments: Any) -> Cost:
    """The cost of `work(**arguments)` in a process of its own; its start and imports are not counted."""
    return measured_by(sys.executable, work, **arguments)


def measured_by(interpreter: str, work: Callable[..., Any], **arguments: Any) -> Cost:
    """As `measured`, in another interpreter."""
    target = f"{work.__module__}:{work.__qualname__}"
    command = [interpreter, "-m", "benchmarks.child", target, json.dumps(arguments)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{target} ended with {done.returncode}:\n{done.stderr}")
    return Cost(**json.loads(done.stdout.splitlines()[-1]))


def medians(works: Sequence[Callable[..., Any]], *, times: int, **arguments: Any) -> list[Cost]:
    """For each work the run with the median CPU time; the works take turns, so that all meet the same neighbours."""
    rounds = [[measured(work, **arguments) for work in works] for _ in range(times)]
    return [sorted(runs, key=lambda cost: cost.cpu)[(times - 1) // 2] for runs in zip(*rounds, strict=True)]


def check_same(what: str, answers: Sequence[Any]) -> None:
    """Nothing; DifferentAnswersError when the answers are not all equal, decimals to a billionth of their size."""
    if not all(_alike(answer, answers[0]) for answer in answers[1:]):
        raise DifferentAnswersError(f"{what}: " + " / ".join(map(str, answers)))


def _alike(one: Any, other: Any) -> bool:
    """Whether two answers are equal, but for the last digits of floats, whose sums depend on their order."""
    if isinstance(one, float) and isinstance(other, float):
        return math.isclose(one, other, rel_tol=1e-9)
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(_alike(one[key], other[key]) for key in one)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(_alike, one, other))
    return bool(one == other)


class _Clock:
    """CPU and wall seconds of this process, without those spent in `paused` blocks."""

    def __init__(self) -> None:
        self.skipped = (0.0, 0.0)

    def now(self) -> tuple[float, float]:
        usage = resource.getrusage(resource.RUSAGE_SELF)
        return usage.ru_utime + usage.ru_stime - self.skipped[0], time.perf_counter() - self.skipped[1]

    def skip(self, since: tuple[float, float]) -> None:
        cpu, wall = self.now()
        self.skipped = (self.skipped[0] + cpu - since[0], self.skipped[1] + wall - since[1])


_clock = _Clock()


@contextmanager
def paused() -> Iterator[None]:
    """What happens inside is not counted: getting the input of a stage, checking what it made."""
    began = _clock.now()
    try:
        yield
    finally:
        _clock.skip(began)


def timed(work: Callable[[], Any]) -> dict[str, Any]:
    """What a work that has loaded everything it needs takes from here to its end."""
    cpu, wall = _clock.now()
    answer = work()
    cpu_after, wall_after = _clock.now()
    return {"cpu": cpu_after - cpu, "wall": wall_after - wall, "peak_mb": _peak_mb(), "answer": answer}


def _peak_mb() -> float:
    """The most memory this process ever held; not `ru_maxrss`, which begins at its parent's."""
    status = Path("/proc/self/status")
    if status.exists():
        line = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM:"))
        return int(line.split()[1]) / 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
