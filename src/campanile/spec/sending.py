"""How fast and how carefully messages go out: pace, warm-up, breakers, and how late a run may start."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from decimal import Decimal

from pydantic import Field, model_validator

from campanile.clock import Duration
from campanile.spec.fields import Date, Length, Number, Share, Spec, Text, Unreadable, Whole


class Pace(Spec):
    """Most messages that may begin in a second, over all workers."""

    per_second: Number = Field(description="Messages per second, as in 14 or 0.5.")
    burst: Whole | None = Field(None, description="Most at once after a pause; default is one second's worth.")

    @model_validator(mode="after")
    def _moves(self) -> Pace:
        if self.per_second <= 0:
            raise Unreadable("a pace of 0 sends nothing", "write per_second: 1, or pause the campaign")
        return self

    @property
    def held(self) -> float:
        """How many may begin at once after a pause.

        >>> Pace(per_second=14).held, Pace(per_second=Decimal("0.5")).held
        (14.0, 1.0)
        """
        return float(self.burst or max(Decimal(1), self.per_second))


class WarmUp(Spec):
    """How many mails a domain of recipients may get on each day, while a sender is new to it."""

    start: Date = Field(description="The first day, by the shop's calendar.")
    per_day: tuple[Whole, ...] = Field(
        description="Most mails to one domain on the first day, the second, and so on; no limit after the last day."
    )
    domains: Mapping[Text, tuple[Whole, ...]] = Field(
        default_factory=dict, description="The same for single domains, as in gmail.com, instead of `per_day`."
    )

    def limit(self, domain: str, day: date) -> int | None:
        """Most mails to the domain on that day; None when no limit holds.

        >>> plan = WarmUp(start=date(2026, 3, 1), per_day=(50, 100), domains={"gmail.com": (20,)})
        >>> [plan.limit("qq.com", date(2026, 3, day)) for day in (1, 2, 3)], plan.limit("gmail.com", date(2026, 3, 1))
        ([50, 100, None], 20)
        """
        steps = self.domains.get(domain, self.per_day)
        number = (day - self.start).days
        return steps[max(0, number)] if steps and number < len(steps) else None


class Breaker(Spec):
    """A share of the latest answers or messages that pauses the campaign."""

    above: Share = Field(description="Largest share, as in 5%.")
    of: Whole = Field(description="How many of the latest are looked at.")

    def trips(self, count: int) -> bool:
        """Whether so many are too many.

        >>> Breaker(above="5%", of=200).trips(10), Breaker(above="5%", of=200).trips(11)
        (False, True)
        """
        return count > self.above * self.of


class Filtered(Breaker):
    """Messages that carriers or providers filter as spam."""

    codes: tuple[Text, ...] = Field(("30007",), description="Codes of providers that mean it.")


class Breakers(Spec):
    """What pauses a campaign by itself."""

    bounces: Breaker = Field(
        default_factory=lambda: Breaker(above=Decimal("0.05"), of=200),
        description="Recipients that are refused for good. Default: above 5% of 200.",
    )
    complaints: Breaker = Field(
        default_factory=lambda: Breaker(above=Decimal("0.003"), of=1000),
        description="Recipients who call it spam. Default: above 0.3% of 1000.",
    )
    filtered: Filtered = Field(
        default_factory=lambda: Filtered(above=Decimal("0.02"), of=500),
        description="Messages that were filtered as spam. Default: above 2% of 500.",
    )
    errors_in_a_row: Whole = Field(
        25, description="Hand-overs one after the other that were put off or whose answer was lost."
    )


class SendingSettings(Spec):
    """How fast and how carefully messages go out."""

    pace: Mapping[Text, Pace] = Field(
        default_factory=dict,
        description="Most messages per second, by medium (`email`, `sms`) or by sender as written under channels; "
        "shared by all workers. Default: no limit but the provider's own word.",
    )
    warm_up: WarmUp | None = Field(None, description="Limits per domain and day for a new sender; default: none.")
    breakers: Breakers = Field(default_factory=Breakers, description="What pauses a campaign by itself.")
    start_within: Length = Field(
        Duration(hours=12), description="A scheduled run that starts later than this sends nothing."
    )
