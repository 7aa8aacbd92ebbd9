"""What a person should weigh before sending. Sentences, not errors: the plan is valid all the same."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from campanile.audience.waterfall import Audience
from campanile.events import CONTROL
from campanile.messages.check import RenderCheck
from campanile.plan.types import Strength
from campanile.spec.fields import percent
from campanile.spec.policy import MarketingShare

#: Below this many units in control, an interval is too wide for most campaigns.
SMALL_CONTROL = 1_000


def weigh(
    arms: Mapping[str, int],
    strength: Strength | None,
    check: RenderCheck,
    *,
    policy: Iterable[str] = (),
    too_late: str | None = None,
) -> tuple[str, ...]:
    """What speaks against sending this plan as it is, most weighty first; `policy` is what its rules only warn of."""
    return (*filter(None, [too_late]), *policy, *_strength(strength), *_arms(arms), *_messages(check))


def weigh_policy(audience: Audience, share: MarketingShare | None) -> Iterator[str]:
    """What the contact policy says of an audience without leaving anybody out."""
    for campaign, customers in audience.shared_with.items():
        yield (
            f"{campaign} has {customers:,} of these customers on the same day and lower priority: "
            f"run `campanile plan {campaign}` again before it is sent, and it loses them"
        )
    if share and audience.above_share:
        had = f"more than {percent(share.at_most)} marketing among their messages of the last {share.within}"
        yield f"{audience.above_share:,} of {audience.size:,} customers have had {had}"


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
    smallest, middle, largest = check.segments
    if largest > 1:
        parts = str(largest) if smallest == largest else f"{smallest} to {largest} (half of them at most {middle})"
        yield f"an SMS takes {parts} parts, each paid for"
