"""The forecast in the engine: against the same customers reckoned one by one, at a moment, kept, and unknown."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import ibis
import numpy as np
import pandas as pd
import pytest

from campanile.customers.database import PROFILE, VALUE_MODELS, CustomerDatabase
from campanile.customers.importing import import_tables
from campanile.customers.profile import refresh_profile
from campanile.customers.value import histories as histories_module
from campanile.customers.value import holdout
from campanile.customers.value.columns import value_report
from campanile.customers.value.fitting import Numbers
from campanile.customers.value.forecast import discounted_orders, forecast
from campanile.customers.value.histories import distinct, histories, told_apart
from campanile.customers.value.models import fitting_moment, model_of
from campanile.spec.project import Project, load_project

AS_OF = datetime(2026, 3, 1, 5, tzinfo=UTC)
FORECASTS = ["p_alive", "expected_orders_12m", "clv_12m"]
SETTINGS = """\
shop: {{name: Test, currency: EUR, timezone: America/New_York}}
channels: {{email: {{via: outbox}}}}
economics: {{margin_rate: 40%, cost_per_message: {{email: 0.01}}}}
policy: {{value: {{refit: {refit}, {value}}}}}
import:
  customers: {{file: people.csv, columns: {{customer_id: Id{columns}}}}}
  order: {{file: orders.csv, columns: {{customer_id: Who, at: {{from: When, zone: UTC}}, order_id: Order{amount}}}}}
"""


def orders_of(customers: int, seed: int) -> pd.DataFrame:
    """Orders over two years of customers who buy and stop by chance."""
    draw = np.random.default_rng(seed)
    rows = []
    for number in range(customers):
        at, rate, stop = draw.uniform(0, 700), draw.gamma(1.2, 1 / 40), draw.beta(1, 5)
        mean = draw.gamma(6, 10)
        while at < 760:
            rows.append((f"c{number}", at, round(mean * draw.gamma(4, 0.25), 2) + 0.01))
            if draw.random() < 0.1:
                rows.append((f"c{number}", at + 0.01, 5.0))
            if draw.random() < stop:
                break
            at += draw.exponential(1 / rate)
    found = pd.DataFrame(rows, columns=["Who", "day", "Paid"])
    begin = pd.Timestamp("2024-02-20")
    found["When"] = (begin + pd.to_timedelta(found["day"], unit="D")).dt.strftime("%Y-%m-%d %H:%M:%S")
    return found.assign(Order=range(len(found)))


def write_shop(
    root: Path,
    orders: pd.DataFrame,
    *,
    value: str = "",
    columns: str = "",
    amount: str = ", amount: Paid",
    refit: str = "1d",
) -> Project:
    root.mkdir(parents=True, exist_ok=True)
    people = sorted({*orders["Who"], "nobody"})
    (root / "people.csv").write_text("Id,Alive\n" + "".join(f"{who},0.5\n" for who in people))
    orders.to_csv(root / "orders.csv", index=False)
    (root / "campanile.yaml").write_text(SETTINGS.format(value=value, columns=columns, amount=amount, refit=refit))
    return load_project(root)


def opened(project: Project) -> CustomerDatabase:
    database = CustomerDatabase.open(project)
    import_tables(project, database, now=AS_OF + timedelta(days=60))
    return database


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory):
    orders = orders_of(900, seed=3)
    project = write_shop(tmp_path_factory.mktemp("shop"), orders)
    with opened(project) as database:
        yield project, database, orders


def by_hand(orders: pd.DataFrame, as_of: datetime) -> pd.DataFrame:
    """x, t_x, T and cents of repeat days of every customer, from the rows, on the calendar of New York."""
    local = pd.to_datetime(orders["When"]).dt.tz_localize("UTC")
    known = orders.assign(day=local.dt.tz_convert("America/New_York").dt.date)[local < as_of]
    cents = (known["Paid"] * 100).round().astype(int)
    days = known.assign(cents=cents).groupby(["Who", "day"], as_index=False)["cents"].sum().sort_values("day")
    people = days.groupby("Who").agg(first=("day", "first"), last=("day", "last"), days=("day", "size"))
    spent = days.groupby("Who")["cents"].sum() - days.groupby("Who")["cents"].first()
    today = pd.Timestamp(as_of).tz_convert("America/New_York").date()
    return pd.DataFrame({
        "x": people["days"] - 1,
        "t_x": [(last - first).days for first, last in zip(people["first"], people["last"], strict=True)],
        "T": [(today - first).days for first in people["first"]],
        "spent": spent,
    })  # fmt: skip


def in_engine(rows: ibis.Table) -> pd.DataFrame:
    return rows.to_pandas().set_index("customer_id").sort_index()


def floats(*columns: pd.Series) -> list[Numbers]:
    return [column.to_numpy(float) for column in columns]


@pytest.mark.parametrize("as_of", [AS_OF, datetime(2025, 2, 28, 23, tzinfo=UTC)])
def test_histories_are_those_counted_by_hand(shop, as_of):
    project, database, orders = shop
    found, hand = in_engine(histories(project, database, as_of)), by_hand(orders, as_of).sort_index()
    assert list(found.index) == list(hand.index)
    for column in hand.columns:
        assert (found[column] == hand[column]).all(), column


def test_every_customer_has_the_forecast_of_the_formulas(shop):
    project, database, orders = shop
    model, found = model_of(project, database, AS_OF), in_engine(forecast(project, database, AS_OF))
    hand = by_hand(orders, AS_OF).sort_index()
    x, t_x, age, spent = floats(hand["x"], hand["t_x"] / 7, hand["T"] / 7, hand["spent"] / 100)
    expected, discounted = discounted_orders(model.orders, 0.1, x, t_x, age)
    mean = np.divide(spent, x, out=np.zeros_like(x), where=x > 0)
    assert found["p_alive"].to_numpy() == pytest.approx(model.orders.p_alive(x, t_x, age))
    assert found["expected_orders_12m"].to_numpy() == pytest.approx(expected)
    assert found["clv_12m"].to_numpy() == pytest.approx(40 * discounted * model.money.expected(x, mean), abs=0.51)
    assert found["clv_12m"].dtype == "int64"


def test_a_margin_and_a_discount_change_the_money_alone(shop):
    project, database, _ = shop
    settings = project.settings
    dear = settings.policy.value.model_copy(update={"discount": 0.5})
    policy = settings.policy.model_copy(update={"value": dear})
    other = Project(**{**vars(project), "settings": settings.model_copy(update={"policy": policy})})
    before, after = (in_engine(forecast(each, database, AS_OF)) for each in (project, other))
    assert (before["expected_orders_12m"] == after["expected_orders_12m"]).all()
    assert 0.75 < after["clv_12m"].sum() / before["clv_12m"].sum() < 0.9


def test_what_happens_later_changes_nothing(shop, tmp_path):
    project, database, orders = shop
    begin = pd.to_datetime(orders["When"]).dt.tz_localize("UTC")
    past = datetime(2025, 9, 1, tzinfo=UTC)
    with opened(write_shop(tmp_path, orders[begin < past])) as short:
        then = in_engine(forecast(project, short, past))
    assert then.equals(in_engine(forecast(project, database, past)))


def test_too_many_histories_are_told_to_the_week(shop, monkeypatch):
    project, database, _ = shop
    exact = histories(project, database, AS_OF)
    monkeypatch.setattr(histories_module, "MOST_DISTINCT", 400)
    assert distinct(exact).num_rows > 400
    coarse = in_engine(told_apart(exact))
    assert len(coarse.drop_duplicates(["x", "t_x", "T"])) <= 400
    fine = in_engine(exact)
    assert (coarse["T"] - fine["T"]).abs().max() <= 45
    assert (coarse["t_x"] <= coarse["T"]).all()
    rough = in_engine(forecast(project, database, AS_OF))
    monkeypatch.undo()
    right = in_engine(forecast(project, database, AS_OF))
    assert rough["expected_orders_12m"].sum() == pytest.approx(right["expected_orders_12m"].sum(), rel=0.05)


def test_too_many_amounts_are_told_apart_by_half_a_percent(shop, monkeypatch):
    project, database, _ = shop
    rows = histories(project, database, AS_OF)
    exact = histories_module.spending(rows, 100)
    monkeypatch.setattr(histories_module, "MOST_DISTINCT", 50)
    rough = histories_module.spending(rows, 100)
    assert len(rough.x) < len(exact.x)
    assert rough.customers == exact.customers
    assert (rough.count * rough.x) @ rough.mean == pytest.approx((exact.count * exact.x) @ exact.mean)


def test_the_holdout_counts_what_was_bought_since(shop):
    project, database, orders = shop
    found = holdout.check(project, database, AS_OF)
    cut = datetime(2025, 12, 1, 5, tzinfo=UTC)  # midnight in New York
    hand = by_hand(orders, cut)
    local = pd.to_datetime(orders["When"]).dt.tz_localize("UTC")
    later = orders[(local >= cut) & (local < AS_OF) & orders["Who"].isin(hand.index)]
    days = pd.to_datetime(later["When"]).dt.tz_localize("UTC").dt.tz_convert("America/New_York").dt.date
    assert found.actual == len(later.assign(day=days)[["Who", "day"]].drop_duplicates())
    assert (found.days, found.customers) == (90, len(hand))
    assert found.expected == pytest.approx(found.actual, rel=0.2)
    assert sum(part.actual * part.customers for part in found.parts) == pytest.approx(found.actual)
    assert [part.expected for part in found.parts] == sorted((part.expected for part in found.parts), reverse=True)
    assert found.parts[0].actual > 3 * max(found.parts[-1].actual, 0.05)


def test_models_are_kept_until_their_day_is_over_or_orders_have_changed(tmp_path):
    orders = orders_of(300, seed=5)
    project = write_shop(tmp_path, orders, refit="30d")
    moment = fitting_moment(project, AS_OF)
    assert AS_OF - timedelta(days=30) < moment <= AS_OF
    assert fitting_moment(project, moment) == moment
    assert fitting_moment(project, moment - timedelta(minutes=1)) < moment - timedelta(days=29)
    with opened(project) as database:
        first = model_of(project, database, moment)
        again = model_of(project, database, moment + timedelta(days=29))
        assert (first, len(database.own(VALUE_MODELS).to_pyarrow())) == (again, 1)
        assert first.fitted_at == moment
        late = orders.head(1).assign(Order="late", When="2024-03-01 12:00:00")
        pd.concat([orders, late]).to_csv(tmp_path / "orders.csv", index=False)
        import_tables(project, database)
        assert model_of(project, database, moment).customers in {first.customers, first.customers + 1}
        assert len(database.own(VALUE_MODELS).to_pyarrow()) == 2


@pytest.mark.parametrize(
    ("orders", "value", "sentence"),
    [
        (orders_of(20, 3), "", "customers had bought on a second day; it wants 100"),
        (orders_of(150, 3).drop_duplicates("Who"), "", "only 0 customers had bought on a second day"),
        (orders_of(300, 3), "history: 10d", "customers had bought on a second day"),
    ],
)  # fmt: skip
def test_without_enough_to_learn_from_forecasts_are_unknown_and_the_report_says_why(tmp_path, orders, value, sentence):
    project = write_shop(tmp_path, orders, value=value)
    with opened(project) as database:
        report = refresh_profile(project, database, AS_OF)
        rows = database.own(PROFILE).select(*FORECASTS).to_pyarrow().to_pylist()
    assert [row for row in rows if any(value is not None for value in row.values())] == []
    assert sentence in report.text(project.zone)
    assert report.value.holdout is None
    assert report.to_json()["value"]["model"]["orders"] is None


def test_without_amounts_money_alone_is_unknown(tmp_path):
    project = write_shop(tmp_path, orders_of(300, 3), amount="")
    with opened(project) as database:
        report = refresh_profile(project, database, AS_OF)
        rows = database.own(PROFILE).to_pandas()
    assert rows["clv_12m"].isna().all()
    assert rows["p_alive"].notna().sum() == report.buyers
    assert "no forecast of money: only 0 customers have repeat orders with an amount" in report.text(project.zone)


def test_a_profile_has_forecasts_of_buyers_and_an_imported_one_wins(tmp_path):
    project = write_shop(tmp_path, orders_of(300, 3), columns=", p_alive: Alive")
    with opened(project) as database:
        report = refresh_profile(project, database, AS_OF)
        rows = database.customers(AS_OF).to_pandas().set_index("customer_id")
    assert (rows["p_alive"] == 0.5).all()
    assert rows["clv_12m"].notna().sum() == report.buyers
    assert pd.isna(rows.loc["nobody", "clv_12m"])
    assert "made (" in report.text(project.zone)


def test_a_shop_without_orders_has_no_forecast(tmp_path):
    project = write_shop(tmp_path, orders_of(5, 3))
    database = CustomerDatabase.open(project)
    import_tables(project, database, only=["customers"])
    report = refresh_profile(project, database, AS_OF)
    assert value_report(project, database, AS_OF).holdout is None
    assert "no forecast of orders: the shop has imported none" in report.text(project.zone)
    database.close()
