"""Providers, other systems and tills call a real service; what they say takes effect once."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from datetime import timedelta
from typing import Any, NamedTuple

import httpx
import pytest
from twilio.request_validator import RequestValidator

from campanile.events import MessageState
from campanile.ledger import Ledger, Mode
from campanile.ledger.hand_overs import claim, exchange
from campanile.ledger.repair import recover
from campanile.ledger.response_tables import consent, delivery, delivery_event, inbox, redemption, refusal
from campanile.messages.tokens import Purpose
from campanile.responses.inbox import forget_understood
from campanile.responses.process import process
from campanile.responses.signatures import generic_signature
from campanile.spec.project import Project
from support.plans import NOW, message_id
from support.service import (
    BASE,
    HOOKS,
    SHOP,
    TWILIO,
    SendGrid,
    Service,
    ring_of,
    rows,
    sendgrid_body,
    sendgrid_event,
    serving,
    shop,
    token,
    until,
)  # fmt: skip

FORM = {"Content-Type": "application/x-www-form-urlencoded"}


class Open(NamedTuple):
    project: Project
    service: Service
    web: httpx.Client
    sendgrid: SendGrid

    def events(self, events: list[dict[str, Any]]) -> httpx.Response:
        body = sendgrid_body(events)
        return self.web.post("/hooks/sendgrid", content=body, headers=self.sendgrid.headers(body))

    def twilio(self, path: str, fields: dict[str, str]) -> httpx.Response:
        signature = RequestValidator(TWILIO).compute_signature(f"{BASE}{path}", fields)
        return self.web.post(path, data=fields, headers={"X-Twilio-Signature": signature})

    def delivery(self, number: int) -> dict[str, Any] | None:
        wanted = message_id("winback", number)
        return next((row for row in rows(self.project, delivery) if row["message_id"] == wanted), None)

    def suppressed(self, address: str, channel: str = "email") -> bool:
        with Ledger.open(self.project.ledger_place) as ledger:
            return ledger.is_suppressed(channel, address)


@pytest.fixture(scope="module")
def opened(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Open]:
    project = shop(tmp_path_factory.mktemp("hooks"), 30)
    sendgrid = SendGrid()
    with serving(project, keys=sendgrid.public) as service, service.client() as web:
        yield Open(project, service, web, sendgrid)


def test_events_of_sendgrid_are_kept_once_and_folded(opened: Open) -> None:
    events = [sendgrid_event(message_id("winback", 1), n, kind) for n, kind in enumerate(("delivered", "processed"))]
    for _ in range(3):
        answer = opened.events([*events, *events])
        assert (answer.status_code, answer.content) == (204, b"")
    until(lambda: opened.delivery(1) is not None)
    assert opened.delivery(1)["status"] == "delivered"  # type: ignore[index]
    assert len([row for row in rows(opened.project, inbox) if row["provider"] == "sendgrid"]) == 2


def test_a_bounce_and_a_complaint_suppress_the_address_of_the_message(opened: Open) -> None:
    bounce = sendgrid_event(message_id("winback", 2), 2, "bounce", type="bounce", email="somebody@else.example")
    report = sendgrid_event(message_id("winback", 3), 3, "spamreport")
    assert opened.events([bounce, report]).status_code == 204
    until(lambda: opened.suppressed("c2@mail.example") and opened.suppressed("C3@mail.example"))
    assert not opened.suppressed("somebody@else.example")
    logged = {(row["customer_id"], row["decision"], row["source"]) for row in rows(opened.project, consent)}
    assert ("C000003", "no", "sendgrid complained") in logged


def test_an_event_of_a_message_of_somebody_else_suppresses_by_its_address(opened: Open) -> None:
    event = {**sendgrid_event("", 50, "unsubscribe"), "email": "Old.Customer@mail.example"}
    assert opened.events([event]).status_code == 204
    until(lambda: opened.suppressed("old.customer@mail.example"))


def test_an_event_settles_an_unknown_hand_over(opened: Open) -> None:
    with Ledger.open(opened.project.ledger_place) as ledger:
        plan = ledger.plan("winback")
        assert plan is not None
        ledger.set_state(plan.plan_id, "sending")
        taken = claim(ledger, plan.plan_id, 0, now=NOW, limit=1)
        exchange(ledger, plan.plan_id, wanted=taken, mode=Mode("sendgrid"), now=NOW)
        recover(ledger, plan.plan_id, Mode("sendgrid"), NOW + timedelta(minutes=1))
        assert ledger.tally(plan.plan_id)[MessageState.UNKNOWN] == 1
        assert opened.events([sendgrid_event(taken[0].message_id, 60, "deferred")]).status_code == 204
        until(lambda: ledger.tally(plan.plan_id)[MessageState.UNKNOWN] == 0)
        assert ledger.tally(plan.plan_id)[MessageState.ACCEPTED] == 1


@pytest.mark.parametrize("path", ["/hooks/twilio/status/{}", "/hooks/twilio/{}"])
def test_a_status_of_twilio_finds_its_message_by_the_token(opened: Open, path: str) -> None:
    number = 10 if "status" in path else 11
    path = path.format(token(opened.project, Purpose.STATUS, message_id("winback", number)))
    sid = f"SM{number:032x}"
    for status in ("delivered", "sent", "delivered"):
        fields = {"MessageSid": sid, "MessageStatus": status, "To": "+8613800138000", "AccountSid": "AC1"}
        assert opened.twilio(path, fields).status_code == 204
    until(lambda: opened.delivery(number) is not None)
    assert opened.delivery(number)["status"] == "delivered"  # type: ignore[index]
    kept = next(row["raw"] for row in rows(opened.project, inbox) if sid in row["event_id"])
    assert "13800138000" not in kept


@pytest.mark.parametrize(
    ("words", "more", "suppressed"),
    [
        ("退订", {}, True),
        (" stop ", {}, True),
        ("R", {}, True),
        ("whatever", {"OptOutType": "STOP"}, True),
        ("when do you close?", {}, False),
    ],
)
def test_a_no_by_text_message_is_in_force_at_once(
    opened: Open, words: str, more: dict[str, str], *, suppressed: bool
) -> None:
    number = f"+8613900{abs(hash(words + str(more))) % 100_000:05d}"
    fields = {"MessageSid": f"SM{number[1:]}", "From": number, "To": "+1555", "Body": words, **more}
    answer = opened.twilio("/hooks/twilio/inbound", fields)
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/xml")
    assert opened.suppressed(number, "sms") is suppressed
    again = {**fields, "MessageSid": f"{fields['MessageSid']}b", "Body": "START", "OptOutType": "START"}
    time.sleep(1.1)
    assert opened.twilio("/hooks/twilio/inbound", again).status_code == 200
    assert not opened.suppressed(number, "sms")


def test_other_systems_speak_our_words(opened: Open) -> None:
    events = [
        {"event_id": "g1", "type": "delivered", "message_id": message_id("winback", 20), "at": "2026-03-05T03:00:00Z"},
        {"event_id": "g2", "type": "unsubscribed", "channel": "sms", "address": "138 0013 9999"},
        {"event_id": "g3", "type": "no such type", "message_id": message_id("winback", 20)},
    ]
    body = json.dumps(events).encode()
    stamp = str(int(time.time()))
    headers = {"Campanile-Signature": generic_signature(HOOKS, stamp, body), "Campanile-Timestamp": stamp}
    assert opened.web.post("/hooks/generic", content=body, headers=headers).status_code == 204
    until(lambda: opened.suppressed("13800139999", "sms"))
    assert opened.delivery(20)["status"] == "delivered"  # type: ignore[index]
    assert [row["state"] for row in rows(opened.project, inbox) if row["event_id"] == "g3"] == [2]


class TestCoupons:
    @pytest.fixture(scope="class")
    @classmethod
    def till(cls, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Project, httpx.Client]]:
        root = tmp_path_factory.mktemp("till")
        project = shop(root, 5)
        spec = root / "campaigns" / "winback.yaml"
        text = spec.read_text(encoding="utf-8")
        spec.write_text(text.replace("amount: 50}", "amount: 50, code: one per customer}"), encoding="utf-8")
        from campanile.spec.project import load_project
        from support.plans import planned
        from support.sent_project import write_plan

        project = load_project(root)
        write_plan(project, [planned(n) for n in range(5)], plan_id="plan-codes")
        with serving(project) as service, service.client() as web:
            web.headers["Authorization"] = f"Bearer {SHOP}"
            yield project, web

    def redeem(self, web: httpx.Client, **said: object) -> httpx.Response:
        return web.post("/coupons/redeem", json=said)

    def test_a_code_is_good_for_one_order(self, till: tuple[Project, httpx.Client]) -> None:
        project, web = till
        code = ring_of(project).code(message_id("winback", 1))
        first = self.redeem(web, code=code.lower(), order_id="O1", amount=149.5)
        assert (first.status_code, first.json()["state"], first.json()["campaign"]) == (200, "redeemed", "winback")
        assert self.redeem(web, code=code, order_id="O1").json()["state"] == "known"
        assert self.redeem(web, code=code, order_id="O2").status_code == 409
        kept = rows(project, redemption)
        assert [(row["order_id"], row["amount"], row["customer_id"]) for row in kept] == [("O1", 14_950, "C000001")]

    def test_a_code_of_nobody_is_not_found(self, till: tuple[Project, httpx.Client]) -> None:
        assert self.redeem(till[1], code="NOSUCHCODE", order_id="O9").status_code == 404

    @pytest.mark.parametrize(
        "said", [{}, {"code": "X"}, {"code": 1, "order_id": "O"}, {"code": "X", "order_id": "O", "y": 1}]
    )
    def test_what_is_no_redemption_is_refused(
        self, till: tuple[Project, httpx.Client], said: dict[str, object]
    ) -> None:
        assert self.redeem(till[1], **said).status_code == 400

    @pytest.mark.parametrize("header", ["", "Bearer wrong", "Bearer x y", f"Basic {SHOP}", SHOP])
    def test_without_a_key_nobody_redeems(self, till: tuple[Project, httpx.Client], header: str) -> None:
        answer = till[1].post("/coupons/redeem", json={"code": "X", "order_id": "O"}, headers={"Authorization": header})
        assert answer.status_code == 401


def test_health_and_metrics_say_how_it_is(opened: Open) -> None:
    assert opened.web.get("/health").text == "ok\n"
    text = opened.web.get("/metrics").text
    assert "campanile_backlog " in text
    assert 'campanile_answers_total{what="/hooks/sendgrid 204"}' in text
    assert "@" not in text
    assert opened.web.get("/metrics", headers={"X-Forwarded-For": "8.8.8.8"}).status_code == 404


def test_replaying_the_inbox_from_empty_gives_the_same(opened: Open) -> None:
    made = (delivery_event, delivery, consent, refusal)

    def kept() -> list[Any]:
        from campanile.ledger import tables

        return [sorted(rows(opened.project, table), key=str) for table in (*made, tables.suppression)]

    path = f"/p/{token(opened.project, Purpose.UNSUBSCRIBE, message_id('winback', 21))}"
    assert opened.web.post(path, data={"choice": "nothing"}).status_code == 200
    until(lambda: all(row["state"] for row in rows(opened.project, inbox)))
    before = kept()
    with Ledger.open(opened.project.ledger_place) as ledger:
        forget_understood(ledger)
        process(ledger, most=7)
        process(ledger)
    assert kept() == before
    assert all(before)
