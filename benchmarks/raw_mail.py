"""Mails over bare sockets, everything of a mail in one write: what a sink can take when the sender does nothing."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

_CONNECTIONS = 8


async def replay(mails: Iterator[tuple[str, bytes]], port: int) -> None:
    """Sends the mails; an answer other than yes ends it."""
    await asyncio.gather(*(_one_line(mails, port) for _ in range(_CONNECTIONS)))


async def _one_line(mails: Iterator[tuple[str, bytes]], port: int) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    await reader.readline()
    writer.write(b"HELO bench\r\n")
    await reader.readline()
    for to, mime in mails:
        envelope = b"MAIL FROM:<news@m.example.com>\r\nRCPT TO:<" + to.encode() + b">\r\nDATA\r\n"
        writer.write(envelope + mime.removesuffix(b"\r\n").replace(b"\r\n.", b"\r\n..") + b"\r\n.\r\n")
        for _ in range(4):
            answer = await reader.readline()
            if answer[:1] not in b"23":
                raise RuntimeError(answer.decode(errors="replace"))
    writer.write(b"QUIT\r\n")
    await reader.readline()
    writer.close()
