"""Which fields and events a shop has: what its mapping imports, and what the product computes beside that."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from campanile.spec.vocabulary import CLOCK_FIELDS

#: Fields that every profile has.
COMPUTED = frozenset({
    "recency_days", "rfm.r", "rfm.f", "rfm.m", "rfm.sum", "rfm.code", "rfm.segment", "stage",
})  # fmt: skip
#: Fields that a profile has when this is imported: a column of the customers, or a table.
COMPUTED_FROM = {"email_ok": "email", "phone_ok": "phone", "visit_recency_days": "visited"}
#: Whom the policy holds out of all marketing; every shop that has such a policy knows it.
HOLDOUT = "global_holdout"
#: Events that the product keeps itself.
OWN_EVENTS = frozenset({"contacted", "assigned"})
_MAP = "in campanile.yaml, under import:"
HOLD_OUT = 'write policy: {holdout: {share: 5%, salt: "2026"}} in campanile.yaml'

Lack = tuple[str, str]


@dataclass(frozen=True)
class ShopTables:
    """What a shop has.

    Attributes:
        columns: The columns of each imported table; None for a table whose columns only its file knows.
        holds_out: Whether the policy holds customers out of all marketing.
    """

    columns: Mapping[str, frozenset[str] | None]
    holds_out: bool = False

    def lacks_field(self, name: str) -> Lack | None:
        """What is wrong with naming this customer field, and the cure; None when the shop has it."""
        mapped = self.columns["customers"]
        source = COMPUTED_FROM.get(name, name)
        if mapped is None or name in COMPUTED or {name, source} & {*mapped, *self.columns}:
            return None
        if name == HOLDOUT:
            return None if self.holds_out else ("the shop holds nobody out of all marketing", HOLD_OUT)
        return f'the shop imports no "{name}" of customers', f"map a column for it {_MAP} customers:"

    def lacks_event(self, name: str) -> Lack | None:
        """What is wrong with naming this event, and the cure; None when the shop has it."""
        if name in OWN_EVENTS or name in self.columns:
            return None
        return f'the shop imports no events "{name}"', f"map a file for them {_MAP}"

    def lacks_column(self, event: str, field: str) -> Lack | None:
        """What is wrong with naming this field of an event, and the cure; None when the shop has it."""
        mapped = None if event in OWN_EVENTS else self.columns.get(event)
        if mapped is None or field in mapped or field in CLOCK_FIELDS:
            return None
        return f'the shop imports no "{field}" of "{event}"', f"map a column for it {_MAP} {event}:"


def shop_tables(mapping: Mapping[str, tuple[str, ...]], *, holds_out: bool = False) -> ShopTables | None:
    """What a mapping imports; None when it imports no customers, so that tables come from elsewhere.

    Args:
        mapping: The columns that are mapped for each table; none when they are those of the file.
        holds_out: Whether the policy holds customers out of all marketing.

    >>> tables = shop_tables({"customers": ("customer_id", "tier"), "order": ()})
    >>> tables.lacks_field("tier"), tables.lacks_event("order"), tables.lacks_column("order", "amount")
    (None, None, None)
    >>> tables.lacks_field("age")[0]
    'the shop imports no "age" of customers'
    >>> shop_tables({"bought": ("sku",)})
    """
    if "customers" not in mapping:
        return None
    columns = {table: frozenset(columns) if columns else None for table, columns in mapping.items()}
    return ShopTables(columns, holds_out)
