"""A rule of the selection: one line of the waterfall, or something that is only counted."""

from __future__ import annotations

from dataclasses import dataclass

from campanile.audience.compile import Verdict

#: Before the name of a line, the column that says whether it keeps a customer.
KEEPS = "_keeps "
#: What is counted beside the lines: who had too much marketing, and the other campaigns that have them on that day.
ABOVE, WINNER, LOSER = "_above", "_winner", "_loser"


@dataclass(frozen=True)
class Rule:
    """One line that keeps the customers for whom its verdict is true."""

    line: str
    text: str
    keeps: Verdict

    @property
    def verdict(self) -> str:
        """The column that holds its verdict."""
        return f"{KEEPS}{self.line}"
