"""Mail addresses and telephone numbers: whether they can be ones at all, and who shares one.

Distinct values are streamed from the engine in Arrow batches, so memory does not grow with the customers. Nothing of
them is kept. The two packages that judge cost 80 and 50 microseconds a value; what is plainly right is passed by before
they are asked, by rules that they share (a test compares).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

import ibis
import ibis.expr.types as ir

from campanile.customers import engine
from campanile.customers.audit.findings import Finding
from campanile.customers.audit.tally import Count, missing, streamed, surplus
from campanile.customers.tables import CUSTOMERS

if TYPE_CHECKING:
    from campanile.customers.database import CustomerDatabase

#: A local part that every reading of the standards takes: 64 characters at most are checked apart.
_PLAIN_LOCAL = re.compile(r"[A-Za-z0-9_]+(?:[.+_-][A-Za-z0-9_]+)*")
_LONGEST_LOCAL, _LONGEST = 64, 254
_PLAIN_NUMBER = re.compile(r"\+?[0-9]{4,15}")
#: A pattern that fits nothing.
_NOTHING = r"(?!)"
_FILLING = r"[\s().\-/]"


def look_at_mail(database: CustomerDatabase, customers: ir.Table) -> Iterator[Finding]:
    """Addresses that are none, and customers with the address of another one."""
    if "email" not in customers.columns:
        return
    known = customers.filter(~missing(customers["email"]))
    grouped = known.group_by(value=engine.trimmed(known["email"]).lower()).agg(
        rows=known.count(), first=known["customer_id"].min(), last=known["customer_id"].max()
    )
    invalid, shared = Count(), Count()
    for value, rows, first, last in streamed(database, grouped, "value"):
        invalid.of += rows
        if not is_mail_address(value):
            invalid.add(rows, first, last)
        if rows > 1:
            shared.add(rows - 1, first, last)
    shared.of = invalid.of
    yield invalid.finding("invalid_email", "email", "are not written as one")
    yield shared.finding("duplicate_email", "email", "have the mail address of another one")


def is_mail_address(text: str) -> bool:
    """Whether a mail can be addressed to it, by the rules of the standards; asks no name server.

    >>> is_mail_address("li.wei@mail.example"), is_mail_address("li..wei@mail.example"), is_mail_address("li@")
    (True, False, False)
    """
    local, at, domain = text.rpartition("@")
    if not at:
        return False
    if len(local) <= _LONGEST_LOCAL and len(text) <= _LONGEST and _PLAIN_LOCAL.fullmatch(local):
        return _is_domain(domain)
    return _package_takes(text)


@lru_cache(maxsize=50_000)
def _is_domain(domain: str) -> bool:
    return _package_takes(f"a@{domain}")


def _package_takes(address: str) -> bool:
    from email_validator import EmailNotValidError, validate_email

    try:
        validate_email(address, check_deliverability=False)
    except EmailNotValidError:
        return False
    return True


@dataclass(frozen=True)
class Phones:
    """What the telephone numbers came to; `unjudged` have no country code, and nobody says their country."""

    findings: tuple[Finding, ...] = ()
    unjudged: int = 0


def look_at_phones(database: CustomerDatabase, customers: ir.Table, region: str) -> Phones:
    """Numbers that exist nowhere, customers with the number of another one; and how many could not be judged.

    Args:
        database: To stream from.
        customers: The table; its phone_country goes before the shop's region.
        region: Two letters of the shop's country; "" when nobody says.
    """
    if "phone" not in customers.columns:
        return Phones()
    known = customers.filter(~missing(customers["phone"]))
    country = known["phone_country"].fill_null("") if "phone_country" in known.columns else ibis.literal("")
    grouped = known.group_by(value=known["phone"].re_replace(_FILLING, ""), country=country).agg(
        rows=known.count(), first=known["customer_id"].min(), last=known["customer_id"].max()
    )
    judge, invalid, unjudged = PhoneJudge(region), Count(), 0
    for value, place, rows, first, last in streamed(database, grouped, "value", "country"):
        verdict = judge(value, place)
        if verdict is None:
            unjudged += rows
            continue
        invalid.of += rows
        if not verdict:
            invalid.add(rows, first, last)
    same = surplus(known, {"value": known["phone"].re_replace("[^0-9]", "").re_replace("^00", "")})
    size = invalid.of + unjudged
    findings = (
        invalid.finding("invalid_phone", "phone", "exist nowhere"),
        Finding(
            "duplicate_phone", CUSTOMERS, "phone", same.count, size, "have the telephone number of another one",
            same.examples,
        ),
    )  # fmt: skip
    return Phones(findings, unjudged)


class PhoneJudge:
    """Says of a number whether it exists; None of one without a country code when nobody says the country."""

    def __init__(self, region: str) -> None:
        self._region = region

    def __call__(self, text: str, country: str) -> bool | None:
        """Whether the number is one of that country, or of the country whose code it begins with.

        >>> judge = PhoneJudge("CN")
        >>> judge("13800138000", ""), judge("+8613800138000", ""), judge("123", ""), judge("07400123456", "GB")
        (True, True, False, True)
        >>> PhoneJudge("")("13800138000", "")
        """
        number = f"+{text[2:]}" if text.startswith("00") else text
        place = _region_of(country) or self._region
        if not number.startswith("+") and not place:
            return None
        if _PLAIN_NUMBER.fullmatch(number) and _is_mobile(number, place):
            return True
        import phonenumbers

        try:
            return phonenumbers.is_valid_number(phonenumbers.parse(number, place or None))
        except phonenumbers.NumberParseException:
            return False


def _is_mobile(number: str, place: str) -> bool:
    if not number.startswith("+"):
        return _mobile_of(place)(number)
    return any(
        number.startswith(code, 1) and _mobile_of(region)(number[1 + len(code) :])
        for code, region in _regions_of(number[1:4])
    )


@lru_cache(maxsize=1000)
def _regions_of(digits: str) -> tuple[tuple[str, str], ...]:
    """The country code that these digits begin with, and the first country that has it."""
    import phonenumbers

    codes = phonenumbers.COUNTRY_CODE_TO_REGION_CODE
    known = (digits[:length] for length in (1, 2, 3) if digits[:length].isdecimal())
    return tuple((code, codes[int(code)][0]) for code in known if int(code) in codes and not code.startswith("0"))


@lru_cache(maxsize=300)
def _mobile_of(region: str) -> Callable[[str], bool]:
    """Whether digits are a mobile number of a country, beyond all doubt: nothing can be taken off in front."""
    import phonenumbers

    metadata = phonenumbers.PhoneMetadata.metadata_for_region(region, None)
    if metadata is None or metadata.general_desc is None or metadata.mobile is None:
        return lambda _digits: False
    general = re.compile(metadata.general_desc.national_number_pattern or _NOTHING)
    mobile = re.compile(metadata.mobile.national_number_pattern or _NOTHING)
    prefix = re.compile(metadata.national_prefix_for_parsing or _NOTHING)
    lengths = frozenset(metadata.mobile.possible_length)

    def matches(digits: str) -> bool:
        plain = len(digits) in lengths and mobile.fullmatch(digits) and general.fullmatch(digits)
        return bool(plain and not prefix.match(digits))

    return matches


@lru_cache(maxsize=1000)
def _region_of(country: str) -> str:
    """The two letters of a country that is given so, or by its telephone code; "" when it is neither.

    >>> _region_of("GB"), _region_of("+86"), _region_of("cn"), _region_of("Utopia")
    ('GB', 'CN', 'CN', '')
    """
    import phonenumbers

    words = country.strip().upper().removeprefix("+").removeprefix("00")
    if words.isdecimal():
        return str((phonenumbers.COUNTRY_CODE_TO_REGION_CODE.get(int(words)) or ("",))[0])
    return words if words in phonenumbers.SUPPORTED_REGIONS else ""
