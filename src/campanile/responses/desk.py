"""What every address of the service shares: stores, keys, settings, counters, and how links are told apart."""

from __future__ import annotations

import os
import secrets
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from ipaddress import ip_address, ip_network
from typing import TYPE_CHECKING, Any

from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request

from campanile import clock
from campanile.ledger import Ledger
from campanile.messages.tokens import KeyRing, Purpose
from campanile.responses import own
from campanile.responses.inbox import Arrival
from campanile.responses.limits import Buckets
from campanile.responses.machines import is_machine
from campanile.responses.recipients import Recipient, Recipients
from campanile.responses.signatures import secrets_of, sendgrid_keys
from campanile.responses.writer import BusyError, Writer
from campanile.spec.project import Project
from campanile.spec.responses import ResponsesSettings

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey


@dataclass(frozen=True)
class Keys:
    """What requests prove themselves with, read from the environment once."""

    sendgrid: tuple[EllipticCurvePublicKey, ...] = ()
    twilio: tuple[str, ...] = ()
    hooks: tuple[str, ...] = ()
    shop: tuple[str, ...] = ()

    @classmethod
    def of(cls, settings: ResponsesSettings, environment: Mapping[str, str]) -> Keys:
        """The keys that the settings name; CampanileError when one cannot be read."""
        return cls(
            tuple(sendgrid_keys(environment.get(settings.sendgrid_keys_env, ""))),
            tuple(secrets_of(environment, settings.twilio_tokens_env)),
            tuple(secrets_of(environment, settings.hook_secrets_env)),
            tuple(secrets_of(environment, settings.shop_keys_env)),
        )


@dataclass
class Desk:
    """The open service: one for all requests.

    Attributes:
        backlog: Rows of the inbox that nobody has understood yet, as last counted, and what came since.
        counts: What happened, by (name, label), for /metrics.
    """

    project: Project
    ledger: Ledger
    ring: KeyRing
    writer: Writer
    keys: Keys
    recipients: Recipients
    buckets: Buckets
    backlog: int = 0
    counts: Counter[tuple[str, str]] = field(default_factory=Counter)

    @classmethod
    def of(cls, project: Project, ledger: Ledger, ring: KeyRing, writer: Writer) -> Desk:
        """The desk of a project, with the keys of this process's environment."""
        settings = project.settings.responses
        buckets = Buckets(settings.hits_per_second)
        keys = Keys.of(settings, os.environ)
        return cls(project, ledger, ring, writer, keys, Recipients(ledger), buckets)

    @property
    def settings(self) -> ResponsesSettings:
        """How responses are collected."""
        return self.project.settings.responses

    def public_url(self, request: Request) -> str:
        """The address that was asked for, as the world knows it; never from what the request says of its host."""
        query = request.url.query
        path = request.scope["path"]
        return f"{self.project.settings.shop.base_url}{path}{f'?{query}' if query else ''}"

    async def keep(self, provider: str, arrivals: list[Arrival], *, at_once: bool = False) -> None:
        """Returns when the arrivals are on the disk; BusyError when too many wait."""
        if self.backlog + len(arrivals) > self.settings.backlog and not at_once:
            raise BusyError("too much waits to be understood", "come again")
        new = await self.writer.keep(arrivals, at_once=at_once)
        self.counts["events_kept", provider] += new
        self.counts["events_known_already", provider] += len(arrivals) - new
        self.backlog += 0 if at_once else new

    async def recipient(self, request: Request, *purposes: Purpose) -> Recipient:
        """Whom the token in the path means; HTTPException 404 when nobody, 429 when its network asks too often."""
        network = network_of(request)
        if not self.buckets.allows(network):
            raise HTTPException(429, headers={"Retry-After": "5"})
        token = request.path_params["token"]
        signed = next((found for each in purposes if (found := self.ring.verify(each, token))), None)
        if signed is None:
            raise HTTPException(404)
        known = self.recipients.known(signed.message_id)
        recipient = known or await run_in_threadpool(self.recipients.find, signed.message_id)
        if recipient is None:
            raise HTTPException(404)
        return recipient


def network_of(request: Request) -> str:
    """The network that a request came from, not the place in it: /24 of IPv4, /48 of IPv6."""
    host = request.client.host if request.client else ""
    try:
        version = ip_address(host).version
    except ValueError:
        return ""
    return str(ip_network(f"{host}/{24 if version == 4 else 48}", strict=False))


def hit(request: Request, recipient: Recipient, kind: str, *, judged: bool = True, **more: Any) -> Arrival:
    """What somebody did on one of our pages, as the inbox keeps it; each time is an event of its own.

    Args:
        request: What was asked.
        recipient: Whose token it was.
        kind: Type of the event.
        judged: Whether it may have been a program; who presses a button is taken at their word.
        more: What else is said of the event.
    """
    said = {
        "type": kind,
        "message_id": recipient.message_id,
        "at": clock.now().isoformat(),
        "machine": judged and is_machine(request.method, request.headers.get("user-agent", "")),
        "method": request.method,
        "network": network_of(request),
        **more,
    }
    return Arrival(own.WEB, secrets.token_hex(16), own.written(said))
