"""SendGrid: one request per recipient, written by us; the sendgrid package addresses, signs and raises.

202 means accepted, never delivered: SendGrid finds some errors later and reports them as `dropped`. There is no
idempotency key, so an answer that was lost, and every 5xx, is `unknown`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from datetime import datetime
from email.header import Header
from email.utils import parseaddr
from functools import partial
from typing import TYPE_CHECKING, Any

import python_http_client
from python_http_client.exceptions import HTTPError, err_dict
from sendgrid import SendGridAPIClient

from campanile.channels.web import Answer, LostError, Web
from campanile.channels.web_channel import (
    PAUSES,
    RefusedUsError,
    TooManyError,
    WebChannel,
    named_moment,
    secret,
)
from campanile.events import Message, Outcome, Receipt

if TYPE_CHECKING:
    from campanile.spec.channel_settings import ChannelSettings

HOSTS = {"global": "https://api.sendgrid.com", "eu": "https://api.eu.sendgrid.com"}
#: Headers that SendGrid takes from us. It refuses those it writes itself, and knows no guard against line breaks.
_PASSED_ON = ("List-Unsubscribe", "List-Unsubscribe-Post", "Feedback-ID")
_UNPRINTABLE = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
_FIELD = re.compile(r"[A-Za-z_]{1,40}(?:\.[A-Za-z0-9_]{1,40}){0,8}")
#: Characters of a subject, and of a header with its name (RFC 5322: 998 a line).
_MOST_SUBJECT, _MOST_HEADER = 250, 990
#: Rows of the log that are looked at for one recipient of one run.
_MOST_LISTED = 50
#: Answers that say nothing of the message: it was not read, and may come again.
_NOT_READ = (408, 425)


class LastingClient(python_http_client.Client):  # type: ignore[misc]
    """The sendgrid package's way to ask, `await client.mail.send.post(…)`, over lasting connections.

    The package's own opens a connection for every message, logs the key at DEBUG and waits for ever.
    """

    def __init__(self, web: Web, headers: Mapping[str, str], path: list[str] | None = None) -> None:
        super().__init__(web.base_url, request_headers=dict(headers), version=3, url_path=path)
        self.web = web

    def _build_client(self, name: str | None = None) -> LastingClient:
        return LastingClient(self.web, self.request_headers, self._url_path + ([name] if name else []))

    async def get(self) -> Answer:
        """The answer when it is a 2xx; the package's own HTTPError otherwise."""
        return self._checked(await self.web.request("GET", self._build_url(None), headers=self.request_headers))

    async def post(self, request_body: Mapping[str, Any]) -> Answer:
        """The answer when it is a 2xx; the package's own HTTPError otherwise."""
        headers = {**self.request_headers, "Content-Type": "application/json"}
        body = json.dumps(request_body, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace")
        return self._checked(await self.web.request("POST", self._build_url(None), headers=headers, body=body))

    @staticmethod
    def _checked(answer: Answer) -> Answer:
        if answer.status // 100 != 2:
            raise err_dict.get(answer.status, HTTPError)(answer.status, "", answer.body, answer.headers)
        return answer


class SendgridChannel(WebChannel):
    """Hands mails to SendGrid. `run` names the run in SendGrid's own statistics, and is how its log is searched."""

    name = "sendgrid"

    def __init__(self, settings: ChannelSettings, run: str, *, pauses: tuple[float, ...] = PAUSES) -> None:
        web = Web(settings.host or HOSTS[settings.region], connections=settings.connections, timeout=settings.timeout)
        super().__init__("SendGrid", web, pauses=pauses)
        self._settings = settings
        self._run = run
        self._shared = _shared(settings, run)
        self._send: LastingClient | None = None
        self._logs: LastingClient | None = None

    async def open(self) -> None:
        """Reads the key, and connects."""
        key = secret(self._settings.api_key_env, "the key of SendGrid")
        api = SendGridAPIClient(key, host=self._web.base_url)
        api.client = LastingClient(self._web, api.client.request_headers)
        self._send, self._logs = api.client.mail.send, api.client.logs
        await super().open()

    async def find(self, message: Message, *, since: datetime) -> Receipt | None:  # noqa: ARG002 - the run says when
        """Accepted when SendGrid's mail log (30 days) has the message; None when it does not say: it may come late."""
        return await self._asked(partial(self._look, message))

    async def _look(self, message: Message) -> Receipt | None:
        assert self._logs is not None
        if "'" in message.to or "\\" in message.to:
            return None  # nobody says how a quote is written in a query
        query = f"to_email = '{message.to}' AND categories IN ('run:{self._run}')"
        try:
            listed = json.loads((await self._logs.post({"query": query, "limit": _MOST_LISTED})).body)
            for each in listed.get("messages", ()):
                found = json.loads((await self._logs._(each["sg_message_id"]).get()).body)
                if _own_id(found) == message.message_id:
                    detail = f"in its log as {_word(each.get('status'))}"
                    return Receipt(message.message_id, Outcome.ACCEPTED, each["sg_message_id"], detail)
        except HTTPError as error:
            answer = Answer(error.status_code, error.headers, error.body)
            if answer.status in (401, 403, 429):
                _judged(message, answer, self._settings.api_key_env)
            raise LostError(f"its log answers {answer.status}") from None
        except (ValueError, LookupError, TypeError, AttributeError):
            raise LostError("its log answers in a way that SendGrid does not") from None
        return None

    async def _ask(self, message: Message) -> Receipt:
        assert self._send is not None
        wrong = unfit(message)
        if wrong:
            return Receipt(message.message_id, Outcome.REJECTED, detail=wrong)
        try:
            answer = await self._send.post(payload(message, self._run, self._shared))
        except HTTPError as error:
            answer = Answer(error.status_code, error.headers, error.body)
            return _judged(message, answer, self._settings.api_key_env)
        if answer.status == (200 if self._settings.sandbox else 202):
            provider_id = answer.headers.get("x-message-id", "")
            return Receipt(message.message_id, Outcome.ACCEPTED, provider_id=provider_id, detail=str(answer.status))
        # A page of something between us and SendGrid, or SendGrid in a mode that delivers nothing.
        raise LostError(f"answered {answer.status}, which SendGrid does not say to a mail")


def _own_id(found: object) -> str:
    """Our id among the custom arguments of a message of the log; "" when there is none."""
    arguments = found.get("custom_args") if isinstance(found, dict) else None
    arguments = json.loads(arguments) if isinstance(arguments, str) else arguments
    return str(arguments.get("cmp_mid", "")) if isinstance(arguments, dict) else ""


def _word(value: object) -> str:
    return value if isinstance(value, str) and _FIELD.fullmatch(value) else "taken"


def payload(message: Message, run: str, shared: Mapping[str, Any]) -> dict[str, Any]:
    """The request for one mail (delivery §1.3). Custom arguments stand with the recipient and hold no contact data."""
    headers = {name: message.headers[name] for name in _PASSED_ON if name in message.headers}
    recipient = {
        "to": [{"email": message.to}],
        "custom_args": {"cmp_mid": message.message_id, "cmp_run": run},
        **({"headers": headers} if headers else {}),
    }
    content = [{"type": "text/plain", "value": message.text}, {"type": "text/html", "value": message.html}]
    return {
        **shared,
        "personalizations": [recipient],
        "subject": message.subject,
        "content": [part for part in content if part["value"]],
    }


def unfit(message: Message) -> str:
    r"""Why this mail must not be written into a request; "" when it may. JSON guards nothing against line breaks.

    >>> unfit(Message("m1", "email", "li@mail.example", "Hi\nBcc: x@y.example", "Hello"))
    'the subject holds a line break or a control character'
    """
    values = {"address": message.to, "subject": message.subject, **message.headers}
    for name, value in values.items():
        if _UNPRINTABLE.search(value):
            return f"the {name} holds a line break or a control character"
        if len(name) + len(value) > _MOST_HEADER:
            return f"the {name} is longer than a header may be"
    if not message.subject.strip():
        return "the subject is empty"
    if len(message.subject) > _MOST_SUBJECT:
        return f"the subject has more than {_MOST_SUBJECT} characters"
    if not message.text.strip() and not message.html.strip():
        return "the mail is empty"
    return ""


def _shared(settings: ChannelSettings, run: str) -> dict[str, Any]:
    """What is the same for all mails of a run."""
    shared: dict[str, Any] = {"from": _mailbox(settings.sender), "categories": [f"run:{run}"]}
    if settings.reply_to:
        shared["reply_to"] = _mailbox(settings.reply_to)
    if settings.unsubscribe_group:
        shared["asm"] = {"group_id": settings.unsubscribe_group}
    # Links are ours, and so are the headers that unsubscribe: two authorities would each know half.
    shared["tracking_settings"] = {
        "click_tracking": {"enable": False},
        "open_tracking": {"enable": False},
        "subscription_tracking": {"enable": False},
    }
    shared["mail_settings"] = {"sandbox_mode": {"enable": settings.sandbox}}
    return shared


def _mailbox(text: str) -> dict[str, str]:
    """A sender as SendGrid takes it: it wants no Unicode there, so such a name is written as encoded words (RFC 2047).

    >>> _mailbox("优选 <news@m.example.com>")
    {'email': 'news@m.example.com', 'name': '=?utf-8?b?5LyY6YCJ?='}
    """
    name, address = parseaddr(text)
    shown = name if name.isascii() else Header(name, "utf-8").encode().replace("\n", "")
    return {"email": address, "name": shown} if shown else {"email": address}


def _judged(message: Message, answer: Answer, key: str) -> Receipt:
    """What an answer other than 2xx means (delivery §2.7)."""
    status, field = answer.status, _named_field(answer)
    detail = f"{status} {field}".strip()
    if status == 429:
        raise TooManyError("429", named_moment(answer))
    if status == 401:
        raise RefusedUsError("refuses the key (401)", f"check the key in {key}: it may have been revoked")
    if status == 403:
        raise RefusedUsError(
            "forbids us to send (403)", f"check the rights of the key in {key}, and that the sender is verified"
        )
    if status in (404, 405) or field.partition(".")[0] in ("from", "reply_to", "asm", "categories"):
        raise RefusedUsError(f"refuses our settings ({detail})", "check host, sender, reply_to and unsubscribe_group")
    if status in _NOT_READ:
        return Receipt(message.message_id, Outcome.NOT_SENT, detail=detail)
    if status // 100 == 4 and not answer.is_html:
        return Receipt(message.message_id, Outcome.REJECTED, detail=detail)
    # 5xx: SendGrid may have it all the same. A redirect or a page for people: who knows what was asked.
    return Receipt(message.message_id, Outcome.UNKNOWN, detail=f"{detail}, a page" if answer.is_html else detail)


def _named_field(answer: Answer) -> str:
    """The part of the request that the answer complains of; its sentence may repeat the address, so it is left out."""
    try:
        field = json.loads(answer.body)["errors"][0]["field"]
    except (ValueError, LookupError, TypeError):
        return ""
    return field if isinstance(field, str) and _FIELD.fullmatch(field) else ""
