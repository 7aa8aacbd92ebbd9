"""Which tables there are, asked of the engine once while relations are built."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

Answer = TypeVar("Answer")


class Asked:
    """Answers of an engine. They are kept inside `settled` only, so elsewhere every question is asked anew.

    >>> asked, answers = Asked(), iter(range(9))
    >>> with asked.settled():
    ...     print(asked.once("tables", lambda: next(answers)), asked.once("tables", lambda: next(answers)))
    0 0
    >>> asked.once("tables", lambda: next(answers))
    1
    """

    def __init__(self) -> None:
        self._known: dict[Hashable, Any] | None = None

    @contextmanager
    def settled(self) -> Iterator[None]:
        """Nothing; inside, no table comes or goes."""
        if self._known is not None:
            yield
            return
        self._known = {}
        try:
            yield
        finally:
            self._known = None

    def once(self, question: Hashable, ask: Callable[[], Answer]) -> Answer:
        """The answer to a question."""
        if self._known is None:
            return ask()
        if question not in self._known:
            self._known[question] = ask()
        answer: Answer = self._known[question]
        return answer

    def forget(self) -> None:
        """Asks everything anew: a table has come or gone after all."""
        if self._known is not None:
            self._known.clear()
