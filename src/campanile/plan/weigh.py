"""What a person should weigh before sending. Sentences, not errors: the plan is valid all the same."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from campanile.events import CONTROL
from campanile.messages.check import RenderCheck
from campanile.plan.types import Strength

#: Below this many units in control, an interval is too wide for most campaigns.
SMALL_CONTROL = 1_000


def weigh(
    arms: Mapping[str, int], strength: Strength | None, check: RenderCheck, *, too_late: str | None = None
) -> tuple[str, ...]:
    """What speaks against sending this plan as it is, most weighty first."""
    return (*filter(None, [too_late]), *_strength(strength), *_arms(arms), *_messages(check))


def _strength(strength: Strength | None) -> Iterator[str]:
    if strength is None or strength.expected is None:
        return
    expected = abs(strength.expected - strength.baseline)
    if expected < strength.absolute:
        control, treated = strength.needed or (0, 0)
        yield (
            f"the audience is too small for what you expect: the smallest detectable difference is "
            f"{strength.absolute * 100:.2f} points, "
            f"you expect {expected * 100:.2f}; that needs {control:,} in control and {treated:,} in {strength.arm}"
        )


def _arms(arms: Mapping[str, int]) -> Iterator[str]:
    empty = [arm for arm, size in arms.items() if size == 0]
    if empty:
        yield f"nobody is in {', '.join(empty)}: nothing can be compared with it"
    if CONTROL not in arms:
        yield "there is no control: what the campaign adds cannot be known"
    elif 0 < arms[CONTROL] < SMALL_CONTROL:
        yield f"control has only {arms[CONTROL]:,} customers; intervals will be wide"


def _messages(check: RenderCheck) -> Iterator[str]:
    if check.clipped:
        yield f"{check.clipped:,} mails are so large that Gmail cuts them off"
    smallest, _, largest = check.segments
    if largest > 1:
        parts = str(largest) if smallest == largest else f"{smallest} to {largest}"
        yield f"an SMS takes {parts} parts, each paid for"
