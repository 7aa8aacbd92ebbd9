"""Twilio's Messages as far as its documents tell, with a memory. Enforces what the OpenAPI file does not say.

Error codes: twilio.com/docs/api/errors/CODE; the others: delivery §2.1 and §2.2.
"""

from __future__ import annotations

import base64
import re
import uuid
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import format_datetime
from urllib.parse import parse_qs, urlsplit

from support.web_fake import Fake, Reply, Request

ACCOUNT, KEY, SECRET = "AC" + "0" * 32, "SK" + "1" * 32, "a-secret-of-a-test"
SERVICE, NUMBER = "MG" + "2" * 32, "+15550001111"
#: (HTTP status, sentence) of the codes that a recipient may be given in `faults`.
ERRORS = {
    21610: (400, "Attempt to send to unsubscribed recipient"),
    21211: (400, "The 'To' number {to} is not a valid phone number."),
    21614: (400, "'To' number {to} is not a valid mobile number"),
    21408: (400, "Permission to send an SMS has not been enabled for the region indicated by the 'To' number: {to}"),
    21606: (400, "The From phone number is not a valid, SMS-capable inbound phone number."),
    21611: (429, "This 'From' number has exceeded the maximum number of queued messages"),
    20429: (429, "Too Many Requests"),
    20003: (401, "Authenticate"),
    20404: (404, "The requested resource was not found"),
    30034: (400, "US A2P 10DLC - Message from an Unregistered Number"),
    21619: (400, "A text message body or media urls must be specified."),
    20500: (500, "An internal error has occurred"),
}


@dataclass
class Sms:
    """One message that the fake has taken."""

    sid: str
    to: str
    body: str
    callback: str
    validity: int
    form: dict[str, str]
    values: dict[str, object]


class TwilioFake(Fake):
    def __init__(self) -> None:
        super().__init__()
        self.secret = SECRET
        self.price: str | None = None
        self.taken: list[Sms] = []

    def recipients(self) -> list[str]:
        return [sms.to for sms in self.taken]

    def recipient(self, request: Request) -> str:
        return form_of(request).get("To", "")

    def answer(self, request: Request) -> Reply:
        if request.path != f"/2010-04-01/Accounts/{ACCOUNT}/Messages.json":
            return error(20404, "")
        expected = "Basic " + base64.b64encode(f"{KEY}:{self.secret}".encode()).decode()
        if request.headers.get("authorization") != expected:
            return error(20003, "")
        if request.method == "GET":
            return self.list(parse_qs(request.query)["To"][0])
        form = form_of(request)
        code = self.broken_rule(form)
        return error(code, form.get("To", "")) if code else self.take(form)

    def broken_rule(self, form: dict[str, str]) -> int:
        """The code of the first documented rule that the request breaks; 0 when it breaks none."""
        asked_for = int(self.word) if self.word.isdecimal() else 0
        callback = urlsplit(form.get("StatusCallback", "https://x.example")).hostname or "_"
        broken = (
            (asked_for, asked_for in ERRORS),
            (21211, not re.fullmatch(r"\+[1-9]\d{6,14}", form.get("To", ""))),  # errors/21211: To is a valid number
            (21619, not form.get("Body")),  # errors/21619: a body is required
            (21617, len(form.get("Body", "")) > 1600),  # errors/21617: the body has more than 1600 characters
            # errors/21603: From or a messaging service is required; errors/21606: From must be ours
            (21603, not form.get("From") and not form.get("MessagingServiceSid")),
            (21606, form.get("From", NUMBER) != NUMBER or form.get("MessagingServiceSid", SERVICE) != SERVICE),
            (20001, not 1 <= int(form.get("ValidityPeriod", 1)) <= 36_000),  # Messages: validity_period is 1 to 36000
            (21609, "_" in callback),  # errors/21609, Messages: StatusCallback has a hostname without underscores
        )
        return next((code for code, holds in broken if holds), 0)

    def list(self, to: str) -> Reply:
        """One page of the messages to a number, newest first, as Twilio lists them."""
        kept = [sms.values for sms in reversed(self.taken) if sms.to == to]
        uri = f"/2010-04-01/Accounts/{ACCOUNT}/Messages.json"
        page = {"page": 0, "page_size": 50, "start": 0, "end": len(kept), "uri": uri, "first_page_uri": uri}
        return Reply.of(200, {**page, "next_page_uri": None, "previous_page_uri": None, "messages": kept})

    def take(self, form: dict[str, str]) -> Reply:
        sid, now = f"SM{uuid.uuid4().hex}", format_datetime(datetime.now(UTC))
        validity = int(form.get("ValidityPeriod", 36_000))
        service = form.get("MessagingServiceSid")
        uri = f"/2010-04-01/Accounts/{ACCOUNT}/Messages/{sid}"
        values = {
            "sid": sid, "account_sid": ACCOUNT, "to": form["To"], "body": form["Body"], "api_version": "2010-04-01",
            "from": form.get("From"), "messaging_service_sid": service, "direction": "outbound-api", "num_media": "0",
            # Messages: with a messaging service no sender is chosen yet, so nothing is counted and it is `accepted`.
            "num_segments": "0" if service else "1", "status": "accepted" if service else "queued",
            "price": self.price, "price_unit": "USD", "error_code": None, "error_message": None,
            "date_created": now, "date_updated": now, "date_sent": None,
            "uri": f"{uri}.json", "subresource_uris": {"media": f"{uri}/Media.json"},
        }  # fmt: skip
        self.taken.append(Sms(sid, form["To"], form["Body"], form.get("StatusCallback", ""), validity, form, values))
        return Reply.of(201, values)


def form_of(request: Request) -> dict[str, str]:
    return {name: values[0] for name, values in parse_qs(request.body.decode(), keep_blank_values=True).items()}


def error(code: int, to: str) -> Reply:
    status, sentence = ERRORS.get(code, (400, "Invalid parameter"))
    more = f"https://www.twilio.com/docs/errors/{code}"
    return Reply.of(status, {"code": code, "message": sentence.format(to=to), "more_info": more, "status": status})
