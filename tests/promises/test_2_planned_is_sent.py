"""Promise 2: what was planned is what is sent, whatever happens to customers, files and order in between."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from email import message_from_bytes, policy
from pathlib import Path

import duckdb
import pytest

from campanile.errors import CampanileError
from campanile.events import CONTROL
from campanile.ledger.store import Ledger
from campanile.sending.run import run_campaign
from campanile.spec.project import Project
from conftest import DUE, planned


def mails(project: Project) -> dict[str, bytes]:
    return {path.stem: path.read_bytes() for path in Path(project.outbox_dir).rglob("*.eml")}


def test_a_customer_file_that_changes_after_the_plan_moves_nobody(shop: Project) -> None:
    plan = planned(shop)
    with duckdb.connect(shop.database_path) as raw:
        raw.execute("delete from customers where hash(customer_id) % 3 = 0")
        raw.execute("update customers set name = 'SOMEBODY ELSE', email = 'elsewhere@mail.example'")
        raw.execute('delete from "order"')
    report = run_campaign(shop, "winback", mode="send", now=lambda: DUE)
    assert report.status["accepted"] == plan.load.messages == len(mails(shop))
    everything = b"".join(mails(shop).values())
    assert b"elsewhere@mail.example" not in everything
    assert b"SOMEBODY ELSE" not in everything


def test_a_dry_run_speaks_of_the_messages_that_are_sent(shop: Project) -> None:
    plan = planned(shop)
    dry = run_campaign(shop, "winback", mode="dry-run", now=lambda: DUE)
    assert dry.status["due"] == plan.load.messages
    assert not mails(shop)
    sent = run_campaign(shop, "winback", mode="send", now=lambda: DUE)
    assert sent.status["accepted"] == plan.load.messages


def test_an_offer_ends_on_the_same_day_however_late_its_message_leaves(shop: Project) -> None:
    """At half past nine in the evening everything is held; what leaves in the morning says what was planned."""
    planned(shop)
    held = run_campaign(shop, "winback", mode="send", now=lambda: DUE + timedelta(hours=11))
    assert held.next_due is not None
    assert held.status["held"] == held.status["planned"]
    dry = run_campaign(shop, "winback", mode="dry-run", now=lambda: DUE + timedelta(hours=12))
    assert dry.would is not None
    assert dry.would["later"] == held.status["planned"]
    run_campaign(shop, "winback", mode="send", now=lambda: held.next_due)  # type: ignore[arg-type,return-value]
    texts = [message_from_bytes(mail, policy=policy.default).get_body(("plain",)) for mail in mails(shop).values()]
    assert len(texts) == held.status["planned"]
    assert all(text is not None and "2026年3月19日" in text.get_content() for text in texts)


def test_a_second_run_sends_nothing(shop: Project) -> None:
    planned(shop)
    run_campaign(shop, "winback", mode="send", now=lambda: DUE)
    before = {path: path.stat().st_mtime_ns for path in Path(shop.outbox_dir).rglob("*.eml")}
    again = run_campaign(shop, "winback", mode="send", now=lambda: DUE)
    assert before == {path: path.stat().st_mtime_ns for path in Path(shop.outbox_dir).rglob("*.eml")}
    assert again.status["accepted"] == len(before)


def test_control_gets_nothing(shop: Project) -> None:
    plan = planned(shop)
    run_campaign(shop, "winback", mode="send", now=lambda: DUE)
    assert len(mails(shop)) == plan.audience - plan.arms[CONTROL]


def test_a_begun_plan_is_not_selected_again(own_shop: Callable[[], Project]) -> None:
    project = own_shop()
    first = planned(project)
    run_campaign(project, "winback", mode="send", now=lambda: DUE)
    path = project.root / "campaigns" / "winback.yaml"
    path.write_text(path.read_text(encoding="utf-8").replace("over 300", "over 900"), encoding="utf-8")
    second = planned(own_shop())
    assert second.begun
    assert (second.plan_id, second.arms, second.waterfall) == (first.plan_id, first.arms, first.waterfall)


def test_a_changed_template_is_not_sent_as_if_it_had_been_planned(own_shop: Callable[[], Project]) -> None:
    project = own_shop()
    planned(project)
    path = project.root / "templates" / "winback.subject.j2"
    path.write_text("Something else entirely", encoding="utf-8")
    with pytest.raises(CampanileError, match="plan"):
        run_campaign(own_shop(), "winback", mode="send", now=lambda: DUE)
    assert not mails(project)


def test_an_included_file_is_part_of_what_was_planned(own_shop: Callable[[], Project]) -> None:
    project = own_shop()
    templates = project.root / "templates"
    (templates / "sign.txt.j2").write_text('{% include "name.txt.j2" %}\n', encoding="utf-8")
    (templates / "name.txt.j2").write_text("The shop\n", encoding="utf-8")
    text = templates / "winback.txt.j2"
    text.write_text(text.read_text(encoding="utf-8") + '{%- include "sign.txt.j2" %}\n', encoding="utf-8")
    planned(own_shop())
    (templates / "name.txt.j2").write_text("Somebody else\n", encoding="utf-8")
    with pytest.raises(CampanileError, match="templates of winback changed since it was planned"):
        run_campaign(own_shop(), "winback", mode="send", now=lambda: DUE)


def test_a_plan_of_which_nothing_was_ever_handed_over_can_be_made_anew(own_shop: Callable[[], Project]) -> None:
    """All too late: the campaign is not burnt, its day can be put right."""
    first = planned(own_shop())
    expired = run_campaign(own_shop(), "winback", mode="send", now=lambda: DUE + timedelta(days=30))
    assert expired.status["expired"] == expired.status["planned"]
    file = own_shop().root / "campaigns" / "winback.yaml"
    file.write_text(file.read_text(encoding="utf-8").replace("2026-03-05", "2026-03-12"), encoding="utf-8")
    second = planned(own_shop())
    assert second.plan_id != first.plan_id
    sent = run_campaign(own_shop(), "winback", mode="send", now=lambda: DUE + timedelta(days=7))
    assert sent.status["accepted"] == sent.status["planned"] > 0


def test_a_plan_whose_day_has_passed_says_so(own_shop: Callable[[], Project]) -> None:
    file = own_shop().root / "campaigns" / "winback.yaml"
    file.write_text(file.read_text(encoding="utf-8").replace("2026-03-05", "2026-02-05"), encoding="utf-8")
    assert planned(own_shop()).problems[0].startswith("timing.start is 2026-02-05: its deadline has passed")


def test_a_tampered_snapshot_stops_the_run(shop: Project) -> None:
    plan = planned(shop)
    with (shop.home / plan.snapshot).open("ab") as file:
        file.write(b"x")
    with pytest.raises(CampanileError, match="snapshot"):
        run_campaign(shop, "winback", mode="send", now=lambda: DUE)
    assert not mails(shop)


def test_planning_twice_gives_the_same_plan(shop: Project) -> None:
    first, second = planned(shop), planned(shop)
    assert first == second
    with Ledger.open(shop.ledger_path) as ledger:
        assert len(ledger.plans()) == 1
    assert len(list((shop.snapshots_dir / "winback").iterdir())) == 1
