"""How much one network may ask in a second: a bucket of tokens for each, and no more buckets than fit."""

from __future__ import annotations

import time
from collections import OrderedDict

_BUCKETS = 50_000
#: A bucket holds so many seconds' worth.
_BURST = 4


class Buckets:
    """Allows so many requests a second from each network, with a burst at first."""

    def __init__(self, per_second: int) -> None:
        self._rate = float(per_second)
        self._full = self._rate * _BURST
        self._known: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def allows(self, network: str, now: float | None = None) -> bool:
        """Whether one more request may be answered; `now` in seconds of a clock that never goes back."""
        moment = time.monotonic() if now is None else now
        left, since = self._known.pop(network, (self._full, moment))
        left = min(self._full, left + (moment - since) * self._rate)
        allowed = left >= 1
        self._known[network] = (left - 1 if allowed else left, moment)
        if len(self._known) > _BUCKETS:
            self._known.popitem(last=False)
        return allowed
