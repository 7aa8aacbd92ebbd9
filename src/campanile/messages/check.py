"""Renders every message of a plan before anything is sent, one after the other, and says who cannot be written to."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from campanile.errors import CampanileError
from campanile.events import Message, PlannedMessage
from campanile.messages.sms import segments
from campanile.messages.templates import HTML_CLIPPED, RenderError

#: How many failing customers are named; the rest is counted.
NAMED = 20
#: Of a template that fails for this many in a row from the first on, nothing more is learnt.
_HOPELESS = 1000


@dataclass(frozen=True)
class RenderCheck:
    """What rendering everyone came to.

    Attributes:
        messages: How many were rendered.
        segments: SMS parts of one message: smallest, median, largest; zeros for mail.
        segments_total: SMS parts of all messages.
        bytes_max: Size of the largest message.
        clipped: Mails that Gmail would cut off.
        failed: How many could not be rendered.
        failures: The first of them as (customer id, sentence).
        cures: What mends them, each once.
        by_arm: Messages and their SMS parts by arm: arms may have different texts, and pay for their own.
    """

    messages: int
    segments: tuple[int, int, int]
    segments_total: int
    bytes_max: int
    clipped: int
    failed: int
    failures: tuple[tuple[str, str], ...]
    cures: tuple[str, ...] = ()
    by_arm: Mapping[str, tuple[int, int]] = field(default_factory=dict)

    def raise_for_failures(self) -> None:
        """Nothing; CampanileError naming customers by id when any message could not be rendered."""
        if self.failed:
            named = "\n".join(f"  {sentence}" for _, sentence in self.failures)
            more = f"\n  and {self.failed - len(self.failures)} more" if self.failed > len(self.failures) else ""
            cures = " or ".join(filter(None, [", ".join(self.cures), "leave these customers out of the target"]))
            raise CampanileError(
                f"{self.failed} of {self.messages + self.failed} messages cannot be written:\n{named}{more}\n{cures}"
            )


def check_all(render: Callable[[PlannedMessage], Message], messages: Iterable[PlannedMessage]) -> RenderCheck:
    """Sizes and failures of all messages; memory does not grow with their number.

    Raises:
        RenderError: The template itself is wrong, so nobody can be written to.
    """
    by_arm: defaultdict[str, Counter[int]] = defaultdict(Counter)
    largest = clipped = failed = 0
    failures: list[tuple[str, str]] = []
    cures: dict[str, None] = {}
    for planned in messages:
        try:
            message = render(planned)
        except RenderError as error:
            failed += 1
            if len(failures) < NAMED:
                failures.append((error.customer_id, error.what))
                cures |= {error.cure: None} if error.cure else {}
            if error.fault or (failed >= _HOPELESS and not by_arm):
                raise
            continue
        by_arm[planned.arm][segments(message.text).parts if message.channel == "sms" else 0] += 1
        largest = max(largest, len(message.mime) or len(message.text.encode()) + len(message.html.encode()))
        clipped += len(message.html) > HTML_CLIPPED // 4 and len(message.html.encode()) > HTML_CLIPPED
    parts = sum(by_arm.values(), Counter[int]())
    each = {arm: (counted.total(), _paid(counted)) for arm, counted in sorted(by_arm.items())}
    return RenderCheck(
        parts.total(),
        _spread(parts),
        _paid(parts),
        largest,
        clipped,
        failed,
        tuple(failures),
        tuple(cures),
        by_arm=each,
    )


def _paid(parts: Counter[int]) -> int:
    """SMS parts of messages counted by their parts."""
    return sum(number * times for number, times in parts.items())


def _spread(parts: Counter[int]) -> tuple[int, int, int]:
    """Smallest, median (the lower of two) and largest of counted numbers; zeros when there are none.

    >>> _spread(Counter({1: 3, 2: 1, 4: 1}))
    (1, 1, 4)
    """
    if not parts:
        return 0, 0, 0
    seen, middle = 0, 0
    for number in sorted(parts):
        seen += parts[number]
        middle = number
        if seen * 2 >= parts.total():
            break
    return min(parts), middle, max(parts)
