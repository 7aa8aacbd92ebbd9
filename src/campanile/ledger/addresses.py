"""How addresses are compared: a suppression must hold however the address was typed."""

from __future__ import annotations

import re

_NOT_DIGITS = re.compile(r"[^\d+]")


def address_key(channel: str, address: str) -> str:
    """The form of an address under which suppressions are kept.

    >>> address_key("email", " Li.Wei@Mail.Example "), address_key("sms", "+86 138-0013 8000")
    ('li.wei@mail.example', '+8613800138000')
    """
    return _NOT_DIGITS.sub("", address) if channel == "sms" else address.strip().casefold()
