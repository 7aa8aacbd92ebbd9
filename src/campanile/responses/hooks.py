"""The addresses that providers call. Each request proves itself over its raw bytes; 204 means that it is kept."""

from __future__ import annotations

import hashlib
import json

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from campanile import clock
from campanile.messages.tokens import Purpose
from campanile.responses import own, sendgrid, twilio
from campanile.responses.bodies import HOOK, events_of, form_of, read_body
from campanile.responses.desk import Desk
from campanile.responses.inbox import Arrival
from campanile.responses.signatures import generic_signed, sendgrid_signed, twilio_signed

#: Events of one request.
_MOST = 10_000
_SENDGRID = "x-twilio-email-event-webhook"
#: Twilio sends what a message says to a person back as the answer; this says nothing.
_NO_ANSWER = '<?xml version="1.0" encoding="UTF-8"?><Response></Response>'


class Hooks:
    """The addresses that providers call."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    async def sendgrid(self, request: Request) -> Response:
        """SendGrid's event webhook."""
        body = await read_body(request, HOOK)
        signature = request.headers.get(f"{_SENDGRID}-signature", "")
        timestamp = request.headers.get(f"{_SENDGRID}-timestamp", "")
        if not sendgrid_signed(self._desk.keys.sendgrid, body, signature, timestamp):
            raise HTTPException(403)
        arrivals = []
        for event in events_of(body, _MOST):
            raw = own.written(event)
            key = sendgrid.event_id(event) or hashlib.sha256(raw.encode()).hexdigest()
            arrivals.append(Arrival(sendgrid.PROVIDER, key, raw))
        await self._desk.keep(sendgrid.PROVIDER, arrivals)
        return Response(status_code=204)

    async def twilio_status(self, request: Request) -> Response:
        """Twilio's status callback; the token in its path says which message, and is a second proof."""
        fields = await self._twilio(request)
        signed = self._desk.ring.verify(Purpose.STATUS, request.path_params["token"])
        if signed is None:
            raise HTTPException(404)
        kept = {name: fields[name] for name in twilio.STATUS_FIELDS if name in fields}
        key = twilio.status_id(kept)
        if not key:
            raise HTTPException(400)
        raw = json.dumps({**kept, "message_id": signed.message_id}, sort_keys=True)
        await self._desk.keep(twilio.STATUS, [Arrival(twilio.STATUS, key, raw)])
        return Response(status_code=204)

    async def twilio_inbound(self, request: Request) -> Response:
        """A text message that somebody wrote to us; a no is in force when this answers."""
        fields = await self._twilio(request)
        kept = {name: fields[name] for name in twilio.INBOUND_FIELDS if name in fields}
        if not kept.get("MessageSid"):
            raise HTTPException(400)
        raw = json.dumps(kept, sort_keys=True, ensure_ascii=False)
        arrival = Arrival(twilio.INBOUND, kept["MessageSid"][:120], raw)
        await self._desk.keep(twilio.INBOUND, [arrival], at_once=True)
        return Response(_NO_ANSWER, media_type="text/xml")

    async def generic(self, request: Request) -> Response:
        """Events of any other system, in our words."""
        body = await read_body(request, HOOK)
        signature = request.headers.get("campanile-signature", "")
        timestamp = request.headers.get("campanile-timestamp", "")
        if not generic_signed(self._desk.keys.hooks, body, signature, timestamp, now=clock.now()):
            raise HTTPException(403)
        arrivals = [Arrival(own.GENERIC, own.event_id(event), own.written(event)) for event in events_of(body, _MOST)]
        await self._desk.keep(own.GENERIC, arrivals)
        return Response(status_code=204)

    async def _twilio(self, request: Request) -> dict[str, str]:
        """The fields of a request that Twilio signed; the last of two with one name."""
        body = await read_body(request, HOOK)
        fields = form_of(request, body)
        signature = request.headers.get("x-twilio-signature", "")
        if not twilio_signed(self._desk.keys.twilio, self._desk.public_url(request), fields, signature):
            raise HTTPException(403)
        return dict(fields)
