"""Promise 5: what was registered before the first send judges; later edits are shown; nothing is said too early."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

from campanile.customers.database import CustomerDatabase
from campanile.ledger.store import Ledger
from campanile.readout import read_out
from campanile.report.jsonable import jsonable
from campanile.report.readout import Readout
from campanile.sending.run import run_campaign
from campanile.spec.project import Project
from conftest import AFTER, DUE, planned


def read(project: Project, days_early: int = 0) -> Readout:
    with CustomerDatabase.open(project) as database, Ledger.open(project.ledger_path) as ledger:
        return read_out(project, "winback", database=database, ledger=ledger, now=AFTER - timedelta(days=days_early))


def edit(project: Project, old: str, new: str) -> None:
    path = project.root / "experiments" / "winback.yaml"
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new), encoding="utf-8")


def test_an_edit_after_the_first_send_is_a_deviation_and_does_not_judge(own_shop: Callable[[], Project]) -> None:
    project = own_shop()
    planned(project)
    run_campaign(project, "winback", mode="send", now=lambda: DUE)
    before = read(project)
    assert before.deviations == ()
    edit(project, "window: 30d", "window: 7d")
    edit(project, "split:", "alpha: 20%\nsplit:")
    after = read(own_shop())
    changed = {deviation.key: (deviation.registered, deviation.today) for deviation in after.deviations}
    assert changed["primary.window"] == ("30d", "7d")
    assert "alpha" in changed
    assert after.setting.window == before.setting.window
    assert after.setting.alpha == before.setting.alpha
    assert after.comparisons == before.comparisons


def test_an_edit_before_the_first_send_is_planned_anew_and_no_deviation(own_shop: Callable[[], Project]) -> None:
    project = own_shop()
    planned(project)
    edit(project, "window: 30d", "window: 29d")
    project = own_shop()
    planned(project)
    run_campaign(project, "winback", mode="send", now=lambda: DUE)
    readout = read(project)
    assert readout.deviations == ()
    assert readout.setting.window.days == 29


def test_no_verdict_and_no_comparison_before_the_window_ends(shop: Project) -> None:
    planned(shop)
    run_campaign(shop, "winback", mode="send", now=lambda: DUE)
    for days in (2, 15, 31):
        early = read(shop, days_early=days)
        assert early.verdict.decision == "no_verdict"
        assert early.comparisons == ()
        assert early.economics == ()
        assert all(figure.metrics is None for figure in early.arms)
        answer = jsonable(early)
        assert answer["comparisons"] == []
        assert answer["economics"] == []
    assert read(shop).comparisons != ()
