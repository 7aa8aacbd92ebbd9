"""What flows share: failures that tell of nobody, a stop that loses nothing, turns in the customer database."""

from __future__ import annotations

import asyncio
import doctest
import signal
import threading
import traceback
from collections.abc import Iterator
from pathlib import Path

import pytest

from browser.prefect_world import small_shop
from campanile.errors import CampanileError
from campanile.spec.project import load_project
from flows import frame

ADDRESS = "li.wei@inbox.example"


def test_examples_in_the_docstrings() -> None:
    result = doctest.testmod(frame)
    assert result.attempted
    assert not result.failed


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (KeyError(ADDRESS), "KeyError at "),
        (CampanileError(f"no mailbox {ADDRESS}", "wait"), "no mailbox [address]; wait"),
        (frame.FlowFailure("already said"), "already said"),
    ],
)
def test_a_failure_carries_no_cause(error: Exception, said: str) -> None:
    @frame.without_personal_data
    async def body() -> None:
        try:
            int(ADDRESS)
        except ValueError:
            raise error from None

    with pytest.raises(frame.FlowFailure) as caught:
        asyncio.run(body())
    assert str(caught.value).startswith(said)
    assert caught.value.__context__ is None
    assert ADDRESS not in "".join(traceback.format_exception(caught.value))


@pytest.fixture
def told() -> Iterator[list[int]]:
    """Signals that reached whoever listened before."""
    numbers: list[int] = []
    before = signal.signal(signal.SIGTERM, lambda number, _frame: numbers.append(number))
    yield numbers
    signal.signal(signal.SIGTERM, before)


def test_sigterm_sets_stop_and_gets_its_turn_after_the_block(told: list[int]) -> None:
    async def work() -> list[bool]:
        stop, seen = asyncio.Event(), []
        with frame.gentle_stop(stop):
            signal.raise_signal(signal.SIGTERM)
            await asyncio.wait_for(stop.wait(), 5)
            seen.append(bool(told))
        return seen

    assert asyncio.run(work()) == [False]
    assert told == [signal.SIGTERM]


def test_a_stop_for_another_reason_ends_nothing(told: list[int]) -> None:
    async def work() -> None:
        stop = asyncio.Event()
        with frame.gentle_stop(stop):
            stop.set()
        signal.raise_signal(signal.SIGTERM)

    asyncio.run(work())
    assert told == [signal.SIGTERM], "only the one raised after the block, for the listener of before"


def test_runs_take_turns_in_the_customer_database(tmp_path: Path) -> None:
    shop = load_project(small_shop(tmp_path, port=9, campaigns={"spring": (0, "3d")}).root)
    inside, leave, order = threading.Event(), threading.Event(), []

    def first() -> None:
        with frame.customers(shop):
            inside.set()
            leave.wait(30)
            order.append("first")

    def second() -> None:
        inside.wait(30)
        with frame.customers(shop):
            order.append("second")

    runs = [threading.Thread(target=run) for run in (first, second)]
    for run in runs:
        run.start()
    runs[1].join(1.0)
    assert order == [], "the second waits"
    leave.set()
    for run in runs:
        run.join(30)
    assert order == ["first", "second"]
