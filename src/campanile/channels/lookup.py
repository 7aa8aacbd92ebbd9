"""What a channel may offer beside handing over: to look a message up in the provider's own records."""

from __future__ import annotations

from datetime import datetime
from typing import Protocol, runtime_checkable

from campanile.events import Message, Receipt


@runtime_checkable
class Lookup(Protocol):
    """A channel whose provider can be asked what became of a hand-over whose answer was lost."""

    async def find(self, message: Message, *, since: datetime) -> Receipt | None:
        """What the provider's records say of that message; None when they do not say.

        `accepted` or `rejected` when they have it. `not_sent` only when they are complete up to now and certainly do
        not have it: the message is due again then.

        Args:
            message: As it was rendered when it was handed over.
            since: When that began.

        Raises:
            ChannelUnavailableError: The provider cannot be asked now.
        """
