"""`campanile doctor`: each thing that keeps messages from going out is found, and none of it tells a secret."""

from __future__ import annotations

import json
import shutil
import socket
from collections import namedtuple
from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import dns.resolver
import pytest

from campanile.channels.domain import Finding, examine_domain
from campanile.cli.main import main
from campanile.ledger import Ledger
from campanile.ledger.hand_overs import claim, exchange
from campanile.ledger.records import Mode
from campanile.sending.doctor import examine, judged_clock
from campanile.spec.project import Project
from support import sendgrid_fake
from support.name_server import name_server
from support.plans import NOW, planned
from support.sent_project import write_plan, write_project
from support.smtp_sink import running_sink
from support.web_fake import running

Records = Mapping[tuple[str, str], list[str]]
GOOD: Records = {
    ("m.example.com", "MX"): ["10 mx.example.com."],
    ("m.example.com", "TXT"): ['"v=spf1 include:_spf.example.net -all"', '"other=1"'],
    ("k1._domainkey.m.example.com", "TXT"): ['"v=DKIM1; k=rsa; p=MIGf" "MA0G"'],
    ("_dmarc.example.com", "TXT"): ['"v=DMARC1; p=none"'],
}


def states(findings: list[Finding]) -> list[tuple[str, str]]:
    return [(finding.state, finding.what) for finding in findings]


def domain(records: Records, selectors: tuple[str, ...] = ("k1",)) -> list[Finding]:
    with name_server(records) as resolver:
        return list(examine_domain("m.example.com", "m.example.com", selectors, resolver=resolver))


class TestDomain:
    def test_with_all_records_is_good(self) -> None:
        assert [finding.state for finding in domain(GOOD)] == ["good"] * 4

    @pytest.mark.parametrize(
        ("changes", "state", "said"),
        [
            ({("m.example.com", "MX"): []}, "look", "m.example.com takes no mail: it has no MX record"),
            ({("m.example.com", "MX"): ["0 ."]}, "look", "m.example.com takes no mail: it has no MX record"),
            ({("m.example.com", "TXT"): ['"x=1"']}, "bad", "m.example.com has no SPF record"),
            (
                {("m.example.com", "TXT"): ['"v=spf1 -all"', '"v=spf1 a -all"']},
                "bad",
                "m.example.com has 2 SPF records",
            ),
            ({("m.example.com", "TXT"): ['"v=spf1 +all"']}, "bad", "the SPF record of m.example.com allows everybody"),
            ({("k1._domainkey.m.example.com", "TXT"): []}, "bad", "no DKIM key at k1._domainkey.m.example.com"),
            ({("k1._domainkey.m.example.com", "TXT"): ['"v=DKIM1; p="']}, "bad", "no DKIM key at k1._domainkey"),
            ({("_dmarc.example.com", "TXT"): []}, "bad", "neither m.example.com nor example.com has a DMARC record"),
        ],
    )
    def test_without_one_says_which(self, changes: Records, state: str, said: str) -> None:
        findings = domain({**GOOD, **changes})
        assert [finding.state for finding in findings].count("good") == 3
        assert any(finding.state == state and finding.what.startswith(said) for finding in findings), findings

    def test_whose_selector_nobody_knows_is_not_judged(self) -> None:
        assert ("skipped", "no DKIM selector is known, so its key was not looked for") in states(domain(GOOD, ()))

    def test_that_nobody_can_ask_about_is_not_judged(self) -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as mute:
            mute.bind(("127.0.0.1", 0))
            resolver = dns.resolver.Resolver(configure=False)
            resolver.nameservers, resolver.port = ["127.0.0.1"], mute.getsockname()[1]
            (finding,) = _quickly(resolver)
        assert finding.state == "skipped"
        assert finding.what == "no name server answers, so the records of m.example.com were not looked at"


def _quickly(resolver: dns.resolver.Resolver) -> list[Finding]:
    from campanile.channels import domain as module

    before, module._SECONDS = module._SECONDS, 0.3
    try:
        return list(examine_domain("m.example.com", "m.example.com", ("k1",), resolver=resolver))
    finally:
        module._SECONDS = before


def whole(project: Project, records: Records = GOOD) -> list[Finding]:
    with name_server(records) as resolver:
        return list(examine(project, resolver=resolver))


class TestMachine:
    def test_that_could_send_is_good(self, tmp_path: Path) -> None:
        with running_sink() as sink:
            findings = whole(write_project(tmp_path, port=sink.port, dkim_selector="k1"))
        assert {finding.state for finding in findings} <= {"good", "skipped"}, findings
        assert ("good", "smtp can be reached") in states(findings)
        assert not sink.taken

    def test_whose_server_is_away(self, tmp_path: Path) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        findings = whole(write_project(tmp_path, port=port))
        assert ("bad", f"the mail server 127.0.0.1:{port} refuses connections") in states(findings)

    def test_that_has_no_key(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.delenv("SENDGRID_KEY", raising=False)
        with running(sendgrid_fake.SendgridFake()) as fake:
            findings = whole(write_project(tmp_path, via="sendgrid", host=fake.url, api_key_env="SENDGRID_KEY"))
        assert ("bad", "the environment variable SENDGRID_KEY is not set") in states(findings)
        assert ("look", "the environment variable SENDGRID_WEBHOOK_KEYS is not set") in states(findings)

    def test_whose_key_is_there_keeps_it_to_itself(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        monkeypatch.setenv("SENDGRID_KEY", sendgrid_fake.KEY)
        with running(sendgrid_fake.SendgridFake()) as fake:
            write_project(tmp_path, via="sendgrid", host=fake.url, api_key_env="SENDGRID_KEY")
            main(["doctor", "--project", str(tmp_path), "--offline"])
        said = capsys.readouterr().out
        assert "SENDGRID_KEY is set" in said
        assert sendgrid_fake.KEY not in said
        assert fake.connections == 0, "offline asks nobody"

    def test_whose_files_have_problems(self, tmp_path: Path) -> None:
        project = write_project(tmp_path)
        (tmp_path / "templates" / "hello.txt.j2").write_text("Hello {{ nobody_knows }}")
        assert ("bad", "1 problem(s) in the committed files") in states(list(examine(project, online=False)))

    def test_whose_links_lead_nowhere(self, tmp_path: Path) -> None:
        project = write_project(tmp_path)
        said = ("look", "links of winback lead to no page")
        assert said not in states(list(examine(project, online=False)))
        page = tmp_path / "templates" / "hello.txt.j2"
        page.write_text(page.read_text(encoding="utf-8") + "{{ link }}\n", encoding="utf-8")
        assert said in states(list(examine(project, online=False)))
        shop = project.settings.shop.model_copy(update={"website": "https://shop.example.com"})
        led = replace(project, settings=project.settings.model_copy(update={"shop": shop}))
        assert said not in states(list(examine(led, online=False)))

    def test_that_is_full(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        usage = namedtuple("usage", "total used free")(10**12, 10**12, 10**8)
        monkeypatch.setattr(shutil, "disk_usage", lambda _: usage)
        findings = states(list(examine(write_project(tmp_path), online=False)))
        assert ("bad", "0.1 GB free where the stores are") in findings

    def test_whose_clock_is_behind_its_own_ledger(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        project = write_project(tmp_path)
        plan = write_plan(project, [planned(1)])
        with Ledger.open(project.ledger_place) as ledger:
            ledger.set_state(plan.plan_id, "sending")
            (message,) = claim(ledger, plan.plan_id, 0, now=NOW, limit=1)
            exchange(ledger, plan.plan_id, wanted=[message], mode=Mode("outbox", idempotent=True), now=NOW)
        monkeypatch.setattr("campanile.clock.now", lambda: NOW - timedelta(hours=1))
        found = states(list(examine(project, online=False)))
        assert ("bad", "the clock of this machine is behind: the ledger knows a later hand-over") in found

    @pytest.mark.parametrize(
        ("seconds", "state"), [(0, "good"), (29, "good"), (31, "look"), (299, "look"), (301, "bad")]
    )
    def test_whose_clock_is_off(self, seconds: int, state: str) -> None:
        assert judged_clock(timedelta(seconds=seconds)).state == state


def test_the_command_says_it_in_json_and_by_its_exit_code(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_project(tmp_path)
    main(["doctor", "--project", str(tmp_path), "--offline", "--json"])
    said = json.loads(capsys.readouterr().out)
    assert {finding["state"] for finding in said["findings"]} == {"good"}
    (tmp_path / "templates" / "hello.txt.j2").write_text("")
    with pytest.raises(SystemExit) as ended:
        main(["doctor", "--project", str(tmp_path), "--offline"])
    assert ended.value.code == 1
