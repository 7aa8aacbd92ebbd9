"""How providers name our messages back to us."""

from __future__ import annotations

import base64
import binascii
import re

_HEX = re.compile(r"[0-9a-f]{32}")
_SHORT = re.compile(r"[A-Za-z0-9_-]{22}")


def message_id_of(value: object) -> str:
    """The message id that a provider gave back, 32 hex digits; "" when it is none. 22 letters of base64url are one too.

    >>> message_id_of("88bc88adf68dab00d532c0fd7c540e74"), message_id_of("iLyIrfaNqwDVMsD9fFQOdA")
    ('88bc88adf68dab00d532c0fd7c540e74', '88bc88adf68dab00d532c0fd7c540e74')
    >>> message_id_of("winback"), message_id_of(None)
    ('', '')
    """
    if not isinstance(value, str):
        return ""
    if _HEX.fullmatch(value):
        return value
    if _SHORT.fullmatch(value):
        try:
            return base64.urlsafe_b64decode(value + "==").hex()
        except (binascii.Error, ValueError):
            return ""
    return ""
