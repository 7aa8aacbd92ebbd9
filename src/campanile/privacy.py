"""A second net under promise 6: addresses and phone numbers never reach a log.

The first net is that nobody writes them. This one is for what a library says of its own accord.
"""

from __future__ import annotations

import logging
import re

_ADDRESS = re.compile(r"[\w.+%'-]+[@＠][\w-]+(?:[.．。][\w-]+)+")
_PHONE = re.compile(r"(?<![\w-])\+\d[\d ().-]{6,18}\d")
_OCTET = r"(?:25[0-5]|2[0-4]\d|1?\d?\d)"
#: Figures that look like a number written in groups: dates, ids that begin with a year, network addresses, decimals.
_FIGURE = (
    r"(?:19|20)\d\d[-.]\d{1,2}[-.]\d{1,2}(?!\d)|\d{1,2}[-.]\d{1,2}[-.](?:19|20)\d\d(?!\d)|(?:19|20)\d\d-\d+(?![\d-])"
    rf"|{_OCTET}(?:\.{_OCTET}){{3}}(?![\d.])|\d+\.\d+(?![\d.])"
)
_GROUPS = r"(?:\(\d{1,5}\)|\d{1,5})(?:(?:[ \u00a0.-]|(?<=\)))\d{2,8}){1,5}"
_GROUPED = re.compile(rf"(?<![\w.,:/+-])(?:(?P<figure>{_FIGURE})|{_GROUPS})(?![\w:/]|[-.,]\d)")
_SEPARATOR = re.compile(r"[ \u00a0.()-]+")
#: Digits of a telephone number; and of a local one behind its area code, where two groups could be something else.
_FEWEST, _MOST, _LOCAL = 7, 15, 7


def redact(text: str) -> str:
    """The text with every e-mail address and telephone number replaced.

    A number without + counts when it is written in groups, as 138 0013 8000 or 0571-88881234: figures are not.

    >>> redact("550 no such user li.wei@mail.example, +86 138 0013 8000")
    '550 no such user [address], [phone]'
    >>> redact("138-0013-8000 was called on 2026-03-05, for 1,234,567.00")
    '[phone] was called on 2026-03-05, for 1,234,567.00'
    """
    return _GROUPED.sub(_grouped, _PHONE.sub("[phone]", _ADDRESS.sub("[address]", text)))


def _grouped(found: re.Match[str]) -> str:
    text = found[0]
    groups = [group for group in _SEPARATOR.split(text) if group]
    if found["figure"] or not _FEWEST <= len("".join(groups)) <= _MOST:
        return text
    telephone = len(groups) > 2 or text[0] in "0(" or len(groups[-1]) >= _LOCAL
    return "[phone]" if telephone else text


class RedactFilter(logging.Filter):
    """Rewrites each record's message; keeps the record. Of a failure that `says_it_all` only the sentence is kept."""

    def filter(self, record: logging.LogRecord) -> bool:
        """True always: the record stays, without contact data."""
        record.msg, record.args = redact(record.getMessage()), None
        error = record.exc_info[1] if record.exc_info else None
        if getattr(error, "says_it_all", False):
            record.msg, record.exc_info, record.exc_text = redact(str(error)), None, None
        elif record.exc_info and error is not None:
            record.exc_text = redact(logging.Formatter().formatException(record.exc_info))
        return True
