"""Imported scores: as known at a moment, with version and age; stale ones no selection may use."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest
from click.testing import CliRunner

from campanile.audience.many import select_many
from campanile.audience.select import select
from campanile.cli.main import cli
from campanile.customers.database import PROFILE, CustomerDatabase
from campanile.customers.importing import import_tables
from campanile.customers.profile import ensure_profile, refresh_profile
from campanile.errors import CampanileError
from campanile.spec.project import load_project
from campanile.spec.targets import read_conditions_file, read_target_file

AS_OF = datetime(2026, 3, 1, 9, tzinfo=UTC)
SETTINGS = """\
shop: {{name: Test, currency: EUR, timezone: UTC}}
channels: {{email: {{via: outbox}}}}
economics: {{margin_rate: 40%, cost_per_message: {{email: 0.01}}}}
policy: {{scores: {{{scores}}}}}
segments: {{}}
"""
PEOPLE = "Id,Old\na,0.11\nb,0.12\nc,0.13\nd,\n"
SCORES = """\
Who,When,Model,Churn,Value,Next
a,2026-01-10,v1,0.9,10.00,makeup
b,2026-01-10,v1,0.8,20.00,tools
c,2026-01-10,v1,0.7,30.00,tools
a,2026-02-25,v2,0.2,11.50,
b,2026-02-25,v2,0.3,,gifts
b,2026-02-25,v1,0.6,,tools
a,2026-03-02,v3,0.1,99.00,tools
"""
MAPPING = """\
import:
  customers: {file: people.csv, columns: {customer_id: Id%s}}
  score:
    file: scores.csv
    columns: {customer_id: Who, at: When, version: Model, p_churn: Churn, clv_12m: Value, next_category: Next}
"""


class Shop:
    """A project with scores, and what its selections say."""

    def __init__(self, root: Path, scores: str = "", people: str = "") -> None:
        self.root = root
        (root / "people.csv").write_text(PEOPLE)
        (root / "scores.csv").write_text(SCORES)
        settings = SETTINGS.format(scores=scores).replace("segments: {}\n", "")
        (root / "campanile.yaml").write_text(settings + MAPPING % people)
        self.project = load_project(root)
        self.database = CustomerDatabase.open(self.project)
        import_tables(self.project, self.database, now=datetime(2026, 3, 9, tzinfo=UTC))

    def profile(self, as_of: datetime) -> dict[str, dict[str, object]]:
        ensure_profile(self.project, self.database, as_of)
        return {row["customer_id"]: row for row in self.database.own(PROFILE).to_pyarrow().to_pylist()}

    def ids(self, target: str, as_of: datetime = AS_OF) -> list[str]:
        self.profile(as_of)
        (self.root / "target.yaml").write_text(f"target: {target}\n")
        spec, _ = read_target_file(str(self.root / "target.yaml"), self.project)
        found = select(spec, self.database, as_of, project=self.project, medium=None)
        return sorted(found.eligible.select("customer_id").to_pyarrow()["customer_id"].to_pylist())


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory):
    made = Shop(tmp_path_factory.mktemp("shop"))
    yield made
    made.database.close()


def test_a_customer_has_the_last_score_known_at_the_moment(shop):
    rows = shop.profile(AS_OF)
    assert {who: row["p_churn"] for who, row in rows.items()} == {"a": 0.2, "b": 0.3, "c": None, "d": None}
    assert {who: row["score_age_days"] for who, row in rows.items()} == {"a": 4, "b": 4, "c": 50, "d": None}
    assert (rows["a"]["clv_12m"], rows["b"]["clv_12m"]) == (1150, None)
    assert (rows["a"]["next_category"], rows["b"]["next_category"]) == (None, "gifts")


def test_a_selection_in_the_past_sees_the_scores_of_then(shop):
    then = datetime(2026, 1, 20, tzinfo=UTC)
    rows = shop.profile(then)
    assert {who: row["p_churn"] for who, row in rows.items()} == {"a": 0.9, "b": 0.8, "c": 0.7, "d": None}
    assert rows["a"]["next_category"] == "makeup"
    assert shop.ids("{who: [{p_churn: over 0.75}]}", then) == ["a", "b"]
    assert shop.ids("{who: [{p_churn: over 0.25}]}") == ["b"]
    nobody_yet = datetime(2026, 1, 10, tzinfo=UTC)
    assert {row["p_churn"] for row in shop.profile(nobody_yet).values()} == {None}
    assert shop.ids("{who: [{p_churn: unknown}]}", nobody_yet) == ["a", "b", "c", "d"]


def test_all_versions_are_kept_and_listed(shop):
    report = refresh_profile(shop.project, shop.database, AS_OF)
    told = [
        (score.name, score.version, score.as_of.date().isoformat(), score.customers) for score in report.value.scores
    ]
    assert ("p_churn", "v1", "2026-02-25", 3) in told
    assert ("p_churn", "v2", "2026-02-25", 2) in told
    assert not [score for score in report.value.scores if score.version == "v3"]
    listed = report.to_json()["value"]["scores"]
    assert {"name": "next_category", "version": "v2", "as_of": "2026-02-25T00:00:00+00:00", "customers": 1} in listed
    assert shop.ids("{who: [{did: score, max p_churn: at least 0.9}]}") == ["a"]


@pytest.mark.parametrize(
    "target",
    [
        "{who: [{p_churn: over 0.5}]}",
        "{who: [{p_churn: unknown}]}",
        "{who: [{p_churn: top 5%}]}",
        "{except: [{p_churn: over 0.5}]}",
        "{who: [{any: [{email: known}, {none: [{p_churn: over 0.5}]}]}]}",
        "{who: [{email: unknown}], keep: {at_most: 1, by: p_churn, first: highest}}",
        "{who: [{did: score, count: over 1 x p_churn}]}",
        "{who: [{score_age_days: over 1 x p_churn}]}",
    ],
)
def test_a_stale_score_is_refused_wherever_it_stands(shop, target):
    late = datetime(2026, 3, 17, tzinfo=UTC)
    with pytest.raises(CampanileError) as refusal:
        shop.ids(target.replace("{except", "{who: [{email: unknown}], except"), late)
    assert "the score p_churn (v3) is 15 days old, the oldest that may be used is 14 days" in str(refusal.value)
    assert "import the table score" in str(refusal.value)


def test_a_score_is_used_on_its_last_day_and_its_age_always(shop):
    assert shop.ids("{who: [{p_churn: under 0.15}]}", datetime(2026, 3, 16, 23, tzinfo=UTC)) == ["a"]
    assert shop.ids("{who: [{score_age_days: at least 15}]}", datetime(2026, 3, 17, tzinfo=UTC)) == ["a", "b", "c"]


def test_many_conditions_name_the_stale_score_and_answer_the_others(shop):
    late = datetime(2026, 3, 17, tzinfo=UTC)
    shop.profile(late)
    lines = "- {name: stale, condition: {p_churn: over 0.5}}\n- {name: fine, condition: {score_age_days: known}}\n"
    (shop.root / "many.yaml").write_text(lines)
    conditions, _ = read_conditions_file(str(shop.root / "many.yaml"), shop.project)
    many = select_many(conditions, shop.database, late, project=shop.project)
    assert list(many.columns) == ["fine"]
    assert "15 days old" in many.errors["stale"]


def test_the_limit_is_a_setting(tmp_path):
    shop = Shop(tmp_path, scores="max_age: 60d")
    rows = shop.profile(AS_OF)
    assert {who: row["p_churn"] for who, row in rows.items()} == {"a": 0.2, "b": 0.3, "c": 0.7, "d": None}
    assert shop.ids("{who: [{p_churn: at least 0.7}]}") == ["c"]
    shop.database.close()


def test_a_plain_column_wins_and_its_unknown_age_is_no_reason_unless_asked_for(tmp_path):
    shop = Shop(tmp_path, people=", p_churn: Old")
    late = datetime(2026, 3, 30, tzinfo=UTC)
    assert shop.ids("{who: [{p_churn: under 0.125}]}", late) == ["a", "b"]
    shop.database.close()


def test_undated_scores_are_refused_where_the_shop_wants_it(tmp_path):
    shop = Shop(tmp_path, scores="undated: refuse", people=", p_churn: Old")
    with pytest.raises(CampanileError, match="the score p_churn has no date"):
        shop.ids("{who: [{p_churn: under 0.125}]}")
    assert shop.ids("{who: [{score_age_days: at most 4}]}") == ["a", "b"]
    shop.database.close()


def test_the_profile_says_what_is_stale(shop):
    report = refresh_profile(shop.project, shop.database, datetime(2026, 3, 17, tzinfo=UTC))
    assert "p_churn" in report.value.refused
    assert "warning: the score p_churn (v3) is 15 days old" in report.text(shop.project.zone)


def test_a_canonical_folder_brings_scores_with_and_without_dates(tmp_path):
    home, data = tmp_path / "shop", tmp_path / "data"
    run = CliRunner()
    assert run.invoke(cli, ["init", str(home)], catch_exceptions=False).exit_code == 0
    data.mkdir()
    (data / "customers.csv").write_text("customer_id,uplift_email\na,0.4\nb,-0.1\n")
    (data / "score.csv").write_text("customer_id,at,version,p_churn\na,2026-02-20,v7,0.6\nb,2026-02-20,v7,0.1\n")
    done = run.invoke(cli, ["import", str(data), "--project", str(home), "--json"], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    target = tmp_path / "target.yaml"
    target.write_text("target: {who: [{uplift_email: over 0, p_churn: over 0.5, score_age_days: at most 14}]}\n")
    words = ["audience", str(target), "--as-of", "2026-03-01T09:00", "--project", str(home), "--json"]
    assert json.loads(run.invoke(cli, words, catch_exceptions=False).stdout)["size"] == 1
    words[3] = "2026-04-01T09:00"
    refused = run.invoke(cli, words)
    assert refused.exit_code == 1
    assert "the score p_churn (v7) is 40 days old" in str(refused.exception)
