"""A campaign of a shop whose records are merged before it, between plan and readout, and split again."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from campanile.audience.select import Audience, select
from campanile.customers.database import CustomerDatabase
from campanile.customers.history import sync_suppressions
from campanile.customers.others import sync_commitments
from campanile.customers.people.merging import merge_people, split_people
from campanile.customers.profile import ensure_profile
from campanile.ledger.store import Ledger
from campanile.plan.make import make_plan
from campanile.readout import read_out
from campanile.spec.people import PeopleSettings
from campanile.spec.project import Project, load_project
from customers.people.people_shop import NOW, Row, order, restock
from support.small_project import write_files

RULES = PeopleSettings(match=["phone"])
FILES = {
    "campanile.yaml": """\
shop: {name: Shop, currency: EUR, timezone: UTC, base_url: https://t.example.com, postal_address: Weg 1}
channels: {email: {via: outbox, sender: Shop <news@example.com>}}
economics: {margin_rate: 40%, cost_per_message: {email: 0.01, sms: 0.05}}
policy: {people: {match: [phone]}}
""",
    "campaigns/hello.yaml": """\
objective: growth
target: {who: [{email_consent: true}]}
offer: {kind: content}
timing: {start: 2026-03-05, at: "10:30"}
channel: {use: email, message: hello}
""",
    "experiments/hello.yaml": """\
hypothesis: It works.
split: {control: 50%, treatment: 50%}
primary: {metric: response_rate, window: 30d, baseline: 3%, expect: 9%}
decide: {stop: upper limit below 0.3 points}
""",
    "templates/hello.subject.j2": "Hello",
    "templates/hello.html.j2": "<p>Hello</p><p><a href='{{ unsubscribe_link }}'>No more</a></p>",
    "templates/hello.txt.j2": "Hello {{ unsubscribe_link }}",
}
#: Eighty records; the first twenty twice as many persons: 0 and 1, 2 and 3 … share a number, each with its own mail.
RECORDS: list[Row] = [
    {
        "customer_id": f"C{number:02d}",
        "email": f"m{number}@x.example",
        "phone": f"0170 00000{number // 2:02d}" if number < 20 else None,
        "email_consent": True,
    }
    for number in range(80)
]


@pytest.fixture
def project(tmp_path: Path) -> Project:
    write_files(tmp_path, FILES)
    project = load_project(tmp_path)
    with CustomerDatabase.open(project) as database:
        orders = [order(each["customer_id"], "2026-03-06", 500, each["customer_id"]) for each in RECORDS[:40]]
        restock(database, RECORDS, order=[*orders, order("C00", "2026-05-01", 5, "late")])
    return project


def chosen(project: Project, database: CustomerDatabase) -> Audience:
    ensure_profile(project, database, NOW)
    target = project.campaign("hello").target
    return select(target, database, NOW, project=project, medium="email")


def ids(audience: Audience) -> set[str]:
    return set(audience.eligible.to_pyarrow()["customer_id"].to_pylist())


def test_merge_then_split_gives_back_the_identical_selection(project: Project) -> None:
    with CustomerDatabase.open(project) as database:
        before, sql = chosen(project, database), chosen(project, database).sql()
        people = ids(before)
        merge_people(database, RULES, NOW)
        merged = chosen(project, database)
        assert (len(people), len(ids(merged)), merged.size) == (80, 70, 70)
        assert ids(merged) == people - {f"C{number:02d}" for number in range(1, 20, 2)}
        split_people(database, [each["customer_id"] for each in RECORDS[:20]], NOW)
        after = chosen(project, database)
        assert (ids(after), after.waterfall(), after.sql()) == (people, before.waterfall(), sql)


def test_a_refusal_of_any_record_holds_and_messages_to_all_are_counted(project: Project) -> None:
    with CustomerDatabase.open(project) as database:
        merge_people(database, RULES, NOW)
        sync_suppressions(database, [("email", "m1@x.example"), ("email", "m50@x.example")])
        sync_commitments(database, [(each, "email", NOW) for each in ("C02", "C03", "C60")])
        left = [{"customer_id": each, "at": datetime(2026, 1, 1), "channel": "email"} for each in ("C05", "C61")]
        restock(database, RECORDS, unsubscribed=left)
        lost = {
            each["customer_id"]: each["line"] for each in chosen(project, database).excluded().to_pyarrow().to_pylist()
        }
    assert lost == {
        "C00": "suppression", "C50": "suppression", "C04": "suppression", "C61": "suppression", "C02": "cap email 7d",
    }  # fmt: skip


def test_a_merge_between_plan_and_readout(project: Project) -> None:
    now = datetime(2026, 4, 10, tzinfo=UTC)
    with CustomerDatabase.open(project) as database, Ledger.open(project.ledger_path) as ledger:
        plan = make_plan(project, "hello", NOW, database=database, ledger=ledger)
        arms = {each["customer_id"]: each["arm"] for each in pq.read_table(project.home / plan.snapshot).to_pylist()}
        assert len(arms) == 80
        merge_people(database, RULES, NOW + timedelta(days=10))
        readout = read_out(project, "hello", database=database, ledger=ledger, now=now)
        pairs = [(arms[f"C{n:02d}"], arms[f"C{n + 1:02d}"]) for n in range(0, 20, 2)]
        apart = sum(one != other for one, other in pairs)
        assert 0 < apart < 10
        checks = {check.name: check for check in readout.trust.checks}
        told = f"10 people were merged after assignment; {apart} had different arms and are left out."
        assert checks["one_person"].detail == told
        expected = {arm: list(arms.values()).count(arm) - apart for arm in ("control", "treatment")}
        for arm in expected:
            expected[arm] -= sum(one == other == arm for one, other in pairs)
        assert {figures.arm: figures.n for figures in readout.arms} == expected
        # What was planned is what is there: the merge changed neither the plan nor its messages.
        assert set(arms) == {each["customer_id"] for each in pq.read_table(project.home / plan.snapshot).to_pylist()}
        # A plan made anew before anything was sent sees one person.
        assert make_plan(project, "hello", NOW, database=database, ledger=ledger).audience == 70


def test_one_per_household_where_the_shop_computes_them(project: Project) -> None:
    home = {"address": "Weg 1", "postcode": "12345"}
    rows = [{**each, **(home if number < 6 else {})} for number, each in enumerate(RECORDS)]
    policy = "policy: {people: {match: [phone], household: address}}"
    (project.root / "campanile.yaml").write_text(
        FILES["campanile.yaml"].replace("policy: {people: {match: [phone]}}", policy)
    )
    target = FILES["campaigns/hello.yaml"].replace("true}]}", "true}], one_per: household}")
    (project.root / "campaigns" / "hello.yaml").write_text(target)
    project = load_project(project.root)
    with CustomerDatabase.open(project) as database:
        restock(database, rows)
        merge_people(database, RULES, NOW)
        found = chosen(project, database)
        assert ids(found) & {"C00", "C02", "C04"} == {"C00"}
        assert found.size == 68
