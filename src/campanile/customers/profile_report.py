"""What the profile came to, and whether its scores and stages are worth anything in this shop."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from zoneinfo import ZoneInfo

from campanile import clock
from campanile.customers.value.columns import ValueReport


@dataclass(frozen=True)
class Rate:
    """How many customers of one stage or score, as of 90 days ago, have bought since."""

    level: str | int
    customers: int
    bought: int

    @property
    def share(self) -> float:
        """The purchase rate, from 0 to 1.

        >>> Rate("active", 200, 50).share
        0.25
        """
        return self.bought / self.customers if self.customers else 0.0


@dataclass(frozen=True)
class ProfileReport:
    """The profile in figures. Holds no customer."""

    as_of: datetime
    customers: int
    #: Customers with a valid order.
    buyers: int
    #: People with valid orders whom the customers table does not know; they are not in the profile.
    strangers: int
    stages: Mapping[str, int]
    segments: Mapping[str, int]
    stage_cuts: str
    stage_rates: tuple[Rate, ...]
    #: By `rfm.r`, `rfm.f` and `rfm.m`.
    score_rates: Mapping[str, tuple[Rate, ...]]
    warnings: tuple[str, ...]
    #: Forecasts of value, and scores.
    value: ValueReport

    def to_json(self) -> dict[str, object]:
        """The report as plain data."""
        return asdict(self) | {
            "as_of": clock.iso(self.as_of),
            "warnings": list(self.warnings),
            "value": self.value.to_json(),
            "contract": 1,
        }

    def text(self, zone: ZoneInfo) -> str:
        """The report for people, on the clock of a place."""
        lines = [f"{self.customers:,} customers as of {clock.words(self.as_of, zone)}, {self.buyers:,} have bought"]
        lines += [f"stages: {_listed(self.stages)}", f"  {self.stage_cuts}"]
        lines += _table("bought in the 90 days after", self.stage_rates, falls=True)
        lines.append(f"segments: {_listed(self.segments)}")
        for name, rates in self.score_rates.items():
            lines += _table(f"{name}: bought in the 90 days after", rates, falls=False)
        lines += self.value.lines
        if self.strangers:
            lines.append(f"warning: {self.strangers:,} people have ordered who are not in the customers table")
        return "\n".join([*lines, *(f"warning: {sentence}" for sentence in self.warnings)])


def _listed(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{name} {count:,}" for name, count in counts.items())


def _table(title: str, rates: Sequence[Rate], *, falls: bool) -> list[str]:
    if not rates:
        return []
    shares = [rate.share for rate in rates]
    lines = [f"  {title}: " + ", ".join(f"{rate.level}: {rate.share:.1%}" for rate in rates)]
    if shares != sorted(shares, reverse=falls):
        lines.append(f"  warning: this should {'fall' if falls else 'rise'} from step to step; look at the cut points")
    return lines
