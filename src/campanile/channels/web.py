"""The web as a way to a provider: lasting connections, and what a failed request means.

Until the first byte of a request is written, nothing can have been taken: `NotReachedError`. From then on only the
provider's own answer counts; whatever goes wrong before it is complete is `LostError`. No request is repeated here.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from types import SimpleNamespace
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from campanile.channels.base import WithdrawnError

if TYPE_CHECKING:
    import aiohttp

#: Bytes of an answer that are read; the rest of a longer one is no business of ours.
MOST_READ = 64_000
#: Seconds after which an idle connection is not used again: servers and the boxes between end them without a word.
_IDLE = 20.0


@dataclass(frozen=True)
class Answer:
    """What a server answered. Header names are in small letters."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def is_html(self) -> bool:
        """Whether this is a page for people: something between us and the provider answered."""
        return "html" in self.headers.get("content-type", "") or self.body.lstrip()[:1] == b"<"


class NotReachedError(Exception):
    """No connection, so nothing was handed over: what the server does, the cure, whether waiting may help."""

    def __init__(self, what: str, cure: str, *, passing: bool) -> None:
        self.what = what
        self.cure = cure
        self.passing = passing
        super().__init__(what)


class LostError(Exception):
    """The request went out and its answer did not come back whole. Its text says how, without contact data."""


@dataclass
class _Progress:
    """How far one request has come."""

    begun: bool = False


class Web:
    """Lasting connections to one server. Open it inside of the event loop that uses it."""

    def __init__(self, base_url: str, *, connections: int, timeout: float) -> None:
        self.base_url = base_url.rstrip("/")
        self._connections = connections
        self._timeout = timeout
        self._session: aiohttp.ClientSession | None = None

    async def open(self) -> None:
        """Makes ready, and connects once, so that a wrong address shows before anything is sent there.

        Raises:
            NotReachedError: The server cannot be reached.
        """
        import aiohttp

        tls = await asyncio.to_thread(ssl.create_default_context)
        connector = aiohttp.TCPConnector(limit=self._connections, ssl=tls, keepalive_timeout=_IDLE)
        tracing = aiohttp.TraceConfig()
        tracing.on_request_headers_sent.append(_begin)
        self._session = aiohttp.ClientSession(
            connector=connector,
            cookie_jar=aiohttp.DummyCookieJar(),
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=self._timeout, sock_read=self._timeout),
            trace_configs=[tracing],
        )
        await self._knock(tls)

    async def close(self) -> None:
        """Lets go of every connection."""
        if self._session is not None:
            await self._session.close()

    async def request(self, method: str, url: str, *, headers: Mapping[str, str], body: bytes | None = None) -> Answer:
        """The server's answer, whatever its status. Redirects are answers; they are not followed.

        Raises:
            NotReachedError: Nothing was handed over.
            LostError: It may have been.
            WithdrawnError: Cancelled while certainly nothing had been handed over.
        """
        assert self._session is not None
        progress = _Progress()
        try:
            # Two turns of the loop, so that it has seen which idle connections the server has ended meanwhile: a
            # request over one of those would be lost for no reason.
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            async with (
                asyncio.timeout(None) as patience,
                self._session.request(
                    method,
                    url,
                    headers=headers,
                    data=body,
                    allow_redirects=False,
                    trace_request_ctx=(progress, patience, self._timeout),
                ) as response,
            ):
                content = await response.content.read(MOST_READ)
                while not response.content.at_eof():  # the connection is free for the next only when all is read
                    await response.content.readany()
                return Answer(response.status, {k.lower(): v for k, v in response.headers.items()}, content)
        except asyncio.CancelledError:
            if progress.begun:
                raise LostError("stopped while waiting for the answer") from None
            raise WithdrawnError from None
        except Exception as error:
            if not progress.begun:
                raise self._not_reached(error) from None
            raise LostError(self._lost(error)) from None

    async def _knock(self, tls: ssl.SSLContext) -> None:
        address = urlsplit(self.base_url)
        secure = address.scheme == "https"
        port = address.port or (443 if secure else 80)
        try:
            async with asyncio.timeout(self._timeout):
                _, writer = await asyncio.open_connection(address.hostname, port, ssl=tls if secure else None)
        except (OSError, TimeoutError) as error:
            raise self._not_reached(error) from None
        writer.close()

    def _not_reached(self, error: Exception) -> NotReachedError:
        causes = (error, getattr(error, "os_error", None))
        for kind, what, cure, passing in _troubles():
            if any(isinstance(cause, kind) for cause in causes):
                return NotReachedError(what.format(seconds=f"{self._timeout:g}"), cure, passing=passing)
        return NotReachedError(f"cannot be asked ({type(error).__name__})", "report this", passing=False)

    def _lost(self, error: Exception) -> str:
        if isinstance(error, TimeoutError):
            return f"no answer within {self._timeout:g} s"
        return f"connection lost before the answer ({type(error).__name__})"


async def _begin(_session: object, context: SimpleNamespace, _params: object) -> None:
    """Called right before the first byte of a request is written: from here on the whole answer has so many seconds."""
    progress, patience, seconds = context.trace_request_ctx
    progress.begun = True
    patience.reschedule(asyncio.get_running_loop().time() + seconds)


def _troubles() -> tuple[tuple[type[Exception], str, str, bool], ...]:
    """The first kind that fits: what the server does, the cure, and whether waiting may help."""
    import aiohttp

    unknown = "is not known to the name service"
    no_tls = "cannot agree on TLS with us"
    return (
        (aiohttp.ClientSSLError, no_tls, "check host, or its certificate", False),
        (ssl.SSLError, no_tls, "check host, or its certificate", False),
        (aiohttp.ClientConnectorDNSError, unknown, "check host, and the network of this machine", True),
        (socket.gaierror, unknown, "check host, and the network of this machine", True),
        (TimeoutError, "does not answer within {seconds} s", "check host, and the firewall", True),
        (ConnectionRefusedError, "refuses connections", "check host, and whether it runs", True),
        (OSError, "cannot be reached", "check host, and the network of this machine", True),
    )
