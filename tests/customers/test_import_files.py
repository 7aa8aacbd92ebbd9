"""Files as shops hand them over: encodings, broken lines, Parquet, many at once, missing ones."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from campanile.customers.database import CustomerDatabase
from campanile.customers.importing import import_tables
from campanile.customers.lines import Dialect, copy_readable, read_header
from campanile.errors import CampanileError, ProblemsError

PEOPLE = "columns: {customer_id: 编号, name: 姓名}"
NAMES = '编号,姓名\n1,李雷\n2,"韩, 梅梅"\n'


def test_names_survive_every_encoding(shop):
    mapping = ""
    tables = {"visited": "utf-8", "viewed": "utf-8-sig", "searched": "gb18030", "saved": "utf-16"}
    for table, encoding in tables.items():
        shop.write(f"{table}.csv", '编号,日期,渠道\n1,2026-01-01,李雷𠮷\n2,2026-01-01,"韩, 梅梅"\n'.encode(encoding))
        column = {"visited": "channel", "viewed": "sku", "searched": "term", "saved": "sku"}[table]
        mapping += (
            f"  {table}: {{file: {table}.csv, encoding: {encoding}, "
            f"columns: {{customer_id: 编号, at: 日期, {column}: 渠道}}}}\n"
        )
    shop.load(mapping)
    for table in tables:
        names = [value for row in shop.rows(table) for key, value in row.items() if key not in ("customer_id", "at")]
        assert names == ["李雷𠮷", "韩, 梅梅"], table


def test_lines_that_are_not_in_the_encoding_are_rejected_alone(shop):
    lines = NAMES.encode() + b"3,\xff\xfe\n" + "4,乔治\n".encode()
    report = shop.load_one("customers", PEOPLE, lines)
    assert report.rejected == {"characters that are not utf-8": 1}
    assert [row["name"] for row in shop.rows("customers")] == ["李雷", "韩, 梅梅", "乔治"]
    assert shop.rejects("customers") == ["data.csv,4,,characters that are not utf-8,"]

    lines = NAMES.encode("gb18030") + b"3,\x81\x20\n" + "4,乔治\n".encode("gb18030")
    report = shop.load_one("customers", f"encoding: gb18030, {PEOPLE}", lines)
    assert report.rejected == {"characters that are not gb18030": 1}
    assert report.known == 3


def test_a_quote_that_is_never_closed_takes_no_other_line_with_it(shop):
    body = "".join(f"{number},name {number}\n" for number in range(2_000))
    report = shop.load_one("customers", "columns: {customer_id: Id, name: Name}", f'Id,Name\nx,"oops\n{body}')
    assert (report.read, report.kept, report.rejected) == (2_001, 2_000, {"a quote that is never closed": 1})


def test_line_ends_of_all_kinds_and_values_over_several_lines(shop):
    lines = 'Id,Name\r\n1,Ana\r\n2,"Bo\r\nrn"\n3,5" nail\n4,last\r\n'
    assert shop.load_one("customers", "columns: {customer_id: Id, name: Name}", lines).kept == 4
    assert [row["name"] for row in shop.rows("customers")] == ["Ana", "Bo\nrn", '5" nail', "last"]


def test_a_file_name_is_no_pattern_when_the_file_exists(shop):
    shop.write("orders [1].csv", "Id\na\n")
    shop.write("orders 1.csv", "Id\nb\n")
    shop.load("  customers: {file: 'orders [1].csv', columns: {customer_id: Id}}\n")
    assert [row["customer_id"] for row in shop.rows("customers")] == ["a"]


def test_files_are_looked_for_in_home_first(shop):
    shop.write("runs/data.csv", "Id\nhome\n")
    shop.write("data.csv", "Id\nroot\n")
    shop.load("  customers: {file: data.csv, columns: {customer_id: Id}}\n")
    assert [row["customer_id"] for row in shop.rows("customers")] == ["home"]


def test_parquet_with_its_types(shop):
    noon = [datetime.fromisoformat("2026-07-01 12:00")] * 5
    table = pa.table(
        {
            "Who": pa.array([13085.0, None, 7.0, float("nan"), 8.0]),
            "When": pa.array(noon, pa.timestamp("ns")),
            "Paid": pa.array([6.95, 1.0, 0.125, 1.0, float("inf")]),
            "Utc": pa.array(noon, pa.timestamp("us", "Asia/Tokyo")),
        }
    )
    shop.zone = "Europe/Berlin"
    pq.write_table(table, shop.root / "orders.parquet")
    report = shop.load(
        "  unpaid: {file: orders.parquet, columns: {customer_id: Who, at: When, amount: Paid}}\n"
        "  checkout: {file: orders.parquet, columns: {customer_id: Who, at: Utc}}\n"
        "  shared: {file: orders.parquet, rows: {Paid: under 7}, "
        "columns: {customer_id: Who, at: When, channel: Paid}}\n"
    )
    assert report.table("unpaid").rejected == {"no customer_id": 2, "unreadable money in amount": 1}
    first, second = shop.rows("unpaid")
    assert first == {"customer_id": "13085", "at": datetime.fromisoformat("2026-07-01 10:00"), "amount": 695}
    assert second["amount"] == 13  # half a cent, away from zero
    assert shop.rows("checkout")[0]["at"] == noon[0]
    assert [row["channel"] for row in shop.rows("shared")] == ["6.95", "0.125"]


def test_without_columns_the_files_own_names_count(shop):
    shop.write("visits.csv", "customer_id,at,channel,unheard_of\na,2026-01-01,web,1\n")
    shop.load("  visited: {file: visits.csv}\n")
    assert shop.rows("visited") == [
        {"customer_id": "a", "at": datetime.fromisoformat("2026-01-01 00:00"), "channel": "web"}
    ]


def test_every_missing_file_and_column_is_named_at_once(shop):
    shop.write("orders.csv", "Order,Customer,Date\n")
    shop.write("empty.csv", "")
    mapping = (
        "  customers: {file: oders.csv, columns: {customer_id: Id}}\n"
        "  order: {file: orders.csv, rows: {Zustand: paid}, "
        "columns: {customer_id: Custmer, at: Date, order_id: Order}}\n"
        "  visited: {file: empty.csv, columns: {customer_id: Id, at: Date}}\n"
    )
    with pytest.raises(ProblemsError) as caught:
        shop.load(mapping)
    assert str(caught.value).splitlines() == [
        'campanile.yaml:7: no file oders.csv; did you mean "orders.csv"?',
        'campanile.yaml:8: orders.csv has no column "Custmer"; did you mean "Customer"?',
        'campanile.yaml:8: orders.csv has no column "Zustand"; known: Customer, Date, Order',
        "campanile.yaml:9: empty.csv is empty; its first line names the columns",
    ]


def test_a_wrong_encoding_and_a_broken_parquet_file_are_sentences(shop):
    shop.write("a.csv", "编号\n1\n".encode("gb18030"))
    shop.write("b.parquet", b"no parquet at all")
    mapping = "  customers: {file: a.csv, columns: {customer_id: 编号}}\n  visited: {file: b.parquet}\n"
    with pytest.raises(ProblemsError) as caught:
        shop.load(mapping)
    first, second = str(caught.value).splitlines()
    assert "a.csv does not begin with utf-8 text; say how it is written, as in encoding: gb18030" in first
    assert "b.parquet cannot be read" in second


def test_a_parquet_file_with_damaged_pages_is_a_sentence(shop):
    path = shop.root / "a.parquet"
    pq.write_table(pa.table({"Id": [str(n * 7919) for n in range(20_000)]}), path, compression="zstd")
    content = bytearray(path.read_bytes())
    content[200:4_000] = b"\xff" * 3_800
    path.write_bytes(content)
    with pytest.raises(CampanileError, match="a.parquet cannot be read; it is damaged"):
        shop.load("  customers: {file: a.parquet, columns: {customer_id: Id}}\n")


def test_what_a_killed_import_left_is_taken_away(shop):
    shop.write("runs/.import-old/rows.csv", "somebody@mail.example")
    shop.write("runs/customers.duckdb.spill-1/old.tmp", "somebody@mail.example")
    shop.load_one("customers", "columns: {customer_id: Id}", "Id\na\n")
    assert sorted(path.name for path in (shop.root / "runs").iterdir()) == ["customers.duckdb"]


PAIR = "  customers: {file: a.csv, columns: {customer_id: Id, city: City}}\n"


@pytest.mark.parametrize(
    ("content", "kept", "rejected"),
    [
        ("Id,City\n1,Bonn\n2," + "x" * 10_000_000 + "\n3,Ulm\n", 2, {"longer than any row": 1}),
        ('Id,City\n1,Bonn\n2,"' + "x" * 10_000_000 + '"\n3,Ulm\n', 2, {"longer than any row": 1}),
        ("Id,City\n1,Bo\0nn\n2,Ulm\n\0\0\0\n", 2, {"wrong number of columns": 1}),
        ("\ufeffId,City\r\n1,Bonn\r2,Ulm\n\r\n3,Kiel", 3, {}),
        ("Id,City", 0, {}),
        ("Id,City\n1,Bonn,more\n2\n3,Kiel,\n", 1, {"wrong number of columns": 2}),
    ],
    ids=["a cell of 10 MB", "a quoted cell of 10 MB", "zeros", "line ends and a byte-order mark", "a header", "ragged"],
)
def test_rubbish_costs_its_own_line_only(shop, content, kept, rejected):
    shop.write("a.csv", content)
    report = shop.load(PAIR).table("customers")
    assert (report.kept, report.rejected) == (kept, rejected)


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("Id,City," + "x" * 200_000 + "\n1,2,3\n", "a.csv does not begin with a line of column names"),
        ('Id,"' + "City\n" * 200_000, "a.csv does not begin with a line of column names"),
        ("Id,City\n1,2\n".encode("utf-16-le"), "a.csv does not begin with utf-8 text; say how it is written"),
        (bytes(range(256)) * 9, "a.csv does not begin with utf-8 text"),
        ("\n\n", "a.csv is empty"),
        ("", "a.csv is empty"),
        ("City\n1\n", 'a.csv has no column "Id"'),
    ],
)
def test_what_is_no_table_is_a_sentence_and_nothing_is_imported(shop, content, says):
    shop.write("a.csv", content)
    with pytest.raises(ProblemsError, match="campanile.yaml:7: ") as caught:
        shop.load(PAIR)
    assert says in str(caught.value)
    with CustomerDatabase.open(shop.project(PAIR)) as database:
        assert database.tables() == frozenset()


def test_a_folder_instead_of_a_file_says_what_to_write(shop):
    shop.write("a.csv/part-1.csv", "Id,City\n1,Bonn\n")
    with pytest.raises(ProblemsError, match=r"a.csv is a folder; name the files in it: a.csv/\*.csv"):
        shop.load(PAIR)
    assert shop.load(PAIR.replace("a.csv", "a.csv/*.csv")).table("customers").kept == 1


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_columns_that_nobody_maps_cost_little(shop, suffix):
    """Three thousand of them, five mapped: the import of the five alone is the measure."""
    import time

    names = ["Id", "City", "Level", "Points", "Born", *(f"c{n}" for n in range(3_000))]
    rows = [[str(n), "Bonn", "gold", "5", "1961-05-06", *["x"] * 3_000] for n in range(1_000)]
    columns = pa.table(dict(zip(names, map(list, zip(*rows, strict=True)), strict=True)))
    mapping = (
        f"  customers: {{file: a.{suffix}, "
        "columns: {customer_id: Id, city: City, tier: Level, points: Points, birth_date: Born}}\n"
    )
    took = []
    for table in (columns.select(names[:5]), columns):
        if suffix == "csv":
            shop.write(
                "a.csv", "\n".join([",".join(table.column_names), *(",".join(r[: table.num_columns]) for r in rows)])
            )
        else:
            pq.write_table(table, shop.root / "a.parquet")
        start = time.process_time()
        assert shop.load(mapping).table("customers").kept == 1_000
        took.append(time.process_time() - start)
    assert took[1] < took[0] * 10, "six hundred times the cells, of which nobody wants any"


def test_nothing_mapped_says_what_to_write(shop):
    with pytest.raises(CampanileError, match="does not say what to import") as caught:
        shop.load("")
    assert "customer_id:" in caught.value.cure


def test_an_import_that_stops_half_way_leaves_everything_as_it_was(shop, monkeypatch):
    shop.write("one.csv", "Id,City\na,Bonn\n")
    mapping = "  customers: {file: one.csv, columns: {customer_id: Id, city: City}}\n"
    shop.load(mapping)
    shop.write("one.csv", "Id,City\na,Kiel\nb,Ulm\n")
    shop.write("two.csv", "Id,At\na,2026-01-01\n")
    project = shop.project(mapping + "  visited: {file: two.csv, columns: {customer_id: Id, at: At}}\n")

    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    with CustomerDatabase.open(project) as database:
        monkeypatch.setattr(database, "note_import", stop)
        with pytest.raises(KeyboardInterrupt):
            import_tables(project, database)
        assert database.tables() == {"customers"}
        assert database.table("customers").city.to_pyarrow().to_pylist() == ["Bonn"]
        assert not [name for name in database.ibis.list_tables() if name.startswith("campanile_stage")]
    assert not list((shop.root / "runs").glob(".import-*"))


def test_progress_counts_files(shop):
    for number in range(3):
        shop.write(f"people-{number}.csv", f"Id\n{number}\n")
    project = shop.project("  customers: {file: people-*.csv, columns: {customer_id: Id}}\n")
    seen = []
    with CustomerDatabase.open(project) as database:
        import_tables(project, database, progress=lambda done, total: seen.append((done, total)))
    assert seen == [(1, 3), (2, 3), (3, 3)]


CELL = st.text(st.characters(blacklist_categories=("Cs",), blacklist_characters="\x00"), max_size=6)


@settings(max_examples=150, deadline=None)
@given(st.lists(st.tuples(CELL, CELL), max_size=8), st.sampled_from([",", ";", "\t"]))
def test_the_careful_way_loses_no_readable_record(tmp_path_factory, rows, separator):
    """Whatever a CSV writer writes comes through, and whatever comes out is a record of two cells."""
    import csv

    folder = tmp_path_factory.mktemp("lines")
    with (folder / "in.csv").open("w", encoding="utf-8", newline="") as file:
        csv.writer(file, delimiter=separator, lineterminator="\n", quoting=csv.QUOTE_ALL).writerows([("a", "b"), *rows])
    dialect = Dialect("utf-8", separator)
    refused = copy_readable(folder / "in.csv", folder / "out.csv", rejects=folder / "bad.csv", dialect=dialect)
    with (folder / "out.csv").open(encoding="utf-8", newline="") as file:
        found = [tuple(row) for row in csv.reader(file, delimiter=separator)][1:]
    assert refused == 0
    universal = [tuple(cell.replace("\r\n", "\n").replace("\r", "\n") for cell in row) for row in rows]
    assert [row[:-1] for row in found] == universal


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=200))
def test_the_careful_way_accounts_for_any_bytes(tmp_path_factory, content):
    """Every line of any file at all ends in the copy or among the rejects, and the copy has two columns throughout."""
    import csv

    folder: Path = tmp_path_factory.mktemp("bytes")
    (folder / "in.csv").write_bytes(b"a,b\n" + content)
    refused = copy_readable(
        folder / "in.csv", folder / "out.csv", rejects=folder / "bad.csv", dialect=Dialect("utf-8", ",")
    )
    with (folder / "out.csv").open(encoding="utf-8", newline="") as file:
        assert all(len(row) == 3 and row[2].isdecimal() for row in list(csv.reader(file))[1:])
    listed = (folder / "bad.csv").read_text(encoding="utf-8").splitlines()[1:]
    assert len(listed) == refused


def test_a_header_is_read_without_its_byte_order_mark(tmp_path):
    (tmp_path / "a.csv").write_bytes(b'\xef\xbb\xbf"Customer, Id" , Name \n1,2\n')
    assert read_header(tmp_path / "a.csv", Dialect("utf-8", ",")) == ("Customer, Id", "Name")
