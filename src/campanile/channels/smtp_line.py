"""One connection to a mail server, by phases: connect, envelope, text."""

from __future__ import annotations

import asyncio
import re
import socket
import ssl
from contextlib import suppress
from dataclasses import dataclass
from email.utils import parseaddr
from typing import TYPE_CHECKING

import aiosmtplib
from aiosmtplib.response import SMTPResponse

from campanile.events import Message, Outcome, Receipt

if TYPE_CHECKING:
    from campanile.spec.channel_settings import ChannelSettings

_ENHANCED = re.compile(r"[245]\.\d{1,3}\.\d{1,3}\b")
_QUEUED_AS = re.compile(r"\bqueued as ([A-Za-z0-9-]{4,64})\b", re.IGNORECASE)
_LINE_END = re.compile(rb"\r\n|\n|\r")
#: Visible ASCII without angle brackets around one @: nothing that could end the command or begin another.
_MAILBOX = re.compile(r"[!-;=?A-~]+@[!-;=?A-~]+")
_SERVICE_CLOSING = 421
_START_INPUT = 354
_REFUSALS = {4: Outcome.NOT_SENT, 5: Outcome.REJECTED}
#: Answers to RCPT that speak of our account, not of the recipient.
_ABOUT_US = (530, 535, 538)
#: What aiosmtplib raises when the connection is gone, silent or out of step.
_LOST = (aiosmtplib.SMTPServerDisconnected, aiosmtplib.SMTPTimeoutError, aiosmtplib.SMTPResponseException, OSError)
#: The first kind that fits: what the server does, the cure, and whether waiting may help (a 5xx answer never does).
_TROUBLES: tuple[tuple[type[Exception], str, str, bool], ...] = (
    (ssl.SSLError, "cannot agree on TLS with us", "check host, port and security, or its certificate", False),
    (socket.gaierror, "is not known to the name service", "check host", False),
    (
        aiosmtplib.SMTPAuthenticationError,
        "refuses the login of {username} ({code})",
        "check username and the password in {password_env}",
        True,
    ),
    (aiosmtplib.SMTPResponseException, "does not let us in ({code})", "ask whoever runs it", True),
    (TimeoutError, "does not answer within {seconds} s", "check host and port, and the firewall", True),
    (aiosmtplib.SMTPServerDisconnected, "ends the connection at once", "check port and security", True),
    (ConnectionRefusedError, "refuses connections", "check host and port, and whether it runs", True),
    (OSError, "cannot be reached", "check host and port, and whether it runs", True),
    (aiosmtplib.SMTPException, "offers no STARTTLS or no login", "check security, port and username", False),
)


class ConnectionLostError(Exception):
    """The connection ended before the text of a message began."""


class RefusedUsError(Exception):
    """The server refuses us, whoever the recipient is."""

    def __init__(self, what: str, answer: SMTPResponse, cure: str) -> None:
        self.what = what
        self.answer = _shown(answer)
        self.cure = cure
        self.passing = answer.code // 100 == 4
        super().__init__(self.answer)


@dataclass(frozen=True)
class Trouble:
    """Why no connection came about: a sentence without its subject, the cure, and whether waiting may help."""

    what: str
    cure: str
    passing: bool = True


class SmtpLine:
    """One connection. Carries one message at a time."""

    def __init__(self, settings: ChannelSettings, password: str, hostname: str, tls: ssl.SSLContext | None) -> None:
        self._settings = settings
        self._tls = tls
        self._password = password
        self._hostname = hostname
        self._sender = parseaddr(settings.sender)[1]
        self._bounces = parseaddr(settings.bounces)[1]
        self._smtp: aiosmtplib.SMTP | None = None
        self._mid_envelope = False

    @property
    def connected(self) -> bool:
        """Whether the connection stands, as far as anybody knows."""
        return self._smtp is not None and self._smtp.is_connected

    async def connect(self) -> None:
        """Connects, protects the connection and logs in, as the settings say."""
        settings = self._settings
        self._mid_envelope = False
        self._smtp = aiosmtplib.SMTP(
            hostname=settings.host,
            port=settings.port,
            local_hostname=self._hostname,
            timeout=settings.timeout,
            use_tls=settings.security == "tls",
            start_tls=settings.security == "starttls",
            tls_context=self._tls,
            username=settings.username or None,
            password=self._password or None,
        )
        await self._smtp.connect()
        await self._smtp.ehlo()

    def drop(self) -> None:
        """Ends the connection without a word."""
        if self._smtp is not None:
            self._smtp.close()
            self._smtp = None

    async def close(self) -> None:
        """Ends the connection politely."""
        if self._smtp is not None and self._smtp.is_connected:
            with suppress(*_LOST):
                await self._smtp.quit(timeout=2)
        self.drop()

    async def envelope(self, message: Message) -> Receipt | None:
        """None once the server waits for the text; otherwise its refusal of this message.

        Raises:
            ConnectionLostError: Nothing was handed over.
            RefusedUsError: Nothing was handed over, and nothing will be.
        """
        if not _MAILBOX.fullmatch(message.to):
            return Receipt(message.message_id, Outcome.REJECTED, detail="the address is not one that SMTP can carry")
        if self._mid_envelope:
            await self._say(b"RSET")
        self._mid_envelope = True
        answer = await self._say(
            b"MAIL", b"FROM:<" + self._return_path(message).encode() + b">", *self._extras(message)
        )
        if answer.code // 100 != 2:
            raise RefusedUsError("the sender", answer, "check sender, username and security")
        answer = await self._say(b"RCPT", b"TO:<" + message.to.encode() + b">")
        if answer.code in _ABOUT_US:
            raise RefusedUsError("mail without a login", answer, "set username and password_env")
        if answer.code // 100 == 2:
            answer = await self._say(b"DATA")
        if answer.code == _START_INPUT:
            return None
        if answer.code // 100 in _REFUSALS:
            return _refusal(message, answer)
        raise ConnectionLostError

    async def text(self, message: Message) -> Receipt:
        """The server's answer to the text. Whatever goes wrong from here on, the message may have been taken."""
        payload = stuffed(message.mime)
        protocol = self._smtp.protocol if self._smtp is not None else None
        if protocol is None:
            return Receipt(message.message_id, Outcome.NOT_SENT, detail="connection lost before the text")
        try:
            protocol.write(payload)
        except aiosmtplib.SMTPServerDisconnected:
            self.drop()
            return Receipt(message.message_id, Outcome.NOT_SENT, detail="connection lost before the text")
        try:
            answer = await protocol.read_response(timeout=self._settings.timeout)
        except aiosmtplib.SMTPTimeoutError:
            detail = f"no answer within {self._settings.timeout:g} s"
        except asyncio.CancelledError:
            detail = "stopped while waiting for the answer"
        except _LOST:
            detail = "connection lost after the text began"
        else:
            self._mid_envelope = False
            return self._answered(message, answer)
        self.drop()
        return Receipt(message.message_id, Outcome.UNKNOWN, detail=detail)

    def _answered(self, message: Message, answer: SMTPResponse) -> Receipt:
        if answer.code == _SERVICE_CLOSING:
            self.drop()
        if answer.code // 100 != 2:
            return _refusal(message, answer)
        queued = _QUEUED_AS.search(answer.message)
        provider_id = queued[1] if queued else ""
        return Receipt(message.message_id, Outcome.ACCEPTED, provider_id=provider_id, detail=_shown(answer))

    async def _say(self, *words: bytes) -> SMTPResponse:
        if self._smtp is None:
            raise ConnectionLostError
        try:
            answer = await self._smtp.execute_command(*words)
        except _LOST:
            raise ConnectionLostError from None
        if answer.code == _SERVICE_CLOSING:
            raise ConnectionLostError
        return answer

    def _return_path(self, message: Message) -> str:
        """Where the mail comes back to: with the id of the message in it (VERP), where bounces have an address."""
        name, at, domain = self._bounces.rpartition("@")
        return f"{name}+{message.message_id}{at}{domain}" if at else self._sender

    def _extras(self, message: Message) -> list[bytes]:
        """What else the server is told with the sender: eight-bit text, and the id for delivery reports (RFC 3461)."""
        eight = not message.mime.isascii() and self._knows("8bitmime")
        report = [b"RET=HDRS", b"ENVID=" + message.message_id.encode()] if self._knows("dsn") else []
        return [*([b"BODY=8BITMIME"] if eight else []), *report]

    def _knows(self, extension: str) -> bool:
        return self._smtp is not None and self._smtp.supports_extension(extension)


def stuffed(mime: bytes) -> bytes:
    r"""The bytes of a mail as DATA wants them: CRLF only, dots doubled, a dot at the end.

    A bare line feed is not left to the server: some end the message at one (SMTP smuggling).

    >>> stuffed(b"a\n.b\n.\nc")
    b'a\r\n..b\r\n..\r\nc\r\n.\r\n'
    """
    ends = mime.count(b"\r\n")
    if not ends == mime.count(b"\n") == mime.count(b"\r"):
        mime = _LINE_END.sub(b"\r\n", mime)
    lines = mime.removesuffix(b"\r\n")
    return (b"\r\n" + lines).replace(b"\r\n.", b"\r\n..")[2:] + b"\r\n.\r\n"


def trouble(error: Exception, settings: ChannelSettings) -> Trouble | None:
    """What a failed connection means for the person who must act; None for an error that is not the network's."""
    cause = error.__cause__ if isinstance(error, aiosmtplib.SMTPConnectError) and error.__cause__ else error
    code = getattr(cause, "code", 0)
    words = {
        "code": code,
        "seconds": f"{settings.timeout:g}",
        "username": settings.username,
        "password_env": settings.password_env,
    }
    for kind, what, cure, passing in _TROUBLES:
        if isinstance(cause, kind):
            return Trouble(what.format(**words), cure.format(**words), passing and code // 100 != 5)
    return None


def _refusal(message: Message, answer: SMTPResponse) -> Receipt:
    """4xx may be tried again, 5xx may not; anything else is no answer that SMTP knows."""
    meaning = _REFUSALS.get(answer.code // 100, Outcome.UNKNOWN)
    return Receipt(message.message_id, meaning, detail=_shown(answer))


def _shown(answer: SMTPResponse) -> str:
    """Code and enhanced code only: the rest of the line is the server's and may repeat the address.

    >>> _shown(SMTPResponse(550, "5.1.1 <li@mail.example>: no such user"))
    '550 5.1.1'
    """
    enhanced = _ENHANCED.match(answer.message.lstrip())
    return f"{answer.code} {enhanced[0]}" if enhanced else str(answer.code)
