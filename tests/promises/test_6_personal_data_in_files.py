"""Promise 6, searched for: odd personal data goes the whole way, and no file but the two stores holds any of it.

The messages themselves are left out of the search: what `outbox` wrote instead of sending, and pages that show what
would be sent, are for the marketer's eyes and hold names by design.
"""

from __future__ import annotations

import csv
import re
import shutil
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner

from campanile.cli.main import cli
from campanile.rehearsal.shop import write_shop
from conftest import AFTER, DUE, ROOT

CUSTOMERS = 400
ZONE = ZoneInfo("Asia/Shanghai")
AS_OF = "2026-03-01T09:00"
#: What a person of the shop is made of. Nothing of it is a word of the product or of the templates.
MARKS = ("Qwyzlebrandt", "qwyzle", "鑫龘", "Xanthippengasse", "QW12", "4711")
COMMANDS: Sequence[Sequence[str]] = (
    ("import",),
    ("audit", "--as-of", AS_OF),
    ("audit", "--as-of", AS_OF, "--json"),
    ("people", "match"),
    ("people", "merge"),
    ("people", "show", "C0000007"),
    ("profile", "--as-of", AS_OF, "--json"),
    ("audience", "campaigns/winback.yaml", "--as-of", AS_OF, "--explain", "C0000011", "--sql"),
    ("plan", "winback", "--as-of", AS_OF, "--json"),
    ("run", "winback", "--now", f"{DUE.astimezone(ZONE):%Y-%m-%dT%H:%M}"),
    ("run", "winback", "--mode", "send", "--now", f"{DUE.astimezone(ZONE):%Y-%m-%dT%H:%M}"),
    ("status", "winback", "--json"),
    ("readout", "winback", "--now", f"{AFTER.astimezone(ZONE):%Y-%m-%dT%H:%M}", "--json"),
)


def person(number: int) -> dict[str, str]:
    """Marks in every column that says who somebody is; some of them of no form that a pattern would know."""
    return {
        "Name": f"鑫龘{number}" if number % 2 else f"Qwyzlebrandt {number:04d}",
        "E-mail": "qwyzle at home" if number % 50 == 3 else f"qwyzle{number:04d}@mail.example",
        "Mobile": "call Qwyzlebrandt" if number % 50 == 4 else f"+86145471{number:05d}",
        "Address": f"Xanthippengasse {number}",
        "Postcode": f"QW12{number:04d}",
        "Member level": "basic",
    }


def mark(folder: Path) -> None:
    """The shop's customers with marks; rows whose cells stand in the wrong columns, in customers and in orders."""
    path = folder / "customers.csv"
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    people = [row | person(number) for number, row in enumerate(rows[:CUSTOMERS])]
    people[6] = people[7] | {"Customer": people[6]["Customer"], "Joined": people[6]["Joined"]}
    names = list(people[0])
    shifted = [
        {**people[9], "Customer": "C9000001", "Born": "Qwyzlebrandt 0009"},
        {**people[9], "Customer": "C9000002", "Joined": "Xanthippengasse 9"},
        {**people[9], "Customer": "C9000003", "Mail consent": "鑫龘"},
        {**people[9], "Customer": "", "City tier": "4711"},
        {**people[9], "Customer": "C9000005", "City tier": "QW120009"},
        {**people[9], "Customer": "C9000006", "Name": "Qwyzlebrandt" * 1_000},
    ]
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, names)
        writer.writeheader()
        writer.writerows([*people, *shifted])
        file.write('C9000007,"Qwyzlebrandt,never closed\n')
    with (folder / "orders.csv").open("a", encoding="utf-8") as file:
        file.write("O91,C0000001,鑫龘,1,0,1,paid,web\nO92,C0000001,2026-01-05 10:00:00,1,0,Xanthippengasse,paid,web\n")
        file.write("O93,C0000001,2026-01-05 10:00:00,1,0,1,paid,web,Qwyzlebrandt 0001\n")
        file.write("O94,C0000001,qwyzle at home,1,0,1,paid,web\nO95,C0000001,+86145471 00001,1,0,1,paid,web\n")


@pytest.fixture(scope="module")
def walked(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, str]]:
    """The project after every command, and what each command printed."""
    root = tmp_path_factory.mktemp("project")
    for name in ("campaigns", "experiments", "templates"):
        shutil.copytree(ROOT / name, root / name)
    shutil.copy(ROOT / "segments.yaml", root / "segments.yaml")
    settings = (ROOT / "campanile.yaml").read_text(encoding="utf-8")
    settings = re.sub(r"    via: smtp\n", "    via: outbox\n", settings)
    settings = re.sub(r"    (host|port|security): .*\n", "", settings)
    settings = settings.replace("policy:\n", "policy:\n  people: {automatic: true}\n")
    settings = settings.replace(
        "      city: City\n", "      city: City\n      address: Address\n      postcode: Postcode\n"
    )
    (root / "campanile.yaml").write_text(settings, encoding="utf-8")
    write_shop(root / "data", as_of=datetime(2026, 3, 1, 9, tzinfo=ZONE), customers=CUSTOMERS, seed=5)
    mark(root / "data")
    printed = {}
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(root)
        patch.setattr("campanile.clock.now", lambda: AFTER + timedelta(hours=1))
        for command in COMMANDS:
            done = CliRunner().invoke(cli, list(command))
            assert done.exit_code == 0, (command, done.output, done.exception)
            printed[" ".join(command)] = done.output
    return root, printed


def texts(root: Path) -> Iterator[tuple[str, str]]:
    """Every file below runs/ with its text, but for the two stores and the messages."""
    for path in sorted((root / "runs").rglob("*")):
        name = str(path.relative_to(root / "runs"))
        if path.is_dir() or name.startswith(("customers.duckdb", "ledger.sqlite", "outbox/", "preview")):
            continue
        if path.suffix == ".parquet":
            yield name, "\n".join(map(str, pq.read_table(path).to_pylist()))
        else:
            yield name, path.read_bytes().decode("utf-8", "replace")


def test_no_command_prints_a_mark(walked: tuple[Path, dict[str, str]]) -> None:
    for command, output in walked[1].items():
        assert output, command
        assert not [found for found in MARKS if found in output], command


def test_no_file_but_the_stores_holds_a_mark(walked: tuple[Path, dict[str, str]]) -> None:
    root = walked[0]
    seen = dict(texts(root))
    assert {"rejects/customers.csv", "rejects/order.csv", "audit/audit.html", "audit/audit.json"} <= seen.keys()
    assert any(name.startswith("readouts/") for name in seen)
    assert any(name.endswith(".parquet") for name in seen)
    assert [(name, found) for name, text in seen.items() for found in MARKS if found in text] == []
    assert b"Qwyzlebrandt 0008" in (root / "runs" / "customers.duckdb").read_bytes(), "the search can find"


def test_the_rejects_were_those_that_hold_marks(walked: tuple[Path, dict[str, str]]) -> None:
    listed = dict(texts(walked[0]))
    assert len(listed["rejects/customers.csv"].splitlines()) == 1 + 6 + 1
    assert len(listed["rejects/order.csv"].splitlines()) == 1 + 6 + 5
