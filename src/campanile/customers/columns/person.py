"""What follows from a customer's own row: age, random bucket, membership, how much of the row is filled."""

from __future__ import annotations

from collections.abc import Mapping

import ibis
import ibis.expr.types as ir

from campanile.customers import engine
from campanile.customers.columns.past import Past

#: The buckets 0 to 9999, and the word that keys them: no arm's, so that buckets and arms are unrelated.
_BUCKETS = 10_000
_KEY = "bucket"
_MONTHS = 12


def person(past: Past, customers: ir.Table) -> Mapping[str, ir.Value]:
    """The columns that the customers' own row gives; those that the shop imports are left out."""
    found: dict[str, ir.Value] = {
        "bucket": (engine.arm_number(customers.customer_id, _KEY) % _BUCKETS).cast("int64"),
        "profile_filled": _filled(customers),
    }
    columns = customers.columns
    if "birth_date" in columns:
        found["age"] = (months_since(past, customers.birth_date) / _MONTHS).floor().cast("int64")
    if "child_birth" in columns:
        found["child_age_months"] = months_since(past, customers.child_birth)
    if "registered_at" in columns:
        found["member_since"] = customers.registered_at.cast("date")
    if "email" in columns:
        found["email_provider"] = _provider(customers.email)
    return {name: value for name, value in found.items() if name not in columns}


def months_since(past: Past, day: ir.Value) -> ir.IntegerValue:
    """Whole months from a date to today; nothing for dates that have not come.

    A year after 29 February is over on 1 March, where there is no 29 February.
    """
    date = day.cast("date")
    today = past.today
    months = (today.year - date.year()) * _MONTHS + (today.month - date.month())
    months = months - ibis.ifelse(date.day() > today.day, 1, 0)
    whole: ir.IntegerValue = ibis.ifelse(months >= 0, months.cast("int64"), ibis.null("int64"))
    return whole


def _filled(customers: ir.Table) -> ir.FloatingValue:
    """The share of the imported columns that are known."""
    columns = [name for name in customers.columns if name != "customer_id"]
    if not columns:
        return ibis.null("float64")
    known = [customers[name].notnull().cast("int64") for name in columns]
    total = known[0]
    for one in known[1:]:
        total = total + one
    return total.cast("float64") / len(columns)


def _provider(email: ir.StringValue) -> ir.StringValue:
    """The domain of an address, in small letters."""
    domain = email.re_extract(r"@([^@]+)$", 1).lower()
    provider: ir.StringValue = domain.nullif("")
    return provider
