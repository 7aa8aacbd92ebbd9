"""The addresses that stand in messages: a token says which message, and GET changes nothing."""

from __future__ import annotations

import base64

from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from campanile.errors import CampanileError
from campanile.events import EventType
from campanile.ledger.refusals import GLOBAL, TOPIC
from campanile.messages.tokens import Purpose
from campanile.responses import own, pages
from campanile.responses.bodies import FORM, form_of, read_body
from campanile.responses.desk import Desk, hit

_PIXEL = base64.b64decode("R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAIBRAA7")
#: What mail programs send when somebody presses their button (RFC 8058).
_ONE_CLICK = b"List-Unsubscribe=One-Click"


class Links:
    """The addresses that stand in messages."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    async def click(self, request: Request) -> Response:
        """Leads to the page that was planned. A visitor is never kept waiting because a hit could not be written."""
        recipient = await self._desk.recipient(request, Purpose.CLICK)
        try:
            await self._desk.keep(own.WEB, [hit(request, recipient, EventType.CLICKED)])
        except CampanileError:
            self._desk.counts["hits_lost", "click"] += 1
        if not recipient.destination:
            return HTMLResponse(pages.nothing_here(recipient.plan))
        return RedirectResponse(recipient.destination, 302)

    async def opened(self, request: Request) -> Response:
        """A picture of one transparent dot."""
        recipient = await self._desk.recipient(request, Purpose.OPEN)
        try:
            await self._desk.keep(own.WEB, [hit(request, recipient, EventType.OPENED)])
        except CampanileError:
            self._desk.counts["hits_lost", "open"] += 1
        return Response(_PIXEL, media_type="image/gif")

    async def leave(self, request: Request) -> Response:
        """GET: the page with the button. POST: the refusal, in force when this answers; again it changes nothing."""
        recipient = await self._desk.recipient(request, Purpose.UNSUBSCRIBE)
        token = request.path_params["token"]
        if request.method != "POST":
            return HTMLResponse(pages.leave(recipient.plan, recipient.channel, token))
        body = await read_body(request, FORM)
        way = "one-click" if _ONE_CLICK in body else pages.VERSION
        await self._desk.keep(
            own.WEB, [hit(request, recipient, EventType.UNSUBSCRIBED, judged=False, detail=way)], at_once=True
        )
        return HTMLResponse(pages.left(recipient.plan, token))

    async def choose(self, request: Request) -> Response:
        """GET: the page of choices. POST: the choice, in force when this answers."""
        recipient = await self._desk.recipient(request, Purpose.UNSUBSCRIBE)
        if request.method != "POST":
            return HTMLResponse(pages.choices(recipient.plan, recipient.channel, request.path_params["token"]))
        fields = dict(form_of(request, await read_body(request, FORM)))
        topic = str(recipient.plan.campaign_part("topic") or "")
        meant = {
            "all": (EventType.SUBSCRIBED, GLOBAL),
            "channel": (EventType.UNSUBSCRIBED, ""),
            "nothing": (EventType.UNSUBSCRIBED, GLOBAL),
            **({"topic": (EventType.UNSUBSCRIBED, f"{TOPIC}{topic}")} if topic else {}),
        }.get(fields.get("choice", ""))
        if meant is None:
            raise HTTPException(400)
        arrival = hit(request, recipient, meant[0], judged=False, scope=meant[1], detail=pages.VERSION)
        await self._desk.keep(own.WEB, [arrival], at_once=True)
        return HTMLResponse(pages.saved(recipient.plan))

    async def reply(self, request: Request) -> Response:
        """GET: the form, filled in as far as we know. POST: the answer, kept when this answers."""
        recipient = await self._desk.recipient(request, Purpose.REPLY)
        desk, plan = self._desk, recipient.plan
        if request.method != "POST":
            known = await run_in_threadpool(desk.recipients.fields, recipient.message_id)
            leave = f"../u/{desk.ring.sign(Purpose.UNSUBSCRIBE, recipient.message_id)}"
            name, token = str(known.get("name") or ""), request.path_params["token"]
            form = pages.reply(plan, token, name=name, phone=desk.settings.phone, leave_link=leave)
            return HTMLResponse(form)
        fields = dict(form_of(request, await read_body(request, FORM)))
        said = own.written({key: fields.get(key, "")[:2_000] for key in ("answer", "name", "text")})
        await desk.keep(own.WEB, [hit(request, recipient, EventType.INBOUND, judged=False, words=said, detail="form")])
        return HTMLResponse(pages.replied(plan))
