"""A merge shows one person, changes no record, and can be taken back."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime, timedelta
from itertools import combinations
from pathlib import Path
from typing import Any

import ibis
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from campanile.customers.audit.run import audit
from campanile.customers.database import CustomerDatabase
from campanile.customers.people.merging import merge_people, person_of, split_people
from campanile.customers.profile import refresh_profile
from campanile.errors import CampanileError
from campanile.spec.people import PeopleSettings
from campanile.spec.project import load_project
from customers.people.people_shop import NOW, Row, groups, order, pairs_of, planted, restock, stocked

RULES = PeopleSettings()
LATER = NOW + timedelta(days=1)


def row(customer: str, **facts: object) -> Row:
    return {"customer_id": customer, **facts}


ANNA = [
    row("A", name="Anna Maas", email="anna@x.example", registered_at=date(2020, 5, 1)),
    row("B", name="A. Maas", email="Anna@x.example", phone="0170 1234567", registered_at=date(2019, 5, 1)),
    row("C", phone="01701234567", registered_at=date(2021, 5, 1)),
    row("D", name="Bert", email="bert@x.example"),
]
ORDERS = [order("A", "2025-03-01", 1000, "1"), order("B", "2025-06-01", 500, "2"), order("C", "2024-01-01", 700, "3")]


def shown(database: CustomerDatabase) -> dict[str, Row]:
    rows: list[Row] = database.table("customers").to_pyarrow().to_pylist()
    assert len({each["customer_id"] for each in rows}) == len(rows)
    return {each["customer_id"]: each for each in rows}


def merged(root: Path, *rows: Row, **rules: Any) -> Row:
    """The one person that these records become."""
    with stocked(root, rows) as database:
        merge_people(database, PeopleSettings(**rules), NOW)
        (person,) = shown(database).values()
        return person


# --- one person ------------------------------------------------------------------------------------------------------
def test_campaigns_see_one_person_with_the_orders_of_all_records(tmp_path: Path) -> None:
    with stocked(tmp_path, ANNA, order=ORDERS) as database:
        merge_people(database, RULES, NOW)
        project_profile(database, tmp_path)
        customers = {each["customer_id"]: each for each in database.customers(NOW).to_pyarrow().to_pylist()}
        assert set(customers) == {"B", "D"}, "B ordered last"
        assert (customers["B"]["orders"], customers["B"]["money_365d"]) == (3, 1500)
        events = database.events("order", NOW).to_pyarrow().to_pylist()
        assert sorted((each["customer_id"], each["order_id"]) for each in events) == [
            ("B", "1"),
            ("B", "2"),
            ("B", "3"),
        ]
        assert database.records("customers").count().execute() == 4, "no record was changed"
        assert database.net_orders(NOW)["customer_id"].nunique().execute() == 1


def project_profile(database: CustomerDatabase, root: Path) -> None:
    from campanile.spec.project import load_project

    refresh_profile(load_project(root), database, NOW)


def test_an_audit_counts_persons(tmp_path: Path) -> None:
    with stocked(tmp_path, ANNA, order=ORDERS) as database:
        merge_people(database, RULES, NOW)
        found = audit(load_project(tmp_path), database, LATER, needs={})
    assert found.customers == 2
    counted = {(each.check, each.table): each.count for each in found.findings}
    assert counted["orders_without_customer", "order"] == counted["duplicate_email", "customers"] == 0


def test_without_merges_the_same_sql_is_asked(tmp_path: Path) -> None:
    def asked(database: CustomerDatabase) -> list[str]:
        tables = [database.table("customers"), database.events("order", NOW), database.net_orders(NOW)]
        tables.append(database.events("contacted", NOW))
        return [str(ibis.to_sql(table, dialect="duckdb")) for table in tables]

    with stocked(tmp_path, ANNA, order=ORDERS) as database:
        before = asked(database)
        assert not any("people" in sql for sql in before)
        merge_people(database, RULES, NOW)
        assert all("people" in sql for sql in asked(database))
        split_people(database, ["A", "B", "C"], LATER)
        assert asked(database) == before


def test_the_history_of_the_product_keeps_its_records_and_is_shown_for_the_person(tmp_path: Path) -> None:
    with stocked(tmp_path, ANNA, order=ORDERS) as database:
        told = {"at": datetime(2026, 1, 1), "campaign": "winback", "wave": "1", "arm": "control"}
        row_ = ibis.memtable([{"customer_id": "A", **told}], schema=database.own("assignments").schema())
        database.append_own("assignments", row_)
        merge_people(database, RULES, NOW)
        assert database.own("assignments").to_pyarrow()["customer_id"].to_pylist() == ["A"]
        assert database.events("assigned", NOW).to_pyarrow()["customer_id"].to_pylist() == ["B"]


# --- which value counts ----------------------------------------------------------------------------------------------
def test_the_leader_has_the_first_word_and_others_fill_what_it_lacks(tmp_path: Path) -> None:
    with stocked(tmp_path, ANNA, order=ORDERS) as database:
        merge_people(database, RULES, NOW)
        person = shown(database)["B"]
    assert (person["name"], person["phone"]) == ("A. Maas", "0170 1234567")
    assert person["registered_at"] == date(2019, 5, 1), "the earliest"


@pytest.mark.parametrize(
    ("lead", "leader"),
    [
        (["latest_order"], "A"),
        (["most_complete"], "B"),
        (["oldest_registration"], "C"),
        (["latest_order", "most_complete"], "A"),
        ([], "A"),
    ],
)
def test_who_leads(tmp_path: Path, lead: list[str], leader: str) -> None:
    rows = [
        row("A", email="a@x.example", registered_at=date(2022, 1, 1)),
        row("B", email="a@x.example", registered_at=date(2021, 1, 1), name="A", phone="01701234567"),
        row("C", email="a@x.example", registered_at=date(2020, 1, 1)),
    ]
    with stocked(
        tmp_path, rows, order=[order("A", "2025-06-01", 1, "1"), order("B", "2025-05-01", 1, "2")]
    ) as database:
        merge_people(database, PeopleSettings(lead=lead), NOW)
        assert set(shown(database)) == {leader}


def test_the_newest_value_counts_where_the_shop_says_so(tmp_path: Path) -> None:
    rules = {"lead": ["oldest_registration"], "values": "newest"}
    old = row("A", email="a@x.example", name="Anna Alt", registered_at=date(2010, 1, 1))
    new = row("B", email="a@x.example", name="Anna Neu", registered_at=date(2020, 1, 1))
    person = merged(tmp_path, old, new, **rules)
    assert (person["customer_id"], person["name"]) == ("A", "Anna Neu")


PHONE = "01701234567"


@pytest.mark.parametrize(
    ("one", "other", "shows"),
    [
        # Refused once is refused.
        ({"email_consent": True}, {"email_consent": False}, {"email_consent": False}),
        ({"email_consent": True}, {}, {"email_consent": True}),
        ({}, {}, {"email_consent": None}),
        ({"do_not_contact": False}, {"do_not_contact": True}, {"do_not_contact": True}),
        # The address that consent was given for is the one that is written to.
        ({}, {"email_consent": True}, {"email": "other@x.example", "email_consent": True}),
        (
            {"email_consent": None},
            {"email": None, "email_consent": True},
            {"email": "a@x.example", "email_consent": None},
        ),
        # A consent's day is the day of that consent.
        (
            {"email_consent_at": date(2025, 1, 1)},
            {"email_consent": True, "email_consent_at": date(2020, 1, 1)},
            {"email_consent": True, "email_consent_at": date(2020, 1, 1)},
        ),
        # The town goes with the street.
        (
            {"postcode": "11111"},
            {"address": "Weg 1", "postcode": "22222"},
            {"address": "Weg 1", "postcode": "22222"},
        ),
        ({}, {"postcode": "22222"}, {"postcode": "22222"}),
    ],
)
def test_consent_goes_with_its_address(tmp_path: Path, one: Row, other: Row, shows: Mapping[str, object]) -> None:
    first = row("A", **{"phone": PHONE, "email": "a@x.example", "name": "A", **one})
    second = row("B", **{"phone": PHONE, "email": "other@x.example", **other})
    person = merged(tmp_path, first, second, lead=[])
    assert {name: person[name] for name in shows} == shows


# --- again, back, and never again ------------------------------------------------------------------------------------
def test_merging_twice_is_merging_once(tmp_path: Path) -> None:
    with stocked(tmp_path, ANNA, order=ORDERS) as database:
        first = merge_people(database, RULES, NOW)
        rows = database.own("people").order_by("customer_id").to_pyarrow()
        project_profile(database, tmp_path)
        again = merge_people(database, RULES, LATER)
        assert (first.merged, again.merged) == (3, 0)
        assert database.own("people").order_by("customer_id").to_pyarrow().equals(rows)
        assert database.own("people_log").count().execute() == 3
        assert database.profile_as_of() == NOW, "nothing changed, so the profile stands"


def test_a_split_is_never_merged_again_not_even_by_way_of_others(tmp_path: Path) -> None:
    with stocked(tmp_path, ANNA, order=ORDERS) as database:
        merge_people(database, RULES, NOW)
        assert split_people(database, ["A"], LATER) == ("B",)
        assert groups(database) == {frozenset("BC")}
        report = merge_people(database, RULES, LATER)
        assert (report.merged, report.vetoed) == (0, {"split before": 1})
        restock(database, [*ANNA, row("E", email="anna@x.example", phone=PHONE)])
        report = merge_people(database, RULES, LATER)
        assert (groups(database), report.held) == ({frozenset("BC")}, {"conflict": 1})
        person = person_of(database, "A")
        assert (person.person_id, person.apart) == ("A", ("B", "C"))
        assert [(each["what"], each["rule"]) for each in person.log] == [("merge", "email"), ("split", "email")]


def test_when_the_leader_leaves_the_next_one_leads(tmp_path: Path) -> None:
    with stocked(tmp_path, ANNA, order=ORDERS) as database:
        merge_people(database, RULES, NOW)
        split_people(database, ["B"], LATER)
        assert groups(database) == {frozenset("AC")}
        assert set(shown(database)) == {"A", "B", "D"}
        people = {each["customer_id"]: each for each in database.own("people").to_pyarrow().to_pylist()}
        assert [(people[each]["place"], people[each]["rule"]) for each in "AC"] == [(0, "leads"), (1, "phone")]
        assert merge_people(database, RULES, LATER).merged == 0


def test_nothing_is_split_when_one_of_them_is_unknown(tmp_path: Path) -> None:
    with stocked(tmp_path, ANNA, order=ORDERS) as database:
        merge_people(database, RULES, NOW)
        with pytest.raises(CampanileError, match="not merged with any record: D, X; campanile people show"):
            split_people(database, ["A", "X", "D"], LATER)
        assert groups(database) == {frozenset("ABC")}
        with pytest.raises(CampanileError, match='no customer "X"'):
            person_of(database, "X")


def test_who_leads_goes_on_leading_when_records_join(tmp_path: Path) -> None:
    with stocked(tmp_path, ANNA[:2], order=ORDERS[:2]) as database:
        merge_people(database, RULES, NOW)
        assert set(shown(database)) == {"B"}
        newer = [*ORDERS[:2], order("C", "2026-02-01", 1, "9")]
        restock(database, ANNA, order=newer)
        report = merge_people(database, RULES, LATER)
        assert set(shown(database)) == {"B", "D"}
        assert (report.merged, report.sizes, report.examples) == (1, {3: 1}, (("B", "C", "A"),))


def test_persons_merged_before_stay_together_when_the_address_that_joined_them_is_gone(tmp_path: Path) -> None:
    with stocked(tmp_path, ANNA, order=ORDERS) as database:
        merge_people(database, RULES, NOW)
        restock(database, [{**each, "email": None, "phone": None} for each in ANNA])
        assert merge_people(database, RULES, LATER).merged == 0
        assert groups(database) == {frozenset("ABC")}


# --- properties ------------------------------------------------------------------------------------------------------
@settings(max_examples=4, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.randoms(use_true_random=False), st.integers(0, 1000))
def test_the_order_of_records_decides_nothing(tmp_path: Path, dice: Any, seed: int) -> None:
    records = planted(30, seed).records
    shuffled = dice.sample(records, len(records))
    orders = [order(each["customer_id"], "2025-03-01", 1, each["customer_id"]) for each in records]
    found = []
    for rows in (records, shuffled):
        with stocked(tmp_path / str(len(list(tmp_path.iterdir()))), rows, order=orders) as database:
            merge_people(database, RULES, NOW)
            found.append(database.own("people").order_by("customer_id").to_pyarrow().to_pylist())
    assert found[0] == found[1]


def test_no_order_and_no_cent_is_lost_or_counted_twice(tmp_path: Path) -> None:
    shop = planted(100, seed=3)
    amounts = {each["customer_id"]: number * 37 % 1009 + 1 for number, each in enumerate(shop.records)}
    orders = [order(each, "2025-03-01", amount, f"{each}-{n}") for each, amount in amounts.items() for n in range(2)]
    with stocked(tmp_path, shop.records, order=orders) as database:
        merge_people(database, RULES, NOW)
        valid = database.net_orders(NOW)
        by_person = valid.group_by("customer_id").aggregate(n=valid.count(), money=valid["net"].sum())
        total = by_person.aggregate(n=by_person["n"].sum(), money=by_person["money"].sum()).to_pyarrow().to_pylist()[0]
        assert (total["n"], total["money"]) == (len(orders), 2 * sum(amounts.values()))
        leaders = set(shown(database))
        members = {each: next(iter(ids & leaders)) for ids in groups(database) for each in ids}
        expected: dict[str, int] = {}
        for each, amount in amounts.items():
            person = members.get(each, each)
            expected[person] = expected.get(person, 0) + 2 * amount
        found = {each["customer_id"]: each["money"] for each in by_person.to_pyarrow().to_pylist()}
        assert found == expected
        assert len(pairs_of(groups(database))) == 50


# --- households ------------------------------------------------------------------------------------------------------
HOME = {"address": "Am Weg 3", "postcode": "12345"}


@pytest.mark.parametrize(
    ("by", "together"),
    [
        ("imported", {"A": "h7", "B": None, "C": None, "D": None, "E": None}),
        ("last_name_and_address", {"A": "h7", "B": 1, "C": 1, "D": 2, "E": None}),
        ("address", {"A": "h7", "B": 1, "C": 1, "D": 1, "E": None}),
    ],
)
def test_a_household_where_the_import_names_none(tmp_path: Path, by: str, together: dict[str, object]) -> None:
    rows = [
        row("A", name="Ann Li", household="h7", **HOME),
        row("B", name="Bo Li", **HOME),
        row("C", name="C LI", address="am Weg, 3", postcode="12345"),
        row("D", name="Di Wu", **HOME),
        row("E", name="Ed Li", address=None, postcode="12345"),
    ]
    with stocked(tmp_path, rows, people=f"{{match: [], household: {by}}}") as database:
        found = {customer: each["household"] for customer, each in shown(database).items()}
    keys = {name: found[name] for name in together}
    for (one, home), (other, home_too) in combinations(together.items(), 2):
        same = home is not None and home == home_too
        assert (keys[one] is not None and keys[one] == keys[other]) == same, (one, other)
    assert not any("weg" in str(key).lower() for key in keys.values()), "a household's name says nothing of it"
