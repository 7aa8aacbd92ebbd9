"""When the state of the customer database stops campaigns: `policy: audit:` of campanile.yaml."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Annotated, Any

from pydantic import Field, PlainValidator, WithJsonSchema

from campanile.clock import Duration
from campanile.errors import did_you_mean
from campanile.spec.fields import Spec, Unreadable, duration, percent, share, shown
from campanile.spec.vocabulary import load_vocabulary

_LIMIT = re.compile(r"at most\s+(?P<number>\d[\d,]*(?:\.\d+)?)\s*(?P<percent>%?)")
_LIMIT_CURE = 'write a share or a number of rows, as in "at most 5%" or "at most 100"'
_FRESH_CURE = "write a length of time, as in 2d, or one for each table, as in {order: 2d, visited: 1w}"
#: What `freshness: 2d` speaks of.
ORDERS = "order"


@dataclass(frozen=True)
class Limit:
    """Up to how many faulty rows campaigns go on: a share of all rows, or a number of rows."""

    at_most: Decimal
    is_share: bool

    def broken_by(self, count: int, of: int) -> bool:
        """Whether so many faulty rows of so many are too many.

        >>> limit("at most 5%").broken_by(5, 100), limit("at most 5%").broken_by(6, 100)
        (False, True)
        """
        return count > (self.at_most * of if self.is_share else self.at_most)

    def __str__(self) -> str:
        return f"at most {percent(self.at_most) if self.is_share else f'{self.at_most:,}'}"


def limit(value: object) -> Limit:
    """The limit that `at most 5%` or `at most 100` says.

    >>> str(limit("at most 5%")), str(limit("at most 1,000"))
    ('at most 5%', 'at most 1,000')
    """
    if isinstance(value, Limit):
        return value
    match = _LIMIT.fullmatch(value.strip()) if isinstance(value, str) else None
    if match is None:
        raise Unreadable(f"wants a limit, got {shown(value)}", _LIMIT_CURE)
    if match["percent"]:
        return Limit(share(f"{match['number']}%"), is_share=True)
    number = Decimal(match["number"].replace(",", ""))
    if number != number.to_integral_value():
        raise Unreadable(f"wants a limit, got {shown(value)}", _LIMIT_CURE)
    return Limit(number, is_share=False)


def freshness(value: object) -> Mapping[str, Duration]:
    """How old the newest row of a table may be: `2d` speaks of orders, `{order: 2d, visited: 1w}` of each table.

    >>> freshness("2d")
    {'order': Duration(months=0, days=2, hours=0)}
    """
    if not isinstance(value, Mapping):
        try:
            return {ORDERS: duration(value)}
        except Unreadable as error:
            raise Unreadable(error.what, _FRESH_CURE) from error
    events = load_vocabulary().events
    for table in value:
        if table not in events:
            raise Unreadable(f'no table "{table}" with moments', did_you_mean(str(table), events) or _FRESH_CURE)
    if not value:
        raise Unreadable("wants a length of time, got no table", _FRESH_CURE)
    return {str(table): duration(length) for table, length in value.items()}


_LIMIT_SCHEMA = WithJsonSchema(
    {
        "words": "limit",
        "type": "string",
        "pattern": r"^at most\s+\d[\d,]*(\.\d+)?\s*%?$",
        "examples": ["at most 5%", "at most 100"],
    }
)
_FRESH_SCHEMA = WithJsonSchema(
    {"words": "length of time, or one for each table", "type": ["string", "object"], "examples": ["2d"]}
)
LimitText = Annotated[
    Limit | None, PlainValidator(lambda value: None if value is None else limit(value)), _LIMIT_SCHEMA
]
Freshness = Annotated[Mapping[str, Duration], PlainValidator(freshness), _FRESH_SCHEMA]

#: What the page calls many where the shop says nothing. None of it stops a campaign.
ADVICE: Mapping[str, Limit] = {
    name: limit(f"at most {share_}")
    for name, share_ in {
        "required_fields": "20%",
        "invalid_email": "5%",
        "invalid_phone": "5%",
        "duplicate_rows": "1%",
        "duplicate_email": "5%",
        "duplicate_phone": "5%",
        "duplicate_person": "5%",
        "unprintable": "1%",
        "mojibake": "1%",
        "rare_characters": "1%",
        "incomplete_address": "10%",
        "impossible_dates": "1%",
        "impossible_amounts": "1%",
        "zero_amounts": "1%",
        "orders_without_customer": "1%",
        "orders_before_registration": "5%",
        "orders_without_lines": "1%",
        "lines_without_order": "1%",
        "returns_above_order": "1%",
        "duplicate_orders": "0%",
        "rejected_rows": "1%",
    }.items()
}
FRESH = Duration(days=2)


def _limit(what: str, name: str) -> Any:
    return Field(None, description=f"{what} The page calls more than {str(ADVICE[name])[8:]} many.")


class AuditSettings(Spec):
    """Limits beyond which `campanile plan` refuses, because the customer database is too old or too faulty.

    A limit that is not written stops nothing; the page of `campanile audit` then judges by its own.
    """

    freshness: Freshness = Field(
        default_factory=dict,
        description="How old the newest row of a table may be at the moment that is looked from: `2d` for orders, or "
        "`{order: 2d, visited: 1w}`. Days are the shop's calendar days, hours are exact. The page calls orders older "
        "than 2d stale.",
    )
    required_fields: LimitText = _limit(
        "Customers without a field that a campaign, a template or the policy needs; each field by itself.",
        "required_fields",
    )
    invalid_email: LimitText = _limit("Mail addresses that are not written as one.", "invalid_email")
    invalid_phone: LimitText = _limit("Telephone numbers that exist nowhere.", "invalid_phone")
    duplicate_rows: LimitText = _limit("Rows that are there already, equal in everything.", "duplicate_rows")
    duplicate_email: LimitText = _limit("Customers with the mail address of another one.", "duplicate_email")
    duplicate_phone: LimitText = _limit("Customers with the telephone number of another one.", "duplicate_phone")
    duplicate_person: LimitText = _limit(
        "Customers with the name and the address, or postcode, of another one.", "duplicate_person"
    )
    unprintable: LimitText = _limit("Customers with characters that cannot be printed.", "unprintable")
    mojibake: LimitText = _limit("Customers with text that was read in the wrong encoding.", "mojibake")
    rare_characters: LimitText = _limit(
        "Customers with rare characters, on which printers and SMS gateways fail.", "rare_characters"
    )
    incomplete_address: LimitText = _limit("Addresses without a house number, city or postcode.", "incomplete_address")
    impossible_dates: LimitText = _limit("Dates that cannot be.", "impossible_dates")
    impossible_amounts: LimitText = _limit(
        "Amounts below zero, or above a thousand times the median.", "impossible_amounts"
    )
    zero_amounts: LimitText = _limit("Amounts of zero.", "zero_amounts")
    orders_without_customer: LimitText = _limit(
        "Orders, order lines and returns of customers that nobody knows.", "orders_without_customer"
    )
    orders_before_registration: LimitText = _limit(
        "Orders of a day before their customer registered.", "orders_before_registration"
    )
    orders_without_lines: LimitText = _limit("Orders without an order line.", "orders_without_lines")
    lines_without_order: LimitText = _limit("Order lines whose order is not there.", "lines_without_order")
    returns_above_order: LimitText = _limit("Orders of which more came back than was paid.", "returns_above_order")
    duplicate_orders: LimitText = _limit("Orders whose order_id another one has.", "duplicate_orders")
    rejected_rows: LimitText = _limit("Rows that the last import refused.", "rejected_rows")

    @property
    def limits(self) -> Mapping[str, Limit]:
        """The limits that are written, by check."""
        return {name: found for name in ADVICE if (found := getattr(self, name)) is not None}

    @property
    def stops(self) -> frozenset[str]:
        """The checks that may stop a campaign."""
        return frozenset(self.limits) | ({"freshness"} if self.freshness else frozenset())
