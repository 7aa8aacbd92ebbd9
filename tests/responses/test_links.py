"""The addresses that stand in messages, asked of a real service."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import httpx
import pytest

from campanile.ledger import Ledger
from campanile.ledger.response_tables import delivery, delivery_event, inbox, refusal
from campanile.messages.tokens import Purpose
from campanile.spec.project import Project
from support.plans import message_id
from support.service import WEBSITE, Service, rows, serving, shop, token, until


class Open(NamedTuple):
    project: Project
    service: Service
    web: httpx.Client

    def path(self, kind: str, purpose: Purpose, number: int = 0) -> str:
        return f"/{kind}/{token(self.project, purpose, message_id('winback', number))}"


@pytest.fixture(scope="module")
def opened(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Open]:
    project = shop(tmp_path_factory.mktemp("links"), 20, campaign="topic: News\n")
    with serving(project) as service, service.client() as web:
        yield Open(project, service, web)


def suppressed(opened: Open, number: int) -> bool:
    with Ledger.open(opened.project.ledger_place) as ledger:
        return ledger.is_suppressed("email", f"c{number}@mail.example")


def test_a_click_leads_to_the_planned_page_and_is_counted(opened: Open) -> None:
    answer = opened.web.get(opened.path("c", Purpose.CLICK, 1))
    assert (answer.status_code, answer.headers["location"]) == (302, WEBSITE)
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["referrer-policy"] == "no-referrer"
    until(lambda: any(row["message_id"] == message_id("winback", 1) for row in rows(opened.project, delivery)))
    state = next(row for row in rows(opened.project, delivery) if row["message_id"] == message_id("winback", 1))
    assert (state["clicks"], state["machine_hits"], state["status"]) == (1, 0, "delivered")


@pytest.mark.parametrize("more", ["?url=https://evil.example", "?next=//evil.example", "/https://evil.example"])
def test_nothing_in_the_address_changes_where_a_click_leads(opened: Open, more: str) -> None:
    answer = opened.web.get(opened.path("c", Purpose.CLICK, 2) + more)
    assert answer.headers.get("location", WEBSITE) == WEBSITE
    assert answer.status_code in {302, 404}


def test_a_head_and_a_scanner_are_kept_as_machines(opened: Open) -> None:
    path = opened.path("c", Purpose.CLICK, 3)
    assert opened.web.head(path).status_code == 302
    assert opened.web.get(path, headers={"User-Agent": "Barracuda Link Scanner"}).status_code == 302
    until(lambda: sum(row["machine_hits"] for row in rows(opened.project, delivery)) >= 2)
    state = next(row for row in rows(opened.project, delivery) if row["message_id"] == message_id("winback", 3))
    assert (state["clicks"], state["machine_hits"], state["clicked_at"]) == (0, 2, None)


def test_an_open_is_a_picture(opened: Open) -> None:
    answer = opened.web.get(opened.path("o", Purpose.OPEN, 4))
    assert answer.status_code == 200
    assert answer.content.startswith(b"GIF89a")


def test_looking_at_the_page_unsubscribes_nobody(opened: Open) -> None:
    answer = opened.web.get(opened.path("u", Purpose.UNSUBSCRIBE, 5))
    assert answer.status_code == 200
    assert '<form method="post"' in answer.text
    assert "script" not in answer.text
    assert answer.headers["content-security-policy"].startswith("default-src 'none'")
    opened.web.head(opened.path("u", Purpose.UNSUBSCRIBE, 5))
    assert not suppressed(opened, 5)


@pytest.mark.parametrize(
    ("number", "sent"),
    [
        (6, {"data": {"List-Unsubscribe": "One-Click"}}),
        (7, {"files": {"List-Unsubscribe": (None, "One-Click")}}),
        (8, {"content": b""}),
    ],
    ids=["urlencoded", "multipart", "from the page"],
)
def test_a_post_unsubscribes_at_once_without_cookie_or_redirect(
    opened: Open, number: int, sent: dict[str, object]
) -> None:
    for _ in range(2):
        answer = opened.web.post(opened.path("u", Purpose.UNSUBSCRIBE, number), **sent)  # type: ignore[arg-type]
        assert answer.status_code == 200
        assert not {"location", "set-cookie"} & set(answer.headers)
        assert suppressed(opened, number)


def test_choices_reach_as_far_as_they_say(opened: Open) -> None:
    page = opened.web.get(opened.path("p", Purpose.UNSUBSCRIBE, 9)).text
    assert "Nothing more about: News" in page
    for choice in ("topic", "nothing"):
        assert opened.web.post(opened.path("p", Purpose.UNSUBSCRIBE, 9), data={"choice": choice}).status_code == 200
    found = {row["scope"] for row in rows(opened.project, refusal) if row["subject"] == "email:c9@mail.example"}
    assert found == {"topic:News", "global"}
    assert {row["scope"] for row in rows(opened.project, refusal) if row["subject"] == "customer:C000009"} == {"global"}
    assert opened.web.post(opened.path("p", Purpose.UNSUBSCRIBE, 9), data={"choice": "hack"}).status_code == 400


def test_a_yes_after_a_no_holds(opened: Open) -> None:
    import time

    path = opened.path("p", Purpose.UNSUBSCRIBE, 10)
    opened.web.post(path, data={"choice": "channel"})
    assert suppressed(opened, 10)
    time.sleep(1.1)  # of a yes and a no in one second the no holds
    opened.web.post(path, data={"choice": "all"})
    assert not suppressed(opened, 10)


def test_an_answer_is_prefilled_and_kept(opened: Open) -> None:
    path = opened.path("r", Purpose.REPLY, 11)
    form = opened.web.get(path).text
    assert 'value="李伟"' in form
    assert "Our offer: 50 EUR" in form
    assert opened.web.post(path, data={"answer": "call", "name": "李伟", "text": "After six"}).status_code == 200
    until(lambda: any(row["type"] == "inbound" for row in rows(opened.project, delivery_event)))
    event = next(row for row in rows(opened.project, delivery_event) if row["type"] == "inbound")
    assert "After six" in event["words"]
    assert event["customer_id"] == "C000011"


@pytest.mark.parametrize("kind", ["c", "o", "u", "p", "r"])
@pytest.mark.parametrize("purpose", list(Purpose))
def test_a_token_opens_only_what_it_was_made_for(opened: Open, kind: str, purpose: Purpose) -> None:
    meant = {
        "c": Purpose.CLICK,
        "o": Purpose.OPEN,
        "u": Purpose.UNSUBSCRIBE,
        "p": Purpose.UNSUBSCRIBE,
        "r": Purpose.REPLY,
    }
    answer = opened.web.get(opened.path(kind, purpose, 12))
    assert (answer.status_code != 404) == (meant[kind] is purpose)


def test_messages_of_nobody_are_not_found(opened: Open) -> None:
    assert opened.web.get(opened.path("c", Purpose.CLICK, 999)).status_code == 404


def test_every_hit_stays_in_the_inbox(opened: Open) -> None:
    assert {row["provider"] for row in rows(opened.project, inbox)} == {"web"}


def test_a_plan_without_a_page_says_so(tmp_path: Path) -> None:
    from support.plans import planned
    from support.sent_project import write_plan, write_project

    project = write_project(tmp_path)
    write_plan(project, [planned(0)])
    with serving(project) as service, service.client() as web:
        answer = web.get(f"/c/{token(project, Purpose.CLICK, message_id('winback', 0))}")
    assert answer.status_code == 200
    assert "This link leads nowhere." in answer.text
