"""Bad input on the way to a provider: each has an outcome and a sentence, and the run goes on or stops as it should."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from campanile.cli.main import main
from campanile.events import PlannedMessage
from campanile.spec.project import Project
from support import sendgrid_fake, twilio_fake
from support.plans import planned
from support.sent_project import write_plan, write_project
from support.web_fake import running

AT = ["--mode", "send", "--now", "2026-03-05T10:30"]


@pytest.fixture(autouse=True)
def _keys(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SENDGRID_KEY", sendgrid_fake.KEY)
    for name in ("ACCOUNT", "KEY", "SECRET"):
        monkeypatch.setenv(f"TWILIO_{name}", getattr(twilio_fake, name))


def mail_project(root: Path, fake: sendgrid_fake.SendgridFake, **changes: object) -> Project:
    settings = {"host": fake.url, "api_key_env": "SENDGRID_KEY", "timeout": 2, **changes}
    return write_project(root, via="sendgrid", **settings)


def sms_project(root: Path, fake: twilio_fake.TwilioFake) -> Project:
    names = {"account_sid_env": "TWILIO_ACCOUNT", "api_key_env": "TWILIO_KEY", "api_secret_env": "TWILIO_SECRET"}
    service = {"host": fake.url, "messaging_service": twilio_fake.SERVICE, "timeout": 2}
    return write_project(root, medium="sms", via="twilio", **names, **service)


def sms(number: int, **changes: object) -> PlannedMessage:
    return planned(number, channel="sms", address=f"+86138001{number:05d}", **changes)


def sent(root: Path, capsys: pytest.CaptureFixture[str]) -> dict[str, int]:
    main(["run", "winback", "--project", str(root), *AT, "--json"])
    report = json.loads(capsys.readouterr().out)
    return {state: report[state] for state in ("accepted", "rejected", "unknown", "due") if report[state]}


def stopped(root: Path, capsys: pytest.CaptureFixture[str]) -> tuple[str, dict[str, int]]:
    """What a run that stops says, and how its messages stand."""
    with pytest.raises(SystemExit) as ended:
        main(["run", "winback", "--project", str(root), *AT])
    assert ended.value.code == 1
    sentence = capsys.readouterr().err
    assert "Traceback" not in sentence
    main(["status", "winback", "--project", str(root), "--json"])
    report = json.loads(capsys.readouterr().out)
    return sentence, {state: report[state] for state in ("accepted", "rejected", "unknown", "due") if report[state]}


@pytest.mark.parametrize(
    "address", ["li@mail.example\r\nBcc: x@y.example", "li@mail.example\nx", "li @mail.example", "li"]
)
def test_an_address_that_is_none_stops_before_it_can_be_read_as_a_header(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], address: str
) -> None:
    with running(sendgrid_fake.SendgridFake()) as fake:
        write_plan(mail_project(tmp_path, fake), [planned(1, address=address)])
        sentence, states = stopped(tmp_path, capsys)
    assert "customer C000001 cannot be written to: the address cannot be written into a mail" in sentence
    assert "li" not in sentence.split("customer")[1].split(";")[0].replace("mail", "")
    assert (states, fake.requests) == ({"due": 1}, [])


def test_a_subject_from_data_with_control_characters_is_cleaned(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with running(sendgrid_fake.SendgridFake()) as fake:
        project = mail_project(tmp_path, fake)
        (tmp_path / "templates" / "hello.subject.j2").write_text("For {{ name }}")
        write_plan(project, [planned(1, variables={"name": "Li\r\nBcc: x@y.example\x00\u202e"}), planned(2)])
        assert sent(tmp_path, capsys) == {"accepted": 2}
    assert "For Li Bcc: x@y.example" in {mail.request["subject"] for mail in fake.taken}, "one line, and harmless"


def test_a_subject_from_data_of_998_characters_stops_with_its_customer(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with running(sendgrid_fake.SendgridFake()) as fake:
        project = mail_project(tmp_path, fake)
        (tmp_path / "templates" / "hello.subject.j2").write_text("{{ name }}")
        write_plan(project, [planned(1, variables={"name": "x" * 998})])
        sentence, states = stopped(tmp_path, capsys)
    assert "customer C000001 cannot be written to: the subject has 998 characters; keep it under 250" in sentence
    assert states == {"due": 1}


def test_an_emoji_in_a_text_goes_out(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with running(twilio_fake.TwilioFake()) as fake:
        write_plan(sms_project(tmp_path, fake), [sms(1, variables={"name": "🎉 Li"}), sms(2)])
        assert sent(tmp_path, capsys) == {"accepted": 2}
    assert any("🎉 Li" in taken.body for taken in fake.taken)


def test_an_empty_template_is_found_by_check_and_stops_a_run(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with running(twilio_fake.TwilioFake()) as fake:
        project = sms_project(tmp_path, fake)
        (tmp_path / "templates" / "hello.sms.j2").write_text("")
        write_plan(project, [sms(1)])
        sentence, states = stopped(tmp_path, capsys)
        with pytest.raises(SystemExit):
            main(["check", "--project", str(tmp_path)])
        assert "templates/hello.sms.j2: the file is empty" in capsys.readouterr().err
    assert "the file is empty" in sentence
    assert (states, fake.requests) == ({"due": 1}, [])


def test_a_sender_that_is_not_ours_stops_the_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with running(sendgrid_fake.SendgridFake(verified="other@m.example.com")) as fake:
        write_plan(mail_project(tmp_path, fake), [planned(n) for n in range(20)])
        sentence, states = stopped(tmp_path, capsys)
    assert (
        "SendGrid forbids us to send (403); check the rights of the key in SENDGRID_KEY, and that the sender"
        in sentence
    )
    assert (states, fake.taken) == ({"due": 20}, [])


def test_a_full_queue_puts_the_rest_off(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with running(twilio_fake.TwilioFake()) as fake:
        messages = [sms(n) for n in range(40)]
        fake.faults = {message.address: "21611" for message in messages[10:]}
        write_plan(sms_project(tmp_path, fake), messages)
        sentence, states = stopped(tmp_path, capsys)
    assert "takes no messages for the next 10 minutes; run again then" in sentence
    assert states["due"] >= 30
    assert states.get("accepted", 0) + states["due"] == 40, "nobody is lost, and nobody is unknown"
    assert len(fake.taken) == states.get("accepted", 0)


def test_a_provider_that_answers_html_leaves_nobody_twice_written_to(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with running(sendgrid_fake.SendgridFake()) as fake:
        messages = [planned(n, address=f"{'html' if n % 3 else 'ok'}.{n}@mail.example") for n in range(15)]
        write_plan(mail_project(tmp_path, fake), messages)
        assert sent(tmp_path, capsys) == {"accepted": 5, "unknown": 10}
        assert sent(tmp_path, capsys) == {"accepted": 5, "unknown": 10}
    assert len(fake.requests) == 15


def test_a_provider_that_answers_nothing_but_html_is_given_up(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with running(sendgrid_fake.SendgridFake()) as fake:
        write_plan(mail_project(tmp_path, fake), [planned(n, address=f"html.{n}@mail.example") for n in range(200)])
        sentence, states = stopped(tmp_path, capsys)
    assert "in a row" in sentence
    assert states["due"] >= 130
    assert states["unknown"] + states["due"] == 200
