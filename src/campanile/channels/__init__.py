"""Channels: the one place where a message leaves the house, and where a provider's answer gets its meaning."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from campanile.channels.base import Channel, ChannelUnavailableError, WithdrawnError
from campanile.channels.outbox import OutboxChannel
from campanile.channels.smtp import SmtpChannel
from campanile.errors import CampanileError

if TYPE_CHECKING:
    from campanile.spec.settings import ChannelSettings

__all__ = ["Channel", "ChannelUnavailableError", "OutboxChannel", "SmtpChannel", "WithdrawnError", "open_channel"]


def open_channel(medium: str, settings: ChannelSettings, outbox_dir: Path) -> Channel:
    """The channel that carries this medium, not yet opened.

    Args:
        medium: email or sms.
        settings: How campanile.yaml sets it up.
        outbox_dir: Folder for the files of an outbox.

    Raises:
        CampanileError: The medium cannot go that way.
    """
    if settings.via == "outbox":
        return OutboxChannel(outbox_dir)
    if medium != "email":
        raise CampanileError(f"{medium} cannot go over a mail server", f"write channels: {medium}: {{via: outbox}}")
    return SmtpChannel(settings)
