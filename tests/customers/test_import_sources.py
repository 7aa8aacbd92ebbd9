"""Several sources of one table, sources that hold everything, and sources whose columns change."""

from __future__ import annotations

import shutil
from collections import Counter

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from campanile.customers.database import CustomerDatabase
from campanile.customers.importing import import_tables
from campanile.errors import ProblemsError

FIRST = "Invoice,Code,Who,When\n1,x,a,2026-01-01\n1,y,a,2026-01-01\n1,x,b,2026-01-01\n"
SECOND = "InvoiceNo,Code,CustomerID,When\n1,x,a,2026-01-01\n1,x,b,2026-01-01\n2,x,a,2026-01-02\n"
BOUGHT = """\
  bought:
    columns: {sku: Code, at: When}
    sources:
      - file: one.csv
        columns: {order_id: Invoice, customer_id: Who}
      - file: two.csv
        columns: {order_id: InvoiceNo, customer_id: CustomerID}
"""


def lines_of(shop) -> Counter:
    keys = ("order_id", "sku", "customer_id")
    return Counter(tuple(row[key] for key in keys) for row in shop.rows("bought"))


def test_two_years_with_other_column_names_count_what_they_share_once(shop):
    shop.write("one.csv", FIRST)
    shop.write("two.csv", SECOND)
    report = shop.load(BOUGHT).table("bought")
    assert (report.read, report.new, report.duplicates, report.files) == (6, 4, 2, ("one.csv", "two.csv"))
    assert lines_of(shop) == Counter([("1", "x", "a"), ("1", "y", "a"), ("1", "x", "b"), ("2", "x", "a")])
    again = shop.load(BOUGHT).table("bought")
    assert (again.new, again.known, again.vanished) == (0, 4, 0)


CELLS = st.lists(st.tuples(st.sampled_from("12"), st.sampled_from("xy"), st.sampled_from("ab")), max_size=8)


@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(CELLS, CELLS)
def test_with_repeats_a_line_is_there_as_often_as_in_the_file_that_has_it_most_often(shop, first, second):
    """The union of multisets, in either order, at once or one after the other."""
    shutil.rmtree(shop.root / "runs", ignore_errors=True)
    text = "".join(f"{order},{sku},{who},2026-01-01\n" for order, sku, who in first)
    shop.write("one.csv", "Invoice,Code,Who,When\n" + text)
    text = "".join(f"{order},{sku},{who},2026-01-01\n" for order, sku, who in second)
    shop.write("two.csv", "InvoiceNo,Code,CustomerID,When\n" + text)
    shop.load(BOUGHT.replace("columns: {sku", "repeats: true\n    columns: {sku"))
    assert lines_of(shop) == Counter(first) | Counter(second)


def test_sources_with_different_columns_add_to_each_other(shop):
    shop.write("crm.csv", "Id,City\na,Bonn\nb,Ulm\n")
    shop.write("club.csv", "Member,Level\na,gold\nc,silver\n,gold\n")
    mapping = (
        "  customers:\n    sources:\n      - {file: crm.csv, columns: {customer_id: Id, city: City}}\n"
        "      - {file: club.csv, columns: {customer_id: Member, tier: Level}}\n"
    )
    report = shop.load(mapping).table("customers")
    assert (report.read, report.new, report.updated, report.rejected) == (5, 3, 1, {"no customer_id": 1})
    assert report.read == report.kept + sum(report.rejected.values()) + report.duplicates + report.skipped
    found = [(row["customer_id"], row["city"], row["tier"]) for row in shop.rows("customers")]
    assert found == [("a", "Bonn", "gold"), ("b", "Ulm", None), ("c", None, "silver")]
    assert shop.rejects("customers") == ["club.csv,,3,no customer_id,"]
    assert shop.load(mapping).table("customers").known == 4


def test_problems_of_sources_stand_at_their_lines(shop):
    shop.write("one.csv", FIRST)
    with pytest.raises(ProblemsError) as caught:
        shop.load(BOUGHT.replace("order_id: Invoice,", "order_id: Invioce,").replace("sku: Code", "sku: Coed"))
    assert str(caught.value).splitlines() == [
        'campanile.yaml:8: one.csv has no column "Coed"; did you mean "Code"?',
        'campanile.yaml:11: one.csv has no column "Invioce"; did you mean "Invoice"?',
        'campanile.yaml:12: no file two.csv; did you mean "one.csv"?',
    ]


@pytest.mark.parametrize(
    ("mapping", "says"),
    [
        ("{file: a.csv, from: {connection: c, table: t}}", "a source has file or from, not both"),
        ("{file: a.csv, sources: [{file: b.csv}]}", "the table has sources and a source of its own"),
        ("{sources: [{file: a.csv}, {sheet: x}]}", "source 2 of the table has no file"),
        ("{file: a.csv, since: changed}", "since goes with from: a file is always read whole"),
        ("{full: true, since: c, from: {connection: c, table: t}}", "full and since exclude each other"),
        ("{file: a.csv, columns: {customer_id: Id}, currency: {column: Cur}}", "currency wants a code, or"),
        ("{file: a.csv, columns: {customer_id: Id}, currency: USD}", "nobody says what other currencies are worth"),
    ],
)
def test_keys_that_do_not_go_together_are_sentences(shop, mapping, says):
    shop.more = "connections: {c: {url_env: C}}\n"
    with pytest.raises(ProblemsError, match="campanile.yaml:8: ") as caught:
        shop.project(f"  customers: {mapping}\n")
    assert says in str(caught.value)


CUSTOMERS = "  customers: {file: people.csv, full: true, columns: {customer_id: Id, email_consent: Yes}}\n"


def test_rows_that_vanish_are_counted_and_go_only_where_that_is_said(shop):
    shop.write("people.csv", "Id,Yes\na,yes\nb,yes\nc,yes\n")
    shop.load(CUSTOMERS)
    shop.write("people.csv", "Id,Yes\na,no\nd,yes\n")
    report = shop.load(CUSTOMERS.replace("full: true, ", "")).table("customers")
    assert (report.vanished, report.removed, report.rows) == (2, 0, 4)
    assert "  2 rows of the table did not come this time; they stay" in report.lines()
    report = shop.load(CUSTOMERS).table("customers")
    assert (report.vanished, report.removed, report.rows, report.changed) == (2, 2, 2, True)
    assert [row["customer_id"] for row in shop.rows("customers")] == ["a", "d"]


def test_nobody_is_removed_for_a_row_that_could_not_be_read(shop):
    shop.write("people.csv", "Id,Yes\na,yes\nb,yes\nc,yes\n")
    shop.load(CUSTOMERS)
    shop.write("people.csv", "Id,Yes\na,yes\nb,perhaps\n")
    report = shop.load(CUSTOMERS).table("customers")
    assert (report.removed, report.rejected) == (1, {"neither true nor false in email_consent": 1})
    assert [row["customer_id"] for row in shop.rows("customers")] == ["a", "b"]
    shop.write("people.csv", 'Id,Yes\na,yes\n"b,yes\n')
    assert shop.load(CUSTOMERS).table("customers").removed == 0, "nobody knows whom the broken line meant"
    shop.write("people.csv", "Id,Yes\n")
    assert shop.load(CUSTOMERS).table("customers").removed == 0, "a file without rows is a mistake"
    assert len(shop.rows("customers")) == 2


def test_events_that_vanish_go_one_by_one(shop):
    lines = "Who,When,What\na,2026-01-01,x\na,2026-01-01,x\nb,2026-01-01,x\n"
    mapping = "  bought: {file: b.csv, full: true, repeats: true, columns: {customer_id: Who, at: When, sku: What}}\n"
    shop.write("b.csv", lines)
    shop.load(mapping)
    shop.write("b.csv", "Who,When,What\na,2026-01-01,x\nc,2026-01-01,x\n")
    report = shop.load(mapping).table("bought")
    assert (report.new, report.removed, report.rows) == (1, 2, 2)
    assert [row["customer_id"] for row in shop.rows("bought")] == ["a", "c"]


def test_orders_derived_from_lines_vanish_with_them(shop):
    mapping = (
        "  bought: {file: b.csv, full: true, columns: {customer_id: Who, at: When, order_id: No, amount: Sum}}\n"
        "  order: {derive: bought}\n"
    )
    shop.write("b.csv", "Who,When,No,Sum\na,2026-01-01,1,5\na,2026-01-01,2,5\n")
    shop.load(mapping)
    shop.write("b.csv", "Who,When,No,Sum\na,2026-01-01,2,5\n")
    assert shop.load(mapping).table("order").removed == 1
    assert [row["order_id"] for row in shop.rows("order")] == ["2"]


def test_a_column_that_was_renamed_or_came_new_is_told_from_one_that_was_never_there(shop):
    mapping = "  customers: {file: p-*.csv, columns: {customer_id: Id, city: Town}}\n"
    shop.write("p-1.csv", "Id,Town,Note\na,Bonn,x\n")
    assert shop.load(mapping).table("customers").notices == ()
    shop.write("p-1.csv", "Id,Town,Level\na,Bonn,gold\n")
    report = shop.load(mapping).table("customers")
    assert report.notices == (
        'p-1.csv has a new column "Level"; map it where campaigns should know it',
        'p-1.csv no longer has the column "Note", which nothing needs',
    )
    assert report.rows == 1 and shop.load(mapping).table("customers").notices == ()
    shop.write("p-1.csv", "Id,Place,Level\na,Kiel,gold\n")
    with pytest.raises(ProblemsError) as caught:
        shop.load(mapping)
    assert str(caught.value) == (
        'campanile.yaml:7: p-1.csv has no column "Town" any more; new since the last import: Place; '
        "if it was renamed, write the new name"
    )
    assert shop.rows("customers")[0]["city"] == "Bonn"


def test_a_column_that_changed_its_type_is_noticed(shop):
    import pyarrow as pa
    import pyarrow.parquet as pq

    mapping = "  customers: {file: p.parquet, columns: {customer_id: Id}}\n"
    pq.write_table(pa.table({"Id": ["1"], "Points": [5]}), shop.root / "p.parquet")
    shop.load(mapping)
    pq.write_table(pa.table({"Id": [1], "Points": [5]}), shop.root / "p.parquet")
    report = shop.load(mapping).table("customers")
    assert report.notices == ('column "Id" of p.parquet now holds int64, it held string; check what comes of it',)
    assert report.known == 1


def test_an_import_that_stops_remembers_nothing_new(shop, monkeypatch):
    mapping = "  customers: {file: p.csv, columns: {customer_id: Id}}\n"
    shop.write("p.csv", "Id\na\n")
    shop.load(mapping)
    shop.write("p.csv", "Id,New\nb,1\n")
    project = shop.project(mapping)

    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    with CustomerDatabase.open(project) as database:
        monkeypatch.setattr(database, "note_import", stop)
        with pytest.raises(KeyboardInterrupt):
            import_tables(project, database)
    assert len(shop.load(mapping).table("customers").notices) == 1
