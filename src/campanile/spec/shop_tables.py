"""Which fields and events a shop has: what its mapping imports, and what the product computes beside that."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from campanile.spec.vocabulary import CLOCK_FIELDS, load_vocabulary

#: Fields that every profile has.
COMPUTED = frozenset({
    "recency_days", "rfm.r", "rfm.f", "rfm.m", "rfm.sum", "rfm.code", "rfm.segment", "stage",
    "p_alive", "expected_orders_12m", "clv_12m",
})  # fmt: skip
#: Fields that a profile has when this is imported: a column of the customers, or a table.
COMPUTED_FROM = {"email_ok": "email", "phone_ok": "phone", "visit_recency_days": "visited"}
#: The table of scores: each of its columns is a field of the customers, and so is the age of a customer's scores.
_SCORE = "score"
_SCORE_AGE = "score_age_days"
#: Events that the product keeps itself.
OWN_EVENTS = frozenset({"contacted", "assigned"})
_MAP = "in campanile.yaml, under import:"

Lack = tuple[str, str]


@dataclass(frozen=True)
class ShopTables:
    """The columns of each imported table; None for a table whose columns only its file knows."""

    columns: Mapping[str, frozenset[str] | None]

    def lacks_field(self, name: str) -> Lack | None:
        """What is wrong with naming this customer field, and the cure; None when the shop has it."""
        mapped = self.columns["customers"]
        source = COMPUTED_FROM.get(name, name)
        if mapped is None or name in COMPUTED or {name, source} & {*mapped, *self.columns, *self._scores()}:
            return None
        return f'the shop imports no "{name}" of customers', f"map a column for it {_MAP} customers:"

    def _scores(self) -> Collection[str]:
        """The fields that the table of scores brings."""
        if _SCORE not in self.columns:
            return ()
        mapped = self.columns[_SCORE]
        return {_SCORE_AGE, *(load_vocabulary().events[_SCORE].fields if mapped is None else mapped)}

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


def shop_tables(mapping: Mapping[str, tuple[str, ...]]) -> ShopTables | None:
    """What a mapping imports; None when it imports no customers, so that tables come from elsewhere.

    Args:
        mapping: The columns that are mapped for each table; none when they are those of the file.

    >>> tables = shop_tables({"customers": ("customer_id", "tier"), "order": ()})
    >>> tables.lacks_field("tier"), tables.lacks_event("order"), tables.lacks_column("order", "amount")
    (None, None, None)
    >>> tables.lacks_field("age")[0]
    'the shop imports no "age" of customers'
    >>> shop_tables({"bought": ("sku",)})
    """
    if "customers" not in mapping:
        return None
    return ShopTables({table: frozenset(columns) if columns else None for table, columns in mapping.items()})
