"""The contact policy of a shop: what its rules take away from every campaign, before anybody is assigned to an arm."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from decimal import Decimal
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    GetJsonSchemaHandler,
    PlainValidator,
    WithJsonSchema,
    model_validator,
)
from pydantic_core import CoreSchema

from campanile.clock import Duration
from campanile.spec.fields import MEDIA, Length, Sentence, Share, Spec, Unreadable, Whole, choice

#: The scope of caps that count the messages of every medium together.
EVERY_MEDIUM = "all"
#: More held out would cost a shop more than it could learn.
_LARGEST_HOLDOUT = Decimal("0.5")


class Cap(Spec):
    """How many marketing messages one customer may get."""

    at_most: Whole = Field(description="Number of messages.")
    within: Length = Field(description="In any stretch of this length.")

    def __str__(self) -> str:
        return f"{self.at_most} in {self.within}"


def _listed(value: object) -> object:
    """One cap by itself is a list of one."""
    return value if isinstance(value, list | tuple) else (value,)


def _of_different_lengths(caps: tuple[Cap, ...]) -> tuple[Cap, ...]:
    if not caps:
        raise Unreadable("wants a cap, got an empty list", "write {at_most: 2, within: 7d}, or remove the key")
    lengths = [str(cap.within) for cap in caps]
    twice = next((length for length in lengths if lengths.count(length) > 1), None)
    if twice:
        raise Unreadable(f"two caps are of {twice}", "keep the smaller one")
    return caps


class _OneOrSeveral:
    """Tells editors that one may be written without a list."""

    @classmethod
    def __get_pydantic_json_schema__(cls, core: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        listed = handler(core)
        return {"anyOf": [listed["items"], listed]}


Caps = Annotated[tuple[Cap, ...], BeforeValidator(_listed), AfterValidator(_of_different_lengths), _OneOrSeveral]
CapScope = Annotated[
    str,
    PlainValidator(lambda value: choice(value, (*MEDIA, EVERY_MEDIUM), "medium")),
    WithJsonSchema({"words": "medium, or all", "enum": [*MEDIA, EVERY_MEDIUM]}),
]


def default_caps() -> Mapping[str, tuple[Cap, ...]]:
    """The caps of a shop that names none.

    >>> [str(cap) for cap in default_caps()["sms"]]
    ['1 in 7d', '3 in 30d']
    """
    week, month = Duration(days=7), Duration(days=30)
    return {
        "email": (Cap(at_most=2, within=week),),
        "sms": (Cap(at_most=1, within=week), Cap(at_most=3, within=month)),
        EVERY_MEDIUM: (Cap(at_most=3, within=week),),
    }


class MarketingShare(Spec):
    """How much of what a customer hears from the shop may be marketing: 7 of service to 3 of marketing."""

    at_most: Share = Field(Decimal("0.3"), description="Largest share of marketing among all messages of the stretch.")
    within: Length = Field(Duration(days=90), description="The stretch before the selection.")
    enforce: Literal["warn", "exclude"] = Field(
        "warn", description="`warn` says in the plan how many are above it, `exclude` leaves them out of both arms."
    )


class Holdout(Spec):
    """Customers who get no marketing at all, so that the sum of all campaigns can be measured."""

    share: Share = Field(description="Share of all customers, as in 5%.")
    salt: Sentence = Field(description="A word that decides who they are; another one draws others.")
    renewed: Literal["yearly", "half-yearly", "never"] = Field(
        "yearly", description="When others are drawn by themselves: at the start of each year or half-year, or never."
    )

    @model_validator(mode="after")
    def _holds_some_out(self) -> Holdout:
        if not 0 < self.share <= _LARGEST_HOLDOUT:
            raise Unreadable("the share of the holdout must lie between 0% and 50%", "write share: 5%")
        return self

    def key(self, day: date) -> str:
        """The salt of the draw that holds on a calendar day of the shop.

        >>> Holdout(share="5%", salt="2026").key(date(2026, 3, 1))
        'holdout:2026:2026'
        >>> Holdout(share="5%", salt="x", renewed="half-yearly").key(date(2026, 7, 1))
        'holdout:x:2026-2'
        """
        drawn = {"yearly": f"{day.year}", "half-yearly": f"{day.year}-{1 + (day.month > 6)}", "never": "once"}
        return f"holdout:{self.salt}:{drawn[self.renewed]}"
