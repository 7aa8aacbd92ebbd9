"""Where links lead when analytics are to know the campaign and the arm."""

from __future__ import annotations

from pathlib import Path

import pytest

from campanile.ledger import Ledger
from campanile.responses.recipients import Recipients
from campanile.spec.connections import destination, tagged
from support.plans import message_id, planned, register


def leads_to(folder: Path, channel: dict[str, object], arm: str = "treatment") -> str:
    with Ledger.open(folder / "ledger.sqlite") as ledger:
        register(ledger, [planned(1, arm=arm)], spec={"campaign": {"channel": channel}})
        found = Recipients(ledger).find(message_id("winback", 1))
    assert found is not None
    return found.destination


def test_a_page_is_told_campaign_and_arm_where_the_campaign_says_so(tmp_path: Path) -> None:
    page = leads_to(tmp_path, {"link": "https://shop.example/sale", "utm": True}, arm="五折 & more")
    assert page == (
        "https://shop.example/sale?utm_source=campanile&utm_medium=email&utm_campaign=winback"
        "&utm_content=%E4%BA%94%E6%8A%98+%26+more"
    )
    assert destination(page) == page


def test_and_nothing_where_it_does_not(tmp_path: Path) -> None:
    assert leads_to(tmp_path, {"link": "https://shop.example/sale"}) == "https://shop.example/sale"


def test_nor_is_there_a_page_to_tell_when_none_was_planned(tmp_path: Path) -> None:
    assert leads_to(tmp_path, {"utm": True}) == ""


@pytest.mark.parametrize(
    ("page", "result"),
    [
        ("https://s.example/?utm_campaign=mine", "https://s.example/?utm_campaign=mine&utm_source=campanile&utm_medium=sms&utm_content=a"),
        ("https://s.example/x#top", "https://s.example/x?utm_source=campanile&utm_medium=sms&utm_campaign=w&utm_content=a#top"),
        ("https://s.example/?q=a%20b&empty=", "https://s.example/?q=a%20b&empty=&utm_source=campanile&utm_medium=sms&utm_campaign=w&utm_content=a"),
    ],
)  # fmt: skip
def test_what_the_address_says_already_stays(page: str, result: str) -> None:
    assert tagged(page, medium="sms", campaign="w", arm="a") == result
