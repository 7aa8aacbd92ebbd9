"""A customer database that is damaged, another file, of a newer engine, closed to us or full says so in a sentence."""

from __future__ import annotations

import os
import shutil
import sqlite3
import struct
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import duckdb
import pytest

from campanile.customers.database import CustomerDatabase
from campanile.customers.engine.troubles import engine_errors
from campanile.errors import CampanileError

CURE = "restore it from a backup; without one, move it away and import again"
MAPPING = """\
  customers: {file: people.csv, columns: {customer_id: Who, city: City}}
  order: {file: orders.csv, columns: {order_id: Order, customer_id: Who, at: When, amount: Paid}}
"""


@pytest.fixture
def database(shop) -> Path:
    """The file of a shop with ten thousand orders."""
    shop.write("people.csv", "Who,City\na,Bonn\nb,Ulm\n")
    shop.write("orders.csv", "Order,Who,When,Paid\n" + "".join(f"{n},a,2026-01-01,{n}\n" for n in range(10_000)))
    shop.load(MAPPING)
    return shop.project().database_path


def sentence(shop) -> str:
    """What opening the database and reading all of it says."""
    with (
        pytest.raises(CampanileError) as caught,
        CustomerDatabase.open(shop.project()) as opened,
        engine_errors(opened.path),
    ):
        for name in ("customers", "order"):
            opened.ibis.table(name).to_pyarrow()
        opened.own("imports").to_pyarrow()
    return str(caught.value)


@pytest.mark.parametrize("share", [0.001, 0.005, 0.1, 0.5, 0.9, 0.999])
def test_a_file_that_was_cut_is_damaged(shop, database: Path, share: float) -> None:
    whole = database.read_bytes()
    database.write_bytes(whole[: int(len(whole) * share)])
    assert sentence(shop) == f"customers.duckdb is damaged: a part of it is missing; {CURE}"


@pytest.mark.parametrize("place", [2, 12_300])
def test_a_file_with_other_bytes_in_it_is_damaged(shop, database: Path, place: int) -> None:
    content = bytearray(database.read_bytes())
    end = place + 1 if place == 2 else len(content) - 10_000
    content[place:end] = b"\xa5" * (end - place)
    database.write_bytes(content)
    assert sentence(shop) == f"customers.duckdb is damaged; {CURE}"


@pytest.mark.parametrize("content", [b"", b"hello\n", b"customer_id,at\n" * 3_000, b"PAR1" + bytes(9_000) + b"PAR1"])
def test_another_file_is_said_to_be_another(shop, database: Path, content: bytes) -> None:
    database.write_bytes(content)
    database.chmod(0o644)
    assert sentence(shop).startswith("customers.duckdb is not a DuckDB file, or its beginning is damaged; ")
    # It is somebody else's: it stays as it is.
    assert (database.read_bytes(), database.stat().st_mode & 0o777) == (content, 0o644)


def test_a_file_of_sqlite_is_said_to_be_one(shop, database: Path) -> None:
    database.unlink()
    with sqlite3.connect(database) as other:
        other.execute("CREATE TABLE ledger (x)")
    other.close()
    assert sentence(shop).startswith("customers.duckdb is a file of SQLite, not of DuckDB; move it away")


def test_a_folder_is_said_to_be_one(shop, database: Path) -> None:
    database.unlink()
    database.mkdir(mode=0o755)
    assert sentence(shop).startswith("customers.duckdb is a folder, not a DuckDB file; move it away")
    assert database.stat().st_mode & 0o777 == 0o755


@pytest.mark.parametrize(("version", "words"), [(69, "a newer DuckDB than this Campanile reads; update"),
                                                (1, "a DuckDB that is too old; move it away")])  # fmt: skip
def test_a_file_of_another_storage_version_says_which_way(shop, database: Path, version: int, words: str) -> None:
    """DuckDB 1.5 reads up to 68; what 2.0 writes with its newest storage is 69."""
    content = bytearray(database.read_bytes())
    content[12:20] = struct.pack("<Q", version)
    content[:8] = struct.pack("<Q", _checksum(content[8:4096]))
    database.write_bytes(content)
    assert f"customers.duckdb was written by {words}" in sentence(shop)


def _checksum(block: bytes) -> int:
    """What DuckDB writes before each block."""
    found = 5381
    for (word,) in struct.iter_unpack("<Q", block):
        found ^= word * 0xBF58476D1CE4E5B9 & 0xFFFFFFFFFFFFFFFF
    return found


def test_a_damaged_log_is_said_beside_its_file(shop, database: Path) -> None:
    open_ = duckdb.connect(str(database))
    open_.execute('INSERT INTO "order" SELECT * FROM "order"')
    copies = [(path, path.read_bytes()) for path in (database, Path(f"{database}.wal"))]
    open_.close()
    for path, content in copies:
        path.write_bytes(content)
    log = bytearray(copies[1][1])
    log[60] ^= 0xFF
    copies[1][0].write_bytes(log)
    assert sentence(shop).startswith("customers.duckdb is damaged: its log customers.duckdb.wal does not fit")


def test_a_source_file_that_was_cut_is_not_taken_for_the_database() -> None:
    said = 'IO Error: Could not read enough bytes from file "/shop/order.parquet": attempted to read 9 bytes'
    with pytest.raises(CampanileError) as caught, engine_errors(Path("/shop/customers.duckdb")):
        raise duckdb.IOException(said)
    assert str(caught.value) == "order.parquet cannot be read to its end; is it whole? get it again"


_IMPORT = """
import resource, sys
from campanile.cli.main import main
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[1]), resource.RLIM_INFINITY))
main(["import", "--project", sys.argv[2]])
"""
_OPEN_AS_NOBODY = """
import os, sys
from pathlib import Path
from campanile.customers.database import CustomerDatabase
from campanile.errors import CampanileError
from campanile.spec.project import load_project
project = load_project(Path(sys.argv[1]))
os.seteuid(65534)
try:
    CustomerDatabase.open(project)
except CampanileError as error:
    print(error)
"""


def _import(shop, most_bytes: int) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", _IMPORT, str(most_bytes), str(shop.root)]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)


def _content(path: Path) -> list[tuple[object, ...]]:
    with duckdb.connect(str(path), read_only=True) as opened:
        return [opened.execute(f'SELECT count(*), sum(hash(t)) FROM "{name}" t').fetchone()
                for name in ("customers", "order", "campanile.imports".replace(".", '"."'))]  # fmt: skip


@pytest.mark.parametrize("room", [100_000, 400_000])
def test_a_disk_without_room_stops_an_import_with_nothing_changed(shop, database: Path, room: int) -> None:
    before = _content(database)
    lines = "".join(f"{n},b,2026-01-02T0{n % 10}:00,{n * 37 % 10_007}.{n % 100:02}\n" for n in range(200_000))
    shop.write("orders.csv", f"Order,Who,When,Paid\n{lines}")
    shop.project(MAPPING)
    done = _import(shop, database.stat().st_size + room)
    assert done.returncode == 1, done.stdout
    assert "may not grow any more; raise the limit (ulimit -f)" in done.stderr
    assert len(done.stderr.splitlines()) <= 2
    assert _content(database) == before
    assert shop.load(MAPPING).table("order").rows == 200_000
    assert not [path.name for path in database.parent.iterdir() if "spill" in path.name or "import" in path.name]


def test_a_full_disk_is_a_sentence() -> None:
    said = 'IO Error: Could not write file "/shop/runs/customers.duckdb": No space left on device'
    with pytest.raises(CampanileError) as caught, engine_errors(Path("/shop/runs/customers.duckdb")):
        raise duckdb.IOException(said)
    assert str(caught.value) == (
        "the disk of customers.duckdb is full; nothing was changed; free some space, then do it again"
    )


def test_a_file_that_may_not_be_read_is_a_sentence(shop, database: Path) -> None:
    if os.geteuid() != 0:
        database.chmod(0)
        assert "customers.duckdb may not be read or written here; check who owns" in sentence(shop)
        return
    # Root may read anything: somebody else asks.
    with TemporaryDirectory() as place:
        folder = Path(place) / "shop"
        shutil.copytree(shop.root, folder)
        for path in (Path(place), folder, folder / "runs"):
            path.chmod(0o755)
        command = [sys.executable, "-c", _OPEN_AS_NOBODY, str(folder)]
        done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=120)
    cure = "check who owns the file and its folder, and their rights"
    assert done.stdout == f"customers.duckdb may not be read or written here; {cure}\n"
