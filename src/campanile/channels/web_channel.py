"""What the channels that ask over the web have in common: patience, rate limits, and giving a broken provider up.

A provider that says "too many, wait until then" (429) has taken nothing: a short wait is waited for here, by everyone;
after a longer one the messages are due again at the moment that it named.
"""

from __future__ import annotations

import asyncio
import logging
import os
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from functools import partial
from typing import TypeVar

from campanile import clock
from campanile.channels.base import ChannelUnavailableError, WithdrawnError
from campanile.channels.web import Answer, LostError, NotReachedError, Web
from campanile.errors import CampanileError
from campanile.events import Message, Outcome, Receipt

T = TypeVar("T")

#: Seconds between attempts to reach a provider that is down for a moment.
PAUSES = (1.0, 2.0)
#: The longest that a rate limit is waited for with messages in hand, in seconds.
PATIENCE = 30.0
#: After so many messages in a row without a word on the message itself, the provider is taken to be broken.
FAILURES_IN_A_ROW = 20
#: Seconds that a provider needs to get a message out; with fewer left, it is not handed over.
SHORTEST = 30.0
_TOO_LATE = "no time left before quiet hours or the deadline"
#: How often one message is handed over again after a rate limit before it goes back into the queue.
_ROUNDS = 5
#: Pause after a rate limit that names no moment, in seconds; doubled each time in a row.
DEFAULT_PAUSE = 1.0
#: At INFO and DEBUG these write payloads, telephone numbers or keys.
_TALKATIVE = ("python_http_client", "twilio", "aiohttp", "sendgrid")


class TooManyError(Exception):
    """The provider takes no more for a while; it certainly has not taken this message."""

    def __init__(self, detail: str, until: datetime | None) -> None:
        self.detail = detail
        self.until = until
        super().__init__(detail)


class RefusedUsError(Exception):
    """The provider refuses us, whoever the recipient is: what it refuses, and the cure."""

    def __init__(self, what: str, cure: str) -> None:
        self.what = what
        self.cure = cure
        super().__init__(what)


class WebChannel(ABC):
    """A channel over the web. Subclasses ask, and say what an answer means."""

    name: str
    idempotent = False

    def __init__(self, provider: str, web: Web, *, pauses: tuple[float, ...] = PAUSES) -> None:
        self._provider = provider
        self._web = web
        self._pauses = pauses
        self._failures = 0
        self._limits = 0
        self._until: datetime | None = None
        self._down: ChannelUnavailableError | None = None

    @abstractmethod
    async def _ask(self, message: Message) -> Receipt:
        """The provider's verdict on one message.

        Raises:
            TooManyError: It takes no more for a while.
            RefusedUsError: It refuses us.
            NotReachedError: Nothing was handed over.
            LostError: It may have been.
        """

    async def open(self) -> None:
        """Connects, so that a wrong setting shows before any message is claimed."""
        quieten()
        await self._patiently(self._web.open)

    async def close(self) -> None:
        """Lets go of every connection."""
        await self._web.close()

    async def hand_over(self, message: Message) -> Receipt:
        """The provider's answer; see the module for rate limits, and each channel for the rest."""
        begun = asyncio.get_running_loop().time()
        for _ in range(_ROUNDS):
            put_off = await self._wait(message)
            current = _aged(message, asyncio.get_running_loop().time() - begun)
            if put_off is None and current.good_for is not None and current.good_for < SHORTEST:
                put_off = Receipt(message.message_id, Outcome.NOT_SENT, detail=_TOO_LATE)
            if put_off is not None:
                return put_off
            try:
                receipt = await self._patiently(partial(self._ask, current))
            except TooManyError as error:
                self._limit(error)
                last = Receipt(message.message_id, Outcome.NOT_SENT, detail=error.detail, retry_at=self._until)
                continue
            except RefusedUsError as error:
                raise self._unavailable(error.what, error.cure) from None
            except LostError as error:
                receipt = Receipt(message.message_id, Outcome.UNKNOWN, detail=str(error))
            self._limits = 0
            self._failures = self._failures + 1 if receipt.outcome is Outcome.UNKNOWN else 0
            return receipt
        return last

    async def _asked(self, ask: Callable[[], Awaitable[Receipt | None]]) -> Receipt | None:
        """What looking into the provider's records comes to. Asking again is harmless: a rate limit is waited for."""
        for _ in range(_ROUNDS):
            try:
                return await self._patiently(ask)
            except TooManyError as error:
                self._limit(error)
                seconds = ((self._until or clock.now()) - clock.now()).total_seconds()
                if seconds > PATIENCE:
                    break
                await asyncio.sleep(max(0.0, seconds))
            except LostError as error:
                raise ChannelUnavailableError(f"{self._provider}: {error}", "ask again later") from None
            except RefusedUsError as error:
                raise self._unavailable(error.what, error.cure) from None
        raise ChannelUnavailableError(f"{self._provider} is asked too often", "ask again later")

    async def _wait(self, message: Message) -> Receipt | None:
        """None once the provider may be asked; a receipt when that is too long away."""
        if self._down is not None:
            # Those who waited need not find out one by one.
            raise self._down
        if self._failures >= FAILURES_IN_A_ROW:
            raise self._unavailable(f"failed {self._failures} times in a row", "ask it, or look at its status page")
        while self._until is not None and (seconds := (self._until - clock.now()).total_seconds()) > 0:
            if seconds > PATIENCE:
                detail = f"429, until {clock.iso(self._until)}"
                return Receipt(message.message_id, Outcome.NOT_SENT, detail=detail, retry_at=self._until)
            try:
                await asyncio.sleep(seconds)
            except asyncio.CancelledError:
                raise WithdrawnError from None
        return None

    def _limit(self, error: TooManyError) -> None:
        pause = timedelta(seconds=DEFAULT_PAUSE * 2**self._limits)
        self._limits += 1
        until = error.until or clock.now() + pause
        self._until = max(until, self._until or until)

    async def _patiently(self, ask: Callable[[], Awaitable[T]]) -> T:
        """What `ask` comes to; a provider that is down gets a few seconds."""
        for pause in (*self._pauses, None):
            try:
                return await ask()
            except NotReachedError as error:
                if pause is None or not error.passing:
                    raise self._unavailable(error.what, error.cure) from None
            try:
                await asyncio.sleep(pause)
            except asyncio.CancelledError:
                raise WithdrawnError from None
        raise AssertionError

    def _unavailable(self, what: str, cure: str) -> ChannelUnavailableError:
        self._down = ChannelUnavailableError(f"{self._provider} {what}", f"{cure}; then run again")
        return self._down


def _aged(message: Message, waited: float) -> Message:
    """The message after it has waited so many seconds."""
    return replace(message, good_for=message.good_for - waited) if message.good_for is not None else message


def secret(name: str, what: str) -> str:
    """The value of an environment variable; CampanileError, which names the variable only, when it is not set."""
    value = os.environ.get(name, "").strip()
    if not value:
        raise CampanileError(f"the environment variable {name} with {what} is not set", f"set {name} and run again")
    if not value.isascii() or not value.isprintable():
        raise CampanileError(f"the environment variable {name} holds what no key can be", f"set {name} anew")
    return value


def quieten() -> None:
    """Keeps the libraries of providers from writing payloads, telephone numbers and keys into logs."""
    for name in _TALKATIVE:
        logger = logging.getLogger(name)
        if logger.level < logging.WARNING:
            logger.setLevel(logging.WARNING)


def named_moment(answer: Answer) -> datetime | None:
    """The moment that a 429 names: Retry-After in seconds or as a date, or X-RateLimit-Reset; None without one.

    >>> named_moment(Answer(429, {"x-ratelimit-reset": "1772677800"}, b"")).isoformat()
    '2026-03-05T02:30:00+00:00'
    """
    after, reset = (answer.headers.get(name, "").strip() for name in ("retry-after", "x-ratelimit-reset"))
    if after.isdecimal() and len(after) <= 6:
        return clock.now() + timedelta(seconds=int(after))
    if after:
        try:
            return parsedate_to_datetime(after).astimezone(UTC)
        except ValueError:
            pass
    return datetime.fromtimestamp(int(reset), UTC) if reset.isdecimal() and len(reset) == 10 else None
