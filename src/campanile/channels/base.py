"""What every channel promises."""

from __future__ import annotations

from typing import Protocol

from campanile.errors import CampanileError
from campanile.events import Message, Receipt


class ChannelUnavailableError(CampanileError):
    """The provider cannot be reached, or refuses us altogether. The message in hand was certainly not handed over."""


class WithdrawnError(Exception):
    """The hand-over was cancelled before the provider could have taken the message."""


class Channel(Protocol):
    """One way to hand messages over.

    `hand_over` may run for many messages at once. It answers `accepted` only when the provider has taken the message,
    `not_sent` only when it certainly has not, and `unknown` whenever neither is certain. It never tries again after a
    moment at which the provider could have taken the message.
    """

    #: Kept with every attempt; two channels that may reach different providers have different names.
    name: str
    #: Whether handing the same message over again has no further effect.
    idempotent: bool

    async def open(self) -> None:
        """Makes ready.

        Raises:
            ChannelUnavailableError: The provider cannot be reached or refuses us.
        """

    async def hand_over(self, message: Message) -> Receipt:
        """The provider's answer. Cancelled after the provider could have taken the message, it answers `unknown`.

        Raises:
            ChannelUnavailableError: The provider cannot be reached or refuses us; nothing was handed over.
            WithdrawnError: Cancelled while certainly nothing had been handed over.
        """

    async def close(self) -> None:
        """Lets go of every connection."""
