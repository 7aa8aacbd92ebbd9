"""Spreadsheets: what people see in them is what comes out, and what cannot be read is a sentence."""

from __future__ import annotations

from datetime import date, datetime

import pytest

from campanile.errors import ProblemsError
from support.spreadsheets import ods, xlsx

ORDERS = "columns: {customer_id: Who, at: When, order_id: Order, amount: Paid, gift: Gift}"
HEAD = ["Order", "Who", "When", "Paid", "Gift"]


def test_codes_stay_codes_dates_stay_dates_and_blank_rows_are_none(shop):
    shop.write(
        "o.xlsx",
        xlsx(
            Orders=[
                HEAD,
                [4006381333931, 123, date(2026, 1, 2), 12.345, True],
                [None] * 5,
                ["00012", "  b ", datetime(2026, 1, 2, 10, 30), 0.1 + 0.2, False],
                [0.5, 7.0, "2026-01-03", "#N/A", None],
            ]
        ),
    )
    report = shop.load(f"  order: {{file: o.xlsx, {ORDERS}}}\n").table("order")
    assert (report.read, report.kept, report.rejected) == (3, 3, {})
    first, second, third = shop.rows("order", "at")
    assert first == {
        "order_id": "4006381333931", "customer_id": "123", "at": datetime(2026, 1, 2), "amount": 1235, "gift": True,
    }  # fmt: skip
    assert (second["order_id"], second["customer_id"], second["amount"]) == ("00012", "b", 30)
    assert (third["order_id"], third["customer_id"], third["amount"], third["gift"]) == ("0.5", "7", None, None)


def test_the_sheet_and_the_row_of_its_header_can_be_said(shop):
    rows = [["Our orders of January"], [], ["Order", "Who", "When", "Paid", "Gift"], ["1", "a", "2026-01-02", 5, "no"]]
    shop.write("o.xlsx", xlsx(Notes=[["nothing"]], Orders=rows))
    mapping = f"  order: {{file: o.xlsx, sheet: Orders, header: 3, {ORDERS}}}\n"
    assert shop.load(mapping).table("order").kept == 1
    with pytest.raises(ProblemsError, match=r'campanile.yaml:7: o.xlsx has no sheet "Oders"; did you mean "Orders"'):
        shop.load(mapping.replace("sheet: Orders", "sheet: Oders"))


def test_a_merged_cell_counts_for_every_row_it_covers(shop):
    rows = [
        HEAD,
        ["1", "a", "2026-01-02", 1, None],
        ["2", None, "2026-01-02", 1, None],
        ["3", "b", "2026-01-02", 1, None],
    ]
    shop.write("o.xlsx", xlsx(Orders=rows, merged="B2:B3"))
    shop.load(f"  order: {{file: o.xlsx, {ORDERS}}}\n")
    assert [row["customer_id"] for row in shop.rows("order", "order_id")] == ["a", "a", "b"]


def test_dates_as_text_and_as_dates_in_one_column(shop):
    rows = [["Who", "When"], ["a", "16.03.2026"], ["b", date(2026, 3, 17)], ["c", "soon"], ["d", None]]
    shop.write("v.xlsx", xlsx(Visits=rows))
    report = shop.load('  visited: {file: v.xlsx, columns: {customer_id: Who, at: {from: When, format: "%d.%m.%Y"}}}\n')
    assert [row["at"] for row in shop.rows("visited")] == [datetime(2026, 3, 16), datetime(2026, 3, 17)]
    assert report.table("visited").rejected == {"no date": 1, "unreadable date": 1}
    assert shop.rejects("visited") == ["v.xlsx,4,,unreadable date,xxxx", "v.xlsx,5,,no date,"], "rows of the sheet"


def test_the_same_sheet_twice_changes_nothing_and_equal_rows_of_a_sheet_are_one(shop):
    rows = [["Who", "When"], ["a", "2026-01-02"], ["a", "2026-01-02"], ["b", "2026-01-02"]]
    shop.write("v.xlsx", xlsx(Visits=rows))
    mapping = "  visited: {file: v.xlsx, columns: {customer_id: Who, at: When}}\n"
    assert shop.load(mapping).table("visited").new == 2
    again = shop.load(mapping).table("visited")
    assert (again.new, again.known, again.duplicates) == (0, 2, 1)


def test_open_document_spreadsheets_are_read_too(shop):
    shop.write("p.ods", ods([["Id", "City"], [12, "Bonn"], ["a", "Köln"]]))
    shop.load("  customers: {file: p.ods, columns: {customer_id: Id, city: City}}\n")
    assert [(row["customer_id"], row["city"]) for row in shop.rows("customers")] == [("12", "Bonn"), ("a", "Köln")]


@pytest.mark.parametrize(
    "content", [b"", b"Id,Name\n1,2\n", b"PK\x03\x04" + b"\0" * 200, xlsx(A=[["Id"], ["1"]])[:600]]
)
@pytest.mark.parametrize("suffix", ["xlsx", "xls", "xlsb", "ods"])
def test_what_is_no_spreadsheet_is_a_sentence(shop, content, suffix):
    shop.write(f"a.{suffix}", content)
    with pytest.raises(ProblemsError, match=rf"campanile.yaml:7: a.{suffix} cannot be read .*; is it whole\?"):
        shop.load(f"  customers: {{file: a.{suffix}, columns: {{customer_id: Id}}}}\n")


def test_an_empty_sheet_and_a_missing_column_are_sentences(shop):
    shop.write("a.xlsx", xlsx(Empty=[]))
    shop.write("b.xlsx", xlsx(One=[["Id", "Id", "Cty"], [1, 2, 3]]))
    with pytest.raises(ProblemsError) as caught:
        shop.load(
            "  customers: {file: a.xlsx, columns: {customer_id: Id}}\n"
            "  visited: {file: b.xlsx, columns: {customer_id: Id, at: City}}\n"
        )
    assert str(caught.value).splitlines() == [
        "campanile.yaml:7: a.xlsx is empty; its first line names the columns",
        'campanile.yaml:8: b.xlsx has 2 columns "Id"; rename all but one',
        'campanile.yaml:8: b.xlsx has no column "City"; did you mean "Cty"?',
    ]
