"""A made-up shop, imported once per test process; every test gets a copy of its stores."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from campanile.customers.database import CustomerDatabase
from campanile.customers.importing import import_tables
from campanile.customers.profile import refresh_profile
from campanile.ledger.store import Ledger
from campanile.plan.make import make_plan
from campanile.plan.types import Plan
from campanile.rehearsal.shop import write_shop
from campanile.spec.project import Project, load_project

ROOT = Path(__file__).parents[1]
AS_OF = datetime(2026, 3, 1, 1, tzinfo=UTC)
#: When the example campaign is due, by the shop's clock.
DUE = datetime(2026, 3, 5, 2, 30, tzinfo=UTC)
AFTER = DUE + timedelta(days=31)


@pytest.fixture(scope="session")
def shop_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Stores of a shop of 2,500 customers, imported and profiled."""
    home = tmp_path_factory.mktemp("shop")
    project = load_project(ROOT, home=home)
    write_shop(home / "data", as_of=AS_OF.astimezone(project.zone), customers=2_500, seed=11)
    with CustomerDatabase.open(project) as database:
        import_tables(project, database)
        refresh_profile(project, database, AS_OF)
    return home


@pytest.fixture
def shop(shop_home: Path, tmp_path: Path) -> Project:
    """The repository's own project on a copy of the shop; mail goes to files."""
    shutil.copytree(shop_home, tmp_path / "home")
    return with_outbox(load_project(ROOT, home=tmp_path / "home"))


@pytest.fixture
def own_shop(shop: Project, tmp_path: Path) -> Callable[[], Project]:
    """Loads a copy of the repository's project whose files the test may edit."""
    root = tmp_path / "project"
    for name in ("campaigns", "experiments", "templates"):
        shutil.copytree(ROOT / name, root / name)
    for name in ("campanile.yaml", "segments.yaml"):
        shutil.copy(ROOT / name, root / name)
    return lambda: with_outbox(load_project(root, home=shop.home))


def with_outbox(project: Project) -> Project:
    """The project with its mail going to files."""
    settings = project.settings
    mail = settings.channels["email"].model_copy(update={"via": "outbox"})
    return replace(project, settings=settings.model_copy(update={"channels": {**settings.channels, "email": mail}}))


def planned(project: Project, campaign: str = "winback", as_of: datetime = AS_OF) -> Plan:
    """The campaign's plan, made now."""
    with CustomerDatabase.open(project) as database, Ledger.open(project.ledger_path) as ledger:
        return make_plan(project, campaign, as_of, database=database, ledger=ledger)
