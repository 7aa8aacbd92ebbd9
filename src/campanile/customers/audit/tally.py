"""Many checks of one table in one scan: how many rows fail each, with the first and the last id among them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import ibis.expr.types as ir

from campanile.customers import engine
from campanile.customers.audit.findings import Finding
from campanile.customers.tables import CUSTOMERS

if TYPE_CHECKING:
    from campanile.customers.database import CustomerDatabase


@dataclass(frozen=True)
class Tally:
    """How many rows fail, and the first and last id among them."""

    count: int
    examples: tuple[str, ...] = ()


def tallied(
    rows: ir.Table,
    flags: Mapping[str, ir.BooleanValue],
    figures: Mapping[str, ir.Value],
    *,
    example: str = "customer_id",
) -> tuple[Mapping[str, Tally], Mapping[str, Any]]:
    """Every flag counted and every figure computed, in one scan.

    Args:
        rows: The table.
        flags: What fails, by name; unknown is no failure.
        figures: Aggregates, by name.
        example: The column whose values are shown as examples.
    """
    asked: dict[str, ir.Value] = {f"figure_{number}": figure for number, figure in enumerate(figures.values())}
    for number, flag in enumerate(flags.values()):
        fails = flag.fill_null(engine.FALSE)
        asked[f"count_{number}"] = fails.sum()
        asked[f"first_{number}"] = rows[example].cast("string").min(where=fails)
        asked[f"last_{number}"] = rows[example].cast("string").max(where=fails)
    found = rows.aggregate(**asked).to_pyarrow().to_pylist()[0] if asked else {}
    tallies = {
        name: Tally(found[f"count_{number}"] or 0, ends(found[f"first_{number}"], found[f"last_{number}"]))
        for number, name in enumerate(flags)
    }
    return tallies, {name: found[f"figure_{number}"] for number, name in enumerate(figures)}


def ends(first: str | None, last: str | None) -> tuple[str, ...]:
    """The first and the last id, once when they are the same.

    >>> ends("a", "c"), ends("a", "a"), ends(None, None)
    (('a', 'c'), ('a',), ())
    """
    return tuple(dict.fromkeys(each for each in (first, last) if each is not None))


def missing(column: ir.Value) -> ir.BooleanValue:
    """Whether a cell holds nothing: no value, only blanks, or an empty list."""
    if isinstance(column, ir.StringValue):
        return column.isnull() | (engine.trimmed(column) == "")
    if isinstance(column, ir.ArrayValue):
        return column.isnull() | (column.length() == 0)
    absent: ir.BooleanValue = column.isnull()
    return absent


def surplus(rows: ir.Table, key: Mapping[str, ir.Value], *, example: str | None = "customer_id") -> Tally:
    """How many rows share their key with an earlier one: of three alike, two."""
    keyed = rows.select(**key, **({"example": rows[example].cast("string")} if example else {}))
    aggregates: dict[str, ir.Value] = {"rows": keyed.count()}
    if example:
        aggregates |= {"first": keyed["example"].min(), "last": keyed["example"].max()}
    groups = keyed.group_by(list(key)).agg(**aggregates)
    shared = groups.filter(groups["rows"] > 1)
    asked: dict[str, ir.Value] = {"count": (shared["rows"] - 1).sum()}
    if example:
        first = shared["first"].min()
        asked |= {"first": first, "last": shared["last"].argmin(shared["first"])}
    found = shared.aggregate(**asked).to_pyarrow().to_pylist()[0]
    return Tally(int(found["count"] or 0), ends(found.get("first"), found.get("last")))


@dataclass
class Count:
    """Rows that fail a check, added up while values are streamed."""

    count: int = 0
    of: int = 0
    first: str | None = None
    last: str | None = None

    def add(self, rows: int, first: str, last: str) -> None:
        """Counts so many rows more, with the first and the last id among them."""
        self.count += rows
        self.first = first if self.first is None else min(self.first, first)
        self.last = last if self.last is None else max(self.last, last)

    def finding(self, check: str, field: str, words: str) -> Finding:
        """What was counted, as a finding about customers."""
        return Finding(check, CUSTOMERS, field, self.count, self.of, words, ends(self.first, self.last))


def streamed(database: CustomerDatabase, grouped: ir.Table, *keys: str) -> Iterator[tuple[Any, ...]]:
    """Each distinct key with its rows, first and last, in portions that the engine hands over."""
    for batch in engine.batches(database, grouped):
        yield from zip(*(batch[name].to_pylist() for name in (*keys, "rows", "first", "last")), strict=True)
