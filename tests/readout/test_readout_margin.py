"""What margin is a share of: net revenue, or list prices, where a discount is lost in full."""

from __future__ import annotations

from pathlib import Path

import pytest

from campanile.errors import CampanileError
from campanile.events import CONTROL
from campanile.measure.compare import amount_method
from campanile.measure.types import ArmStatistics
from campanile.report.readout import Readout
from campanile.spec.project import Project
from readout.readout_world import FILES, World, golden, read, stores

OF_LIST = {
    **FILES,
    "campanile.yaml": FILES["campanile.yaml"].replace("margin_rate: 40%", "margin_rate: 40%, margin_of: list"),
}


@pytest.fixture
def of_list(tmp_path: Path) -> Readout:
    shop = golden(tmp_path)
    shop.files = OF_LIST
    return read(shop.build())


def test_a_discount_is_lost_in_full(of_list: Readout) -> None:
    """The golden case by hand, in yuan, with 4,000 of coupons among the treated and none in control.

    Net: 40% × (79,200 / 8,000 − 12,320 / 2,000) × 8,000 − 900 = 11,068. List: treated 40% × 83,200 − 4,000 = 29,280, or
    3.66 each; control 2.464 each; (3.66 − 2.464) × 8,000 = 9,568; less 400 of contact and 500 fixed: 8,668.
    """
    margins = {arm.arm: arm.metrics["margin_per_customer"].mean for arm in of_list.arms}
    assert margins == {CONTROL: pytest.approx(246.4), "treatment": pytest.approx(366.0)}
    paid = of_list.economics[0]
    assert paid.incremental_margin == pytest.approx(956_800)
    assert paid.incremental_profit == pytest.approx(866_800)
    assert paid.claimed_without_control == pytest.approx(2_928_000 - 90_000)


def test_the_interval_is_that_of_the_customers_own_margins(of_list: Readout) -> None:
    treated = [12_000 - 3_000] * 80 + [12_000] * 184 + [0] * (8000 - 264)
    control = [11_200] * 44 + [0] * (2000 - 44)
    arms = [ArmStatistics.from_values(name, {"margin": each}) for name, each in ((CONTROL, control), ("mail", treated))]
    method = amount_method(*arms, "margin")
    assert method is not None
    margin = of_list.against_control("margin_per_customer")[0]
    # The engine counts parts of a minor unit, whose classes of amount have other borders.
    assert (margin.low, margin.high) == pytest.approx(method.interval_of(*arms, "margin", 0.05), rel=1e-4)
    profit = of_list.against_control("profit_per_customer")[0]
    assert (profit.low, profit.high) == pytest.approx((margin.low - 5, margin.high - 5))
    assert profit.p_value == pytest.approx(method.p_of(*arms, "margin", 5.0), rel=1e-3)


def test_the_readout_says_of_what(of_list: Readout, tmp_path: Path) -> None:
    assert "margin 40% of list prices, less discounts" in dict(of_list.terms)["Economics"]
    assert "margin 40% of net revenue" in dict(read(golden(tmp_path / "net").build()).terms)["Economics"]


def test_orders_without_a_discount_are_said(tmp_path: Path) -> None:
    shop = World(tmp_path, {CONTROL: 20, "treatment": 80}, files=OF_LIST)
    shop.buy(CONTROL, [100] * 5)
    project = shop.build()
    _drop_discounts(project)
    with pytest.raises(CampanileError, match="the orders have no discount; map `discount` of `order`"):
        read(project)


def _drop_discounts(project: Project) -> None:
    with stores(project) as (database, _):
        database.ibis.raw_sql('ALTER TABLE "order" DROP COLUMN discount')
