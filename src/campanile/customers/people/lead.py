"""Who leads the records of a person, and whose value of a field counts first.

Who leads goes on leading when further records join, because the person is known under that id: in assignments, in the
hash that decides arms, in messages. Only where nobody leads yet do the shop's rules decide, and they never tie.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import cast

import ibis
import ibis.expr.types as ir

from campanile.spec.people import PeopleSettings

_ORDERS: Mapping[str, tuple[str, bool]] = {
    "latest_order": ("latest_order", True),
    "most_complete": ("complete", True),
    "oldest_registration": ("registered", False),
}


def placed(
    members: ir.Table, customers: ir.Table, orders: ir.Table | None, people: ir.Table, settings: PeopleSettings
) -> ir.Table:
    """The members as customer_id, person_id (the leader's customer_id) and place (0 counts first).

    Args:
        members: customer_id and label; one label is one person.
        customers: All columns of all records.
        orders: Orders of all records; None where the shop has none.
        people: Who leads already.
        settings: The rules.
    """
    known = _facts(members, customers, orders, people)
    by_rule = [_sorted(known, *_ORDERS[rule]) for rule in settings.lead]
    leading = [known["leads_since"].asc(nulls_first=False), *by_rule, known["customer_id"].asc()]
    first = ibis.row_number().over(group_by="label", order_by=leading)
    place = first
    if settings.values == "newest":
        newest = [_sorted(known, "latest_order", True), _sorted(known, "registered", True)]  # noqa: FBT003
        place = ibis.row_number().over(group_by="label", order_by=[*newest, known["customer_id"].asc()])
    ranked = known.mutate(_first=first, place=place)
    leader = ranked["customer_id"].min(where=ranked["_first"] == 0).over(group_by="label")
    return ranked.mutate(person_id=leader).select("customer_id", "person_id", place=ranked["place"].cast("int64"))


def _facts(members: ir.Table, customers: ir.Table, orders: ir.Table | None, people: ir.Table) -> ir.Table:
    """The members with what the rules ask of them."""
    rows = customers.inner_join(members, "customer_id")
    known = [ibis.ifelse(customers[column].notnull(), 1, 0) for column in customers.columns]
    registered = customers["registered_at"].cast("timestamp") if "registered_at" in customers.columns else None
    facts = rows.select(
        customer_id=members["customer_id"],
        label=members["label"],
        complete=sum(known[1:], known[0]),
        registered=registered if registered is not None else ibis.null("timestamp"),
    )
    leaders = people.filter(people["customer_id"] == people["person_id"])
    facts = _joined(facts, leaders.select("customer_id", leads_since="merged_at"))
    if orders is None:
        return facts.mutate(latest_order=ibis.null("timestamp"))
    theirs = orders.semi_join(members, "customer_id")
    return _joined(facts, theirs.group_by("customer_id").aggregate(latest_order=theirs["at"].max()))


def _joined(facts: ir.Table, more: ir.Table) -> ir.Table:
    joined = facts.left_join(more, "customer_id")
    return joined.select(*facts.columns, *(column for column in more.columns if column != "customer_id"))


def _sorted(rows: ir.Table, column: str, descending: bool) -> ir.Value:  # noqa: FBT001
    """The column as a key to sort by; who has none comes last."""
    key = rows[column]
    return cast(ir.Value, key.desc(nulls_first=False) if descending else key.asc(nulls_first=False))
