"""Three real shops, against figures that are published or counted by pandas. Skips where ../shared/data is absent."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pandas as pd
import pytest

from campanile.customers.audit.findings import Audit
from campanile.customers.database import CustomerDatabase
from campanile.customers.importing import import_folder, import_tables
from campanile.plan.sound import whole_audit
from campanile.report.audit import judge
from campanile.report.audit_answers import write_audit
from campanile.spec.project import Project, load_project

DATA = Path(__file__).parents[2].parent / "shared" / "data"
SETTINGS = (
    "shop: {{name: Real, currency: {currency}, timezone: UTC}}\nchannels: {{email: {{via: outbox}}}}\n"
    "economics: {{margin_rate: 40%, cost_per_message: {{email: 0.01}}}}\n{mapping}"
)


def real(path: str) -> Path:
    if not (DATA / path).exists():
        pytest.skip(f"{path} is not beside this checkout (../shared/data)")
    return DATA / path


def project_in(folder: Path, currency: str, mapping: str = "") -> Project:
    (folder / "campanile.yaml").write_text(SETTINGS.format(currency=currency, mapping=mapping), encoding="utf-8")
    return load_project(folder)


def counts(found: Audit) -> dict[tuple[str, str, str], tuple[int, int]]:
    """Count and size by check, table and words."""
    return {(each.check, each.table, each.words.split(" ")[-1]): (each.count, each.of) for each in found.findings}


def test_cdnow_is_audited_row_by_row(tmp_path: Path) -> None:
    """69,659 purchases: 255 exact repeats, 80 of nothing, 1,774 customer-days with several."""
    source = real("cdnow/CDNOW_master.txt")
    raw = pd.read_csv(source, sep=r"\s+", skiprows=1, names=["customer_id", "at", "items", "amount"], dtype=str)
    day = pd.to_datetime(raw["at"], format="%Y%m%d")
    folder = tmp_path / "tables"
    folder.mkdir()
    raw.assign(at=day.dt.strftime("%Y-%m-%d")).to_csv(folder / "order.csv", index=False)
    raw[["customer_id"]].drop_duplicates().to_csv(folder / "customers.csv", index=False)
    project = project_in(tmp_path, "USD")
    with CustomerDatabase.open(project) as database:
        import_folder(project, database, folder)
        found = whole_audit(project, database, datetime(1998, 7, 1, tzinfo=UTC))
    cents = (raw["amount"].astype(float) * 100).round().astype(int)
    by_hand = {
        "duplicate_rows": int(raw.duplicated().sum()),
        "zero_amounts": int((cents == 0).sum()),
        "several_a_day": int((raw.groupby(["customer_id", "at"]).size() > 1).sum()),
    }
    assert by_hand == {"duplicate_rows": 255, "zero_amounts": 80, "several_a_day": 1_774}
    faults = {each.check: each.count for each in found.findings if each.count}
    assert faults == by_hand
    assert found.customers == 23_570
    recent = (day >= "1997-07-01") & (cents > 0)
    assert found.value.revenue == int(cents[recent].sum())
    assert (found.value.orders, found.value.buyers) == (int(recent.sum()), raw["customer_id"][recent].nunique())
    assert next(age for age in found.ages if age.table == "order").newest == datetime(1998, 6, 30, tzinfo=UTC)


ONLINE_RETAIL = """\
import:
  customers:
    file: people.parquet
    columns: {customer_id: Customer ID, country: Country}
  bought:
    file: lines.parquet
    columns:
      {order_id: Invoice, at: InvoiceDate, customer_id: Customer ID, sku: StockCode, qty: Quantity,
      amount: {product: [Quantity, Price], money: major}}
"""


@pytest.mark.slow
def test_online_retail_is_audited_line_by_line(tmp_path: Path) -> None:
    """525,461 lines, 107,927 of them without a customer; cancellations and prices of zero stay in."""
    source = real("online_retail_ii/year_2009_2010.parquet")
    raw = pd.read_parquet(source)
    (tmp_path / "runs").mkdir()
    (tmp_path / "runs" / "lines.parquet").symlink_to(source)
    known = raw[raw["Customer ID"].notna()].drop_duplicates()
    people = known.drop_duplicates("Customer ID").iloc[10:]
    people.to_parquet(tmp_path / "runs" / "people.parquet")
    project = project_in(tmp_path, "GBP", ONLINE_RETAIL)
    with CustomerDatabase.open(project) as database:
        import_tables(project, database)
        found = whole_audit(project, database, datetime(2011, 1, 1, tzinfo=UTC))
        paths = write_audit(judge(project, found), tmp_path / "page")
    refused = {each.table: (each.rejected, each.reasons) for each in found.refusals}
    assert refused == {"bought": (107_927, {"no customer_id": 107_927}), "customers": (0, {})}
    # Pence, rounded half away from zero, out of whole ten-thousandths of a pound.
    exact = known["Quantity"].astype(int) * (known["Price"].astype(float) * 10_000).round().astype(int)
    pence = ((exact.abs() + 50) // 100) * exact.map(lambda value: (value > 0) - (value < 0))
    median = pence[pence > 0].median()
    strangers = ~known["Customer ID"].isin(people["Customer ID"])
    columns = ["Invoice", "InvoiceDate", "Customer ID", "StockCode", "Quantity"]
    assert counts(found) == {
        ("rejected_rows", "bought", "import"): (107_927, 525_461),
        ("rejected_rows", "customers", "import"): (0, len(people)),
        ("impossible_dates", "bought", "import"): (0, len(known)),
        ("impossible_amounts", "bought", "zero"): (int((pence < 0).sum()), len(known)),
        ("impossible_amounts", "bought", "median"): (int((pence > 1_000 * median).sum()), len(known)),
        ("zero_amounts", "bought", "zero"): (int((pence == 0).sum()), len(known)),
        ("orders_without_customer", "bought", "have"): (int(strangers.sum()), len(known)),
        ("duplicate_rows", "bought", "everything"): (
            int(known.assign(pence=pence).duplicated([*columns, "pence"]).sum()), len(known)
        ),
        ("unprintable", "customers", "country"): (0, len(people)),
        ("mojibake", "customers", "encoding"): (0, len(people)),
        ("rare_characters", "customers", "country"): (0, len(people)),
    }  # fmt: skip
    assert "107,927 of 525,461 rows of bought (20.54%) were refused" in paths[0].read_text(encoding="utf-8")


JOURNEY = """\
import:
  customers: {file: demographics.parquet, columns: {customer_id: household_id, income_band: income}}
  bought:
    file: transactions.parquet
    columns: {customer_id: household_id, at: transaction_timestamp, order_id: basket_id, sku: product_id,
      qty: quantity, amount: {from: sales_value, money: major}}
  order: {derive: bought}
"""


@pytest.mark.slow
def test_complete_journey_is_audited_basket_by_basket(tmp_path: Path) -> None:
    """1,469,307 lines of 2,469 households, of whom 801 are known by more than their purchases."""
    source = real("complete_journey/transactions.parquet")
    raw = pd.read_parquet(source)
    known = pd.read_parquet(real("complete_journey/demographics.parquet"))
    (tmp_path / "runs").mkdir()
    for name in ("transactions", "demographics"):
        (tmp_path / "runs" / f"{name}.parquet").symlink_to(source.parent / f"{name}.parquet")
    project = project_in(tmp_path, "USD", JOURNEY)
    with CustomerDatabase.open(project) as database:
        import_tables(project, database)
        found = whole_audit(project, database, datetime(2018, 1, 2, tzinfo=UTC))
    lines = raw.drop_duplicates()
    cents = (lines["sales_value"] * 100).round().astype(int)
    stranger = ~lines["household_id"].isin(known["household_id"])
    baskets = lines.assign(cents=cents, stranger=stranger).groupby("basket_id").agg(
        cents=("cents", "sum"), stranger=("stranger", "max")
    )  # fmt: skip
    columns = ["household_id", "transaction_timestamp", "basket_id", "product_id", "quantity"]
    told = counts(found)
    assert (len(raw), found.customers) == (1_469_307, 801)
    assert told["zero_amounts", "bought", "zero"] == (int((cents == 0).sum()), len(lines))
    assert told["zero_amounts", "order", "zero"] == (int((baskets["cents"] == 0).sum()), len(baskets))
    assert told["orders_without_customer", "bought", "have"] == (int(stranger.sum()), len(lines))
    assert told["orders_without_customer", "order", "have"] == (int(baskets["stranger"].sum()), len(baskets))
    repeats = int(lines.assign(cents=cents).duplicated([*columns, "cents"]).sum())
    assert told["duplicate_rows", "bought", "everything"] == (repeats, len(lines))
    assert told["lines_without_order", "bought", "there"][0] == told["orders_without_lines", "order", "line"][0] == 0
    assert told["duplicate_orders", "order", "one"] == (0, len(baskets))
