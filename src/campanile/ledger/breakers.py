"""Circuit breakers: what the latest answers say about a campaign that should not go on by itself."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import takewhile

from sqlalchemy import func, or_, select

from campanile.events import Outcome
from campanile.ledger import tables
from campanile.ledger.pausing import resumed
from campanile.ledger.response_tables import delivery, delivery_event
from campanile.ledger.store import Ledger
from campanile.spec.sending import Breaker, Breakers

#: Begins the detail of an answer by which a provider asks for time: no fault of the message, nor of ours.
ASKED_TO_WAIT = "asked to wait"
#: How a delivery ends that did not reach anybody.
_BOUNCED = ("bounced", "bounced_after_delivery", "rejected", "failed")
#: Of other plans at the same time there may be so many times as many answers as this one's.
_AMONG = 3
#: Details of attempts that no provider has answered.
_OURS = ("not handed over", "the sender stopped")


@dataclass(frozen=True, slots=True)
class Answer:
    """What a provider said of one hand-over."""

    outcome: Outcome
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Reports:
    """What came back after the answers: of how many messages anything did, and how many of them went wrong."""

    messages: int = 0
    bounced: int = 0
    complained: int = 0
    filtered: int = 0


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
        limit = _share(breakers.bounces)
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


def weigh_reports(reports: Reports, breakers: Breakers) -> str | None:
    """The same for what came back later: bounces, complaints and filtered messages, of all that are under report.

    >>> weigh_reports(Reports(messages=900, complained=4), Breakers())
    '4 recipients of 900 called it spam: more than 0.3% of 1000'
    >>> weigh_reports(Reports(messages=2000, complained=4), Breakers()) is None
    True
    """
    found = (
        (reports.complained, breakers.complaints, "recipients of {n} called it spam"),
        (reports.bounced, breakers.bounces, "messages of {n} bounced"),
        (reports.filtered, breakers.filtered, "messages of {n} were filtered as spam"),
    )
    for count, breaker, what in found:
        of = max(breaker.of, reports.messages)
        if count > breaker.above * of:
            return f"{count} {what.format(n=reports.messages)}: more than {_share(breaker)} of {of}"
    return None


def tripped(ledger: Ledger, plan_id: str, breakers: Breakers, *, reports: bool = True) -> str | None:
    """Why the plan must be paused by what its providers have said since it was resumed last; None when it may go on.

    Args:
        ledger: The ledger.
        plan_id: The plan.
        breakers: The limits.
        reports: Whether to count what came back as well, which takes longer the more there is.
    """
    why = weigh(_latest(ledger, plan_id, max(breakers.bounces.of, breakers.filtered.of)), breakers)
    return why or (weigh_reports(_reports(ledger, plan_id, breakers), breakers) if reports else None)


def _share(breaker: Breaker) -> str:
    """A share as it is written.

    >>> _share(Breakers().bounces), _share(Breakers().complaints)
    ('5%', '0.3%')
    """
    return f"{(breaker.above * 100).normalize():f}%"


def _reports(ledger: Ledger, plan_id: str, breakers: Breakers) -> Reports:
    """What came back of the plan's messages since it was resumed last."""
    with ledger.reading() as connection:
        since = resumed(connection, plan_id)[1]
        mine = delivery.c.plan_id == plan_id
        ended = (delivery.c.status.in_(_BOUNCED), delivery.c.ended_at > since)
        query = select(
            func.count(),
            func.count().filter(*ended),
            func.count().filter(delivery.c.complained_at > since),
        ).where(mine)
        messages, bounced, complained = connection.execute(query).one()
        event = delivery_event.c
        coded = or_(*(event.detail.like(f"%{code}%") for code in breakers.filtered.codes))
        query_filtered = select(func.count(event.message_id.distinct())).where(
            event.message_id.in_(select(delivery.c.message_id).where(mine)), event.at > since, coded
        )
        filtered = connection.scalar(query_filtered) or 0
    return Reports(messages, bounced, complained, filtered)


def _is_error(answer: Answer) -> bool:
    return answer.outcome in (Outcome.NOT_SENT, Outcome.UNKNOWN)


def _latest(ledger: Ledger, plan_id: str, count: int) -> list[Answer]:
    """The plan's among the latest answers of all plans, so that looking costs the same however many there were."""
    attempt = tables.attempt.c
    with ledger.reading() as connection:
        since = resumed(connection, plan_id)[0]
        latest = (
            select(attempt.message_id, attempt.outcome, attempt.detail, attempt.serial)
            .where(attempt.serial > since)
            .order_by(attempt.serial.desc())
            .limit(_AMONG * count)
            .subquery()
        )
        query = (
            select(latest.c.outcome, latest.c.detail)
            .join(tables.message, tables.message.c.message_id == latest.c.message_id)
            .where(tables.message.c.plan_id == plan_id, latest.c.detail.not_in(_OURS))
            .where(latest.c.detail.not_like(f"{ASKED_TO_WAIT}%"))
            .order_by(latest.c.serial.desc())
            .limit(count)
        )
        return [Answer(Outcome(row.outcome), row.detail) for row in connection.execute(query)]
