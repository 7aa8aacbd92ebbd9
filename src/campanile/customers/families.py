"""Columns of the profile that cost much, in families that are made together, and which of them somebody asks for.

A profile has every family after `campanile profile`. One that a plan makes of another moment has only those that the
project names, because most of the time goes into columns that nobody reads.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from enum import StrEnum


class Family(StrEnum):
    """Columns that are made together."""

    LINES = "lines"
    CHANNEL = "channel"
    HOUR = "hour"
    BALANCES = "balances"
    SCOPES = "scopes"
    FORECASTS = "forecasts"
    BEFORE = "before"


#: Every family: the profile of the day.
EVERYTHING = frozenset(Family)
_FIELDS = {
    Family.LINES: (
        "favourite_category", "category_share", "category_affinity", "favourite_brand", "brand_loyalty",
        "discount_habit", "spending_tier", "next_order_due",
    ),
    Family.CHANNEL: ("preferred_channel",),
    Family.HOUR: ("preferred_hour",),
    Family.BALANCES: ("points", "nps", "csat", "home_store"),
    Family.FORECASTS: ("p_alive", "expected_orders_12m", "clv_12m"),
    Family.BEFORE: ("stage_before", "rfm_segment_before", "stage_90d_ago", "rfm_segment_90d_ago", "stage_days"),
}  # fmt: skip
_OF_FIELD = {field: family for family, fields in _FIELDS.items() for field in fields}
_SCOPED = "rfm_"


def families_of(fields: Iterable[str]) -> frozenset[Family]:
    """The families that hold these customer fields.

    >>> sorted(families_of(["stage", "nps", "rfm_shoes.r", "favourite_brand"]))
    [<Family.BALANCES: 'balances'>, <Family.LINES: 'lines'>, <Family.SCOPES: 'scopes'>]
    """
    known = {_OF_FIELD[field] for field in fields if field in _OF_FIELD}
    return frozenset(known | {Family.SCOPES for field in fields if _scoped(field)})


def written(families: Collection[Family]) -> str:
    """The families as one word of a table.

    >>> written({Family.LINES, Family.HOUR}), families_in("hour+lines") == {Family.LINES, Family.HOUR}, written([])
    ('hour+lines', True, '')
    """
    return "+".join(sorted(families))


def families_in(word: str) -> frozenset[Family]:
    """The families of a word that `written` made."""
    return frozenset(map(Family, filter(None, word.split("+"))))


def lacking(families: Collection[Family]) -> frozenset[str]:
    """The fields that a profile of these families does not have, those of scopes left out.

    >>> "nps" in lacking([Family.LINES]), "favourite_brand" in lacking([Family.LINES])
    (True, False)
    """
    return frozenset(field for field, family in _OF_FIELD.items() if family not in families)


def _scoped(field: str) -> bool:
    """Whether a field is a score of part of the order lines: rfm_SCOPE.r."""
    return field.startswith(_SCOPED) and "." in field
