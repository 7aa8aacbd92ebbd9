"""Whether a customer can be reached at all: addresses and numbers that are well written, and the shop's own flags."""

from __future__ import annotations

import functools
from collections.abc import Mapping

import ibis
import ibis.expr.types as ir

from campanile.customers import engine

#: What a mail can be addressed to: never more than `messages.mime.recipient` takes, or one customer's own address would
#: stop everybody's plan. A local part is ASCII; a domain may have letters whose ASCII form every program agrees on.
_ATOM = r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+"
_EMAIL = (
    rf"^{_ATOM}(\.{_ATOM})*"
    r"@([A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?\.)+[A-Za-z][A-Za-z0-9-]{0,61}[A-Za-z0-9]$"
)
_LETTER = r"A-Za-z0-9\p{Latin}\p{Greek}\p{Cyrillic}\p{Han}\p{Hiragana}\p{Katakana}\p{Hangul}\p{Thai}"
_IDN = (
    rf"^{_ATOM}(\.{_ATOM})*"
    rf"@([{_LETTER}]([{_LETTER}-]*[{_LETTER}])?\.)+([{_LETTER}][{_LETTER}-]*[{_LETTER}])$"
)
_LONG_LOCAL = r"^[^@]{65}"
#: Marks and numerals that the scripts above hold beside their letters, and hyphens where ASCII forms have theirs.
_UNSURE = r"[^\x00-\x7f\p{Ll}\p{Lu}\p{Lo}]|@(.*\.)?(..--|\d[^.]*$)"
_LONGEST, _LONGEST_LABEL, _GROWTH = 254, 63, 5
_PHONE = r"^\+?\d{7,15}$"
_PHONE_FILLING = r"[\s().\-/]"

#: The column of the profile that says whether a mail can be written to the address, whatever the shop says of it.
MAILABLE = "mailable"
#: Other channels that a shop may know to be open.
_FLAGS = ("postal_ok", "wechat_bound", "app_installed", "push_on")


def contact_flags(customers: ir.Table) -> Mapping[str, ir.BooleanValue]:
    """`email_ok` and `phone_ok`: what the shop imported, else whether address or number are well written."""
    columns = customers.columns
    flags = {}
    if "email" in columns:
        address = mailable(customers.email).fill_null(engine.FALSE)
        flags["email_ok"] = ibis.coalesce(customers.email_ok, address) if "email_ok" in columns else address
    if "phone" in columns:
        number = customers.phone.re_replace(_PHONE_FILLING, "").re_search(_PHONE).fill_null(engine.FALSE)
        flags["phone_ok"] = ibis.coalesce(customers.phone_ok, number) if "phone_ok" in columns else number
    return flags


def mailable(address: ir.StringValue) -> ir.BooleanValue:
    """Whether a mail can be written to the address."""
    domain = address.re_replace("^[^@]*@", "")
    encoded = domain.length() + _GROWTH * domain.re_replace(r"[\x00-\x7f]+", "").length()
    foreign = address.re_search(_IDN) & (encoded <= _LONGEST_LABEL - len("xn--")) & ~address.re_search(_UNSURE)
    fits = (address.length() <= _LONGEST) & ~address.re_search(_LONG_LOCAL)
    # By cases, so that the dear patterns are asked only of the few addresses that the first one does not know.
    well_written: ir.BooleanValue = ibis.ifelse(address.re_search(_EMAIL), engine.TRUE, foreign)
    return well_written & fits


def gone(customers: ir.Table) -> ir.BooleanValue:
    """Whether a customer asked to be forgotten or cannot be reached on any channel the shop knows about."""
    flags = dict(contact_flags(customers))
    for flag in ("email_ok", "phone_ok", *_FLAGS):
        if flag in customers.columns:
            flags.setdefault(flag, customers[flag].fill_null(engine.FALSE))
    reasons = [engine.FALSE]
    if flags:
        reasons.append(~functools.reduce(lambda left, right: left | right, flags.values()))
    if "erasure_requested" in customers.columns:
        reasons.append(customers.erasure_requested.fill_null(engine.FALSE))
    return functools.reduce(lambda left, right: left | right, reasons)
