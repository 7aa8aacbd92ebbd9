"""A good project becomes frozen values with the names that every room uses."""

from __future__ import annotations

import subprocess
import sys
from datetime import date, time
from decimal import Decimal
from pathlib import Path

import pytest
from pydantic import ValidationError

from campanile.clock import Duration
from campanile.errors import CampanileError, ProblemsError, UsageError
from campanile.spec.conditions import InSegment
from campanile.spec.experiment import ExperimentSpec
from campanile.spec.fields import Unreadable, share
from campanile.spec.mapping import RowRule, row_rule
from campanile.spec.policy import Cap
from campanile.spec.project import load_project
from campanile.spec.rules import METRICS, Guard, Rule, guard, rule
from support.small_project import FILES, write_files

ROOT = Path(__file__).parents[2]


def test_the_committed_campaign_is_read_whole() -> None:
    project = load_project(ROOT)
    campaign = project.campaign("winback")
    assert (campaign.name, campaign.file, campaign.objective) == ("winback", "campaigns/winback.yaml", "retention")
    assert (campaign.timing.start, campaign.timing.at) == (date(2026, 3, 5), time(10, 30))
    assert campaign.timing.quiet == (time(21), time(9))
    assert campaign.timing.deadline == Duration(days=3)
    assert campaign.offer.amount == Decimal(50)
    assert campaign.offer.valid == Duration(days=14)
    assert [line.text for line in campaign.target.who][1] == "did: order, in: 2y, sum amount: over 300"
    assert (campaign.channel.use, campaign.channel.message) == ("email", "winback")
    assert (campaign.costs.fixed, campaign.costs.per_message) == (Decimal(500), None)
    experiment = project.experiment("winback")
    assert experiment is not None
    assert experiment.campaign == "winback"
    assert experiment.split == {"control": Decimal("0.2"), "treatment": Decimal("0.8")}
    assert experiment.stratify == ("rfm.m", "city_tier")
    assert experiment.primary.window == Duration(days=30)
    assert (experiment.primary.baseline, experiment.primary.expect) == (Decimal("0.04"), Decimal("0.06"))
    assert experiment.guards == {
        "return_rate": Guard(Decimal("0.03"), relative_to_control=True, text="at most control + 3%"),
        "opt_out_rate": Guard(Decimal("0.01"), relative_to_control=False, text="under 1%"),
    }
    assert experiment.compare == (("treatment", "control"),)
    assert experiment.treatments == ("treatment",)
    assert (experiment.alpha, experiment.power) == (Decimal("0.05"), Decimal("0.8"))
    assert experiment.decide.roll_out is not None
    assert experiment.decide.roll_out.metric == "profit_per_customer"
    assert experiment.decide.stop is not None
    assert (experiment.decide.stop.metric, experiment.decide.stop.side) == ("response_rate", "upper")


def test_the_committed_settings_are_read_whole() -> None:
    project = load_project(ROOT)
    settings = project.settings
    assert (project.currency.code, project.zone.key) == ("CNY", "Asia/Shanghai")
    assert settings.channels["email"].port == 1025
    assert settings.channels["sms"].signature == "【优选】"
    assert settings.policy.caps["email"] == (Cap(at_most=2, within=Duration(days=7)),)
    assert (settings.policy.stages.active, settings.policy.stages.lapsed) == (90, 730)
    assert (settings.policy.rfm.recency, settings.policy.rfm.frequency) == ("quantile", (2, 3, 5, 10))
    assert settings.economics.margin_rate == Decimal("0.4")
    assert settings.economics.cost_per_message == {"email": Decimal("0.006"), "sms": Decimal("0.05")}
    lines = settings.imports["bought"]
    assert lines.file == "data/lines.csv"
    assert lines.columns["qty"].source == "Pieces"
    assert settings.imports["customers"].columns["email_consent"].map == {"yes": True, "no": False}
    assert settings.imports["clicked"].columns["channel"].value == "email"
    assert settings.imports["order"].key_of("order") == ("order_id",)
    assert lines.key_of("bought") == ()


def test_stores_lie_below_home(shop: Path, tmp_path: Path) -> None:
    project = load_project(shop)
    assert project.home == shop / "runs"
    assert project.database_path == shop / "runs/customers.duckdb"
    assert project.ledger_path == shop / "runs/ledger.sqlite"
    elsewhere = tmp_path / "elsewhere"
    moved = load_project(shop, home=elsewhere)
    folders = (moved.snapshots_dir, moved.rejects_dir, moved.readouts_dir, moved.outbox_dir, moved.ledger_path)
    assert all(folder.parent == elsewhere for folder in folders)
    assert not elsewhere.exists()


def test_caps_have_a_default(shop: Path) -> None:
    caps = load_project(shop).settings.policy.caps
    assert {scope: [str(cap) for cap in several] for scope, several in caps.items()} == {
        "email": ["2 in 7d"],
        "sms": ["1 in 7d", "3 in 30d"],
        "all": ["3 in 7d"],
    }


def test_segments_are_parsed(shop: Path) -> None:
    project = load_project(shop)
    assert set(project.segments) == {"mailable"}
    assert project.campaign("spring").target.who[1].condition == InSegment("mailable")


def test_an_unknown_campaign_names_the_near_one(shop: Path) -> None:
    with pytest.raises(CampanileError, match=r'^no campaign "sprin"; did you mean "spring"\?$'):
        load_project(shop).campaign("sprin")


def test_a_missing_folder_is_wrong_use(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"no folder .*; give the folder that holds campanile\.yaml"):
        load_project(tmp_path / "absent")
    with pytest.raises(
        ProblemsError, match=r"^campanile\.yaml: no such file in .*; name the folder that holds it with --project$"
    ):
        load_project(tmp_path)


def test_an_arm_gets_its_own_offer_or_message(shop: Path) -> None:
    campaign = FILES["campaigns/spring.yaml"] + "arms: {a: {offer: {kind: gift}}, b: {message: hello2}, c: {}}\n"
    split = "split: {control: 10%, a: 30%, b: 30%, c: 30%}"
    experiment = FILES["experiments/spring.yaml"].replace("split: {control: 20%, treatment: 80%}", split)
    letters = {f"templates/hello2.{kind}.j2": "x" for kind in ("subject", "html", "txt")}
    write_files(shop, {"campaigns/spring.yaml": campaign, "experiments/spring.yaml": experiment, **letters})
    project = load_project(shop)
    spec = project.campaign("spring")
    assert [spec.offer_for(arm).kind for arm in "abc"] == ["gift", "coupon", "coupon"]
    assert [spec.message_for(arm) for arm in "abc"] == ["hello", "hello2", "hello"]
    found = project.experiment("spring")
    assert found is not None
    assert found.compare == (("a", "control"), ("b", "control"), ("c", "control"))


def test_a_campaign_may_measure_nothing_when_it_says_why(shop: Path) -> None:
    unmeasured = FILES["campaigns/spring.yaml"] + "experiment: none\nwhy: It is a receipt.\n"
    write_files(shop, {"campaigns/receipt.yaml": unmeasured})
    project = load_project(shop)
    assert project.experiment("receipt") is None
    assert not project.campaign("receipt").measured
    assert project.campaign("spring").measured


def test_thirds_are_whole(shop: Path) -> None:
    split = "split: {control: 33.3333%, treatment: 33.3333%, other: 33.3333%}"
    campaign = FILES["campaigns/spring.yaml"] + "arms: {treatment: {}, other: {message: hello}}\n"
    experiment = FILES["experiments/spring.yaml"].replace("split: {control: 20%, treatment: 80%}", split)
    write_files(shop, {"campaigns/spring.yaml": campaign, "experiments/spring.yaml": experiment})
    found = load_project(shop).experiment("spring")
    assert found is not None
    assert sum(found.split.values()) == Decimal("0.999999")


def test_specs_are_frozen(shop: Path) -> None:
    experiment = load_project(shop).experiment("spring")
    assert isinstance(experiment, ExperimentSpec)
    with pytest.raises(ValidationError):
        experiment.alpha = Decimal("0.1")  # type: ignore[misc]


@pytest.mark.parametrize(
    ("words", "meant"),
    [
        ("profit per customer above 0 at 95%", Rule("profit_per_customer", "lower", Decimal(0), Decimal("0.95"))),
        (
            "profit_per_customer lower limit above -1.5 at 90%",
            Rule("profit_per_customer", "lower", Decimal("-1.5"), Decimal("0.9")),
        ),
        ("upper limit below 0.3 points", Rule("", "upper", Decimal("0.003"), Decimal("0.95"))),
        ("response rate upper limit below 0.3%", Rule("response_rate", "upper", Decimal("0.003"), Decimal("0.95"))),
        ("above 1 point", Rule("", "lower", Decimal("0.01"), Decimal("0.95"))),
    ],
)
def test_rules(words: str, meant: Rule) -> None:
    read = rule(words)
    assert (read.metric, read.side, read.bound, read.level) == (meant.metric, meant.side, meant.bound, meant.level)
    assert read.text == words
    assert read.metric in {"", *METRICS}


@pytest.mark.parametrize(
    ("words", "limit", "relative"),
    [
        ("under 1%", "0.01", False),
        ("at most 0.5 points", "0.005", False),
        ("at most control + 3%", "0.03", True),
        ("under control+2.5%", "0.025", True),
    ],
)
def test_guards(words: str, limit: str, relative: bool) -> None:
    assert guard(words) == Guard(Decimal(limit), relative_to_control=relative, text=words)


@pytest.mark.parametrize(
    ("written", "fraction"),
    [
        ("20%", "0.2"),
        ("33.3333%", "0.333333"),
        ("0%", "0"),
        ("100%", "1"),
        ("5 %", "0.05"),
        (0, "0"),
        (Decimal("0.2"), "0.2"),
    ],
)
def test_shares(written: object, fraction: str) -> None:
    assert share(written) == Decimal(fraction)


@pytest.mark.parametrize("written", [1, 20, "20", "-5%", "101%", True, False, None, "", "x%", Decimal("1.5"), [], {}])
def test_what_is_no_share(written: object) -> None:
    with pytest.raises(Unreadable, match=r"^wants a share, got "):
        share(written)


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("over 0", RowRule("over", (Decimal(0),))),
        ("at most -1.5", RowRule("at_most", (Decimal("-1.5"),))),
        ("starts C", RowRule("starts", ("C",))),
        ("not starts C", RowRule("starts", ("C",), negated=True)),
        ("not test", RowRule("is", ("test",), negated=True)),
        ("known", RowRule("known")),
        ("unknown", RowRule("known", negated=True)),
        ("paid", RowRule("is", ("paid",))),
        (["paid", 5], RowRule("is", ("paid", 5))),
        (0, RowRule("is", (0,))),
        (True, RowRule("is", (True,))),
        ("overseas", RowRule("is", ("overseas",))),
    ],
)
def test_row_rules(written: object, meant: RowRule) -> None:
    assert row_rule(written) == meant


def test_reading_specs_loads_no_heavy_module() -> None:
    heavy = ["duckdb", "ibis", "numpy", "pandas", "prefect", "pyarrow", "scipy", "sqlalchemy"]
    code = (
        "import pathlib, sys; from campanile.spec.project import load_project as load; load(pathlib.Path(sys.argv[1]))"
    )
    code += f"; print([name for name in {heavy} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code, str(ROOT)], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
