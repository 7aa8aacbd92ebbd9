"""An import that is killed at any moment has happened wholly or not at all."""

from __future__ import annotations

import random
import signal
import subprocess
import sys
import time

import pytest

from campanile.customers.database import CustomerDatabase

_IMPORT = """
import sys
from pathlib import Path
from campanile.customers.database import CustomerDatabase
from campanile.customers.importing import import_tables
from campanile.spec.project import load_project
project = load_project(Path(sys.argv[1]))
with CustomerDatabase.open(project) as database:
    print("open", flush=True)
    import_tables(project, database)
    print("done", flush=True)
"""
_COMMAND = """
import signal, sys
# Who starts tests in the background leaves them deaf to Ctrl-C, and what they start as well.
signal.signal(signal.SIGINT, signal.default_int_handler)
import campanile.cli.shop, campanile.customers.importing
from campanile.cli.main import main
print("ready", flush=True)
main(sys.argv[1:])
"""
MAPPING = """\
  customers: {file: people.csv, columns: {customer_id: Who, city: City}}
  order: {file: orders.csv, columns: {order_id: Order, customer_id: Who, at: When, amount: Paid}}
"""


@pytest.mark.crash
def test_a_killed_import_leaves_the_old_or_the_new(shop):
    shop.write("people.csv", "Who,City\na,Bonn\n")
    shop.write("orders.csv", "Order,Who,When,Paid\n0,a,2026-01-01,1\n")
    shop.load(MAPPING)
    shop.write("people.csv", "Who,City\na,Kiel\nb,Ulm\n")
    rows = "".join(f"{n},{'ab'[n % 2]},2026-01-01,{n}\n" for n in range(60_000))
    # The broken line sends the file the careful way, whose copy lies in a folder that must go as well.
    shop.write("orders.csv", f"Order,Who,When,Paid\n{rows}broken\n")
    draw, seen = random.Random(3), set()
    for _ in range(5):
        with subprocess.Popen(
            [sys.executable, "-c", _IMPORT, str(shop.root)], stdout=subprocess.PIPE, text=True
        ) as running:
            assert running.stdout.readline() == "open\n"
            time.sleep(draw.uniform(0.1, 2.5))
            running.kill()
        with CustomerDatabase.open(shop.project(MAPPING)) as database:
            city = database.table("customers").order_by("customer_id").city.to_pyarrow().to_pylist()
            count = database.table("order").count().execute()
        assert (city, count) in [(["Bonn"], 1), (["Kiel", "Ulm"], 60_000)]
        seen.add(count)
    assert 1 in seen
    report = shop.load(MAPPING)
    assert report.table("order").rows == 60_000 and report.table("order").rejected == {"wrong number of columns": 1}
    assert sorted(path.name for path in (shop.root / "runs").iterdir()) == ["customers.duckdb", "rejects"]


@pytest.mark.crash
def test_ctrl_c_in_an_import_is_one_word_and_leaves_the_old_or_the_new(shop):
    shop.write("people.csv", "Who,City\na,Bonn\n")
    shop.write("orders.csv", "Order,Who,When,Paid\n0,a,2026-01-01,1\n")
    shop.load(MAPPING)
    shop.write("orders.csv", "Order,Who,When,Paid\n" + "".join(f"{n},a,2026-01-01,{n}\n" for n in range(400_000)))
    draw, stopped = random.Random(4), 0
    for _ in range(5):
        command = [sys.executable, "-c", _COMMAND, "import", "--project", str(shop.root)]
        with subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as running:
            assert running.stdout.readline() == "ready\n"
            time.sleep(draw.uniform(0.3, 2.5))
            running.send_signal(signal.SIGINT)
            said = running.communicate()[1]
        assert running.returncode in {0, 1}
        stopped += running.returncode
        assert "Traceback" not in said
        if running.returncode:
            assert said.splitlines()[-1] == "stopped"
        with CustomerDatabase.open(shop.project(MAPPING)) as database:
            assert database.table("order").count().execute() in {1, 400_000}
    assert stopped, "none came in time"
