"""Whether this machine could send: files, keys, stores, disk, clock, servers, records of the sender's domain."""

from __future__ import annotations

import asyncio
import os
import re
import shutil
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime, timedelta
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from sqlalchemy import func, select

from campanile import clock
from campanile.channels import open_channel
from campanile.channels.domain import Finding, examine_domain
from campanile.channels.web import LostError, NotReachedError, Web
from campanile.errors import CampanileError
from campanile.ledger import Ledger, tables
from campanile.messages.mime import mailbox
from campanile.messages.templates import check_templates
from campanile.spec.check import check_project

if TYPE_CHECKING:
    from dns.resolver import Resolver

    from campanile.spec.campaign import CampaignSpec
    from campanile.spec.channel_settings import ChannelSettings
    from campanile.spec.project import Project

#: Bytes of free disk below which nothing should be sent, and below which a person should look.
_LITTLE, _SCARCE = 200_000_000, 2_000_000_000
#: How far the clock may be off: webhooks are signed with it, and quiet hours hang on it.
_OFF, _FAR_OFF = timedelta(seconds=30), timedelta(minutes=5)
_KEYS = ("password_env", "api_key_env", "api_secret_env", "account_sid_env")
_LINK = re.compile(r"{{-?\s*link\b")
_SENDGRID_SELECTORS = ("s1", "s2")


def examine(project: Project, *, online: bool = True, resolver: Resolver | None = None) -> Iterator[Finding]:
    """The findings, one after the other.

    Args:
        project: The project.
        online: Whether servers and name servers are asked.
        resolver: Whom to ask for records of domains; default is whom this machine asks.
    """
    yield from _files(project)
    yield from _keys(project)
    yield from _stores(project)
    if not online:
        return
    for medium, settings in project.settings.channels.items():
        yield _server(medium, settings, project)
        if medium == "email" and settings.via in ("smtp", "sendgrid"):
            yield from _domain(settings, resolver)
    yield _clock(project)


def _files(project: Project) -> Iterator[Finding]:
    parts = check_project(project.root)
    channels = parts.settings.channels if parts.settings else None
    problems = {*parts.problems, *check_templates(project.root, parts.campaigns.values(), parts.shop, channels)}
    if problems:
        cure = "run `campanile check`, which names file, line and cure of each"
        yield Finding("files", "bad", f"{len(problems)} problem(s) in the committed files", cure)
    else:
        yield Finding("files", "good", f"{len(parts.campaigns)} campaign(s) without a problem")
    base_url = project.settings.shop.base_url
    if urlsplit(base_url).scheme != "https":
        cure = "set shop: base_url: https://… to where `campanile serve` is known to the world"
        yield Finding("files", "look", "links have no https address to lead to, and mail needs one", cure)
    aimless = sorted(filter(None, map(_aimless(project), parts.campaigns.values())))
    if aimless and not project.settings.shop.website:
        cure = "set shop: website: https://… or `link:` under channel of the campaign"
        yield Finding("files", "look", f"links of {', '.join(aimless)} lead to no page", cure)


def _aimless(project: Project) -> Callable[[CampaignSpec], str]:
    """Tells the name of a campaign whose messages have a link that no page was named for; "" of others."""

    def name_of(spec: CampaignSpec) -> str:
        files = [path for name in spec.templates for path in (project.root / "templates").glob(f"{name}.*.j2")]
        linked = any(_LINK.search(path.read_text(encoding="utf-8", errors="replace")) for path in files)
        return spec.name if linked and not spec.channel.link else ""

    return name_of


def _keys(project: Project) -> Iterator[Finding]:
    """What is named in the files and not set here. No value is read beyond whether there is one."""
    for medium, settings in project.settings.channels.items():
        names = [getattr(settings, key) for key in _KEYS if getattr(settings, key)]
        names += settings.gateway.secrets.values() if settings.gateway else []
        yield from _set(medium, names, "bad")
    responses = project.settings.responses
    hooks = {"sendgrid": responses.sendgrid_keys_env, "twilio": responses.twilio_tokens_env}
    for medium, settings in project.settings.channels.items():
        if settings.via in hooks:
            yield from _set(medium, [hooks[settings.via]], "look")


def _set(medium: str, names: list[str], missing: str) -> Iterator[Finding]:
    for name in names:
        if os.environ.get(name, "").strip():
            yield Finding(medium, "good", f"{name} is set")
        else:
            state = "bad" if missing == "bad" else "look"
            yield Finding(medium, state, f"the environment variable {name} is not set", f"set {name}")  # type: ignore[arg-type]


def _stores(project: Project) -> Iterator[Finding]:
    home = next(path for path in (project.home, *project.home.parents) if path.exists())
    if not os.access(home, os.W_OK):
        yield Finding("stores", "bad", f"{home} may not be written", "check who owns it, and their rights")
    free = shutil.disk_usage(home).free
    state, cure = ("good", "") if free > _SCARCE else ("look" if free > _LITTLE else "bad", "free some disk space")
    yield Finding("stores", state, f"{free / 1e9:,.1f} GB free where the stores are", cure)  # type: ignore[arg-type]
    if isinstance(project.ledger_place, Path) and not project.ledger_place.exists():
        yield Finding("stores", "good", "there is no ledger yet: nothing was planned")
        return
    try:
        with Ledger.open(project.ledger_place) as ledger, ledger.reading() as connection:
            newest = connection.scalar(select(func.max(tables.attempt.c.opened_at)))
    except CampanileError as error:
        yield Finding("stores", "bad", error.what, error.cure)
        return
    yield Finding("stores", "good", "the ledger can be opened")
    if isinstance(newest, datetime) and newest > clock.now() + _OFF:
        what = "the clock of this machine is behind: the ledger knows a later hand-over"
        yield Finding("clock", "bad", what, "set the clock; quiet hours and deadlines hang on it")


def _server(medium: str, settings: ChannelSettings, project: Project) -> Finding:
    """Whether the channel opens: connection, TLS, login."""

    async def knock() -> None:
        channel = open_channel(medium, settings, project.outbox_dir / "doctor" / medium)
        try:
            await channel.open()
        finally:
            await channel.close()

    if settings.via in ("outbox", "export"):
        return Finding(medium, "good", f"{medium} goes to files")
    try:
        asyncio.run(knock())
    except CampanileError as error:
        return Finding(medium, "bad", error.what, error.cure.removesuffix("; then run again"))
    return Finding(medium, "good", f"{settings.via} can be reached")


def _domain(settings: ChannelSettings, resolver: Resolver | None) -> Iterator[Finding]:
    sender = mailbox(settings.sender)[1].rpartition("@")[2]
    bounces = mailbox(settings.bounces or settings.sender)[1].rpartition("@")[2]
    own = (settings.dkim_selector,) if settings.dkim_selector else ()
    selectors = own or (_SENDGRID_SELECTORS if settings.via == "sendgrid" else ())
    # SendGrid's mail comes back to a domain of its own making.
    yield from examine_domain(sender, bounces if settings.via == "smtp" else "", selectors, resolver=resolver)


def _clock(project: Project) -> Finding:
    """How far the clock is off, by the word of a provider's server."""
    for settings in project.settings.channels.values():
        asked = _web_of(settings)
        there = _time_there(asked) if asked else None
        if there is not None:
            return judged_clock(abs(clock.now() - there))
    return Finding("clock", "skipped", "no server that was asked tells the time", "let NTP set the clock")


def judged_clock(off: timedelta) -> Finding:
    """What it means that the clock is so far off."""
    seconds = off.total_seconds()
    if off > _FAR_OFF:
        what = f"the clock is {seconds:,.0f} s off"
        return Finding("clock", "bad", what, "let NTP set it: signatures, quiet hours and deadlines hang on it")
    if off > _OFF:
        return Finding("clock", "look", f"the clock is {seconds:,.0f} s off", "let NTP set it")
    return Finding("clock", "good", "the clock agrees with a server's")


def _web_of(settings: ChannelSettings) -> str:
    hosts: Mapping[str, str] = {
        "sendgrid": settings.host or "https://api.sendgrid.com",
        "twilio": settings.host or "https://api.twilio.com",
        "http": settings.gateway.url if settings.gateway else "",
    }
    return hosts.get(settings.via, "")


def _time_there(url: str) -> datetime | None:
    async def ask() -> str:
        web = Web(url, connections=1, timeout=5.0)
        try:
            await web.open()
            return (await web.request("HEAD", url, headers={})).headers.get("date", "")
        finally:
            await web.close()

    try:
        return parsedate_to_datetime(asyncio.run(ask()))
    except (NotReachedError, LostError, ValueError, TypeError):
        return None
