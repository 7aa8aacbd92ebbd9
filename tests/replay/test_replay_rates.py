"""The real rate of false alarms: five in a hundred where customers are independent, and not where they are not."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from click.testing import CliRunner
from statsmodels.stats.proportion import proportion_confint

from campanile.cli.main import cli
from campanile.errors import CampanileError, UsageError
from campanile.measure.counts import Count
from campanile.measure.rates import rate_p
from campanile.money import Currency
from campanile.privacy import redact
from campanile.replay import told
from campanile.replay.draws import Draws
from campanile.replay.run import Replay, Series, binomial_limits, replay
from campanile.replay.units import past_audience, past_wave
from campanile.spec.project import Project
from conftest import AS_OF
from readout.readout_world import AFTER, ENDS, World, stores
from replay import replay_shop
from replay.replay_shop import rewrite, units_of

CNY = Currency("CNY")
ZONE = ZoneInfo("Asia/Shanghai")


@pytest.fixture(scope="module")
def independent(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Replay]:
    with units_of(replay_shop.shop(tmp_path_factory.mktemp("independent"))) as units:
        yield replay(units, CNY, Series(400))


@pytest.fixture(scope="module")
def clustered(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Replay]:
    """The same shop with every customer in the assignment four times: four rows that always come into one arm."""
    project = replay_shop.shop(tmp_path_factory.mktemp("clustered"))
    rewrite(project, times=4)
    with units_of(project) as units:
        yield replay(units, CNY, Series(200))


def test_the_limits_are_those_of_statsmodels() -> None:
    for hits, trials in ((0, 20), (1, 20), (50, 1000), (20, 20)):
        found = binomial_limits(hits, trials)
        expected = proportion_confint(hits, trials, alpha=0.01, method="beta")
        assert (found.low, found.high) == pytest.approx(expected)


class TestIndependentCustomers:
    def test_every_way_keeps_its_promise(self, independent: Replay) -> None:
        assert {(row.metric, row.way) for row in independent.rows} == {
            (metric, way) for metric in ("response_rate", "revenue_per_customer") for way in ("none", "strata", "past")
        }
        for row in independent.rows:
            assert row.alarms.trials == 400
            assert row.alarms.low < row.alpha < row.alarms.high, row
            assert row.covered.low < 0.95 < row.covered.high, row
        assert independent.judgement == "kept"

    def test_the_sentence_says_so(self, independent: Replay) -> None:
        words = told.sentence(independent)
        assert words.startswith("The p-values can be trusted here: of 400 campaigns that did nothing, ")
        assert "where 5.00% are promised." in words
        assert told.reasons(independent) == ()

    def test_the_alarms_are_counted_as_a_readout_would(self, independent: Replay) -> None:
        draws = Draws(independent.units.rows, independent.split, ("response_rate",))
        alarms = 0
        for number in range(400):
            arms = draws.draw(f"winback:aa:1:{number}").arms
            counts = [Count(arm.statistics.sums["response_rate"], arm.statistics.n) for _, arm in sorted(arms.items())]
            alarms += rate_p(*counts)[0] < 0.05
        (row,) = [row for row in independent.judging if row.metric == "response_rate"]
        assert row.alarms.hits == alarms

    def test_few_replications_are_not_enough(self, independent: Replay) -> None:
        found = replay(independent.units, CNY, Series(40))
        assert found.judgement == "open"
        assert told.sentence(found).startswith("Nothing speaks against the p-values here, but more replications")

    def test_another_split_and_several_arms(self, independent: Replay) -> None:
        split = {"control": Decimal("0.1"), "a": Decimal("0.5"), "b": Decimal("0.4")}
        found = replay(independent.units, CNY, Series(20), split=split)
        assert {row.treatment for row in found.rows} == {"a", "b"}
        assert "control 10%, a 50%, b 40%" in told.text(found)
        assert "response rate, a" in told.text(found)


class TestClusteredCustomers:
    def test_there_are_more_alarms_than_promised_and_it_says_so(self, clustered: Replay) -> None:
        assert clustered.judgement == "above"
        assert all(row.alarms.low > 0.15 for row in clustered.judging)
        words = told.sentence(clustered)
        assert words.startswith("The p-values cannot be trusted here: of 200 campaigns that did nothing")
        assert told.reasons(clustered)[0].startswith("9,000 of 12,000 rows repeat a customer")

    def test_intervals_miss_the_truth_as_often(self, clustered: Replay) -> None:
        assert all(row.covered.high < 0.9 for row in clustered.judging)


def test_page_text_and_values_tell_the_same(independent: Replay, clustered: Replay, tmp_path: Path) -> None:
    for found in (independent, clustered):
        page, values = told.write(found, "winback", tmp_path, ZONE)
        words = page.read_text(encoding="utf-8")
        document = json.loads(values.read_text(encoding="utf-8"))
        assert document == told.values(found, "winback")
        assert document["verdict"]["sentence"] in words
        assert document["verdict"]["sentence"] in told.text(found)
        assert len(words) < 20_000
        assert redact(told.text(found)) == told.text(found)


class TestWhatCannotBeReplayed:
    def test_a_window_that_is_open(self, tmp_path: Path) -> None:
        project, now = replay_shop.shop(tmp_path, 100), ENDS - timedelta(seconds=1)
        with stores(project) as (database, ledger), pytest.raises(CampanileError, match="give --as-of"):
            past_wave(project, "winback", database=database, ledger=ledger, now=now)

    def test_a_campaign_that_was_never_planned(self, tmp_path: Path) -> None:
        project = replay_shop.shop(tmp_path, 100)
        with stores(project) as (database, ledger):
            assert past_wave(project, "spring", database=database, ledger=ledger, now=AFTER) is None

    def test_a_past_whose_window_has_not_ended(self, shop: Project) -> None:
        with (
            stores(shop) as (database, ledger),
            pytest.raises(CampanileError, match="has not ended; go back to 2026-0"),
        ):
            past_audience(shop, "winback", AS_OF, database=database, ledger=ledger, now=AS_OF + timedelta(days=29))

    def test_a_shop_in_which_nobody_bought(self, tmp_path: Path) -> None:
        project = World(tmp_path, {"control": 20, "treatment": 80}).build()
        with units_of(project) as units, pytest.raises(CampanileError, match="0 of 100 customers bought in the window"):
            replay(units, CNY, Series(20))

    @pytest.mark.parametrize(
        ("split", "said"),
        [
            ("control=5%,treatment=90%", "add up to 95%"),
            ("control=5%", "add up to 5%"),
            ("control=100%", "is no split of control and other arms"),
            ("a=50%,b=50%", "is no split of control and other arms"),
            ("control=50%,control=50%", "add up to 50%"),
            ("control=0%,a=100%", "is no split of control and other arms"),
            ("control,a", "cannot read --split"),
            ("control=much,a=50%", "cannot read --split"),
        ],
    )
    def test_a_split_that_is_none(self, shop: Project, split: str, said: str) -> None:
        words = ["aa", "winback", "--split", split, "--project", str(shop.root), "--home", str(shop.home)]
        found = CliRunner().invoke(cli, words)
        assert isinstance(found.exception, UsageError)
        assert said in str(found.exception)

    def test_a_shop_without_waves_is_told_of_as_of(self, shop: Project) -> None:
        words = ["aa", "winback", "--project", str(shop.root), "--home", str(shop.home)]
        found = CliRunner().invoke(cli, words)
        assert "winback has no past wave; give --as-of" in str(found.exception)


def test_a_shop_without_waves_replays_a_target_as_of_a_past_date(shop: Project) -> None:
    here = ["--project", str(shop.root), "--home", str(shop.home)]
    words = ["aa", "winback", "--as-of", "2026-01-15", "--replications", "30", "--json", *here]
    done = CliRunner().invoke(cli, words, catch_exceptions=False)
    found = json.loads(done.stdout)
    assert found["source"] == "the target of winback as of 2026-01-15 00:00 (Asia/Shanghai)"
    assert found["first_due"] == "2026-01-15T02:30:00+00:00"
    assert found["window_ends"] == "2026-02-14T02:30:00+00:00"
    assert found["units"] > found["buyers"] >= 10
    assert found["repeated"] == 0
    assert (shop.home / "aa" / "winback.html").is_file()
