"""The same table of units by tea-tasting, in an interpreter that has it: five metrics, all units and every level.

Imports nothing of the product, because tea-tasting lives in an environment of its own.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

METRICS = ("responded", "orders", "revenue", "margin", "profit")


def analysed(path: str, cuts: list[str]) -> Callable[[], Any]:
    """Answers with size and means by arm. Aggregates come from DuckDB through Ibis, as tea-tasting advises."""
    import ibis
    import tea_tasting as tt

    connection = ibis.duckdb.connect()
    units = connection.read_parquet(path)
    experiment = tt.Experiment({name: tt.Mean(name) for name in METRICS})

    def work() -> Any:
        whole = experiment.analyze(_by_variant(units), control="control")
        for cut in cuts:
            levels = sorted(units.select(cut).distinct().to_pyarrow()[cut].to_pylist())
            for level in levels:
                experiment.analyze(_by_variant(units.filter(units[cut] == level)), control="control")
        found = [whole[name] for name in METRICS]
        return {"control": [part.control for part in found], "treatment": [part.treatment for part in found]}

    return work


def _by_variant(units: Any) -> Any:
    """The units with their arm under the name that tea-tasting looks for."""
    return units.rename(variant="arm")
