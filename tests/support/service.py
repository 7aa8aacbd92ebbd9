"""A real `campanile serve` in a process of its own, and what providers would send to it."""

from __future__ import annotations

import base64
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from campanile.ledger import Ledger
from campanile.messages.tokens import KeyRing, Purpose, open_key_ring
from campanile.spec.project import Project, load_project
from support.plans import planned
from support.sent_project import write_plan, write_project

BASE = "https://t.example.com"
WEBSITE = "https://shop.example/sale?from=mail"
TWILIO, HOOKS, SHOP = "twilio-token", "hook-secret", "shop-key"
BROWSER = {"User-Agent": "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"}


def shop(root: Path, messages: int = 3, *, settings: str = "", campaign: str = "", **changes: Any) -> Project:
    """A project whose campaign is planned, with so many messages; more settings and lines of the campaign are added."""
    write_project(root)
    path = root / "campanile.yaml"
    text = path.read_text(encoding="utf-8").replace(f"base_url: {BASE}", f"base_url: {BASE}\n  website: {WEBSITE}")
    path.write_text(text + settings, encoding="utf-8")
    spec = root / "campaigns" / "winback.yaml"
    spec.write_text(spec.read_text(encoding="utf-8") + campaign, encoding="utf-8")
    project = load_project(root)
    write_plan(project, [planned(number, **changes) for number in range(messages)])
    return project


def ring_of(project: Project) -> KeyRing:
    return open_key_ring(project.home)


def token(project: Project, purpose: Purpose, message_id: str, *, link: int = 0) -> str:
    return ring_of(project).sign(purpose, message_id, link=link)


@dataclass
class SendGrid:
    """Signs as SendGrid does, with a key of its own."""

    key: ec.EllipticCurvePrivateKey = field(default_factory=lambda: ec.generate_private_key(ec.SECP256R1()))

    @property
    def public(self) -> str:
        form = serialization.PublicFormat.SubjectPublicKeyInfo
        return base64.b64encode(self.key.public_key().public_bytes(serialization.Encoding.DER, form)).decode()

    def headers(self, body: bytes, timestamp: str = "") -> dict[str, str]:
        stamp = timestamp or str(int(time.time()))
        signature = base64.b64encode(self.key.sign(stamp.encode() + body, ec.ECDSA(hashes.SHA256()))).decode()
        return {
            "X-Twilio-Email-Event-Webhook-Signature": signature,
            "X-Twilio-Email-Event-Webhook-Timestamp": stamp,
            "Content-Type": "application/json",
        }


def sendgrid_body(events: Sequence[Mapping[str, Any]]) -> bytes:
    """The body as SendGrid writes it: an end of line belongs to it."""
    return json.dumps(list(events)).encode() + b"\r\n"


def sendgrid_event(message_id: str, number: int, kind: str = "delivered", **more: Any) -> dict[str, Any]:
    said = {"email": "c0@mail.example", "timestamp": 1_772_677_900 + number, "event": kind}
    return {**said, "sg_event_id": f"{kind}-{number}", "sg_message_id": "x.y", "cmp_mid": message_id, **more}


@dataclass
class Service:
    """A running service."""

    process: subprocess.Popen[str]
    port: int

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def client(self) -> httpx.Client:
        return httpx.Client(base_url=self.url, headers=BROWSER, timeout=20)

    def kill(self) -> None:
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def stop(self) -> None:
        if self.process.poll() is None:
            self.process.terminate()
            self.process.wait(timeout=20)


@contextmanager
def serving(
    project: Project, *words: str, keys: str = "", environment: Mapping[str, str] | None = None
) -> Iterator[Service]:
    """The service of a project on a free port; stopped at the end of the block."""
    secrets = {
        "SENDGRID_WEBHOOK_KEYS": keys,
        "TWILIO_AUTH_TOKEN": TWILIO,
        "CAMPANILE_HOOK_SECRETS": f"older-secret {HOOKS}",
        "CAMPANILE_SHOP_KEYS": SHOP,
    }
    source = str(Path(__file__).parents[2] / "src")
    path = os.pathsep.join([source, os.environ.get("PYTHONPATH", "")])
    command = [sys.executable, "-m", "campanile", "serve", "--port", "0", "--project", str(project.root), *words]
    process = subprocess.Popen(
        [*command, "--home", str(project.home)],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, **secrets, "PYTHONPATH": path, **(environment or {})},
    )
    assert process.stdout is not None
    line = process.stdout.readline()
    assert line.startswith("listening on "), line
    service = Service(process, int(line.split(",")[0].rpartition(":")[2]))
    try:
        yield service
    finally:
        service.stop()
        process.stdout.close()


def until(holds: Any, most: float = 15.0) -> None:
    """Waits until it holds."""
    end = time.monotonic() + most
    while not holds():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.05)


def rows(project: Project, table: Any) -> list[dict[str, Any]]:
    """The rows of a table of the ledger."""
    from sqlalchemy import select

    with Ledger.open(project.ledger_place) as ledger, ledger.reading() as connection:
        return [dict(row._mapping) for row in connection.execute(select(table))]
