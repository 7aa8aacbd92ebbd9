"""SendGrid's mail/send as far as its documents tell, with a memory. Enforces what the OpenAPI file does not say.

Rules and where they stand: delivery §1.1 (which names the pages), each in a comment below.
"""

from __future__ import annotations

import json
import re
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass

from support.web_fake import Fake, Reply, Request

KEY = "SG.fake-key-of-a-test"
#: Page mail-send: headers that SendGrid writes itself.
RESERVED = {
    *("x-sg-id", "x-sg-eid", "received", "dkim-signature", "content-type", "content-transfer-encoding"),
    *("to", "from", "subject", "reply-to", "cc", "bcc"),
}


@dataclass
class Mail:
    """One mail that the fake has taken."""

    to: str
    message_id: str
    run: str
    request: dict


class SendgridFake(Fake):
    def __init__(self, key: str = KEY, verified: str = "news@m.example.com") -> None:
        super().__init__()
        self.key = key
        self.verified = verified
        self.refused_field = ""
        self.taken: list[Mail] = []

    def recipients(self) -> list[str]:
        return [mail.to for mail in self.taken]

    def recipient(self, request: Request) -> str:
        try:
            return json.loads(request.body)["personalizations"][0]["to"][0]["email"]
        except (ValueError, LookupError, TypeError):
            return ""

    def log(self, request: Request) -> Reply:
        """The mail log as delivery §1.4 tells of it: a query by recipient and category, then one message by its id."""
        if request.headers.get("authorization") != f"Bearer {self.key}":
            return error(401, "authorization required", None)
        if request.method == "GET":
            number = int(request.path.rpartition("-")[2])
            mail = self.taken[number]
            return Reply.of(200, {"sg_message_id": f"log-{number}", "custom_args": {"cmp_mid": mail.message_id}})
        asked = re.fullmatch(r"to_email = '([^']+)' AND categories IN \('([^']+)'\)", json.loads(request.body)["query"])
        if asked is None:
            return error(400, "bad query", "query")
        found = [
            {"sg_message_id": f"log-{number}", "to_email": mail.to, "status": "delivered"}
            for number, mail in enumerate(self.taken)
            if mail.to == asked[1] and asked[2] in mail.request["categories"]
        ]
        return Reply.of(200, {"messages": found})

    def answer(self, request: Request) -> Reply:
        if request.path.startswith("/v3/logs"):
            return self.log(request)
        if (request.method, request.path) != ("POST", "/v3/mail/send"):
            return error(404, "not found", None)
        if request.headers.get("authorization") != f"Bearer {self.key}":
            # page authentication: 401 without a valid key
            return error(401, "The provided authorization grant is invalid, expired, or revoked", None)
        return self.send(json.loads(request.body))

    def send(self, mail: dict) -> Reply:
        if mail["from"]["email"] != self.verified:
            # page sender-identity: 403 for a From that is not verified
            return error(403, "The from address does not match a verified Sender Identity.", "from")
        wrong = (self.refused_field, "refused") if self.refused_field else broken_rule(mail)
        if wrong:
            return error(400, wrong[1], wrong[0])
        if mail.get("mail_settings", {}).get("sandbox_mode", {}).get("enable"):
            return Reply(200, b"", {})  # page sandbox-mode: 200, no events, no activity
        for each in mail["personalizations"]:
            arguments = each.get("custom_args", {})
            self.taken.append(
                Mail(each["to"][0]["email"], arguments.get("cmp_mid", ""), arguments.get("cmp_run", ""), mail)
            )
        return Reply(202, b"", {"X-Message-Id": uuid.uuid4().hex[:22]})  # page responses: 202 and this header


def error(status: int, message: str, field: str | None) -> Reply:
    return Reply.of(status, {"errors": [{"message": message, "field": field, "help": None}]})


Wrong = tuple[str, str]


def broken_rule(mail: dict) -> Wrong | None:
    """(field, sentence) of the first documented rule that the request breaks and the OpenAPI file does not know."""
    return next(broken_rules(mail), None)


def broken_rules(mail: dict) -> Iterator[Wrong]:
    people = mail.get("personalizations") or []
    if not people:
        # page mail-send: at least one personalization
        yield "personalizations", "The personalizations field is required and must have at least one personalization."
    if not mail.get("template_id") and not mail.get("content"):
        # page mail-send/errors: content is required where there is no template
        yield "content", "Unless a valid template_id is provided, the content parameter is required."
    for number, each in enumerate(people):
        for field, sentence in (*_sizes(each, mail), *_headers(each), *_words(each, mail)):
            yield f"personalizations.{number}.{field}", sentence
    addresses = [to["email"].lower() for each in people for kind in ("to", "cc", "bcc") for to in each.get(kind, ())]
    if len(set(addresses)) < len(addresses):
        # page mail-send/errors: an address may be in one request only once
        yield "personalizations", "Each email address should be unique between to, cc, and bcc."
    if len(addresses) > 1000:
        # page mail-send: 1,000 recipients over to, cc and bcc
        yield "personalizations", "The total number of recipients must be less than 1000."
    if any(not mail.get(field, {}).get("name", "").isascii() for field in ("from", "reply_to")):
        yield "from.name", "The from name may not hold Unicode."  # page limitations: from
    yield from _content(mail)


def _sizes(each: dict, mail: dict) -> Iterator[Wrong]:
    substitutions = each.get("substitutions", {})
    arguments = {**mail.get("custom_args", {}), **each.get("custom_args", {})}
    for field, values in (("substitutions", substitutions), ("custom_args", arguments)):
        # OpenAPI text and page mail-send: 10,000 bytes for each of the two, strings only
        if sum(len(str(key).encode()) + len(str(value).encode()) for key, value in values.items()) > 10_000:
            yield field, f"The {field} are larger than 10000 bytes."
        if any(not isinstance(value, str) for value in values.values()):
            yield field, f"The {field} must be strings."


def _headers(each: dict) -> Iterator[Wrong]:
    for name, value in each.get("headers", {}).items():
        if name.lower() in RESERVED:
            yield f"headers.{name}", "The header is reserved."  # page mail-send: headers that may not be overwritten
        if not str(value).isascii() or any(ord(mark) < 32 for mark in str(value)):
            yield "headers", "The header is not printable ASCII."  # RFC 5322, section 2.2


def _words(each: dict, mail: dict) -> Iterator[Wrong]:
    if any(set(to.get("name", "")) & set(";,") for to in each["to"]):
        yield "to.0.name", "The name may not contain ; or ,."  # page limitations: names
    if not (each.get("subject") or mail.get("subject") or mail.get("template_id")):
        yield "subject", "The subject is required."  # page mail-send/errors: subject
    if each.get("send_at", mail.get("send_at", 0)) > time.time() + 72 * 3600:
        yield "send_at", "Scheduling more than 72 hours in advance is forbidden."  # page mail-send/errors: send_at


def _content(mail: dict) -> Iterator[Wrong]:
    types = [part["type"] for part in mail.get("content", ())]
    if sorted(types, key=["text/plain", "text/html"].index) != types:
        yield "content", "text/plain must come before text/html."  # page mail-send: order of content
    if any(not part["value"] for part in mail.get("content", ())):
        yield "content.0.value", "The content value must be a string at least one character in length."
