"""What a person is told of the messages before anything is sent."""

from __future__ import annotations

import pytest

from campanile.messages.check import RenderCheck
from campanile.plan.weigh import weigh


def said(segments: tuple[int, int, int], clipped: int = 0) -> tuple[str, ...]:
    check = RenderCheck(10, segments, 10 * segments[1], 300, clipped, 0, ())
    return weigh({"control": 5_000, "treatment": 10}, None, check)


@pytest.mark.parametrize(
    ("segments", "sentence"),
    [
        ((1, 2, 4), "an SMS takes 1 to 4 (half of them at most 2) parts, each paid for"),
        ((2, 2, 2), "an SMS takes 2 parts, each paid for"),
    ],
)
def test_a_text_of_several_parts_costs_each_of_them(segments: tuple[int, int, int], sentence: str) -> None:
    assert sentence in said(segments)


def test_a_text_of_one_part_and_a_mail_are_no_matter() -> None:
    assert said((1, 1, 1)) == ()
    assert said((0, 0, 0)) == ()


def test_a_mail_that_gmail_cuts_off_is_told() -> None:
    assert said((0, 0, 0), clipped=3) == ("3 mails are so large that Gmail cuts them off",)
