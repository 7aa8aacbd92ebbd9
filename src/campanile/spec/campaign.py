"""A campaign as its marketer commits it: whom, what, when, by which channel, at what cost."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, date, datetime, time
from decimal import Decimal
from typing import Annotated, Literal

from pydantic import Field, PlainValidator, ValidationInfo, WithJsonSchema, field_validator, model_validator
from pydantic_core import PydanticCustomError

from campanile.clock import Duration
from campanile.spec.conditions import Target
from campanile.spec.connections import Destination
from campanile.spec.fields import (
    Amount,
    ArmName,
    ClockTime,
    Date,
    Length,
    Medium,
    Name,
    QuietHours,
    Share,
    Spec,
    Text,
    Unreadable,
    YesNo,
    shown,
)

Objective = Literal["acquisition", "growth", "retention", "service"]
Purpose = Literal["marketing", "service"]
OfferKind = Literal[
    "coupon", "percent", "gift", "trial", "bundle", "points", "fee-waiver", "early-access", "content", "service"
]


#: The name of the wave of a campaign that goes out once.
ONLY_WAVE = "1"
#: The name of the step after the first message.
REMINDER = "reminder"


def purpose_of(objective: object) -> Purpose:
    """What a campaign's messages are for: only those of the objective service are no marketing.

    >>> purpose_of("service"), purpose_of("retention")
    ('service', 'marketing')
    """
    return "service" if objective == "service" else "marketing"


def _priority(value: object) -> int:
    """A whole number, zero or above."""
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise Unreadable(f"wants a whole number of 0 or more, got {shown(value)}", "write priority: 10")
    return value


Priority = Annotated[
    int, PlainValidator(_priority), WithJsonSchema({"words": "whole number", "type": "integer", "minimum": 0})
]


def _target(value: object, info: ValidationInfo) -> Target:
    """The target, read by the grammar; its problems are reported there, with their own lines."""
    if isinstance(value, Target):
        return value
    read = (info.context or {}).get("target")
    target = read(value) if read is not None else None
    if not isinstance(target, Target):
        raise PydanticCustomError("reported", "reported by the grammar")
    return target


class Offer(Spec):
    """What the recipient gets."""

    kind: OfferKind = Field(description="What is offered.")
    amount: Amount | None = Field(None, description="Value of a coupon or of points, in the shop's currency.")
    off: Share | None = Field(None, description="Discount of a percent offer, as a share of the price.")
    min_spend: Amount | None = Field(None, description="Smallest basket the offer is good for.")
    valid: Length | None = Field(None, description="How long the offer lasts, from the planned send moment.")
    code: Text | None = Field(None, description="The code to give at checkout; `one per customer` makes one for each.")
    codes: Text | None = Field(
        None,
        description="A file with codes of the till, one a line, relative to home or to the project: every customer "
        "gets one that nobody else has or had.",
    )

    @model_validator(mode="after")
    def _value_fits_kind(self) -> Offer:
        if self.code is not None and self.codes is not None:
            raise Unreadable("a customer gets one code", "write code or codes, not both")
        if self.kind == "coupon" and self.amount is None:
            raise Unreadable("a coupon needs its amount", "add amount: 50")
        if self.kind == "percent" and self.off is None:
            raise Unreadable("a percent offer needs its discount", "add off: 10%")
        if self.off is not None and self.kind != "percent":
            raise Unreadable(f"off is for kind: percent, this offer is a {self.kind}", "remove off, or change kind")
        return self


class Remind(Spec):
    """A second message to those who have not answered the first."""

    after: Length = Field(description="How long after the first message, at the same time of day.")
    unless: Literal["responded"] = Field(
        "responded", description="Who gets none: customers with a valid order since the first message was due."
    )
    message: Name | None = Field(None, description="The template of the reminder; default: that of the first message.")

    @model_validator(mode="after")
    def _after_a_day(self) -> Remind:
        if self.after.hours or not (self.after.days or self.after.months):
            raise Unreadable("a reminder comes days, weeks or months later", "write after: 10d")
        return self


class Timing(Spec):
    """When messages go out."""

    start: Date = Field(description="The day of sending.")
    at: ClockTime = Field(description="The time of sending on that day, in quotes.")
    clock: Literal["shop", "customer"] = Field(
        "shop", description="Whose time zone `at`, `quiet` and the last day of the offer mean."
    )
    quiet: QuietHours = Field(
        (time(21), time(9)), description="Hours in which nothing is sent, even after a delay; `none` switches it off."
    )
    deadline: Length = Field(
        Duration(days=3), description="A message this much later than its moment expires instead of being sent."
    )

    every: Length | None = Field(
        None, description="How often it goes out again: a wave each day (1d), week (1w) or month (1m); default: once."
    )
    until: Date | None = Field(None, description="The last day on which a wave of a repeating campaign may go out.")
    again: Length | None = Field(
        None,
        description="After how long a repeating campaign may choose a customer once more, counted between days of "
        "waves; default: never, so that everybody gets it once.",
    )

    remind: Remind | None = Field(None, description="A second message to those who have not ordered; default: none.")

    @property
    def days(self) -> tuple[date, ...]:
        """The day of every wave, counted from the first, so that the 31st does not become the 28th for good.

        >>> timing = Timing(start="2026-01-31", at="10:30", every="1m", until="2026-04-01")
        >>> [f"{day:%m-%d}" for day in timing.days]
        ['01-31', '02-28', '03-31']
        """
        if self.every is None or self.until is None:
            return (self.start,)
        midnight = datetime.combine(self.start, time(), tzinfo=UTC)
        found, number = [self.start], 1
        while (day := (self.every * number).after(midnight).date()) <= self.until:
            found.append(day)
            number += 1
        return tuple(found)

    def expiry(self, due: datetime) -> datetime:
        """From when on a message that was due at that moment is not sent any more."""
        return self.deadline.after(due)

    @model_validator(mode="after")
    def _repeats_to_an_end(self) -> Timing:
        if self.every is None:
            for key in ("until", "again"):
                if getattr(self, key) is not None:
                    raise Unreadable(f"{key} without every", "write every: 1w, or leave it out")
            return self
        if self.every.hours or not (self.every.days or self.every.months):
            raise Unreadable("every wants days, weeks or months", "write every: 1d, 1w or 1m")
        if self.until is None:
            raise Unreadable("every without until: nobody could say when the experiment ends", "add until: 2026-12-31")
        if self.until < self.start:
            raise Unreadable(f"until {self.until} is before start {self.start}", "name a later day")
        return self

    @model_validator(mode="after")
    def _not_in_quiet_hours(self) -> Timing:
        if self.quiet is None:
            return self
        start, end = self.quiet
        inside = start <= self.at < end if start < end else self.at >= start or self.at < end
        if inside:
            what = f"at {self.at:%H:%M} lies in the quiet hours {start:%H:%M}-{end:%H:%M}"
            raise Unreadable(what, "choose another time, or change quiet")
        return self


class ChannelUse(Spec):
    """By which channel, with which message."""

    use: Medium = Field(description="The medium. Its channel is set up in campanile.yaml.")
    message: Name = Field(description="Name of the template: winback means templates/winback.*.j2.")
    link: Destination = Field(
        "", description="The page that {{ link }} leads to; default is `website` of the shop. Kept with the plan."
    )
    utm: YesNo = Field(
        default=False,
        description="Whether that page is told where the visitor comes from: utm_source, utm_medium, utm_campaign, and "
        "the arm as utm_content.",
    )


class ArmChange(Spec):
    """What one arm gets instead. Change one thing only, or the readout cannot say what worked."""

    offer: Offer | None = Field(None, description="The offer of this arm, whole.")
    message: Name | None = Field(None, description="The template of this arm.")

    @model_validator(mode="after")
    def _changes_something(self) -> ArmChange:
        if self.offer is not None and self.message is not None:
            raise Unreadable("the arm changes offer and message at once", "change one of them: only one can be judged")
        return self


class Costs(Spec):
    """What the campaign costs, in the shop's currency."""

    per_message: Amount | None = Field(None, description="Cost of one message; default: economics of campanile.yaml.")
    fixed: Amount = Field(Decimal(0), description="Cost of the campaign as a whole: design, agency, print.")
    margin_rate: Share | None = Field(
        None, description="Margin as a share of what `margin_of` in campanile.yaml says; default: economics there."
    )


class CampaignSpec(Spec):
    """One file of campaigns/: one campaign."""

    name: Name = Field(description="The file name without .yaml.", json_schema_extra={"from_file": True})
    file: str = Field("", description="The file, relative to the project.", json_schema_extra={"from_file": True})
    objective: Objective = Field(description="What the campaign is for.")
    target: Annotated[Target, PlainValidator(_target)] = Field(description="Who gets it, and who is left out.")
    offer: Offer = Field(description="What the recipient gets.")
    timing: Timing = Field(description="When messages go out.")
    channel: ChannelUse = Field(description="By which channel, with which message.")
    arms: Mapping[ArmName, ArmChange] = Field(
        default_factory=dict, description="What single arms get instead; one entry per arm of the experiment's split."
    )
    costs: Costs = Field(default_factory=Costs, description="What the campaign costs.")
    topic: Text = Field(
        "", description="What it is about, as recipients see it where they choose what they want: News, Birthdays."
    )
    priority: Priority = Field(
        0, description="Which of two campaigns gets a customer on the same day: the one with the higher number."
    )
    experiment: Text = Field("", description="`none` for a campaign that measures nothing; it then needs `why`.")
    why: Text = Field("", description="Why the campaign runs without an experiment.")

    @field_validator("experiment")
    @classmethod
    def _none_or_nothing(cls, experiment: str) -> str:
        if experiment not in {"", "none"}:
            cure = "remove the key: the experiment is the file of the same name in experiments/"
            raise Unreadable(f"experiment: {experiment} is not known, only none", cure)
        return experiment

    @property
    def purpose(self) -> Purpose:
        """What its messages are for; the rules for marketing leave service alone."""
        return purpose_of(self.objective)

    @property
    def measured(self) -> bool:
        """Whether an experiment judges this campaign."""
        return self.experiment != "none"

    @property
    def repeats(self) -> bool:
        """Whether it goes out in several waves."""
        return self.timing.every is not None

    @property
    def waves(self) -> tuple[str, ...]:
        """The names of its waves: 1 for a campaign of one date, else the day of each."""
        return tuple(day.isoformat() for day in self.timing.days) if self.repeats else (ONLY_WAVE,)

    def in_wave(self, wave: str) -> CampaignSpec:
        """The campaign as it goes out in one wave: on that wave's day."""
        if not self.repeats:
            return self
        return self.model_copy(update={"timing": self.timing.model_copy(update={"start": date.fromisoformat(wave)})})

    def offer_for(self, arm: str) -> Offer:
        """The offer that this arm gets."""
        change = self.arms.get(arm)
        return change.offer if change is not None and change.offer is not None else self.offer

    @property
    def templates(self) -> frozenset[str]:
        """The names of every template that the campaign uses."""
        remind = self.timing.remind
        named = {self.channel.message, *map(self.message_for, self.arms)}
        return frozenset(named | ({remind.message} if remind and remind.message else set()))

    def message_for(self, arm: str) -> str:
        """The name of the template that this arm gets."""
        change = self.arms.get(arm)
        return change.message if change is not None and change.message is not None else self.channel.message
