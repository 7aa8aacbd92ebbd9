"""`make bench-send`: from a plan in the ledger to recorded receipts, beside its parts and beside what carries the mail.

Every work runs in a process of its own; its start, its plan and its imports are not counted.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from functools import partial

from benchmarks.__main__ import conditions, table
from benchmarks.harness import Cost, measured, medians
from benchmarks.sends import (
    HOME,
    VARIABLE,
    aiosmtplib,
    drop_schema,
    files,
    prepare,
    project_of,
    raw,
    record,
    render,
    send,
)
from benchmarks.sink import running_sink

#: Messages with slow replies, of which eight connections take 40 a second.
_SLOW, _LATENCY = 800, 0.05
#: More durable files than this take minutes.
_FILES = 20_000


def main() -> None:
    """Reads the options, measures and prints."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.sends", description=__doc__)
    parser.add_argument("--messages", default="20000,100000", help="sizes of plans, parted by commas")
    parser.add_argument("--times", type=int, default=1, help="runs of each work; the median by CPU counts")
    options = parser.parse_args()
    sizes = [int(word) for word in options.messages.split(",")]
    print(conditions(), end="\n\n")
    lines = [["", "messages", "us CPU each", "messages/s", "peak MB", "beside", "ratio"]]
    peaks: dict[int, float] = {}
    for size in sizes:
        lines.append([])
        for each in _measure(size, options.times):
            peaks.setdefault(size, each[2].peak_mb)
            lines.append(_line(*each))
    lines += [[], *(_line(*each) for each in _on_postgres(sizes[0]))]
    lines += [[], *(_line(*each) for each in _slowly())]
    print(table([line + [""] * 2 if len(line) > 1 else line for line in lines]))
    if len(sizes) > 1:
        print(f"\npeak memory at {sizes[-1]:,}: {peaks[sizes[-1]] / peaks[sizes[0]]:.2f} of that at {sizes[0]:,}")
    shutil.rmtree(HOME, ignore_errors=True)


Measured = tuple[str, int, Cost, str, Cost | None]


def _line(what: str, count: int, cost: Cost, beside: str, other: Cost | None) -> list[str]:
    """A line of the table; told at once too, because the whole takes minutes."""
    each = f"{cost.cpu / count * 1e6:.0f}" if cost.cpu else ""
    ratio = f"{cost.cpu / other.cpu:.2f}" if other else ""
    memory = f"{cost.peak_mb:.0f}" if cost.peak_mb else ""
    line = [what, f"{count:,}", each, f"{count / cost.wall:,.0f}", memory, beside, ratio]
    _tell("  ".join(line))
    return line


def _measure(size: int, times: int) -> Iterator[Measured]:
    """SMTP and outbox on SQLite, and their parts."""
    _tell(f"{size:,} messages")
    sent = _fresh("sqlite", size, times, partial(measured, send, ledger="sqlite"))
    ledger = _fresh("sqlite", size, times, partial(measured, record, ledger="sqlite"))
    carried, rendered, bare = medians([aiosmtplib, render, raw], times=times, ledger="sqlite", count=size)
    parts = carried + rendered + ledger
    yield "smtp", size, sent, "its parts alone", parts
    yield "smtp", size, sent, "aiosmtplib alone", carried
    yield "- rendering alone", size, rendered, "", None
    yield "- ledger alone", size, ledger, "", None
    yield "- aiosmtplib alone", size, carried, "", None
    yield "- bare sockets to the sink", size, bare, "", None
    if size <= _FILES:
        written = measured(files, ledger="sqlite", count=size)
        shutil.rmtree(HOME / "sqlite" / "bare")
        outbox = _fresh("sqlite", size, times, partial(measured, send, ledger="sqlite", via="outbox"))
        yield "outbox", size, outbox, "its parts alone", written + rendered + ledger
        yield "- durable files alone", size, written, "", None


def _fresh(ledger: str, size: int, times: int, work: Callable[[], Cost]) -> Cost:
    """The median of runs that each find a plan of which nothing is sent."""
    runs = []
    for _ in range(times):
        measured(prepare, ledger=ledger, count=size)
        runs.append(work())
    return sorted(runs, key=lambda cost: cost.cpu)[(times - 1) // 2]


def _on_postgres(size: int) -> Iterator[Measured]:
    """One and two workers on the same plan; CPU is theirs, the server's comes on top."""
    if not os.environ.get(VARIABLE):
        _tell(f"{VARIABLE} names no server: nothing is measured on PostgreSQL")
        return
    _tell("PostgreSQL")
    alone = _fresh("postgres", size, 1, partial(_workers, 1))
    yield "postgres, 1 worker", size, alone, "", None
    yield "postgres, 2 workers", size, _fresh("postgres", size, 1, partial(_workers, 2)), "1 worker", alone
    drop_schema()


def _workers(count: int) -> Cost:
    """So many processes that send the plan together: the sum of their CPU, the time until the last was done."""
    with running_sink() as sink:
        arguments = json.dumps({"ledger": "postgres", "port": sink.port})
        command = [sys.executable, "-m", "benchmarks.child", "benchmarks.sends:send", arguments]
        running = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(count)]
        costs = [Cost(**json.loads(process.communicate()[0].splitlines()[-1])) for process in running]
        taken = sink.stop().mails
    if any(process.returncode for process in running) or max(cost.answer[0] for cost in costs) != taken:
        raise RuntimeError("workers did not send what they say")
    cpu, wall, peak = sum(c.cpu for c in costs), max(c.wall for c in costs), max(c.peak_mb for c in costs)
    return Cost(cpu, wall, peak, taken)


def _slowly() -> Iterator[Measured]:
    """With 50 ms replies: messages a second beside what connections, answers for each and latency allow."""
    _tell("50 ms replies")
    sent = _fresh("sqlite", _SLOW, 1, partial(measured, send, ledger="sqlite", latency=_LATENCY))
    carried = measured(aiosmtplib, ledger="sqlite", count=_SLOW, latency=_LATENCY)
    yield "smtp, 50 ms replies", _SLOW, sent, "", None
    yield "- aiosmtplib alone", _SLOW, carried, "", None
    connections = project_of("sqlite").settings.channels["email"].connections
    rounds = sent.answer[2] / sent.answer[1]
    bound = connections / (rounds * _LATENCY)
    share = _SLOW / sent.wall / bound
    what = f"- bound of {connections} connections and {rounds:.1f} answers each; reached {share:.0%}"
    yield what, _SLOW, Cost(0.0, _SLOW / bound, 0.0, None), "", None


def _tell(what: str) -> None:
    print(what, file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
