"""What is wrong with a part of a file, said to a marketer: pydantic's errors as sentences with a cure."""

from __future__ import annotations

import re
import typing
from collections.abc import Collection, Iterator
from difflib import get_close_matches

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from campanile.errors import did_you_mean
from campanile.spec.fields import Unreadable, shown
from campanile.spec.loader import Path_, Report

#: Errors that another one already speaks for.
_SAID_ELSEWHERE = frozenset({"reported", "default_factory_not_called"})
_SHAPES = {
    "model_type": ("keys and values", "write key: value lines, or {key: value}"),
    "model_attributes_type": ("keys and values", "write key: value lines, or {key: value}"),
    "dict_type": ("keys and values", "write key: value lines, or {key: value}"),
    "mapping_type": ("keys and values", "write key: value lines, or {key: value}"),
    "tuple_type": ("a list", "write [a, b]"),
    "list_type": ("a list", "write [a, b]"),
}


def report_errors(error: ValidationError, model: type[BaseModel], report: Report) -> None:
    """Reports every error of a validation at its place."""
    for details in error.errors(include_url=False):
        if details["type"] not in _SAID_ELSEWHERE:
            at = tuple(part for part in details["loc"] if part != "[key]")
            place = at[:-1] if details["type"] == "missing" else at
            report(place, *explain(details, model, at))


def explain(details: ErrorDetails, model: type[BaseModel], at: Path_) -> tuple[str, str]:
    """What is wrong, and the cure."""
    kind, cause = details["type"], details.get("ctx", {}).get("error")
    if isinstance(cause, Unreadable):
        key = next((part for part in reversed(at) if isinstance(part, str)), "")
        return (f"{key} {cause.what}" if cause.what.startswith("wants ") else cause.what), cause.cure
    if kind == "missing" and isinstance(at[-1], str):
        return f'missing key "{at[-1]}"', f"add {at[-1]}: {_first_lower(_meaning(model, at))}"
    if kind == "extra_forbidden":
        key, known = str(at[-1]), _keys(_model_at(model, at[:-1]))
        return f'unknown key "{key}"', comma_cure(key, details["input"], known) or did_you_mean(key, known)
    if kind == "literal_error":
        words = re.findall(r"'([^']*)'", details["ctx"]["expected"])
        given = details["input"]
        return f"{at[-1]} cannot be {shown(given).removeprefix('text ')}", did_you_mean(str(given), words)
    if kind in _SHAPES:
        what, cure = _SHAPES[kind]
        return f"{_name(at)} wants {what}, got {shown(details['input'])}", cure
    pair = at[:-1] if kind == "missing" else at
    return f"{_name(pair)} wants two items", "write [a, b]"


def comma_cure(key: str, value: object, known: Collection[str]) -> str:
    """The cure for a key that is the rest of a text with a comma in it; "" when it looks like a key.

    >>> comma_cure("3 points", None, ["stop"])
    'a comma separates keys: write 0.3 with a point, or put the whole text in quotes'
    >>> comma_cure("stopp", None, ["stop"])
    ''
    """
    if value is not None or get_close_matches(key, list(known), n=1):
        return ""
    digits = re.match(r"\d+", key)
    number = f"write 0.{digits[0]} with a point, or " if digits else ""
    return f"a comma separates keys: {number}put the whole text in quotes"


def _name(at: Path_) -> str:
    """The place in words: its key, or item 2 of its list."""
    if not at:
        return "the file"
    return str(at[-1]) if isinstance(at[-1], str) else f"item {at[-1] + 1} of {_name(at[:-1])}"


def _meaning(model: type[BaseModel], at: Path_) -> str:
    owner = _model_at(model, at[:-1])
    found = {(info.alias or name): info for name, info in owner.model_fields.items()}.get(str(at[-1]))
    return (found.description or "" if found else "").removesuffix(".")


def _first_lower(words: str) -> str:
    return words if words[:2].isupper() else words[:1].lower() + words[1:]


def _keys(model: type[BaseModel]) -> list[str]:
    """The keys that a file may have at this place."""
    fields = model.model_fields.items()
    return [info.alias or name for name, info in fields if not from_file(info.json_schema_extra)]


def from_file(extra: object) -> bool:
    """Whether a field says where the spec was read instead of what the file holds."""
    return isinstance(extra, dict) and bool(extra.get("from_file"))


def _model_at(model: type[BaseModel], at: Path_) -> type[BaseModel]:
    """The model that reads this place."""
    for part in at:
        fields = {(info.alias or name): info for name, info in model.model_fields.items()}
        if isinstance(part, str) and part in fields:
            model = next(models_in(fields[part].annotation), model)
    return model


def models_in(annotation: object) -> Iterator[type[BaseModel]]:
    """The models named in an annotation; there is one at most."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for argument in typing.get_args(annotation):
        yield from models_in(argument)
