"""What comes back reaches selection and measurement: refusals leave out, clicks can be asked for, guards count."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from campanile.customers.database import SUPPRESSED, CustomerDatabase
from campanile.customers.own_events import RESPONSES
from campanile.ledger import Ledger
from campanile.ledger.answers import answers
from campanile.plan.past import sync_past
from campanile.responses import own
from campanile.responses.inbox import Arrival, keep
from campanile.responses.process import process
from campanile.spec.project import Project
from support.plans import NOW, message_id
from support.service import shop


def tell(ledger: Ledger, *events: dict[str, object]) -> None:
    """Events in our own words, kept and understood."""
    with ledger.writing() as connection:
        arrivals = [Arrival(own.GENERIC, own.event_id(event), own.written(event)) for event in events]
        keep(connection, arrivals, NOW)
    process(ledger)


def event(number: int, kind: str, minutes: int = 60, **more: object) -> dict[str, object]:
    at = (NOW + timedelta(minutes=minutes)).isoformat()
    return {"type": kind, "message_id": message_id("winback", number), "at": at, **more}


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return shop(tmp_path, 12, campaign="topic: News\n")


@pytest.fixture
def ledger(project: Project) -> Iterator[Ledger]:
    with Ledger.open(project.ledger_place) as opened:
        yield opened


def test_each_message_gives_one_event_of_a_kind_and_machines_give_none(ledger: Ledger) -> None:
    tell(
        ledger,
        event(1, "clicked"), event(1, "clicked", 61), event(2, "clicked", machine=True), event(3, "opened"),
        event(4, "inbound"), event(5, "complained"), event(6, "bounced", reject_reason="bounced"),
        event(7, "delivered"),
    )  # fmt: skip
    found = sorted((row["customer_id"], row["event"]) for row in answers(ledger))
    assert found == [
        ("C000001", "clicked"), ("C000003", "opened"), ("C000004", "replied"), ("C000005", "spam_report"),
        ("C000006", "bounced"),
    ]  # fmt: skip


def test_a_no_counts_until_it_is_taken_back_and_a_topic_is_not_the_channel(ledger: Ledger) -> None:
    tell(
        ledger,
        event(1, "unsubscribed"), event(2, "unsubscribed"), event(2, "subscribed", 90, scope="global"),
        event(3, "unsubscribed", scope="topic:News"), event(4, "unsubscribed", scope="global"),
    )  # fmt: skip
    assert sorted(row["customer_id"] for row in answers(ledger)) == ["C000001", "C000004"]


def test_selection_leaves_out_whoever_refused(project: Project, ledger: Ledger) -> None:
    tell(
        ledger,
        event(1, "unsubscribed"), event(3, "unsubscribed", scope="topic:News"),
        event(4, "unsubscribed", scope="global"),
    )  # fmt: skip
    spec = project.campaign("winback")
    with CustomerDatabase.open(project) as database:
        sync_past(project, database, ledger, spec)
        found = {(row["channel"], row["address"]) for row in database.own(SUPPRESSED).to_pyarrow().to_pylist()}
        assert found == {
            ("email", "c1@mail.example"), ("email", "c3@mail.example"), ("email", "c4@mail.example"),
            ("customer", "C000004"),
        }  # fmt: skip
        sync_past(project, database, ledger, spec.model_copy(update={"topic": "Birthdays"}))
        assert len(database.own(SUPPRESSED).to_pyarrow()) == 3
        kinds = {row["event"] for row in database.own(RESPONSES).to_pyarrow().to_pylist()}
        assert kinds == {"unsubscribed"}
        assert "unsubscribed" in database.kinds()
        assert database.events("unsubscribed", NOW + timedelta(days=1)).count().execute() == 2
        assert database.events("unsubscribed", NOW).count().execute() == 0


def test_without_answers_the_database_is_as_it_was(project: Project, ledger: Ledger) -> None:
    with CustomerDatabase.open(project) as database:
        sync_past(project, database, ledger)
        assert not database.answered
        assert database.kinds() == database.tables()
        assert database.events("clicked", NOW).count().execute() == 0
