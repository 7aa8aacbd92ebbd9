"""The service as one ASGI application: addresses, refusals, headers. It has no pages about itself."""

from __future__ import annotations

import asyncio
import logging
import traceback
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from campanile.errors import CampanileError
from campanile.ledger import Ledger
from campanile.messages.tokens import KeyRing
from campanile.privacy import redact
from campanile.responses.desk import Desk
from campanile.responses.hooks import Hooks
from campanile.responses.inbox import backlog
from campanile.responses.links import Links
from campanile.responses.metrics import metrics_text, private
from campanile.responses.pages import POLICY
from campanile.responses.process import process
from campanile.responses.till import Till
from campanile.responses.writer import Writer
from campanile.spec.project import Project

log = logging.getLogger(__name__)

#: Rows understood between two commits of requests, and seconds between two looks at an empty inbox.
_AT_A_TIME, _PAUSE = 250, 0.5
_HEADERS = (
    (b"content-security-policy", POLICY.encode()),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"cache-control", b"no-store"),
    (b"x-robots-tag", b"noindex, nofollow"),
    (b"x-frame-options", b"DENY"),
    (b"cross-origin-resource-policy", b"cross-origin"),
)
_RETRY = {"Retry-After": "30"}
#: Bytes that the head of a request may have.
HEAD_BYTES = 16_384
_ANSWERED = frozenset({"GET", "HEAD", "POST"})


def make_app(project: Project, ledger: Ledger, ring: KeyRing, *, processing: bool = True) -> Starlette:
    """The application on an open ledger.

    Args:
        project: Settings, and where links lead to.
        ledger: Open as long as the application runs.
        ring: The keys that signed the links.
        processing: Whether the inbox is understood in the background.
    """

    @asynccontextmanager
    async def living(app: Starlette) -> AsyncIterator[None]:
        async with Writer(ledger) as writer:
            desk = Desk.of(project, ledger, ring, writer)
            app.state.desk = desk
            _connect(app, desk)
            desk.backlog = backlog(ledger)
            worker = asyncio.create_task(_work(desk)) if processing else None
            try:
                yield
            finally:
                if worker is not None:
                    worker.cancel()

    app = Starlette(lifespan=living, exception_handlers={HTTPException: _refused, CampanileError: _busy, 500: _broken})  # type: ignore[dict-item]
    app.router.redirect_slashes = False
    app.add_middleware(_Gatekeeper)
    return app


def _connect(app: Starlette, desk: Desk) -> None:
    """Gives the application its addresses."""
    links, hooks, till = Links(desk), Hooks(desk), Till(desk)
    both = ["GET", "POST"]
    app.router.routes[:] = [
        Route("/c/{token}", links.click, methods=["GET"]),
        Route("/o/{token}", links.opened, methods=["GET"]),
        Route("/u/{token}", links.leave, methods=both),
        Route("/p/{token}", links.choose, methods=both),
        Route("/r/{token}", links.reply, methods=both),
        Route("/coupons/redeem", till.redeem, methods=["POST"]),
        Route("/hooks/sendgrid", hooks.sendgrid, methods=["POST"]),
        Route("/hooks/twilio/status/{token}", hooks.twilio_status, methods=["POST"]),
        Route("/hooks/twilio/inbound", hooks.twilio_inbound, methods=["POST"]),
        Route("/hooks/twilio/{token}", hooks.twilio_status, methods=["POST"]),
        Route("/hooks/generic", hooks.generic, methods=["POST"]),
        Route("/health", partial(_health, desk), methods=["GET"]),
        Route("/metrics", partial(_metrics, desk), methods=["GET"]),
    ]


async def _work(desk: Desk) -> None:
    """Understands what waits, a little at a time, by the thread that writes; failures are tried again."""
    while True:
        try:
            done = await desk.writer.clerically(partial(process, desk.ledger, most=_AT_A_TIME))
            desk.backlog = await desk.writer.clerically(partial(backlog, desk.ledger)) if done.read else 0
            desk.counts["processed", "events"] += done.events
            desk.counts["processed", "unreadable"] += done.unreadable
            desk.counts["processed", "settled"] += done.settled
            await asyncio.sleep(0 if done.read == _AT_A_TIME else _PAUSE)
        except CampanileError as error:
            desk.counts["processed", "failures"] += 1
            log.warning("the inbox waits: %s", redact(str(error)))
            await asyncio.sleep(_PAUSE * 10)
        except Exception as error:  # what comes is kept all the same, and understood once this is mended
            desk.counts["processed", "failures"] += 1
            log.error("the inbox cannot be understood: %s", _place(error))  # noqa: TRY400 - its text may quote anybody
            await asyncio.sleep(_PAUSE * 60)


async def _health(desk: Desk, _request: Request) -> Response:
    """200 while arrivals are written and the ledger answers."""
    if not desk.writer.alive:
        return PlainTextResponse("the writer has stopped\n", 503)
    await desk.writer.clerically(partial(backlog, desk.ledger))
    return PlainTextResponse("ok\n")


async def _metrics(desk: Desk, request: Request) -> Response:
    """Counters for Prometheus, to machines of the same network only."""
    if not private(request):
        raise HTTPException(404)
    return PlainTextResponse(metrics_text(desk), media_type="text/plain; version=0.0.4")


async def _refused(_request: Request, error: HTTPException) -> Response:
    headers = {**(error.headers or {}), **({"Connection": "close"} if error.status_code in {408, 413} else {})}
    return PlainTextResponse("", error.status_code, headers)


async def _busy(_request: Request, error: Exception) -> Response:
    """Trouble of ours: whoever sent it comes again. What it was stands in the log."""
    log.warning("not kept: %s", redact(str(error)))
    return PlainTextResponse("", 503, _RETRY)


async def _broken(_request: Request, error: Exception) -> Response:
    log.error("an address broke: %s", _place(error))
    return PlainTextResponse("", 500)


def _place(error: Exception) -> str:
    """What failed and where, without its text, which may quote anybody."""
    frames = traceback.extract_tb(error.__traceback__)
    where = f" at {Path(frames[-1].filename).name}:{frames[-1].lineno}" if frames else ""
    return f"{type(error).__name__}{where}"


class _Gatekeeper:
    """Before every address: what no honest client sends is refused. After it: headers, and a count."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        await (_refusal(scope) or self._app)(scope, receive, self._dressed(scope, send))

    def _dressed(self, scope: Scope, send: Send) -> Callable[[Message], Awaitable[None]]:
        async def sending(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message.get("headers", ()), *_HEADERS]
                desk: Desk | None = getattr(scope["app"].state, "desk", None) if "app" in scope else None
                if desk is not None:
                    desk.counts["answers", f"{_area(scope['path'])} {message['status']}"] += 1
            await send(message)

        return sending


def _refusal(scope: Scope) -> ASGIApp | None:
    """What answers a request that no honest client sends; None when it may go on."""
    names = [name for name, _ in scope["headers"]]
    lengths = names.count(b"content-length")
    size = sum(len(name) + len(value) for name, value in scope["headers"])
    if size > HEAD_BYTES or lengths > 1 or (lengths and b"transfer-encoding" in names) or names.count(b"host") > 1:
        return PlainTextResponse("", 400, {"Connection": "close"})
    if scope["method"] not in _ANSWERED:
        return PlainTextResponse("", 405, {"Allow": "GET, HEAD, POST"})
    raw: bytes = scope.get("raw_path") or b""
    # Tokens and addresses have no letters to be written otherwise.
    if b"%" in raw or b"//" in raw or b".." in raw or b"\\" in raw:
        return PlainTextResponse("", 404)
    return None


def _area(path: str) -> str:
    """The address without its token.

    >>> _area("/c/abc"), _area("/hooks/twilio/status/abc"), _area("/wp-admin")
    ('/c', '/hooks/twilio/status', 'other')
    """
    known = (
        "/c", "/o", "/u", "/p", "/r", "/coupons/redeem", "/hooks/sendgrid", "/hooks/twilio/status",
        "/hooks/twilio/inbound", "/hooks/generic", "/health", "/metrics",
    )  # fmt: skip
    return next((each for each in known if path == each or path.startswith(f"{each}/")), "other")
