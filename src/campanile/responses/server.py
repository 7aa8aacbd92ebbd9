"""The service on a port: uvicorn, with a time limit on headers too."""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from campanile.errors import CampanileError
from campanile.ledger import Ledger
from campanile.ledger.sent import anything_sent
from campanile.messages.tokens import open_key_ring
from campanile.privacy import RedactFilter
from campanile.responses.service import HEAD_BYTES, make_app
from campanile.spec.project import Project

#: Seconds in which the head of a request must have come.
HEAD_PATIENCE = 10.0
#: Connections at a time; beyond, 503.
CONNECTIONS = 1_000
#: Seconds to wait for another process that writes to the ledger; then whoever asks shall come again.
_PATIENCE = 5.0


class PatientProtocol(H11Protocol):
    """HTTP that closes a connection on which the head of a request does not come to its end."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Starts the time."""
        super().connection_made(transport)
        self._deadline: asyncio.TimerHandle | None = None
        self._start()

    def data_received(self, data: bytes) -> None:
        """Stops the time when a whole head has come, and starts it with the first bytes of the next."""
        before = self.cycle
        super().data_received(data)
        if self.cycle is not before:
            self._end()
        elif self.cycle is None or self.cycle.response_complete:
            self._start()

    def connection_lost(self, exc: Exception | None) -> None:
        """Stops the time."""
        self._end()
        super().connection_lost(exc)

    def _start(self) -> None:
        if self._deadline is None:
            self._deadline = self.loop.call_later(HEAD_PATIENCE, self._too_slow)

    def _end(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _too_slow(self) -> None:
        self._deadline = None
        if not self.transport.is_closing():
            self.transport.close()


def serve(project: Project, listening: socket.socket, *, processing: bool = True) -> None:
    """Serves on that socket until it is told to stop.

    Args:
        project: Settings and stores.
        listening: A socket that listens.
        processing: Whether the inbox is understood in the background too.

    Raises:
        CampanileError: A key cannot be read, or the ledger fails.
    """
    if not project.settings.shop.base_url:
        what = "links and signatures need the address at which the world reaches this service"
        raise CampanileError(what, "set shop: base_url: https://… in campanile.yaml")
    for name in ("uvicorn", "uvicorn.error", make_app.__module__):
        logging.getLogger(name).addFilter(RedactFilter())
    ring = open_key_ring(project.home, sent=lambda: anything_sent(project.ledger_place))
    with Ledger.open(project.ledger_place, patience=_PATIENCE) as ledger:
        app = make_app(project, ledger, ring, processing=processing)
        server = uvicorn.Server(uvicorn.Config(app, **_options(project)))
        server.run(sockets=[listening])


def _options(project: Project) -> dict[str, Any]:
    return {
        "http": PatientProtocol,
        "ws": "none",
        "loop": "asyncio",
        "lifespan": "on",
        "log_level": "warning",
        # Tokens are in the addresses: who reads them can unsubscribe others.
        "access_log": False,
        "server_header": False,
        "proxy_headers": True,
        "forwarded_allow_ips": project.settings.responses.trusted_proxies,
        "timeout_keep_alive": 5,
        "timeout_graceful_shutdown": 10,
        "limit_concurrency": CONNECTIONS,
        "h11_max_incomplete_event_size": HEAD_BYTES,
    }


@contextmanager
def listening(host: str, port: int) -> Iterator[tuple[socket.socket, int]]:
    """A socket that listens, and its port; closed at the end of the block. CampanileError when it is taken."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as opened:
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            opened.bind((host, port))
            opened.listen(2048)
        except OSError as error:
            what = f"nobody can listen on {host}:{port} ({error.strerror})"
            raise CampanileError(what, "choose another --port or --host") from None
        yield opened, int(opened.getsockname()[1])
