"""Parts as gateways bill them, and what a name may bring into an SMS."""

from __future__ import annotations

import gzip
import json
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from campanile.messages.sms import clean, cost, fold_quotes, is_deceptive, segments


def reference(text: str) -> tuple[str, int, int]:
    """The function of delivery.md §2.5, equal to Twilio's own calculator on 3,026 cases."""
    basic = set(
        "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?¡"
        "ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà"
    )
    extended = set("\f^{}\\[~]|€")
    if all(c in basic or c in extended for c in text):
        w = [2 if c in extended else 1 for c in text]
        one, many, enc = 160, 153, "GSM-7"
    else:
        w = [len(c.encode("utf-16-be")) // 2 for c in text]
        one, many, enc = 70, 67, "UCS-2"
    u = sum(w)
    if u <= one:
        return enc, 1, u
    n, cur = 1, 0
    for k in w:
        if cur + k > many:
            n, cur = n + 1, 0
        cur += k
    return enc, n, u


#: Marks that people see as a part of the one before are counted by Twilio's table below, not by this reference.
_ALONE = st.characters(exclude_categories=("Mn", "Me", "Mc", "Cs", "Sk", "Cf", "So"), exclude_characters="\r\u200d")


@given(st.text(st.sampled_from("aZ9 \n@€{}|’优😀é"), max_size=400) | st.text(_ALONE, max_size=400))
def test_segments_equal_the_reference(text):
    assert segments(text) == reference(text)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", ("GSM-7", 1, 0)),
        ("a" * 160, ("GSM-7", 1, 160)),
        ("a" * 161, ("GSM-7", 2, 161)),
        ("a" * 306, ("GSM-7", 2, 306)),
        ("a" * 307, ("GSM-7", 3, 307)),
        ("€" * 80, ("GSM-7", 1, 160)),
        ("a" + "€" * 80, ("GSM-7", 2, 161)),
        ("a" * 152 + "€" + "a" * 10, ("GSM-7", 2, 164)),
        ("a" * 152 + "€" + "a" * 151 + "b", ("GSM-7", 3, 306)),
        ("优" * 70, ("UCS-2", 1, 70)),
        ("优" * 71, ("UCS-2", 2, 71)),
        ("优" * 134, ("UCS-2", 2, 134)),
        ("优" * 135, ("UCS-2", 3, 135)),
        ("优" * 65 + "😀" + "优" * 67, ("UCS-2", 2, 134)),
        ("优" * 66 + "😀" + "优" * 66, ("UCS-2", 3, 134)),
        ("优" * 66 + "😀" + "优" * 66 + "😀", ("UCS-2", 3, 136)),
        ("`", ("UCS-2", 1, 1)),
        ("ç", ("UCS-2", 1, 1)),
    ],
)
def test_known_counts(text, expected):
    assert segments(text) == expected


def test_lone_surrogates_are_counted_not_raised():
    assert segments("\ud800").parts == 1


@given(st.text())
def test_folding_never_costs_more(text):
    folded = fold_quotes(text)
    assert segments(folded).parts <= segments(text).parts
    assert folded == text or segments(folded).encoding == "GSM-7"


def test_folding_only_where_it_helps():
    assert fold_quotes("“It’s” – now… •\u00a0ok") == '"It\'s" - now... * ok'
    assert fold_quotes("“优选”’s") == "“优选”’s"


def test_cost_is_per_part():
    assert cost("a", Decimal("0.05")) == Decimal("0.05")
    assert cost("优" * 135, Decimal("0.05")) == Decimal("0.15")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("  王伟 ", "王伟"),
        ("王\u202e伟", "王伟"),
        ("\u2066Li\u2069", "Li"),
        ("L\u200bi\ufeff", "Li"),
        ("Li\r\nBcc: x@y.example", "Li Bcc: x@y.example"),
        ("Li\x00\x1b[31m\x7f\x9b", "Li[31m"),
        ("a\tb\u2028c\u0085d", "a b c d"),
        ("Zoe\u0308", "Zoë"),
        ("محمد", "محمد"),
        ("𠮷田 😀", "𠮷田 😀"),
    ],
)
def test_clean(text, expected):
    assert clean(text) == expected


@given(st.text())
def test_clean_text_is_one_visible_line_and_stays_clean(text):
    once = clean(text)
    assert clean(once) == once
    assert not any(ord(mark) < 32 or 0x7F <= ord(mark) < 0xA0 for mark in once)
    assert not any(
        mark in "\u200b\u200e\u200f\u202a\u202b\u202d\u202e\u2066\u2067\u2069\u2028\u2029\ufeff" for mark in once
    )


@pytest.mark.parametrize(
    "value",
    [
        "【中国银行】", "王】伟", "http://evil.example", "HTTPS://EVIL.EXAMPLE", "evil.com", "evil.cn/login",
        "see bit.ly/x now",
        "ｅｖｉｌ．ｃｏｍ", "evil。com", "www.bank", "1.2.3.4", "t.cn/abc", "中奖xn--abc.top", "a-b.co.uk", "〖银行〗",
    ],
)  # fmt: skip
def test_links_and_signatures_from_data_are_recognised(value):
    assert is_deceptive(value)


@pytest.mark.parametrize(
    "value",
    [
        "王伟",
        "José Núñez",
        "O'Brien, Niamh",
        "J. R. R. Tolkien",
        "St. John",
        "Dr.Li",
        "3.5",
        "A.B.",
        "12:30",
        "(小)王",
        "",
    ],
)
def test_ordinary_names_are_not(value):
    assert not is_deceptive(value)


def test_a_deceptive_name_counts_as_missing(render_sms):
    source = '{{ name|default("friend") }}{% if name %}!{% endif %}'
    assert render_sms(source, name="Li") == "Li!"
    for name in ("evil.com/x", "【银行】", " \u200b ", "", None):
        assert render_sms(source, name=name) == "friend"


def test_in_mail_the_same_name_is_just_text(render_mail):
    assert "evil.com" in render_mail("<p>{{ name }}</p>", name="evil.com").html


def test_signature_is_put_once(write, planned, shop, offer, links, sender):  # noqa: PLR0917 - fixtures
    from campanile.messages.context import build_context
    from campanile.messages.templates import load_templates

    for source in ("{{ name }} hi", "【优选】{{ name }} hi", "【{{ shop.name }}】{{ name }} hi"):
        root = write({"x.sms.j2": source})
        message = planned("sms", {"name": "Li"})
        context = build_context(message, offer, shop=shop, links=links, campaign="c")
        rendered = load_templates(root, "x", "sms", sender=sender).render(message, context)
        assert rendered.text == "【优选】Li hi"
        assert (rendered.to, rendered.subject, rendered.mime) == ("+8610000000000", "", b"")


def test_segments_are_those_of_twilios_own_calculator() -> None:
    table = Path(__file__).parents[1] / "payloads" / "twilio" / "segments.json.gz"
    cases = json.loads(gzip.decompress(table.read_bytes()))
    assert len(cases) > 600
    assert {encoding for _, encoding, _ in cases} == {"GSM-7", "UCS-2"}
    wrong = [text for text, encoding, parts in cases if segments(text)[:2] != (encoding, parts)]
    assert wrong == []


@pytest.mark.parametrize("mark", ["👍🏽", "👨‍👩‍👧", "🇨🇳", "e\u0301"])
def test_what_people_see_as_one_mark_is_not_split(mark: str) -> None:
    units = sum(2 if part > "\uffff" else 1 for part in mark)
    filled = "优" * (67 - units + 1) + mark  # the mark begins in the first part, and would end in the second
    assert segments(filled + "优" * 10).parts == 2
    assert segments(filled + "优" * (67 - units)).parts == 2
    assert segments(filled + "优" * (67 - units + 1)).parts == 3
