"""Which fields and events a shop has: what its mapping imports, and what the product computes beside that."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

from campanile.spec.vocabulary import CLOCK_FIELDS, load_vocabulary

#: Fields that every profile has.
COMPUTED = frozenset({
    "recency_days", "rfm.r", "rfm.f", "rfm.m", "rfm.sum", "rfm.code", "rfm.segment", "rfm8", "rfm_segment_before",
    "rfm_segment_90d_ago", "stage", "stage_before", "stage_90d_ago", "stage_days", "substage", "aipl",
    "next_order_due", "preferred_hour", "margin_12m", "cost_to_serve_12m", "bucket", "profile_filled",
    "visit_recency_days", "usual_gap", "p_alive", "expected_orders_12m", "clv_12m",
})  # fmt: skip
#: Fields that a profile has when this is imported: a column of the customers, or of a table of events.
COMPUTED_FROM = {
    "email_ok": "email", "phone_ok": "phone", "email_provider": "email", "age": "birth_date",
    "child_age_months": "child_birth", "member_since": "registered_at", "household_size": "household",
    "favourite_category": "bought.category", "category_share": "bought.category",
    "category_affinity": "bought.category", "favourite_brand": "bought.brand", "brand_loyalty": "bought.brand",
    "discount_habit": "bought.discount_rate", "spending_tier": "bought.unit_price",
    "preferred_channel": "clicked.channel", "home_store": "order.store", "points": "earned_points.points",
    "nps": "surveyed.score", "csat": "surveyed.score",
}  # fmt: skip
#: Whom the policy holds out of all marketing; every shop that has such a policy knows it.
HOLDOUT = "global_holdout"
#: The table of scores: each of its columns is a field of the customers, and so is the age of a customer's scores.
_SCORE = "score"
_SCORE_AGE = "score_age_days"
#: Events that the product keeps itself.
OWN_EVENTS = frozenset({"contacted", "assigned", "stage_changed", "tier_changed"})
#: Events that the product keeps of answers to its own messages; most shops import others of them too.
ANSWERS = frozenset({"opened", "clicked", "replied", "bounced", "spam_report", "unsubscribed", "used_coupon"})
_MAP = "in campanile.yaml, under import:"
HOLD_OUT = 'write policy: {holdout: {share: 5%, salt: "2026"}} in campanile.yaml'

Lack = tuple[str, str]


@dataclass(frozen=True)
class ShopTables:
    """What a shop has.

    Attributes:
        columns: The columns of each imported table; None for a table whose columns only its file knows.
        holds_out: Whether the policy holds customers out of all marketing.
        scopes: Of the settings: RFM of part of the order lines.
    """

    columns: Mapping[str, frozenset[str] | None]
    holds_out: bool = False
    scopes: frozenset[str] = frozenset()

    def lacks_field(self, name: str) -> Lack | None:
        """What is wrong with naming this customer field, and the cure; None when the shop has it."""
        mapped = self.columns["customers"]
        source = COMPUTED_FROM.get(name, name)
        scope = name.removeprefix("rfm_").split(".")[0] if name.startswith("rfm_") else ""
        known = name in COMPUTED or scope in self.scopes or name in self._scores()
        if mapped is None or known or name in mapped or self._has(source):
            return None
        if name == HOLDOUT:
            return None if self.holds_out else ("the shop holds nobody out of all marketing", HOLD_OUT)
        if scope and name.endswith((".r", ".f", ".m")):
            lines = f"{{scopes: {{{scope}: {{category: {scope}}}}}}}"
            return f'the settings have no RFM scope "{scope}"', f"add to campanile.yaml, under policy: rfm: {lines}"
        return f'the shop imports no "{name}" of customers', f"map a column for it {_MAP} customers:"

    def _has(self, source: str) -> bool:
        """Whether a column of the customers, or a column of a table of events, is imported."""
        table, _, column = source.rpartition(".")
        mapped = self.columns.get(table or "customers", frozenset())
        return mapped is None or column in mapped

    def _scores(self) -> Collection[str]:
        """The fields that the table of scores brings."""
        if _SCORE not in self.columns:
            return ()
        mapped = self.columns[_SCORE]
        return {_SCORE_AGE, *(load_vocabulary().events[_SCORE].fields if mapped is None else mapped)}

    def lacks_event(self, name: str) -> Lack | None:
        """What is wrong with naming this event, and the cure; None when the shop has it."""
        if name in OWN_EVENTS | ANSWERS or name in self.columns:
            return None
        return f'the shop imports no events "{name}"', f"map a file for them {_MAP}"

    def lacks_column(self, event: str, field: str) -> Lack | None:
        """What is wrong with naming this field of an event, and the cure; None when the shop has it."""
        mapped = None if event in OWN_EVENTS else self.columns.get(event)
        if mapped is None or field in mapped or field in CLOCK_FIELDS:
            return None
        return f'the shop imports no "{field}" of "{event}"', f"map a column for it {_MAP} {event}:"


def shop_tables(
    mapping: Mapping[str, tuple[str, ...]], *, holds_out: bool = False, scopes: Iterable[str] = ()
) -> ShopTables | None:
    """What a mapping imports; None when it imports no customers, so that tables come from elsewhere.

    Args:
        mapping: The columns that are mapped for each table; none when they are those of the file.
        holds_out: Whether the policy holds customers out of all marketing.
        scopes: The names of RFM scopes.

    >>> tables = shop_tables({"customers": ("customer_id", "tier"), "order": ()})
    >>> tables.lacks_field("tier"), tables.lacks_event("order"), tables.lacks_column("order", "amount")
    (None, None, None)
    >>> tables.lacks_field("age")[0]
    'the shop imports no "age" of customers'
    >>> shop_tables({"bought": ("sku",)})
    """
    if "customers" not in mapping:
        return None
    held = {table: frozenset(columns) if columns else None for table, columns in mapping.items()}
    return ShopTables(held, holds_out, frozenset(scopes))
