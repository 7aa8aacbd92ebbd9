"""When the messages of a wave are due, time zone by time zone, and what follows from it for a customer."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import cast
from zoneinfo import ZoneInfo

import ibis
import ibis.expr.types as ir

from campanile import clock
from campanile.customers.zones import naive
from campanile.spec.campaign import Timing
from campanile.spec.quiet import can_go_out

#: The customer field that names a time zone.
TIMEZONE = "timezone"


@dataclass(frozen=True)
class DueTimes:
    """The moments at which a wave is due.

    Attributes:
        timing: Day, hour, clock, quiet hours and deadline.
        shop: The shop's time zone, and that of customers whose zone nobody knows.
        zones: Time zones of customers by the name that the database has, as far as the campaign goes by them.
    """

    timing: Timing
    shop: ZoneInfo
    zones: Mapping[str, ZoneInfo]

    @classmethod
    def of(cls, customers: ir.Table, timing: Timing, shop: ZoneInfo) -> DueTimes:
        """The moments for these customers; asks the engine which time zones they are in."""
        if timing.clock == "shop" or TIMEZONE not in customers.columns:
            return cls(timing, shop, {})
        found = customers.select(TIMEZONE).distinct().to_pyarrow()[TIMEZONE].to_pylist()
        named = {name: zone_or(name, shop) for name in sorted(filter(None, found))}
        return cls(timing, shop, {name: zone for name, zone in named.items() if zone != shop})

    def at(self, zone: ZoneInfo) -> datetime:
        """The moment for customers of a time zone."""
        return clock.local_moment(self.timing.start, self.timing.at, zone)

    @property
    def moments(self) -> tuple[datetime, ...]:
        """Every moment at which a message is due, in their order."""
        return tuple(sorted({self.at(zone) for zone in (self.shop, *self.zones.values())}))

    def day(self, zone: ZoneInfo) -> date:
        """The shop's calendar day on which messages to a time zone are due."""
        return self.at(zone).astimezone(self.shop).date()

    @property
    def days(self) -> tuple[date, ...]:
        """Every calendar day of the shop on which a message is due, in their order."""
        return tuple(sorted({self.day(zone) for zone in (self.shop, *self.zones.values())}))

    def moment(self, customers: ir.Table) -> ir.TimestampValue:
        """Each customer's moment, naive UTC."""

        def literal(zone: ZoneInfo) -> ir.Value:
            return ibis.timestamp(naive(self.at(zone)).isoformat(sep=" "))

        return cast(ir.TimestampValue, self.by_zone(customers, literal))

    def by_zone(self, customers: ir.Table, value: Callable[[ZoneInfo], ir.Value]) -> ir.Value:
        """For each customer the value of their time zone."""
        cases = [(customers[TIMEZONE] == name, value(zone)) for name, zone in self.zones.items()]
        return ibis.cases(*cases, else_=value(self.shop)) if cases else value(self.shop)

    def hopeless(self, as_of: datetime) -> frozenset[ZoneInfo]:
        """Time zones to which no message can go out: quiet hours last from its moment, or from now, to its deadline.

        A wave whose deadline has passed everywhere is planned too late, which is another matter: its moments are
        judged as if nothing had passed.
        """
        every = {self.shop, *self.zones.values()}
        late = all(self.timing.expiry(self.at(zone)) <= as_of for zone in every)
        return frozenset(zone for zone in every if not self._can_go_out(zone, None if late else as_of))

    def _can_go_out(self, zone: ZoneInfo, as_of: datetime | None) -> bool:
        due = self.at(zone)
        first = due if as_of is None else max(due, as_of)
        return can_go_out(first, self.timing.expiry(due), zone, self.timing.quiet)

    def among(self, customers: ir.Table, zones: Iterable[ZoneInfo]) -> ir.BooleanValue:
        """Whether a customer is in one of these time zones."""
        names: dict[bool, list[str]] = defaultdict(list)
        wanted = frozenset(zones)
        for name, zone in self.zones.items():
            names[zone in wanted].append(name)
        if not self.zones:
            return ibis.literal(self.shop in wanted)
        zone = cast(ir.StringValue, customers[TIMEZONE]).fill_null("")
        if self.shop in wanted:
            return cast(ir.BooleanValue, ~zone.isin(names[False]) if names[False] else ibis.literal(value=True))
        return cast(ir.BooleanValue, zone.isin(names[True]) if names[True] else ibis.literal(value=False))


def zone_or(name: str, fallback: ZoneInfo) -> ZoneInfo:
    """The zone of that name; a customer whose zone nobody knows gets the shop's."""
    try:
        return clock.zone(name)
    except ValueError:
        return fallback
