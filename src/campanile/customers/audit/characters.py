"""Characters that do not arrive as they were meant: unprintable ones, text in the wrong encoding, rare characters.

Rare (奇难字) is a Chinese character without a two-byte place in GB18030: printers and SMS gateways fail on it. Distinct
texts are streamed from the engine; a text of ordinary characters is passed by in one comparison of sets.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING

import ibis.expr.types as ir

from campanile.customers.audit.findings import Character, CharacterKind, Finding
from campanile.customers.audit.tally import Count, missing, streamed

if TYPE_CHECKING:
    from campanile.customers.database import CustomerDatabase

#: Columns with checks of their own.
_JUDGED = ("customer_id", "email", "phone")
#: Characters listed at most, those of most customers first.
_LISTED = 50
#: ASCII, and the unified ideographs that have had a two-byte place since 1995.
_ORDINARY = frozenset(map(chr, (*range(0x20, 0x7F), *range(0x4E00, 0x9FA6))))
#: What a program writes for text that it could not read, after reading it once more in the wrong way.
_KNOWN_MOJIBAKE = re.compile("锟斤拷|烫烫|屯屯|ï»¿|â€")
_IDEOGRAPH = re.compile("[\u4e00-\u9fa5]")
_CHECKS: dict[str, str] = {
    "unprintable": "have a character that cannot be printed in their {}",
    "mojibake": "have text in their {} that was read in the wrong encoding",
    "rare_characters": "have a rare character in their {}",
}


@dataclass
class Texts:
    """What the texts of the customers came to."""

    findings: list[Finding] = field(default_factory=list)
    seen: Counter[tuple[str, CharacterKind]] = field(default_factory=Counter)

    @property
    def characters(self) -> tuple[Character, ...]:
        """The characters to list, those of most customers first."""
        ranked = sorted(self.seen.items(), key=lambda item: (-item[1], item[0]))
        return tuple(Character(ord(character), kind, rows) for (character, kind), rows in ranked[:_LISTED])


def look_at_texts(database: CustomerDatabase, customers: ir.Table) -> Texts:
    """Every column of text that people wrote, column by column."""
    texts = Texts()
    for column in customers.columns:
        if column not in _JUDGED and isinstance(customers[column], ir.StringValue):
            texts.findings += _look_at(database, customers, column, texts.seen)
    return texts


def _look_at(
    database: CustomerDatabase, customers: ir.Table, column: str, seen: Counter[tuple[str, CharacterKind]]
) -> Iterator[Finding]:
    known = customers.filter(~missing(customers[column]))
    grouped = known.group_by(value=known[column]).agg(
        rows=known.count(), first=known["customer_id"].min(), last=known["customer_id"].max()
    )
    found = {check: Count() for check in _CHECKS}
    size = 0
    for value, rows, first, last in streamed(database, grouped, "value"):
        size += rows
        if not _ORDINARY.issuperset(value) or _KNOWN_MOJIBAKE.search(value):
            for check in _faults(value, rows, seen):
                found[check].add(rows, first, last)
    for check, words in _CHECKS.items():
        found[check].of = size
        yield found[check].finding(check, column, words.format(column))


def _faults(value: str, rows: int, seen: Counter[tuple[str, CharacterKind]]) -> Iterator[str]:
    """The checks that a text fails; its characters are counted on the way."""
    if is_mojibake(value):
        yield "mojibake"
        return
    kinds = {character: kind for character in set(value) if (kind := kind_of(character))}
    for character, kind in kinds.items():
        seen[character, kind] += rows
    if any(kind != "rare" for kind in kinds.values()):
        yield "unprintable"
    if "rare" in kinds.values():
        yield "rare_characters"


@lru_cache(maxsize=20_000)
def kind_of(character: str) -> CharacterKind | None:
    r"""Why a character does not arrive as it was meant; None of one that does.

    >>> [kind_of(each) for each in ("a", "喆", "é", "㐂", "\U00020bb7", "\ufffd", "\ue000", "\x07", "\u0378")]
    [None, None, None, 'rare', 'rare', 'replacement', 'private', 'control', 'unassigned']
    """
    if character == "\ufffd":
        return "replacement"
    category = unicodedata.category(character)
    if category in ("Cc", "Cs"):
        return "control"
    if category == "Co":
        return "private"
    if category == "Cn":
        return "unassigned"
    ideograph = unicodedata.name(character, "").startswith("CJK ")
    return "rare" if ideograph and len(character.encode("gb18030")) > 2 else None


def is_mojibake(text: str) -> bool:
    """Whether a text shows the signs of having been read in the wrong encoding.

    >>> is_mojibake("MÃ¼ller"), is_mojibake("寮犱紵"), is_mojibake("锟斤拷"), is_mojibake("Müller"), is_mojibake("张伟")
    (True, True, True, False, False)
    """
    if _KNOWN_MOJIBAKE.search(text):
        return True
    if text.isascii():
        return False
    western = _read_again(text, "cp1252") or _read_again(text, "latin-1")
    if western:
        return True
    chinese = _read_again(text, "gbk")
    return bool(chinese and all(each.isascii() or _IDEOGRAPH.match(each) for each in chinese))


def _read_again(text: str, encoding: str) -> str | None:
    """The text as UTF-8, had it been read in `encoding` by mistake; None when it cannot have been."""
    try:
        again = text.encode(encoding).decode("utf-8")
    except UnicodeError:
        return None
    return again
