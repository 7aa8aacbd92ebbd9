"""Whether a customer can be reached at all: addresses and numbers that are well written, and the shop's own flags."""

from __future__ import annotations

import functools
from collections.abc import Mapping

import ibis
import ibis.expr.types as ir

from campanile.customers import engine

#: Practical, not RFC 5322: what mail providers take. No quotes, no spaces, a domain with a dot.
_ATOM = r"[^\s@\"(),:;<>\[\]\\.]+"
_LABEL = r"[\p{L}\p{N}]([\p{L}\p{N}-]*[\p{L}\p{N}])?"
_EMAIL = rf"^{_ATOM}(\.{_ATOM})*@({_LABEL}\.)+\p{{L}}[\p{{L}}\p{{N}}-]*[\p{{L}}\p{{N}}]$"
_PHONE = r"^\+?\d{7,15}$"
_PHONE_FILLING = r"[\s().\-/]"

#: Other channels that a shop may know to be open.
_FLAGS = ("postal_ok", "wechat_bound", "app_installed", "push_on")


def contact_flags(customers: ir.Table) -> Mapping[str, ir.BooleanValue]:
    """`email_ok` and `phone_ok`: what the shop imported, else whether address or number are well written."""
    columns = customers.columns
    flags = {}
    if "email" in columns:
        address = customers.email.re_search(_EMAIL) & (customers.email.length() <= 254)
        flags["email_ok"] = address.fill_null(engine.FALSE)
    if "phone" in columns:
        flags["phone_ok"] = customers.phone.re_replace(_PHONE_FILLING, "").re_search(_PHONE).fill_null(engine.FALSE)
    return {flag: ibis.coalesce(customers[flag], value) if flag in columns else value for flag, value in flags.items()}


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
