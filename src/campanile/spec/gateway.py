"""An SMS gateway as its manual describes it: what to ask, and what its answers mean."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Literal

from pydantic import Field, PlainValidator, WithJsonSchema, model_validator

from campanile.errors import did_you_mean
from campanile.spec.connections import VariableName, WebAddress
from campanile.spec.fields import HeaderLine, Name, Spec, Text, Unreadable, shown

#: What a request may say of a message.
PLACEHOLDERS: Mapping[str, str] = {
    "to": "the number with + and country",
    "to_digits": "the same without +",
    "to_national": "the number as it is written inside its country",
    "text": "the text",
    "message_id": "our id of the message, 32 hex digits",
    "callback": "the address that takes reports of what becomes of it",
    "seconds": "for how long it may wait in a queue",
}
PLACEHOLDER = re.compile(r"\{([^{}]*)\}")
_PATH = re.compile(r"[A-Za-z0-9_-]{1,60}(\.[A-Za-z0-9_-]{1,60}){0,7}")
_TOKEN = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,60}")


def _body(value: object) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise Unreadable(
            f"wants keys and values, got {shown(value)}", 'write it as in {mobile: "{to}", text: "{text}"}'
        )
    return value


def _codes(value: object) -> tuple[str, ...]:
    """The values that a place of an answer may hold, each as text: `0`, `OK`, `[1, 2]`.

    >>> _codes([0, "OK", True])
    ('0', 'OK', 'true')
    """
    values = value if isinstance(value, list | tuple) else [value]
    if not values or any(isinstance(each, dict | list) or each is None for each in values):
        raise Unreadable(f"wants a value or a list of values, got {shown(value)}", "write it as in code: [0, OK]")
    return tuple(str(each).lower() if isinstance(each, bool) else str(each) for each in values)


def _path(value: object) -> str:
    if not isinstance(value, str) or not _PATH.fullmatch(value):
        raise Unreadable(f"wants a place in the answer, got {shown(value)}", "write its keys with dots: data.id")
    return value


Body = Annotated[dict[str, Any], PlainValidator(_body), WithJsonSchema({"words": "keys and values", "type": "object"})]
Codes = Annotated[
    tuple[str, ...],
    PlainValidator(_codes),
    WithJsonSchema({"words": "value, or list of values", "type": ["string", "number", "boolean", "array"]}),
]
Place = Annotated[
    str,
    PlainValidator(_path),
    WithJsonSchema({"words": "place in the answer", "type": "string", "examples": ["data.id"]}),
]


class Meaning(Spec):
    """How an answer of one meaning looks: all of what is written here holds."""

    status: Codes = Field((), description="HTTP status, or several; default: any from 200 to 299.")
    where: Mapping[Place, Codes] = Field(
        default_factory=dict, description="What stands at places of a JSON answer, as in code: [0, OK]."
    )
    starts: Codes = Field((), description="What a text answer starts with, as in `0,`.")

    @model_validator(mode="after")
    def _says_something(self) -> Meaning:
        if not (self.status or self.where or self.starts):
            raise Unreadable("an empty meaning fits every answer", "write status, where or starts")
        return self


class Answers(Spec):
    """What answers of the gateway mean, looked for in this order; what fits nothing is unknown."""

    accepted: Meaning = Field(description="The gateway has the message.")
    later: Meaning | None = Field(None, description="It takes no more for a while; 429 always means that.")
    stop: Meaning | None = Field(None, description="The recipient has refused messages.")
    refuses_us: Meaning | None = Field(
        None,
        description="Our account, key, signature or template is refused: the run stops. 401 and 403 always mean that.",
    )
    rejected: Meaning | None = Field(None, description="This message is refused for good.")
    id: Place | None = Field(
        None, description="Where the gateway's own id stands; of a text answer it is what follows `starts`."
    )


class Gateway(Spec):
    """A gateway that is asked over the web, one request for each message."""

    url: WebAddress = Field(description="The address to ask; https, or this machine.")
    method: Literal["POST", "GET", "PUT"] = Field("POST", description="How it is asked.")
    secrets: Mapping[Name, VariableName] = Field(
        default_factory=dict,
        description="Placeholders for keys, each with the environment variable that holds its value.",
    )
    headers: Mapping[Text, HeaderLine] = Field(default_factory=dict, description="Headers of the request.")
    query: Mapping[Text, Text] = Field(default_factory=dict, description="What is asked in the address itself.")
    form: Mapping[Text, Text] = Field(default_factory=dict, description="The body as a form.")
    body: Body = Field(default_factory=dict, alias="json", description="The body as JSON.")
    answers: Answers = Field(description="What answers mean.")

    @model_validator(mode="after")
    def _can_be_asked(self) -> Gateway:
        if self.form and self.body:
            raise Unreadable("a request has one body", "write form or json, not both")
        if self.method == "GET" and (self.form or self.body):
            raise Unreadable("GET has no body", "write query, or method: POST")
        known = (*PLACEHOLDERS, *self.secrets)
        for name in placeholders({**self.headers, "": [self.query, self.form, self.body]}):
            if name not in known:
                raise Unreadable(f"no placeholder {{{name}}}", did_you_mean(name, known))
        said = set(placeholders([self.query, self.form, self.body]))
        if "text" not in said or not said & {"to", "to_digits", "to_national"}:
            raise Unreadable("the request says not whom or what to write", "use {to} and {text}")
        for name, value in self.headers.items():
            if not _TOKEN.fullmatch(name) or {*placeholders(value)} - {*self.secrets, "message_id"}:
                raise Unreadable(f"header {shown(name)} cannot be sent", "headers hold keys and {message_id} only")
        return self


def placeholders(value: object) -> Iterator[str]:
    """The placeholders in a value and everything in it.

    >>> sorted(placeholders({"a": "{to}", "b": [{"c": "{x}, {y}"}]}))
    ['to', 'x', 'y']
    """
    if isinstance(value, str):
        yield from PLACEHOLDER.findall(value)
    elif isinstance(value, Mapping):
        for each in value.values():
            yield from placeholders(each)
    elif isinstance(value, list | tuple):
        for each in value:
            yield from placeholders(each)
