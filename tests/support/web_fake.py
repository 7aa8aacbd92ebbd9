"""A provider's web server that misbehaves on demand. Each fake keeps what it has taken, so that a test can count.

The recipient decides what happens: the part of a mail address before the first dot (`hang.li@mail.example`), or what a
test wrote into `faults`. With `once-` in front it happens the first time only.
"""

from __future__ import annotations

import asyncio
import json
import socket
import ssl
import struct
import threading
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import TypeVar

#: What is answered instead of handing over.
REFUSALS = ("429", "503", "408", "html", "htmlerror", "redirect")
#: What goes wrong after the message was taken.
AFTERWARDS = ("hang", "reset", "close", "503taken", "500taken", "truncated", "garbage", "slow", "drip")
PAGE = b"<!DOCTYPE html><html><body>Log in to the network</body></html>"


@dataclass
class Request:
    method: str
    path: str
    query: str
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> object:
        return json.loads(self.body)


@dataclass
class Reply:
    status: int
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, status: int, value: object, **headers: str) -> Reply:
        return cls(status, json.dumps(value).encode(), {"Content-Type": "application/json", **headers})


class Fake(ABC):
    """One server. Subclasses say what a request means."""

    def __init__(self) -> None:
        self.requests: list[Request] = []
        self.replies: list[Reply] = []
        self.connections = 0
        self.open_now = 0
        self.most_open = 0
        self.seen: set[str] = set()
        self.faults: dict[str, str] = {}
        self.word = ""
        self.headers_of_429: dict[str, str] = {}
        self.idle: float | None = None
        self.port = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @abstractmethod
    def recipient(self, request: Request) -> str:
        """Whom the request is for; "" when nobody can say."""

    @abstractmethod
    def answer(self, request: Request) -> Reply:
        """Takes the message, or refuses it."""

    def fate(self, recipient: str) -> str:
        word = self.faults.get(recipient) or recipient.split(".", 1)[0].split("@", 1)[0]
        if word.startswith("once-"):
            first = recipient not in self.seen
            self.seen.add(recipient)
            return word.removeprefix("once-") if first else ""
        return word

    def reply(self, request: Request) -> tuple[Reply, str]:
        """The answer, and what goes wrong with it."""
        self.requests.append(request)
        word = self.word = self.fate(self.recipient(request))
        refusals = {
            "429": Reply(429, b"{}", self.headers_of_429),
            "503": Reply(503, b"busy"),
            "408": Reply(408),
            "html": Reply(200, PAGE, {"Content-Type": "text/html"}),
            "htmlerror": Reply(400, PAGE, {"Content-Type": "text/html"}),
            "redirect": Reply(302, b"", {"Location": f"{self.url}/elsewhere"}),
        }
        if word in refusals:
            return refusals[word], ""
        reply = self.answer(request)
        self.replies.append(reply)
        if word in ("503taken", "500taken"):
            return Reply(int(word[:3]), b"{}"), ""
        return reply, word


F = TypeVar("F", bound=Fake)


class _Cut(Exception):
    pass


class _Session:
    """One connection."""

    def __init__(self, fake: Fake, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.fake, self.reader, self.writer = fake, reader, writer

    async def serve(self) -> None:
        fake = self.fake
        fake.connections += 1
        fake.open_now += 1
        fake.most_open = max(fake.most_open, fake.open_now)
        try:
            while (request := await self.request()) is not None:
                await self.say(*fake.reply(request))
        except (_Cut, ConnectionError, asyncio.IncompleteReadError, TimeoutError):
            pass
        finally:
            fake.open_now -= 1
            self.writer.close()
            with suppress(Exception):
                await self.writer.wait_closed()

    async def request(self) -> Request | None:
        try:
            head = await asyncio.wait_for(self.reader.readuntil(b"\r\n\r\n"), self.fake.idle)
        except asyncio.IncompleteReadError:
            return None
        first, *lines = head.decode("latin-1").rstrip("\r\n").split("\r\n")
        method, target, _ = first.split(" ")
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        body = await self.body(headers)
        path, _, query = target.partition("?")
        return Request(method, path, query, headers, body)

    async def body(self, headers: dict[str, str]) -> bytes:
        if headers.get("transfer-encoding") != "chunked":
            return await self.reader.readexactly(int(headers.get("content-length", 0)))
        parts = []
        while size := int(await self.reader.readuntil(b"\r\n"), 16):
            parts.append(await self.reader.readexactly(size))
            await self.reader.readexactly(2)
        await self.reader.readexactly(2)
        return b"".join(parts)

    async def say(self, reply: Reply, fault: str) -> None:
        if fault == "hang":
            await asyncio.sleep(3600)
        if fault == "slow":
            await asyncio.sleep(0.3)
        if fault == "reset":
            raw = self.writer.get_extra_info("socket")
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            raise _Cut
        if fault == "close":
            raise _Cut
        if fault == "garbage":
            self.writer.write(b"what was that?\r\n\r\n")
            raise _Cut
        promised = len(reply.body) + (100 if fault in ("truncated", "drip") else 0)
        headers = {"Content-Length": str(promised), **reply.headers}
        lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        self.writer.write(f"HTTP/1.1 {reply.status} So\r\n{lines}\r\n".encode() + reply.body)
        await self.writer.drain()
        if fault == "truncated":
            raise _Cut
        while fault == "drip":  # a byte now and then keeps a patient reader waiting for ever
            self.writer.write(b".")
            await asyncio.sleep(0.1)


@contextmanager
def running(fake: F, *, port: int = 0, tls: ssl.SSLContext | None = None) -> Iterator[F]:
    """The fake in a thread of its own; its port is free again at the end."""
    ready, loop, done = threading.Event(), asyncio.new_event_loop(), asyncio.Event()

    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(asyncio.CancelledError):
            await _Session(fake, reader, writer).serve()

    async def main() -> None:
        server = await asyncio.start_server(accept, "127.0.0.1", port, ssl=tls, limit=2**24)
        fake.port = server.sockets[0].getsockname()[1]
        ready.set()
        await done.wait()
        server.close()
        others = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)

    thread = threading.Thread(target=loop.run_until_complete, args=(main(),), daemon=True)
    thread.start()
    assert ready.wait(10)
    try:
        yield fake
    finally:
        loop.call_soon_threadsafe(done.set)
        thread.join(10)
        loop.close()
