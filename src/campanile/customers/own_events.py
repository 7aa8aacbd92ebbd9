"""Events that the product knows itself, beside what the shop imported of the same kind."""

from __future__ import annotations

from collections.abc import Mapping

import ibis
import ibis.expr.types as ir

from campanile.customers.tables import columns_of

#: The product's own table of what people answered to its messages, and which kinds of events it holds.
RESPONSES = "responses"
RESPONDED = frozenset({"opened", "clicked", "replied", "bounced", "spam_report", "unsubscribed", "used_coupon"})
RESPONSE_TYPES: Mapping[str, str] = {
    "event": "string", "customer_id": "string", "at": "timestamp", "channel": "string", "campaign": "string",
    "machine": "boolean", "keyword": "string", "kind": "string",
}  # fmt: skip


def united(kind: str, own: ir.Table, known: Mapping[str, str], imported: ir.Table | None) -> ir.Table:
    """Our events of a kind and the imported ones, as one relation with every column that either can have.

    Args:
        kind: Name of the events.
        own: What the product knows.
        known: The types of its columns.
        imported: What the shop imported; None when nothing.
    """
    fields = {column: known.get(column, "string") for column in ("customer_id", *columns_of(kind))}
    parts = [own]
    if imported is not None:
        parts.append(imported)
        fields |= dict(imported.schema().items())
    fields["at"] = "timestamp(6)"
    shaped = [
        part.select(
            **{
                column: part[column].cast(type_) if column in part.columns else ibis.null(type_)
                for column, type_ in fields.items()
            }
        )
        for part in parts
    ]
    return ibis.union(*shaped) if len(shaped) > 1 else shaped[0]
