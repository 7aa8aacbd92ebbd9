"""A person in a real browser leaves, chooses and answers; the pages fetch nothing and run nothing."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page

from browser.conftest import Noise
from campanile.ledger import Ledger
from campanile.ledger.response_tables import delivery_event, refusal
from campanile.messages.tokens import Purpose
from campanile.spec.project import Project
from support.plans import message_id
from support.service import Service, rows, serving, shop, token, until

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def opened(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Project, Service]]:
    project = shop(tmp_path_factory.mktemp("pages"), 4, campaign="topic: News\n")
    with serving(project) as service:
        yield project, service


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    page = browser.new_page(viewport={"width": 390, "height": 844})
    noise = Noise()
    noise.listen(page)
    yield page
    assert [text for text in noise.complaints if "favicon" not in text] == []
    page.close()


def address(opened: tuple[Project, Service], kind: str, purpose: Purpose, number: int) -> str:
    project, service = opened
    return f"{service.url}/{kind}/{token(project, purpose, message_id('winback', number))}"


def suppressed(project: Project, number: int) -> bool:
    with Ledger.open(project.ledger_place) as ledger:
        return ledger.is_suppressed("email", f"c{number}@mail.example")


def test_looking_does_nothing_and_the_button_leaves(opened: tuple[Project, Service], page: Page) -> None:
    page.goto(address(opened, "u", Purpose.UNSUBSCRIBE, 0))
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth"), "fits a telephone"
    assert not suppressed(opened[0], 0)
    page.get_by_role("button", name="Unsubscribe").click()
    assert page.get_by_role("heading").inner_text() == "You are unsubscribed."
    assert suppressed(opened[0], 0)


def test_a_choice_is_made_without_a_mouse(opened: tuple[Project, Service], page: Page) -> None:
    page.goto(address(opened, "u", Purpose.UNSUBSCRIBE, 1))
    page.get_by_role("link", name="Choose what you want instead").click()
    page.get_by_label("Nothing more about: News").focus()
    page.keyboard.press("Space")
    page.keyboard.press("Enter")
    page.wait_for_selector("text=Saved. It takes effect at once.")
    assert ("email:c1@mail.example", "topic:News") in {(r["subject"], r["scope"]) for r in rows(opened[0], refusal)}
    assert not suppressed(opened[0], 1)


def test_an_answer_is_sent_with_the_name_filled_in(opened: tuple[Project, Service], page: Page) -> None:
    page.goto(address(opened, "r", Purpose.REPLY, 2))
    assert page.get_by_label("Your name").input_value() == "李伟"
    page.get_by_label("Please call me").check()
    page.get_by_label("What would you like to tell us?").fill("After six, please")
    page.get_by_role("button", name="Send").click()
    page.wait_for_selector("text=Thank you. We have your answer.")
    until(lambda: any("After six" in row["words"] for row in rows(opened[0], delivery_event)))
