"""What a run tells the ledger of its own: how fast hand-overs may begin, and what the gate asks."""

from __future__ import annotations

from dataclasses import dataclass, field
from zoneinfo import ZoneInfo

from campanile import clock
from campanile.spec.policy import Cap
from campanile.spec.sending import WarmUp


@dataclass(frozen=True, slots=True)
class Rate:
    """Most hand-overs that may begin over one channel or from one sender.

    Attributes:
        name: The bucket.
        per_second: How fast it fills; None when only the provider's own word limits it.
        burst: How much it holds.
    """

    name: str
    per_second: float | None = None
    burst: float = 1.0


@dataclass(frozen=True)
class Rules:
    """What the gate asks beside suppression, deadline, quiet hours and control.

    Attributes:
        caps: Scope and cap of every limit that these messages meet; none for messages of service.
        warm_up: How many messages a domain may get on a day; None when nothing warms up.
        zone: Whose midnight ends a day.
    """

    caps: tuple[tuple[str, Cap], ...] = ()
    warm_up: WarmUp | None = None
    zone: ZoneInfo = field(default_factory=lambda: clock.zone("UTC"))


NO_RULES = Rules()
