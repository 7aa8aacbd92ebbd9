"""The second net of promise 6."""

from __future__ import annotations

import logging

from hypothesis import given
from hypothesis import strategies as st

from campanile.privacy import RedactFilter, redact


@given(st.emails(), st.text(alphabet=" ,;:()<>\"'\n", min_size=1))
def test_no_address_passes(address: str, around: str) -> None:
    local, _, domain = address.partition("@")
    plain = "".join(c for c in local if c.isalnum() or c in ".+_-").strip(".") or "a"
    assert f"{plain}@{domain}" not in redact(f"{around}{plain}@{domain}{around}")


def test_phone_numbers_go_and_figures_stay() -> None:
    assert (
        redact("call +86 138 0013 8000 at 12:30, 17,085 sent, 2026-03-05")
        == "call [phone] at 12:30, 17,085 sent, 2026-03-05"
    )


class _Sentence(Exception):
    says_it_all = True


def test_a_failure_that_says_it_all_has_no_traceback() -> None:
    try:
        raise _Sentence("spring is not planned, says li.wei@mail.example")  # noqa: TRY301
    except _Sentence:
        import sys

        record = logging.LogRecord("x", logging.ERROR, "f", 1, "Encountered exception", (), sys.exc_info())
    assert RedactFilter().filter(record)
    assert logging.Formatter().format(record) == "spring is not planned, says [address]"


def test_a_record_and_its_traceback_are_cleaned() -> None:
    try:
        raise ValueError("li.wei@mail.example was refused")  # noqa: TRY301
    except ValueError:
        import sys

        record = logging.LogRecord("x", logging.ERROR, "f", 1, "to %s", ("li.wei@mail.example",), sys.exc_info())
    assert RedactFilter().filter(record)
    text = logging.Formatter().format(record)
    assert "li.wei" not in text
    assert "[address] was refused" in text
