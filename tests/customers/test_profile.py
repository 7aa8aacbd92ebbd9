"""The profile as of a moment: raw values, scores, stages, and what may not change them."""

from __future__ import annotations

import random
from collections import defaultdict
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import ibis
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from campanile import clock
from campanile.customers import rfm
from campanile.customers.database import PROFILE
from campanile.customers.profile import refresh_profile
from campanile.customers.profile_report import Rate, _table
from campanile.customers.reach import contact_flags, gone
from campanile.customers.stages import StageCuts, stage_cuts, stage_of
from campanile.messages.mime import recipient
from campanile.money import Currency
from campanile.spec.scoring import RfmSettings, StageSettings
from campanile.spec.segment_map import own_map

AS_OF = datetime(2026, 3, 1, tzinfo=UTC)
ORDER_MAPPING = "  order: {file: orders.csv, columns: {customer_id: Who, at: When, order_id: Order, amount: Paid}}\n"
PEOPLE_MAPPING = "  customers: {file: people.csv, columns: {customer_id: Id}}\n"


def profile_rows(database) -> dict[str, dict[str, object]]:
    return {row["customer_id"]: row for row in database.own(PROFILE).to_pyarrow().to_pylist()}


def orders_csv(orders) -> str:
    return "Order,Who,When,Paid\n" + "".join(f"{n},{who},{when},{paid}\n" for n, (who, when, paid) in enumerate(orders))


HISTORY = [
    ("a", "2026-02-28 23:30:00", 50), ("a", "2026-02-28 10:00:00", 50), ("a", "2025-02-28 10:00:00", 500),
    ("b", "2025-03-01 00:00:00", 70), ("b", "2025-02-28 23:59:59", 700),
    ("c", "2024-01-01 12:00:00", 20), ("d", "2025-12-31 12:00:00", 0),
]  # fmt: skip


@pytest.fixture
def history(shop, opened):
    shop.write("people.csv", "Id\na\nb\nc\nd\ne\n")
    shop.write("orders.csv", orders_csv(HISTORY + [("stranger", "2026-01-01", 9)]))
    shop.write(
        "returns.csv", "Order,Who,When,Refund\nunknown,b,2026-01-01,100\nunknown,b,2024-01-01,100\n,a,2026-01-01,10\n"
    )
    shop.write("visits.csv", "Who,When\na,2026-02-20 12:00:00\na,2026-02-22 23:59:00\nb,2026-03-02\n")
    return opened(
        PEOPLE_MAPPING + ORDER_MAPPING
        + "  returned: {file: returns.csv, columns: {customer_id: Who, at: When, order_id: Order, amount: Refund}}\n"
        + "  visited: {file: visits.csv, columns: {customer_id: Who, at: When}}\n"
    )  # fmt: skip


def test_raw_values(history):
    report = refresh_profile(*history, AS_OF)
    rows = profile_rows(history[1])
    a, b, c, d = (rows[who] for who in "abcd")
    assert (a["orders"], a["buying_days"], a["frequency_365d"], a["money_365d"]) == (3, 2, 2, 10_000 - 1_000)
    assert (a["first_order_at"], a["last_order_at"]) == (
        datetime.fromisoformat("2025-02-28 10:00"),
        datetime.fromisoformat("2026-02-28 23:30"),
    )
    assert (a["recency_days"], a["visit_recency_days"]) == (1, 7)
    assert (b["frequency_365d"], b["money_365d"], b["visit_recency_days"]) == (1, 7_000 - 10_000, None)
    assert (c["orders"], c["frequency_365d"], c["money_365d"], c["recency_days"]) == (1, 0, 0, 790)
    assert (d["orders"], d["recency_days"], d["rfm.code"], d["stage"]) == (0, None, None, "prospect")
    assert set(rows) == set("abcde")
    assert (report.customers, report.buyers, report.strangers) == (5, 3, 1)


def test_days_are_the_shops(shop, opened):
    """15:30 and 16:30 UTC are two days in Shanghai, and the second of them is today."""
    shop.zone = "Asia/Shanghai"
    shop.write("people.csv", "Id\na\n")
    shop.write("orders.csv", orders_csv([("a", "2026-02-28T15:30:00Z", 5), ("a", "2026-02-28T16:30:00Z", 5)]))
    project, database = opened(PEOPLE_MAPPING + ORDER_MAPPING)
    refresh_profile(project, database, datetime(2026, 3, 1, 9, tzinfo=ZoneInfo("Asia/Shanghai")))
    row = profile_rows(database)["a"]
    assert (row["buying_days"], row["recency_days"]) == (2, 0)


def test_what_happens_later_changes_nothing(shop, opened, monkeypatch):
    """Leakage: orders, refunds and visits at or after as_of do not move a single value, nor the report."""
    draw = random.Random(5)
    past = [
        (f"c{draw.randrange(40)}", AS_OF - timedelta(hours=draw.randrange(1, 20_000)), draw.randrange(1, 90))
        for _ in range(400)
    ]
    shop.write("people.csv", "Id\n" + "".join(f"c{n}\n" for n in range(45)))
    returned = (
        "  returned: {file: returns.csv, columns: {customer_id: Who, at: When, order_id: Order, amount: Refund}}\n"
    )
    shop.write("returns.csv", "Order,Who,When,Refund\n0,c0,2020-01-01,0\n")
    shop.write("orders.csv", orders_csv((who, at.isoformat(), paid) for who, at, paid in past))
    project, database = opened(PEOPLE_MAPPING + ORDER_MAPPING + returned)
    report, rows = refresh_profile(project, database, AS_OF), profile_rows(database)
    database.close()

    later = [("c1", AS_OF, 900), ("c41", AS_OF + timedelta(seconds=1), 900), ("c2", AS_OF + timedelta(days=30), 1)]
    shop.write("orders.csv", orders_csv((who, at.isoformat(), paid) for who, at, paid in [*past, *later]))
    refunds = f"1,c1,{AS_OF.isoformat()},50\n,c3,2026-04-01,500\n"
    shop.write("returns.csv", f"Order,Who,When,Refund\n0,c0,2020-01-01,0\n{refunds}")
    monkeypatch.setattr(clock, "now", lambda: AS_OF + timedelta(days=100))
    project, database = opened(PEOPLE_MAPPING + ORDER_MAPPING + returned)
    assert database.table("order").count().execute() == 403
    assert refresh_profile(project, database, AS_OF) == report
    assert profile_rows(database) == rows
    refresh_profile(project, database, AS_OF + timedelta(days=60))
    assert profile_rows(database) != rows


def score_by_definition(value, values, scores=5):
    return 1 + scores * sum(other < value for other in values) // len(values)


def scores_of(buyers, settings: RfmSettings, *, segments="default", frozen=()) -> list[dict[str, object]]:
    how = rfm.scales(settings, Currency("EUR"), frozen)
    return rfm.named(rfm.scored(buyers, how), own_map(segments), settings).to_pyarrow().to_pylist()


PURCHASES = st.lists(
    st.tuples(st.integers(0, 12), st.integers(0, 800), st.integers(-500, 3_000)), min_size=1, max_size=80
)


@pytest.fixture(scope="module")
def memory():
    return ibis.duckdb.connect()


@settings(max_examples=30, deadline=None)
@given(PURCHASES, st.randoms())
def test_scores_are_the_definition_whatever_the_order_of_rows(memory, purchases, shuffle):
    """R and M by strictly worse customers, F by fixed bounds, a negative sum of money at the bottom."""
    people = defaultdict(lambda: [0, 10_000, 0])
    for who, days, money in purchases:
        people[who][0] += 1
        people[who][1] = min(people[who][1], days)
        people[who][2] += money
    rows = [
        {"customer_id": str(who), "rfm_frequency": n, "rfm_recency": days, "rfm_money": money}
        for who, (n, days, money) in people.items()
    ]
    shuffle.shuffle(rows)
    types = {"customer_id": "string", "rfm_frequency": "int64", "rfm_recency": "int64", "rfm_money": "int64"}
    memory.create_table("buyers", ibis.memtable(rows, schema=types), overwrite=True)
    found = scores_of(memory.table("buyers"), RfmSettings())
    freshness, sums = [-row["rfm_recency"] for row in rows], [row["rfm_money"] for row in rows]
    assert len(found) == len(rows)
    for row in found:
        r = score_by_definition(-row["rfm_recency"], freshness)
        f = 1 + sum(row["rfm_frequency"] >= bound for bound in (2, 3, 5, 10))
        m = 1 if row["rfm_money"] < 0 else score_by_definition(row["rfm_money"], sums)
        assert (row["rfm.r"], row["rfm.f"], row["rfm.m"]) == (r, f, m)
        assert (row["rfm.sum"], row["rfm.code"]) == (r + f + m, f"{r}{f}{m}")
        assert row["rfm.segment"] == own_map("default").name_of(r, f, m)


def test_fixed_cut_points_are_what_the_settings_say(memory):
    rows = [
        {"customer_id": str(n), "rfm_frequency": n, "rfm_recency": n * 30, "rfm_money": n * 1000} for n in range(1, 14)
    ]
    memory.create_table("fixed", ibis.memtable(rows), overwrite=True)
    fixed = RfmSettings(recency=(30, 90, 180, 365), frequency=(2, 3, 5, 10), money=(20, 40, 60, 80))
    found = sorted(scores_of(memory.table("fixed"), fixed), key=lambda row: row["rfm_frequency"])
    assert [row["rfm.r"] for row in found] == [5, 4, 4, 3, 3, 3, 2, 2, 2, 2, 2, 2, 1]
    assert [row["rfm.f"] for row in found] == [1, 2, 3, 3, 4, 4, 4, 4, 4, 5, 5, 5, 5]
    assert [row["rfm.m"] for row in found] == [1, 2, 2, 3, 3, 4, 4, 5, 5, 5, 5, 5, 5]


def test_rfm_warns_where_it_means_little():
    fine = {"buyers": 500, "history_days": 180, "days_since_last_order": 30, "most_orders": 3}
    assert rfm.warnings(**fine) == ()
    for name, value in (("buyers", 499), ("history_days", 179), ("days_since_last_order", 31), ("most_orders", 2)):
        assert len(rfm.warnings(**{**fine, name: value})) == 1, name


CUTS = StageCuts(10, 20, 30, 40, "settings")


def test_stages_change_the_day_after_their_last_day(memory):
    days = ibis.memtable({"days": [None, 0, 10, 11, 20, 21, 30, 31, 40, 41]}, schema={"days": "int64"})
    assert memory.to_pyarrow(stage_of(days.days, CUTS).name("s")).to_pylist() == [
        "prospect", "active", "active", "silent", "silent", "sleeping", "sleeping", "lapsed", "lapsed", "dead",
    ]  # fmt: skip


def buying_days(memory, gaps):
    day, rows = date(2020, 1, 1), []
    for n, gap in enumerate(gaps):
        rows += [{"customer_id": f"c{n}", "day": day}, {"customer_id": f"c{n}", "day": day + timedelta(days=gap)}]
    return memory.create_table(
        "days", ibis.memtable(rows, schema={"customer_id": "string", "day": "date"}), overwrite=True
    )


def test_stage_cuts_come_from_repurchase_gaps_when_there_are_enough(memory):
    cuts = stage_cuts(StageSettings(), buying_days(memory, range(1, 201)))
    assert (cuts.active, cuts.silent, cuts.sleeping, cuts.lapsed) == (150, 180, 190, 285)
    assert (cuts.origin, cuts.gaps) == ("repurchase gaps", 200)
    few = stage_cuts(StageSettings(), buying_days(memory, range(1, 200)))
    assert (few.active, few.silent, few.sleeping, few.lapsed, few.origin) == (90, 180, 365, 730, "defaults")


def test_stage_cuts_rise_although_all_gaps_are_equal(memory):
    cuts = stage_cuts(StageSettings(), buying_days(memory, [7] * 300))
    assert (cuts.active, cuts.silent, cuts.sleeping, cuts.lapsed) == (7, 8, 9, 99)


def test_stage_cuts_are_the_settings_where_they_say_so(memory):
    fixed = StageSettings(active="1d", silent="2d", sleeping="3d", lapsed="4d")
    cuts = stage_cuts(fixed, buying_days(memory, range(1, 300)))
    assert (cuts.active, cuts.lapsed, cuts.origin) == (1, 4, "settings")


ADDRESSES = {
    "a@b.example": True, "first.last+tag@sub.mail.example": True, "yonghu@例子.公司": True, "x@y.co": True,
    "unknown": False, "a@b": False, "a@@b.example": False, "a b@c.example": False, ".a@b.example": False,
    "a..b@c.example": False, "a@-b.example": False, "a@b.example.": False, "": False, None: False,
    "a@b.example, c@d.example": False, "<a@b.example>": False, "x" * 250 + "@b.example": False,
    "用户@例子.公司": False, "josé@b.example": False, "a\u200b@b.example": False, "İ@b.example": False,
    "a@b\u200b.example": False, "x" * 65 + "@b.example": False, "x" * 64 + "@b.example": True,
    "a@b.123": False, "a@bücher.example": True, "a@" + "ü" * 40 + ".example": False, "a@xn--ü.example": False,
    "a\u00a0@b.example": False, "a@b.example\n": False, "a@" + "b" * 64 + ".example": False, "a@\u037a.example": False,
}  # fmt: skip
PHONES = {
    "+8613800138000": True, "+44 20 7946 0958": True, "(020) 7946-0958": True, "138 0013 8000": True,
    "12345": False, "+1234567890123456": False, "none": False, "+": False, None: False, "12 34 56 7x": False,
}  # fmt: skip


def test_addresses_and_numbers_that_are_well_written(memory):
    for column, flag, cases in (("email", "email_ok", ADDRESSES), ("phone", "phone_ok", PHONES)):
        table = ibis.memtable({column: list(cases)}, schema={column: "string"})
        assert memory.to_pyarrow(contact_flags(table)[flag].name("ok")).to_pylist() == list(cases.values())


_LETTERS = st.sampled_from("aAzZ09-..@+_'üßİıſŉΩϊжё优选ガ한ไ\u200b\u0301\u037aªⅷ٣א\u00ad")
_ADDRESSES = st.builds(
    "{}@{}.{}".format, st.text("ab.+-é", max_size=8), st.text(_LETTERS), st.text(_LETTERS, min_size=2)
)


@given(st.lists(_ADDRESSES | st.emails(), min_size=1, max_size=40))
def test_a_mail_can_be_written_to_every_address_that_is_well_written(addresses):
    table = ibis.memtable({"email": addresses}, schema={"email": "string"})
    found = ibis.duckdb.connect().to_pyarrow(contact_flags(table)["email_ok"].name("ok")).to_pylist()
    for address, well_written in zip(addresses, found, strict=True):
        if well_written:
            assert recipient(address)


def test_the_shop_s_own_word_on_an_address_comes_first(memory):
    flags = {"a@b.example": (None, True), "c@d.example": (False, False), "josé@b.example": (True, True)}
    columns = {"email": list(flags), "email_ok": [said for said, _ in flags.values()]}
    table = ibis.memtable(columns, schema={"email": "string", "email_ok": "boolean"})
    found = memory.to_pyarrow(contact_flags(table)["email_ok"].name("ok")).to_pylist()
    assert found == [ok for _, ok in flags.values()]


def test_who_is_gone(memory):
    table = ibis.memtable(
        [
            {"email": "a@b.example", "phone": None, "erasure_requested": False, "postal_ok": None},
            {"email": "broken", "phone": "1", "erasure_requested": None, "postal_ok": None},
            {"email": "broken", "phone": None, "erasure_requested": None, "postal_ok": True},
            {"email": "a@b.example", "phone": None, "erasure_requested": True, "postal_ok": True},
        ],
        schema={"email": "string", "phone": "string", "erasure_requested": "boolean", "postal_ok": "boolean"},
    )
    assert memory.to_pyarrow(gone(table).name("gone")).to_pylist() == [False, True, False, True]
    # A shop that imports no way to reach anybody has not lost everybody.
    assert memory.to_pyarrow(gone(ibis.memtable({"customer_id": ["a"]})).name("gone")).as_py() is False


def test_a_check_table_that_does_not_fall_warns():
    rates = (Rate("active", 100, 10), Rate("silent", 100, 20))
    assert any("should fall" in line for line in _table("t", rates, falls=True))
    assert not any("should" in line for line in _table("t", rates, falls=False))


def test_a_shop_without_orders_has_prospects_only(shop, opened):
    shop.write("people.csv", "Id,Mail\na,a@b.example\nb,broken\n")
    project, database = opened("  customers: {file: people.csv, columns: {customer_id: Id, email: Mail}}\n")
    report = refresh_profile(project, database, AS_OF)
    assert {who: row["stage"] for who, row in profile_rows(database).items()} == {"a": "prospect", "b": "dead"}
    assert report.warnings == ("nobody has bought yet: no RFM, everybody is a prospect",)
    assert "2 customers as of 2026-03-01 00:00 (UTC), 0 have bought" in report.text(ZoneInfo("UTC"))
    assert database.customers(AS_OF).filter(lambda rows: rows["rfm.r"].notnull()).count().execute() == 0
