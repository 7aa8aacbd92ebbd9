"""What the ledger answers with."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

from campanile.events import MessageState, PlannedMessage
from campanile.ledger.rules import NO_RULES, Rate, Rules
from campanile.spec.campaign import Purpose, purpose_of

PlanState = Literal["planned", "sending", "paused", "sent"]

#: States from which a message may still go out.
UNFINISHED = (MessageState.DUE, MessageState.HELD, MessageState.CLAIMED)


@dataclass(frozen=True, slots=True)
class PlanRecord:
    """One wave of one campaign, frozen.

    Attributes:
        spec: Campaign and experiment as plain JSON values.
        snapshot: Path of the assignment Parquet, relative to the stores' home.
        arms: Units assigned to each arm, control included.
    """

    plan_id: str
    campaign: str
    wave: str
    as_of: datetime
    created_at: datetime
    fingerprint: str
    spec: Mapping[str, object]
    snapshot: str
    snapshot_sha256: str
    arms: Mapping[str, int]
    state: PlanState = "planned"

    @property
    def purpose(self) -> Purpose:
        """What its messages are for, as the frozen campaign says."""
        return purpose_of(self.campaign_part("objective"))

    @property
    def priority(self) -> int:
        """The frozen campaign's priority."""
        return int(str(self.campaign_part("priority") or 0))

    def campaign_part(self, key: str) -> object:
        """What the frozen campaign says under a key; None when nothing."""
        campaign = self.spec.get("campaign")
        return campaign.get(key) if isinstance(campaign, Mapping) else None

    @property
    def offers(self) -> tuple[Mapping[str, Any], ...]:
        """The frozen offers: the campaign's, and those of arms that get another."""
        arms = self.campaign_part("arms")
        changes = (
            [change for change in arms.values() if isinstance(change, Mapping)] if isinstance(arms, Mapping) else []
        )
        offers = (self.campaign_part("offer"), *(change.get("offer") for change in changes))
        return tuple(offer for offer in offers if isinstance(offer, Mapping))

    def shop_part(self, key: str) -> str:
        """What the frozen settings say of the shop under a key; "" when nothing."""
        shop = self.spec.get("shop")
        return str(shop.get(key, "")) if isinstance(shop, Mapping) else ""

    def signature(self, channel: str) -> str:
        """The frozen signature of that channel; "" when it has none."""
        channels = self.spec.get("channels")
        settings = channels.get(channel) if isinstance(channels, Mapping) else None
        return str(settings.get("signature", "")) if isinstance(settings, Mapping) else ""

    @property
    def destination(self) -> str:
        """The page that links of its messages lead to: of the campaign, else of the shop; "" when it has none."""
        channel = self.campaign_part("channel")
        own = str(channel.get("link", "")) if isinstance(channel, Mapping) else ""
        return own or self.shop_part("website")

    @property
    def tags_links(self) -> bool:
        """Whether that page is told which campaign and arm a visitor comes from."""
        channel = self.campaign_part("channel")
        return isinstance(channel, Mapping) and channel.get("utm") is True


@dataclass(frozen=True, slots=True)
class Registration:
    """What an experiment had promised when its first message was about to leave."""

    plan_id: str
    campaign: str
    wave: str
    fingerprint: str
    spec_json: str
    at: datetime


@dataclass(frozen=True, slots=True)
class Tally:
    """How many planned messages stand in each state.

    >>> tally = Tally(3, {MessageState.ACCEPTED: 2, MessageState.DUE: 1})
    >>> tally[MessageState.ACCEPTED], tally.unfinished, tally.adds_up
    (2, 1, True)
    """

    planned: int
    counts: Mapping[MessageState, int]

    def __getitem__(self, state: MessageState) -> int:
        return self.counts.get(state, 0)

    @property
    def unfinished(self) -> int:
        """Messages that may still go out."""
        return sum(self[state] for state in UNFINISHED)

    @property
    def adds_up(self) -> bool:
        """Whether the states account for every planned message."""
        return sum(self.counts.values()) == self.planned


@dataclass(frozen=True, slots=True)
class Contact:
    """What became of one hand-over.

    Attributes:
        purpose: `marketing` or `service`.
        at: When it was begun.
        arrived: Whether the provider took the message, or may have: an answer that was lost counts as one.
        serial: Number of the commit that said so.
    """

    message_id: str
    customer_id: str
    channel: str
    campaign: str
    purpose: str
    arm: str
    at: datetime
    arrived: bool
    serial: int


@dataclass(frozen=True, slots=True)
class Mode:
    """How hand-overs of this run are made.

    Attributes:
        channel: The channel's name.
        idempotent: Whether repeating one is harmless.
        rates: How fast they may begin; a provider that asks us to wait closes the first one's bucket.
        rules: What the gate asks.
    """

    channel: str
    idempotent: bool = False
    rates: tuple[Rate, ...] = ()
    rules: Rules = NO_RULES


@dataclass(frozen=True, slots=True)
class Opened:
    """What the gate let through, and what it set aside.

    Attributes:
        messages: May be handed over now: their attempts are committed.
        aside: How many were suppressed, expired or held instead.
        running: False when the plan is no longer being sent.
        left: Were not looked at, because no more may begin now.
        wait: Seconds until more may begin.
    """

    messages: tuple[PlannedMessage, ...] = ()
    aside: Mapping[MessageState, int] = field(default_factory=dict)
    running: bool = True
    left: tuple[PlannedMessage, ...] = ()
    wait: float = 0.0


@dataclass(frozen=True, slots=True)
class Recovery:
    """What a dead sender left: messages that are due again, and messages nobody can know about."""

    due: int = 0
    unknown: int = 0
