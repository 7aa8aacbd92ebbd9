"""What every comparison of one selection has to know: the moment, the shop's clock and money, the named segments."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from zoneinfo import ZoneInfo

from campanile.money import Currency
from campanile.spec.conditions import Metric, Segment
from campanile.spec.vocabulary import FieldType


@dataclass(frozen=True)
class Frame:
    """The fixed surroundings of one selection. `as_of` is aware."""

    as_of: datetime
    zone: ZoneInfo
    currency: Currency
    segments: Mapping[str, Segment]
    metrics: Mapping[str, Metric] = field(default_factory=dict)
    #: Fields that may not be used, each with what is wrong and the cure.
    refused: Mapping[str, tuple[str, str]] = field(default_factory=dict)

    @property
    def today(self) -> date:
        """The calendar date of as_of in the shop's time zone."""
        return self.as_of.astimezone(self.zone).date()

    def stored(self, number: Decimal, type_: FieldType) -> int | float:
        """A number of a target as the database holds it: an amount of money in minor units.

        >>> Frame(datetime(2026, 3, 1), ZoneInfo("UTC"), Currency("EUR"), {}).stored(
        ...     Decimal("12.5"), FieldType.MONEY
        ... )
        1250
        """
        scaled = number * self.currency.scale if type_ is FieldType.MONEY else number
        return int(scaled) if scaled == scaled.to_integral_value() else float(scaled)
