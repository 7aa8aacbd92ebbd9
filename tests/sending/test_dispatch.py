"""A repeating campaign: every due wave goes out once, nobody is chosen twice, and all waves are one experiment."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner

from campanile.cli.main import cli
from campanile.customers.database import CustomerDatabase
from campanile.errors import CampanileError, ProblemsError
from campanile.ledger.store import Ledger
from campanile.plan.make import make_plan
from campanile.readout import read_out
from campanile.sending.dispatch import Dispatched, dispatch_due
from campanile.sending.run import run_campaign
from campanile.spec.campaign import Timing
from campanile.spec.project import Project

TIMING = 'timing: {start: 2026-03-05, at: "10:30", every: 1w, until: 2026-03-20, clock: shop, quiet: "21:00-09:00"}'
#: The moments of the three waves, by the shop's clock in Shanghai.
WAVES = [datetime(2026, 3, day, 2, 30, tzinfo=UTC) for day in (5, 12, 19)]


@pytest.fixture
def weekly(own_shop: Callable[[], Project]) -> Project:
    """The example campaign, once a week for three weeks, to at most 60 customers a week."""
    return repeating(own_shop)


def repeating(own_shop: Callable[[], Project], timing: str = TIMING) -> Project:
    project = own_shop()
    path = project.root / "campaigns" / "winback.yaml"
    lines = [line for line in path.read_text(encoding="utf-8").splitlines() if not line.startswith("timing:")]
    at = lines.index("target:")
    path.write_text("\n".join([*lines[: at + 1], "  keep: {at_most: 60}", *lines[at + 1 :], timing]) + "\n")
    return own_shop()


def assigned(project: Project) -> list[dict[str, str]]:
    """Every assigned customer with the arm, of all waves that were begun."""
    with Ledger.open(project.ledger_path) as ledger:
        records = [record for record in ledger.plans() if record.campaign == "winback" and record.state != "planned"]
    tables = [pq.read_table(project.home / record.snapshot, columns=["customer_id", "arm"]) for record in records]
    return pa.concat_tables(tables).to_pylist() if tables else []


def look(project: Project, now: datetime) -> tuple[Dispatched, ...]:
    return dispatch_due(project, now=lambda: now)


def test_days_of_waves() -> None:
    timing = Timing.model_validate({"start": "2026-01-31", "at": "10:30", "every": "1m", "until": "2026-05-01"})
    assert timing.days == (date(2026, 1, 31), date(2026, 2, 28), date(2026, 3, 31), date(2026, 4, 30))
    once = Timing.model_validate({"start": "2026-01-31", "at": "10:30"})
    assert once.days == (date(2026, 1, 31),)


@pytest.mark.parametrize(
    ("timing", "said"),
    [
        ("every: 1w", "every without until"),
        ("until: 2026-04-01", "until without every"),
        ("again: 30d", "again without every"),
        ("every: 6h, until: 2026-04-01", "every wants days, weeks or months"),
        ("every: 1w, until: 2026-03-01", "is before start 2026-03-05"),
    ],
)
def test_what_does_not_repeat_is_a_sentence(own_shop: Callable[[], Project], timing: str, said: str) -> None:
    project = repeating(own_shop, f'timing: {{start: 2026-03-05, at: "10:30", {timing}}}')
    with pytest.raises(ProblemsError, match=said):
        project.campaign("winback")


def test_every_due_wave_goes_out_once_and_nobody_gets_two(weekly: Project) -> None:
    assert look(weekly, WAVES[0] - timedelta(days=2)) == ()
    for moment in WAVES:
        found = look(weekly, moment)
        assert [(each.wave, each.planned, each.problem) for each in found] == [
            ((moment + timedelta(hours=8)).date().isoformat(), True, "")
        ]
        assert found[0].status is not None
        assert found[0].status["accepted"] == found[0].status["planned"] > 0
        assert look(weekly, moment + timedelta(hours=1)) == (), "nothing is left to do"
    people = Counter(row["customer_id"] for row in assigned(weekly))
    assert len(people) == 180
    assert set(people.values()) == {1}
    treated = sum(row["arm"] != "control" for row in assigned(weekly))
    assert len(list((weekly.outbox_dir / "winback").rglob("*.eml"))) == treated
    words = ["responses", "show", "winback", "--json", "--project", str(weekly.root), "--home", str(weekly.home)]
    shown = json.loads(CliRunner().invoke(cli, words, catch_exceptions=False).stdout)
    assert shown["wave"] == "2026-03-05 to 2026-03-19"
    assert sum(arm["handed_over"] for arm in shown["arms"]) == treated


def test_arms_are_those_of_the_customers_own_numbers(weekly: Project, tmp_path: Path) -> None:
    """Whichever wave chooses a customer, the arm is the same: a plan of everybody at once gives the same arms."""
    for moment in WAVES[:2]:
        look(weekly, moment)
    arms = {row["customer_id"]: row["arm"] for row in assigned(weekly)}
    path = weekly.root / "campaigns" / "winback.yaml"
    path.write_text(path.read_text(encoding="utf-8").replace("keep: {at_most: 60}", "keep: {at_most: 5000}"))
    with (
        CustomerDatabase.open(weekly) as database,
        Ledger.open(tmp_path / "elsewhere" / "ledger.sqlite") as ledger,
    ):
        from campanile.spec.project import load_project

        whole = load_project(weekly.root, home=weekly.home)
        plan = make_plan(whole, "winback", WAVES[0], database=database, ledger=ledger, wave="2026-03-05")
    rows = pq.read_table(weekly.home / plan.snapshot, columns=["customer_id", "arm"]).to_pylist()
    everybody = {row["customer_id"]: row["arm"] for row in rows}
    both = arms.keys() & everybody.keys()
    assert len(both) > 80, "a week changes a few customers' stages"
    assert {name: arms[name] for name in both} == {name: everybody[name] for name in both}
    assert set(arms.values()) == {"control", "treatment"}


def test_a_missed_wave_is_left_out_and_the_next_one_goes_out(weekly: Project) -> None:
    found = look(weekly, WAVES[1])
    assert [each.wave for each in found] == ["2026-03-12"]
    assert [each.wave for each in look(weekly, WAVES[2] + timedelta(days=2))] == ["2026-03-19"]
    assert look(weekly, WAVES[2] + timedelta(days=4)) == ()


def test_customers_come_again_after_the_time_that_is_said(own_shop: Callable[[], Project]) -> None:
    weekly = repeating(own_shop, TIMING.replace("until", "again: 14d, until"))
    for moment in WAVES:
        look(weekly, moment)
    with Ledger.open(weekly.ledger_path) as ledger:
        records = sorted(ledger.plans(), key=lambda record: record.wave)
    waves = [set(pq.read_table(weekly.home / record.snapshot)["customer_id"].to_pylist()) for record in records]
    assert not waves[0] & waves[1]
    assert not waves[1] & waves[2]
    assert waves[0] & waves[2], "14 days later the first ones may be chosen again"


def test_a_wave_that_waits_is_sent_before_the_next_is_planned(weekly: Project) -> None:
    with CustomerDatabase.open(weekly) as database, Ledger.open(weekly.ledger_path) as ledger:
        make_plan(weekly, "winback", WAVES[0], database=database, ledger=ledger)
        with pytest.raises(CampanileError, match="waits to be sent"):
            make_plan(weekly, "winback", WAVES[0], database=database, ledger=ledger, wave="2026-03-12")
    run_campaign(weekly, "winback", mode="send", now=lambda: WAVES[0])
    with CustomerDatabase.open(weekly) as database, Ledger.open(weekly.ledger_path) as ledger:
        plan = make_plan(weekly, "winback", WAVES[1], database=database, ledger=ledger)
    assert plan.wave == "2026-03-12"
    assert [step.line for step in plan.waterfall if step.line == "again"] == ["again"]


def test_one_campaign_that_fails_hinders_no_other(weekly: Project) -> None:
    other = weekly.root / "campaigns" / "winback.yaml"
    text = other.read_text(encoding="utf-8")
    weekly.root.joinpath("campaigns", "again.yaml").write_text(text.replace("silent, sleeping", "prospect"))
    weekly.root.joinpath("campaigns", "again.yaml").write_text(
        weekly.root.joinpath("campaigns", "again.yaml").read_text() + "experiment: none\nwhy: shown in a test\n"
    )
    from campanile.spec.project import load_project
    from conftest import with_outbox

    both = with_outbox(load_project(weekly.root, home=weekly.home))
    found = {each.campaign: each for each in look(both, WAVES[0])}
    assert "nobody is left for again" in found["again"].problem
    assert found["winback"].status is not None


def test_all_waves_are_one_experiment(weekly: Project) -> None:
    for moment in WAVES:
        look(weekly, moment)
    with CustomerDatabase.open(weekly) as database, Ledger.open(weekly.ledger_path) as ledger:
        early = read_out(weekly, "winback", database=database, ledger=ledger, now=WAVES[2] + timedelta(days=29))
        late = read_out(weekly, "winback", database=database, ledger=ledger, now=WAVES[2] + timedelta(days=30))
    assert not early.setting.ended
    assert early.comparisons == ()
    assert late.setting.ended
    assert late.setting.wave == "2026-03-05 to 2026-03-19"
    assert late.setting.window_ends == WAVES[2] + timedelta(days=30)
    assert sum(arm.n for arm in late.arms) == len(assigned(weekly)) == 180
    assert sum(account.planned for account in late.delivery) == sum(row["arm"] != "control" for row in assigned(weekly))
    assert late.trust.srm is not None
    assert not late.trust.srm.alarm
    assert late.deviations == ()
    assert late.comparisons


def test_an_experiment_is_not_over_before_its_last_wave(weekly: Project) -> None:
    """Two of three waves have gone out and their windows are over by a day; the third may still come."""
    for moment in WAVES[:2]:
        look(weekly, moment)
    with CustomerDatabase.open(weekly) as database, Ledger.open(weekly.ledger_path) as ledger:
        found = read_out(weekly, "winback", database=database, ledger=ledger, now=WAVES[1] + timedelta(days=31))
    assert not found.setting.ended
    assert found.comparisons == ()


def test_commands(weekly: Project) -> None:
    place = ["--project", str(weekly.root), "--home", str(weekly.home), "--json"]
    settings = weekly.root / "campanile.yaml"
    settings.write_text(outbox(settings), encoding="utf-8")

    def answer(*words: str) -> dict[str, object]:
        done = CliRunner().invoke(cli, [*words, *place], catch_exceptions=False)
        assert done.exit_code == 0, done.output
        return json.loads(done.stdout)

    assert answer("dispatch", "--now", "2026-03-01T10:30") == {"contract": 1, "waves": []}
    (wave,) = answer("dispatch", "--now", "2026-03-05T10:30")["waves"]
    assert (wave["wave"], wave["planned_now"], wave["problem"]) == ("2026-03-05", True, None)
    assert answer("status", "winback", "--wave", "2026-03-05")["state"] == "sent"
    unknown = CliRunner().invoke(cli, ["plan", "winback", "--wave", "2026-03-06", *place[:4]])
    assert 'no wave "2026-03-06"' in str(unknown.exception)


def outbox(settings: Path) -> str:
    """The settings with mail going to files."""
    import yaml

    values = yaml.safe_load(settings.read_text(encoding="utf-8"))
    values["channels"]["email"] = {"via": "outbox", "sender": values["channels"]["email"]["sender"]}
    values["shop"]["timezone"] = str(values["shop"]["timezone"])
    return yaml.safe_dump(values, allow_unicode=True, sort_keys=False)
