"""How contact points, names and postal addresses are compared: the same characters on every engine, none by its locale.

Returns Ibis expressions; `text_key` says in Python what `text_key_of` says to the engine. An address or number is
compared as suppressions are (`ledger.addresses`). A text loses case, width, accents never: "ＭÜLLER, Anna" and
"Müller Anna" are the same, "Mueller" is another.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from typing import cast

import ibis
import ibis.expr.types as ir

from campanile.customers import engine
from campanile.ledger.addresses import LETTERS, NOT_DIGITS, PREFIX, UNUSUAL

#: Blocks whose letters have cases and whose signs people type: Latin, Greek, Cyrillic, punctuation, full width.
_BLOCKS = ((0x21, 0x24F), (0x370, 0x52F), (0x1E00, 0x1EFF), (0x2000, 0x206F), (0x3000, 0x303F), (0xFF01, 0xFF65))
#: A number of fewer digits is an extension, of more a mistake.
_FEWEST_DIGITS, _MOST_DIGITS = 7, 15


def _letters(blocks: Sequence[tuple[int, int]] = _BLOCKS) -> tuple[str, str]:
    """As `ledger.addresses.LETTERS`: each character and what it becomes; those without a partner go."""
    becomes: dict[str, str] = {}
    gone = ["\t", "\n", "\v", "\f", "\r", " "]
    for character in (chr(code) for first, last in blocks for code in range(first, last + 1)):
        plain = unicodedata.normalize("NFKC", character).lower()
        if unicodedata.category(plain[0])[0] in "PSZC":
            gone.append(character)
        elif len(plain) == 1 and plain != character:
            becomes[character] = plain
    return "".join([*becomes, *gone]), "".join(becomes.values())


TEXT_LETTERS = _letters()
_TABLE = str.maketrans(
    TEXT_LETTERS[0][: len(TEXT_LETTERS[1])], TEXT_LETTERS[1], TEXT_LETTERS[0][len(TEXT_LETTERS[1]) :]
)
#: What a table costs grows with its length, so shorter ones do for texts in which the pattern finds nothing: names of
#: western Europe, and of eastern Asia. They say the same as the whole table there.
_SHORTER = (
    ("[^ -\u00ff]", _letters(((0x21, 0xFF),))),
    ("[\u00a0-\u1fff]", _letters(((0x21, 0x9F), (0x2000, 0x206F), (0x3000, 0x303F), (0xFF01, 0xFF65)))),
)
#: Where this finds nothing, small letters and the next pattern do what the table does, and engines do it faster.
_BEYOND_ASCII = r"[^\x20-\x7e]"
_NOT_PLAIN = "[^0-9a-z]"


def text_key(text: str) -> str:
    """The form in which names and postal addresses are compared.

    >>> text_key("Ｍüller,  Anna-Maria"), text_key("MÜLLER Anna Maria"), text_key("人民路１２号")
    ('müllerannamaria', 'müllerannamaria', '人民路12号')
    """
    return text.translate(_TABLE)


def text_key_of(text: ir.StringValue) -> ir.StringValue:
    """`text_key` for the engine; NULL stays NULL."""
    cases: list[tuple[ir.Value, ir.Value]] = [(~text.re_search(_BEYOND_ASCII), text.lower().re_replace(_NOT_PLAIN, ""))]
    cases += [(~text.re_search(pattern), text.translate(*letters)) for pattern, letters in _SHORTER]
    return cast(ir.StringValue, ibis.cases(*cases, else_=text.translate(*TEXT_LETTERS)))


def contact_key(written: ir.StringValue, medium: str) -> ir.StringValue:
    """The contact point as the ledger compares it, however it was typed; NULL stays NULL."""
    plain = ibis.ifelse(written.re_search(UNUSUAL), written.translate(*LETTERS), written.lower())
    if medium == "sms":
        plain = plain.re_replace(NOT_DIGITS, "").re_replace(PREFIX, "")
    return cast(ir.StringValue, plain)


def email_key(customers: ir.Table) -> ir.StringValue:
    """The address, where it can be one; else NULL."""
    key = contact_key(_text(customers, "email"), "email")
    return _where(key.re_search("^[^@]+@[^@]+$"), key)


def phone_key(customers: ir.Table) -> ir.StringValue:
    """The digits of the number, where they can be one; else NULL."""
    key = contact_key(_text(customers, "phone"), "sms")
    return _where((key.length() >= _FEWEST_DIGITS) & (key.length() <= _MOST_DIGITS), key)


def name_key(customers: ir.Table) -> ir.StringValue:
    """The whole name; NULL when nobody knows it."""
    return _known(text_key_of(_text(customers, "name")))


def last_name_key(customers: ir.Table) -> ir.StringValue:
    """The last name: the shop's own column, else the last word of the name, of a name in one word its first letter."""
    if "last_name" in customers.columns:
        return _known(text_key_of(_text(customers, "last_name")))
    words = _text(customers, "name").replace("\u3000", " ").strip()
    last = ibis.ifelse(words.contains(" "), words.re_extract("([^ ]*)$", 1), words.substr(0, 1))
    return _known(text_key_of(cast(ir.StringValue, last)))


def address_key(customers: ir.Table) -> ir.StringValue:
    """Street and house with the postcode, without one with the city; NULL when either is unknown."""
    street = _known(text_key_of(_text(customers, "address")))
    places = [_known(text_key_of(_text(customers, name))) for name in ("postcode", "city") if name in customers.columns]
    if not places:
        return street
    return cast(ir.StringValue, street + ibis.literal("|") + ibis.coalesce(*places))


def name_and_address_key(customers: ir.Table) -> ir.StringValue:
    """Name and postal address together; NULL when one is unknown."""
    return cast(ir.StringValue, name_key(customers) + ibis.literal("|") + address_key(customers))


def household_key(customers: ir.Table, by: str) -> ir.StringValue:
    """A name of the household that says nothing of it: sixty bits of a hash of what its members share; else NULL."""
    shared = address_key(customers)
    if by == "last_name_and_address":
        shared = cast(ir.StringValue, last_name_key(customers) + ibis.literal("|") + shared)
    return cast(ir.StringValue, ibis.literal("h") + engine.arm_number(shared, "household").cast("string"))


def _text(customers: ir.Table, name: str) -> ir.StringValue:
    """A column as text; NULL where the shop has no such column."""
    if name not in customers.columns:
        return cast(ir.StringValue, ibis.null("string"))
    return cast(ir.StringValue, customers[name].cast("string"))


def _known(key: ir.StringValue) -> ir.StringValue:
    return _where(key != "", key)


def _where(condition: ir.BooleanValue, key: ir.StringValue) -> ir.StringValue:
    return cast(ir.StringValue, ibis.ifelse(condition, key, ibis.null("string")))
