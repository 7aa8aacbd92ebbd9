"""Whole runs through each provider: a plan, `campanile run --mode send`, and what lies at the other end."""

from __future__ import annotations

import csv
import json
from datetime import timedelta
from pathlib import Path

import pytest

from campanile.cli.main import main
from campanile.events import MessageState
from campanile.ledger import Ledger
from campanile.ledger.hand_overs import foresee
from campanile.messages.tokens import Purpose, open_key_ring
from campanile.spec.project import load_project
from support import gateway_fake, sendgrid_fake, twilio_fake
from support.plans import NOW, message_id, planned
from support.sent_project import write_plan, write_project
from support.web_fake import running

AT = "2026-03-05T10:30"


def run(root: Path, capsys: pytest.CaptureFixture[str], *, at: str = AT) -> dict[str, object]:
    """What the command line says of one run."""
    capsys.readouterr()
    main(["run", "winback", "--project", str(root), "--mode", "send", "--now", at, "--json"])
    found: dict[str, object] = json.loads(capsys.readouterr().out)
    return found


def counts(report: dict[str, object], *states: str) -> list[object]:
    return [report[state] for state in states]


class TestSendgrid:
    @pytest.fixture(autouse=True)
    def _key(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("SENDGRID_KEY", sendgrid_fake.KEY)

    def project(self, root: Path, fake: sendgrid_fake.SendgridFake) -> object:
        changes = {"api_key_env": "SENDGRID_KEY", "connections": 4, "timeout": 2}
        return write_project(root, via="sendgrid", host=fake.url, **changes)

    def test_every_mail_is_taken_once_and_accounted_for(
        self, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        fates = ["ok"] * 40 + ["hang", "close", "503taken", "once-429", "reset"]
        messages = [planned(n, address=f"{fate}.{n}@mail.example") for n, fate in enumerate(fates)]
        with running(sendgrid_fake.SendgridFake()) as fake:
            write_plan(self.project(tmp_path, fake), messages)  # type: ignore[arg-type]
            first = run(tmp_path, capsys)
            again = run(tmp_path, capsys)
        assert counts(first, "planned", "accepted", "unknown", "due") == [45, 41, 4, 0]
        assert again["accepted"] == 41
        assert sorted(fake.recipients()) == sorted(message.address for message in messages)
        mail = next(mail for mail in fake.taken if mail.message_id == message_id("winback", 0))
        headers = mail.request["personalizations"][0]["headers"]
        assert headers["List-Unsubscribe"].startswith("<https://t.example.com/u/")
        assert headers["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
        assert mail.run == "plan-winback"

    def test_lost_answers_are_found_in_its_log(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        fates = ["ok", "close", "503taken", "503"]
        messages = [planned(n, address=f"{fate}.{n}@mail.example") for n, fate in enumerate(fates)]
        with running(sendgrid_fake.SendgridFake()) as fake:
            write_plan(self.project(tmp_path, fake), messages)  # type: ignore[arg-type]
            assert counts(run(tmp_path, capsys), "accepted", "unknown") == [1, 3]
            fake.faults = {"": ""}
            main(["resolve", "winback", "--ask-provider", "--project", str(tmp_path), "--json"])
            said = json.loads(capsys.readouterr().out)
        assert [said[name] for name in ("accepted", "not_sent", "unknown")] == [2, 0, 1], "503 alone is no evidence"
        main(["status", "winback", "--project", str(tmp_path), "--json"])
        assert counts(json.loads(capsys.readouterr().out), "accepted", "unknown") == [3, 1]

    def test_a_revoked_key_stops_the_run_and_leaves_everything_due(
        self, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        with running(sendgrid_fake.SendgridFake(key="another")) as fake:
            write_plan(self.project(tmp_path, fake), [planned(n) for n in range(30)])  # type: ignore[arg-type]
            with pytest.raises(SystemExit):
                main(["run", "winback", "--project", str(tmp_path), "--mode", "send", "--now", AT])
            assert "SendGrid refuses the key (401); check the key in SENDGRID_KEY" in capsys.readouterr().err
            main(["status", "winback", "--project", str(tmp_path), "--json"])
            assert counts(json.loads(capsys.readouterr().out), "due", "unknown", "accepted") == [30, 0, 0]
            fake.key = sendgrid_fake.KEY
            assert run(tmp_path, capsys)["accepted"] == 30


class TestTwilio:
    @pytest.fixture(autouse=True)
    def _keys(self, monkeypatch: pytest.MonkeyPatch) -> None:
        for name in ("ACCOUNT", "KEY", "SECRET"):
            monkeypatch.setenv(f"TWILIO_{name}", getattr(twilio_fake, name))

    def project(self, root: Path, fake: twilio_fake.TwilioFake) -> object:
        names = {"account_sid_env": "TWILIO_ACCOUNT", "api_key_env": "TWILIO_KEY", "api_secret_env": "TWILIO_SECRET"}
        service = {"messaging_service": twilio_fake.SERVICE, "connections": 4, "timeout": 2}
        return write_project(root, medium="sms", via="twilio", host=fake.url, **names, **service)

    def message(self, number: int) -> object:
        return planned(number, channel="sms", address=f"+86138001{number:05d}", expires_at=NOW + timedelta(days=3))

    def test_every_text_is_taken_once_and_accounted_for(
        self, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        messages = [self.message(n) for n in range(45)]
        with running(twilio_fake.TwilioFake()) as fake:
            fates = {3: "hang", 7: "close", 11: "503taken", 13: "once-429", 17: "21610", 19: "21211"}
            fake.faults = {messages[n].address: fate for n, fate in fates.items()}  # type: ignore[attr-defined]
            project = self.project(tmp_path, fake)
            write_plan(project, messages)  # type: ignore[arg-type]
            first = run(tmp_path, capsys)
            again = run(tmp_path, capsys)
        assert counts(first, "planned", "accepted", "unknown", "rejected", "due") == [45, 40, 3, 2, 0]
        assert again["accepted"] == 40
        assert len(set(fake.recipients())) == len(fake.taken) == 43
        sms = next(sms for sms in fake.taken if sms.to == "+8613800100000")
        token = sms.callback.removeprefix("https://t.example.com/hooks/twilio/").removesuffix("#rc=5&rp=all")
        signed = open_key_ring(tmp_path / "runs").verify(Purpose.STATUS, token)
        assert signed is not None
        assert signed.message_id == message_id("winback", 0)

    def test_a_text_in_the_queue_does_not_live_into_the_night(
        self, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        with running(twilio_fake.TwilioFake()) as fake:
            write_plan(self.project(tmp_path, fake), [self.message(1)])  # type: ignore[arg-type]
            run(tmp_path, capsys, at="2026-03-05T20:15")
        assert 44 * 60 < fake.taken[0].validity <= 45 * 60, "quiet hours begin at 21:00 in Shanghai"


class TestGateway:
    def test_every_text_is_taken_once_with_signature_and_refusal(
        self, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("GATEWAY_KEY", gateway_fake.KEY)
        messages = [planned(n, channel="sms", address=f"+86138001{n:05d}") for n in range(30)]
        with running(gateway_fake.GatewayFake()) as fake:
            fake.faults = {"13800100003": "hang", "13800100007": "2001", "13800100011": "once-1011"}
            description = {"url": fake.url, **gateway_fake.GATEWAY}
            rules = {"signature": "【Shop】", "rules": {"pack": "cn-sms"}, "timeout": 2}
            project = write_project(tmp_path, medium="sms", via="http", gateway=description, **rules)
            write_plan(project, messages)
            first = run(tmp_path, capsys)
            again = run(tmp_path, capsys)
        assert counts(first, "planned", "accepted", "unknown", "rejected", "due") == [30, 28, 1, 1, 0]
        assert again["accepted"] == 28
        assert len({form["mobile"] for form in fake.taken}) == len(fake.taken) == 29
        assert {form["content"][:6] for form in fake.taken} == {"【Shop】"}
        assert {form["content"][-6:] for form in fake.taken} == {"拒收请回复R"}


class TestExport:
    def test_everybody_is_on_a_list_once_and_what_became_of_them_comes_back(
        self, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        messages = [planned(n, channel="sms", address=f"+86138001{n:05d}") for n in range(30)]
        write_plan(write_project(tmp_path, medium="sms", via="export"), messages)
        assert counts(run(tmp_path, capsys), "planned", "accepted", "due") == [30, 30, 0]
        assert run(tmp_path, capsys)["accepted"] == 30
        (made,) = (tmp_path / "runs" / "outbox" / "winback" / "1").glob("*.csv")
        with made.open(encoding="utf-8-sig", newline="") as file:
            rows = list(csv.DictReader(file))
        assert sorted(row["message_id"] for row in rows) == sorted(message.message_id for message in messages)
        back = tmp_path / "back.csv"
        results = [(rows[0], "delivered"), (rows[1], "rejected"), (rows[2], "stop")]
        back.write_text(
            "Message_ID,Result,at\n"
            + "".join(f"{row['message_id']},{result},2026-03-06T10:00:00+08:00\n" for row, result in results)
            + f"{'0' * 32},delivered,\n{rows[3]['message_id']},lost,\nx,delivered,\n"
        )
        with pytest.raises(SystemExit):
            main(["responses", "results", "winback", str(back), "--project", str(tmp_path), "--json"])
        said = json.loads(capsys.readouterr().out)
        assert [said[name] for name in ("rows", "new", "strangers", "unreadable")] == [6, 3, 1, 2]
        assert said["sentences"][0].startswith("row 6: the result is unknown; known: accepted, bounced")
        assert said["sentences"][1] == "row 7: message_id is none of ours"
        with Ledger.open(load_project(tmp_path).ledger_place) as ledger:
            refused = [message for message in messages if message.message_id == rows[2]["message_id"]]
            suppressed = foresee(ledger, refused, held={}, now=NOW)
        assert suppressed == [MessageState.SUPPRESSED]
