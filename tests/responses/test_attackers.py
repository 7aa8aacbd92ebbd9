"""What an attacker sends to a real service, and what comes of it: the table of docs/security-responses.md."""

from __future__ import annotations

import gzip
import json
import re
import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import httpx
import pytest

from campanile.ledger import Ledger, tables
from campanile.ledger.response_tables import delivery_event, inbox
from campanile.messages.tokens import Purpose
from campanile.responses.signatures import generic_signature
from campanile.spec.project import Project
from support.plans import message_id
from support.service import (
    HOOKS,
    WEBSITE,
    SendGrid,
    Service,
    rows,
    sendgrid_body,
    sendgrid_event,
    serving,
    shop,
    token,
    until,
)  # fmt: skip

PAGE = Path(__file__).parents[2] / "docs" / "security-responses.md"
MIB = 1024 * 1024
HOOK = "/hooks/sendgrid"


class Target(NamedTuple):
    project: Project
    service: Service
    web: httpx.Client
    sendgrid: SendGrid

    def kept(self) -> int:
        return len(rows(self.project, inbox))

    def token(self, purpose: Purpose = Purpose.UNSUBSCRIBE) -> str:
        return token(self.project, purpose, message_id("winback", 0))

    def raw(self, data: bytes, *, patience: float = 15.0) -> bytes:
        """What the service answers to these bytes until it closes or is silent."""
        with socket.create_connection(("127.0.0.1", self.service.port), timeout=patience) as line:
            line.sendall(data)
            answer = b""
            try:
                while part := line.recv(65536):
                    answer += part
                    if b"\r\n\r\n" in answer:
                        line.settimeout(0.5)
            except (TimeoutError, ConnectionResetError):
                pass
            return answer

    def events(self, body: bytes, headers: dict[str, str] | None = None) -> httpx.Response:
        return self.web.post(HOOK, content=body, headers=self.sendgrid.headers(body) if headers is None else headers)


@pytest.fixture(scope="module")
def target(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Target]:
    project = shop(tmp_path_factory.mktemp("attack"), 3, settings="responses: {hits_per_second: 200}\n")
    sendgrid = SendGrid()
    with serving(project, keys=sendgrid.public) as service, service.client() as web:
        yield Target(project, service, web, sendgrid)


def status(answer: bytes) -> int:
    found = re.match(rb"HTTP/1\.1 (\d{3})", answer)
    return int(found[1]) if found else 0


def _body(number: int) -> bytes:
    return sendgrid_body([sendgrid_event(message_id("winback", 1), number)])


def forged(t: Target) -> int:
    return t.events(_body(1), SendGrid().headers(_body(1))).status_code


def unsigned(t: Target) -> int:
    return t.events(_body(1), {}).status_code


def altered(t: Target) -> int:
    return t.events(_body(1) + b" ", t.sendgrid.headers(_body(1))).status_code


def shifted(t: Target) -> int:
    headers = t.sendgrid.headers(_body(1), "1772700000")
    headers["X-Twilio-Email-Event-Webhook-Timestamp"] = "177270000"
    return t.events(b"0" + _body(1), headers).status_code


def not_json(t: Target) -> int:
    return t.events(b"\xff\xfe nonsense").status_code


def not_a_list(t: Target) -> int:
    return t.events(b'[1, "x", null]').status_code


def deep(t: Target) -> int:
    return t.events(b"[" * 100_000 + b"]" * 100_000).status_code


def too_many(t: Target) -> int:
    return t.events(b"[" + b"{}," * 10_000 + b"{}]").status_code


def giant(t: Target) -> int:
    return t.events(b"[" + b" " * (3 * MIB) + b"]").status_code


def lying_length(t: Target) -> int:
    return status(t.raw(f"POST {HOOK} HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999999999999\r\n\r\n".encode()))


def endless_chunks(t: Target) -> int:
    chunk = b"10000\r\n" + b"x" * 65536 + b"\r\n"
    head = f"POST {HOOK} HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n".encode()
    return status(t.raw(head + chunk * 40))


def gzip_bomb(t: Target) -> int:
    body = gzip.compress(b"0" * (50 * MIB))
    return t.events(body, {**t.sendgrid.headers(body), "Content-Encoding": "gzip"}).status_code


def two_lengths(t: Target) -> int:
    return status(
        t.raw(f"POST {HOOK} HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\nContent-Length: 4\r\n\r\n[]".encode())
    )


def length_and_chunks(t: Target) -> int:
    head = f"POST {HOOK} HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n"
    return status(t.raw(head.encode() + b"0\r\n\r\nGET /health HTTP/1.1\r\nHost: x\r\n\r\n"))


def odd_chunking(t: Target) -> int:
    head = f"POST {HOOK} HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: xchunked\r\n\r\n"
    return status(t.raw(head.encode() + b"0\r\n\r\n"))


def header_injection(t: Target) -> int:
    return status(t.raw(b"GET /c/%0d%0aSet-Cookie:%20a=b HTTP/1.1\r\nHost: x\r\n\r\n"))


def giant_head(t: Target) -> int:
    return status(t.raw(b"GET /health HTTP/1.1\r\nHost: x\r\nX-A: " + b"a" * 100_000 + b"\r\n\r\n"))


def path_tricks(t: Target) -> int:
    good = t.token()
    tricks = (
        f"/u/../u/{good}", f"//u/{good}", f"/u//{good}", f"/u/{good}/", f"/u/{good}%00", f"/u/{good}%2f..",
        f"/U/{good}",
        f"/u/{good}/../../hooks/sendgrid", "/static/../../etc/passwd", "/docs", "/openapi.json", "/.git/config", "/",
    )  # fmt: skip
    found = {status(t.raw(f"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n".encode())) for path in tricks}
    assert found <= {404, 405}, found
    return 404


def other_purpose(t: Target) -> int:
    return t.web.post(f"/u/{t.token(Purpose.CLICK)}").status_code


def altered_token(t: Target) -> int:
    good = t.token()
    found = {t.web.post(f"/u/{good[:n]}{'A' if good[n] != 'A' else 'B'}{good[n + 1 :]}").status_code for n in range(42)}
    assert found == {404}, found
    return 404


def other_writing(t: Target) -> int:
    """A token whose last letter holds bits that decoding drops."""
    letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    good = t.token()
    same = letters[letters.index(good[-1]) ^ 1]
    return t.web.post(f"/u/{good[:-1]}{same}").status_code


def other_method(t: Target) -> int:
    found = {
        t.web.request(method, f"/u/{t.token()}").status_code
        for method in ("PUT", "DELETE", "PATCH", "TRACE", "OPTIONS")
    }
    assert found == {405}
    return 405


def foreign_host(t: Target) -> int:
    answer = t.web.get(
        f"/c/{t.token(Purpose.CLICK)}", headers={"Host": "evil.example", "X-Forwarded-Host": "evil.example"}
    )
    assert answer.headers["location"] == WEBSITE
    return answer.status_code


def late_request(t: Target) -> int:
    body, stamp = b"[]", str(int(time.time()) - 400)
    headers = {"Campanile-Signature": generic_signature(HOOKS, stamp, body), "Campanile-Timestamp": stamp}
    return t.web.post("/hooks/generic", content=body, headers=headers).status_code


def guessed_key(t: Target) -> int:
    headers = {"Authorization": "Bearer guessed"}
    return t.web.post("/coupons/redeem", json={"code": "X", "order_id": "O"}, headers=headers).status_code


ATTACKS: dict[str, tuple[Callable[[Target], int], int]] = {
    "events signed with another key": (forged, 403),
    "events without a signature": (unsigned, 403),
    "events altered after they were signed": (altered, 403),
    "a digit moved from the timestamp into the body": (shifted, 403),
    "signed, and no JSON": (not_json, 400),
    "signed, and no list of objects": (not_a_list, 400),
    "signed, and 100,000 brackets deep": (deep, 400),
    "signed, and 10,001 events": (too_many, 400),
    "3 MiB": (giant, 413),
    "a Content-Length of 20 digits": (lying_length, 413),
    "chunks without an end": (endless_chunks, 413),
    "a gzip bomb of 50 MiB": (gzip_bomb, 415),
    "two Content-Length headers": (two_lengths, 400),
    "Content-Length beside Transfer-Encoding, a second request inside": (length_and_chunks, 400),
    "an unknown Transfer-Encoding": (odd_chunking, 400),
    "a line break in the path": (header_injection, 404),
    "headers of 100 kB": (giant_head, 400),
    "paths with .., //, %00, %2f, other case; pages about the service": (path_tricks, 404),
    "a token of another purpose": (other_purpose, 404),
    "a token with any one letter changed": (altered_token, 404),
    "the same token written otherwise": (other_writing, 404),
    "PUT, DELETE, PATCH, TRACE, OPTIONS": (other_method, 405),
    "another Host and X-Forwarded-Host at a click": (foreign_host, 302),
    "a generic event signed seven minutes ago": (late_request, 403),
    "a guessed key at the till": (guessed_key, 401),
}


@pytest.mark.parametrize("attack", ATTACKS)
def test_an_attack_gets_its_answer_and_leaves_nothing(target: Target, attack: str) -> None:
    act, expected = ATTACKS[attack]
    before = target.kept()
    assert act(target) == expected
    if act is not foreign_host:  # it is a genuine click, and counted as one
        assert target.kept() == before
    assert target.web.get("/health").status_code == 200


def test_a_replay_is_taken_and_counts_once(target: Target) -> None:
    body = sendgrid_body([sendgrid_event(message_id("winback", 1), 99, "open")])
    headers = target.sendgrid.headers(body)
    before = target.kept()
    assert {target.events(body, headers).status_code for _ in range(5)} == {204}
    assert target.kept() == before + 1
    until(lambda: all(row["state"] for row in rows(target.project, inbox)))
    assert len([row for row in rows(target.project, delivery_event) if row["event_id"] == "open-99"]) == 1


def test_who_sends_a_head_slowly_is_cut_off_and_hinders_nobody(target: Target) -> None:
    lines = [socket.create_connection(("127.0.0.1", target.service.port), timeout=20) for _ in range(50)]
    try:
        for line in lines:
            line.sendall(b"GET /health HTTP/1.1\r\n")
        began = time.monotonic()
        assert target.web.get("/health").status_code == 200
        assert time.monotonic() - began < 2
        while time.monotonic() - began < 9:
            time.sleep(1)
            lines[0].sendall(b"X-A: b\r\n")  # a line now and then does not buy more time
        assert lines[0].recv(100) == b""
        assert 9 < time.monotonic() - began < 14
    finally:
        for line in lines:
            line.close()


def test_who_sends_a_body_slowly_is_cut_off(target: Target) -> None:
    began = time.monotonic()
    answer = target.raw(f"POST {HOOK} HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n[".encode(), patience=20)
    assert status(answer) == 408
    assert 9 < time.monotonic() - began < 14


def test_who_asks_too_often_is_asked_to_wait(tmp_path: Path) -> None:
    project = shop(tmp_path, 1, settings="responses: {hits_per_second: 2}\n")
    with serving(project) as service, service.client() as web:
        found = [web.get(f"/u/{'A' * 42}").status_code for _ in range(12)]
        assert found[:8] == [404] * 8
        assert 429 in found[8:]
        path = f"/c/{token(project, Purpose.CLICK, message_id('winback', 0))}"
        assert web.get(path).status_code == 429
        assert web.get(path, headers={"X-Forwarded-For": "203.0.113.9"}).status_code == 302, "another network"


def test_beyond_the_backlog_providers_are_asked_to_come_again(tmp_path: Path) -> None:
    project, sendgrid = shop(tmp_path, 2, settings="responses: {backlog: 3}\n"), SendGrid()
    with serving(project, "--only-keep", keys=sendgrid.public) as service, service.client() as web:
        body = sendgrid_body([sendgrid_event(message_id("winback", 0), n) for n in range(3)])
        assert web.post(HOOK, content=body, headers=sendgrid.headers(body)).status_code == 204
        more = sendgrid_body([sendgrid_event(message_id("winback", 0), 7)])
        answer = web.post(HOOK, content=more, headers=sendgrid.headers(more))
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "30")
        refusal = web.post(f"/u/{token(project, Purpose.UNSUBSCRIBE, message_id('winback', 0))}")
        assert refusal.status_code == 200, "a refusal is always taken"


def test_when_the_ledger_is_held_nothing_is_confirmed(tmp_path: Path) -> None:
    project, sendgrid = shop(tmp_path, 1), SendGrid()
    with serving(project, keys=sendgrid.public) as service, service.client() as web:
        with Ledger.open(project.ledger_place) as ledger, ledger.writing() as connection:
            connection.execute(tables.meta.insert().values(key="held", value="x"))
            body = sendgrid_body([sendgrid_event(message_id("winback", 0), 1)])
            assert web.post(HOOK, content=body, headers=sendgrid.headers(body)).status_code == 503
            click = web.get(f"/c/{token(project, Purpose.CLICK, message_id('winback', 0))}")
            assert (click.status_code, click.headers["location"]) == (302, WEBSITE)
        assert web.post(HOOK, content=body, headers=sendgrid.headers(body)).status_code == 204


def test_answers_and_logs_name_nobody(tmp_path: Path) -> None:
    project, sendgrid = shop(tmp_path, 1), SendGrid()
    with serving(project, keys=sendgrid.public) as service, service.client() as web:
        body = sendgrid_body([{**sendgrid_event("", 1), "email": "secret.person@mail.example"}])
        for headers in ({}, sendgrid.headers(body)):
            assert "secret" not in web.post(HOOK, content=body, headers=headers).text
        for path in (f"/u/{token(project, Purpose.UNSUBSCRIBE, message_id('winback', 0))}", "/metrics"):
            text = web.get(path).text
            assert "c0@mail.example" not in text
            assert "C000000" not in text


def test_the_page_lists_every_attack_with_its_answer() -> None:
    text = PAGE.read_text(encoding="utf-8")
    found = dict(re.findall(r"^\| ([^|]+?) \| (\d{3}) \|", text, flags=re.MULTILINE))
    for attack, (_, expected) in ATTACKS.items():
        assert found.get(attack) == str(expected), attack


def test_json_of_many_sorts_breaks_nothing(target: Target) -> None:
    odd = [
        {"event": None},
        {"timestamp": -1},
        {"sg_event_id": "x" * 9999},
        {"email": {"a": 1}},
        {"timestamp": 1e308},
        {},
    ]
    for each in odd:
        body = json.dumps([each]).encode()
        assert target.events(body).status_code == 204
    until(lambda: all(row["state"] for row in rows(target.project, inbox)))
    assert target.web.get("/health").status_code == 200


def test_a_fault_of_ours_is_told_by_its_place_and_stops_nothing(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The inbox cannot be understood for a while: what comes is kept, and the log names nobody."""
    import asyncio

    from campanile.messages.tokens import open_key_ring
    from campanile.responses import service as room

    project = shop(tmp_path, 1)

    def broken(*_args: object, **_options: object) -> None:
        raise RuntimeError("secret.person@mail.example")

    async def live() -> int:
        with Ledger.open(project.ledger_place) as ledger:
            app = room.make_app(project, ledger, open_key_ring(project.home))
            transport = httpx.ASGITransport(app)
            async with (
                app.router.lifespan_context(app),
                httpx.AsyncClient(transport=transport, base_url="http://t") as web,
            ):
                await asyncio.sleep(0.2)
                path = f"/c/{token(project, Purpose.CLICK, message_id('winback', 0))}"
                return (await web.get(path)).status_code

    before, room.process = room.process, broken  # type: ignore[assignment]
    try:
        assert asyncio.run(live()) == 302
    finally:
        room.process = before
    assert "RuntimeError at test_attackers.py" in caplog.text
    assert "secret" not in caplog.text
    assert len(rows(project, inbox)) == 1
