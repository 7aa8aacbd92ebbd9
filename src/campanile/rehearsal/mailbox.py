"""A mail server on loopback for rehearsals: keeps every mail as a file, refuses some recipients, loses a few answers.

Real servers do all three, and a rehearsal must show that each is accounted for.
"""

from __future__ import annotations

import asyncio
import hashlib
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from email.parser import BytesHeaderParser
from pathlib import Path

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, Envelope, Session

from campanile.errors import CampanileError

#: Of ten thousand recipients, how many the server refuses and how many answers it loses after taking the mail.
REFUSED, LOST = 80, 3


def _fate(address: str) -> int:
    """A number below 10,000 that is always the same for this address."""
    return int(hashlib.sha256(f"rehearsal:{address}".encode()).hexdigest()[:15], 16) % 10_000


class _Mailbox:
    """Answers the server's questions; every method name is aiosmtpd's."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    async def handle_RCPT(  # noqa: N802 - the library's interface
        self, _server: SMTP, _session: Session, envelope: Envelope, address: str, _options: list[str]
    ) -> str:
        if _fate(address) < REFUSED:
            return "550 5.1.1 no such mailbox"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: SMTP, _session: Session, envelope: Envelope) -> str:  # noqa: N802
        content = envelope.content if isinstance(envelope.content, bytes) else str(envelope.content).encode()
        message_id = BytesHeaderParser().parsebytes(content)["Message-ID"].strip("<>").partition("@")[0]
        (self.folder / f"{message_id}.eml").write_bytes(content)
        if 0 <= _fate(envelope.rcpt_tos[0]) - REFUSED < LOST and isinstance(server.transport, asyncio.Transport):
            server.transport.abort()
        return "250 2.0.0 kept"


@contextmanager
def mailbox(folder: Path) -> Iterator[int]:
    """The port of a mail server on 127.0.0.1 that runs until the block ends and keeps mails in `folder`.

    A process of its own: beside the sender, not in turns with it.
    """
    folder.mkdir(parents=True, exist_ok=True)
    port = _free_port()
    command = [sys.executable, "-m", __name__, str(folder), str(port)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as server:  # noqa: S603 - our own module
        assert server.stdout is not None
        try:
            if not server.stdout.readline():
                raise CampanileError(f"the rehearsal's mail server did not start on port {port}", "try again")
            yield port
        finally:
            server.terminate()


def serve(folder: Path, port: int) -> None:
    """Runs the mail server until whoever started it goes away."""
    controller = Controller(_Mailbox(folder), hostname="127.0.0.1", port=port, ready_timeout=30)
    controller.start()
    print("ready", flush=True)  # noqa: T201 - the sign for the process that waits
    sys.stdin.read()
    controller.stop()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def received(folder: Path) -> set[str]:
    """Ids of the messages whose mails lie in `folder`."""
    return {path.stem for path in folder.glob("*.eml")}


if __name__ == "__main__":
    serve(Path(sys.argv[1]), int(sys.argv[2]))
