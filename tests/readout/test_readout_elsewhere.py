"""Experiments run elsewhere: against pandas, scipy and statsmodels; what cannot be a result is refused in sentences."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml
from click.testing import CliRunner
from scipy import stats
from statsmodels.stats.meta_analysis import combine_effects
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.proportion import confint_proportions_2indep, proportions_ztest

from campanile.cli.main import cli, main
from campanile.customers import engine

#: Hillstrom's published counts: units, visits.
ARMS = {"No E-Mail": (21306, 2262), "Mens E-Mail": (21307, 3894), "Womens E-Mail": (21387, 3238)}
SPEC: dict[str, Any] = {
    "hypothesis": "E-mail lifts visits.",
    "from": {"arm": "segment", "control": "No E-Mail", "unit": None},
    "metrics": {"visit": {"column": "visit", "kind": "rate"}, "spend": {"column": "spend", "kind": "money"}},
    "cuts": ["zip_code"],
    "economics": {
        "margin_rate": "40%",
        "cost_per_unit": {"Mens E-Mail": "COST", "Womens E-Mail": "COST"},
        "fixed": 0,
    },
    "split": dict.fromkeys(ARMS, "33.3333%"),
}


@pytest.fixture(scope="module")
def units() -> pd.DataFrame:
    rng = np.random.default_rng(20260301)
    parts = []
    for arm, (n, visits) in ARMS.items():
        visit = np.arange(n) < visits
        spend = np.where(np.arange(n) < visits // 10, rng.lognormal(4, 1, n).round(2), 0.0)
        zips = rng.choice(["Urban", "Rural", "Surburban"], n, p=[0.4, 0.15, 0.45])
        parts.append(pd.DataFrame({"segment": arm, "visit": visit.astype(int), "spend": spend, "zip_code": zips}))
    return pd.concat(parts).sample(frac=1, random_state=1)


@pytest.fixture(scope="module")
def readout(units: pd.DataFrame, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    return read(units, tmp_path_factory.mktemp("readout"), name="units.parquet")


def written(spec: dict[str, Any], folder: Path) -> Path:
    path = folder / "exp.yaml"
    path.write_text(yaml.safe_dump(spec, sort_keys=False).replace("COST", "0.01"), encoding="utf-8")
    return path


def read(frame: pd.DataFrame, folder: Path, *, name: str = "units.csv", **changes: Any) -> dict[str, Any]:
    table = folder / name
    frame.to_parquet(table, index=False) if name.endswith("parquet") else frame.to_csv(table, index=False)
    spec = written({key: value for key, value in {**SPEC, **changes}.items() if value is not ...}, folder)
    words = ["readout", "--from", str(table), "--experiment", str(spec), "--project", str(folder), "--json"]
    done = CliRunner().invoke(cli, words, catch_exceptions=False)
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def refused(frame: pd.DataFrame, folder: Path, capsys: pytest.CaptureFixture[str], **changes: Any) -> str:
    table = folder / "units.csv"
    frame.to_csv(table, index=False)
    spec = written({key: value for key, value in {**SPEC, **changes}.items() if value is not ...}, folder)
    with pytest.raises(SystemExit) as stopped:
        main(["readout", "--from", str(table), "--experiment", str(spec), "--project", str(folder), "--json"])
    assert stopped.value.code in (1, 2)
    answer = json.loads(capsys.readouterr().out)
    assert set(answer) == {"contract", "error", "problems"}
    return str(answer["error"])


def flat(value: Any, at: str = "") -> dict[str, float]:
    """Every number of a document by its place."""
    if isinstance(value, dict | list):
        items = value.items() if isinstance(value, dict) else enumerate(value)
        return {place: number for key, each in items for place, number in flat(each, f"{at}.{key}").items()}
    return {at: float(value)} if isinstance(value, int | float) else {}


def of(found: dict[str, Any], metric: str, treatment: str, level: str | None = None) -> dict[str, Any]:
    rows: list[dict[str, Any]] = [
        row
        for row in found["comparisons"]
        if (row["metric"], row["treatment"], row["level"]) == (metric, treatment, level)
    ]
    assert len(rows) == 1
    return rows[0]


def test_rates_are_those_of_the_published_table(readout: dict[str, Any]) -> None:
    found = readout
    assert found["contract"] == 1
    assert found["trust"]["srm"]["p_value"] == pytest.approx(stats.chisquare([21306, 21307, 21387]).pvalue)
    (n_c, x_c), p_values = ARMS["No E-Mail"], []
    for arm in ("Mens E-Mail", "Womens E-Mail"):
        n, x = ARMS[arm]
        row = of(found, "visit", arm)
        low, high = confint_proportions_2indep(x, n, x_c, n_c, method="newcomb")
        assert row["difference"] == pytest.approx(x / n - x_c / n_c)
        assert (row["low"], row["high"]) == pytest.approx((low, high), abs=1e-9)
        p_values.append(proportions_ztest([x, x_c], [n, n_c])[1])
        assert row["p_value"] == pytest.approx(p_values[-1], rel=1e-6)
    holm = multipletests(p_values, method="holm")[1]
    assert [of(found, "visit", arm)["p_adjusted"] for arm in list(ARMS)[1:]] == pytest.approx(list(holm), rel=1e-6)


def test_numbers_of_a_parquet_file_are_what_their_digits_say(tmp_path: Path) -> None:
    """Also amounts that add up to more than eight bytes hold, empty cells, and sums of money with many decimals."""
    rng = np.random.default_rng(3)
    amounts = rng.choice([0, 1e11, 123456789.123456, -5.5, 0.000001, np.nan, 3e9 + 0.25], 2000)
    frame = pd.DataFrame(
        {
            "segment": np.where(rng.random(2000) < 0.3, "No E-Mail", "Mens E-Mail"),
            "visit": (rng.random(2000) < 0.1).astype(int),
            "spend": np.where(rng.random(2000) < 0.2, rng.lognormal(4, 2, 2000).round(2), 0),
            "other": amounts,
        }
    )
    metrics = {**SPEC["metrics"], "other": {"column": "other", "kind": "money", "negative": True}}
    changes = {"metrics": metrics, "cuts": ..., "split": ..., "economics": ...}
    found = [read(frame, tmp_path, name=f"units.{kind}", **changes)["arms"] for kind in ("parquet", "csv")]
    assert found[0] == found[1]
    by_arm = frame.groupby("segment")["other"].sum()
    sums = {arm["arm"]: arm["metrics"]["other"]["sum"] for arm in found[0]}
    assert sums == pytest.approx(by_arm.to_dict())


def test_the_cells_are_read_once_into_a_file_that_is_removed(
    units: pd.DataFrame, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temp"))
    (tmp_path / "temp").mkdir()
    written = []
    whole = engine.in_a_file
    monkeypatch.setattr(engine, "in_a_file", lambda relation: written.append(relation.count()) or whole(relation))
    read(units.head(2000), tmp_path)
    assert len(written) == 1
    assert list((tmp_path / "temp").iterdir()) == []


def test_sums_means_and_variances_are_those_of_pandas(units: pd.DataFrame, readout: dict[str, Any]) -> None:
    found = readout
    expected = units.groupby("segment")["spend"].agg(["size", "sum", "mean", "var"])
    assert [arm["arm"] for arm in found["arms"]] == list(ARMS)
    for arm in found["arms"]:
        row, spend = expected.loc[arm["arm"]], arm["metrics"]["spend"]
        assert arm["n"] == row["size"]
        assert (spend["sum"], spend["mean"], spend["variance"]) == pytest.approx((row["sum"], row["mean"], row["var"]))


def test_the_account_follows_from_the_comparisons(units: pd.DataFrame, readout: dict[str, Any]) -> None:
    found = readout
    for paid in found["economics"]:
        n = ARMS[paid["treatment"]][0]
        spend = of(found, "spend", paid["treatment"])
        assert paid["cost"] == pytest.approx(0.01 * n)
        assert paid["incremental_revenue"] == pytest.approx(spend["difference"] * n)
        assert paid["incremental_profit"] == pytest.approx(0.4 * spend["difference"] * n - 0.01 * n)
        assert paid["profit_per_unit"] == pytest.approx(paid["incremental_profit"] / n)
        assert paid["roi"] == pytest.approx(paid["incremental_profit"] / paid["cost"])
        assert paid["profit_low"] < paid["incremental_profit"] < paid["profit_high"]
        mean = units.loc[units.segment == paid["treatment"], "spend"].mean()
        assert paid["claimed_without_control"] == pytest.approx(0.4 * mean * n - 0.01 * n)


def test_heterogeneity_and_parts_are_those_of_statsmodels(units: pd.DataFrame, readout: dict[str, Any]) -> None:
    found = readout
    grouped = units.groupby(["segment", "zip_code"])["spend"].agg(["mean", "var", "size"])
    for arm in ("Mens E-Mail", "Womens E-Mail"):
        effects = grouped.loc[arm, "mean"] - grouped.loc["No E-Mail", "mean"]
        variances = (grouped["var"] / grouped["size"]).groupby("zip_code")
        pooled = grouped.loc[arm].eval("var / size") + grouped.loc["No E-Mail"].eval("var / size")
        oracle = combine_effects(effects.to_numpy(), pooled.to_numpy(), method_re="dl")
        test = next(row for row in found["heterogeneity"] if (row["metric"], row["treatment"]) == ("spend", arm))
        assert test["statistic"] == pytest.approx(oracle.q)
        assert test["p_value"] == pytest.approx(stats.chi2.sf(oracle.q, 2))
        assert test["between_sd"] ** 2 == pytest.approx(max(oracle.tau2, 0), abs=1e-9)
        assert test["pooled"] == pytest.approx(oracle.mean_effect_fe)
        for level, effect in effects.items():
            row = of(found, "spend", arm, str(level))
            assert row["difference"] == pytest.approx(effect)
            assert (row["shrunken"] - test["pooled"]) * (effect - test["pooled"]) >= 0
            assert abs(row["shrunken"] - test["pooled"]) <= abs(effect - test["pooled"]) + 1e-9
        assert len(variances) == 3
    p_values = [row["p_value"] for row in found["comparisons"] if row["cut"] and row["metric"] == "visit"]
    adjusted = [row["p_adjusted"] for row in found["comparisons"] if row["cut"] and row["metric"] == "visit"]
    for start in (0, 3):
        oracle_bh = multipletests(p_values[start : start + 3], method="fdr_bh")[1]
        assert adjusted[start : start + 3] == pytest.approx(list(oracle_bh), rel=1e-6)


def test_neither_the_order_of_rows_nor_the_names_of_arms_decide(
    units: pd.DataFrame, readout: dict[str, Any], tmp_path: Path
) -> None:
    first = readout
    assert flat(read(units.sort_values("spend"), tmp_path)) == pytest.approx(flat(first), rel=1e-9)
    names = {"No E-Mail": "c", "Mens E-Mail": "b", "Womens E-Mail": "a"}
    renamed = units.assign(segment=units.segment.map(names))
    changes = {
        "from": {"arm": "segment", "control": "c", "unit": None},
        "split": {names[arm]: share for arm, share in SPEC["split"].items()},
        "economics": {"margin_rate": "40%", "cost_per_unit": {"b": "COST", "a": "COST"}},
    }
    second = read(renamed, tmp_path, **changes)
    assert of(second, "spend", "b")["low"] == of(first, "spend", "Mens E-Mail")["low"]
    assert second["verdict"]["decision"] == first["verdict"]["decision"]


def test_another_currency_scales_money_and_nothing_else(
    units: pd.DataFrame, readout: dict[str, Any], tmp_path: Path
) -> None:
    """To four digits: amounts are counted by class, and seven times an amount may fall to the next class."""
    first, second = readout, read(units.assign(spend=units.spend * 7), tmp_path)
    for arm in ("Mens E-Mail", "Womens E-Mail"):
        one, seven = of(first, "spend", arm), of(second, "spend", arm)
        assert seven["low"] == pytest.approx(one["low"] * 7, rel=1e-4)
        assert seven["p_value"] == pytest.approx(one["p_value"], rel=1e-3)
        assert seven["lift_high"] == pytest.approx(one["lift_high"], rel=1e-4)


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"from": {"arm": "segment", "control": None, "unit": None}}, "no control that was drawn at random"),
        ({"randomised": False}, "not drawn at random"),
    ],
)
def test_without_a_randomised_control_nothing_is_claimed(
    units: pd.DataFrame, tmp_path: Path, changes: dict[str, Any], sentence: str
) -> None:
    found = read(units, tmp_path, **changes)
    assert found["verdict"]["decision"] == "no_verdict"
    assert sentence in found["verdict"]["sentence"]
    assert found["comparisons"] == found["economics"] == found["heterogeneity"] == []


def test_arms_that_differ_beforehand_were_not_drawn_by_chance(units: pd.DataFrame, tmp_path: Path) -> None:
    """A table that calls itself randomised, but whose treated were chosen."""
    chosen = units[~((units.segment == "No E-Mail") & (units.zip_code == "Urban") & (np.arange(len(units)) % 3 == 0))]
    found = read(chosen, tmp_path, split=...)
    assert found["verdict"]["decision"] == "no_verdict"
    assert "zip_code" in found["verdict"]["sentence"]
    assert found["comparisons"] == []


def test_a_split_that_was_not_kept_ends_trust(units: pd.DataFrame, tmp_path: Path) -> None:
    found = read(
        units.iloc[: len(units) - 1], tmp_path, split={"No E-Mail": "40%", "Mens E-Mail": "30%", "Womens E-Mail": "30%"}
    )
    assert found["trust"]["srm"]["alarm"] is True
    assert found["verdict"]["decision"] == "no_verdict"


def test_a_broken_guard_stops(units: pd.DataFrame, tmp_path: Path) -> None:
    left = units.assign(left=(units.segment != "No E-Mail") & (np.arange(len(units)) % 20 == 0))
    metrics = {**SPEC["metrics"], "left": {"column": "left", "kind": "rate"}}
    found = read(left, tmp_path, metrics=metrics, guards={"left": "under 1%"})
    assert found["verdict"]["decision"] == "stop"
    assert {guard["state"] for guard in found["guards"]} == {"broken"}


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda frame: frame[frame.segment != "Mens E-Mail"], 'no unit is in arm "Mens E-Mail"'),
        (lambda frame: frame[frame.segment != "No E-Mail"], 'no unit is in arm "No E-Mail", the control'),
        (lambda frame: frame.replace({"segment": {"Mens E-Mail": "Men"}}), 'arm "Men" is not in the split'),
        (
            lambda frame: frame.assign(spend=frame.spend.astype(str).replace("0.0", "none")),
            'of "spend" are not a number',
        ),
        (lambda frame: frame.assign(spend=-frame.spend), 'have "spend" below zero'),
        (lambda frame: frame.assign(visit=0), '"visit" is 0 for every unit'),
        (lambda frame: frame.assign(visit=frame.visit * 2), 'of "visit" are not 0 or 1'),
        (lambda frame: frame.drop(columns="visit"), 'no column "visit"'),
        (lambda frame: frame.assign(segment=None), "there is no row with an arm"),
        (lambda frame: frame.head(0), "there is no row with an arm"),
        (lambda frame: frame.assign(zip_code=range(len(frame))), "has 64,000 levels"),
        (lambda frame: frame.assign(spend=float("inf")), "are not a number"),
    ],
)
def test_what_cannot_be_a_result_is_refused(
    units: pd.DataFrame, tmp_path: Path, capsys: pytest.CaptureFixture[str], change: Any, sentence: str
) -> None:
    assert sentence in refused(change(units), tmp_path, capsys)


def test_units_that_repeat(units: pd.DataFrame, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source = {"arm": "segment", "control": "No E-Mail", "unit": "id"}
    twice = units.assign(id=np.arange(len(units)) // 2)
    assert "are in two arms" in refused(twice, tmp_path, capsys, **{"from": source})
    same = units.sort_values("segment").head(21306 // 2 * 2).assign(id=lambda frame: np.arange(len(frame)) // 2)
    other = units[units.segment != "Mens E-Mail"].assign(id=lambda frame: np.arange(len(frame)) + 10**6)
    assert 'rows repeat a "id"' in refused(pd.concat([same, other]), tmp_path, capsys, **{"from": source})


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"metrics": {}}, "there is no metric"),
        ({"primary": {"metric": "visits"}}, 'did you mean "visit"?'),
        ({"split": {"No E-Mail": "50%", "Mens E-Mail": "60%"}}, "add up to 110%"),
        ({"decide": {"roll_out": "visit above 1"}}, "needs a unit"),
        ({"colour": "red"}, 'unknown key "colour"'),
        ({"from": {"arm": "segment", "control": "Control", "unit": None}}, 'the split has no arm "Control"'),
        ({"guards": {"spend": "under 1%"}}, "is no rate"),
    ],
)
def test_what_the_file_cannot_mean_is_refused_with_its_line(
    units: pd.DataFrame, tmp_path: Path, capsys: pytest.CaptureFixture[str], changes: dict[str, Any], sentence: str
) -> None:
    told = refused(units.head(50), tmp_path, capsys, **changes)
    assert sentence in told
    assert told.startswith("exp.yaml:")


def test_a_file_that_is_no_table(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "units.csv").write_bytes(b"PK\x03\x04\xff\xfe\x00rubbish")
    spec = written(SPEC, tmp_path)
    for table in ("units.csv", "absent.csv"):
        with pytest.raises(SystemExit):
            main(["readout", "--from", str(tmp_path / table), "--experiment", str(spec), "--project", str(tmp_path)])
        assert "Traceback" not in capsys.readouterr().err


def test_no_effect_is_found_where_there_is_none(tmp_path: Path) -> None:
    """A/A: of 25 tables without an effect, few are called effects."""
    rng = np.random.default_rng(5)
    alarms = 0
    for _ in range(25):
        n = 2000
        frame = pd.DataFrame({"segment": rng.choice(["No E-Mail", "Mens E-Mail"], n), "visit": rng.random(n) < 0.05})
        frame["spend"] = np.where(frame.visit, rng.lognormal(3, 1, n).round(2), 0)
        found = read(frame, tmp_path, cuts=[], split=..., economics=...)
        alarms += of(found, "visit", "Mens E-Mail")["p_value"] < 0.05
    assert alarms <= stats.binom.ppf(0.999, 25, 0.05)
