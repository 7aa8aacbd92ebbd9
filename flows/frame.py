"""What every flow shares: the project, the campaign drop-down, and failures without personal data."""

from __future__ import annotations

import functools
import os
import traceback
from collections.abc import Awaitable, Callable
from enum import StrEnum
from pathlib import Path
from typing import ParamSpec, TypeVar

from campanile.errors import CampanileError
from campanile.privacy import redact
from campanile.spec.project import Project, load_project

#: The folder of the project that these flows serve.
ROOT = Path(os.environ.get("CAMPANILE_PROJECT", Path(__file__).resolve().parents[1]))
#: Where its stores lie, when not where campanile.yaml says.
HOME = Path(os.environ["CAMPANILE_HOME"]) if "CAMPANILE_HOME" in os.environ else None

_Parameters = ParamSpec("_Parameters")
_Result = TypeVar("_Result")

#: The committed campaigns: the run form shows them as a drop-down.
CampaignName = StrEnum(  # type: ignore[misc]  # made from the files, so that the form follows git
    "CampaignName", {path.stem: path.stem for path in sorted((ROOT / "campaigns").glob("*.yaml"))}
)


class Mode(StrEnum):
    """Whether a run hands anything over."""

    DRY_RUN = "dry-run"
    SEND = "send"


class FlowFailure(Exception):
    """What Prefect stores of a failure: a sentence without contact data."""


def project() -> Project:
    """The project as it is committed now."""
    return load_project(ROOT, home=HOME)


def without_personal_data(
    body: Callable[_Parameters, Awaitable[_Result]],
) -> Callable[_Parameters, Awaitable[_Result]]:
    """The same coroutine, whose failures carry a sentence instead of values.

    Prefect keeps exception texts in its database. A library's exception may quote an address, so only our own
    sentences pass, and of anything else its type and place.
    """

    @functools.wraps(body)
    async def wrapped(*args: _Parameters.args, **kwargs: _Parameters.kwargs) -> _Result:
        try:
            return await body(*args, **kwargs)
        except FlowFailure:
            raise
        except CampanileError as error:
            sentence = redact(str(error))
        except Exception as error:  # noqa: BLE001 - whatever it is, its text must not reach Prefect
            place = traceback.extract_tb(error.__traceback__)[-1]
            sentence = f"{type(error).__name__} at {Path(place.filename).name}:{place.lineno}; run the same by `campanile` to see it"
        raise FlowFailure(sentence)

    return wrapped
