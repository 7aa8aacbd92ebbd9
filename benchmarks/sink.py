"""A mail server that takes everything, keeps nothing and counts: fast enough never to be what is measured.

`python -m benchmarks.sink` prints its port; when its input ends it prints mails, bytes and answers, and ends. With
`--latency 0.05` each answer leaves that many seconds late.
"""

from __future__ import annotations

import argparse
import asyncio
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

_GREETING = b"220 sink ESMTP\r\n"
_EHLO = b"250-sink\r\n250-8BITMIME\r\n250 ENHANCEDSTATUSCODES\r\n"
_ANSWERS = {
    b"EHLO": _EHLO,
    b"HELO": b"250 sink\r\n",
    b"MAIL": b"250 2.1.0 OK\r\n",
    b"RCPT": b"250 2.1.5 OK\r\n",
    b"DATA": b"354 go on\r\n",
    b"RSET": b"250 2.0.0 OK\r\n",
    b"NOOP": b"250 2.0.0 OK\r\n",
    b"QUIT": b"221 2.0.0 bye\r\n",
}
_TAKEN = b"250 2.0.0 taken\r\n"
_UNKNOWN = b"502 5.5.2 unknown\r\n"
_END = b"\r\n.\r\n"


@dataclass
class Taken:
    """What the server has taken from everybody."""

    mails: int = 0
    size: int = 0
    answers: int = 0


class Line(asyncio.Protocol):
    """One connection. Commands may come one by one or many at once."""

    def __init__(self, taken: Taken, latency: float = 0.0) -> None:
        self.taken = taken
        self.latency = latency
        self.buffer = bytearray()
        self.in_text = False
        self.searched = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Greets."""
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        transport.write(_GREETING)

    def data_received(self, data: bytes) -> None:
        """Answers every complete command and every complete text."""
        self.buffer += data
        while self._text() if self.in_text else self._command():
            pass

    def _text(self) -> bool:
        end = self.buffer.find(_END, max(0, self.searched - len(_END)))
        if end < 0:
            self.searched = len(self.buffer)
            return False
        self.taken.mails += 1
        self.taken.size += end
        del self.buffer[: end + len(_END)]
        self.in_text, self.searched = False, 0
        self._answer(_TAKEN)
        return True

    def _answer(self, line: bytes) -> None:
        self.taken.answers += 1
        if self.latency:
            asyncio.get_running_loop().call_later(self.latency, self.transport.write, line)
        else:
            self.transport.write(line)

    def _command(self) -> bool:
        end = self.buffer.find(b"\r\n")
        if end < 0:
            return False
        word = bytes(self.buffer[:4]).upper()
        del self.buffer[: end + 2]
        self._answer(_ANSWERS.get(word, _UNKNOWN))
        self.in_text = word == b"DATA"
        if word == b"QUIT" and not self.latency:
            self.transport.close()
        return True


async def _serve(latency: float) -> None:
    taken = Taken()
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Line(taken, latency), "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await loop.run_in_executor(None, sys.stdin.read)
    server.close()
    print(taken.mails, taken.size, taken.answers, flush=True)


class Sink:
    """The running server."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        assert process.stdout is not None
        self._process = process
        self.port = int(process.stdout.readline())

    def stop(self) -> Taken:
        """What it has taken, after it has ended."""
        said, _ = self._process.communicate(timeout=30)
        return Taken(*map(int, said.split()))


@contextmanager
def running_sink(latency: float = 0.0) -> Iterator[Sink]:
    """The server in a process of its own; it ends with the block, or with this process."""
    command = [sys.executable, "-m", "benchmarks.sink", "--latency", str(latency)]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        yield Sink(process)
    finally:
        process.kill()
        process.wait()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--latency", type=float, default=0.0, help="seconds")
    asyncio.run(_serve(parser.parse_args().latency))
