"""A small shop in a folder of its own: its mapping, its files and its customer database."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pytest

from campanile.customers.database import CustomerDatabase
from campanile.customers.import_report import ImportReport, TableReport
from campanile.customers.importing import import_tables
from campanile.spec.project import Project, load_project

DATA = Path(__file__).parents[2].parent / "shared" / "data"
AS_OF = datetime(2026, 3, 1, tzinfo=UTC)

_SETTINGS = """\
shop: {{name: Test, currency: {currency}, timezone: {zone}}}
channels:
  email: {{via: outbox}}
economics: {{margin_rate: 40%, cost_per_message: {{email: 0.01, sms: 0.05}}}}
{policy}
"""


@dataclass
class ShopFolder:
    """A project folder that tests fill."""

    root: Path
    currency: str = "EUR"
    zone: str = "UTC"
    policy: str = ""
    #: More lines of campanile.yaml, such as connections or rates.
    more: str = ""

    def write(self, name: str, lines: str | bytes) -> Path:
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(lines if isinstance(lines, bytes) else lines.encode())
        return path

    def project(self, mapping: str = "") -> Project:
        head = _SETTINGS.format(currency=self.currency, zone=self.zone, policy=self.policy)
        self.write("campanile.yaml", head + self.more + (f"import:\n{mapping}" if mapping else ""))
        return load_project(self.root)

    def load(self, mapping: str) -> ImportReport:
        project = self.project(mapping)
        with CustomerDatabase.open(project) as database:
            return import_tables(project, database)

    def load_one(self, table: str, mapping: str, lines: str | bytes) -> TableReport:
        """Imports one table from one file, data.csv."""
        self.write("data.csv", lines)
        return self.load(f"  {table}: {{file: data.csv, {mapping}}}\n").table(table)

    def rows(self, table: str, order: str | Sequence[str] = "customer_id") -> list[dict[str, object]]:
        with CustomerDatabase.open(self.project(), read_only=True) as database:
            found: list[dict[str, object]] = database.table(table).order_by(order).to_pyarrow().to_pylist()
            return found

    def rejects(self, table: str) -> list[str]:
        path = self.root / "runs" / "rejects" / f"{table}.csv"
        return path.read_text(encoding="utf-8").splitlines()[1:] if path.exists() else []


@pytest.fixture
def shop(tmp_path: Path) -> ShopFolder:
    return ShopFolder(tmp_path)


@pytest.fixture
def opened(shop: ShopFolder) -> Iterator[Callable[[str], tuple[Project, CustomerDatabase]]]:
    """Imports what a mapping says and gives the project and its open database."""
    databases = []

    def open_after(mapping: str) -> tuple[Project, CustomerDatabase]:
        project = shop.project(mapping)
        database = CustomerDatabase.open(project)
        databases.append(database)
        import_tables(project, database)
        return project, database

    yield open_after
    for database in databases:
        database.close()


@pytest.fixture
def shared_data() -> Path:
    if not DATA.is_dir():
        pytest.skip(f"the real data of {DATA.parent.name}/data is not on this machine")
    return DATA
