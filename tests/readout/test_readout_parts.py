"""The effect seen otherwise and in parts, against figures worked out from the rows by pandas and statsmodels."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
from scipy import stats

from campanile.report.compose import document
from campanile.report.jsonable import jsonable
from campanile.report.markdown import markdown
from campanile.report.readout import Otherwise, Readout
from readout.readout_world import DUE, FILES, Order, World, read

ARMS = {"control": 900, "treatment": 2100}
TIERS = ("1", "2", "3")
#: Of the first and the second order; those who bought often before order in the last two.
CHANNELS = ("web", "store", "")
EXPERIMENT = (
    FILES["experiments/winback.yaml"].replace("20%, treatment: 80%", "30%, treatment: 70%")
    + "cuts: [city_tier, region]\n"
)


def rows() -> pd.DataFrame:
    """One row per assigned customer: who bought before buys again, and the campaign moves tier 1 alone."""
    draw = np.random.default_rng(11)
    people = [(arm, f"{arm[:3]}{number:05d}") for arm, size in ARMS.items() for number in range(size)]
    table = pd.DataFrame(people, columns=["arm", "customer"])
    table["tier"] = draw.choice(TIERS, len(table), p=[0.3, 0.3, 0.4])
    table["before"] = draw.poisson(1.2, len(table))
    treated = (table["arm"] == "treatment") & (table["tier"] == "1")
    bought = draw.random(len(table)) < 0.05 + 0.05 * table["before"] + 0.2 * treated
    table["orders"] = bought * (1 + draw.binomial(1, 0.3, len(table)))
    table["each"] = 1000 + 500 * table["before"] + draw.integers(0, 900, len(table))
    table["reached"] = (table["arm"] == "treatment") & (draw.random(len(table)) < 0.9)
    # Two sales areas with a handful of customers: nothing is said of either alone.
    table["area"] = ["few" if row % 400 == 0 else None if row % 401 == 0 else "many" for row in range(len(table))]
    return table


@pytest.fixture(scope="module")
def table() -> pd.DataFrame:
    found = rows()
    return found.assign(revenue=found["orders"] * found["each"], responded=(found["orders"] > 0).astype(int))


def world(root: Path, table: pd.DataFrame, experiment: str = EXPERIMENT) -> World:
    orders = [
        Order(
            row.customer,
            int(row.each),
            timedelta(days=1 + number),
            order_id=f"{row.customer}-{number}",
            channel=CHANNELS[number + (row.before > 2)],
        )
        for row in table.itertuples()
        for number in range(row.orders)
    ]
    lost = table[(table["arm"] == "treatment") & ~table["reached"]]
    return World(
        root,
        ARMS,
        orders=orders,
        pre_orders=dict(zip(table["customer"], table["before"].map(int), strict=True)),
        strata=dict(zip(table["customer"], table["tier"], strict=True)),
        cuts={
            "city_tier": dict(zip(table["customer"], table["tier"], strict=True)),
            "region": {row.customer: row.area for row in table.itertuples() if isinstance(row.area, str)},
        },
        states=dict.fromkeys(lost["customer"], "rejected"),
        files={**FILES, "experiments/winback.yaml": experiment},
    )


@pytest.fixture(scope="module")
def readout(tmp_path_factory: pytest.TempPathFactory, table: pd.DataFrame) -> Readout:
    return read(world(tmp_path_factory.mktemp("parts"), table).build())


def seen(readout: Readout, way: str, metric: str) -> Otherwise:
    return next(each for each in readout.otherwise if (each.way, each.comparison.metric) == (way, metric))


def means(table: pd.DataFrame, column: str) -> pd.Series:
    return table.groupby("arm")[column].mean()


def test_strata_weigh_as_much_as_in_the_whole_audience(readout: Readout, table: pd.DataFrame) -> None:
    by_tier = table.groupby(["tier", "arm"])["revenue"].agg(["mean", "var", "count"]).unstack()
    weight = table["tier"].value_counts(normalize=True)
    difference = ((by_tier["mean"]["treatment"] - by_tier["mean"]["control"]) * weight).sum()
    variance = sum((weight**2 * by_tier["var"][arm] / by_tier["count"][arm]).sum() for arm in ("control", "treatment"))
    found = seen(readout, "strata", "revenue_per_customer")
    assert found.comparison.difference == pytest.approx(difference)
    plain = sum(part["revenue"].var() / len(part) for _, part in table.groupby("arm"))
    assert found.reduction == pytest.approx(1 - variance / plain)


def test_past_is_the_slope_of_a_regression_on_arm_and_earlier_orders(readout: Readout, table: pd.DataFrame) -> None:
    """With one covariate in two units (orders and their worth go together here) it is one regression."""
    predictors = sm.add_constant(np.column_stack([table["arm"] == "treatment", table["before"]]).astype(float))
    slope = sm.OLS(table["revenue"].astype(float), predictors).fit().params
    found = seen(readout, "past", "revenue_per_customer")
    assert found.comparison.difference == pytest.approx(slope.iloc[1], rel=1e-6)
    assert 0.05 < found.reduction < 0.6
    assert found.comparison.interval_method.endswith(", CUPED")


def test_among_the_reached_it_is_the_effect_over_the_share_reached(readout: Readout, table: pd.DataFrame) -> None:
    found = seen(readout, "reached", "response_rate")
    whole = means(table, "responded")
    share = table.loc[table["arm"] == "treatment", "reached"].mean()
    assert found.share == pytest.approx(share)
    assert found.comparison.difference == pytest.approx((whole["treatment"] - whole["control"]) / share)


def test_order_value_is_revenue_over_orders(readout: Readout, table: pd.DataFrame) -> None:
    sums = table.groupby("arm")[["revenue", "orders"]].sum()
    found = seen(readout, "ratio", "order_value").comparison
    assert found.mean_treatment == pytest.approx(sums["revenue"]["treatment"] / sums["orders"]["treatment"])
    assert found.mean_control == pytest.approx(sums["revenue"]["control"] / sums["orders"]["control"])


def test_parts_are_those_of_the_rows_and_add_up_to_the_whole(readout: Readout, table: pd.DataFrame) -> None:
    parts = [
        each.comparison
        for each in readout.parts
        if (each.comparison.cut, each.comparison.metric) == ("city_tier", "response_rate")
    ]
    assert [found.level for found in parts] == list(TIERS)
    for found in parts:
        level = table[table["tier"] == found.level]
        sizes, rates = level["arm"].value_counts(), means(level, "responded")
        assert (found.n_treatment, found.n_control) == (sizes["treatment"], sizes["control"])
        assert found.mean_treatment == pytest.approx(rates["treatment"])
        assert found.mean_control == pytest.approx(rates["control"])
    assert sum(found.n_treatment + found.n_control for found in parts) == len(table)


def test_profit_of_a_part_pays_for_its_own_messages(readout: Readout, table: pd.DataFrame) -> None:
    found = next(
        each.comparison
        for each in readout.parts
        if (each.comparison.cut, each.comparison.metric, each.comparison.level)
        == ("city_tier", "profit_per_customer", "2")
    )
    level = table[table["tier"] == "2"]
    earned = means(level.assign(margin=0.4 * level["revenue"]), "margin")
    messages = level.loc[level["arm"] == "treatment", "reached"].mean()
    assert found.difference == pytest.approx(earned["treatment"] - earned["control"] - 5 * messages)


def test_channels_are_those_of_the_orders_and_add_up(readout: Readout, table: pd.DataFrame) -> None:
    orders = table.loc[table.index.repeat(table["orders"])].copy()
    number = orders.groupby("customer").cumcount() + (orders["before"] > 2)
    orders["channel"] = number.map(lambda place: CHANNELS[place] or "unknown")
    spent = orders.groupby(["channel", "customer"])["each"].sum()
    assert {found.level for found in readout.channels} == set(orders["channel"])
    for found in readout.channels:
        each = spent[found.level].reindex(table["customer"], fill_value=0).to_numpy()
        arms = {arm: each[(table["arm"] == arm).to_numpy()] for arm in ARMS}
        assert found.mean_treatment == pytest.approx(arms["treatment"].mean())
        assert found.mean_control == pytest.approx(arms["control"].mean())
        if found.interval_method == "Welch":
            limits = stats.ttest_ind(arms["treatment"], arms["control"], equal_var=False).confidence_interval()
            assert (found.low, found.high) == pytest.approx(tuple(limits))
    whole = next(found for found in readout.comparisons if found.metric == "revenue_per_customer")
    assert sum(found.difference for found in readout.channels) == pytest.approx(whole.difference)
    assert "## Where did the money come in?" in markdown(document(readout))


def test_a_cut_that_matters_is_told_from_one_that_does_not(readout: Readout) -> None:
    p_values = {found.cut: found.p_value for found in readout.heterogeneity if found.metric == "response_rate"}
    assert p_values["city_tier"] < 0.001
    shrunken = {
        each.comparison.level: each.shrunken
        for each in readout.parts
        if (each.comparison.cut, each.comparison.metric) == ("city_tier", "profit_per_customer")
    }
    assert max(shrunken, key=shrunken.get) == "1"


def test_levels_with_a_handful_of_customers_are_taken_together_or_left_out(readout: Readout) -> None:
    levels = {each.comparison.level for each in readout.parts if each.comparison.cut == "region"}
    assert levels == {"many"}


def test_registered_adjustment_judges(tmp_path: Path, table: pd.DataFrame, readout: Readout) -> None:
    adjusted = read(world(tmp_path, table, EXPERIMENT + "adjust: past\n").build())
    for metric in ("response_rate", "revenue_per_customer"):
        judged = next(found for found in adjusted.comparisons if found.metric == metric)
        beside = seen(readout, "past", metric).comparison
        assert (judged.difference, judged.low, judged.high) == (beside.difference, beside.low, beside.high)
    plain = next(found for found in readout.comparisons if found.metric == "profit_per_customer")
    profit = next(found for found in adjusted.comparisons if found.metric == "profit_per_customer")
    assert profit.high - profit.low < plain.high - plain.low
    assert profit.p_value < plain.p_value < 0.05


def test_before_the_window_ends_no_part_is_shown(tmp_path: Path, table: pd.DataFrame) -> None:
    early = read(world(tmp_path, table).build(), now=DUE + timedelta(days=9))
    assert (early.parts, early.otherwise, early.heterogeneity) == ((), (), ())


def test_report_says_for_whom(readout: Readout) -> None:
    text = markdown(document(readout))
    assert "## For whom? By city\\_tier" in text
    assert "Best guess for the next time: 1 brings most" in text
    assert "No level is shown to lose money." in text
    assert "among those reached (" in text
    values = jsonable(readout)
    parts = [found for found in values["comparisons"] if found["cut"]]
    assert {found["level"] for found in parts if found["cut"] == "city_tier"} == set(TIERS)
    assert all(found["low_all_levels"] <= found["difference"] <= found["high_all_levels"] for found in parts)
    assert {found["way"] for found in values["otherwise"]} == {"strata", "past", "reached", "ratio"}


def test_ways_that_disagree_are_said_to(readout: Readout) -> None:
    found = seen(readout, "past", "revenue_per_customer")
    turned = replace(found, comparison=replace(found.comparison, low=-2.0, high=-1.0))
    text = markdown(document(replace(readout, otherwise=(turned,))))
    assert "They disagree: treatment against control" in text
