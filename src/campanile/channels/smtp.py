"""SMTP: a pool of lasting connections, and the meaning of every way in which a hand-over can end.

Until the first byte of the message text, nothing can have been taken, so every failure is `not_sent`. From then on only
the server's own answer counts: 2xx accepted, 4xx not_sent, 5xx rejected; no answer is `unknown`. RFC 1047 says why.
"""

from __future__ import annotations

import asyncio
import os
import socket
import ssl
from typing import TYPE_CHECKING

from campanile.channels.base import ChannelUnavailableError, WithdrawnError
from campanile.channels.smtp_line import ConnectionLostError, RefusedUsError, SmtpLine, trouble
from campanile.errors import CampanileError
from campanile.events import Message, Outcome, Receipt

if TYPE_CHECKING:
    from campanile.spec.channel_settings import ChannelSettings

#: Seconds between attempts to reach a server that is down for a moment.
PAUSES = (1.0, 2.0)
#: After so many mails in a row that ended without a word on the mail itself, the server is taken to be broken.
FAILURES_IN_A_ROW = 20


class SmtpChannel:
    """Hands mails to one mail server over at most `settings.connections` connections."""

    name = "smtp"
    idempotent = False

    def __init__(self, settings: ChannelSettings, *, pauses: tuple[float, ...] = PAUSES) -> None:
        self._settings = settings
        self._pauses = pauses
        self._server = f"the mail server {settings.host}:{settings.port}"
        self._lines: asyncio.LifoQueue[SmtpLine] = asyncio.LifoQueue()
        self._all: list[SmtpLine] = []
        self._failures = 0
        self._down: ChannelUnavailableError | None = None

    async def open(self) -> None:
        """Opens the first connection, so that a wrong setting shows before any message is claimed."""
        password = self._password()
        loop = asyncio.get_running_loop()
        # Asked once: behind a slow resolver each connection would wait for it.
        hostname = await loop.run_in_executor(None, socket.getfqdn)
        tls = None if self._settings.security == "none" else ssl.create_default_context()
        self._all = [SmtpLine(self._settings, password, hostname, tls) for _ in range(self._settings.connections)]
        for line in self._all:
            self._lines.put_nowait(line)
        await self._connect(self._all[-1])

    async def hand_over(self, message: Message) -> Receipt:
        """The server's answer; see the table at the top."""
        try:
            line = await self._lines.get()
        except asyncio.CancelledError:
            raise WithdrawnError from None
        try:
            return await self._hand_over(line, message)
        finally:
            self._lines.put_nowait(line)

    async def close(self) -> None:
        """Says goodbye on every connection."""
        await asyncio.gather(*(line.close() for line in self._all))

    async def _hand_over(self, line: SmtpLine, message: Message) -> Receipt:
        if self._down is not None:
            # Those who waited for a connection need not find out one by one.
            raise self._down
        if self._failures >= FAILURES_IN_A_ROW:
            raise self._unavailable(f"failed {self._failures} times in a row", "ask whoever runs it")
        try:
            refusal = await self._envelope(line, message)
        except asyncio.CancelledError:
            line.drop()
            raise WithdrawnError from None
        receipt = refusal or await line.text(message)
        self._failures = 0 if line.connected else self._failures + 1
        return receipt

    async def _envelope(self, line: SmtpLine, message: Message) -> Receipt | None:
        """None once the server waits for the text; otherwise its refusal."""
        if line.connected:
            try:
                return await line.envelope(message)
            except (ConnectionLostError, RefusedUsError):
                # A server may end an idle connection at any time, and may take only so many mails over one.
                line.drop()
        await self._connect(line)
        try:
            return await line.envelope(message)
        except ConnectionLostError:
            line.drop()
            return Receipt(message.message_id, Outcome.NOT_SENT, detail="connection lost before the text")
        except RefusedUsError as error:
            line.drop()
            if error.passing:
                return Receipt(message.message_id, Outcome.NOT_SENT, detail=error.answer)
            raise self._unavailable(f"refuses {error.what} ({error.answer})", error.cure) from None

    async def _connect(self, line: SmtpLine) -> None:
        """Connects the line if it is not; a server that is down gets a few seconds."""
        for pause in (*self._pauses, None):
            try:
                await line.connect()
            except Exception as error:
                line.drop()
                said = trouble(error, self._settings)
                if said is None:
                    raise
                if pause is None or not said.passing:
                    raise self._unavailable(said.what, said.cure) from None
                await asyncio.sleep(pause)
            else:
                return

    def _unavailable(self, what: str, cure: str) -> ChannelUnavailableError:
        self._down = ChannelUnavailableError(f"{self._server} {what}", f"{cure}; then run again")
        return self._down

    def _password(self) -> str:
        if not self._settings.username:
            return ""
        name = self._settings.password_env
        password = os.environ.get(name, "")
        if not password:
            raise CampanileError(
                f"the environment variable {name} with the password of {self._server} is not set",
                f"set {name} and run again",
            )
        return password
