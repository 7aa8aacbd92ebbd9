"""What is DuckDB's own: hashes, cut points, streams, files, and time zones."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import ibis
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from campanile.customers import engine
from campanile.customers.database import CustomerDatabase
from campanile.customers.zones import shop_time, utc_time
from campanile.errors import CampanileError


@pytest.fixture(scope="module")
def memory():
    return ibis.duckdb.connect()


@settings(max_examples=60, deadline=None)
@given(st.lists(st.text(max_size=12), min_size=1, max_size=20), st.text(max_size=12))
def test_the_arm_number_is_pythons(memory, ids, salt):
    ids = [text.replace("\x00", "") for text in ids]
    salt = salt.replace("\x00", "")
    table = ibis.memtable({"customer_id": ids}, schema={"customer_id": "string"})
    found = memory.to_pyarrow(engine.arm_number(table.customer_id, salt).name("n")).to_pylist()
    assert found == [int(hashlib.sha256(f"{salt}:{text}".encode()).hexdigest()[:15], 16) for text in ids]


@settings(max_examples=100, deadline=None)
@given(st.lists(st.integers(-20, 20), min_size=1, max_size=120), st.integers(2, 10), st.randoms())
def test_cut_points_give_the_tie_safe_score_whatever_the_order(memory, values, scores, random):
    """score = 1 + floor(k*W/N), W = values strictly below; the oracle is written from the definition."""
    shuffled = values[:]
    random.shuffle(shuffled)
    memory.create_table("drawn", ibis.memtable({"v": shuffled}, schema={"v": "int64"}), overwrite=True)
    cuts = engine.cut_points(memory.table("drawn").v, scores)
    for value in values:
        worse = sum(other < value for other in values)
        assert 1 + sum(value > cut for cut in cuts) == 1 + scores * worse // len(values)


def test_cut_points_are_exact_for_sevenths_of_many_rows(memory):
    """Where the engine's own quantile is one rank off."""
    for count in (7, 28, 1400, 70_000):
        values = memory.create_table("many", ibis.range(1, count + 1).unnest().name("v").as_table(), overwrite=True).v
        assert engine.cut_points(values.cast("int64"), 7) == tuple(-(-s * count // 7) for s in range(1, 7))


def test_no_values_have_no_cut_points(memory):
    empty = memory.create_table("empty", schema={"v": "int64"}, overwrite=True)
    assert engine.cut_points(empty.v, 5) == ()
    assert engine.percentiles(empty.v, [0.5]) == (0, ())


@pytest.fixture
def database(shop):
    with CustomerDatabase.open(shop.project()) as database:
        yield database


def test_a_stream_is_whole_although_the_database_is_used_meanwhile(database):
    """On one connection DuckDB ends the first stream silently when a second query starts."""
    rows = ibis.range(0, 60_000).unnest().name("v").as_table()
    database.ibis.create_table("numbers", rows)
    seen = 0
    for batch in engine.batches(database, database.ibis.table("numbers"), 1_000):
        seen += batch.num_rows
        assert batch.num_rows <= 1_000
        database.ibis.table("numbers").count().execute()
    assert seen == 60_000


def test_a_stream_may_stand_on_a_memtable(database):
    numbers = database.ibis.create_table("few", ibis.memtable({"v": [1, 2, 3]}))
    wanted = ibis.memtable({"v": [2, 3, 4]})
    found = [batch.to_pydict() for batch in engine.batches(database, numbers.semi_join(wanted, "v").order_by("v"))]
    assert found == [{"v": [2, 3]}]


_STREAM = """
import sys, psutil, duckdb
from pathlib import Path
from types import SimpleNamespace
from campanile.customers import engine
path = Path(sys.argv[1])
backend = engine.connect(path, read_only=True)
database = SimpleNamespace(ibis=backend, path=path)
backend.raw_sql("SET memory_limit='100MB'")
process, peak, rows = psutil.Process(), 0, 0
for batch in engine.batches(database, backend.table(sys.argv[2])):
    rows += batch.num_rows
    peak = max(peak, process.memory_info().rss) if rows % 100_000 == 0 else peak
print(rows, peak)
"""


def test_memory_does_not_grow_with_the_rows_of_a_stream(tmp_path):
    """1.9 million more rows, 140 MB of values, may cost no more than the 100 MB the engine is allowed (72 measured).

    Read whole they cost 365 MB.
    """
    backend = engine.connect(tmp_path / "wide.duckdb", read_only=False)
    for name, count in (("small", 100_000), ("large", 2_000_000)):
        row = ibis.range(0, count).unnest().name("v").as_table()
        backend.create_table(name, row.mutate(text=row.v.cast("string").hexdigest("sha256")))
    backend.disconnect()
    peaks = {}
    for name in ("small", "large"):
        command = [sys.executable, "-c", _STREAM, str(tmp_path / "wide.duckdb"), name]
        rows, peaks[name] = map(int, subprocess.run(command, capture_output=True, check=True, text=True).stdout.split())
        assert rows == {"small": 100_000, "large": 2_000_000}[name]
    assert peaks["large"] - peaks["small"] < 110e6


def test_a_parquet_file_is_whole_or_absent(database, tmp_path):
    path = tmp_path / "deep" / "out.parquet"
    engine.write_parquet(database, ibis.memtable({"v": [1, 2]}), path)
    assert pq.read_table(path) == pa.table({"v": pa.array([1, 2], pa.int64())})
    broken = ibis.memtable({"v": ["1", "x"]}).mutate(n=lambda rows: rows.v.cast("int64"))
    with pytest.raises(CampanileError) as caught:
        engine.write_parquet(database, broken, path)
    assert pq.read_table(path).num_rows == 2
    assert [file.name for file in path.parent.iterdir()] == ["out.parquet"]
    assert "'x'" not in str(caught.value)


def test_a_table_may_be_replaced_by_what_it_is_made_of(database):
    table = engine.store(database.ibis, "numbers", ibis.memtable({"v": [3, 1, 2]}))
    engine.store(database.ibis, "numbers", table.mutate(v=table.v * 10).order_by("v"))
    assert database.ibis.table("numbers").v.to_pyarrow().to_pylist() == [10, 20, 30]


def test_a_transaction_is_all_or_nothing(database):
    engine.store(database.ibis, "numbers", ibis.memtable({"v": [1]}))
    with pytest.raises(RuntimeError, match="stop"), engine.transaction(database.ibis):
        engine.store(database.ibis, "numbers", ibis.memtable({"v": [2]}))
        engine.store(database.ibis, "others", ibis.memtable({"v": [2]}))
        raise RuntimeError("stop")
    assert database.ibis.table("numbers").v.to_pyarrow().to_pylist() == [1]
    assert "others" not in database.ibis.list_tables()


def test_no_extension_is_fetched_from_anywhere(database):
    settings_now = {
        name: database.ibis.settings[name] for name in ("autoinstall_known_extensions", "autoload_known_extensions")
    }
    assert set(settings_now.values()) == {"false"}
    assert Path(database.ibis.settings["temp_directory"]).parent == database.path.parent


ZONES = ["Asia/Shanghai", "Europe/London", "America/St_Johns", "Australia/Lord_Howe", "Africa/Casablanca", "UTC"]


@settings(max_examples=12, deadline=None)
@given(
    st.sampled_from(ZONES),
    st.lists(
        st.datetimes(datetime.fromisoformat("1970-01-02 00:00"), datetime.fromisoformat("2037-12-30 00:00")),
        min_size=9,
        max_size=90,
    ),
)
def test_shop_time_is_pythons(memory, name, moments):
    moments = [moment.replace(microsecond=0) for moment in moments]
    zone = ZoneInfo(name)
    table = ibis.memtable({"at": moments}, schema={"at": "timestamp(6)"})
    wanted = [moment.replace(tzinfo=UTC).astimezone(zone).replace(tzinfo=None) for moment in moments]
    assert memory.to_pyarrow(shop_time(table["at"], zone).name("x")).to_pylist() == wanted
    assert memory.to_pyarrow(shop_time(table["at"], zone, since=min(moments)).name("x")).to_pylist() == wanted


@settings(max_examples=12, deadline=None)
@given(
    st.sampled_from(ZONES),
    st.lists(
        st.datetimes(datetime.fromisoformat("1970-01-03 00:00"), datetime.fromisoformat("2037-12-30 00:00")),
        min_size=9,
        max_size=90,
    ),
)
def test_utc_time_is_pythons(memory, name, moments):
    """Python means the first of two equal times, and moves a skipped one forward; so do we."""
    zone = ZoneInfo(name)
    edges = [
        datetime.fromisoformat("2026-03-29 01:30"),
        datetime.fromisoformat("2026-10-25 01:30"),
        datetime.fromisoformat("2026-04-05 01:45"),
        datetime.fromisoformat("2026-10-04 02:15"),
    ]
    moments = [moment.replace(microsecond=0) for moment in moments] + edges
    table = ibis.memtable({"at": moments}, schema={"at": "timestamp(6)"})
    wanted = [moment.replace(tzinfo=zone).astimezone(UTC).replace(tzinfo=None) for moment in moments]
    assert memory.to_pyarrow(utc_time(table["at"], zone).name("x")).to_pylist() == wanted


def test_a_day_begins_at_the_shops_midnight(memory):
    zone = ZoneInfo("Asia/Shanghai")
    midnight = datetime.fromisoformat("2026-03-01 16:00")
    table = ibis.memtable({"at": [midnight - timedelta(seconds=1), midnight]})
    days = memory.to_pyarrow(shop_time(table["at"], zone).date().name("d")).to_pylist()
    assert [day.day for day in days] == [1, 2]
