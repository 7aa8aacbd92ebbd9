"""How customers are scored and staged: `policy.rfm` and `policy.stages` of campanile.yaml."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Annotated, Any, Literal, TypeVar

from pydantic import BeforeValidator, Field, PlainValidator, WithJsonSchema, model_validator

from campanile.clock import Duration
from campanile.spec.fields import Days, Length, Sentence, Spec, Text, Unreadable, amount, shown, text, whole

Cut = TypeVar("Cut", int, Decimal)
#: How scores are made where no cut points are given.
Method = Literal["quantile", "nested", "frozen"]

_FEWEST, _MOST = 2, 9
_USUAL_SCORES = 5
_USUAL_FREQUENCY = (2, 3, 5, 10)
_SCOPE = re.compile(r"[a-z][a-z0-9_]{0,29}")


def _cuts(read: Callable[[object], Cut], *methods: str) -> Callable[[object], tuple[Cut, ...] | str]:
    """A parser of rising cut points between scores, or of the name of a method."""

    def parse(value: object) -> tuple[Cut, ...] | str:
        if isinstance(value, str) and value in methods:
            return value
        cuts = tuple(read(item) for item in value) if isinstance(value, list | tuple) else ()
        if not cuts or list(cuts) != sorted(set(cuts)):
            words = ", ".join(methods)
            raise Unreadable(f"wants {words} or rising numbers, got {shown(value)}", "write it as in [2, 3, 5, 10]")
        return cuts

    return parse


def _cuts_schema(*methods: str) -> WithJsonSchema:
    return WithJsonSchema(
        {
            "words": f"{', '.join(methods)}, or rising numbers",
            "examples": [[2, 3, 5, 10]],
            "anyOf": [{"enum": list(methods)}, {"type": "array", "items": {"type": "number"}, "minItems": 1}],
        }
    )


def _number_of_scores(value: object) -> int:
    number = whole(value)
    if not _FEWEST <= number <= _MOST:
        raise Unreadable(f"wants {_FEWEST} to {_MOST} scores, got {number}", "write scores: 5")
    return number


def _boundary(value: object) -> int | Literal["mean"]:
    return "mean" if value == "mean" else whole(value)


def _words(value: object) -> tuple[str, ...]:
    """One text or a list of texts.

    >>> _words("cosmetics"), _words(["a", "b"])
    (('cosmetics',), ('a', 'b'))
    """
    return tuple(text(item) for item in value) if isinstance(value, list | tuple) else (text(value),)


WholeCuts = Annotated[
    tuple[int, ...] | Method, PlainValidator(_cuts(whole, "quantile", "nested")), _cuts_schema("quantile", "nested")
]
AmountCuts = Annotated[
    tuple[Decimal, ...] | Method,
    PlainValidator(_cuts(amount, "quantile", "nested", "frozen")),
    _cuts_schema("quantile", "nested", "frozen"),
]
Scores = Annotated[
    int,
    PlainValidator(_number_of_scores),
    WithJsonSchema({"words": "whole number", "type": "integer", "minimum": _FEWEST, "maximum": _MOST}),
]
Boundary = Annotated[
    int | Literal["mean"],
    PlainValidator(_boundary),
    WithJsonSchema({"words": "mean, or a score", "anyOf": [{"const": "mean"}, {"type": "integer", "minimum": 1}]}),
]
TextOrTexts = Annotated[
    tuple[Text, ...],
    BeforeValidator(_words),
    WithJsonSchema({"words": "text or a list", "anyOf": [{"type": "string"}, {"type": "array"}]}),
]


class StageSettings(Spec):
    """Until how many days after the last order a customer is active, silent, sleeping, lapsed; then dead.

    Without any, the 75th, 90th and 95th percentile of the shop's own repurchase gaps decide.
    """

    active: Days | None = Field(None, description="Last day of active.")
    silent: Days | None = Field(None, description="Last day of silent.")
    sleeping: Days | None = Field(None, description="Last day of sleeping.")
    lapsed: Days | None = Field(None, description="Last day of lapsed; after it a customer is dead.")
    hold: Days | None = Field(
        None,
        description="A visit, click or enquiry in so many days holds a customer one stage higher, as in 30d; "
        "without it nothing does.",
    )

    @model_validator(mode="after")
    def _all_and_rising(self) -> StageSettings:
        days = (self.active, self.silent, self.sleeping, self.lapsed)
        known = [day for day in days if day is not None]
        if known and len(known) < len(days):
            raise Unreadable("stages want active, silent, sleeping and lapsed together", "give all four, or none")
        if known != sorted(set(known)):
            raise Unreadable("stages must get longer from active to lapsed", "as in 90d, 180d, 365d, 730d")
        return self


class RfmSettings(Spec):
    """How recency, frequency and money become scores, and what the cells of scores are called."""

    window: Length = Field(Duration(days=365), description="Orders that frequency and money look at.")
    scores: Scores = Field(_USUAL_SCORES, description="How many scores a letter has; the highest is best.")
    recency: WholeCuts = Field(
        "quantile",
        description="`quantile` (the default, equal values get equal scores), `nested` (parts of equal size, ties by "
        "customer), or the most days since the last order for the scores from the best down to 2.",
    )
    frequency: WholeCuts = Field(
        _USUAL_FREQUENCY,
        description="`quantile`, `nested` (parts of equal size inside a recency score), or the fewest orders for the "
        "scores from 2 up; default [2, 3, 5, 10], with another number of scores `quantile`.",
    )
    money: AmountCuts = Field(
        "quantile",
        description="`quantile` (the default), `nested` (inside a recency and frequency score), `frozen` (quantiles "
        "of the first profile, rounded and kept until `campanile profile --refreeze`), or the smallest sums for the "
        "scores from 2 up, in the shop's currency.",
    )
    recency_of: Literal["order", "visit"] = Field("order", description="Days since the last order or the last visit.")
    frequency_of: Literal["orders", "days"] = Field(
        "orders", description="Orders, or days with an order, which is safer where a shop splits orders."
    )
    money_of: Literal["sum", "average"] = Field("sum", description="All the money, or money per order.")
    segments: Sentence = Field(
        "default",
        description="What cells are called: `default`, `putler`, `klaviyo` (3 scores), `shopify`, `eight`, or a file "
        "of the shop, as in segments/rfm.yaml.",
    )
    high: Boundary = Field(
        "mean",
        description="From where a score is high in the eight-way map `rfm8`: above the mean, or from a score on.",
    )
    scopes: Mapping[Text, Mapping[Text, TextOrTexts]] = Field(
        default_factory=dict,
        description="RFM of part of the order lines: {cosmetics: {category: cosmetics}} gives rfm_cosmetics.r, .f, .m.",
    )

    @model_validator(mode="before")
    @classmethod
    def _frequency_of_other_scores(cls, data: Any) -> Any:
        """Four cut points part five scores only: without any of the shop's own, quantiles decide."""
        if isinstance(data, Mapping) and data.get("scores", _USUAL_SCORES) != _USUAL_SCORES:
            return {"frequency": "quantile", **data}
        return data

    @model_validator(mode="after")
    def _fits(self) -> RfmSettings:
        for name in ("recency", "frequency", "money"):
            cuts = getattr(self, name)
            if not isinstance(cuts, str) and len(cuts) != self.scores - 1:
                raise Unreadable(
                    f"{name} has {len(cuts)} cut points, and {self.scores} scores are parted by {self.scores - 1}",
                    "give one number less than there are scores",
                )
        if isinstance(self.high, int) and not _FEWEST <= self.high <= self.scores:
            raise Unreadable(
                f"high: {self.high} leaves no low score", f"write a score from 2 to {self.scores}, or mean"
            )
        for name, lines in self.scopes.items():
            if not _SCOPE.fullmatch(name):
                raise Unreadable(f'"{name}" is no name of a scope', "use small letters, digits and _, as in cosmetics")
            if not lines:
                raise Unreadable(f'the scope "{name}" does not say which lines', "write {category: cosmetics}")
        return self
