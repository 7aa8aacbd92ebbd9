"""Every row of a file is kept, skipped, repeated or rejected with a reason, and nothing is counted twice."""

from __future__ import annotations

import os
import stat
from collections import Counter
from datetime import UTC, date, datetime, timedelta

import pytest

from campanile import clock
from campanile.customers.database import CustomerDatabase
from campanile.errors import CampanileError, ProblemsError

ORDERS = "columns: {customer_id: Who, at: When, order_id: Order, amount: Paid}"
HEAD = "Order,Who,When,Paid\n"


def adds_up(report) -> bool:
    accounted = report.skipped + sum(report.rejected.values()) + report.duplicates + report.kept
    return report.read == accounted and report.kept == report.new + report.updated + report.known


def test_money_becomes_minor_units_and_time_becomes_utc(shop):
    shop.zone = "Asia/Shanghai"
    shop.load_one("order", ORDERS, HEAD + "1,a,2026-01-02 10:30:00,12.345\n2,b,2026-01-02,0.1\n")
    first, second = shop.rows("order")
    assert first == {
        "customer_id": "a",
        "at": datetime.fromisoformat("2026-01-02 02:30"),
        "order_id": "1",
        "amount": 1235,
    }
    assert second["at"] == datetime.fromisoformat("2026-01-01 16:00") and second["amount"] == 10


@pytest.mark.parametrize(("currency", "minor"), [("JPY", 13), ("KWD", 12500), ("EUR", 1250)])
def test_minor_units_are_the_currencys(shop, currency, minor):
    shop.currency = currency
    shop.load_one("order", ORDERS, HEAD + "1,a,2026-01-02,12.5\n")
    assert shop.rows("order")[0]["amount"] == minor


BAD_ROWS = [
    ("1,,2026-01-02,5", "no customer_id"),
    ("2,  ,2026-01-02,5", "no customer_id"),
    (",a,2026-01-02,5", "no order_id"),
    ("3,a,,5", "no date"),
    ("4,a,yesterday,5", "unreadable date"),
    ("5,a,2026-02-30,5", "unreadable date"),
    ("6,a,1969-12-31,5", "date before 1970"),
    ("7,a,infinity,5", "date in the future"),
    ("8,a,2999-01-01,5", "date in the future"),
    ("9,a,2026-01-02,ten", "unreadable money in amount"),
    ("10,a,2026-01-02,NaN", "unreadable money in amount"),
    ("11,a,2026-01-02,inf", "unreadable money in amount"),
    ("12,a,2026-01-02,1e30", "unreadable money in amount"),
    ("13,a,2026-01-02", "wrong number of columns"),
    ("14,a,2026-01-02,5,6", "wrong number of columns"),
    ('15,"a"b,2026-01-02,5', "a quote in the wrong place"),
    ('16,"a,2026-01-02,5', "a quote that is never closed"),
]


def test_bad_rows_are_rejected_with_their_reasons_and_the_rest_is_kept(shop):
    lines = [line for number, (row, _) in enumerate(BAD_ROWS) for line in (row, f"good{number},x,2026-01-01,1")]
    report = shop.load_one("order", ORDERS, HEAD + "\n".join(lines) + "\n")
    assert report.rejected == Counter(reason for _, reason in BAD_ROWS)
    assert {row["order_id"] for row in shop.rows("order")} == {f"good{number}" for number in range(len(BAD_ROWS))}
    assert adds_up(report) and report.read == len(lines)


def test_rows_only_the_engine_needs_to_judge_are_rejected_too(shop):
    """Without a broken line the file goes the fast way; the verdicts must be the same."""
    readable = [(row, reason) for row, reason in BAD_ROWS if "quote" not in reason and "columns" not in reason]
    lines = "\n".join([*(row for row, _ in readable), "good,x,2026-01-01,1"])
    report = shop.load_one("order", ORDERS, HEAD + lines)
    assert report.rejected == Counter(reason for _, reason in readable)
    assert [row["order_id"] for row in shop.rows("order")] == ["good"]


def test_rejects_name_file_place_and_the_form_of_the_value(shop):
    report = shop.load_one("order", ORDERS, HEAD + "1,a,2026-01-01,1\n2,b,2026-01-01,ten\n")
    assert report.rejects == shop.root / "runs" / "rejects" / "order.csv"
    assert shop.rejects("order") == ["data.csv,,2,unreadable money in amount,xxx"]
    # A file with a broken line is read line by line, and the lines of rows are known then.
    shop.load_one("order", ORDERS, HEAD + '1,a,2026-01-01,1\n3,c\n4,"d\nd",2026-01-01,4\n\n2,b,2026-01-01,ten\n')
    assert shop.rejects("order") == [
        "data.csv,3,,wrong number of columns,",
        "data.csv,7,,unreadable money in amount,xxx",
    ]


def test_a_clean_import_leaves_no_old_list_of_rejects(shop):
    shop.load_one("order", ORDERS, HEAD + "1,,2026-01-01,1\n")
    assert len(shop.rejects("order")) == 1
    report = shop.load_one("order", ORDERS, HEAD + "1,a,2026-01-01,1\n")
    assert report.rejects is None
    assert not (shop.root / "runs" / "rejects" / "order.csv").exists()


def test_contact_data_is_neither_in_rejects_nor_in_the_report(shop):
    mapping = "columns: {customer_id: Id, email: Mail, email_consent: Yes}"
    report = shop.load_one("customers", mapping, "Id,Mail,Yes\n,ana@mail.example,yes\n2,bo@mail.example,perhaps\n")
    assert report.rejected == {"neither true nor false in email_consent": 1, "no customer_id": 1}
    assert "mail.example" not in "".join(shop.rejects("customers")) + "".join(report.lines())


def test_personal_data_in_the_wrong_column_is_not_in_rejects_either(shop):
    lines = [
        "1,a,ana@mail.example,5", "2,a,2026-01-02,bo＠mail.example", "3,a,13800138000,5", "4,a,600 123 456,5",
        "5,a,2026-13-02 10:30,5", "6,a,2026-01-02,王小明", "7,a,+86 138-0013-8000,5", "8,a,12 Rue d’Été,5",
    ]  # fmt: skip
    shop.load_one("order", ORDERS, HEAD + "\n".join(lines) + "\n")
    shown = [line.rpartition(",")[2] for line in shop.rejects("order")]
    assert shown == [
        "xxx@xxxx.xxxxxxx", "xx＠xxxx.xxxxxxx", "99999999999", "999 999 999", "2026-13-02 10:30", "xxx",
        "+99 999-9999-9999", "12 xxx x’xxx",
    ]  # fmt: skip


def test_not_even_the_digits_of_a_date_of_birth_are_in_rejects(shop):
    shop.load_one("customers", "columns: {customer_id: Id, birth_date: Born}", "Id,Born\n1,31.02.1980\n2,5 Août\n")
    assert shop.rejects("customers") == [
        "data.csv,,1,unreadable date in birth_date,99.99.9999",
        "data.csv,,2,unreadable date in birth_date,9 xxxx",
    ]


def test_only_the_owner_reads_rejects_and_customers(shop):
    shop.load_one("order", ORDERS, HEAD + "1,a,2026-01-01,1\n2,b,2026-01-01,ten\n")
    runs = shop.root / "runs"
    assert stat.S_IMODE((runs / "rejects").stat().st_mode) == 0o700
    for path in (runs / "rejects" / "order.csv", runs / "customers.duckdb"):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600, path
    (runs / "customers.duckdb").chmod(0o644)
    before = os.umask(0o022)
    try:
        with CustomerDatabase.open(shop.project()) as database:
            database.note_profile(())
            found = {path.name: stat.S_IMODE(path.stat().st_mode) for path in runs.iterdir() if path.is_file()}
        (runs / "open.txt").touch()
        assert stat.S_IMODE((runs / "open.txt").stat().st_mode) == 0o644, "afterwards the process is as it was"
    finally:
        os.umask(before)
    assert found == {"customers.duckdb": 0o600, "customers.duckdb.wal": 0o600}


def test_a_name_without_end_is_refused_and_the_rest_is_kept(shop):
    mapping = "columns: {customer_id: Id, name: Name}"
    report = shop.load_one("customers", mapping, f"Id,Name\n1,{'x' * 10_001}\n2,{'y' * 10_000}\n3,\n")
    assert report.rejected == {"more than 10,000 characters in name": 1}
    assert [row["customer_id"] for row in shop.rows("customers")] == ["2", "3"]
    assert shop.rejects("customers") == ['data.csv,,1,"more than 10,000 characters in name",']


def test_rows_of_customers_that_nobody_knows_are_counted(shop):
    shop.write("people.csv", "customer_id\na\n")
    shop.write("orders.csv", HEAD + "1,a,2026-01-01,1\n2,b,2026-01-01,1\n3,c,2026-01-01,1\n")
    mapping = f"  customers: {{file: people.csv}}\n  order: {{file: orders.csv, {ORDERS}}}\n"
    report = shop.load(mapping)
    assert (report.table("order").strangers, report.table("customers").strangers) == (2, 0)
    assert "  2 rows are of customers that the table customers does not have" in report.table("order").lines()
    assert report.rows()[1]["strangers"] == 2
    shop.write("people.csv", "customer_id\na\nb\nc\n")
    assert shop.load(mapping).table("order").strangers == 0


def test_a_column_that_comes_twice_is_reported_without_a_mapping_too(shop):
    shop.write("people.csv", "customer_id,city,city\na,Madrid,Rome\n")
    with pytest.raises(ProblemsError, match='people.csv has 2 columns "city"; rename all but one'):
        shop.load("  customers: {file: people.csv}\n")
    shop.write("people.csv", "customer_id,city,other,other\na,Madrid,1,2\n")
    assert shop.load("  customers: {file: people.csv}\n").table("customers").kept == 1


@pytest.mark.parametrize("lines", [HEAD + "1,a,2026-01-01,ten\n", HEAD + "1,a,2026-01-01,10\n"])
def test_a_file_where_the_folder_of_rejects_should_be(shop, lines):
    shop.write("runs/rejects", "a file")
    with pytest.raises(CampanileError, match="a file lies where a folder should be"):
        shop.load_one("order", ORDERS, lines)


def test_an_hour_ahead_is_no_future(shop):
    soon = (clock.now() + timedelta(hours=1)).strftime("%Y-%m-%d %H:%M:%S")
    assert shop.load_one("order", ORDERS, f"{HEAD}1,a,{soon},1\n").kept == 1


def test_importing_twice_changes_nothing(shop):
    lines = HEAD + "1,a,2026-01-02,5\n1,a,2026-01-02,5\n2,b,2026-01-02,5\n3,,2026-01-02,5\n"
    first = shop.load_one("order", ORDERS, lines)
    second = shop.load_one("order", ORDERS, lines)
    assert (first.new, first.duplicates, first.rows) == (2, 1, 2)
    assert (second.new, second.updated, second.known, second.duplicates, second.rows) == (0, 0, 2, 1, 2)
    assert adds_up(first) and adds_up(second)


def test_overlapping_files_count_once(shop):
    shop.write("lines-1.csv", "Who,When,What\na,2026-01-01,x\na,2026-01-02,y\n")
    shop.write("lines-2.csv", "Who,When,What\na,2026-01-02,y\na,2026-01-03,z\n")
    mapping = "  bought: {file: lines-*.csv, columns: {customer_id: Who, at: When, sku: What}}\n"
    report = shop.load(mapping).table("bought")
    assert report.files == ("lines-1.csv", "lines-2.csv")
    assert (report.read, report.new, report.duplicates) == (4, 3, 1)
    shop.write("lines-3.csv", "Who,When,What\na,2026-01-03,z\na,2026-01-04,w\n")
    assert shop.load(mapping).table("bought").new == 1
    assert [row["sku"] for row in shop.rows("bought", "at")] == ["x", "y", "z", "w"]


def test_the_same_rows_under_other_column_names_count_once(shop):
    lines = "{},InvoiceDate,Quantity\n1,2010-12-01 08:26:00,6\n"
    shop.load_one(
        "bought", "columns: {customer_id: Customer ID, at: InvoiceDate, qty: Quantity}", lines.format("Customer ID")
    )
    more = lines.format("CustomerID") + "2,2011-01-01 10:00:00,3\n"
    report = shop.load_one("bought", "columns: {customer_id: CustomerID, at: InvoiceDate, qty: Quantity}", more)
    assert (report.known, report.new, report.rows) == (1, 1, 2)


def test_rows_that_differ_only_where_nobody_maps_are_different_rows(shop):
    """Two cancelled things at the same price are two; a line that came twice whole is one."""
    lines = "Who,When,Sum,Thing\na,2026-01-01,-5,cup\na,2026-01-01,-5,pot\na,2026-01-01,-5,pot\nb,2026-01-01,-5,cup\n"
    mapping = "columns: {customer_id: Who, at: When, amount: {from: Sum, negate: true}}"
    report = shop.load_one("returned", mapping, lines)
    assert (report.read, report.new, report.duplicates) == (4, 3, 1)
    assert [row["amount"] for row in shop.rows("returned")] == [500, 500, 500]
    again = shop.load_one("returned", mapping, lines + "a,2026-01-01,-5,lid\n")
    assert (again.known, again.new, again.rows) == (3, 1, 4)
    less = shop.load_one("returned", mapping, "Who,When,Sum,Thing\na,2026-01-01,-5,cup\n")
    assert (less.known, less.new, less.rows) == (1, 0, 4)


def test_equal_rows_of_two_files_are_the_same_rows(shop):
    """An export that says when it was made does not make its rows others."""
    shop.write("x-1.csv", "Who,When,Made\na,2026-01-01,mon\na,2026-01-01,tue\n")
    shop.write("x-2.csv", "Who,When,Made\na,2026-01-01,wed\n")
    report = shop.load("  visited: {file: x-*.csv, columns: {customer_id: Who, at: When}}\n").table("visited")
    assert (report.read, report.new, report.duplicates) == (3, 2, 1)


def test_the_last_file_wins_for_customers(shop):
    shop.write("people-1.csv", "Id,City\na,Bonn\nb,Ulm\n")
    shop.write("people-2.csv", "Id,City\na,Kiel\na,Jena\n")
    mapping = "  customers: {file: people-*.csv, columns: {customer_id: Id, city: City}}\n"
    shop.load(mapping)
    assert [(row["customer_id"], row["city"]) for row in shop.rows("customers")] == [("a", "Jena"), ("b", "Ulm")]
    shop.write("people-3.csv", "Id,City\nb,Bern\n")
    report = shop.load(mapping).table("customers")
    assert (report.new, report.updated, report.known) == (0, 1, 1)


def test_a_new_column_in_the_mapping_updates_known_rows_instead_of_doubling_them(shop):
    lines = "Who,When,What,Kind\na,2026-01-01,x,tea\na,2026-01-01,x,cake\nb,2026-01-01,y,\n"
    shop.load_one("bought", "columns: {customer_id: Who, at: When, sku: What}", lines)
    report = shop.load_one("bought", "columns: {customer_id: Who, at: When, sku: What, category: Kind}", lines)
    assert (report.new, report.updated, report.known, report.rows) == (0, 2, 1, 3)
    assert sorted(str(row["category"]) for row in shop.rows("bought")) == ["None", "cake", "tea"]
    again = shop.load_one("bought", "columns: {customer_id: Who, at: When, sku: What}", lines)
    assert (again.new, again.updated, again.known, again.rows) == (0, 0, 3, 3)


def test_columns_that_a_file_lacks_keep_their_values(shop):
    shop.load_one("customers", "columns: {customer_id: Id, city: City}", "Id,City\na,Bonn\nb,Ulm\n")
    shop.load_one("customers", "columns: {customer_id: Id, tier: Level}", "Id,Level\na,gold\nc,gold\n")
    assert shop.rows("customers") == [
        {"customer_id": "a", "tier": "gold", "city": "Bonn"},
        {"customer_id": "b", "tier": None, "city": "Ulm"},
        {"customer_id": "c", "tier": "gold", "city": None},
    ]


def test_whole_numbers_stay_whole_and_others_do_not(shop):
    people = "columns: {customer_id: Id, points: Points, nps: Nps}"
    shop.load_one("customers", people, "Id,Points,Nps\na,1200,7\nb,,8.5\n")
    assert [(row["points"], row["nps"]) for row in shop.rows("customers")] == [(1200, 7.0), (None, 8.5)]
    assert isinstance(shop.rows("customers")[0]["points"], int)
    shop.load_one("customers", people, "Id,Points,Nps\nc,0.5,9\nd,1e300,1\n")
    assert [row["points"] for row in shop.rows("customers")] == [1200.0, None, 0.5, 1e300]


RULES = [
    ("visited", "Pieces: over 0", "ad", 2),
    ("viewed", "Pieces: at least 0", "abd", 1),
    ("searched", "Pieces: under 0", "c", 3),
    ("saved", "Pieces: at most 0", "bc", 2),
    ("carted", "Kind: starts C", "a", 4),
    ("asked", "Kind: not starts C", "bce", 2),
    ("shared", "Kind: [K2, K3]", "bc", 3),
    ("form", "Kind: not K2", "ace", 2),
    ("called", "Kind: known", "abce", 1),
    ("sampled", "Kind: unknown", "d", 4),
    ("replied", "Pieces: 5", "a", 4),
]


def test_rows_says_which_rows_count(shop):
    """An empty cell passes no rule but unknown; a number that cannot be read is refused, not skipped."""
    at = "2026-01-01"
    shop.write("r.csv", f"Id,Kind,Pieces,At\na,C1,5,{at}\nb,K2,0,{at}\nc,K3,-1,{at}\nd,,2,{at}\ne,K5,many,{at}\n")
    columns = "{customer_id: Id, at: At}"
    report = shop.load(
        "".join(f"  {kind}: {{file: r.csv, rows: {{{rule}}}, columns: {columns}}}\n" for kind, rule, *_ in RULES)
    )
    for kind, rule, kept, skipped in RULES:
        found = report.table(kind)
        assert "".join(row["customer_id"] for row in shop.rows(kind)) == kept, rule
        assert found.skipped == skipped, rule
        assert found.rejected == (
            {} if "Kind" in rule or ": 5" in rule else {'unreadable number in column "Pieces"': 1}
        )
        assert adds_up(found)


def test_column_forms(shop):
    shop.load_one(
        "bought",
        'columns: {customer_id: Id, at: {from: Day, format: "%d.%m.%Y %H:%M", zone: Europe/London}, '
        "amount: {product: [Pieces, Price]}, qty: {from: Pieces, negate: true}, channel: {value: web}, "
        'attribute: {text: "{Id}-{Pieces}"}, price_type: {from: Type, map: {R: regular, S: sale}}, '
        "unit_price: {from: Cents, money: minor}}",
        "Id,Day,Pieces,Price,Type,Cents\n7,01.07.2025 12:00,3,1.005,R,199\n8,01.12.2025 12:00,2,4,Z,\n",
    )
    first, second = shop.rows("bought")
    assert first == {
        "customer_id": "7", "at": datetime.fromisoformat("2025-07-01 11:00"), "amount": 302, "qty": -3,
        "channel": "web", "attribute": "7-3", "price_type": "regular", "unit_price": 199,
    }  # fmt: skip
    assert (second["at"], second["price_type"], second["unit_price"]) == (
        datetime.fromisoformat("2025-12-01 12:00"),
        "Z",
        None,
    )


def test_types_of_customer_fields(shop):
    shop.zone = "Asia/Shanghai"
    shop.load_one(
        "customers",
        "columns: {customer_id: Id, birth_date: Born, registered_at: Joined, email_consent: Ok, tags: Tags}",
        "Id,Born,Joined,Ok,Tags\na,1961-05-06,2026-01-01T23:30:00Z,YES,tea; cake|jam\nb,,2026-01-01 23:30,0,\n",
    )
    first, second = shop.rows("customers")
    assert first == {
        "customer_id": "a", "birth_date": date(1961, 5, 6), "registered_at": date(2026, 1, 2), "email_consent": True,
        "tags": ["tea", "cake", "jam"],
    }  # fmt: skip
    assert second["registered_at"] == date(2026, 1, 1) and second["email_consent"] is False and second["tags"] is None


LONDON = {
    "2026-03-29 01:30:00": datetime.fromisoformat("2026-03-29 01:30"),  # skipped by the clock change: moves forward
    "2026-10-25 01:30:00": datetime.fromisoformat("2026-10-25 00:30"),  # happens twice: the first
    "2026-03-29T01:30:00+02:00": datetime.fromisoformat("2026-03-28 23:30"),
    "2026-03-29T01:30:00Z": datetime.fromisoformat("2026-03-29 01:30"),
    "2026-03-29 01:30:00.250+0100": datetime.fromisoformat("2026-03-29 00:30:00.250000"),
    "2026-07-01": datetime.fromisoformat("2026-06-30 23:00"),
}


def test_local_times_and_offsets(shop, monkeypatch):
    monkeypatch.setattr(clock, "now", lambda: datetime(2027, 1, 1, tzinfo=UTC))
    shop.zone = "Europe/London"
    lines = "".join(f"{number},{text}\n" for number, text in enumerate(LONDON))
    shop.load_one("visited", "columns: {customer_id: Id, at: At}", f"Id,At\n{lines}")
    assert [row["at"] for row in shop.rows("visited")] == list(LONDON.values())


def test_a_format_with_an_offset_says_the_moment_itself(shop):
    shop.zone = "Asia/Shanghai"
    at = '{from: At, format: "%d/%m/%Y %H:%M %z"}'
    shop.load_one("visited", f"columns: {{customer_id: Id, at: {at}}}", "Id,At\na,02/01/2026 10:30 +0100\nb,2 Jan\n")
    assert [row["at"] for row in shop.rows("visited")] == [datetime.fromisoformat("2026-01-02 09:30")]
    assert shop.rejects("visited") == ["data.csv,,2,unreadable date,2 xxx"]


def test_orders_are_derived_from_lines(shop):
    shop.write("lines.csv", "Order,Who,When,Sku,Pieces,Sum\n1,a,2026-01-02 11:00,x,2,4.10\n1,a,2026-01-02 10:00,y,1,5\n"
               "1,a,2026-01-02 10:00,x,1,2.05\n2,b,2026-01-03,x,1,2.05\n")  # fmt: skip
    mapping = (
        "  bought: {file: lines.csv, columns: {order_id: Order, customer_id: Who, at: When, sku: Sku, qty: Pieces, "
        "amount: Sum}}\n  order: {derive: bought}\n"
    )
    report = shop.load(mapping).table("order")
    assert (report.new, report.rows) == (2, 2)
    assert shop.rows("order")[0] == {
        "order_id": "1", "customer_id": "a", "at": datetime.fromisoformat("2026-01-02 10:00"), "amount": 1115,
        "items": 4, "skus": 2,
    }  # fmt: skip
    assert shop.load(mapping).table("order").known == 2
    shop.write("lines.csv", "Order,Who,When,Sku,Pieces,Sum\n2,b,2026-01-03,z,1,1\n")
    again = shop.load(mapping).table("order")
    assert (again.updated, again.known) == (1, 1)


def test_rows_lie_clustered_by_customer(shop):
    lines = "".join(f"{n},{(n * 7919) % 50:02},2026-01-{1 + n % 28:02},1\n" for n in range(500))
    shop.load_one("order", ORDERS, HEAD + lines)
    from campanile.customers.database import CustomerDatabase

    with CustomerDatabase.open(shop.project(), read_only=True) as database:
        stored = database.table("order").to_pyarrow().to_pylist()
    keys = [(row["customer_id"], row["at"]) for row in stored]
    assert keys == sorted(keys) and len(keys) == 500
