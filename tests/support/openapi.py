"""The vendors' OpenAPI files as judges of requests and answers, without Node."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from jsonschema import Draft202012Validator, FormatChecker

PAYLOADS = Path(__file__).parents[1] / "payloads"
SENDGRID = PAYLOADS / "sendgrid" / "tsg_mail_v3.json"
TWILIO = PAYLOADS / "twilio" / "twilio_api_v2010_messages.json"


def problems(file: Path, path: str, where: tuple[str, ...], value: object) -> list[str]:
    """What the file says against a value at a place of one operation: `("post", "requestBody")` and so on."""
    errors = _validator(file, path, where).iter_errors(value)
    return [f"{'.'.join(map(str, error.absolute_path))}: {error.message}" for error in errors]


def request_problems(file: Path, path: str, media: str, value: object) -> list[str]:
    return problems(file, path, ("post", "requestBody", "content", media, "schema"), value)


def answer_problems(file: Path, path: str, status: int, value: object) -> list[str]:
    return problems(file, path, ("post", "responses", str(status), "content", "application/json", "schema"), value)


def known_answers(file: Path, path: str) -> set[str]:
    """The statuses that the file knows of an operation."""
    return set(_document(file)["paths"][path]["post"]["responses"])


@cache
def _document(file: Path) -> Mapping[str, Any]:
    document: Mapping[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    return document if document["openapi"].startswith("3.1") else _with_nulls(document)


@cache
def _validator(file: Path, path: str, where: tuple[str, ...]) -> Draft202012Validator:
    document = _document(file)
    pointer, found = "#", document
    for step in ("paths", path, *where):
        found = found[step]
        pointer += "/" + step.replace("~", "~0").replace("/", "~1")
        while "$ref" in found:
            pointer = found["$ref"]
            found = document
            for name in pointer.removeprefix("#/").split("/"):
                found = found[name]
    return Draft202012Validator({**document, "$ref": pointer}, format_checker=FormatChecker())


def _with_nulls(value: Any) -> Any:
    """OpenAPI 3.0 says `nullable` where JSON Schema lists the type null."""
    if isinstance(value, list):
        return [_with_nulls(item) for item in value]
    if not isinstance(value, dict):
        return value
    changed = {key: _with_nulls(item) for key, item in value.items()}
    if changed.get("nullable") is True and isinstance(changed.get("type"), str):
        changed["type"] = [changed["type"], "null"]
    return changed
