"""What a matching of records came to. Ids and numbers only: nothing of what a record says."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

#: Why records that hang together were left as they are.
TOO_LARGE, CONFLICT = "too_large", "conflict"
_WHY = {TOO_LARGE: "have more records than `largest`", CONFLICT: "hold records that something tells apart"}


@dataclass(frozen=True)
class MatchReport:
    """What would be merged, or was.

    Attributes:
        records: Records of the customers table.
        persons: Persons among them when all that was found is merged.
        pairs: Matching pairs by rule; a pair may match by several.
        shared: Keys that too many records share, by rule.
        vetoed: Pairs by what tells them apart.
        sizes: New and grown persons by their number of records.
        held: Groups that were not merged, by reason.
        examples: Some new or grown persons, each as the ids of its records, the leader's first.
        held_examples: Some groups that were not merged, as ids.
        skipped: Rules that found nobody because the shop imports no such column.
        merged: Records that now belong to another person than before; 0 for a look.
    """

    records: int
    persons: int
    pairs: Mapping[str, int]
    shared: Mapping[str, int]
    vetoed: Mapping[str, int]
    sizes: Mapping[int, int]
    held: Mapping[str, int]
    examples: tuple[tuple[str, ...], ...] = ()
    held_examples: tuple[tuple[str, ...], ...] = ()
    skipped: tuple[str, ...] = ()
    merged: int = field(default=0)

    def to_json(self) -> dict[str, object]:
        """The report as plain data."""
        return {
            "records": self.records,
            "persons": self.persons,
            "pairs": dict(self.pairs),
            "shared": dict(self.shared),
            "vetoed": dict(self.vetoed),
            "sizes": {str(size): number for size, number in self.sizes.items()},
            "held": dict(self.held),
            "examples": [list(ids) for ids in self.examples],
            "held_examples": [list(ids) for ids in self.held_examples],
            "skipped": list(self.skipped),
            "merged": self.merged,
        }

    def text(self) -> str:
        """The report for people."""
        lines = [f"{self.records:,} records, {self.persons:,} persons"]
        lines += [f"  {number:>9,} pairs match by {rule}" for rule, number in self.pairs.items()]
        lines += [f"  {number:>9,} too widely shared to match by {rule}" for rule, number in self.shared.items()]
        lines += [f"  {number:>9,} pairs told apart by {veto}" for veto, number in self.vetoed.items()]
        lines += [f"  {number:>9,} new or grown persons of {size} records" for size, number in self.sizes.items()]
        lines += [f"  {number:>9,} groups {_WHY[why]}: left as they are" for why, number in self.held.items()]
        lines += [f"  {rule} finds nobody: the shop imports no column for it" for rule in self.skipped]
        lines += [f"  for example {', '.join(ids)}" for ids in self.examples]
        lines += [f"  left as they are, for example {', '.join(ids)}" for ids in self.held_examples]
        return "\n".join(lines)
