"""The unsubscribe link of a mail that was really sent: GET does nothing, POST acts before the next mail."""

from __future__ import annotations

import re
from datetime import timedelta
from email import message_from_bytes
from email.policy import default
from pathlib import Path

import pytest

from campanile.events import MessageState
from campanile.ledger import Ledger
from campanile.sending.run import run_campaign
from support.plans import NOW, planned
from support.sent_project import write_plan, write_project
from support.service import BASE, serving
from support.smtp_sink import running_sink


def test_the_link_of_a_sent_mail_stops_the_planned_ones(tmp_path: Path) -> None:
    with running_sink() as sink:
        project = write_project(tmp_path, port=sink.port)
        # The same address has a second message that is due an hour later: a household shares it.
        later = planned(1, address="c0@mail.example", due_at=NOW + timedelta(hours=1))
        write_plan(project, [planned(0), later])
        run_campaign(project, "winback", mode="send", now=lambda: NOW)
        mail = message_from_bytes(sink.taken[0].content, policy=default)
        header = re.fullmatch(r"<(https://[^>]+)>(, <mailto:[^>]+>)?", str(mail["List-Unsubscribe"]))
        assert header is not None
        assert mail["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
        path = header[1].removeprefix(BASE)
        body = mail.get_body(("html",))
        assert body is not None
        assert header[1] in body.get_content()
        with serving(project) as service, service.client() as web:
            assert web.get(path).status_code == 200
            assert _suppressed(project.ledger_place) is False
            answer = web.post(path, data={"List-Unsubscribe": "One-Click"}, headers={"User-Agent": ""})
            assert answer.status_code == 200
            assert _suppressed(project.ledger_place) is True
        run_campaign(project, "winback", mode="send", now=lambda: NOW + timedelta(hours=1))
        assert len(sink.taken) == 1
    with Ledger.open(project.ledger_place) as ledger:
        plan = ledger.plan("winback")
        assert plan is not None
        tally = ledger.tally(plan.plan_id)
    assert (tally[MessageState.ACCEPTED], tally[MessageState.SUPPRESSED]) == (1, 1)


def _suppressed(place: Path) -> bool:
    with Ledger.open(place) as ledger:
        return ledger.is_suppressed("email", "c0@mail.example")


@pytest.mark.parametrize(("choice", "kept_away"), [("topic", True), ("nothing", True), ("all", False)])
def test_a_choice_is_read_by_the_last_check_before_the_hand_over(
    tmp_path: Path, choice: str, *, kept_away: bool
) -> None:
    from campanile.messages.tokens import Purpose
    from campanile.spec.project import load_project
    from support.service import token

    with running_sink() as sink:
        project = write_project(tmp_path, port=sink.port)
        spec = tmp_path / "campaigns" / "winback.yaml"
        spec.write_text(spec.read_text(encoding="utf-8") + "topic: News\n", encoding="utf-8")
        project = load_project(tmp_path)
        message = planned(0)
        write_plan(project, [message])
        with serving(project) as service, service.client() as web:
            path = f"/p/{token(project, Purpose.UNSUBSCRIBE, message.message_id)}"
            assert web.post(path, data={"choice": choice}).status_code == 200
        run_campaign(project, "winback", mode="send", now=lambda: NOW)
        assert (not sink.taken) is kept_away
