"""The outbox: one file per message, for rehearsals and for sending by other means."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

from campanile.channels.base import ChannelUnavailableError
from campanile.events import Message, Outcome, Receipt


class OutboxChannel:
    """Writes each message to `<message id>.eml` or `.txt`. Writing it again replaces it by the same."""

    name = "outbox"
    idempotent = True

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    async def open(self) -> None:
        """Makes the folder, readable by its owner only: the files hold addresses."""
        try:
            self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        except OSError as error:
            raise self._unavailable(error) from None

    async def hand_over(self, message: Message) -> Receipt:
        """Accepted once the file is on disk under its name."""
        try:
            name = await asyncio.to_thread(self._write, message)
        except OSError as error:
            raise self._unavailable(error) from None
        return Receipt(message.message_id, Outcome.ACCEPTED, provider_id=name, detail="written")

    async def close(self) -> None:
        """Nothing is held open."""

    def _write(self, message: Message) -> str:
        name = f"{message.message_id}.{'eml' if message.mime else 'txt'}"
        draft = self.folder / f".{name}.part"
        with draft.open("wb") as file:
            file.write(message.mime or _text(message))
            file.flush()
            os.fsync(file.fileno())
        draft.replace(self.folder / name)
        # The name itself is durable only when the folder is.
        folder = os.open(self.folder, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
        return name

    def _unavailable(self, error: OSError) -> ChannelUnavailableError:
        what = f"the outbox {self.folder} cannot be written ({error.strerror})"
        return ChannelUnavailableError(what, "check the folder, its rights and the room on its disk, then run again")


def _text(message: Message) -> bytes:
    """The message as people read it: who gets it, the subject when there is one, the text.

    >>> _text(Message("m1", "sms", "+8613800138000", text="Hello")).splitlines()
    [b'To: +8613800138000', b'', b'Hello']
    """
    head = [f"To: {message.to}"] + ([f"Subject: {message.subject}"] if message.subject else [])
    return "\n".join([*head, "", message.text, ""]).encode()
