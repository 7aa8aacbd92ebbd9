"""The registry as a table: one row per experiment, readout and comparison, with the money of its treatment.

Amounts are in major units of `currency`; shares are fractions; what is withheld is empty.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from campanile import clock
from campanile.customers.engine.files import whole_file
from campanile.errors import CampanileError, UsageError, cure_of
from campanile.registry.entries import Entry, design_of
from campanile.registry.kept import Reading
from campanile.report.files import write_text

_TEXT = (
    "experiment", "kind", "state", "reading", "read_at", "hypothesis", "window", "currency", "decision",
    "failed_checks", "metric", "metric_kind", "treatment", "control", "cut", "level", "interval_method", "p_method",
)  # fmt: skip
_WHOLE = ("n_treatment", "n_control")
_COMPARED = (
    "mean_treatment", "mean_control", "difference", "low", "high", "p_value", "p_adjusted", "lift", "lift_low",
    "lift_high", "alpha",
)  # fmt: skip
_PAID = (
    "incremental_responders", "incremental_revenue", "incremental_revenue_low", "incremental_revenue_high",
    "incremental_margin", "incremental_profit", "profit_low", "profit_high", "profit_per_unit", "roi", "roi_low",
    "roi_high", "roi_media", "iroas", "cost", "cost_full", "cost_per_incremental_order", "break_even_difference",
    "organic_share", "holdout_cost", "claimed_without_control",
)  # fmt: skip
SCHEMA = pa.schema(
    [
        *((name, pa.string()) for name in _TEXT),
        ("primary", pa.bool_()),
        *((name, pa.int64()) for name in _WHOLE),
        *((name, pa.float64()) for name in (*_COMPARED, *_PAID)),
    ]
)
_OF_A_ROW = (
    "metric", "treatment", "control", "cut", "level", "interval_method", "p_method", *_WHOLE, *_COMPARED,
)  # fmt: skip
#: How the file may end.
KINDS = (".csv", ".json", ".parquet")


def rows(entries: Iterable[Entry], *, every: bool = False) -> Iterator[dict[str, Any]]:
    """The rows of every readout, or of each experiment's latest; one without figures while effects are withheld."""
    for entry in entries:
        latest = [entry.latest] if entry.latest else []
        for reading in entry.readings if every else latest:
            yield from _rows(entry, reading)


def _rows(entry: Entry, reading: Reading) -> Iterator[dict[str, Any]]:
    design = design_of(reading)
    head = {
        **dict.fromkeys(SCHEMA.names),
        "experiment": entry.name,
        "kind": entry.kind,
        "state": entry.state,
        "reading": reading.name,
        "read_at": clock.iso(reading.read_at),
        "hypothesis": design.hypothesis,
        "window": design.window or None,
        "currency": reading.currency,
        "decision": reading.decision,
        "failed_checks": " ".join(reading.failed),
    }
    paid = {row["treatment"]: row for row in reading.values["economics"]}
    comparisons = reading.values["comparisons"]
    if not comparisons:
        yield head
    # Economics are of a treatment against control, all customers together: no other row carries them.
    control = next((row["control"] for row in comparisons if row["treatment"] in paid), None)
    for row in comparisons:
        whole = row["cut"] is None and row["control"] == control
        money = paid.get(row["treatment"], {}) if whole else {}
        yield {
            **head,
            "metric_kind": row["kind"],
            "primary": row["metric"] == design.primary,
            **{name: row.get(name) for name in _OF_A_ROW},
            **{name: money.get(name) for name in _PAID},
        }


def export(entries: Iterable[Entry], path: Path, *, every: bool = False) -> int:
    """How many rows the file now holds; its ending says in which form.

    Raises:
        UsageError: The file ends in another way.
        CampanileError: It cannot be written.
    """
    if path.suffix not in KINDS:
        raise UsageError(f"{path.name} is none of {', '.join(KINDS)}", f"name it registry{KINDS[0]}")
    found = list(rows(entries, every=every))
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.suffix == ".parquet":
            with whole_file(path) as file:
                pq.write_table(pa.Table.from_pylist(found, SCHEMA), file)
        elif path.suffix == ".json":
            document = {"contract": 1, "rows": found}
            write_text(path, json.dumps(document, ensure_ascii=False, indent=2, allow_nan=False) + "\n")
        else:
            write_text(path, _csv(found))
    except OSError as error:
        raise CampanileError(f"{path} cannot be written ({error.strerror})", cure_of(error)) from error
    return len(found)


def _csv(found: Iterable[dict[str, Any]]) -> str:
    buffer = io.StringIO()
    writer = csv.DictWriter(buffer, SCHEMA.names, lineterminator="\n")
    writer.writeheader()
    writer.writerows(found)
    return buffer.getvalue()
