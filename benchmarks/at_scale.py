"""`python -m benchmarks.at_scale`: selection among millions beside SQL written by hand on the same file."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Generator, Iterator
from typing import Any

from benchmarks import audience, by_hand, crowd, in_pandas
from benchmarks.__main__ import conditions, table
from benchmarks.harness import Cost, DifferentAnswersError, check_same, measured, medians

_HEAD = (
    ["stage", "CPU s", "CPU s", "ratio", "goal", "wall s", "peak MB", "peak MB", "reference"],
    ["", "ours", "reference", "", "at most", "ours", "ours", "reference", ""],
)
#: With more customers pandas wants more memory than there is.
_PANDAS_AT_MOST = 1_000_000
#: By how much the audiences may differ whose quintiles cut ties apart and not.
_TIES = 0.02


def main() -> None:
    """Reads the options, measures and prints."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.at_scale", description=__doc__)
    parser.add_argument("--customers", default="1000000,10000000", help="customers of each shop, parted by commas")
    parser.add_argument("--times", type=int, default=3, help="runs of each work; the median by CPU counts")
    parser.add_argument("--ready", action="store_true", help="only what reads a ready profile, made when there is none")
    options = parser.parse_args()
    print(conditions(), flush=True)
    for size in (int(word) for word in options.customers.split(",")):
        lines = []
        for line in _measure(size, options.times, ready=options.ready):
            _tell("  " + " | ".join(line))
            lines.append(line)
        print("\n" + table([*_HEAD, [], *lines]), flush=True)


def _measure(size: int, times: int, *, ready: bool) -> Iterator[list[str]]:
    _tell(f"a shop of {size:,} customers")
    rows = measured(crowd.build, customers=size).answer
    yield [f"{size:,} customers, {rows['order']:,} orders, {rows['bought']:,} order lines"]
    if ready:
        measured(audience.with_profile, customers=size)
        full_by_hand = measured(by_hand.full, customers=size)
    else:
        full, full_by_hand = yield from _from_orders(size, times)
    found = yield from _selection(size, times, full_by_hand)
    check_same("selection", [full_by_hand.answer, found.answer])
    if not ready:
        yield from _memory(size, full)
        yield from _in_pandas(size, full)
    yield from _assignment(size, times)
    yield from _criteria(size, times)


def _from_orders(size: int, times: int) -> Generator[list[str], None, tuple[Cost, Cost]]:
    """The lines of profile and selection; ours and by hand from raw orders."""
    _tell("profile")
    works = [audience.profile, audience.lean, by_hand.profile]
    profile, lean, profile_by_hand = medians(works, times=times, customers=size)
    check_same("profile", [profile.answer, lean.answer, profile_by_hand.answer])
    yield _line("profile, no dear column", lean, profile_by_hand, "", "SQL by hand, scores and stages")
    yield _line("profile, every column", profile, profile_by_hand, "", "SQL by hand, scores and stages")
    _tell("from raw orders")
    works = [audience.full, by_hand.full, by_hand.full_by_time]
    full, full_by_hand, by_time = medians(works, times=times, customers=size)
    check_same("from raw orders", [full.answer, full_by_hand.answer])
    _check_alike(full.answer[0], by_time.answer[0])
    yield _line("profile, then selection", full, full_by_hand, "1.15", "SQL by hand, cut points")
    yield _line("profile, then selection", full, by_time, "0.60", "SQL by hand, orders by time, ntile")
    return full, full_by_hand


def _selection(size: int, times: int, full_by_hand: Cost) -> Generator[list[str], None, Cost]:
    """The lines of both targets over the ready profile; ours of the one that asks orders too."""
    _tell("selection on the ready profile")
    asks = [audience.selected, audience.compiled, by_hand.selected]
    found, compiled, found_by_hand = medians(asks, times=times, customers=size)
    reads = [audience.ready, audience.ready_compiled, by_hand.ready]
    ready, ready_compiled, ready_by_hand = medians(reads, times=times, customers=size)
    check_same("selection, orders", [found.answer, compiled.answer, found_by_hand.answer])
    check_same("selection, fields", [ready.answer, ready_compiled.answer, ready_by_hand.answer])
    yield _line("orders asked too", found, found_by_hand, "", "SQL by hand, the ready profile")
    yield _line("orders asked too, SQL only", compiled, found_by_hand, "1.15", "SQL by hand, the ready profile")
    yield _line("fields only", ready, ready_by_hand, "1.20", "SQL by hand, the ready profile")
    yield _line("fields only, SQL only", ready_compiled, ready_by_hand, "1.20", "SQL by hand, the ready profile")
    yield _line("fields only", ready, full_by_hand, "0.05", "SQL by hand, from raw orders")
    yield _line("fields only, SQL only", ready_compiled, full_by_hand, "0.05", "SQL by hand, from raw orders")
    return found


def _in_pandas(size: int, full: Cost) -> Iterator[list[str]]:
    if size <= _PANDAS_AT_MOST:
        _tell("pandas")
        frames = measured(in_pandas.full, customers=size)
        check_same("pandas", [frames.answer, full.answer])
        yield _line("profile, then selection", full, frames, "", "pandas, only what the target needs")


def _memory(size: int, free: Cost) -> Iterator[list[str]]:
    for limit in ("2GB", "1GB"):
        _tell(f"in {limit}")
        try:
            bounded = measured(audience.full, customers=size, memory=limit)
        except RuntimeError as error:
            if "ran out of memory" not in str(error):
                raise
            yield [f"the same in {limit}", "does not fit", *[""] * 7]
            continue
        check_same(limit, [bounded.answer, free.answer])
        yield _line(f"the same in {limit}", bounded, free, "", "ours without that limit")


def _assignment(size: int, times: int) -> Iterator[list[str]]:
    _tell("assignment")
    measured(audience.units, customers=size)
    ours, bare = medians([audience.assigned, audience.hashed], times=times, customers=size)
    if abs(ours.answer - bare.answer) > 5 * (size * 0.2 * 0.8) ** 0.5:
        raise DifferentAnswersError(f"assignment: {ours.answer} and {bare.answer} of {size}")
    yield _line("assignment, strata", ours, bare, "2.50", "sha256 of the same ids, one cut point")


def _criteria(size: int, times: int) -> Iterator[list[str]]:
    numbers = (1, 2, 5, 10)
    _tell("criteria")
    rounds = [[measured(audience.criteria, customers=size, number=number) for number in numbers] for _ in range(times)]
    middle = [sorted(runs, key=lambda cost: cost.cpu)[(times - 1) // 2] for runs in zip(*rounds, strict=True)]
    for number, cost in zip(numbers, middle, strict=True):
        yield _line(f"criteria: {number}", cost, middle[1], "", "two criteria, one of each event table")


def _check_alike(ours: int, theirs: int) -> None:
    """Nothing; DifferentAnswersError when two audiences differ by more than the customers at a cut point."""
    if abs(ours - theirs) > _TIES * ours:
        raise DifferentAnswersError(f"by time, with ntile: {theirs} instead of {ours}")


def _line(stage: str, ours: Cost, reference: Cost, goal: str, against: str) -> list[str]:
    return [
        stage, f"{ours.cpu:.2f}", f"{reference.cpu:.2f}", f"{ours.cpu / reference.cpu:.2f}", goal, f"{ours.wall:.1f}",
        f"{ours.peak_mb:.0f}", f"{reference.peak_mb:.0f}", against,
    ]  # fmt: skip


def _tell(what: Any) -> None:
    print(what, file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
