"""Pairs of records that may be one person: what they share, and what speaks against it.

Everything is a relation. Keys that too many records share make no pairs, so their number grows with the records only.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import reduce
from operator import or_
from typing import cast

import ibis
import ibis.expr.types as ir

from campanile.customers import engine
from campanile.customers.people import keys
from campanile.spec.people import MatchRule, PeopleSettings

#: What records have in common, by rule.
KEYS: Mapping[MatchRule, Callable[[ir.Table], ir.StringValue]] = {
    "email": keys.email_key,
    "phone": keys.phone_key,
    "name_and_address": keys.name_and_address_key,
}
#: The columns of the customers without which a rule finds nobody.
NEEDS: Mapping[MatchRule, tuple[str, ...]] = {
    "email": ("email",),
    "phone": ("phone",),
    "name_and_address": ("name", "address"),
}
#: Why a pair is no match although the shop's rules have no word about it: it was split once.
APART = "split before"
_TRAITS = ("_born", "_sex", "_name")


def usable_rules(customers: ir.Table, settings: PeopleSettings) -> tuple[MatchRule, ...]:
    """The rules of the settings for which the shop has the columns."""
    return tuple(rule for rule in settings.match if set(NEEDS[rule]) <= set(customers.columns))


def candidates(customers: ir.Table, settings: PeopleSettings) -> ir.Table:
    """One row per record: customer_id, a key per usable rule, what tells persons apart, and whether it is left out."""
    flags = [customers[name] for name in settings.leave_out if name in customers.columns]
    left_out = reduce(or_, (flag.cast("boolean").fill_null(engine.FALSE) for flag in flags), engine.FALSE)
    return customers.select(
        "customer_id",
        **{rule: KEYS[rule](customers) for rule in usable_rules(customers, settings)},
        _born=_column(customers, "birth_date"),
        _sex=keys.text_key_of(_column(customers, "gender")),
        _name=keys.text_key_of(_column(customers, "name")),
        _left_out=left_out,
    )


def _column(customers: ir.Table, name: str) -> ir.StringValue:
    if name not in customers.columns:
        return cast(ir.StringValue, ibis.null("string"))
    return cast(ir.StringValue, customers[name].cast("string"))


def shared_keys(records: ir.Table, rule: MatchRule) -> ir.Table:
    """Each key that several records have, with the number of them, those left out included."""
    known = records.filter(records[rule].notnull())
    counted = known.group_by(key=known[rule]).aggregate(records=known.count())
    return counted.filter(counted["records"] > 1)


def pairs(records: ir.Table, rule: MatchRule, settings: PeopleSettings) -> ir.Table:
    """Pairs a < b of records that share a key which few share: customer_id and traits of both, as a… and b…."""
    shared = shared_keys(records, rule)
    few = shared.filter(shared["records"] <= settings.shared_by).select("key")
    taking_part = records.filter(~records["_left_out"])
    # Pairs of few records each: the engine joins what is left of the table, not the table.
    members = taking_part.inner_join(few, taking_part[rule] == few["key"]).select("key", "customer_id", *_TRAITS)
    return paired(members, "key")


def paired(members: ir.Table, group: str) -> ir.Table:
    """All pairs a < b of the members of each group, with the traits of both."""
    sides = [
        members.select(
            **{f"{side}_group": members[group], f"{side}_id": members["customer_id"]},
            **{f"{side}{trait}": members[trait] for trait in _TRAITS},
        )
        for side in ("a", "b")
    ]
    left, right = sides
    return left.inner_join(right, [left["a_group"] == right["b_group"], left["a_id"] < right["b_id"]])


def vetoed(found: ir.Table, settings: PeopleSettings, apart: ir.Table) -> ir.Table:
    """The pairs as a_id, b_id, and `veto`: what tells the two apart, NULL when nothing does."""
    parted = apart.select(_one="customer_id", _other="other_id", _parted=engine.TRUE)
    joined = found.left_join(parted, [found["a_id"] == parted["_one"], found["b_id"] == parted["_other"]])
    tests = {
        "birth_date": _differ(joined, "_born"),
        "gender_and_name": _differ(joined, "_sex") & _differ(joined, "_name"),
        "name": _differ(joined, "_name"),
    }
    cases = [(joined["_parted"].notnull(), APART), *((tests[veto], veto) for veto in settings.veto)]
    veto = ibis.cases(*cases, else_=ibis.null("string"))
    return joined.select("a_id", "b_id", veto=veto)


def _differ(found: ir.Table, trait: str) -> ir.BooleanValue:
    """Whether both know it and it is not the same."""
    one, other = (cast(ir.StringValue, found[f"{side}{trait}"]) for side in ("a", "b"))
    return cast(ir.BooleanValue, ((one != other) & (one != "") & (other != "")).fill_null(engine.FALSE))
