"""A rehearsal plays the whole way, gives the same figures again, and the readout recovers what was put in."""

from __future__ import annotations

import re
import shutil
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import duckdb
import pytest

from campanile.customers.database import CustomerDatabase
from campanile.customers.importing import import_tables
from campanile.ledger.store import Ledger
from campanile.measure.types import Comparison
from campanile.plan.types import Plan
from campanile.readout import read_out
from campanile.rehearsal.play import Script, rehearse
from campanile.rehearsal.react import Effect, react
from campanile.rehearsal.shop import write_shop
from campanile.sending.run import run_campaign
from campanile.spec.project import Project, load_project
from conftest import AFTER, DUE, ROOT, planned


def test_a_rehearsal_again_gives_the_same_figures(tmp_path: Path) -> None:
    project = load_project(ROOT, home=tmp_path)
    script = Script(customers=1_500, seed=3)
    first = rehearse(project, "winback", script).to_json()
    second = rehearse(project, "winback", script).to_json()
    assert first == second
    assert first["arms"]["control"] + first["arms"]["treatment"] == first["audience"] > 100
    status = first["status"]
    states = ("accepted", "rejected", "unknown", "suppressed", "expired", "held", "due", "claimed")
    assert sum(status[state] for state in states) == status["planned"] == first["arms"]["treatment"]
    mails = list(Path(first["mails"]).glob("*.eml"))
    assert len(mails) == status["accepted"] + status["unknown"]
    assert b"List-Unsubscribe: <https://" in mails[0].read_bytes()
    home = Path(first["home"])
    with duckdb.connect(str(home / "customers.duckdb"), read_only=True) as database:
        assigned = f"SELECT customer_id FROM '{home}/snapshots/winback/*.parquet'"
        rows = database.sql(
            f"""SELECT count(*), max("at") FROM "order"
            WHERE "at" >= TIMESTAMP '2026-03-05 02:30' AND customer_id NOT IN ({assigned})"""
        )
        bought, newest = rows.fetchone()
    assert bought > 30, "the rest of the shop buys on"
    assert newest > datetime(2026, 4, 3, 2, 30)
    assert not newest > datetime(2026, 4, 5, 2, 30)


def test_another_seed_gives_another_shop(tmp_path: Path) -> None:
    shops = []
    for number, seed in enumerate((1, 2, 2)):
        write_shop(tmp_path / str(number), as_of=DUE, customers=300, seed=seed)
        shops.append({path.name: path.read_bytes() for path in (tmp_path / str(number)).iterdir()})
    first, second, again = shops
    assert second == again
    assert first.keys() == second.keys()
    assert all(first[name] != second[name] for name in ("customers.csv", "orders.csv"))


@pytest.fixture(scope="module")
def sent(shop_home: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Project, Plan]:
    """A wave that was sent to files, before anybody reacted."""
    from conftest import with_outbox

    home = tmp_path_factory.mktemp("sent") / "home"
    shutil.copytree(shop_home, home)
    project = with_outbox(load_project(ROOT, home=home))
    plan = planned(project)
    run_campaign(project, "winback", mode="send", now=lambda: DUE)
    return project, plan


def found(sent: tuple[Project, Plan], home: Path, *, lift: float, seed: int) -> tuple[Comparison, float]:
    """What a readout finds, and what is true, after customers reacted with this seed."""
    project, plan = sent
    shutil.copytree(project.home, home)
    project = replace(project, home=home)
    treated = {path.stem for path in project.outbox_dir.rglob("*.eml")}
    assert len(treated) == plan.arms["treatment"]
    import pyarrow.parquet as pq

    got = pq.read_table(home / plan.snapshot, filters=[("arm", "=", "treatment")])["customer_id"].to_pylist()
    offer = project.campaign("winback").offer
    truth = react(
        home / plan.snapshot,
        got,
        home / "data",
        effect=Effect(baseline=0.10, lift=lift),
        offer=offer,
        days=30,
        seed=seed,
        zone=project.zone.key,
    )
    with CustomerDatabase.open(project) as database, Ledger.open(project.ledger_path) as ledger:
        import_tables(project, database, only={"order", "returned", "unsubscribed"})
        readout = read_out(project, "winback", database=database, ledger=ledger, now=AFTER)
    return readout.against_control("response_rate")[0], truth.difference


@pytest.mark.statistical
@pytest.mark.parametrize("lift", [0.0, 0.08])
def test_readouts_recover_the_truth(sent: tuple[Project, Plan], tmp_path: Path, lift: float) -> None:
    """Over 12 rehearsals: at most 3 intervals miss (P below 0.3% at 95%), and the misses do not lean to one side."""
    misses, errors = 0, []
    for seed in range(12):
        comparison, truth = found(sent, tmp_path / f"{seed}", lift=lift, seed=seed)
        assert truth == pytest.approx(lift)
        assert comparison.low is not None
        assert comparison.high is not None
        misses += not comparison.low <= truth <= comparison.high
        standard_error = (comparison.high - comparison.low) / 3.92
        errors.append((comparison.difference - truth) / standard_error)
    assert misses <= 3
    assert abs(sum(errors) / len(errors) ** 0.5) < 3.3, "the mean error is a standard normal figure; P below 0.1%"


@pytest.mark.parametrize("customers", [1, 3])
def test_a_tiny_shop_has_files_without_events(tmp_path: Path, customers: int) -> None:
    shop = write_shop(tmp_path, as_of=AFTER, customers=customers, seed=1)
    assert len(list(shop.folder.glob("*.csv"))) == 9


def test_the_made_up_telephone_numbers_are_in_a_numbering_plan_and_each_persons_own(tmp_path: Path) -> None:
    """An audit of the demo shows faults that shops have, not one that every number has."""
    import phonenumbers

    for name in ("one", "two"):
        write_shop(tmp_path / name, as_of=AFTER, customers=300, seed=1)
    written = (tmp_path / "one" / "customers.csv").read_text(encoding="utf-8")
    numbers = re.findall(r"\+86\d{11}\b", written)
    assert len(set(numbers)) == 300
    assert all(phonenumbers.is_valid_number(phonenumbers.parse(number)) for number in numbers)
    assert written == (tmp_path / "two" / "customers.csv").read_text(encoding="utf-8")
