"""`python -m benchmarks.responses`: events kept durably beside a bare insert, a million folded, clicks under load.

Everything runs on this machine in one command: the service in a process of its own, providers in this one.
"""

from __future__ import annotations

import argparse
import asyncio
import re
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TypeVar

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "tests"))

from campanile.events import DeliveryEvent, EventType  # noqa: E402
from campanile.ledger import Ledger  # noqa: E402
from campanile.messages.tokens import Purpose  # noqa: E402
from campanile.responses.fold import fold  # noqa: E402
from campanile.responses.inbox import Arrival, backlog, keep  # noqa: E402
from campanile.responses.process import process  # noqa: E402
from campanile.spec.project import Project  # noqa: E402
from support.plans import message_id  # noqa: E402 - the folder is added above
from support.service import SendGrid, sendgrid_body, sendgrid_event, serving, shop, token  # noqa: E402

T = TypeVar("T")
BATCH, SENDERS, MESSAGES = 500, 4, 20_000
KINDS = ("processed", "delivered", "open", "click")
AT = datetime(2026, 3, 5, tzinfo=UTC)
#: The inbox as it is, for a driver that knows nothing of us.
_TABLE = """
PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL;
CREATE TABLE inbox (number INTEGER PRIMARY KEY AUTOINCREMENT, provider VARCHAR NOT NULL, event_id VARCHAR NOT NULL,
    received_at DATETIME NOT NULL, raw TEXT NOT NULL, state INTEGER DEFAULT 0 NOT NULL);
CREATE UNIQUE INDEX inbox_once ON inbox (provider, event_id);
CREATE INDEX inbox_queue ON inbox (state, number);
"""
_INSERT = "INSERT INTO inbox (provider, event_id, received_at, raw) VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING"


def main() -> None:
    """Measures and prints one line for each work."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.responses", description=__doc__)
    parser.add_argument("--events", type=int, default=100_000, help="events that are kept")
    parser.add_argument("--folded", type=int, default=1_000_000, help="events that are folded")
    parser.add_argument("--seconds", type=float, default=8.0, help="how long links are followed")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="campanile-bench-") as folder:
        home = Path(folder)
        settings = "responses: {hits_per_second: 1000000, backlog: 100000000}\n"
        project = shop(home / "shop", MESSAGES, settings=settings)
        arrivals = list(_arrivals(options.events))
        bare = _rate("bare insert, sqlite3, commits of 500", options.events, lambda: _bare(home / "bare.db", arrivals))
        ours = _rate("kept, in one process, commits of 500", options.events, lambda: _kept(home / "kept.db", arrivals))
        _ratio(ours, bare)
        _over_http(project, options.events, bare)
        with Ledger.open(project.ledger_place) as ledger:
            waiting = backlog(ledger)
            _rate("understood and folded in the ledger", waiting, lambda: process(ledger))
        _rate(f"folded, {options.folded // 4:,} messages of 4 events", options.folded, lambda: _fold(options.folded))
        _clicks(project, options.seconds)


def _arrivals(count: int) -> Iterator[Arrival]:
    import json

    for n in range(count):
        event = sendgrid_event(message_id("winback", n // 4 % MESSAGES), n, KINDS[n % 4])
        yield Arrival("sendgrid", event["sg_event_id"], json.dumps(event))


def _bare(path: Path, arrivals: Sequence[Arrival]) -> None:
    connection = sqlite3.connect(path)
    connection.executescript(_TABLE)
    for batch in _batches(arrivals):
        rows = [(each.provider, each.event_id, "2026-03-05 02:30:00.000000", each.raw) for each in batch]
        with connection:
            connection.executemany(_INSERT, rows)
    connection.close()


def _kept(path: Path, arrivals: Sequence[Arrival]) -> None:
    with Ledger.open(path) as ledger:
        for batch in _batches(arrivals):
            with ledger.writing() as connection:
                keep(connection, batch, AT)


def _over_http(project: Project, events: int, bare: float) -> None:
    """Signed batches from several senders at once, each confirmed after its commit."""
    sendgrid = SendGrid()
    made = [sendgrid_event(message_id("winback", n // 4 % MESSAGES), n, KINDS[n % 4]) for n in range(events)]
    bodies = [sendgrid_body(batch) for batch in _batches(made)]
    signed = [(body, sendgrid.headers(body)) for body in bodies]
    with serving(project, "--only-keep", keys=sendgrid.public) as service, service.client() as web:

        def send(one: tuple[bytes, dict[str, str]]) -> int:
            return web.post("/hooks/sendgrid", content=one[0], headers=one[1]).status_code

        def all_of_them() -> None:
            with ThreadPoolExecutor(SENDERS) as pool:
                assert set(pool.map(send, signed)) == {204}

        ours = _rate(f"kept over HTTP, signed batches of {BATCH}, {SENDERS} senders", events, all_of_them)
        _ratio(ours, bare)


def _fold(count: int) -> None:
    types = (EventType.QUEUED, EventType.DELIVERED, EventType.OPENED, EventType.CLICKED)
    for number in range(count // 4):
        name = f"{number:032x}"
        events = [
            DeliveryEvent("sendgrid", f"{number}-{n}", name, kind, AT + timedelta(minutes=n))
            for n, kind in enumerate(types)
        ]
        assert fold(reversed(events)).clicks == 1


def _clicks(project: Project, seconds: float) -> None:
    """Latency of the redirect: over kept connections, every hit written durably before the answer."""
    paths = [f"/c/{token(project, Purpose.CLICK, message_id('winback', n))}" for n in range(2_000)]
    with serving(project) as service:
        asyncio.run(_follow(service.port, paths, 1.0, 8))
        for connections in (1, 16):
            times = asyncio.run(_follow(service.port, paths, seconds, connections))
            times.sort()
            p50, p99 = (times[int(len(times) * share)] * 1000 for share in (0.5, 0.99))
            print(
                f"click redirect, {connections} connections: {len(times) / seconds:,.0f}/s, "
                f"p50 {p50:.1f} ms, p99 {p99:.1f} ms"
            )
        if shutil.which("wrk"):
            print(_wrk(service.url + paths[0], seconds))


async def _follow(port: int, paths: Sequence[str], seconds: float, connections: int) -> list[float]:
    times: list[float] = []
    end = time.perf_counter() + seconds

    async def visitor(number: int) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        while time.perf_counter() < end:
            path = paths[(number * 7919 + len(times)) % len(paths)]
            began = time.perf_counter()
            writer.write(f"GET {path} HTTP/1.1\r\nHost: t\r\nUser-Agent: Mozilla/5.0\r\n\r\n".encode())
            head = await reader.readuntil(b"\r\n\r\n")
            assert head.startswith(b"HTTP/1.1 302"), head
            times.append(time.perf_counter() - began)
        writer.close()

    await asyncio.gather(*(visitor(number) for number in range(connections)))
    return times


def _wrk(url: str, seconds: float) -> str:
    words = ["wrk", "-t1", "-c16", f"-d{int(seconds)}s", "--latency", "-H", "User-Agent: Mozilla/5.0", url]
    said = subprocess.run(words, capture_output=True, text=True, check=True).stdout
    found = dict(re.findall(r"^\s+(50|99)%\s+(\S+)", said, flags=re.MULTILINE))
    rate = re.search(r"Requests/sec:\s+(\S+)", said)
    return f"wrk, 16 connections, one link: {rate[1] if rate else '?'}/s, p50 {found.get('50')}, p99 {found.get('99')}"


def _batches(items: Sequence[T]) -> Iterator[Sequence[T]]:
    for start in range(0, len(items), BATCH):
        yield items[start : start + BATCH]


def _rate(name: str, count: int, work: Callable[[], object]) -> float:
    began, used = time.perf_counter(), time.process_time()
    work()
    took = time.perf_counter() - began
    print(
        f"{name}: {count:,} in {took:.1f} s ({time.process_time() - used:.1f} s of CPU here), {count / took:,.0f}/s",
        flush=True,
    )
    return count / took


def _ratio(ours: float, bare: float) -> None:
    print(f"    {ours / bare:.2f} of the bare insert")


if __name__ == "__main__":
    main()
