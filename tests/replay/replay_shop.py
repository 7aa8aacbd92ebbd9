"""A shop whose campaign has run, its customers independent of one another, or each of them several times."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from campanile.replay.units import Units, past_wave
from campanile.spec.project import Project
from readout.readout_world import AFTER, Order, World, stores


def shop(root: Path, customers: int = 3000, *, seed: int = 1, rate: float = 0.06) -> Project:
    """A shop that did nothing to anybody: one customer in sixteen buys, for uneven amounts, and some bought before."""
    rng = np.random.default_rng(seed)
    world = World(root, {"control": customers // 5, "treatment": customers - customers // 5})
    for arm in world.arms:
        for customer in world.customers(arm):
            before = int(rng.poisson(0.5))
            world.pre_orders[customer] = before
            for _ in range(rng.binomial(2, rate / 2 * (0.5 + before))):
                after = timedelta(days=float(rng.uniform(0, 29)))
                world.orders.append(Order(customer, int(rng.lognormal(8, 1)), after))
    project = world.build()
    rewrite(project, strata=[f"s{number}" for number in rng.integers(0, 4, customers)])
    return project


def rewrite(project: Project, *, strata: list[str] | None = None, times: int = 1) -> None:
    """Gives the assignment strata, or writes every row of it several times."""
    (path,) = project.snapshots_dir.glob("*/*.parquet")
    table = pq.read_table(path)
    if strata is not None:
        place = table.schema.get_field_index("stratum")
        table = table.set_column(place, "stratum", pa.array(strata))
    pq.write_table(pa.concat_tables([table] * times), path)


@contextmanager
def units_of(project: Project) -> Iterator[Units]:
    """The units of the wave, with the stores open."""
    with stores(project) as (database, ledger):
        found = past_wave(project, "winback", database=database, ledger=ledger, now=AFTER)
        assert found is not None
        yield found
