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


#: The row of the migration table for those who had not bought then.
NOT_YET = "not yet a customer"


@dataclass(frozen=True)
class Migration:
    """Where the customers of one stage 90 days ago are now."""

    before: str
    now: Mapping[str, int]

    @property
    def customers(self) -> int:
        """How many they are."""
        return sum(self.now.values())

    def share(self, stage: str) -> float:
        """The share of them in a stage now, from 0 to 1.

        >>> Migration("active", {"active": 3, "silent": 1}).share("silent")
        0.25
        """
        return self.now.get(stage, 0) / self.customers if self.customers else 0.0


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
    #: Gaps between buying days that the cut points were taken from; 0 where settings give them.
    gaps: int
    stage_rates: tuple[Rate, ...]
    #: By `rfm.r`, `rfm.f`, `rfm.m` and `rfm.segment`.
    score_rates: Mapping[str, tuple[Rate, ...]]
    migration: tuple[Migration, ...]
    #: Intervals that the history holds, and the profiles they come from.
    history: int
    profiles: int
    warnings: tuple[str, ...]
    #: Forecasts of value, and scores.
    value: ValueReport

    def to_json(self) -> dict[str, object]:
        """The report as plain data."""
        migration = [
            {"before": row.before, "customers": row.customers, "now": dict(row.now),
             "shares": {stage: round(row.share(stage), 4) for stage in row.now}}
            for row in self.migration
        ]  # fmt: skip
        plain = {
            "as_of": clock.iso(self.as_of),
            "warnings": list(self.warnings),
            "migration": migration,
            "value": self.value.to_json(),
        }
        return asdict(self) | plain | {"contract": 1}

    def text(self, zone: ZoneInfo) -> str:
        """The report for people, on the clock of a place."""
        lines = [f"{self.customers:,} customers as of {clock.words(self.as_of, zone)}, {self.buyers:,} have bought"]
        lines += [f"stages: {_listed(self.stages)}", f"  {self.stage_cuts}"]
        lines += _table("bought in the 90 days after", self.stage_rates, falls=True)
        lines.append(f"segments: {_listed(self.segments)}")
        for name, rates in self.score_rates.items():
            falls = None if name == "rfm.segment" else False
            lines += _table(f"{name}: bought in the 90 days after", rates, falls=falls)
        lines += _moves(self.migration)
        lines.append(f"history: {self.history:,} intervals from {self.profiles:,} profiles")
        lines += self.value.lines
        if self.strangers:
            lines.append(f"warning: {self.strangers:,} people have ordered who are not in the customers table")
        return "\n".join([*lines, *(f"warning: {sentence}" for sentence in self.warnings)])


def _listed(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{name} {count:,}" for name, count in counts.items())


def _moves(migration: Sequence[Migration]) -> list[str]:
    if not migration:
        return []
    stages = [stage for stage in migration[0].now if any(row.now[stage] for row in migration)]
    rows = [("90 days ago, now in", "", *stages)]
    rows += [
        (row.before, f"{row.customers:,}", *(f"{row.now[stage]:,} {row.share(stage):.1%}" for stage in stages))
        for row in migration
    ]
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return ["moves between stages by days since the last order:"] + [
        f"  {row[0].ljust(widths[0])}  {'  '.join(cell.rjust(w) for cell, w in zip(row[1:], widths[1:], strict=True))}"
        for row in rows
    ]


def _table(title: str, rates: Sequence[Rate], *, falls: bool | None) -> list[str]:
    """The rates in a line; with a warning where they should fall, or rise, and do not."""
    if not rates:
        return []
    shares = [rate.share for rate in rates]
    lines = [f"  {title}: " + ", ".join(f"{rate.level}: {rate.share:.1%}" for rate in rates)]
    if falls is not None and shares != sorted(shares, reverse=falls):
        lines.append(f"  warning: this should {'fall' if falls else 'rise'} from step to step; look at the cut points")
    return lines
