"""How servers are named in committed files: addresses of the web, ports, senders, names of environment variables."""

from __future__ import annotations

import re
from email.utils import parseaddr
from typing import Annotated
from urllib.parse import parse_qsl, urlencode, urlsplit

from pydantic import AfterValidator, PlainValidator, WithJsonSchema

from campanile.spec.fields import HeaderLine, Unreadable, number, shown, whole

_URL = re.compile(r"https?://[^\s/?#]+(?:/[^\s?#]*)?")
_UNWANTED = re.compile(r"[\x00-\x20\x7f-\x9f\\<>\"^`{|}\u2028\u2029]")


def base_url(value: str) -> str:
    """The address of a web site without a slash at its end.

    >>> base_url("https://t.example.com/")
    'https://t.example.com'
    """
    if value and not _URL.fullmatch(value):
        raise Unreadable(f"wants an address of the web, got {shown(value)}", "write it as in https://t.example.com")
    return value.rstrip("/")


def destination(value: str) -> str:
    """The address of a page that recipients are led to: http or https, a host, no name or password before it.

    >>> destination("https://shop.example/sale?from=mail")
    'https://shop.example/sale?from=mail'
    """
    if not value:
        return value
    try:
        parts = urlsplit(value)
        sound = parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
    except ValueError:
        sound = False
    if not sound or "@" in parts.netloc or _UNWANTED.search(value):
        cure = "write it as in https://shop.example.com/sale"
        raise Unreadable(f"wants the address of a web page, got {shown(value)}", cure)
    return value


def tagged(address: str, *, medium: str, campaign: str, arm: str) -> str:
    """The address of a page with what analytics read; what it says already stays.

    >>> tagged("https://shop.example/sale?a=1#top", medium="email", campaign="winback", arm="50 off")
    'https://shop.example/sale?a=1&utm_source=campanile&utm_medium=email&utm_campaign=winback&utm_content=50+off#top'
    """
    parts = urlsplit(address)
    said = {name for name, _ in parse_qsl(parts.query, keep_blank_values=True)}
    tags = {"utm_source": "campanile", "utm_medium": medium, "utm_campaign": campaign, "utm_content": arm}
    added = urlencode({name: value for name, value in tags.items() if name not in said})
    return parts._replace(query="&".join(filter(None, (parts.query, added)))).geturl()


def mail_sender(value: str) -> str:
    """A sender as mail shows it: an address, or a name and an address in angle brackets."""
    address = parseaddr(value)[1]
    if value and not re.fullmatch(r"[^@\s]+@[^@\s]+\.[^@\s.]+", address):
        raise Unreadable("wants a sender with a mail address", 'write it as in "Shop <news@example.com>"')
    return value


def variable_name(value: str) -> str:
    """The name of an environment variable; what is not one may be a password, and is not repeated."""
    if value and not re.fullmatch(r"[A-Z_][A-Z0-9_]*", value):
        raise Unreadable("wants the name of an environment variable", "write it as in password_env: SMTP_PASSWORD")
    return value


def _port(value: object) -> int:
    port = whole(value)
    if port > 65535:
        raise Unreadable(f"wants a port up to 65535, got {shown(value)}")
    return port


def _seconds(value: object) -> float:
    seconds = float(value) if isinstance(value, float) else float(number(value))
    if seconds <= 0:
        raise Unreadable("wants a number of seconds above 0", "write timeout: 30")
    return seconds


Port = Annotated[
    int,
    PlainValidator(_port),
    WithJsonSchema({"words": "whole number", "type": "integer", "minimum": 1, "maximum": 65535}),
]
Seconds = Annotated[
    float,
    PlainValidator(_seconds),
    WithJsonSchema({"words": "number of seconds", "type": "number", "exclusiveMinimum": 0}),
]
WebAddress = Annotated[HeaderLine, AfterValidator(base_url)]
Destination = Annotated[HeaderLine, AfterValidator(destination)]
VariableName = Annotated[HeaderLine, AfterValidator(variable_name)]
MailSender = Annotated[HeaderLine, AfterValidator(mail_sender)]
