"""Lists of suppressed addresses and of answers that were given elsewhere."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from click.testing import CliRunner

from campanile.cli.main import cli
from campanile.errors import CampanileError, ProblemsError
from campanile.events import MessageState, Receipt
from campanile.events import Outcome as Came
from campanile.ledger import Ledger, Mode
from campanile.ledger.attribution import answers_of
from campanile.ledger.hand_overs import claim, exchange
from campanile.ledger.repair import recover
from campanile.plan.make import STEP
from campanile.plan.make import message_id as planned_id
from campanile.responses import own, show
from campanile.responses.inbox import Arrival, drop_raw, keep
from campanile.responses.process import process
from campanile.responses.reconcile import reconcile
from campanile.responses.sheets import export_suppressions, import_answers, import_suppressions
from campanile.spec.campaign import ONLY_WAVE
from campanile.spec.project import Project
from support.plans import NOW, message_id, plan_record, planned
from support.sent_project import write_plan, write_project
from support.service import shop

ZONE = ZoneInfo("Asia/Shanghai")
LATER = NOW + timedelta(days=2)


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return shop(tmp_path, 6)


@pytest.fixture
def ledger(project: Project) -> Iterator[Ledger]:
    with Ledger.open(project.ledger_place) as opened:
        yield opened


def write(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


def test_a_list_of_addresses_is_in_force_once_and_comes_out_again(ledger: Ledger, tmp_path: Path) -> None:
    file = write(
        tmp_path / "list.csv", "channel,address,reason\nemail,C1@mail.example,letter\nsms,+86 138 0013 8000,\n"
    )
    assert import_suppressions(ledger, file, now=NOW).to_json() == {"rows": 2, "new": 2}
    assert import_suppressions(ledger, file, now=NOW).new == 0
    assert ledger.is_suppressed("email", "c1@mail.example")
    assert ledger.is_suppressed("sms", "0086 13800138000")
    out = tmp_path / "out.csv"
    assert export_suppressions(ledger, out) == 2
    assert out.stat().st_mode & 0o777 == 0o600
    lines = out.read_text(encoding="utf-8").splitlines()
    assert "email,c1@mail.example,letter,file list.csv,2026-03-05T02:30:00+00:00" in lines
    with Ledger.open(tmp_path / "other.sqlite") as other:
        assert import_suppressions(other, out, now=LATER).new == 2


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("channel,address\npost,x\n", "list.csv:2: the channel is none; write one of email, sms"),
        ("channel,address\nemail,secretname\n", "list.csv:2: the address cannot be one of that channel"),
        ("channel,address,at\nemail,a@b.example,last week\n", "list.csv:2: at is no moment; write it as in 2026-03-05"),
        ("channel,adress\n", "list.csv has no column address"),
        ("channel,address,colour\n", 'list.csv has a column "colour"'),
        ("", "list.csv has no column channel"),
    ],
)
def test_a_list_that_cannot_be_read_says_where_and_shows_nobody(
    ledger: Ledger, tmp_path: Path, text: str, said: str
) -> None:
    with pytest.raises((CampanileError, ProblemsError)) as found:
        import_suppressions(ledger, write(tmp_path / "list.csv", text), now=NOW)
    assert said in str(found.value)
    assert "secretname" not in str(found.value)
    assert list(ledger.suppressions()) == []


def test_answers_given_elsewhere_count_once(tmp_path: Path) -> None:
    project = write_project(tmp_path)
    named = planned_id("winback", ONLY_WAVE, STEP, "C000001")
    write_plan(project, [planned(1, message_id=named), planned(2)])
    text = (
        "campaign,customer_id,message_id,kind,at,words\n"
        "winback,C000001,,call,2026-03-06 10:00,wants the blue one\n"
        f",,{message_id('winback', 2)},stop,,\n"
    )
    file = write(tmp_path / "calls.csv", text)
    with Ledger.open(project.ledger_place) as ledger:
        assert import_answers(ledger, file, ZONE, now=LATER).to_json() == {"rows": 2, "new": 2}
        assert import_answers(ledger, file, ZONE, now=LATER).new == 0
        process(ledger)
        plan = ledger.plan("winback")
        assert plan is not None
        arm = answers_of(ledger, [plan])[0]
        assert (arm.replied, arm.unsubscribed) == (1, 1)
        assert ledger.is_suppressed("email", "c2@mail.example")


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ("winback,C1,,fax,,", "kind is none of reply, call, visit, stop"),
        (",C1,,call,,", "neither message_id nor campaign and customer_id"),
        (",,zz,call,,", "message_id is no id of a message"),
        ("winback,C1,,call,2099-01-01,", "at has not come yet"),
        ("winback,C1,,call,yesterday,", "cannot read the time"),
    ],
)
def test_an_answer_that_cannot_be_read_names_its_line(ledger: Ledger, tmp_path: Path, row: str, said: str) -> None:
    file = write(tmp_path / "calls.csv", f"campaign,customer_id,message_id,kind,at,words\n{row}\n")
    with pytest.raises(ProblemsError) as found:
        import_answers(ledger, file, ZONE, now=LATER)
    assert f"calls.csv:2: {said}" in str(found.value)


class TestReconcile:
    def hand_over(self, ledger: Ledger, channel: str, count: int) -> list[str]:
        plan = ledger.plan("winback")
        assert plan is not None
        ledger.set_state(plan.plan_id, "sending")
        taken = claim(ledger, plan.plan_id, 0, now=NOW, limit=count)
        exchange(ledger, plan.plan_id, wanted=taken, mode=Mode(channel), now=NOW)
        return [message.message_id for message in taken]

    def test_what_events_settle_and_what_a_person_must_ask(self, ledger: Ledger) -> None:
        plan = ledger.plan("winback")
        assert plan is not None
        ids = self.hand_over(ledger, "smtp", 3)
        with ledger.writing() as connection:
            said = {"type": "clicked", "message_id": ids[0]}
            keep(connection, [Arrival(own.GENERIC, "g", own.written(said))], NOW)
        process(ledger)  # before anybody knows that the sender is dead
        recover(ledger, plan.plan_id, Mode("smtp"), NOW)
        assert ledger.tally(plan.plan_id)[MessageState.UNKNOWN] == 3
        found = reconcile(ledger, now=NOW + timedelta(minutes=20), silence=timedelta(days=1))
        assert found.settled == 1
        assert [(lost.channel, lost.messages) for lost in found.lost] == [("smtp", 2)]
        assert "campanile resolve winback" in found.text()
        assert reconcile(ledger, now=NOW + timedelta(minutes=5), silence=timedelta(days=1)).lost == ()

    def test_a_provider_that_falls_silent_is_named(self, ledger: Ledger) -> None:
        ids = self.hand_over(ledger, "sendgrid", 2)
        plan = ledger.plan("winback")
        assert plan is not None
        receipts = [Receipt(each, Came.ACCEPTED) for each in ids]
        exchange(ledger, plan.plan_id, answers=receipts, mode=Mode("sendgrid"), now=NOW)
        day = timedelta(days=1)
        assert reconcile(ledger, now=NOW + timedelta(hours=2), silence=day).silent == ()
        silent = reconcile(ledger, now=LATER, silence=day).silent
        assert [(each.provider, each.accepted, each.last_event) for each in silent] == [("sendgrid", 2, None)]
        with ledger.writing() as connection:
            keep(connection, [Arrival("sendgrid", "e", "{}")], LATER)
        assert reconcile(ledger, now=LATER + timedelta(minutes=1), silence=day).silent == ()


def test_raw_text_goes_after_its_time_and_events_stay(ledger: Ledger) -> None:
    from campanile.ledger.response_tables import delivery_event, inbox
    from campanile.responses.inbox import forget_understood

    said = {"type": "delivered", "message_id": message_id("winback", 1), "at": "2026-03-05T03:00:00+00:00"}
    with ledger.writing() as connection:
        keep(connection, [Arrival(own.GENERIC, "g", own.written(said))], NOW)
    process(ledger)
    assert drop_raw(ledger, NOW) == 0
    assert drop_raw(ledger, LATER) == 1
    forget_understood(ledger)
    process(ledger)
    with ledger.reading() as connection:
        assert connection.execute(inbox.select()).one().raw == ""
        assert connection.execute(delivery_event.select()).one().type == "delivered"


def test_the_commands_say_what_they_did(project: Project, tmp_path: Path) -> None:
    def printed(*words: str) -> dict[str, object]:
        done = CliRunner().invoke(cli, [*words, "--json", "--project", str(project.root)], catch_exceptions=False)
        assert done.exit_code == 0, done.output
        found: dict[str, object] = json.loads(done.stdout)
        return found

    file = write(tmp_path / "list.csv", "channel,address\nemail,c1@mail.example\n")
    assert printed("suppress", "import", str(file)) == {"contract": 1, "rows": 1, "new": 1}
    assert printed("suppress", "export", str(tmp_path / "out.csv"))["rows"] == 1
    assert printed("responses", "process", "--again")["read"] == 0
    assert printed("responses", "reconcile")["lost"] == []
    arms = printed("responses", "show", "winback")["arms"]
    assert isinstance(arms, list)
    assert arms[0]["handed_over"] == 0


def test_all_waves_of_a_repeating_campaign_are_shown_together(tmp_path: Path) -> None:
    plans = [plan_record(plan_id=day, wave=day) for day in ("2026-03-12", "2026-03-05")]
    with Ledger.open(tmp_path / "ledger.sqlite") as ledger:
        for number, plan in enumerate(plans):
            ledger.register(plan, [planned(number)])
        found = sorted(ledger.plans(), key=lambda plan: plan.wave)
        arms = answers_of(ledger, found)
    assert show.text(found, arms).startswith("winback, wave 2026-03-05 to 2026-03-12: what came back")
    assert show.to_json(found, arms, 100)["wave"] == "2026-03-05 to 2026-03-12"
