"""Promise 6: names, addresses and phone numbers stay in the customer database and the ledger."""

from __future__ import annotations

import json
import logging
import subprocess
import sys

import duckdb
import pytest

from campanile.customers.database import CustomerDatabase
from campanile.errors import CampanileError
from campanile.ledger.store import Ledger
from campanile.readout import read_out
from campanile.report.files import write_readout
from campanile.sending.run import run_campaign
from campanile.spec.project import Project
from conftest import AFTER, DUE, ROOT, planned


def personal(project: Project) -> set[str]:
    """Every name, address and phone number of the shop; names of two letters would be found by chance."""
    with duckdb.connect(project.database_path, read_only=True) as raw:
        rows = raw.execute("select name, email, phone from customers").fetchall()
    return {value for row in rows for value in row if value and len(value) > 2 and value != "unknown"}


def assert_clean(text: str, words: set[str], where: str) -> None:
    found = [word for word in words if word in text]
    assert not found, f"{where} holds {len(found)} of them"


def test_nothing_that_a_campaign_leaves_behind_holds_contact_data(
    shop: Project, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    words = personal(shop)
    plan = planned(shop)
    run_campaign(shop, "winback", mode="dry-run", now=lambda: DUE)
    run_campaign(shop, "winback", mode="send", now=lambda: DUE)
    with CustomerDatabase.open(shop) as database, Ledger.open(shop.ledger_path) as ledger:
        readout = read_out(shop, "winback", database=database, ledger=ledger, now=AFTER)
    pages = write_readout(readout, shop.readouts_dir / "winback")
    for page in pages:
        assert_clean(page.read_text(encoding="utf-8"), words, page.name)
    with Ledger.open(shop.ledger_path) as ledger:
        record = ledger.plan("winback")
        assert record is not None
        assert_clean(json.dumps(dict(record.spec), ensure_ascii=False), words, "the registered spec")
    with duckdb.connect() as raw:
        rows = raw.execute("select * from read_parquet(?)", [str(shop.home / plan.snapshot)]).fetchall()
    assert_clean("\n".join(map(str, rows)), words, "the snapshot")
    assert_clean(caplog.text, words, "the log")


@pytest.mark.parametrize(
    "arguments", [["plan", "winback", "--as-of", "2026-03-01T09:00"], ["status", "winback"], ["run", "winback"]]
)
def test_the_command_line_prints_none(shop: Project, arguments: list[str]) -> None:
    words = personal(shop)
    if arguments[0] != "plan":
        planned(shop)
    command = [sys.executable, "-m", "campanile", *arguments, "--project", str(ROOT), "--home", str(shop.home)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    assert "winback" in done.stdout
    assert_clean(done.stdout + done.stderr, words, " ".join(arguments))


def test_a_failing_template_is_reported_without_values(shop: Project) -> None:
    words = personal(shop)
    with pytest.raises(CampanileError) as failure:
        _break_and_plan(shop)
    assert_clean(str(failure.value), words, "the exception")


def _break_and_plan(shop: Project) -> None:
    """Plans a campaign whose subject divides by a name."""
    import shutil
    from dataclasses import replace

    root = shop.home.parent / "broken"
    for folder in ("campaigns", "experiments", "templates"):
        shutil.copytree(shop.root / folder, root / folder)
    (root / "templates" / "winback.subject.j2").write_text("{{ name * 2 }}", encoding="utf-8")
    planned(replace(shop, root=root))
