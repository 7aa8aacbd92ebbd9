"""The quick rules say of addresses and numbers what the packages say, of characters what Unicode and GB18030 say."""

from __future__ import annotations

import random
import unicodedata

import phonenumbers
import pytest
from email_validator import EmailNotValidError, validate_email
from hypothesis import example, given, settings
from hypothesis import strategies as st

from campanile.customers.audit.characters import is_mojibake, kind_of
from campanile.customers.audit.contacts import PhoneJudge, is_mail_address

_LOCAL = st.text("ab.-_+' \"@é", min_size=0, max_size=8) | st.text("ab", min_size=60, max_size=70)
_DOMAIN = st.text("ab.-1", max_size=12) | st.sampled_from(
    ["shop.example", "mail.test", "x.local", "例子.中国", "a.b.co", "1.2.3.4", "[1.2.3.4]", f"{'a' * 64}.org"]
)


@settings(max_examples=300, deadline=None)
@given(_LOCAL, _DOMAIN)
@example("li.wei+shop", "mail.example")
@example("a" * 65, "mail.example")
@example("a" * 64, ".".join(["b" * 60] * 4))
def test_addresses_are_judged_as_the_package_judges_them(local: str, domain: str) -> None:
    address = f"{local}@{domain}"
    try:
        validate_email(address, check_deliverability=False)
    except EmailNotValidError:
        taken = False
    else:
        taken = True
    assert is_mail_address(address) is taken


def by_the_package(number: str, region: str) -> bool:
    try:
        return phonenumbers.is_valid_number(phonenumbers.parse(number, region))
    except phonenumbers.NumberParseException:
        return False


@pytest.mark.parametrize("region", ["CN", "GB", "US", "DE", "FR", "ES", "IT", "JP", "IN", "BR", "MX", "AR", "RU", "KZ"])
def test_numbers_are_judged_as_the_package_judges_them(region: str) -> None:
    """Made-up numbers near real ones: a changed digit, one more, one less, a prefix, a country code."""
    drawn = random.Random(region)
    judge = PhoneJudge(region)
    metadata = phonenumbers.PhoneMetadata.metadata_for_region(region, None)
    code = phonenumbers.country_code_for_region(region)
    known = [str(kind.example_number) for kind in (metadata.mobile, metadata.fixed_line, metadata.toll_free)]
    verdicts = set()
    for _ in range(400):
        digits = list(drawn.choice(known))
        for place in drawn.sample(range(len(digits)), drawn.choice((0, 1, 4))):
            digits[place] = str(drawn.randrange(10))
        national = drawn.choice(("", "", "", "0", "8", "1", "9")) + "".join(digits)[: drawn.choice((99, 99, 99, 7))]
        number = drawn.choice((national, f"+{code}{national}", f"00{code}{national}", f"{code}{national}"))
        verdict = judge(number, "")
        verdicts.add(verdict)
        assert verdict is by_the_package(f"+{number[2:]}" if number.startswith("00") else number, region), number
    assert verdicts == {True, False}


def test_a_country_of_the_customer_goes_before_the_shops() -> None:
    judge = PhoneJudge("CN")
    assert judge("07400123456", "44") and judge("07400123456", "gb") and not judge("07400123456", "")
    assert PhoneJudge("")("07400123456", "") is None and PhoneJudge("")("+447400123456", "")


def two_byte_set() -> set[str]:
    """The characters of all two-byte places of GB18030, read out place by place."""
    places = (bytes((first, second)) for first in range(0x81, 0xFF) for second in range(0x40, 0xFF) if second != 0x7F)
    return {each for place in places for each in place.decode("gb18030", errors="ignore")}


def test_an_ideograph_without_a_two_byte_place_is_rare() -> None:
    short = two_byte_set()
    assert {"喆", "镕", "㑇"} <= short and not {"㐂", "\U00020bb7"} & short
    for first, last in ((0x3400, 0x4DC0), (0x4E00, 0xA000), (0xF900, 0xFA6E), (0x20000, 0x20200)):
        for character in map(chr, range(first, last)):
            if unicodedata.category(character) == "Cn":
                assert kind_of(character) == "unassigned"
            else:
                assert (kind_of(character) == "rare") is (character not in short), hex(ord(character))


@pytest.mark.parametrize(
    "text", ["Müller", "张伟", "李小龙", "Zoë Đặng", "联通", "Łódź", "ひらがな", "Ωμέγα", "Иван", "é"]
)
@pytest.mark.parametrize("wrong", ["cp1252", "latin-1", "gbk"])
def test_text_read_in_the_wrong_encoding_is_seen_and_sound_text_is_not(text: str, wrong: str) -> None:
    assert not is_mojibake(text)
    spoilt = text.encode("utf-8").decode(wrong, errors="ignore")
    whole = spoilt.encode(wrong, errors="ignore") == text.encode("utf-8")
    if whole and (wrong != "gbk" or all("\u4e00" <= each <= "\u9fa5" for each in text)):
        assert is_mojibake(spoilt)
