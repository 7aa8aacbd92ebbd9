"""The second net of promise 6."""

from __future__ import annotations

import logging
from datetime import date, datetime

import pytest
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


@pytest.mark.parametrize(
    "number",
    [
        "138 0013 8000", "138-0013-8000", "600 123 456", "(0571) 8888 1234", "0571-88881234", "(555)123-4567",
        "91.411.12.34", "86 138 0013 8000", "010 12345678", "138\u00a00013\u00a08000",
    ],
)  # fmt: skip
def test_a_number_in_groups_is_a_telephone_number(number: str) -> None:
    assert redact(number) == "[phone]"
    assert redact(f"on 2026-03-05 {number} said: no ({number}).") == "on 2026-03-05 [phone] said: no ([phone])."


def test_an_address_in_wide_letters() -> None:
    assert redact("to li.wei＠mail.example and 李伟＠邮件．中国。") == "to [address] and [address]。"


_COUNTS = st.integers(0, 10**12)
_DATES = st.dates(date(1970, 1, 1), date(2099, 12, 31))
_FIGURES = st.one_of(
    _COUNTS.map(str),
    _COUNTS.map("{:,}".format),
    _COUNTS.map(lambda n: f"{n / 100:,.2f}"),
    _COUNTS.map(lambda n: f"CNY {n / 100:.2f}"),
    _COUNTS.map(lambda n: f"C{n:06d}"),
    _COUNTS.map(lambda n: f"INV-2026-{n:06d}"),
    _COUNTS.map(lambda n: f"2026-{n:06d}"),
    _DATES.map(str),
    _DATES.map("{:%d.%m.%Y}".format),
    st.datetimes(datetime(1970, 1, 1), datetime(2099, 12, 31)).map("{:%Y-%m-%d %H:%M}".format),
    st.ip_addresses(v=4).map(str),
    st.uuids().map(str),
    st.uuids().map(lambda one: one.hex),
    st.tuples(st.integers(200, 599), st.integers(2, 5), st.integers(0, 9), st.integers(0, 99)).map(
        lambda code: "{} {}.{}.{}".format(*code)
    ),
)


@given(st.lists(_FIGURES, min_size=1, max_size=6))
def test_figures_dates_and_ids_stay(figures: list[str]) -> None:
    text = "figures: " + ", ".join(figures) + " in all\n" + "  ".join(figures)
    assert redact(text) == text


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
