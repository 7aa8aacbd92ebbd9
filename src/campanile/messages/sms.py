"""SMS as networks count it: encodings, parts, and what customer data may bring into one."""

from __future__ import annotations

import re
import unicodedata
from decimal import Decimal
from typing import NamedTuple

#: What one SMS can carry through any gateway.
MAX_CHARACTERS = 1600
_BASIC = frozenset(
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿"
    "abcdefghijklmnopqrstuvwxyzäöñüà"
)
_EXTENDED = frozenset("\f^{}\\[~]|€")
_EVERY = _BASIC | _EXTENDED
#: Typographic marks that cost a text its 160 characters, and what they stand for.
_PLAIN = str.maketrans({
    "‘": "'", "’": "'", "‚": "'", "‛": "'", "“": '"', "”": '"', "„": '"', "«": '"', "»": '"',
    "–": "-", "—": "-", "‐": "-", "‑": "-", "−": "-", "…": "...", "\u00a0": " ", "\u2009": " ", "\u202f": " ", "•": "*",
})  # fmt: skip
#: Formatting that cannot be seen: zero width, bidirectional control, soft hyphen, byte order mark.
_INVISIBLE = re.compile(
    "[\u00ad\u061c\u115f\u1160\u180e\u200b-\u200f\u202a-\u202e\u2060-\u2064\u2066-\u206f\u3164\ufeff\uffa0\ufff9-\ufffb]"
)
_CONTROL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]")
_SPACES = re.compile("[\t\r\n\u0085\u2028\u2029]+")
_LINK = re.compile(
    r"(?i)://|www\.|\b[\w-]+(?:\.[\w-]+)*\.(?:com|cn|net|org|info|biz|top|xyz|vip|shop|site|online|club|link|live|app|me|cc|co|io|tv|"
    r"ru|uk|de|fr|es|eu|us|hk|tw|jp|kr|sg|ly|gl|gd|to|is|im|ws|example|test|invalid)\b|\bt\.\w{1,3}/|\d{1,3}(?:\.\d{1,3}){3}"
)


class Parts(NamedTuple):
    """How networks count one text: encoding, parts, units used."""

    encoding: str
    parts: int
    units: int


def segments(text: str) -> Parts:
    """Encoding, parts and units of a text, as gateways count and bill them.

    >>> segments("a" * 160)
    Parts(encoding='GSM-7', parts=1, units=160)
    >>> segments("a" * 161).parts, segments("€" * 81).parts
    (2, 2)
    >>> segments("a" * 159 + "’")
    Parts(encoding='UCS-2', parts=3, units=160)
    >>> segments("优" * 70).parts, segments("优" * 71).parts, segments("😀" * 36)
    (1, 2, Parts(encoding='UCS-2', parts=2, units=72))
    """
    if _EVERY.issuperset(text):
        widths, one, many, encoding = [2 if mark in _EXTENDED else 1 for mark in text], 160, 153, "GSM-7"
    else:
        widths, one, many, encoding = [2 if mark > "\uffff" else 1 for mark in text], 70, 67, "UCS-2"
    units = sum(widths)
    if units <= one:
        return Parts(encoding, 1, units)
    parts, filled = 1, 0
    for width in _whole(text, widths):  # never split an escape pair, a surrogate pair, or what people see as one mark
        if filled + width > many:
            parts, filled = parts + 1, 0
        filled += width
    return Parts(encoding, parts, units)


def _whole(text: str, widths: list[int]) -> list[int]:
    """The widths of what people see as one mark: an emoji with its skin tone, a letter with its accent, a flag.

    >>> _whole("a👍🏽b", [1, 2, 2, 1])
    [1, 4, 1]
    """
    if text.isascii() and "\r" not in text:
        return widths
    whole: list[int] = []
    before, half_a_flag = "", False
    for mark, width in zip(text, widths, strict=True):
        flag = "\U0001f1e6" <= mark <= "\U0001f1ff"
        if whole and ((flag and half_a_flag) or _joins(before, mark)):
            whole[-1] += width
        else:
            whole.append(width)
        before, half_a_flag = mark, flag and not half_a_flag
    return whole


def _joins(before: str, mark: str) -> bool:
    """Whether a mark is seen as a part of the one before it (Unicode's extended grapheme clusters, without Hangul)."""
    if mark in "\u200d\n" or before == "\u200d":
        return mark == "\u200d" or before == ("\r" if mark == "\n" else "\u200d")
    skin_or_tag = "\U0001f3fb" <= mark <= "\U0001f3ff" or "\U000e0020" <= mark <= "\U000e007f"
    return skin_or_tag or (mark > "\u02ff" and unicodedata.category(mark)[0] == "M")


def fold_quotes(text: str) -> str:
    """The text with plain quotes and dashes if that makes it fit the 160-character alphabet, else unchanged.

    >>> fold_quotes("It’s here – now"), fold_quotes("“优选”")
    ("It's here - now", '“优选”')
    """
    if _EVERY.issuperset(text):
        return text
    folded = text.translate(_PLAIN)
    return folded if _EVERY.issuperset(folded) else text


def cost(text: str, per_part: Decimal) -> Decimal:
    """What the text costs when each part costs `per_part`.

    >>> cost("优" * 71, Decimal("0.05"))
    Decimal('0.10')
    """
    return segments(text).parts * per_part


def clean(text: str) -> str:
    r"""Text from data without control, invisible and direction characters, on one line, in NFC.

    >>> clean("Li\u202e \u200bWei\r\nBcc: x\x00")
    'Li Wei Bcc: x'
    """
    if text.isascii() and text.isprintable():
        return text.strip()
    visible = _CONTROL.sub("", _INVISIBLE.sub("", _SPACES.sub(" ", text)))
    return unicodedata.normalize("NFC", visible).strip()


def is_deceptive(text: str) -> bool:
    """Whether a value from data would pass as a signature or a link inside of an SMS.

    >>> [is_deceptive(text) for text in ("王伟", "J. R. Núñez", "【银行】王", "evil.example/x", "WWW.x")]
    [False, False, True, True, True]
    """
    folded = unicodedata.normalize("NFKC", text).replace("。", ".")
    return any(mark in text for mark in "【】〖〗") or _LINK.search(folded) is not None
