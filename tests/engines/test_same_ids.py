"""Promise 7: PostgreSQL and Spark select whom the oracle in plain Python selects, as DuckDB does."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import ibis
import pytest

from audience.oracle import Oracle
from audience.test_compile_oracle import (
    METRICS,
    MOMENTS,
    OWN,
    SEGMENTS,
    SHARED,
    examples,
    named,
    parse,
    read,
    scenarios,
)
from audience.world import World, make_world
from campanile.audience.aggregates import Aggregates
from campanile.audience.compile import compile_condition
from campanile.audience.frame import Frame
from campanile.customers import engine
from campanile.design.assign import assign
from campanile.money import Currency
from campanile.spec.conditions import All
from campanile.spec.named import Named
from design.test_assign import FINE, reference
from engines.places import Elsewhere, place_on

#: Conditions asked in one query: a person asks ten, and a plan of hundreds costs more to make than to run.
TOGETHER = {"postgres": 20, "spark": 40}


def selected(
    conditions: list[All], tables: Elsewhere, world: World, beside: Named, together: int
) -> Iterator[set[str]]:
    """The ids of every condition."""
    frame = Frame(world.as_of, world.zone, Currency("CNY"), beside.segments, beside.metrics)
    for start in range(0, len(conditions), together):
        aggregates = Aggregates(tables, frame)  # type: ignore[arg-type]
        verdicts = [compile_condition(each, aggregates) for each in conditions[start : start + together]]
        joined = aggregates.joined(tables.customers(world.as_of))
        columns = {f"_{index}": verdict(joined) for index, verdict in enumerate(verdicts)}
        rows = joined.select("customer_id", **columns).to_pyarrow().to_pylist()
        assert len(rows) == len(world.customers)
        assert not any(value is None for row in rows for value in row.values())
        for name in columns:
            yield {row["customer_id"] for row in rows if row[name]}


def arms(units: list[dict[str, Any]], backend: Any, place: tuple[str, str]) -> dict[str, tuple[str, str]]:
    """Arm and stratum of every unit, as the engine assigns them."""
    kinds = ibis.schema({"customer_id": "string", "asked": "int64"})
    table = ibis.memtable(units, schema=kinds).to_pyarrow()
    engine.load(backend, "units", kinds, table.to_batches(), database=place)
    there = assign(backend.table("units", database=place), split=FINE, stratify=["asked"], salt="salt:1")
    rows = there.select("customer_id", "arm", "stratum").to_pyarrow().to_pylist()
    return {row["customer_id"]: (row["arm"], row["stratum"]) for row in rows}


def differences(
    conditions: list[Any], segments: Any, metrics: Any, world: World, *, name: str, folder: Path
) -> tuple[dict[str, Any], int]:
    """By condition, ids in which the engine and the oracle differ; how many conditions tell customers apart.

    The arms of those ids, split there condition by condition, must be those of plain Python as well.
    """
    beside = named(segments, metrics)
    parsed = [parse(condition, beside.names) for condition in conditions]
    with place_on(name, folder) as (backend, place):
        found = list(selected(parsed, Elsewhere(world, backend, place), world, beside, TOGETHER[name]))
        asked = [(number, each) for number, ids in enumerate(found) for each in ids]
        units = [{"customer_id": f"{number} {each}", "asked": number} for number, each in asked]
        assert arms(units, backend, place) == reference(units, FINE, ["asked"], "salt:1")
    oracle = Oracle(world, segments, metrics)
    expected = [oracle.ids(condition) for condition in conditions]
    wrong = {
        str(condition): sorted(ids ^ wanted)[:5]
        for condition, ids, wanted in zip(conditions, found, expected, strict=True)
        if ids != wanted
    }
    return wrong, sum(0 < len(ids) < len(world.customers) for ids in found)


def test_postgres_selects_whom_the_oracle_selects(tmp_path: Path) -> None:
    """A part of what `make test-engines` asks, wherever a server answers."""
    zone, as_of, families = MOMENTS[-1]
    conditions = [condition for family in families for condition in OWN[family]][::3]
    world = make_world(conditions, seed=4, as_of=as_of, zone=ZoneInfo(zone), customers=80)
    wrong, telling = differences(conditions, SEGMENTS, METRICS, world, name="postgres", folder=tmp_path)
    assert wrong == {}
    assert telling > len(conditions) / 2


@pytest.mark.engines
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("name", ["postgres", "spark"])
@pytest.mark.parametrize(("zone", "as_of", "_families"), MOMENTS)
def test_every_form_selects_whom_the_oracle_selects(
    zone: str, as_of: datetime, _families: Any, name: str, tmp_path: Path
) -> None:
    conditions = [condition for family in OWN for condition in OWN[family]]
    world = make_world([*conditions, *SEGMENTS.values()], seed=as_of.year, as_of=as_of, zone=ZoneInfo(zone))
    wrong, telling = differences(conditions, SEGMENTS, METRICS, world, name=name, folder=tmp_path)
    assert wrong == {}
    assert telling > len(conditions) * 0.85


@pytest.mark.engines
@pytest.mark.timeout(3600)
@pytest.mark.skipif(not SHARED.exists(), reason="the reference vocabulary ../shared/reference is not here")
@pytest.mark.parametrize("name", ["postgres", "spark"])
@pytest.mark.parametrize(("zone", "as_of", "_families"), MOMENTS)
def test_the_reference_vocabulary_selects_whom_the_oracle_selects(
    zone: str, as_of: datetime, _families: Any, name: str, tmp_path: Path
) -> None:
    """All 330 criteria, the 14 examples and the 8 campaigns, at three moments, one of them on 29 February."""
    data = read(SHARED / "segments.yaml")
    conditions = [condition for family in read(SHARED / "vocabulary.yaml") for *_, condition in family["items"]]
    assert len(conditions) == 330
    for target in (*examples(), *scenarios()):
        conditions += [{"all": target["who"]}, *([{"none": target["except"]}] if "except" in target else [])]
    world = make_world([*conditions, *data["segments"].values()], seed=7, as_of=as_of, zone=ZoneInfo(zone))
    wrong, telling = differences(conditions, data["segments"], data["metrics"], world, name=name, folder=tmp_path)
    assert wrong == {}
    assert telling > len(conditions) * 0.85
