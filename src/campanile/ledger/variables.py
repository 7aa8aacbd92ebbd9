"""Template variables as JSON text and back, with decimals, dates and moments intact."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from datetime import date, datetime
from decimal import Decimal
from typing import Any, cast

_READ: dict[str, Callable[[str], object]] = {
    "$decimal": Decimal,
    "$date": date.fromisoformat,
    "$moment": datetime.fromisoformat,
}


def dump(values: Mapping[str, object]) -> str:
    """The JSON text of a mapping; TypeError for a value that would not come back the same.

    >>> dump({"name": "李", "amount": Decimal("50.00")})
    '{"name":"李","amount":{"$decimal":"50.00"}}'
    """
    return _WRITER.encode(dict(values))


def load(text: str) -> dict[str, object]:
    """The mapping that `dump` wrote.

    >>> load('{"until":{"$date":"2026-03-05"}}')
    {'until': datetime.date(2026, 3, 5)}
    """
    # Most rows hold no marked value, and a hook makes reading them three times dearer.
    return cast("dict[str, object]", json.loads(text, object_hook=_unmarked if '{"$' in text else None))


def _marked(value: object) -> object:
    if isinstance(value, Decimal):
        return {"$decimal": str(value)}
    if isinstance(value, datetime):
        return {"$moment": value.isoformat()}
    if isinstance(value, date):
        return {"$date": value.isoformat()}
    if isinstance(value, Mapping):
        return dict(value)
    raise TypeError(f"a template variable cannot be a {type(value).__name__}")


def _unmarked(found: dict[str, Any]) -> object:
    if len(found) == 1:
        mark, value = next(iter(found.items()))
        if mark in _READ:
            return _READ[mark](value)
    return found


_WRITER = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), default=_marked)
