"""The settings of a shop: campanile.yaml."""

from __future__ import annotations

import re
from collections.abc import Mapping
from decimal import Decimal
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, model_validator

from campanile.clock import Duration
from campanile.spec.audit import AuditSettings
from campanile.spec.channel_settings import ChannelSettings
from campanile.spec.connections import Destination, VariableName, WebAddress
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
    YesNo,
    Zone,
    shown,
)
from campanile.spec.mapping import TableMapping
from campanile.spec.people import PeopleSettings
from campanile.spec.policy import Caps, CapScope, Holdout, MarketingShare, default_caps
from campanile.spec.responses import ResponsesSettings
from campanile.spec.scoring import RfmSettings, StageSettings
from campanile.spec.sending import SendingSettings


def memory_size(value: str) -> str:
    """An amount of memory.

    >>> memory_size("2 GB")
    '2GB'
    """
    size = value.replace(" ", "").upper()
    if size and not re.fullmatch(r"[1-9]\d{0,5}(MB|GB)", size):
        raise Unreadable(f"wants an amount of memory, got {shown(value)}", "write it as in memory: 2GB")
    return size


def schema_name(value: str) -> str:
    """The name of a schema that needs no quotes."""
    if not re.fullmatch(r"[a-z_][a-z0-9_]{0,50}", value):
        cure = "use small letters, digits and underscores, as in campanile_shop"
        raise Unreadable(f"wants the name of a schema, got {shown(value)}", cure)
    return value


def phone_region(value: str) -> str:
    """The two letters of a country that has telephone numbers.

    >>> phone_region("CN")
    'CN'
    """
    if not value:
        return value
    from phonenumbers import SUPPORTED_REGIONS  # only where a shop says a region: `check` stays fast

    if value not in SUPPORTED_REGIONS:
        meant = {"UK": "GB"}.get(value.upper(), value.upper())
        cure = f"write {meant}" if meant in SUPPORTED_REGIONS else "write its two letters, as in CN or GB"
        raise Unreadable(f"no country {shown(value).removeprefix('text ')} has telephone numbers", cure)
    return value


PhoneRegion = Annotated[HeaderLine, AfterValidator(phone_region)]
MemorySize = Annotated[HeaderLine, AfterValidator(memory_size)]
SchemaName = Annotated[HeaderLine, AfterValidator(schema_name)]


class Shop(Spec):
    """The shop itself."""

    name: Sentence = Field(description="Name of the shop, as recipients know it.")
    currency: CurrencyCode = Field(description="ISO code of the currency of every amount.")
    timezone: Zone = Field(description="Time zone of the shop: calendar days, reports, `clock: shop`.")
    phone_region: PhoneRegion = Field(
        "", description="Country of telephone numbers without a country code, as in CN; without it they are not judged."
    )
    language: Text = Field("en", description="Language of messages, as in en or zh.")
    base_url: WebAddress = Field("", description="Web address that tracked links and unsubscribe links start with.")
    website: Destination = Field(
        "", description="The shop's web site: where tracked links lead when the campaign names no page."
    )
    postal_address: Text = Field(
        "", description="Postal address for the foot of marketing mail, where law asks for it."
    )


class PostgresSettings(Spec):
    """PostgreSQL as an engine."""

    url_env: VariableName = Field(
        "CAMPANILE_POSTGRES",
        description="Environment variable that holds the address; without it libpq's own (PGHOST …) and defaults hold.",
    )
    place: SchemaName = Field(
        "campanile_shop",
        alias="schema",
        description="Schema of the shop's tables there; the product's own lie beside it, in the same name with _own.",
    )
    native: bool = Field(
        default=False, description="true: the shop keeps its tables in that schema itself, and they are only read."
    )


class SparkSettings(Spec):
    """Spark as an engine."""

    master: HeaderLine = Field("local[*]", description="Where Spark runs; local[*] is this machine.")
    warehouse: Sentence = Field("spark", description="Folder of its tables, relative to home; all workers must see it.")


class DatabaseSettings(Spec):
    """Where customers and orders are."""

    duckdb: Sentence = Field("customers.duckdb", description="DuckDB file, relative to home; every import lands in it.")
    memory: MemorySize = Field(
        "", description="Most memory for DuckDB, as in 2GB; default is a quarter of the machine's, at most 8GB."
    )
    engine: Literal["duckdb", "postgres", "spark"] = Field(
        "duckdb", description="Where `campanile audience` selects; all three select the same customers."
    )
    postgres: PostgresSettings = Field(default_factory=PostgresSettings, description="PostgreSQL as an engine.")
    spark: SparkSettings = Field(default_factory=SparkSettings, description="Spark as an engine.")


class LedgerSettings(Spec):
    """Where plans, messages and attempts are recorded."""

    sqlite: Sentence = Field("ledger.sqlite", description="SQLite file, relative to home.")
    postgres: VariableName = Field(
        "",
        description="Environment variable that holds the address of a PostgreSQL database. With it the ledger is there "
        "instead of in a file, and several workers may send at once.",
    )
    place: SchemaName = Field("campanile_ledger", alias="schema", description="Schema of its tables on PostgreSQL.")


class Connection(Spec):
    """A database of the shop that tables are imported from."""

    url_env: VariableName = Field(
        description="Environment variable that holds the URL, as in postgresql://name:password@host/database."
    )


class RatesSettings(Spec):
    """What other currencies are worth: a .csv file with a line for each currency and day."""

    file: Sentence = Field(description="The file; relative to home, then to the project.")
    day: Text = Field("day", description="Column with the day, as in 2026-03-01.")
    currency: Text = Field("currency", description="Column with the ISO code.")
    rate: Text = Field("rate", description="Column with what one unit is worth in the shop's currency.")
    holds: Days = Field(7, description="For how long a rate holds when none follows: banks make none on holidays.")


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

    caps: Mapping[CapScope, Caps] = Field(
        default_factory=default_caps,
        description="Most marketing messages per customer, by medium and over `all` of them; one cap or a list. "
        "Default: email 2 within 7d, sms 1 within 7d and 3 within 30d, all 3 within 7d; what is written here replaces "
        "all of it.",
    )
    marketing_share: MarketingShare | None = Field(
        None, description="The 7:3 rule; without it nobody looks at the share of marketing."
    )
    holdout: Holdout | None = Field(None, description="Who gets no marketing at all; without it nobody is held out.")
    one_per_day: YesNo = Field(
        default=True,
        description="Whether a customer is in one marketing campaign a day: the one with the higher `priority`, or the "
        "one planned first.",
    )
    stages: StageSettings = Field(default_factory=StageSettings, description="Limits of the life-cycle stages.")
    rfm: RfmSettings = Field(default_factory=RfmSettings, description="How RFM scores are made.")
    people: PeopleSettings | None = Field(None, description="Which customer records are one person.")
    audit: AuditSettings = Field(
        default_factory=AuditSettings, description="Limits of the audit beyond which no campaign is planned."
    )
    aipl: Length = Field(
        Duration(days=365), description="How far back contacts, clicks and orders count for the AIPL stage."
    )
    tiers: tuple[Text, ...] = Field(
        (), description="Member levels from the lowest to the highest, so that a change of `tier` has a direction."
    )
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
    sending: SendingSettings = Field(
        default_factory=SendingSettings, description="How fast and how carefully messages go out."
    )
    responses: ResponsesSettings = Field(
        default_factory=ResponsesSettings, description="How answers of providers, tills and people are collected."
    )
    economics: Economics = Field(description="What an order earns and a message costs.")
    connections: Mapping[Text, Connection] = Field(
        default_factory=dict, description="Databases of the shop that tables are imported from, by name."
    )
    rates: RatesSettings | None = Field(None, description="What other currencies are worth.")
    imports: Mapping[Text, TableMapping] = Field(
        default_factory=dict, alias="import", description="Where the tables of the customer database come from."
    )

    @model_validator(mode="after")
    def _caps_keep_the_rules(self) -> ProjectSettings:
        rules = self.channels["sms"].rules if "sms" in self.channels else None
        caps = self.policy.caps.get("sms", ())
        if rules and not any(cap.at_most <= rules.daily_cap and cap.within.hours == 0 for cap in caps):
            what = f"{rules.pack} allows {rules.daily_cap} promotional texts a day, and no cap of policy keeps to it"
            raise Unreadable(what, f"add to policy caps: sms: {{at_most: {rules.daily_cap}, within: 1d}}")
        return self
