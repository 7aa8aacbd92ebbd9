"""Plain data as YAML that our strict loader reads back as the same data, with a comment above any key.

Reads text, whole numbers, decimals, booleans, lists and keys. Returns text. Whatever might be read as something else is
in quotes.
"""

from __future__ import annotations

import json
import re
import textwrap
from collections.abc import Mapping
from decimal import Decimal

_WIDTH = 120
#: Text that no reader of YAML takes for anything else, inside brackets as well.
_PLAIN = re.compile(r"[^\W\d_](?:[\w.+/ -]*[\w.+])?")
_SHARES = re.compile(r"\d+(?:\.\d+)?%|\d+[hdwmy]|\d{4}-\d{2}-\d{2}")
_RESERVED = frozenset({"true", "false", "null", "yes", "no", "on", "off", "y", "n"})


def yaml_text(data: Mapping[str, object], *, comments: Mapping[str, str], head: tuple[str, ...] = ()) -> str:
    """The data as a file: a head of comments, then one key after another.

    >>> print(yaml_text({"timing": {"at": "10:30"}}, comments={"timing": "Changed."}, head=("x",)), end="")
    # x
    # Changed.
    timing: {at: "10:30"}
    """
    lines = [line for text in head for line in _comment(text)]
    for key, value in data.items():
        lines += _comment(comments[key]) if key in comments else []
        lines += _entry(key, value, 0)
    return "\n".join(lines) + "\n"


def _comment(text: str) -> list[str]:
    if text.startswith("yaml-language-server:"):
        return [f"# {text}"]
    return [f"# {line}" for line in textwrap.wrap(" ".join(text.split()), _WIDTH - 2)] or ["#"]


def _entry(key: str, value: object, depth: int) -> list[str]:
    """The lines of one key: on one line where that fits, else one item a line."""
    lead = "  " * depth
    line = f"{lead}{_scalar(key)}: {_flow(value)}"
    nested = isinstance(value, Mapping | list) and bool(value)
    if not nested or (len(line) <= _WIDTH and not _holds_rules(value)):
        return [line]
    head = [f"{lead}{_scalar(key)}:"]
    if isinstance(value, Mapping):
        return head + [line for name, item in value.items() for line in _entry(name, item, depth + 1)]
    assert isinstance(value, list)
    return head + [f"{lead}  - {_flow(item)}" for item in value]


def _holds_rules(value: object) -> bool:
    """Whether it holds lists of conditions, which are read one by one."""
    if isinstance(value, Mapping):
        return any(
            isinstance(item, list) and any(isinstance(each, Mapping) for each in item) for item in value.values()
        )
    return isinstance(value, list) and any(isinstance(each, Mapping) for each in value)


def _flow(value: object) -> str:
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{_scalar(key)}: {_flow(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(_flow, value)) + "]"
    return _scalar(value)


def _scalar(value: object) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | Decimal):
        return f"{value:f}" if isinstance(value, Decimal) else str(value)
    text = str(value)
    if _SHARES.fullmatch(text) or (_PLAIN.fullmatch(text) and text.lower() not in _RESERVED):
        return text
    return json.dumps(text, ensure_ascii=False)
