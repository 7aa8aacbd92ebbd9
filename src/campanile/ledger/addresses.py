"""How addresses are compared: one rule for Python and the engine, so that a suppression holds on both sides.

Only what every engine does alike is used: replacing single characters, and two patterns over ASCII. Letters outside
ASCII stay as they are: engines disagree on the small form of İ and ß, and an address that differs in them is another.
A number without its country is compared as it stands: nobody can know whether 13800138000 is +86 138 0013 8000.
"""

from __future__ import annotations

import re
import string

#: Blanks that stand in no address, whatever wrote them: white space of ASCII, no-break, ideographic, of no width.
_BLANKS = " \t\n\v\f\r\u00a0\u2009\u200b\u3000\ufeff"
#: Full-width letters, digits and signs are what an input method makes of the plain ones.
_WIDE = "".join(chr(code) for code in range(0xFF01, 0xFF5F))
_PLAIN = "".join(chr(code) for code in range(0x21, 0x7F))

#: Each character of the first becomes the one at its place in the second; those without a partner go.
LETTERS = (string.ascii_uppercase + _WIDE + _BLANKS, string.ascii_lowercase + _PLAIN.lower())
#: Where this finds nothing, `LETTERS` does no more than the small letters of ASCII, which engines make 40 times faster.
UNUSUAL = r"[^\x21-\x7e]"
#: What is no digit goes from a number, then the prefix that a plus sign stands for.
NOT_DIGITS = "[^0-9]"
PREFIX = "^00"

_TABLE = str.maketrans(LETTERS[0][: len(LETTERS[1])], LETTERS[1], LETTERS[0][len(LETTERS[1]) :])


def address_key(channel: str, address: str) -> str:
    """The form of an address under which suppressions are kept; `audience.reach.address_of` says it to the engine.

    >>> address_key("email", " Li.Wei@Mail.Example "), address_key("sms", "0086 138-0013 8000")
    ('li.wei@mail.example', '8613800138000')
    """
    plain = address.translate(_TABLE)
    return re.sub(PREFIX, "", re.sub(NOT_DIGITS, "", plain)) if channel == "sms" else plain
