"""Rhythm, affinities, attention and scopes of a small shop, each counted by hand; and what may not change them."""

from __future__ import annotations

import random
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from campanile import clock
from campanile.audience.select import select
from campanile.customers.database import PROFILE, CustomerDatabase
from campanile.customers.importing import import_tables
from campanile.customers.profile import ensure_profile, refresh_profile
from campanile.spec.project import load_project
from campanile.spec.targets import read_target_file

AS_OF = datetime(2026, 3, 1, tzinfo=UTC)
MAPPING = """\
  customers: {file: people.csv, columns: {customer_id: Id, birth_date: Born, registered_at: Joined, household: Home}}
  order: {file: orders.csv, columns: {customer_id: Who, at: When, order_id: Order, amount: Paid}}
  bought:
    file: lines.csv
    columns: {customer_id: Who, at: When, order_id: Order, category: Cat, brand: Brand, unit_price: Price, amount: Paid, discount_rate: Off}
  clicked: {file: clicks.csv, columns: {customer_id: Who, at: When, channel: How}}
  contacted: {file: contacts.csv, columns: {customer_id: Who, at: When, channel: How}}
"""  # noqa: E501
ORDERS = ["1,a,2025-12-01,30", "2,a,2026-01-10,10", "3,a,2026-02-09,10", "4,b,2026-02-19,40", "5,c,2024-01-01,99"]
LINES = [
    "1,a,2025-12-01,tea,T1,20,20,0", "1,a,2025-12-01,cups,C1,10,10,0.5", "2,a,2026-01-10,cups,C2,10,10,0",
    "3,a,2026-02-09,tea,T2,5,5,0.1", "4,b,2026-02-19,tea,T1,30,30,0", "4,b,2026-02-19,cups,C1,10,10,0",
    "5,c,2024-01-01,tea,T1,99,99,0",
]  # fmt: skip
CLICKS = [
    "a,2026-02-01 20:10:00,email",
    "a,2026-02-02 20:50:00,email",
    "a,2026-02-03 09:00:00,sms",
    "d,2026-02-03,email",
]
CONTACTS = ["a,2026-01-01,email", "a,2026-01-02,email", "e,2026-02-01,sms"]


def write(shop, *, later=()):
    """The files of the shop; `later` is what happens at or after the moment of the profile, by file."""
    more = dict(later)
    rows = {"orders": ORDERS, "lines": LINES, "clicks": CLICKS, "contacts": CONTACTS}
    heads = {
        "orders": "Order,Who,When,Paid", "lines": "Order,Who,When,Cat,Brand,Price,Paid,Off", "clicks": "Who,When,How",
        "contacts": "Who,When,How",
    }  # fmt: skip
    people = ["a,1990-03-01,2025-01-01,h", "b,1990-03-02,,h", "c,,,", "d,,2026-02-20,", "e,,2025-01-01,"]
    shop.write("people.csv", "\n".join(["Id,Born,Joined,Home", *people, ""]))
    for name, head in heads.items():
        lines = [*rows[name], *more.get(name, ())]
        random.Random(len(lines)).shuffle(lines)
        shop.write(f"{name}.csv", "\n".join([head, *lines, ""]))


def rows_of(database) -> dict[str, dict[str, object]]:
    return {row["customer_id"]: row for row in database.own(PROFILE).to_pyarrow().to_pylist()}


@pytest.fixture
def profile(shop, opened):
    shop.policy = "policy: {rfm: {scopes: {cups: {category: cups}}}}"
    write(shop)
    project, database = opened(MAPPING)
    refresh_profile(project, database, AS_OF)
    return rows_of(database)


def test_rhythm(profile):
    a, b, c = (profile[who] for who in "abc")
    # 70 days between three buying days; b takes the gap of those who favour tea, c has no line in a year.
    assert (a["usual_gap"], b["usual_gap"], c["usual_gap"]) == (35, None, None)
    dues = [row["next_order_due"] for row in (a, b, c)]
    assert [str(due)[:10] for due in dues] == ["2026-03-16", "2026-03-26", "None"]
    assert (a["margin_12m"], a["substage"], b["substage"], profile["d"]["substage"], profile["e"]["substage"]) == (
        2_000, None, "new", "new_lead", "inactive_lead",
    )  # fmt: skip


def test_rhythm_can_be_selected_by(shop, opened):
    """Without a metric of that name; where there is one, it says what the rhythm is."""
    write(shop)
    project, database = opened(MAPPING)
    ensure_profile(project, database, AS_OF)
    file = shop.root / "target.yaml"
    selected = {}
    for metrics in ("", "metrics: {usual_gap: {of: bought, where: {category: cups}, take: gap}}\n"):
        for condition in ("usual_gap: 30..40", "recency_days: under 0.55 x usual_gap"):
            file.write_text(f"{metrics}target: {{who: [{{{condition}}}]}}\n", encoding="utf-8")
            target, named = read_target_file(str(file), project)
            asked = replace(project, metrics=named.metrics)
            ids = select(target, database, AS_OF, project=asked).ids.to_pyarrow()["customer_id"].to_pylist()
            selected[bool(metrics), condition.partition(":")[0]] = ids
    # a: 35 days between buying days, 40 between those of cups; the last order is 20 days old, 22 and 19.25 are asked.
    assert selected == {
        (False, "usual_gap"): ["a"],
        (False, "recency_days"): [],
        (True, "usual_gap"): ["a"],
        (True, "recency_days"): ["a"],
    }


def test_affinities(profile):
    a, b, c = (profile[who] for who in "abc")
    assert (a["favourite_category"], b["favourite_category"], c["favourite_category"]) == ("tea", "tea", None)
    assert a["category_share"] == pytest.approx(25 / 45)
    # On average tea has (25/45 + 30/40) / 2 of the spend.
    assert a["category_affinity"] == pytest.approx((25 / 45) / ((25 / 45 + 30 / 40) / 2))
    assert (a["favourite_brand"], a["brand_loyalty"], a["discount_habit"]) == ("T1", pytest.approx(20 / 25), 0.5)
    # Medians of 12.50 and 30 in tea: the lower of two is in the first third, the other in the second.
    assert (a["spending_tier"], b["spending_tier"]) == (1, 2)


def test_attention(profile):
    assert [profile[who]["aipl"] for who in "abcde"] == ["L", "P", None, "I", "A"]
    # email 3/22, sms 2/20; hours 20 twice, 9 once.
    assert (profile["a"]["preferred_channel"], profile["a"]["preferred_hour"]) == ("email", 20)
    # Two mails at 0.01 and one message at 0.05.
    assert (profile["a"]["cost_to_serve_12m"], profile["e"]["cost_to_serve_12m"]) == (2, 5)


def test_the_own_row(profile):
    assert [profile[who]["age"] for who in "abc"] == [36, 35, None]
    assert [profile[who]["household_size"] for who in "abc"] == [2, 2, None]
    assert all(0 <= row["bucket"] < 10_000 for row in profile.values())
    assert profile["c"]["profile_filled"] == 0


def test_a_scope_scores_its_lines_only(profile):
    scores = {who: tuple(profile[who][f"rfm_cups.{letter}"] for letter in "rfm") for who in "abc"}
    # Two customers bought cups: b later, a twice; c and others none, which is unknown and not 1.
    assert scores == {"a": (1, 2, 3), "b": (3, 1, 1), "c": (None, None, None)}


def test_what_happens_later_changes_no_column(shop, opened, profile, monkeypatch):
    """Leakage, by every table at once, with the rows of every file in another order."""
    later = {
        "orders": [f"6,a,{AS_OF.isoformat()},500", "7,c,2026-03-02,5"],
        "lines": [f"6,a,{AS_OF.isoformat()},cups,C9,500,500,0.9", "7,c,2026-03-02,tea,T1,5,5,0"],
        "clicks": [f"b,{AS_OF.isoformat()},sms", "e,2026-04-01,email"],
        "contacts": ["c,2026-03-01,email", "a,2026-03-05,email"],
    }
    write(shop, later=later.items())
    monkeypatch.setattr(clock, "now", lambda: AS_OF + timedelta(days=60))
    shop.project(MAPPING)
    project = load_project(shop.root, home=shop.root / "later")
    with CustomerDatabase.open(project) as database:
        import_tables(project, database)
        ensure_profile(project, database, AS_OF)
        assert rows_of(database) == profile
        ensure_profile(project, database, AS_OF + timedelta(days=40))
        assert rows_of(database) != profile


def test_buckets_are_the_hash_of_the_customer(profile):
    import hashlib

    digest = hashlib.sha256(b"bucket:a").hexdigest()[:15]
    assert profile["a"]["bucket"] == int(digest, 16) % 10_000
