"""Twilio: SMS through a messaging service or a number; the twilio package builds, signs and raises.

Accepted means queued. There is no idempotency key, so an answer that was lost, and every 5xx, is `unknown`; 429 and a
full queue are certainly not sent. The SID of a message that is unknown comes with its first status callback, whose
address holds our own token.
"""

from __future__ import annotations

import json
import logging
import re
from base64 import b64encode
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal, InvalidOperation
from functools import partial
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from twilio.base.exceptions import TwilioException, TwilioRestException, TwilioServiceException
from twilio.http import AsyncHttpClient
from twilio.http.response import Response
from twilio.rest import Client

from campanile import clock
from campanile.channels.web import Answer, LostError, NotReachedError, Web
from campanile.channels.web_channel import PAUSES, RefusedUsError, TooManyError, WebChannel, named_moment, secret
from campanile.events import Message, Outcome, Receipt

if TYPE_CHECKING:
    from campanile.spec.channel_settings import ChannelSettings

HOST = "https://api.twilio.com"
#: Callbacks are repeated five times, whatever goes wrong: by default only a failed connection is.
_OVERRIDES = "#rc=5&rp=all"
_E164 = re.compile(r"\+[1-9]\d{6,14}")
#: Characters of a body, and seconds that a message may wait, as Twilio takes them.
_MOST_CHARACTERS, _MOST_VALID = 1_600, 36_000
#: A full queue holds ten hours of traffic: asking again at once is of no use.
_QUEUE_PAUSE = timedelta(minutes=10)
#: Messages to one number that are looked at, and by how much clocks may differ.
_MOST_LISTED = 50
_CLOCKS_DIFFER = timedelta(minutes=5)

#: Error codes (delivery §2.2): what a code says of the recipient, and what it says of us.
_OF_THE_RECIPIENT: Mapping[int, str] = {
    21610: "stop", 21211: "invalid", 21614: "invalid", 30005: "invalid", 30006: "invalid",
}  # fmt: skip
_OF_US: Mapping[int, tuple[str, str]] = {
    20003: ("refuses the key", "check account SID, key and secret: one may have been revoked"),
    20404: ("does not know the account", "check the account SID"),
    21212: ("refuses the sender", "check number"),
    21408: (
        "may not send to the country of a recipient",
        "allow the country in Twilio's geographic permissions",
    ),
    21606: ("refuses the sender", "check number: it must be yours, and able to send SMS"),
    21703: ("has no sender in the messaging service", "add one in Twilio's console"),
    21705: ("does not know the messaging service", "check messaging_service"),
    30034: ("refuses a sender that is not registered", "register it for A2P 10DLC"),
}
_QUEUE_FULL = (21611, 63017)


class LastingHttp(AsyncHttpClient):  # type: ignore[misc]
    """The twilio package's way to ask, over lasting connections, to any host. It logs nothing and waits for nothing."""

    def __init__(self, web: Web) -> None:
        super().__init__(logging.getLogger("twilio.http_client"), is_async=True)
        self.web = web

    async def request(  # noqa: PLR0913, PLR0917 - the package's interface
        self,
        method: str,
        uri: str,
        params: Mapping[str, object] | None = None,
        data: Mapping[str, object] | None = None,
        headers: Mapping[str, str] | None = None,
        auth: tuple[str, str] | None = None,
        timeout: float | None = None,  # noqa: ASYNC109, ARG002 - the package's interface
        allow_redirects: bool = False,  # noqa: FBT001, FBT002, ARG002
    ) -> Response:
        """The answer, whatever its status but 429.

        Raises:
            TooManyError: For 429, whose headers the package's own error does not hold.
        """
        url = self.web.base_url + uri.removeprefix(HOST)
        if params:
            url += "?" + urlencode(params, doseq=True)
        body = urlencode(data, doseq=True).encode() if data else None
        signed = {**(headers or {}), **({"Authorization": _basic(*auth)} if auth else {})}
        answer = await self.web.request(method, url, headers=signed, body=body)
        if answer.status == 429:
            raise _too_many(answer)
        return Response(answer.status, answer.body.decode("utf-8", "replace"), answer.headers)


class TwilioChannel(WebChannel):
    """Hands SMS to Twilio."""

    name = "twilio"

    def __init__(self, settings: ChannelSettings, *, pauses: tuple[float, ...] = PAUSES) -> None:
        web = Web(settings.host or HOST, connections=settings.connections, timeout=settings.timeout)
        super().__init__("Twilio", web, pauses=pauses)
        self._settings = settings
        self._client: Client | None = None

    async def open(self) -> None:
        """Reads the keys, and connects."""
        settings = self._settings
        self._client = Client(
            secret(settings.api_key_env, "the key of Twilio"),
            secret(settings.api_secret_env, "the secret of Twilio's key"),
            secret(settings.account_sid_env, "the account SID of Twilio"),
            http_client=LastingHttp(self._web),
        )
        await super().open()

    async def find(self, message: Message, *, since: datetime) -> Receipt | None:
        """Accepted when Twilio lists a message with this text to this number since then; None when it does not say."""
        return await self._asked(partial(self._look, message, since))

    async def _look(self, message: Message, since: datetime) -> Receipt | None:
        assert self._client is not None
        try:
            # By number only: date_sent, the one moment that can be asked for, is empty while a message waits.
            listed = await self._client.messages.list_async(to=message.to, limit=_MOST_LISTED, page_size=_MOST_LISTED)
        except TwilioException as error:
            # A page that cannot be had is the package's plain exception, with the answer as its second argument.
            status = getattr(error.args[-1] if error.args else None, "status_code", 0)
            if status in (401, 403):
                raise RefusedUsError(f"refuses the key ({status})", _OF_US[20003][1]) from None
            raise LostError(f"its list answers {status}") from None
        except (ValueError, AttributeError, TypeError, LookupError):
            raise LostError("its list answers in a way that Twilio does not") from None
        fitting = [each for each in listed if each.body == message.text and _since(each.date_created, since)]
        if not fitting:
            return None
        first = min(fitting, key=lambda each: each.date_created)
        return Receipt(message.message_id, Outcome.ACCEPTED, first.sid, f"in its list as {first.status}")

    async def _ask(self, message: Message) -> Receipt:
        assert self._client is not None
        wrong = unfit(message)
        if wrong:
            return Receipt(message.message_id, Outcome.REJECTED, detail=wrong)
        try:
            created = await self._client.messages.create_async(**request(message, self._settings))
        except (TwilioException, TooManyError, NotReachedError, LostError) as error:
            return _judged(message, error)
        except (ValueError, AttributeError, TypeError, LookupError):  # no JSON, or not that of a message
            raise LostError("answered in a way that Twilio does not") from None
        if not created.sid:
            raise LostError("answered without a SID")
        price = _price(created.price)
        return Receipt(
            message.message_id,
            Outcome.ACCEPTED,
            provider_id=created.sid,
            detail=str(created.status or ""),
            parts=int(created.num_segments) if str(created.num_segments).isdecimal() else 0,
            price=price,
            currency=str(created.price_unit or "") if price is not None else "",
        )


def request(message: Message, settings: ChannelSettings) -> dict[str, Any]:
    """What Twilio is asked for one message (delivery §2.1). It stays in the queue no longer than it may reach anybody.

    >>> message = Message("m1", "sms", "+8613800138000", text="Hi", callback="https://t.example.com/t", good_for=90.5)
    >>> from campanile.spec.channel_settings import ChannelSettings
    >>> names = {f"{name}_env": "X" for name in ("account_sid", "api_key", "api_secret")}
    >>> asked = request(message, ChannelSettings(via="twilio", number="Shop", **names))
    >>> asked["validity_period"], asked["status_callback"]
    (90, 'https://t.example.com/t#rc=5&rp=all')
    """
    asked: dict[str, Any] = {"to": message.to, "body": message.text}
    if settings.messaging_service:
        asked["messaging_service_sid"] = settings.messaging_service
    else:
        asked["from_"] = settings.number
    if message.callback:
        asked["status_callback"] = message.callback + _OVERRIDES
    if message.good_for is not None:
        asked["validity_period"] = min(int(message.good_for), _MOST_VALID)
    return asked


def unfit(message: Message) -> str:
    """Why Twilio is not asked to send this message; "" when it may be."""
    if not _E164.fullmatch(message.to):
        return "the number is not written as +, country and number"
    if not message.text.strip():
        return "the text is empty"
    if len(message.text) > _MOST_CHARACTERS:
        return f"the text has more than {_MOST_CHARACTERS} characters"
    return ""


def _judged(message: Message, error: Exception) -> Receipt:
    """What an error of the package means (delivery §2.2 and §2.7); other errors pass."""
    if not isinstance(error, TwilioRestException | TwilioServiceException):
        raise error
    status, code = error.status, error.code or 0
    detail = str(status) if code in (0, status) else f"{status} {code}"
    if code in _OF_THE_RECIPIENT:
        return Receipt(message.message_id, Outcome.REJECTED, detail=detail, suppress=_OF_THE_RECIPIENT[code])
    if code in _OF_US or status in (401, 403, 404):
        what, cure = _OF_US.get(code, _OF_US[20003])
        raise RefusedUsError(f"{what} ({detail})", cure)
    if status in (408, 425):
        return Receipt(message.message_id, Outcome.NOT_SENT, detail=detail)
    # Without a code of Twilio's, something between us and Twilio answered: who knows what was asked.
    known = status // 100 == 4 and code not in (0, status)
    return Receipt(message.message_id, Outcome.REJECTED if known else Outcome.UNKNOWN, detail=detail)


def _since(created: object, since: datetime) -> bool:
    """Whether a message was made since then, as far as two clocks agree."""
    if not isinstance(created, datetime):
        return False
    moment = created if created.tzinfo else created.replace(tzinfo=UTC)
    return moment >= since - _CLOCKS_DIFFER


def _too_many(answer: Answer) -> TooManyError:
    """What a 429 means: too fast, or a queue that is full for long."""
    try:
        code = int(json.loads(answer.body)["code"])
    except (ValueError, LookupError, TypeError):
        code = 0
    until = named_moment(answer) or (clock.now() + _QUEUE_PAUSE if code in _QUEUE_FULL else None)
    return TooManyError(f"429 {code}" if code else "429", until)


def _price(text: object) -> Decimal | None:
    """The amount of a price as Twilio writes it: negative, because it leaves the account.

    >>> _price("-0.00750"), _price(None)
    (Decimal('0.00750'), None)
    """
    try:
        return abs(Decimal(str(text)))
    except InvalidOperation:
        return None


def _basic(name: str, password: str) -> str:
    return "Basic " + b64encode(f"{name}:{password}".encode()).decode()
