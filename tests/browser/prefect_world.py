"""A small shop with its project, and a Prefect server of its own: for tests that need the real thing."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
CUSTOMERS = 300
#: How the mail server of the tests treats three customers in fifty: it refuses two, and loses its answer to the third.
FATES = ("rcpt550", "dot554", "dropdot")

_SETTINGS = """\
shop: {{name: Test shop, currency: EUR, timezone: UTC, base_url: "https://t.example", postal_address: 1 Test Street}}
channels:
  email: {{via: smtp, host: 127.0.0.1, port: {port}, security: none, sender: Shop <news@shop.example>,
          unsubscribe_mailto: leave@shop.example, connections: 4}}
economics: {{margin_rate: 40%, cost_per_message: {{email: 0.01}}}}
import:
  customers:
    file: data/customers.csv
    columns:
      {{customer_id: Customer, name: Name, email: E-mail, phone: Mobile, registered_at: Joined, email_consent: Consent}}
  order:
    file: data/orders.csv
    columns: {{customer_id: Customer, at: Ordered, order_id: Order, state: State, amount: Paid}}
"""
_CAMPAIGN = """\
objective: growth
target: {{who: [{{email_consent: true}}]}}
offer: {{kind: content}}
timing: {{start: {start}, at: "10:00", quiet: none, deadline: {deadline}}}
channel: {{use: email, message: hello}}
"""
_EXPERIMENT = """\
hypothesis: A mail makes customers buy.
split: {control: 20%, treatment: 80%}
primary: {metric: response_rate, window: 7d, baseline: 3%, expect: 6%}
decide: {roll_out: profit per customer above 0 at 95%, stop: upper limit below 0.3 points}
"""
_TEMPLATES = {
    "hello.subject.j2": "Hello",
    "hello.html.j2": '<p>Hello {{ name }}</p><p><a href="{{ unsubscribe_link }}">leave</a></p>',
    "hello.txt.j2": "Hello {{ name }}\n{{ unsubscribe_link }}\n",
}


@dataclass(frozen=True)
class Person:
    """One customer of the shop."""

    customer_id: str
    name: str
    address: str
    phone: str


@dataclass(frozen=True)
class SmallShop:
    """A project folder with data, and everybody in it."""

    root: Path
    people: tuple[Person, ...]

    @property
    def home(self) -> Path:
        return self.root / "runs"

    @property
    def contact_data(self) -> tuple[str, ...]:
        """Every name, address and phone number."""
        return tuple(text for person in self.people for text in (person.name, person.address, person.phone))

    @property
    def environment(self) -> dict[str, str]:
        return {"CAMPANILE_PROJECT": str(self.root)}


def small_shop(root: Path, *, port: int, campaigns: Mapping[str, tuple[int, str]]) -> SmallShop:
    """A shop below `root` whose mail goes to that port.

    Args:
        root: Made when missing.
        port: Of a mail server on this machine.
        campaigns: By name, how many days ago each started and its deadline.
    """
    today = datetime.now(UTC).date()
    people = tuple(_person(number) for number in range(CUSTOMERS))
    files = {"campanile.yaml": _SETTINGS.format(port=port), "segments.yaml": "segments: {}\n"}
    files |= {f"templates/{name}": text for name, text in _TEMPLATES.items()}
    for name, (days, deadline) in campaigns.items():
        start = today - timedelta(days=days)
        files |= {
            f"campaigns/{name}.yaml": _CAMPAIGN.format(start=start, deadline=deadline),
            f"experiments/{name}.yaml": _EXPERIMENT,
        }
    files["runs/data/customers.csv"] = _csv(
        "Customer,Name,E-mail,Mobile,Joined,Consent",
        (f"{p.customer_id},{p.name},{p.address},{p.phone},2025-01-01,true" for p in people),
    )
    files["runs/data/orders.csv"] = _csv(
        "Customer,Ordered,Order,State,Paid",
        (
            f"{p.customer_id},{today - timedelta(days=1 + n % 40)} 10:00,O{n},paid,{20 + n}.00"
            for n, p in enumerate(people[::2])
        ),
    )
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text, encoding="utf-8")
    return SmallShop(root, people)


def _person(number: int) -> Person:
    """Somebody with a name that occurs nowhere else, in one of two scripts."""
    name = f"Núñez Tester{number:03d}" if number % 2 else f"测试员{number:03d}号"
    word = dict(enumerate(FATES)).get(number % 50, "someone")
    return Person(f"C{number:05d}", name, f"{word}.{number:03d}@inbox.example", f"+4479460{number:05d}")


def _csv(head: str, rows: Iterator[str]) -> str:
    return "\n".join([head, *rows]) + "\n"


@dataclass(frozen=True)
class PrefectServer:
    """A running server with a home of its own."""

    url: str
    home: Path

    @property
    def environment(self) -> dict[str, str]:
        """What a process needs to use this server and no other."""
        return {
            **os.environ,
            "PREFECT_HOME": str(self.home),
            "PREFECT_API_URL": f"{self.url}/api",
            "DO_NOT_TRACK": "1",
            "PYTHONPATH": os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]),
        }

    def get(self, path: str) -> Any:
        """What the API answers to a read."""
        return self._call(path, None)

    def post(self, path: str, body: Mapping[str, object] | None = None) -> Any:
        """What the API answers to a write or a filter."""
        return self._call(path, dict(body or {}))

    def _call(self, path: str, body: Mapping[str, object] | None) -> Any:
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(f"{self.url}/api{path}", data, {"content-type": "application/json"})
        for _ in range(20):  # SQLite is sometimes busy; the server says 503 then
            try:
                with urllib.request.urlopen(request, timeout=30) as answer:
                    return json.loads(answer.read() or b"null")
            except urllib.error.HTTPError as error:
                if error.code != 503:
                    raise
                time.sleep(0.5)
        raise AssertionError(f"the server stays busy: {path}")


@contextmanager
def prefect_server(home: Path) -> Iterator[PrefectServer]:
    """A Prefect server on a free port, with the project's own settings; its database lies in `home`."""
    home.mkdir(parents=True, exist_ok=True)
    server = PrefectServer(f"http://127.0.0.1:{_free_port()}", home)
    environment = {**server.environment, "PREFECT_SERVER_API_PORT": server.url.rpartition(":")[2]}
    command = [sys.executable, "-m", "prefect", "server", "start"]
    with process(command, environment, home / "server.log"):
        wait_for(lambda: _answers(server), seconds=180, what="the Prefect server")
        yield server


@contextmanager
def process(command: Sequence[str], environment: Mapping[str, str], log: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A process in the repository's folder that is asked to end after the block, and then made to."""
    with log.open("wb") as output:
        running = subprocess.Popen(command, env=environment, cwd=ROOT, stdout=output, stderr=subprocess.STDOUT)
        try:
            yield running
        finally:
            running.terminate()
            try:
                running.wait(30)
            except subprocess.TimeoutExpired:
                running.kill()
                running.wait()


def wait_for(condition: Any, *, seconds: float, what: str) -> Any:
    """What `condition()` gives once it is true; AssertionError when that takes too long."""
    end = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < end, f"waited {seconds} s for {what}"
        time.sleep(0.3)
    return found


def _answers(server: PrefectServer) -> bool:
    with suppress(OSError):
        return bool(server.get("/health"))
    return False


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
