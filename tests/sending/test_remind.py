"""A reminder: planned with the first message, to the same people, and only for those who have not ordered since."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from email import message_from_bytes, policy
from pathlib import Path

import duckdb
import pytest

from campanile.customers.database import CustomerDatabase
from campanile.errors import CampanileError, ProblemsError
from campanile.events import MessageState
from campanile.ledger.hand_overs import waiting
from campanile.ledger.store import Ledger
from campanile.readout import read_out
from campanile.sending.dispatch import dispatch_due
from campanile.sending.run import run_campaign
from campanile.spec.project import Project
from conftest import AFTER, DUE, planned

LATER = DUE + timedelta(days=10)
REMIND = "remind: {after: 10d, unless: responded}"


def reminding(own_shop: Callable[[], Project], remind: str = REMIND) -> Project:
    """The example campaign with a reminder, for customers of one time zone."""
    project = own_shop()
    path = project.root / "campaigns" / "winback.yaml"
    text = path.read_text(encoding="utf-8").replace("clock: customer", f"clock: shop, {remind}")
    path.write_text(text, encoding="utf-8")
    return own_shop()


@pytest.fixture
def project(own_shop: Callable[[], Project]) -> Project:
    found = reminding(own_shop)
    planned(found)
    return found


def order(project: Project, customer: str, at: datetime) -> None:
    with duckdb.connect(str(project.database_path)) as database:
        columns = [row[0] for row in database.execute('DESCRIBE "order"').fetchall()]
        values = {"order_id": f"'new-{customer}'", "customer_id": f"'{customer}'", "amount": "9900", "state": "'paid'"}
        values["at"] = f"TIMESTAMP '{at.astimezone(UTC):%Y-%m-%d %H:%M:%S}'"
        named = [name for name in columns if name in values]
        database.execute(
            f"""INSERT INTO "order" ({", ".join(f'"{name}"' for name in named)}) """
            f"VALUES ({', '.join(values[name] for name in named)})"
        )


def treated(project: Project) -> list[str]:
    with Ledger.open(project.ledger_path) as ledger:
        record = ledger.plan("winback")
    with duckdb.connect() as engine:
        path = project.home / record.snapshot
        rows = engine.execute(f"SELECT customer_id FROM '{path}' WHERE arm <> 'control' ORDER BY 1").fetchall()
    return [row[0] for row in rows]


def states(project: Project, step: str) -> dict[str, int]:
    with Ledger.open(project.ledger_path) as ledger, ledger.reading() as connection:
        query = "SELECT state, reason, count(*) FROM message WHERE step = ? GROUP BY 1, 2"
        rows = connection.exec_driver_sql(query, (step,)).fetchall()
    found: dict[str, int] = {}
    for state, reason, count in rows:
        name = f"{state} {reason}" if state == "suppressed" else state
        found[name] = found.get(name, 0) + count
    return found


def send(project: Project, now: datetime) -> None:
    run_campaign(project, "winback", mode="send", now=lambda: now)


def mails(project: Project) -> dict[str, list[str]]:
    """The text of every mail by address."""
    found: dict[str, list[str]] = {}
    for path in sorted((project.outbox_dir / "winback" / "1").glob("*.eml"), key=lambda path: path.stat().st_mtime_ns):
        mail = message_from_bytes(path.read_bytes(), policy=policy.default)
        body = mail.get_body(("plain",))
        assert body is not None
        found.setdefault(str(mail["To"]), []).append(body.get_content())
    return found


def test_first_message_goes_out_and_the_reminder_waits(project: Project) -> None:
    send(project, DUE)
    people = len(treated(project))
    assert states(project, "message") == {"accepted": people}
    assert states(project, "reminder") == {"due": people}
    with Ledger.open(project.ledger_path) as ledger:
        record = ledger.plan("winback")
        assert record.state == "sending"
        assert ledger.next_due(record.plan_id) == LATER
        tally = ledger.tally(record.plan_id)
    assert tally.adds_up
    assert tally.planned == 2 * people


def test_who_ordered_since_is_not_reminded_and_everybody_else_is_once(project: Project) -> None:
    send(project, DUE)
    people = treated(project)
    order(project, people[0], DUE + timedelta(days=3))
    order(project, people[1], DUE)
    order(project, people[2], DUE - timedelta(seconds=1))
    order(project, people[3], LATER - timedelta(hours=1))
    send(project, LATER)
    assert states(project, "reminder") == {"accepted": len(people) - 3, "suppressed responded": 3}
    send(project, LATER + timedelta(hours=1))
    assert sum(map(len, mails(project).values())) == 2 * len(people) - 3
    with Ledger.open(project.ledger_path) as ledger:
        assert ledger.plan("winback").state == "sent"


def test_reminder_gives_the_same_code_with_the_same_last_day(project: Project) -> None:
    send(project, DUE)
    order(project, treated(project)[0], DUE + timedelta(days=1))
    send(project, LATER)
    twice = [texts for texts in mails(project).values() if len(texts) == 2]
    assert len(twice) > 50
    for first, second in twice:
        codes = [re.findall(r"\b[2-9B-DF-HJ-NP-TV-Z]{10}\b", text) for text in (first, second)]
        assert codes[0] == codes[1] != []
        words = [re.sub(r"https://\S+", "", text) for text in (first, second)]
        assert words[0] == words[1], "the last day of the offer does not move"


def test_without_newer_orders_nobody_can_say_who_needs_none(project: Project) -> None:
    send(project, DUE)
    with duckdb.connect(str(project.database_path)) as database:
        database.execute("""DELETE FROM "order" WHERE "at" >= TIMESTAMP '2026-02-20'""")
    with pytest.raises(CampanileError, match="no order is known since winback was sent"):
        send(project, LATER)
    assert set(states(project, "reminder")) == {"due"}


def test_dispatch_goes_on_with_what_a_person_began(own_shop: Callable[[], Project]) -> None:
    project = reminding(own_shop)
    planned(project)
    assert dispatch_due(project, now=lambda: DUE) == (), "a plan that nobody began is nobody's to send"
    send(project, DUE)
    assert dispatch_due(project, now=lambda: LATER - timedelta(days=1)) == ()
    order(project, treated(project)[0], DUE + timedelta(days=1))
    (found,) = dispatch_due(project, now=lambda: LATER)
    assert (found.wave, found.planned, found.problem) == ("1", False, "")
    assert states(project, "reminder") == {"accepted": len(treated(project)) - 1, "suppressed responded": 1}


def test_both_messages_are_paid_for_and_a_customer_counts_once(project: Project) -> None:
    send(project, DUE)
    order(project, treated(project)[0], DUE + timedelta(days=1))
    send(project, LATER)
    with CustomerDatabase.open(project) as database, Ledger.open(project.ledger_path) as ledger:
        readout = read_out(project, "winback", database=database, ledger=ledger, now=AFTER)
        batch = waiting(ledger, ledger.plan("winback").plan_id)
    people = len(treated(project))
    assert list(batch) == []
    assert {arm.arm: arm.n for arm in readout.arms}["treatment"] == people
    assert sum(account.states[MessageState.ACCEPTED] for account in readout.delivery) == 2 * people - 1


def test_reminder_may_have_a_template_of_its_own(own_shop: Callable[[], Project]) -> None:
    project = own_shop()
    folder = project.root / "templates"
    for path in folder.glob("winback.*"):
        text = path.read_text(encoding="utf-8")
        folder.joinpath(path.name.replace("winback", "nudge")).write_text(text, encoding="utf-8")
    subject = folder / "nudge.subject.j2"
    subject.write_text("Still there: your coupon\n", encoding="utf-8")
    project = reminding(own_shop, "remind: {after: 10d, message: nudge}")
    planned(project)
    send(project, DUE)
    order(project, treated(project)[0], DUE + timedelta(days=1))
    send(project, LATER)
    paths = (project.outbox_dir / "winback" / "1").glob("*.eml")
    subjects = [message_from_bytes(path.read_bytes(), policy=policy.default)["Subject"] for path in paths]
    assert subjects.count("Still there: your coupon") == len(treated(project)) - 1


@pytest.mark.parametrize(
    ("remind", "said"),
    [
        ("remind: {after: 6h}", "a reminder comes days, weeks or months later"),
        ("remind: {after: 10d, unless: clicked}", "unless"),
        ("remind: {after: 10d, message: nudge}", "no template templates/nudge"),
        ("remind: {afterwards: 10d}", "afterwards"),
    ],
)
def test_what_cannot_remind_is_a_sentence(own_shop: Callable[[], Project], remind: str, said: str) -> None:
    from campanile.spec.check import check_project

    project = reminding(own_shop, remind)
    problems = [str(problem) for problem in check_project(project.root).problems]
    assert any(said in problem for problem in problems), problems
    if "nudge" not in said:
        with pytest.raises(ProblemsError):
            project.campaign("winback")


def test_files_of_the_campaign_are_those_that_were_planned(project: Project) -> None:
    send(project, DUE)
    path: Path = project.root / "campaigns" / "winback.yaml"
    path.write_text(path.read_text(encoding="utf-8").replace("after: 10d", "after: 5d"), encoding="utf-8")
    from campanile.spec.project import load_project
    from conftest import with_outbox

    with pytest.raises(CampanileError, match="changed since it was planned"):
        send(with_outbox(load_project(project.root, home=project.home)), LATER)
