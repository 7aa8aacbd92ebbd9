"""Promise 1, for every rule of the company: control and treatment lose the same people, whoever plans first."""

from __future__ import annotations

import hashlib
import shutil
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime

import duckdb
import pyarrow.parquet as pq
import pytest

from campanile.errors import CampanileError
from campanile.ledger.store import Ledger
from campanile.plan.explain import explain
from campanile.plan.types import Plan, to_json
from campanile.sending.run import run_campaign
from campanile.spec.project import Project
from conftest import AS_OF, DUE, planned

#: It is 21:00 in Shanghai and 14:00 in Madrid.
EVENING = datetime(2026, 3, 1, 13, tzinfo=UTC)
RULES = """\
  holdout: {share: 10%, salt: a}
  marketing_share: {at_most: 30%, within: 90d, enforce: exclude}
  caps: {email: [{at_most: 2, within: 7d}, {at_most: 4, within: 60d}], all: {at_most: 5, within: 30d}}
"""


def arms(project: Project, plan: Plan) -> dict[str, str]:
    rows = pq.read_table(project.home / plan.snapshot).to_pydict()
    return dict(zip(rows["customer_id"], rows["arm"], strict=True))


def edit(project: Project, name: str, *changes: tuple[str, str]) -> None:
    path = project.root / name
    text = path.read_text(encoding="utf-8")
    for old, new in changes:
        assert old in text, old
        text = text.replace(old, new)
    path.write_text(text, encoding="utf-8")


def copy_campaign(project: Project, name: str, *changes: tuple[str, str]) -> None:
    for folder in ("campaigns", "experiments"):
        shutil.copy(project.root / folder / "winback.yaml", project.root / folder / f"{name}.yaml")
    edit(project, f"campaigns/{name}.yaml", *changes)


def with_rules(project: Project) -> None:
    """Every rule, half of the customers in Madrid, and messages of this very evening."""
    path = project.root / "campanile.yaml"
    text = path.read_text(encoding="utf-8")
    head, _, rest = text.partition("policy:\n")
    stages = rest[rest.index("  stages:") :]
    path.write_text(f"{head}policy:\n{RULES}{stages}", encoding="utf-8")
    tonight = ('start: 2026-03-05, at: "10:30"', 'start: 2026-03-01, at: "20:00", deadline: 6h')
    everybody = ("    - {did: contacted, where: {purpose: marketing}, in: 14d}\n", "")
    edit(project, "campaigns/winback.yaml", tonight, everybody)
    copy_campaign(project, "spring", ("objective:", "priority: 1\nobjective:"), ("over 300}", "over 3000}"))
    with duckdb.connect(project.database_path) as raw:
        raw.execute("alter table customers add column timezone varchar")
        raw.execute("update customers set timezone = 'Europe/Madrid' where hash(customer_id) % 2 = 0")


def test_both_arms_lose_the_same_people_to_every_rule(own_shop: Callable[[], Project]) -> None:
    """Were a rule applied after the split, who is left out would depend on the salt of the arms."""
    project = own_shop()
    with_rules(project)
    found = {}
    for name in ("winback", "again"):
        if name != "winback":
            copy_campaign(project, name)
        shutil.rmtree(project.snapshots_dir, ignore_errors=True)
        for path in project.home.glob(f"{project.ledger_path.name}*"):
            path.unlink()
        spring = planned(own_shop(), "spring", EVENING)
        plan = planned(own_shop(), name, EVENING)
        found[name] = (arms(project, plan), plan.excluded, spring)
    (first, excluded, spring), (second, again, _) = found.values()
    assert first.keys() == second.keys()
    assert excluded == again
    assert {"holdout", "cap email 60d", "marketing share", "priority", "quiet hours"} <= excluded.keys()
    assert sum(first[customer] != second[customer] for customer in first) > len(first) / 5
    assert not first.keys() & arms(project, spring).keys()
    drawn = [int(hashlib.sha256(f"holdout:a:2026:{each}".encode()).hexdigest()[:15], 16) / 16**15 for each in first]
    assert min(drawn) >= 0.1
    with duckdb.connect(project.database_path, read_only=True) as raw:
        madrid = dict(raw.execute("select customer_id, timezone from customers").fetchall())
    assert {madrid[customer] for customer in first} == {"Europe/Madrid"}


def low_and_high(project: Project) -> None:
    """winback, and a campaign of higher priority for the women among its customers on the same day."""
    copy_campaign(project, "gala", ("objective:", "priority: 5\nobjective:"), ("email_consent: true", "gender: female"))


def test_a_higher_priority_gets_the_customers_of_a_plan_that_is_made_again(own_shop: Callable[[], Project]) -> None:
    low_and_high(own_shop())
    project = own_shop()
    before = arms(project, planned(project))
    gala = planned(project, "gala")
    shared = arms(project, gala).keys() & before.keys()
    assert gala.shared_with == {"winback": len(shared)}
    assert gala.problems[0].startswith(f"winback has {len(shared):,} of these customers on the same day")
    assert "priority" not in gala.excluded
    again = planned(project)
    after = arms(project, again)
    assert after.keys() == before.keys() - shared
    assert again.excluded["priority"] == len(shared)
    assert again.lost_to == {"gala": len(shared)}
    assert to_json(again)["priority"] == {"lost_to": {"gala": len(shared)}, "shared_with": {}}
    assert "Lost to campaigns of the same day" in explain(again, project.zone)
    assert {before[customer] for customer in shared} == {"control", "treatment"}
    assert planned(project).plan_id == again.plan_id, "the same again is the same"
    assert planned(project, "gala").shared_with == {}
    for name in ("winback", "gala"):
        run_campaign(project, name, mode="send", now=lambda: DUE)
    mails = [path.read_bytes() for path in project.outbox_dir.rglob("*.eml")]
    recipients = Counter(line for mail in mails for line in mail.splitlines() if line.startswith(b"To: "))
    assert len(mails) == again.arms["treatment"] + gala.arms["treatment"]
    assert set(recipients.values()) == {1}


def test_a_plan_that_has_begun_keeps_its_customers_whatever_its_priority(own_shop: Callable[[], Project]) -> None:
    low_and_high(own_shop())
    edit(own_shop(), "campaigns/winback.yaml", ("over 300", "over 900"))
    project = own_shop()
    winback = arms(project, planned(project))
    run_campaign(project, "winback", mode="send", now=lambda: DUE)
    gala = planned(project, "gala")
    assert gala.lost_to.keys() == {"winback"}
    assert not arms(project, gala).keys() & winback.keys(), "its control is lost as well as whom it treats"


def test_with_equal_priority_whoever_plans_first_has_them(own_shop: Callable[[], Project]) -> None:
    copy_campaign(own_shop(), "again")
    project = own_shop()
    planned(project)
    with pytest.raises(CampanileError, match="nobody is left for again"):
        planned(project, "again")


def test_contacts_have_the_purpose_of_their_campaign(own_shop: Callable[[], Project]) -> None:
    """Service messages of the product's own count for no cap, and put nobody on a day."""
    project = own_shop()
    copy_campaign(project, "parcel", ("objective: retention", "objective: service"))
    edit(project, "campanile.yaml", ("email: {at_most: 2, within: 7d}", "email: {at_most: 1, within: 7d}"))
    project = own_shop()
    parcel = planned(project, "parcel")
    run_campaign(project, "parcel", mode="send", now=lambda: DUE)
    with Ledger.open(project.ledger_path) as ledger:
        assert {contact.purpose for contact in ledger.contacts()} == {"service"}
    assert arms(project, planned(project)).keys() == arms(project, parcel).keys()


def test_another_holdout_is_another_plan(own_shop: Callable[[], Project]) -> None:
    holdout = "  holdout: {share: 10%, salt: a}\n  caps:"
    edit(own_shop(), "campanile.yaml", ("  caps:", holdout))
    first = planned(own_shop())
    edit(own_shop(), "campanile.yaml", ("salt: a", "salt: b"))
    with pytest.raises(CampanileError, match="policy of winback changed since it was planned"):
        run_campaign(own_shop(), "winback", mode="send", now=lambda: DUE)
    second = planned(own_shop())
    assert second.fingerprint != first.fingerprint
    assert second.excluded["holdout"] > 0
    edit(own_shop(), "campanile.yaml", (holdout.replace("salt: a", "salt: b"), "  caps:"))
    with pytest.raises(CampanileError, match="policy of winback changed"):
        run_campaign(own_shop(), "winback", mode="send", now=lambda: DUE)
    assert second.as_of == AS_OF
