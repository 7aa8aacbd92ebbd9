"""Limits of `policy: audit:` stop plans, warn audiences and end the audit with 1; nothing is counted twice for them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from click.testing import CliRunner

from campanile.cli.main import cli
from campanile.customers.audit.findings import Age, Audit
from campanile.customers.audit.limits import broken
from campanile.customers.audit.run import age
from campanile.customers.database import AUDITED, CustomerDatabase
from campanile.customers.importing import import_tables
from campanile.errors import CampanileError, ProblemsError
from campanile.plan.sound import limits_broken, needs_sound_data, whole_audit
from campanile.spec.audit import ADVICE, AuditSettings
from campanile.spec.project import Project, load_project
from conftest import AS_OF, planned
from customers_audit.faulty_shop import NOW, imported, write_faulty_shop


@pytest.fixture(scope="module")
def faulty(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Project, CustomerDatabase, Audit]]:
    project = write_faulty_shop(tmp_path_factory.mktemp("faulty"))
    with imported(project) as database:
        yield project, database, whole_audit(project, database, NOW)


def with_limits(project: Project, **limits: str) -> Project:
    policy = project.settings.policy.model_copy(update={"audit": AuditSettings(**limits)})
    return replace(project, settings=project.settings.model_copy(update={"policy": policy}))


@pytest.mark.parametrize("check", ADVICE)
def test_every_limit_can_be_broken_and_kept(faulty: tuple[Project, CustomerDatabase, Audit], check: str) -> None:
    _, _, found = faulty
    count = max(each.count for each in found.findings if each.check == check)
    for limit, stops in (
        ("at most 0", True), (f"at most {count - 1}", True), (f"at most {count}", False), ("at most 100%", False)
    ):  # fmt: skip
        settings = AuditSettings(**{check: limit})
        said = broken(settings, found.findings, (), as_of=NOW, zone=faulty[0].zone)
        assert {each.check for each in said} == ({check} if stops else set()), limit


def test_a_broken_limit_names_limit_figure_and_cure(faulty: tuple[Project, CustomerDatabase, Audit]) -> None:
    project = with_limits(faulty[0], invalid_email="at most 1%", freshness="2d")
    with pytest.raises(CampanileError) as failure:
        needs_sound_data(project, faulty[1], NOW)
    text = str(failure.value)
    assert "policy: audit: freshness: 2d is broken: the newest of the orders is 334 days old; import the newest" in text
    assert "policy: audit: invalid_email: at most 1% is broken: 1 of 30 mail addresses (3.33%) are not written" in text
    assert "zero" not in text


def test_without_limits_nothing_stops_and_nothing_is_counted(tmp_path: Path) -> None:
    project = write_faulty_shop(tmp_path)
    with imported(project) as database:
        assert limits_broken(project, database, NOW) == ()
        assert limits_broken(with_limits(project, freshness="2d"), database, NOW) != ()
        assert database.own(AUDITED).count().execute() == 0


def kept(database: CustomerDatabase) -> tuple[datetime, list[str]]:
    row = database.own(AUDITED).to_pyarrow().to_pylist()[0]
    return row["as_of"], json.loads(row["covered"])


def test_figures_are_counted_again_only_when_the_data_changed(tmp_path: Path) -> None:
    project = with_limits(write_faulty_shop(tmp_path), invalid_email="at most 1")
    later = NOW + timedelta(days=1)
    with imported(project) as database:
        assert limits_broken(project, database, later) == ()
        assert kept(database) == (later.replace(tzinfo=None), ["invalid_email"])
        database.ibis.con.execute("update customers set email = 'none' where customer_id like 'fine%'")
        assert limits_broken(project, database, later + timedelta(hours=1)) == (), "nobody imported anything"
        assert kept(database)[0] == later.replace(tzinfo=None)
        people = tmp_path / "people.csv"
        people.write_text(people.read_text(encoding="utf-8").replace("p1@shop.example", "p1@"), encoding="utf-8")
        import_tables(project, database, only=["customers"], now=NOW)
        assert [each.figure for each in limits_broken(project, database, later)] == [
            "2 of 30 mail addresses (6.67%) are not written as one"
        ]
        other = with_limits(project, rare_characters="at most 0")
        assert len(limits_broken(other, database, later)) == 1, "what was not counted yet is counted now"
        assert kept(database)[1] == ["rare_characters"]


def test_a_moment_before_the_newest_event_is_counted_by_itself(tmp_path: Path) -> None:
    project = with_limits(write_faulty_shop(tmp_path), zero_amounts="at most 0")
    with imported(project) as database:
        whole_audit(project, database, NOW)
        assert limits_broken(project, database, NOW)
        assert limits_broken(project, database, NOW.replace(year=2025, month=2, day=1)) == ()


def aged(project: Project, newest: str | None, as_of: str) -> Age:
    moment = datetime.fromisoformat(newest) if newest else None
    return age(project, "order", 1, newest=moment, as_of=datetime.fromisoformat(as_of))


def test_days_are_calendar_days_of_the_shop_and_hours_are_exact(shop: Project) -> None:
    """The shop is in Shanghai, eight hours ahead of UTC."""
    days, hours = with_limits(shop, freshness="2d"), with_limits(shop, freshness="48h")
    evening = "2026-03-03T15:59+00:00"  # 23:59 of the 3rd in Shanghai
    assert not aged(days, "2026-02-28T16:00", evening).stale
    assert aged(days, "2026-02-28T15:59", evening).stale
    assert not aged(hours, "2026-03-01T15:59", evening).stale
    assert aged(hours, "2026-03-01T15:58", evening).stale
    assert aged(days, None, evening).stale
    assert aged(shop, "2026-02-01T00:00", evening).stale, "two days are advice where the shop says nothing"


def test_a_stale_database_stops_the_plan_and_a_replay_of_old_days_does_not(shop: Project) -> None:
    project = with_limits(shop, freshness="2d")
    assert planned(project).audience > 0
    with pytest.raises(CampanileError, match="the newest of the orders is 3 days old"):
        planned(project, as_of=AS_OF + timedelta(days=3))


def test_the_commands_stop_warn_and_say_so(tmp_path: Path) -> None:
    project = write_faulty_shop(tmp_path, "{invalid_email: at most 1%, freshness: {order: 1y, returned: 1d}}")
    imported(project).close()
    where = ["--project", str(tmp_path), "--as-of", "2026-03-01T12:00"]

    def run(*words: str) -> tuple[int, str, str]:
        done = CliRunner().invoke(cli, [*words, *where])
        return done.exit_code, done.stdout, done.stderr + str(done.exception)

    code, text, _ = run("audit")
    assert code == 1 and "Stops campaigns. No campaign is planned on this database: 2 limits are broken." in text
    assert "freshness: 1d is broken: the newest of the returns is 268 days old" in text
    code, text, _ = run("audit", "--json")
    assert code == 1 and [each["check"] for each in json.loads(text)["broken"]] == ["freshness", "invalid_email"]
    code, _, said = run("plan", "hello")
    assert code == 1 and "invalid_email: at most 1% is broken" in said and "campanile audit" in said
    code, text, said = run("audience", str(tmp_path / "campaigns" / "hello.yaml"), "--json")
    assert code == 0 and len(json.loads(text)["warnings"]) == 2 and "warning: policy: audit: invalid_email" in said
    write_faulty_shop(tmp_path)
    assert run("audit")[0] == 0
    assert run("plan", "hello")[0] == 0


@pytest.mark.parametrize(
    ("audit", "line", "what"),
    [
        (
            "{invalid_email: 5%}",
            5,
            'wants a limit, got text "5%"; write a share or a number of rows, as in "at most 5%"',
        ),
        ("{invalid_email: at most 500%}", 5, "a share is at most 100%"),
        ("{invalid_email: at most 1.5}", 5, "wants a limit"),
        ("{freshness: two days}", 5, "write a length of time, as in 2d, or one for each table"),
        ("{freshness: {orders: 2d}}", 5, 'no table "orders" with moments; did you mean "order"?'),
        ("{fresh: 2d}", 5, 'unknown key "fresh"; did you mean "freshness"?'),
    ],
)
def test_a_limit_that_cannot_be_read_is_a_sentence_with_its_line(
    tmp_path: Path, audit: str, line: int, what: str
) -> None:
    with pytest.raises(ProblemsError) as failure:
        write_faulty_shop(tmp_path, audit)
    assert f"campanile.yaml:{line}" in str(failure.value)
    assert what in str(failure.value)


@pytest.mark.parametrize(("region", "cure"), [("UK", "write GB"), ("cn", "write CN"), ("86", "its two letters")])
def test_a_country_without_telephone_numbers_is_a_problem(tmp_path: Path, region: str, cure: str) -> None:
    write_faulty_shop(tmp_path)
    settings = tmp_path / "campanile.yaml"
    text = settings.read_text(encoding="utf-8")
    settings.write_text(text.replace("phone_region: CN", f"phone_region: {region}"), encoding="utf-8")
    with pytest.raises(ProblemsError, match=cure):
        load_project(tmp_path)
