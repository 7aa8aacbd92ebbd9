"""What a request holds, read with a limit that runs while it comes, and within a time."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qsl

from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request

#: Bytes of a webhook, and of a form that a person sends.
HOOK, FORM = 2 * 1024 * 1024, 10_000
#: Seconds in which a body must have come.
PATIENCE = 10.0
_FIELDS = 200


async def read_body(request: Request, most: int) -> bytes:
    """The raw body; HTTPException 413 as soon as it is too long, 408 when it comes too slowly, 415 when compressed."""
    if request.headers.get("content-encoding", "identity").lower() != "identity":
        raise HTTPException(415)
    length = request.headers.get("content-length", "0")
    if not (length.isascii() and length.isdigit()):
        raise HTTPException(400)
    if len(length) > 12 or int(length) > most:
        raise HTTPException(413)
    parts: list[bytes] = []
    size = 0
    try:
        async with asyncio.timeout(PATIENCE):
            async for part in request.stream():
                size += len(part)
                if size > most:
                    raise HTTPException(413)
                parts.append(part)
    except TimeoutError:
        raise HTTPException(408) from None
    except ClientDisconnect:
        raise HTTPException(400) from None
    return b"".join(parts)


def form_of(request: Request, body: bytes) -> list[tuple[str, str]]:
    """The fields of an urlencoded form; HTTPException 415 when it is none, 400 when it cannot be read."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/x-www-form-urlencoded":
        raise HTTPException(415)
    try:
        return parse_qsl(body.decode("utf-8"), keep_blank_values=True, max_num_fields=_FIELDS, errors="strict")
    except ValueError:
        raise HTTPException(400) from None


def events_of(body: bytes, most: int) -> list[Mapping[str, Any]]:
    """The events of a JSON body: a list of objects, or one; HTTPException 400 when it is anything else."""
    try:
        found = json.loads(body)
    except (ValueError, RecursionError):
        raise HTTPException(400) from None
    listed = [found] if isinstance(found, dict) else found
    if not isinstance(listed, list) or len(listed) > most or not all(isinstance(each, dict) for each in listed):
        raise HTTPException(400)
    return listed
