"""Circuit breakers: what the latest answers say about a campaign that should not go on by itself."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import takewhile

from sqlalchemy import select

from campanile.events import Outcome
from campanile.ledger import tables
from campanile.ledger.pausing import resumed_at
from campanile.ledger.store import Ledger
from campanile.spec.sending import Breakers

#: Begins the detail of an answer by which a provider asks for time: no fault of the message, nor of ours.
ASKED_TO_WAIT = "asked to wait"
#: Details of attempts that no provider has answered.
_OURS = ("not handed over", "the sender stopped")


@dataclass(frozen=True, slots=True)
class Answer:
    """What a provider said of one hand-over."""

    outcome: Outcome
    detail: str = ""


def weigh(answers: Sequence[Answer], breakers: Breakers) -> str | None:
    """Why the campaign must be paused, as a sentence; None when it may go on.

    Args:
        answers: The latest ones, newest first.
        breakers: The limits.

    >>> weigh([Answer(Outcome.REJECTED)] * 11, Breakers())
    '11 of the latest 11 recipients were refused for good: more than 5% of 200'
    >>> weigh([Answer(Outcome.REJECTED)] * 10, Breakers()) is None
    True
    """
    final = [each for each in answers if each.outcome in (Outcome.ACCEPTED, Outcome.REJECTED)]
    latest = final[: breakers.bounces.of]
    refused = sum(each.outcome is Outcome.REJECTED for each in latest)
    if breakers.bounces.trips(refused):
        limit = f"{breakers.bounces.above:.3%}".rstrip("0%").rstrip(".") + "%"
        what = f"{refused} of the latest {len(latest)} recipients were refused for good"
        return f"{what}: more than {limit} of {breakers.bounces.of}"
    latest = list(answers[: breakers.filtered.of])
    codes = set(breakers.filtered.codes)
    filtered = sum(not codes.isdisjoint(each.detail.split()) for each in latest)
    if breakers.filtered.trips(filtered):
        return f"{filtered} of the latest {len(latest)} messages were filtered as spam"
    errors = sum(1 for _ in takewhile(_is_error, answers))
    if errors >= breakers.errors_in_a_row:
        return f"{errors} hand-overs in a row were put off or got no answer, the last: {answers[0].detail or 'no word'}"
    return None


def tripped(ledger: Ledger, plan_id: str, breakers: Breakers) -> str | None:
    """Why the plan must be paused by what its providers have said since it was resumed last; None when it may go on."""
    return weigh(_latest(ledger, plan_id, max(breakers.bounces.of, breakers.filtered.of)), breakers)


def _is_error(answer: Answer) -> bool:
    return answer.outcome in (Outcome.NOT_SENT, Outcome.UNKNOWN)


def _latest(ledger: Ledger, plan_id: str, count: int) -> list[Answer]:
    message, attempt = tables.message.c, tables.attempt.c
    with ledger.reading() as connection:
        since = resumed_at(connection, plan_id)
        query = (
            select(attempt.outcome, attempt.detail)
            .join(tables.message, message.message_id == attempt.message_id)
            .where(attempt.serial > since, message.plan_id == plan_id, attempt.detail.not_in(_OURS))
            .where(attempt.detail.not_like(f"{ASKED_TO_WAIT}%"))
            .order_by(attempt.serial.desc(), attempt.message_id)
            .limit(count)
        )
        return [Answer(Outcome(row.outcome), row.detail) for row in connection.execute(query)]
