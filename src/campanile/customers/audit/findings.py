"""What an audit found, as values: counts, sentences and cures. Holds ids of customers and orders at most."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from campanile.clock import Duration

#: Characters of a kind: why they are named.
CharacterKind = Literal["replacement", "control", "private", "unassigned", "rare"]


@dataclass(frozen=True)
class Finding:
    """What one check counted in one place.

    Attributes:
        check: Name of the check, and of its limit in `policy: audit:`.
        field: The column it speaks of; "" for the row as a whole.
        count: Rows that fail.
        of: Rows that were looked at.
        words: What is wrong with a row, after "12 of 100 customers ".
        examples: The first and the last id among those that fail; never contact data.
    """

    check: str
    table: str
    field: str
    count: int
    of: int
    words: str
    examples: tuple[str, ...] = ()

    @property
    def share(self) -> float:
        """The share of rows that fail, from 0 to 1."""
        return self.count / self.of if self.of else 0.0


@dataclass(frozen=True)
class Completeness:
    """How many rows of a table have a value in a column; `needed_by` says who reads it."""

    table: str
    column: str
    known: int
    of: int
    needed_by: tuple[str, ...] = ()

    @property
    def share(self) -> float:
        """The share of rows with a value, from 0 to 1."""
        return self.known / self.of if self.of else 0.0


@dataclass(frozen=True)
class Age:
    """The newest row of a table before the moment of the audit; None when it has none."""

    table: str
    rows: int
    newest: datetime | None
    limit: Duration | None
    stale: bool


@dataclass(frozen=True)
class Character:
    """A character that is not printed everywhere, and how many customers have it."""

    code: int
    kind: CharacterKind
    customers: int

    @property
    def shown(self) -> str:
        """Its code point, and the character itself where it can be shown.

        >>> Character(0x20BB7, "rare", 3).shown, Character(7, "control", 1).shown
        ('U+20BB7 𠮷', 'U+0007')
        """
        return f"U+{self.code:04X}" + (f" {chr(self.code)}" if self.kind == "rare" else "")


@dataclass(frozen=True)
class Value:
    """What customers are worth: valid orders of the year before, net, in minor units."""

    orders: int
    buyers: int
    revenue: int


@dataclass(frozen=True)
class Refusals:
    """Why the last import refused rows of a table, the most frequent reason first."""

    table: str
    read: int
    rejected: int
    reasons: Mapping[str, int]

    @property
    def finding(self) -> Finding:
        """The same as what a check counted."""
        return Finding("rejected_rows", self.table, "", self.rejected, self.read, "were refused by the last import")


@dataclass(frozen=True)
class Audit:
    """The whole audit of one moment.

    Attributes:
        serial: The number of imports that had happened.
        reachable: Customers with an address and consent, by medium.
        unjudged_phones: Telephone numbers without a country code, of a country that nobody says.
        complete: Whether no event lies at or after the moment, so that a later audit of the same data says the same.
    """

    as_of: datetime
    serial: int
    customers: int
    reachable: Mapping[str, int]
    value: Value
    completeness: tuple[Completeness, ...]
    findings: tuple[Finding, ...]
    ages: tuple[Age, ...]
    characters: tuple[Character, ...]
    refusals: tuple[Refusals, ...]
    unjudged_phones: int = 0
    complete: bool = True
