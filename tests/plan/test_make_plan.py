"""Planning leaves a whole plan or none, and says before anything is sent what is wrong."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta
from pathlib import Path

import duckdb
import pyarrow.parquet as pq
import pytest

from campanile.errors import CampanileError, ProblemsError
from campanile.ledger.hand_overs import waiting
from campanile.ledger.store import Ledger
from campanile.plan.explain import explain
from campanile.plan.types import to_json
from campanile.sending.run import run_campaign
from campanile.spec.project import Project, load_project
from conftest import AS_OF, DUE, ROOT, planned, with_outbox


def plans(project: Project) -> list[str]:
    with Ledger.open(project.ledger_path) as ledger:
        return [record.plan_id for record in ledger.plans()]


def edit(project: Project, name: str, old: str, new: str) -> None:
    path = project.root / name
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new), encoding="utf-8")


def test_the_snapshot_holds_no_contact_data(shop: Project) -> None:
    plan = planned(shop)
    table = pq.read_table(shop.home / plan.snapshot)
    assert table.column_names == [
        "customer_id",
        "arm",
        "stratum",
        "due_at",
        "pre_orders",
        "pre_revenue",
        "rfm.m",
        "city_tier",
        "favourite_category",
    ]
    assert table.num_rows == plan.audience
    assert set(table["due_at"].to_pylist()) == {table["due_at"][0].as_py()}, "control has the same clock"


def test_the_time_before_is_long_enough_for_an_audience_that_sleeps(shop: Project) -> None:
    """Nobody in it has bought for 90 days or more, and the window is 30 days."""
    table = pq.read_table(shop.home / planned(shop).snapshot)
    bought = sum(orders > 0 for orders in table["pre_orders"].to_pylist())
    assert bought / table.num_rows > 0.9


def test_a_small_audience_is_said_before_anything_is_sent(shop: Project) -> None:
    plan = planned(shop)
    assert any("too small" in problem for problem in plan.problems)
    text = explain(plan, shop.zone)
    assert "Smallest detectable difference" in text
    assert to_json(plan)["smallest_detectable"]["absolute"] > 0.01


def test_the_plan_in_numbers_has_the_keys_of_the_contract(shop: Project) -> None:
    answer = to_json(planned(shop))
    wanted = {
        "campaign",
        "wave",
        "as_of",
        "fingerprint",
        "audience",
        "arms",
        "excluded",
        "smallest_detectable",
        "power_at_expected",
        "cost",
        "problems",
    }
    assert wanted <= answer.keys()
    assert sum(answer["excluded"].values()) == 2_500 - answer["audience"]
    assert answer["cost"]["currency"] == "CNY"
    treated = answer["arms"]["treatment"]
    assert answer["cost"]["total"] == pytest.approx(500 + treated * 0.006, abs=0.005)


def test_a_template_that_fails_for_one_customer_is_named_and_nothing_is_planned(
    own_shop: Callable[[], Project],
) -> None:
    project = own_shop()
    plan = planned(project)
    treated = pq.read_table(project.home / plan.snapshot, filters=[("arm", "=", "treatment")])["customer_id"][0].as_py()
    with Ledger.open(project.ledger_path) as ledger:
        before = ledger.plans()
    with duckdb.connect(project.database_path) as raw:
        raw.execute("update customers set city = null where customer_id = ?", [treated])
    (project.root / "templates" / "winback.subject.j2").write_text("{{ city }}", encoding="utf-8")
    with pytest.raises(CampanileError, match=treated) as failure:
        planned(own_shop())
    assert "winback.subject.j2:1" in str(failure.value)
    assert 'write {{ city or "…" }}' in str(failure.value)
    with Ledger.open(project.ledger_path) as ledger:
        assert ledger.plans() == before


def test_an_unknown_variable_is_found_before_anybody_is_selected(own_shop: Callable[[], Project]) -> None:
    project = own_shop()
    (project.root / "templates" / "winback.subject.j2").write_text("{{ nmae }}", encoding="utf-8")
    with pytest.raises(ProblemsError, match='did you mean "name"'):
        planned(own_shop())
    assert plans(project) == []


def test_nobody_left_is_an_error_with_a_cure(own_shop: Callable[[], Project]) -> None:
    project = own_shop()
    edit(project, "campaigns/winback.yaml", "sum amount: over 300", "sum amount: over 300000000")
    with pytest.raises(CampanileError, match="nobody is left for winback"):
        planned(own_shop())
    assert plans(project) == []


def test_a_new_plan_replaces_one_that_has_not_begun(own_shop: Callable[[], Project]) -> None:
    project = own_shop()
    first = planned(project)
    edit(project, "campaigns/winback.yaml", "over 300", "over 600")
    second = planned(own_shop())
    assert second.plan_id != first.plan_id
    assert second.audience < first.audience
    assert plans(project) == [second.plan_id]
    assert [path.name for path in (project.snapshots_dir / "winback").iterdir()] == [Path(second.snapshot).name]


def zones(project: Project, timing: str, *names: str | None) -> dict[str, set[str]]:
    """The zones of the messages by what the customer table says, when these zones go round among the customers."""
    edit(project, "campaigns/winback.yaml", "clock: customer", timing)
    listed = ", ".join("null" if name is None else f"'{name}'" for name in names)
    with duckdb.connect(project.database_path) as raw:
        raw.execute("alter table customers add column timezone varchar")
        number = f"(hash(customer_id) % {len(names)})::int + 1"
        raw.execute(f"update customers set timezone = [{listed}][{number}]")
        said = dict(raw.execute("select customer_id, coalesce(timezone, '') from customers").fetchall())
    plan = planned(with_outbox(load_project(project.root, home=project.home)))
    found: dict[str, set[str]] = {}
    with Ledger.open(project.ledger_path) as ledger:
        for message, _ in waiting(ledger, plan.plan_id):
            found.setdefault(said[message.customer_id], set()).add(message.zone)
    return found


def test_a_zone_that_nobody_knows_is_the_shops_and_stops_nothing(own_shop: Callable[[], Project]) -> None:
    project = own_shop()
    found = zones(project, "clock: customer", "Europe/Madrid", "Asia/Beijing", "../etc", " ", None)
    assert found == {
        "Europe/Madrid": {"Europe/Madrid"},
        **{name: {"Asia/Shanghai"} for name in ("Asia/Beijing", "../etc", " ", "")},
    }
    later = DUE + timedelta(hours=7)
    dry = run_campaign(own_shop(), "winback", mode="dry-run", now=lambda: later)
    assert dry.would is not None
    assert dry.would["now"] == dry.status["planned"]
    assert run_campaign(own_shop(), "winback", mode="send", now=lambda: later).status["state"] == "sent"


def test_by_the_shops_clock_quiet_hours_are_the_shops(own_shop: Callable[[], Project]) -> None:
    project = own_shop()
    found = zones(project, "clock: shop", "Europe/Madrid", "America/New_York", None)
    assert found == {name: {"Asia/Shanghai"} for name in ("Europe/Madrid", "America/New_York", "")}
    report = run_campaign(own_shop(), "winback", mode="send", now=lambda: DUE)
    assert (report.status["held"], report.status["state"]) == (0, "sent")


@pytest.mark.crash
def test_a_killed_planning_leaves_a_whole_plan_or_none(shop: Project) -> None:
    """SIGKILL at many moments: afterwards there is no plan or a whole one, and the next planning works."""
    code = (
        "from pathlib import Path; from conftest import *\n"
        f"project = with_outbox(load_project(ROOT, home=Path({str(shop.home)!r})))\n"
        "print('ready', flush=True)\nplanned(project)\n"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT / "tests"), *sys.path])}

    def plan_until(seconds: float) -> tuple[int, float]:
        """How the planning ended, killed after so many seconds, and how long it took."""
        # Started in the root, it would find the conftest there.
        where, words = ROOT / "tests", [sys.executable, "-c", code]
        child = subprocess.Popen(words, stdout=subprocess.PIPE, env=environment, cwd=where, text=True)
        assert child.stdout is not None
        child.stdout.readline()
        begun = time.monotonic()
        with suppress(subprocess.TimeoutExpired):
            child.wait(seconds)
        child.kill()
        return child.wait(), time.monotonic() - begun

    ended, whole = plan_until(120)
    assert ended == 0
    shutil.rmtree(shop.snapshots_dir)
    for path in shop.home.glob(f"{shop.ledger_path.name}*"):
        path.unlink()
    killed = 0
    for number in range(20):
        killed += plan_until(whole * number / 20)[0] == -signal.SIGKILL
        with Ledger.open(shop.ledger_path) as ledger:
            for record in ledger.plans():
                assert ledger.tally(record.plan_id).planned == record.arms["treatment"]
                assert (shop.home / record.snapshot).exists()
    assert killed >= 10
    plan = planned(shop)
    assert [path.name for path in (shop.snapshots_dir / "winback").iterdir()] == [Path(plan.snapshot).name]
    assert plan.as_of == AS_OF
