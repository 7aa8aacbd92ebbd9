"""What every flow shares: the project, the campaign drop-down, a gentle stop, and failures without personal data."""

from __future__ import annotations

import asyncio
import fcntl
import functools
import os
import re
import signal
import traceback
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from textwrap import wrap
from typing import ParamSpec, TypeVar

import campanile
from campanile.customers.database import CustomerDatabase
from campanile.errors import CampanileError
from campanile.privacy import redact
from campanile.spec.project import Project, load_project

#: The folder of the project that these flows serve.
ROOT = Path(os.environ.get("CAMPANILE_PROJECT", Path(__file__).parents[1])).resolve()
#: Where its stores lie, when not where campanile.yaml says.
HOME = Path(os.environ["CAMPANILE_HOME"]).resolve() if "CAMPANILE_HOME" in os.environ else None

#: The committed campaigns, as they were when this process began: the run form shows them as a drop-down.
CampaignName = StrEnum(  # type: ignore[misc]  # made from the files, so that the form follows git
    "CampaignName", {path.stem: path.stem for path in sorted((ROOT / "campaigns").glob("*.yaml"))}
)

#: Characters of a fixed-width line that Prefect's artifact page shows without scrolling.
_WIDTH = 82
_OURS = tuple(str(Path(file).resolve().parent) for file in (campanile.__file__, __file__))
_Parameters = ParamSpec("_Parameters")
_Result = TypeVar("_Result")


class Mode(StrEnum):
    """Whether a run hands messages over."""

    DRY_RUN = "dry-run"
    SEND = "send"


class FlowFailure(Exception):  # noqa: N818 - the name is what the operator reads first
    """What Prefect stores of a failure: a sentence without contact data."""

    #: Its traceback leads through Prefect and tells nobody anything, so that the log leaves it out.
    says_it_all = True


def project() -> Project:
    """The project as it is committed now."""
    return load_project(ROOT, home=HOME)


@contextmanager
def customers(shop: Project) -> Iterator[CustomerDatabase]:
    """The open customer database; waits for another run that has it. DuckDB lets one process in."""
    shop.database_path.parent.mkdir(parents=True, exist_ok=True)
    with shop.database_path.with_suffix(".turn").open("w") as turn:
        fcntl.flock(turn, fcntl.LOCK_EX)
        with CustomerDatabase.open(shop) as database:
            yield database


def artifact_key(kind: str, campaign: str) -> str:
    """The key of a campaign's artifact, as Prefect allows it: lower case, digits and dashes.

    >>> artifact_key("plan", "Spring_Sale 2")
    'plan-spring-sale-2'
    """
    return re.sub(r"[^a-z0-9]+", "-", f"{kind}-{campaign}".lower()).strip("-")


def as_markdown(text: str) -> str:
    r"""The text as a block of fixed-width Markdown, long lines wrapped under their last column.

    >>> print(as_markdown("- " + "word " * 20))
    ```text
    - word word word word word word word word word word word word word word word word
      word word word word
    ```
    """
    lines = (
        wrap(line, _WIDTH, subsequent_indent=" " * _last_column(line), break_long_words=False, break_on_hyphens=False)
        or [""]
        for line in text.splitlines()
    )
    return "\n".join(["```text", *(part for parts in lines for part in parts), "```"])


def _last_column(line: str) -> int:
    """Where the last column of a line begins, behind a list's dash; 2 when the line has no columns or no room."""
    column = max((found.end() for found in re.finditer(r"  +(- )?|^- ", line)), default=2)
    return column if column < _WIDTH - 20 else 2


def without_personal_data(
    body: Callable[_Parameters, Awaitable[_Result]],
) -> Callable[_Parameters, Awaitable[_Result]]:
    """The same coroutine, whose failures carry a sentence instead of values.

    Prefect keeps the texts of exceptions and of those that caused them. A library's exception may quote an address, so
    only our own sentences pass, and of anything else its type and place. The new exception is raised outside the
    `except`, so that the old one is not its context.
    """

    @functools.wraps(body)
    async def wrapped(*args: _Parameters.args, **kwargs: _Parameters.kwargs) -> _Result:
        try:
            return await body(*args, **kwargs)
        except (FlowFailure, CampanileError) as error:
            sentence = redact(str(error))
        except Exception as error:  # whatever it is, its text must not reach Prefect
            sentence = (
                f"{type(error).__name__} at {_place(error)}; do the same with `campanile` in a terminal to see it all"
            )
        raise FlowFailure(sentence)

    return wrapped


@contextmanager
def gentle_stop(stop: asyncio.Event) -> Iterator[None]:
    """Sets `stop` when the process is told to end, and lets it end only after the block.

    Prefect's own answer to SIGTERM, an exception wherever the program happens to be, would lose the answers that are
    under way. It gets its turn at the end of the block.
    """
    before = signal.getsignal(signal.SIGTERM)
    told = asyncio.Event()

    def tell() -> None:
        told.set()
        stop.set()

    loop = asyncio.get_running_loop()
    try:
        loop.add_signal_handler(signal.SIGTERM, tell)
    except (RuntimeError, ValueError):  # not the main thread: whoever runs us answers signals
        yield
        return
    try:
        yield
    finally:
        loop.remove_signal_handler(signal.SIGTERM)
        signal.signal(signal.SIGTERM, before)
    if told.is_set():
        signal.raise_signal(signal.SIGTERM)


def _place(error: Exception) -> str:
    """File and line of our own code, the nearest to where it went wrong."""
    frames = traceback.extract_tb(error.__traceback__)
    ours = [frame for frame in frames if frame.filename.startswith(_OURS)]
    frame = (ours or list(frames))[-1]
    return f"{Path(frame.filename).name}:{frame.lineno}"
