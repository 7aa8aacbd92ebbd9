"""What a snapshot says of the time before a campaign."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

from campanile.plan.snapshot import snapshot_relation
from readout.readout_world import DUE, Order, World, stores

DAY = timedelta(days=1)


def test_money_before_is_net_of_returns_without_a_known_order(tmp_path: Path) -> None:
    world = World(tmp_path, {"control": 2, "treatment": 2})
    world.orders = [Order("con00000", 500, -20 * DAY, order_id="A"), Order("con00001", 300, -50 * DAY, order_id="B")]
    world.returned = [
        ("A", "con00000", 100, -19 * DAY),
        ("?", "con00000", 30, -18 * DAY),
        ("?", "con00001", 40, -17 * DAY),
        ("?", "tre00000", 50, -60 * DAY),
    ]
    project = world.build()
    with stores(project) as (database, _):
        found = snapshot_relation(
            database.table("customers"),
            database,
            project=project,
            timing=project.campaign("winback").timing,
            before=(DUE - 30 * DAY, DUE),
        )
        rows = {row["customer_id"]: row for row in found.to_pyarrow().to_pylist()}
    assert {name: (row["pre_orders"], row["pre_revenue"]) for name, row in rows.items()} == {
        "con00000": (1, 370),
        "con00001": (0, -40),
        "tre00000": (0, 0),
        "tre00001": (0, 0),
    }
