"""The settings of a shop: campanile.yaml."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from decimal import Decimal
from email.utils import parseaddr
from typing import Annotated, Literal, TypeVar

from pydantic import AfterValidator, Field, PlainValidator, WithJsonSchema, model_validator

from campanile.clock import Duration
from campanile.spec.fields import (
    Amount,
    CurrencyCode,
    Days,
    HeaderLine,
    Length,
    Medium,
    Sentence,
    Share,
    Spec,
    Text,
    Unreadable,
    Whole,
    Zone,
    amount,
    number,
    shown,
    whole,
)
from campanile.spec.mapping import TableMapping

Cut = TypeVar("Cut", int, Decimal)

_LOOPBACK = ("127.0.0.1", "localhost", "::1")
_URL = re.compile(r"https?://[^\s/?#]+(?:/[^\s?#]*)?")


def base_url(value: str) -> str:
    """The address of a web site without a slash at its end.

    >>> base_url("https://t.example.com/")
    'https://t.example.com'
    """
    if value and not _URL.fullmatch(value):
        raise Unreadable(f"wants an address of the web, got {shown(value)}", "write it as in https://t.example.com")
    return value.rstrip("/")


def mail_sender(value: str) -> str:
    """A sender as mail shows it: an address, or a name and an address in angle brackets."""
    address = parseaddr(value)[1]
    if value and not re.fullmatch(r"[^@\s]+@[^@\s]+\.[^@\s.]+", address):
        raise Unreadable("wants a sender with a mail address", 'write it as in "Shop <news@example.com>"')
    return value


def variable_name(value: str) -> str:
    """The name of an environment variable; what is not one may be a password, and is not repeated."""
    if value and not re.fullmatch(r"[A-Z_][A-Z0-9_]*", value):
        raise Unreadable("wants the name of an environment variable", "write it as in password_env: SMTP_PASSWORD")
    return value


def _port(value: object) -> int:
    port = whole(value)
    if port > 65535:
        raise Unreadable(f"wants a port up to 65535, got {shown(value)}")
    return port


def _seconds(value: object) -> float:
    seconds = float(value) if isinstance(value, float) else float(number(value))
    if seconds <= 0:
        raise Unreadable("wants a number of seconds above 0", "write timeout: 30")
    return seconds


def _cuts(read: Callable[[object], Cut]) -> Callable[[object], tuple[Cut, ...] | None]:
    """A parser of four rising cut points between five scores; `quantile` is None."""

    def parse(value: object) -> tuple[Cut, ...] | None:
        if value is None or value == "quantile":
            return None
        cuts = tuple(read(item) for item in value) if isinstance(value, list | tuple) else ()
        if len(cuts) != 4 or list(cuts) != sorted(set(cuts)):
            raise Unreadable(
                f"wants quantile or four rising numbers, got {shown(value)}", "write it as in [2, 3, 5, 10]"
            )
        return cuts

    return parse


_CUTS = WithJsonSchema(
    {
        "words": "quantile, or four rising numbers",
        "examples": [[2, 3, 5, 10]],
        "anyOf": [{"const": "quantile"}, {"type": "array", "items": {"type": "number"}, "minItems": 4, "maxItems": 4}],
    }
)
WholeCuts = Annotated[tuple[int, ...] | None, PlainValidator(_cuts(whole)), _CUTS]
AmountCuts = Annotated[tuple[Decimal, ...] | None, PlainValidator(_cuts(amount)), _CUTS]
Port = Annotated[
    int,
    PlainValidator(_port),
    WithJsonSchema({"words": "whole number", "type": "integer", "minimum": 1, "maximum": 65535}),
]
Seconds = Annotated[
    float,
    PlainValidator(_seconds),
    WithJsonSchema({"words": "number of seconds", "type": "number", "exclusiveMinimum": 0}),
]
WebAddress = Annotated[HeaderLine, AfterValidator(base_url)]
VariableName = Annotated[HeaderLine, AfterValidator(variable_name)]
MailSender = Annotated[HeaderLine, AfterValidator(mail_sender)]


class Shop(Spec):
    """The shop itself."""

    name: Sentence = Field(description="Name of the shop, as recipients know it.")
    currency: CurrencyCode = Field(description="ISO code of the currency of every amount.")
    timezone: Zone = Field(description="Time zone of the shop: calendar days, reports, `clock: shop`.")
    language: Text = Field("en", description="Language of messages, as in en or zh.")
    base_url: WebAddress = Field("", description="Web address that tracked links and unsubscribe links start with.")
    postal_address: Text = Field(
        "", description="Postal address for the foot of marketing mail, where law asks for it."
    )


class DatabaseSettings(Spec):
    """Where customers and orders are."""

    duckdb: Sentence = Field("customers.duckdb", description="DuckDB file, relative to home.")


class LedgerSettings(Spec):
    """Where plans, messages and attempts are recorded."""

    sqlite: Sentence = Field("ledger.sqlite", description="SQLite file, relative to home.")


class ChannelSettings(Spec):
    """How messages of one medium leave the house."""

    via: Literal["smtp", "outbox"] = Field(description="smtp hands over to a mail server, outbox writes files.")
    host: HeaderLine = Field("", description="Mail server.")
    port: Port = Field(587, description="Port of the mail server.")
    security: Literal["none", "starttls", "tls"] = Field("starttls", description="How the connection is protected.")
    username: HeaderLine = Field("", description="Name to log in with; without it nobody logs in.")
    password_env: VariableName = Field("", description="Environment variable that holds the password.")
    sender: MailSender = Field("", description="From of every mail.")
    reply_to: MailSender = Field("", description="Where answers go.")
    connections: Whole = Field(8, description="Connections kept open to the mail server.")
    timeout: Seconds = Field(
        30.0, description="Seconds to wait for an answer; then the message is unknown, never sent again by itself."
    )
    unsubscribe_mailto: MailSender = Field("", description="Mail address that takes unsubscribe requests.")
    signature: HeaderLine = Field("", description="Signature in front of every SMS, as in 【优选】.")

    @model_validator(mode="after")
    def _smtp_is_complete(self) -> ChannelSettings:
        if self.via == "outbox":
            return self
        for key, example in (("host", "host: smtp.example.com"), ("sender", "sender: Shop <news@example.com>")):
            if not getattr(self, key):
                raise Unreadable(f"smtp needs {key}", f"add {example}")
        if self.username and not self.password_env:
            raise Unreadable("username without password_env", "name the environment variable that holds the password")
        if self.username and self.security == "none" and self.host not in _LOOPBACK:
            raise Unreadable("the password would cross the network unprotected", "write security: starttls")
        return self


class Cap(Spec):
    """How many marketing messages one customer may get."""

    at_most: Whole = Field(description="Number of messages.")
    within: Length = Field(description="In any stretch of this length.")


class StageSettings(Spec):
    """Until how many days after the last order a customer is active, silent, sleeping, lapsed; then dead.

    Without any, the 75th, 90th and 95th percentile of the shop's own repurchase gaps decide.
    """

    active: Days | None = Field(None, description="Last day of active.")
    silent: Days | None = Field(None, description="Last day of silent.")
    sleeping: Days | None = Field(None, description="Last day of sleeping.")
    lapsed: Days | None = Field(None, description="Last day of lapsed; after it a customer is dead.")

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
    """How recency, frequency and money become scores from 1 to 5."""

    window: Length = Field(Duration(days=365), description="Orders that frequency and money look at.")
    recency: WholeCuts = Field(
        None, description="`quantile` (the default), or the most days since the last order for scores 5, 4, 3 and 2."
    )
    frequency: WholeCuts = Field(
        (2, 3, 5, 10), description="`quantile`, or the fewest orders for scores 2, 3, 4 and 5."
    )
    money: AmountCuts = Field(
        None,
        description="`quantile` (the default), or the smallest sums for scores 2, 3, 4 and 5, in the shop's currency.",
    )


class ValueSettings(Spec):
    """How the value of customers is forecast: `p_alive`, `expected_orders_12m` and `clv_12m`."""

    history: Length | None = Field(
        None, description="Customers whose first order is this recent teach the model; default: all."
    )
    refit: Days = Field(30, description="The model is made anew this often, on the same days in every shop.")
    discount: Share = Field(Decimal("0.1"), description="Yearly rate by which money of the future is worth less.")
    holdout: Days = Field(90, description="The forecast is checked over the last days: made before, counted after.")

    @model_validator(mode="after")
    def _days_are_there(self) -> ValueSettings:
        for name in ("refit", "holdout"):
            if not getattr(self, name):
                raise Unreadable(f"{name} wants one day or more", f"write {name}: 30d")
        return self


class ScoreSettings(Spec):
    """How old imported scores may be."""

    max_age: Days = Field(14, description="Oldest score that a selection may use; a score made earlier is refused.")
    undated: Literal["accept", "refuse"] = Field(
        "accept", description="What selections do with scores that came as plain columns of customers, of unknown age."
    )


class Policy(Spec):
    """Rules for every campaign."""

    caps: Mapping[Medium, Cap] = Field(
        default_factory=lambda: {
            "email": Cap(at_most=2, within=Duration(days=7)),
            "sms": Cap(at_most=1, within=Duration(days=7)),
        },
        description="Most marketing messages per customer and medium; default: email 2 and sms 1 within 7d.",
    )
    stages: StageSettings = Field(default_factory=StageSettings, description="Limits of the life-cycle stages.")
    rfm: RfmSettings = Field(default_factory=RfmSettings, description="How RFM scores are made.")
    value: ValueSettings = Field(default_factory=ValueSettings, description="How the value of customers is forecast.")
    scores: ScoreSettings = Field(default_factory=ScoreSettings, description="How old imported scores may be.")


class Economics(Spec):
    """What an order earns and a message costs, where a campaign does not say otherwise."""

    margin_rate: Share = Field(description="Margin as a share of what `margin_of` says.")
    margin_of: Literal["net", "list"] = Field(
        "net",
        description="What the margin rate is a share of: `net`, the money left after discounts and returns; or `list`, "
        "prices before discounts, so that a discount is lost in full (needs `discount` of every order).",
    )
    cost_per_message: Mapping[Medium, Amount] = Field(
        default_factory=dict,
        description="Cost of one message by medium, in the shop's currency; 0 when it is free. "
        "Each medium in use needs one, here or in the campaign.",
    )


class ProjectSettings(Spec):
    """campanile.yaml: the shop, its stores, channels, policy and economics."""

    shop: Shop = Field(description="The shop itself.")
    home: Sentence = Field("runs", description="Folder of databases, ledger, snapshots and readouts.")
    database: DatabaseSettings = Field(default_factory=DatabaseSettings, description="The customer database.")
    ledger: LedgerSettings = Field(default_factory=LedgerSettings, description="The ledger.")
    channels: Mapping[Medium, ChannelSettings] = Field(description="How messages leave, by medium.")
    policy: Policy = Field(default_factory=Policy, description="Rules for every campaign.")
    economics: Economics = Field(description="What an order earns and a message costs.")
    imports: Mapping[Text, TableMapping] = Field(
        default_factory=dict, alias="import", description="Where the tables of the customer database come from."
    )
