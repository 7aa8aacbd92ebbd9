"""Promise 1: everything that leaves people out does so before the split."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from datetime import timedelta

import duckdb
import pyarrow.parquet as pq
import pytest

from campanile.ledger.store import Ledger
from campanile.plan.types import Plan
from campanile.sending.run import run_campaign
from campanile.spec.project import Project
from conftest import AS_OF, DUE, planned


def arms(project: Project, plan: Plan) -> dict[str, str]:
    rows = pq.read_table(project.home / plan.snapshot).to_pydict()
    return dict(zip(rows["customer_id"], rows["arm"], strict=True))


def test_the_assigned_are_eligible_by_a_second_opinion(shop: Project) -> None:
    """Hand-written SQL over the raw tables finds nobody in either arm who should have been left out."""
    assigned = arms(shop, planned(shop))
    naive = AS_OF.replace(tzinfo=None)
    with duckdb.connect(shop.database_path, read_only=True) as raw:
        raw.execute("create temp table assigned (customer_id varchar)")
        raw.executemany("insert into assigned values (?)", [[customer] for customer in assigned])
        barred = """
            select count(*) from assigned join customers c using (customer_id)
            where not coalesce(c.email_consent, false) or c.email not like '%_@_%._%'
               or exists (select 1 from contacted k where k.customer_id = c.customer_id and k.purpose = 'marketing'
                          and k.at < $as_of and k.at >= $since)
               or exists (select 1 from ticket t where t.customer_id = c.customer_id and t.kind = 'complaint'
                          and t.status = 'open' and t.at < $as_of)
               or exists (select 1 from unsubscribed u where u.customer_id = c.customer_id and u.at < $as_of)
        """
        found = raw.execute(barred, {"as_of": naive, "since": naive - timedelta(days=14)}).fetchone()
        shared = raw.execute(
            "select count(*) - count(distinct lower(email)) from assigned join customers using (customer_id)"
        ).fetchone()
    assert found == (0,)
    assert shared == (0,)


def test_the_waterfall_adds_up(shop: Project) -> None:
    plan = planned(shop)
    assert plan.waterfall[0].left == 2_500
    assert plan.waterfall[-1].left == plan.audience == sum(plan.arms.values())
    for before, after in zip(plan.waterfall, plan.waterfall[1:], strict=False):
        assert after.left == before.left - after.lost


def twice(project: Project, at_most: int) -> None:
    """A second campaign exactly like winback, and a cap of so many mails in a week."""
    for folder in ("campaigns", "experiments"):
        text = (project.root / folder / "winback.yaml").read_text(encoding="utf-8")
        (project.root / folder / "again.yaml").write_text(text, encoding="utf-8")
    path = project.root / "campanile.yaml"
    text = path.read_text(encoding="utf-8")
    assert "email: {at_most: 2, within: 7d}" in text
    text = text.replace("email: {at_most: 2,", f"email: {{at_most: {at_most},")
    path.write_text(text.replace("  caps:", "  one_per_day: false\n  caps:"), encoding="utf-8")


@pytest.mark.parametrize("sent_before", [False, True])
def test_caps_hold_between_campaigns_planned_at_the_same_time(
    own_shop: Callable[[], Project], sent_before: bool
) -> None:
    """Whom one plan is about to write to, or has just written to, another leaves out of both of its arms."""
    twice(own_shop(), at_most=1)
    project = own_shop()
    first = arms(project, planned(project))
    if sent_before:
        run_campaign(project, "winback", mode="send", now=lambda: DUE)
    plan = planned(project, "again")
    second = arms(project, plan)
    treated = {customer for customer, arm in first.items() if arm == "treatment"}
    assert plan.excluded["cap email 7d"] == len(treated)
    assert second.keys() == first.keys() - treated
    run_campaign(project, "winback", mode="send", now=lambda: DUE)
    run_campaign(project, "again", mode="send", now=lambda: DUE)
    mails = [path.read_bytes() for path in project.outbox_dir.rglob("*.eml")]
    recipients = Counter(line for mail in mails for line in mail.splitlines() if line.startswith(b"To: "))
    assert len(mails) == len(treated) + plan.arms["treatment"]
    assert set(recipients.values()) == {1}


def test_caps_leave_room_for_as_many_as_they_say(own_shop: Callable[[], Project]) -> None:
    twice(own_shop(), at_most=2)
    project = own_shop()
    assert arms(project, planned(project)).keys() == arms(project, planned(project, "again")).keys()


def test_caps_forget_what_is_due_out_of_their_reach(own_shop: Callable[[], Project]) -> None:
    twice(own_shop(), at_most=1)
    path = own_shop().root / "campaigns" / "again.yaml"
    text = path.read_text(encoding="utf-8")
    assert "start: 2026-03-05" in text
    path.write_text(text.replace("start: 2026-03-05", "start: 2026-03-14"), encoding="utf-8")
    project = own_shop()
    assert arms(project, planned(project)).keys() == arms(project, planned(project, "again")).keys()


def test_another_salt_changes_arms_but_not_the_audience(own_shop: Callable[[], Project]) -> None:
    """Were anything decided after the split, who is left out would depend on the arm, and so on the salt."""
    project = own_shop()
    path = project.root / "campanile.yaml"
    text = path.read_text(encoding="utf-8")
    path.write_text(text.replace("  caps:", "  one_per_day: false\n  caps:"), encoding="utf-8")
    first = arms(project, planned(project))
    for folder in ("campaigns", "experiments"):
        text = (project.root / folder / "winback.yaml").read_text(encoding="utf-8")
        (project.root / folder / "again.yaml").write_text(text, encoding="utf-8")
    project = own_shop()
    second = arms(project, planned(project, "again"))
    assert first.keys() == second.keys()
    moved = sum(first[customer] != second[customer] for customer in first)
    assert moved > len(first) / 5
    assert Counter(first.values())["control"] == pytest.approx(len(first) * 0.2, abs=40)


def test_a_suppressed_address_is_left_out_of_both_arms(shop: Project) -> None:
    """Everybody of a first plan is suppressed, so nobody may be left: neither treated nor control."""
    before = planned(shop)
    first = arms(shop, before)
    with duckdb.connect(shop.database_path, read_only=True) as raw:
        pairs = dict(raw.execute("select customer_id, email from customers").fetchall())
    some = sorted(first)[::2]
    with Ledger.open(shop.ledger_path) as ledger:
        for customer in some:
            ledger.suppress("email", pairs[customer].upper(), reason="complaint", source="test", at=AS_OF)
    second = planned(shop)
    assert not set(some) & arms(shop, second).keys()
    assert second.excluded["suppression"] - before.excluded["suppression"] == len(some)
    assert {first[customer] for customer in some} == {"control", "treatment"}
