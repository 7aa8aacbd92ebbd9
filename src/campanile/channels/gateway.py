"""A generic SMS gateway: asked as campanile.yaml describes it, its answers read as campanile.yaml says."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode, urlsplit

from campanile.channels.web import Answer, Web
from campanile.channels.web_channel import PAUSES, RefusedUsError, TooManyError, WebChannel, named_moment, secret
from campanile.events import Message, Outcome, Receipt
from campanile.spec.gateway import PLACEHOLDER, Answers, Gateway, Meaning

if TYPE_CHECKING:
    from campanile.spec.channel_settings import ChannelSettings

_E164 = re.compile(r"\+[1-9]\d{6,14}")
_MOST_CHARACTERS = 1_600
#: What of an answer may be kept: codes and ids, never a sentence that may repeat the number.
_WORD = re.compile(r"[A-Za-z0-9._:|-]{1,80}")
_LONG_NUMBER = re.compile(r"\d{7,}")
_DEFAULT_SECONDS = 36_000


class GatewayChannel(WebChannel):
    """Hands SMS to the gateway that the settings describe."""

    name = "gateway"

    def __init__(self, settings: ChannelSettings, *, pauses: tuple[float, ...] = PAUSES) -> None:
        assert settings.gateway is not None
        self._gateway = settings.gateway
        web = Web(_origin(self._gateway.url), connections=settings.connections, timeout=settings.timeout)
        super().__init__(f"the gateway {urlsplit(self._gateway.url).netloc}", web, pauses=pauses)
        self._secrets: dict[str, str] = {}

    async def open(self) -> None:
        """Reads the keys, and connects."""
        self._secrets = {
            name: secret(variable, f"{name} of {self._provider}") for name, variable in self._gateway.secrets.items()
        }
        await super().open()

    async def _ask(self, message: Message) -> Receipt:
        wrong = unfit(message)
        if wrong:
            return Receipt(message.message_id, Outcome.REJECTED, detail=wrong)
        url, headers, body = request(self._gateway, {**values(message), **self._secrets})
        answer = await self._web.request(self._gateway.method, url, headers=headers, body=body)
        return _judged(message, answer, self._gateway.answers)


def values(message: Message) -> dict[str, str]:
    """What a request may say of the message, by placeholder.

    >>> values(Message("m1", "sms", "+8613800138000", text="Hi"))["to_national"]
    '13800138000'
    """
    good_for = _DEFAULT_SECONDS if message.good_for is None else min(int(message.good_for), _DEFAULT_SECONDS)
    return {
        "to": message.to,
        "to_digits": message.to.removeprefix("+"),
        "to_national": _national(message.to),
        "text": message.text,
        "message_id": message.message_id,
        "callback": message.callback,
        "seconds": str(good_for),
    }


def request(gateway: Gateway, known: Mapping[str, str]) -> tuple[str, dict[str, str], bytes | None]:
    """Address, headers and body of one request, every placeholder replaced once: values are never looked into."""

    def fill(text: str) -> str:
        return PLACEHOLDER.sub(lambda match: known[match[1]], text)

    query = urlencode({name: fill(text) for name, text in gateway.query.items()})
    url = f"{gateway.url}?{query}" if query else gateway.url
    headers = {name: fill(text) for name, text in gateway.headers.items()}
    if gateway.form:
        body = urlencode({name: fill(text) for name, text in gateway.form.items()}).encode()
        return url, {"Content-Type": "application/x-www-form-urlencoded; charset=utf-8", **headers}, body
    if gateway.body:
        body = json.dumps(_filled(gateway.body, fill), ensure_ascii=False).encode("utf-8", "replace")
        return url, {"Content-Type": "application/json; charset=utf-8", **headers}, body
    return url, headers, None


def unfit(message: Message) -> str:
    """Why the gateway is not asked to send this message; "" when it may be."""
    if not _E164.fullmatch(message.to) or not _national(message.to):
        return "the number is not written as +, country and number"
    if not message.text.strip():
        return "the text is empty"
    if len(message.text) > _MOST_CHARACTERS:
        return f"the text has more than {_MOST_CHARACTERS} characters"
    return ""


def _national(number: str) -> str:
    """The number as it is written inside its country, digits only; "" when no country has such numbers."""
    from phonenumbers import NumberParseException, parse

    try:
        return str(parse(number).national_number)
    except NumberParseException:
        return ""


def _origin(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"


def _filled(value: Any, fill: Callable[[str], str]) -> Any:
    if isinstance(value, str):
        return fill(value)
    if isinstance(value, dict):
        return {key: _filled(each, fill) for key, each in value.items()}
    if isinstance(value, list):
        return [_filled(each, fill) for each in value]
    return float(value) if isinstance(value, Decimal) else value


def _judged(message: Message, answer: Answer, answers: Answers) -> Receipt:
    """What the answer means; what fits nothing that campanile.yaml says is unknown."""
    said = _read(answer)
    detail = _detail(answer, said, answers)
    if answer.status == 429 or fits(answers.later, answer.status, said):
        raise TooManyError(detail, named_moment(answer))
    if fits(answers.accepted, answer.status, said):
        return Receipt(message.message_id, Outcome.ACCEPTED, provider_id=_id(said, answers), detail=detail)
    if fits(answers.stop, answer.status, said):
        return Receipt(message.message_id, Outcome.REJECTED, detail=detail, suppress="stop")
    if answer.status in (401, 403) or fits(answers.refuses_us, answer.status, said):
        raise RefusedUsError(f"refuses us ({detail})", "check account, key, signature and template there")
    if fits(answers.rejected, answer.status, said):
        return Receipt(message.message_id, Outcome.REJECTED, detail=detail)
    return Receipt(message.message_id, Outcome.UNKNOWN, detail=detail)


def fits(meaning: Meaning | None, status: int, said: object) -> bool:
    """Whether an answer has this meaning.

    >>> fits(Meaning(where={"data.code": [0, "OK"]}), 200, {"data": {"code": 0}})
    True
    >>> fits(Meaning(where={"data.code": 0}), 500, {"data": {"code": 0}})
    False
    """
    if meaning is None or (str(status) not in meaning.status if meaning.status else status // 100 != 2):
        return False
    if meaning.starts and not (isinstance(said, str) and said.startswith(meaning.starts)):
        return False
    return all(_at(said, place) in codes for place, codes in meaning.where.items())


def _read(answer: Answer) -> object:
    text = answer.body.decode("utf-8", "replace").strip()
    try:
        return json.loads(text)
    except ValueError:
        return text


def _at(said: object, place: str) -> str | None:
    """What stands at a place of a JSON answer, as text; lists are entered by number."""
    for key in place.split("."):
        if isinstance(said, list) and key.isdecimal() and int(key) < len(said):
            said = said[int(key)]
        elif isinstance(said, dict) and key in said:
            said = said[key]
        else:
            return None
    return str(said).lower() if isinstance(said, bool) else None if isinstance(said, dict | list) else str(said)


def _id(said: object, answers: Answers) -> str:
    """The gateway's own id of the message; "" when there is none that could be one."""
    found = _at(said, answers.id) if answers.id else None
    if found is None and isinstance(said, str):
        found = next((said[len(start) :] for start in answers.accepted.starts if said.startswith(start)), None)
    word = _WORD.match(found.strip()) if found else None
    return word[0] if word else ""


def _detail(answer: Answer, said: object, answers: Answers) -> str:
    """The status, and what stands where campanile.yaml looks; nothing as long as a telephone number."""
    meanings = (answers.accepted, answers.later, answers.stop, answers.refuses_us, answers.rejected)
    places = dict.fromkeys(place for meaning in meanings if meaning for place in meaning.where)
    words = [word for place in places if (word := _at(said, place)) and _WORD.fullmatch(word)]
    if isinstance(said, str) and any(meaning.starts for meaning in meanings if meaning):
        words += [found[0] for found in [re.match(r"[A-Za-z0-9_.-]{1,20}", said)] if found]
    return " ".join([str(answer.status), *(word for word in words if not _LONG_NUMBER.search(word))])
