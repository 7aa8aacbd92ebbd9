"""Persons in the place of records: one row per person, and events under the person's id. Lazy; stores nothing.

A field has the value of the first record, by `place`, that knows one. What belongs together comes from one record: a
contact point with its consent and its flags, a postal address with its town. What was refused on any record is refused.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import cast

import ibis
import ibis.expr.types as ir

from campanile.customers import engine
from campanile.customers.people.keys import household_key

#: What comes from one record: the column that must be known there, the consent to it, and what goes with it.
_TOGETHER: Sequence[tuple[str, str, tuple[str, ...]]] = (
    (
        "email",
        "email_consent",
        ("email", "email_ok", "email_consent", "email_consent_at", "email_consent_source", "email_provider"),
    ),
    ("phone", "sms_consent", ("phone", "phone_ok", "phone_country", "sms_consent", "sms_consent_at")),
    (
        "address",
        "postal_ok",
        ("address", "postal_ok", "postcode", "city", "city_tier", "area", "region", "country", "delivery_zone"),
    ),
    ("name", "", ("name", "last_name")),
)
#: One record is enough for these to be true of the person, and for those to be false.
_ANY = frozenset({"do_not_contact", "erasure_requested", "is_employee", "is_reseller", "is_test"})
_EVERY = frozenset({"email_consent", "sms_consent"})
#: A person has been a customer since the first record was.
_EARLIEST = frozenset({"registered_at"})
#: More than any place: puts records without consent behind those with it.
_BEHIND = 1_000_000


def by_person(rows: ir.Table, people: ir.Table) -> ir.Table:
    """The same rows with the person's id as customer_id; who was never merged keeps theirs."""
    map_ = people.select(_record="customer_id", _person="person_id")
    joined = rows.left_join(map_, rows["customer_id"] == map_["_record"])
    shown = {"customer_id": ibis.coalesce(joined["_person"], joined["customer_id"])}
    found = joined.select(**{column: shown.get(column, joined[column]) for column in rows.columns})
    # A relation of its own: Ibis adds another join to this one, and then a computed customer_id cannot be joined by.
    return found.select(*found.columns)


def persons(records: ir.Table, people: ir.Table) -> ir.Table:
    """One row per person, with the columns of the records.

    Args:
        records: One row per customer record.
        people: customer_id, person_id and place of every merged record.
    """
    alone = records.anti_join(people, "customer_id")
    placed = people.select("customer_id", _person="person_id", _place="place")
    members = records.inner_join(placed, "customer_id")
    chosen = _with_chosen(members)
    values: dict[str, ir.Value] = {
        column: _value(chosen, column) for column in records.columns if column != "customer_id"
    }
    merged = chosen.group_by("_person").aggregate(**values)
    shaped = {
        column: (merged["_person"] if column == "customer_id" else merged[column]).cast(type_)
        for column, type_ in records.schema().items()
    }
    return alone.union(merged.select(**shaped))


def _with_chosen(members: ir.Table) -> ir.Table:
    """The records with, for all that belongs together, whether theirs is the one that counts."""
    for number, (known, consent, _) in enumerate(_TOGETHER):
        if known not in members.columns:
            continue
        rank = members["_place"]
        if consent in members.columns and members[consent].type().is_boolean():
            rank = rank + ibis.ifelse(members[consent].fill_null(engine.FALSE), 0, _BEHIND)
        usable = members[known].notnull() & (members[known].cast("string").strip() != "")
        members = members.mutate(**{f"_rank{number}": ibis.ifelse(usable, rank, ibis.null("int64"))})
        first = members[f"_rank{number}"].min().over(group_by="_person")
        # Where no record knows it, what goes with it may come from any.
        members = members.mutate(**{f"_chosen{number}": (members[f"_rank{number}"] == first) | first.isnull()})
    return members


def _value(members: ir.Table, column: str) -> ir.Scalar:
    """A person's value of a column."""
    value = members[column]
    if column in _ANY and value.type().is_boolean():
        return cast(ir.Scalar, value.any())
    if column in _EARLIEST:
        return value.min()
    first = value.argmin(members["_place"], where=value.notnull() & _counts(members, column))
    if column in _EVERY and value.type().is_boolean():
        return cast(ir.Scalar, ibis.ifelse((~value).any().fill_null(engine.FALSE), engine.FALSE, first))
    return cast(ir.Scalar, first)


def _counts(members: ir.Table, column: str) -> ir.BooleanValue:
    """Which records may give a column its value: all, or the one chosen for what belongs together."""
    for number, (_, _, columns) in enumerate(_TOGETHER):
        if column in columns and f"_chosen{number}" in members.columns:
            return cast(ir.BooleanValue, members[f"_chosen{number}"].fill_null(engine.FALSE))
    return engine.TRUE


def with_household(customers: ir.Table, by: str) -> ir.Table:
    """The customers with a household where the import names none.

    Args:
        customers: One row per person.
        by: What a household has in common: `last_name_and_address` or `address`; `imported` changes nothing.
    """
    if by == "imported":
        return customers
    found: ir.Value = household_key(customers, by)
    if "household" in customers.columns:
        imported = customers["household"].cast("string")
        found = ibis.ifelse(imported.fill_null("") == "", found, imported)
    columns: Mapping[str, ir.Value] = {"household": found}
    return customers.mutate(**columns)
