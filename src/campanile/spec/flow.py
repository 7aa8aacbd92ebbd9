"""YAML data as one line of flow text, as a person would write it."""

from __future__ import annotations

import re
from collections.abc import Mapping

#: Texts that need no quotes: letters of any language, digits, and what cannot be taken for YAML's own signs.
_PLAIN = re.compile(r"\w(?:[\w .%/+-]*[\w%])?")
_NOT_TEXT = re.compile(r"-?\d+(\.\d+)?|true|false|null|~", re.IGNORECASE)


def flow_text(data: object) -> str:
    """The data in YAML's flow style; a mapping without its outer braces.

    >>> flow_text({"did": "bought", "where": {"sku": ["A1", "007"], "gift": True}, "in": "90d"})
    'did: bought, where: {sku: [A1, "007"], gift: true}, in: 90d'
    """
    return _pairs(data) if isinstance(data, Mapping) else _flow(data)


def _pairs(data: Mapping[object, object]) -> str:
    return ", ".join(f"{_flow(key)}: {_flow(value)}" for key, value in data.items())


def _flow(data: object) -> str:
    if isinstance(data, Mapping):
        return f"{{{_pairs(data)}}}"
    if isinstance(data, list | tuple):
        return f"[{', '.join(map(_flow, data))}]"
    if data is None or isinstance(data, bool):
        return {None: "null", True: "true", False: "false"}[data]
    return _text(data) if isinstance(data, str) else str(data)


def _text(text: str) -> str:
    if _PLAIN.fullmatch(text) and not _NOT_TEXT.fullmatch(text):
        return text
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'
