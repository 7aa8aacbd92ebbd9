"""A mail server for tests that misbehaves on demand. It keeps every mail it has taken, so that a test can count.

The part of an address before the first dot says what happens to it: `rcpt550.anything@mail.example` is refused at RCPT.
With `once-` in front it happens the first time only. Addresses without a known word are taken.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import json
import os
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

AT_RCPT = {
    "rcpt550": b"550 5.1.1 <%s> no such mailbox",
    "rcpt451": b"451 4.7.1 <%s> greylisted",
    "rcpt421": b"421 4.3.2 <%s> closing",
    "rcpt530": b"530 5.7.0 authentication required",
}
AT_DOT = {
    "dot554": b"554 5.7.1 <%s> looks like spam",
    "dot452": b"452 4.2.2 <%s> over quota",
    "dot421": b"421 4.3.2 <%s> closing",
}
#: `takehang` takes the mail and says nothing, `take554` takes it and says that it does not.
#: Where the connection is cut: at RCPT, at DATA, after 354, in the middle of the text, after taking the mail.
CUTS = ("droprcpt", "dropdata", "drop354", "dropmid", "dropdot")
SILENCES = ("hangrcpt", "hangdot")
GARBAGE = "garbledot"
SLOW = "slow"


@dataclass
class SinkSettings:
    """How the server as a whole behaves."""

    greeting: bytes = b"220 sink ESMTP"
    mail: bytes = b"250 2.1.0 OK"
    tls: ssl.SSLContext | None = None
    starttls: ssl.SSLContext | None = None
    login: tuple[str, str] | None = None
    most_per_connection: int = 0
    idle: float = 0.0
    pause: float = 0.0
    extensions: tuple[str, ...] = ("8BITMIME", "ENHANCEDSTATUSCODES")
    record: Path | None = None
    keep: bool = True


@dataclass
class Taken:
    """One mail that the server has taken."""

    to: str
    sender: str
    content: bytes
    message_id: str


@dataclass
class Sink:
    """What the server has seen."""

    settings: SinkSettings
    taken: list[Taken] = field(default_factory=list)
    connections: int = 0
    open_now: int = 0
    most_open: int = 0
    commands: list[str] = field(default_factory=list)
    seen: set[str] = field(default_factory=set)
    port: int = 0

    def recipients(self) -> list[str]:
        return [mail.to for mail in self.taken]

    def fate(self, address: str) -> str:
        """The word that decides over this address, now."""
        word = address.split(".", 1)[0].split("@", 1)[0]
        if word.startswith("once-"):
            first = address not in self.seen
            self.seen.add(address)
            return word.removeprefix("once-") if first else ""
        return word

    def keep(self, mail: Taken) -> None:
        if self.settings.keep:
            self.taken.append(mail)
        if self.settings.record is not None:
            # One write to a file opened for appending: whole lines, whatever happens to whom.
            handle = os.open(self.settings.record, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
            line = json.dumps({"to": mail.to, "message_id": mail.message_id}) + "\n"
            os.write(handle, line.encode())
            os.close(handle)


class Cut(Exception):
    """The server cuts the connection."""


class Session:
    """One connection."""

    def __init__(self, sink: Sink, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.sink, self.reader, self.writer = sink, reader, writer
        self.settings = sink.settings
        self.sender, self.to, self.word = "", "", ""
        self.carried = 0
        self.logged_in = self.settings.login is None

    async def say(self, line: bytes) -> None:
        if self.settings.pause:
            await asyncio.sleep(self.settings.pause)
        self.writer.write(line + b"\r\n")
        await self.writer.drain()
        if line.startswith(b"421"):
            raise Cut

    async def serve(self) -> None:
        sink = self.sink
        sink.connections += 1
        sink.open_now += 1
        sink.most_open = max(sink.most_open, sink.open_now)
        try:
            await self.say(self.settings.greeting)
            while await self.command():
                pass
        except (Cut, ConnectionError, asyncio.IncompleteReadError, TimeoutError):
            pass
        finally:
            sink.open_now -= 1
            self.writer.close()
            with suppress(Exception):
                await self.writer.wait_closed()

    async def command(self) -> bool:
        line = await asyncio.wait_for(self.reader.readline(), self.settings.idle or None)
        if not line:
            return False
        text = line.decode("ascii", "replace").strip()
        verb = text.split(" ", 1)[0].upper().split(":")[0]
        if verb != "AUTH":
            self.sink.commands.append(text)
        known = {"EHLO": self.ehlo, "HELO": self.ehlo, "STARTTLS": self.starttls, "AUTH": self.auth, "MAIL": self.mail}
        known |= {"RCPT": self.rcpt, "DATA": self.data, "RSET": self.rset, "NOOP": self.rset, "QUIT": self.quit}
        action = known.get(verb)
        if action is None:
            await self.say(b"502 5.5.2 unknown")
            return True
        await action(text)
        return verb != "QUIT"

    async def ehlo(self, text: str) -> None:
        words = list(self.settings.extensions)
        if self.settings.starttls and not self.writer.get_extra_info("sslcontext"):
            words.append("STARTTLS")
        if self.settings.login:
            words.append("AUTH PLAIN LOGIN")
        lines = ["sink", *words]
        for word in lines[:-1]:
            self.writer.write(f"250-{word}\r\n".encode())
        await self.say(f"250 {lines[-1]}".encode())

    async def starttls(self, text: str) -> None:
        assert self.settings.starttls
        await self.say(b"220 2.0.0 go")
        await self.writer.start_tls(self.settings.starttls)

    async def auth(self, text: str) -> None:
        words = text.split(" ")
        assert self.settings.login
        name, password = self.settings.login
        if words[1].upper() == "PLAIN":
            good = base64.b64decode(words[2]).decode().split("\0")[1:] == [name, password]
        else:
            first = base64.b64decode(words[2]).decode()
            await self.say(b"334 UGFzc3dvcmQ6")
            second = base64.b64decode(await self.reader.readline()).decode()
            good = (first, second) == (name, password)
        self.logged_in = good
        await self.say(b"235 2.7.0 welcome" if good else b"535 5.7.8 bad credentials")

    async def mail(self, text: str) -> None:
        if self.sender:
            await self.say(b"503 5.5.1 nested MAIL")
            return
        if not self.logged_in:
            await self.say(b"530 5.7.0 authentication required")
            return
        if self.settings.most_per_connection and self.carried >= self.settings.most_per_connection:
            await self.say(b"421 4.7.0 too many mails over one connection")
        if self.settings.mail.startswith(b"2"):
            self.sender = text.split("<", 1)[1].split(">", 1)[0]
        await self.say(self.settings.mail)

    async def rcpt(self, text: str) -> None:
        self.to = text.split("<", 1)[1].split(">", 1)[0]
        self.word = self.sink.fate(self.to)
        if self.word == "droprcpt":
            raise Cut
        if self.word == "hangrcpt":
            await asyncio.sleep(3600)
        refusal = AT_RCPT.get(self.word)
        if refusal:
            await self.say(refusal.replace(b"%s", self.to.encode()))
            return
        if self.word == SLOW:
            await asyncio.sleep(0.3)
        await self.say(b"250 2.1.5 OK")

    async def data(self, text: str) -> None:
        if self.word == "dropdata":
            raise Cut
        await self.say(b"354 go on")
        if self.word == "drop354":
            raise Cut
        if self.word == "dropmid":
            await self.reader.read(10)
            raise Cut
        raw = await self.reader.readuntil(b"\r\n.\r\n")
        if self.word == "hangdot":
            await asyncio.sleep(3600)
        refusal = AT_DOT.get(self.word)
        if refusal:
            self.reset()
            await self.say(refusal.replace(b"%s", self.to.encode()))
            return
        self.keep(raw[:-3])
        if self.word == "dropdot":
            raise Cut
        if self.word == "takehang":
            await asyncio.sleep(3600)
        if self.word == "take554":
            self.reset()
            await self.say(b"554 5.7.1 taken all the same")
            return
        if self.word == GARBAGE:
            await self.say(b"what was that?")
            return
        self.carried += 1
        self.reset()
        await self.say(b"250 2.0.0 Ok: queued as 4F2A1B3C")

    def keep(self, raw: bytes) -> None:
        content = raw.replace(b"\r\n..", b"\r\n.")
        content = content[1:] if content.startswith(b"..") else content
        head = content.split(b"\r\n\r\n", 1)[0].decode("ascii", "replace")
        ids = [line.split(":", 1)[1].strip() for line in head.split("\r\n") if line.lower().startswith("message-id:")]
        message_id = ids[0].strip("<>").split("@")[0] if ids else ""
        self.sink.keep(Taken(self.to, self.sender, content, message_id))

    async def rset(self, text: str) -> None:
        self.reset()
        await self.say(b"250 2.0.0 OK")

    async def quit(self, text: str) -> None:
        await self.say(b"221 2.0.0 bye")

    def reset(self) -> None:
        self.sender, self.to = "", ""


async def _serve(sink: Sink, port: int) -> asyncio.Server:
    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(asyncio.CancelledError):
            await Session(sink, reader, writer).serve()

    server = await asyncio.start_server(accept, "127.0.0.1", port, ssl=sink.settings.tls, limit=2**22)
    sink.port = server.sockets[0].getsockname()[1]
    return server


@contextmanager
def running_sink(settings: SinkSettings | None = None, port: int = 0) -> Iterator[Sink]:
    """The server in a thread of its own; its port is free again at the end."""
    sink = Sink(settings or SinkSettings())
    ready, loop = threading.Event(), asyncio.new_event_loop()
    done = asyncio.Event()

    async def main() -> None:
        server = await _serve(sink, port)
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
        yield sink
    finally:
        loop.call_soon_threadsafe(done.set)
        thread.join(10)
        loop.close()


def main() -> None:
    """Runs the server as a process: prints its port, appends every mail it takes to the record."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--record", type=Path)
    parser.add_argument("--pause", type=float, default=0.0)
    options = parser.parse_args()
    sink = Sink(SinkSettings(record=options.record, pause=options.pause, keep=False))

    async def serve() -> None:
        server = await _serve(sink, 0)
        print(sink.port, flush=True)
        async with server:
            await server.serve_forever()

    asyncio.run(serve())


def wait_until(condition: object, seconds: float = 10.0) -> None:
    """Returns when `condition()` holds; AssertionError when it does not in time."""
    assert callable(condition)
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.01)


if __name__ == "__main__":
    main()
