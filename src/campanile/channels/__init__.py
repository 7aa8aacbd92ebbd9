"""Channels: the one place where a message leaves the house, and where a provider's answer gets its meaning."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from campanile.channels.base import Channel, ChannelUnavailableError, WithdrawnError
from campanile.channels.outbox import OutboxChannel
from campanile.channels.smtp import SmtpChannel
from campanile.errors import CampanileError
from campanile.spec.channel_settings import CARRIED

if TYPE_CHECKING:
    from campanile.spec.channel_settings import ChannelSettings

__all__ = ["Channel", "ChannelUnavailableError", "OutboxChannel", "SmtpChannel", "WithdrawnError", "open_channel"]


def open_channel(medium: str, settings: ChannelSettings, outbox_dir: Path, *, run: str = "") -> Channel:
    """The channel that carries this medium, not yet opened.

    Args:
        medium: email or sms.
        settings: How campanile.yaml sets it up.
        outbox_dir: Folder for the files of an outbox, and for lists.
        run: What the provider's own statistics call this run; tells nothing of anybody.

    Raises:
        CampanileError: The medium cannot go that way, or the provider's package is not installed.
    """
    if settings.via == "outbox":
        return OutboxChannel(outbox_dir)
    if settings.via == "export":
        from campanile.channels.export import ExportChannel

        return ExportChannel(settings, outbox_dir)
    carried = CARRIED.get(settings.via, (medium,))
    if medium not in carried:
        raise CampanileError(f"{medium} cannot go by {settings.via}", f"write channels: {medium}: {{via: outbox}}")
    if settings.via == "smtp":
        return SmtpChannel(settings)
    if settings.via == "http":
        from campanile.channels.gateway import GatewayChannel

        return GatewayChannel(settings)
    try:
        if settings.via == "sendgrid":
            from campanile.channels.sendgrid import SendgridChannel

            return SendgridChannel(settings, run)
        from campanile.channels.twilio import TwilioChannel
    except ModuleNotFoundError as error:
        what = f"the package {error.name} is not installed, and {settings.via} needs it"
        raise CampanileError(what, 'install it: pip install "campanile[providers]"') from None
    return TwilioChannel(settings)
