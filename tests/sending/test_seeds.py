"""Samples to the shop's own people: over the real channel, with nobody's record, and without a trace in the ledger."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from campanile.cli.main import main
from campanile.errors import CampanileError
from campanile.ledger import Ledger
from campanile.sending.seeds import commonest, read_seeds
from campanile.spec.project import Project
from support import sendgrid_fake
from support.plans import planned
from support.sent_project import write_plan, write_project
from support.smtp_sink import running_sink
from support.web_fake import running


def seeded(project: Project, *lines: str) -> None:
    project.home.mkdir(exist_ok=True)
    (project.home / "seeds.txt").write_text("\n".join(lines), encoding="utf-8")


def test_go_out_over_the_real_channel_and_leave_the_ledger_alone(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    names = ["王伟", "李娜", "李娜", "张秀英"]
    with running_sink() as sink:
        project = write_project(tmp_path, port=sink.port)
        plan = write_plan(project, [planned(n, variables={"name": name}) for n, name in enumerate(names)])
        seeded(project, "# our own", "li@shop.example", "+8613800138000", "wang@shop.example", "li@shop.example")
        main(["preview", "winback", "--project", str(tmp_path), "--to-seeds", "--json"])
        said = json.loads(capsys.readouterr().out)
        assert said["seeds"] == {"accepted": 2}
        assert sorted(sink.recipients()) == ["li@shop.example", "wang@shop.example"]
        texts = [mail.content.decode() for mail in sink.taken]
    with Ledger.open(project.ledger_place) as ledger:
        tally = ledger.tally(plan.plan_id)
        assert (tally.planned, tally.unfinished) == (4, 4)
        assert not ledger.begun(plan.plan_id)
    for text in texts:
        assert "List-Unsubscribe: <https://t.example.com/u/sample" in text
    ids = {mail.message_id for mail in sink.taken}
    assert len(ids) == 2
    assert not ids & {planned(n).message_id for n in range(4)}, "a sample is no planned message"


def test_over_sendgrid_are_told_apart_from_a_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SENDGRID_KEY", sendgrid_fake.KEY)
    with running(sendgrid_fake.SendgridFake()) as fake:
        project = write_project(tmp_path, via="sendgrid", host=fake.url, api_key_env="SENDGRID_KEY")
        write_plan(project, [planned(1)])
        seeded(project, "li@shop.example")
        main(["preview", "winback", "--project", str(tmp_path), "--to-seeds"])
    assert [mail.run for mail in fake.taken] == ["preview"]
    assert fake.taken[0].request["categories"] == ["run:preview"]


def test_hold_of_every_value_the_commonest() -> None:
    messages = [
        planned(n, variables={"name": name, "points": points})
        for n, (name, points) in enumerate([("a", 1), ("b", 5), ("b", None), ("c", 5)])
    ]
    found = commonest(messages)
    assert found is not None
    assert (found.customer_id, found.variables) == ("seed", {"name": "b", "points": 5})
    assert commonest([]) is None


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        ("", "has 0 seeds for email; write 1 to 50"),
        ("+8613800138000\n", "has 0 seeds for email; write 1 to 50"),
        ("".join(f"s{n}@shop.example\n" for n in range(51)), "has 51 seeds for email; write 1 to 50"),
    ],
)
def test_a_list_without_use_is_a_sentence(tmp_path: Path, lines: str, said: str) -> None:
    path = tmp_path / "seeds.txt"
    path.write_text(lines)
    with pytest.raises(CampanileError, match=said):
        read_seeds(path, "email")


def test_no_list_is_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(CampanileError, match="write addresses of your own people into .*seeds.txt, one a line"):
        read_seeds(tmp_path / "seeds.txt", "sms")
