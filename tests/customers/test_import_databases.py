"""Tables of databases: streamed, only changes where that is said, and never a word of the URL in what is said."""

from __future__ import annotations

import os
import sqlite3
from datetime import UTC, datetime

import pytest
import sqlalchemy

from campanile import clock
from campanile.clock import Duration
from campanile.customers.connections import Watermark, _earlier
from campanile.customers.database import CustomerDatabase
from campanile.customers.importing import import_tables
from campanile.errors import ProblemsError

ORDERS = (
    "  order: {from: {connection: erp, table: orders}, since: changed, "
    "columns: {order_id: id, customer_id: who, at: day, amount: paid}}\n"
)
POSTGRES = "postgresql://127.0.0.1:5432/campanile_importer"


@pytest.fixture
def erp(shop, monkeypatch):
    """A database of the shop in SQLite, and its connection."""
    connection = sqlite3.connect(shop.root / "erp.db", isolation_level=None)
    connection.execute("create table orders (id integer, who text, day text, paid numeric, changed text, note text)")
    monkeypatch.setenv("ERP_DATABASE", f"sqlite:///{shop.root}/erp.db")
    shop.more = "connections: {erp: {url_env: ERP_DATABASE}}\n"
    yield connection
    connection.close()


def put(connection: sqlite3.Connection, *rows: tuple[object, ...]) -> None:
    connection.executemany("insert into orders values (?, ?, ?, ?, ?, ?)", [(*row, "") for row in rows])


def test_only_what_changed_since_the_last_import_is_read(shop, erp):
    put(erp, (1, "a", "2026-01-01", 5, "2026-01-01 10:00:00"), (2, "b", "2026-01-02", 6.5, "2026-01-02 10:00:00"))
    first = shop.load(ORDERS).table("order")
    assert (first.read, first.new, dict(first.watermarks)) == (2, 2, {"erp orders": "2026-01-02 10:00:00"})
    erp.execute("update orders set paid = 7, changed = '2026-01-02 11:30:00' where id = 1")
    put(erp, (3, "c", "2026-01-03", 1, "2026-01-02 09:30:00"))
    second = shop.load(ORDERS).table("order")
    assert (second.read, second.new, second.updated, second.known) == (3, 1, 1, 1), "an hour of overlap"
    assert second.vanished is None
    assert [row["amount"] for row in shop.rows("order", "order_id")] == [700, 650, 100]
    put(erp, (4, "d", "2026-01-03", 1, "2026-01-02 10:00:00"))
    assert shop.load(ORDERS).table("order").read == 1, "before 10:30 nothing is looked for"


def test_the_newest_of_two_rows_with_one_key_wins_and_one_without_a_date_of_change_is_not_lost(shop, erp):
    put(
        erp,
        (1, "a", "2026-01-01", 9, "2026-01-03"),
        (1, "a", "2026-01-01", 5, "2026-01-01"),
        (2, "a", "2026-01-01", 1, None),
    )
    shop.load(ORDERS)
    assert [row["amount"] for row in shop.rows("order", "order_id")] == [900, 100]
    erp.execute("update orders set paid = 2 where id = 2")
    assert shop.load(ORDERS).table("order").updated == 1


def test_an_import_that_stops_leaves_the_old_watermark(shop, erp, monkeypatch):
    put(erp, (1, "a", "2026-01-01", 5, "2026-01-01 10:00:00"))
    shop.load(ORDERS)
    put(erp, (2, "b", "2026-02-01", 5, "2026-02-01 10:00:00"))
    project = shop.project(ORDERS)

    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    with CustomerDatabase.open(project) as database:
        monkeypatch.setattr(database, "store_own", stop)
        with pytest.raises(KeyboardInterrupt):
            import_tables(project, database)
    monkeypatch.undo()
    os.environ["ERP_DATABASE"] = f"sqlite:///{shop.root}/erp.db"
    assert len(shop.rows("order")) == 1
    assert shop.load(ORDERS).table("order").new == 1


def test_a_changed_mapping_or_a_lost_table_is_read_from_the_beginning(shop, erp):
    put(erp, (1, "a", "2026-01-01", 5, "2026-01-01"), (2, "b", "2026-02-01", 5, "2026-02-01"))
    shop.load(ORDERS)
    assert shop.load(ORDERS).table("order").read == 1
    more = ORDERS.replace("amount: paid", "amount: paid, channel: note")
    assert shop.load(more).table("order").read == 2
    with CustomerDatabase.open(shop.project(more)) as database:
        database.ibis.drop_table("order")
    assert shop.load(more).table("order").new == 2


def test_a_change_in_the_future_hides_no_later_change(shop, erp):
    put(erp, (1, "a", "2026-01-01", 5, "2026-01-01"), (2, "b", "2026-01-01", 5, "2999-01-01"))
    assert dict(shop.load(ORDERS).table("order").watermarks) == {"erp orders": "2026-01-01"}


def test_equal_rows_of_a_database_are_several(shop, erp):
    put(erp, *[(1, "a", "2026-01-01", 5, None)] * 3)
    mapping = "  visited: {from: {connection: erp, table: orders}, columns: {customer_id: who, at: day}}\n"
    assert shop.load(mapping).table("visited").new == 3
    assert shop.load(mapping).table("visited").known == 3


@pytest.mark.parametrize(
    ("url", "says"),
    [
        (None, "the environment variable ERP_DATABASE is not set"),
        ("secret stuff", "ERP_DATABASE holds no URL of a database"),
        ("oracle9://me:secret@host/x", "no driver for the database of ERP_DATABASE"),
        ("mysql://me:secret@host/x", "the driver MySQLdb is not installed"),
        ("sqlite:////nowhere/secret.db", "the SQLite file that ERP_DATABASE names is not there"),
        ("postgresql://me:secret@127.0.0.1:1/x", "the database of ERP_DATABASE cannot be reached; check host and port"),
        ("postgresql://me:secret@no.host.invalid/x", "the database of ERP_DATABASE is on a host that nobody knows"),
    ],
)
def test_a_connection_that_fails_is_a_sentence_without_the_url(shop, erp, monkeypatch, url, says):
    monkeypatch.delenv("ERP_DATABASE") if url is None else monkeypatch.setenv("ERP_DATABASE", url)
    with pytest.raises(ProblemsError) as caught:
        shop.load(ORDERS)
    assert str(caught.value).startswith(f"campanile.yaml:8: {says}")
    assert "secret" not in str(caught.value) and caught.value.__cause__ is None


def test_missing_connections_tables_and_columns_are_all_named(shop, erp):
    with pytest.raises(ProblemsError) as caught:
        shop.load(
            ORDERS.replace("table: orders", "table: oders")
            + ORDERS.replace("order:", "visited:")
            .replace("who", "whom")
            .replace("changed", "change")
            .replace("amount: paid, ", "")
            .replace("order_id: id, ", "")
            .replace(", amount: paid", "")
        )
    assert str(caught.value).splitlines() == [
        'campanile.yaml:8: the database has no table oders; did you mean "orders"?',
        'campanile.yaml:9: erp orders has no column "change"; did you mean "changed"?',
        'campanile.yaml:9: erp orders has no column "whom"; did you mean "who"?',
        "campanile.yaml:9: since needs a key: visited has none of its own; "
        "say which columns make a row the same row: key:",
    ]
    with pytest.raises(ProblemsError, match='campanile.yaml:8: no connection "erb"; did you mean "erp"'):
        shop.load(ORDERS.replace("connection: erp", "connection: erb"))


def test_a_url_in_the_file_is_refused_and_not_repeated(shop):
    shop.more = "connections: {erp: {url_env: postgresql://me:hidden@host/x}}\n"
    with pytest.raises(ProblemsError) as caught:
        shop.load(ORDERS)
    assert "hidden" not in str(caught.value)


def test_watermarks_of_every_kind_survive_being_written():
    now = datetime(2026, 3, 1, tzinfo=UTC)
    for value in (
        datetime(2026, 1, 1),
        datetime(2026, 1, 1, 0, 0, 0, 5, tzinfo=UTC),
        datetime(2026, 1, 1).date(),
        7,
        "r7",
    ):
        mark = Watermark("", now)
        mark.see(value)
        mark.see(None)
        assert Watermark(str(mark), now).value == value
    assert _earlier("2026-01-01T00:30:00", Duration(hours=1)) == "2025-12-31T23:30:00"
    assert _earlier("2026-01-01", Duration(days=1)) == "2025-12-31"
    assert (_earlier(7, Duration(days=1)), _earlier("r7", Duration(days=1))) == (7, "r7")


@pytest.fixture
def postgres(monkeypatch):
    """A database in the PostgreSQL of this machine."""
    admin = sqlalchemy.create_engine("postgresql+psycopg://127.0.0.1:5432/test", isolation_level="AUTOCOMMIT")
    try:
        with admin.connect() as connection:
            connection.exec_driver_sql("drop database if exists campanile_importer")
            connection.exec_driver_sql("create database campanile_importer")
    except sqlalchemy.exc.OperationalError:
        pytest.skip("no PostgreSQL answers at 127.0.0.1:5432")
    monkeypatch.setenv("ERP_DATABASE", POSTGRES)
    engine = sqlalchemy.create_engine(POSTGRES.replace("postgresql:", "postgresql+psycopg:"))
    yield engine
    engine.dispose()
    with admin.connect() as connection:
        connection.exec_driver_sql("drop database campanile_importer with (force)")
    admin.dispose()


def test_types_of_postgresql_come_as_they_are(shop, postgres, monkeypatch):
    monkeypatch.setattr(clock, "now", lambda: datetime(2027, 1, 1, tzinfo=UTC))
    with postgres.begin() as connection:
        connection.exec_driver_sql("create schema sales")
        connection.exec_driver_sql(
            "create table sales.orders (id uuid primary key, who bigint, at timestamptz, paid numeric(12, 3), "
            "gift boolean, categories text[], changed timestamp)"
        )
        connection.exec_driver_sql(
            "insert into sales.orders select md5(n::text)::uuid, n, '2026-07-01 12:00+02'::timestamptz, n + 0.345, "
            "n = 1, array['tea', 'jam'], timestamp '2026-07-01' + n * interval '1 minute' "
            "from generate_series(1, 25000) n"
        )
    shop.zone = "Asia/Shanghai"
    shop.more = "connections: {erp: {url_env: ERP_DATABASE}}\n"
    mapping = ORDERS.replace("table: orders", "table: sales.orders").replace(
        "at: day", "at: at, gift: gift, categories: categories"
    )
    report = shop.load(mapping).table("order")
    assert (report.read, report.kept, report.rejected) == (25_000, 25_000, {})
    assert dict(report.watermarks) == {"erp sales.orders": "2026-07-18 08:40:00"}
    first = next(row for row in shop.rows("order") if row["customer_id"] == "1")
    assert first["order_id"] == "c4ca4238-a0b9-2382-0dcc-509a6f75849b"
    assert (first["at"], first["amount"], first["gift"]) == (datetime(2026, 7, 1, 10), 135, True)
    assert first["categories"] == ["tea", "jam"]
    again = shop.load(mapping).table("order")
    assert (again.read, again.known) == (61, 61), "the last hour"
