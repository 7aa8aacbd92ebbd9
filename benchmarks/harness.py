"""Runs one piece of work in a fresh process and reports its CPU seconds, wall seconds and peak memory.

CPU seconds are the figure to trust on a shared machine; ratios are between works of the same command.
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Cost:
    """What one piece of work took. `answer` is what it computed, to compare with the reference's."""

    cpu: float
    wall: float
    peak_mb: float
    answer: Any


@dataclass(frozen=True)
class Row:
    """One line of the table: ours beside the reference."""

    stage: str
    size: int
    ours: Cost
    reference: Cost
    against: str

    def cells(self) -> list[str]:
        """The line's cells as text."""
        ratio = self.ours.cpu / self.reference.cpu if self.reference.cpu else float("nan")
        rate = self.size / self.ours.wall if self.ours.wall else float("nan")
        return [
            self.stage, f"{self.size:,}", f"{self.ours.cpu:.2f}", f"{self.reference.cpu:.2f}", f"{ratio:.2f}",
            f"{rate:,.0f}", f"{self.ours.peak_mb:.0f}", f"{self.reference.peak_mb:.0f}", self.against,
        ]


def measured(work: Callable[..., Any], **arguments: Any) -> Cost:
    """The cost of `work(**arguments)` in a process of its own; its start and imports are not counted."""
    target = f"{work.__module__}:{work.__qualname__}"
    command = [sys.executable, "-m", "benchmarks.harness", target, json.dumps(arguments)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{target} failed:\n{done.stderr}")
    return Cost(**json.loads(done.stdout.splitlines()[-1]))


def timed(work: Callable[[], Any]) -> dict[str, Any]:
    """What a work that has loaded everything it needs takes from here to its end."""
    before, started = resource.getrusage(resource.RUSAGE_SELF), time.perf_counter()
    answer = work()
    after, wall = resource.getrusage(resource.RUSAGE_SELF), time.perf_counter() - started
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return {"cpu": cpu, "wall": wall, "peak_mb": after.ru_maxrss / 1024, "answer": answer}


def _child(target: str, arguments: str) -> None:
    import importlib

    module, _, name = target.partition(":")
    prepared = getattr(importlib.import_module(module), name)(**json.loads(arguments))
    print(json.dumps(timed(prepared)))


if __name__ == "__main__":
    _child(sys.argv[1], sys.argv[2])
