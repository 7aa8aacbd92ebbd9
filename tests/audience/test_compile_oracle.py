"""The compiler against an independent evaluator in plain Python: the same ids for every condition."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
import yaml

from audience.oracle import Oracle
from audience.world import VOCABULARY, World, make_world
from campanile.audience.aggregates import Aggregates
from campanile.audience.compile import compile_condition
from campanile.audience.frame import Frame
from campanile.money import Currency
from campanile.spec.conditions import All
from campanile.spec.grammar import Names, parse_conditions
from campanile.spec.named import Named, read_named

HERE = Path(__file__).parent
SHARED = HERE.parents[2] / "shared" / "reference"


class PlainLoader(yaml.SafeLoader):
    """Safe YAML whose dates stay text, as in the product's own loader."""


PlainLoader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if not tag.endswith("timestamp")]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


def read(path: Path) -> Any:
    return yaml.load(path.read_text(encoding="utf-8"), PlainLoader)


OWN = read(HERE / "conditions.yaml")
SEGMENTS, METRICS = OWN.pop("segments"), OWN.pop("metrics")
MOMENTS = [
    ("Asia/Shanghai", datetime(2026, 3, 1, 1, tzinfo=UTC), tuple(OWN)),
    # Where clocks change, only what depends on time is asked again.
    ("Europe/Madrid", datetime(2026, 3, 31, 22, 30, tzinfo=UTC), ("dates", "windows", "where")),
    ("America/New_York", datetime(2024, 2, 29, 12, tzinfo=UTC), ("dates", "windows", "where")),
]


def named(segments: dict[str, Any], metrics: dict[str, Any]) -> Named:
    problems: list[str] = []
    found = read_named(
        {"segments": segments, "metrics": metrics},
        lambda at, what, cure: problems.append(f"{at}: {what}; {cure}"),
        VOCABULARY,
    )
    assert not problems
    return found


def parse(condition: Any, names: Names) -> All:
    problems: list[str] = []
    parsed = parse_conditions(
        [condition],
        vocabulary=VOCABULARY,
        names=names,
        report=lambda at, what, cure: problems.append(f"{at}: {what}; {cure}"),
    )
    assert parsed, problems
    return All(parsed)


def selected(conditions: list[All], world: World, beside: Named) -> list[set[str]]:
    """The ids of every condition, from one joined relation."""
    tables = world.tables()
    frame = Frame(world.as_of, world.zone, Currency("CNY"), beside.segments, beside.metrics)
    aggregates = Aggregates(tables, frame)  # type: ignore[arg-type]
    verdicts = [compile_condition(condition, aggregates) for condition in conditions]
    joined = aggregates.joined(tables.customers(world.as_of))
    columns = {f"_{index}": verdict(joined) for index, verdict in enumerate(verdicts)}
    rows = joined.select("customer_id", **columns).to_pyarrow().to_pylist()
    assert len(rows) == len(world.customers)
    assert not any(value is None for row in rows for value in row.values())
    return [{row["customer_id"] for row in rows if row[name]} for name in columns]


def differences(conditions: list[Any], segments: Any, metrics: Any, world: World) -> tuple[dict[str, Any], list[Any]]:
    """By condition, ids in which the engine and the oracle differ; and the ids of every condition."""
    beside = named(segments, metrics)
    found = selected([parse(condition, beside.names) for condition in conditions], world, beside)
    oracle = Oracle(world, segments, metrics)
    wrong = {
        str(condition): sorted(ids ^ oracle.ids(condition))[:5]
        for condition, ids in zip(conditions, found, strict=True)
        if ids != oracle.ids(condition)
    }
    return wrong, found


@pytest.mark.parametrize(("zone", "as_of", "families"), MOMENTS)
def test_every_form_selects_whom_the_oracle_selects(zone: str, as_of: datetime, families: tuple[str, ...]) -> None:
    conditions = [condition for family in families for condition in OWN[family]]
    world = make_world([*conditions, *SEGMENTS.values()], seed=as_of.year, as_of=as_of, zone=ZoneInfo(zone))
    wrong, found = differences(conditions, SEGMENTS, METRICS, world)
    assert wrong == {}
    trivial = [ids for ids in found if len(ids) in (0, len(world.customers))]
    assert len(trivial) < len(conditions) / 10


@pytest.mark.slow
@pytest.mark.skipif(not SHARED.exists(), reason="the reference vocabulary ../shared/reference is not here")
@pytest.mark.parametrize(("zone", "as_of", "_families"), MOMENTS)
def test_the_reference_vocabulary_selects_whom_the_oracle_selects(zone: str, as_of: datetime, _families: Any) -> None:
    """All 330 criteria, the 14 examples and the 8 campaigns, at three moments, one of them on 29 February."""
    data = read(SHARED / "segments.yaml")
    conditions = [condition for family in read(SHARED / "vocabulary.yaml") for *_, condition in family["items"]]
    assert len(conditions) == 330
    for target in (*examples(), *scenarios()):
        conditions += [{"all": target["who"]}, *([{"none": target["except"]}] if "except" in target else [])]
    world = make_world([*conditions, *data["segments"].values()], seed=7, as_of=as_of, zone=ZoneInfo(zone))
    wrong, found = differences(conditions, data["segments"], data["metrics"], world)
    assert wrong == {}
    somebody = sum(0 < len(ids) < len(world.customers) for ids in found)
    assert somebody > len(found) * 0.85


def examples() -> list[dict[str, Any]]:
    return [example["target"] for example in read(SHARED / "examples.yaml")]


def scenarios() -> list[dict[str, Any]]:
    return [yaml.load(scenario["spec"], PlainLoader)["target"] for scenario in read(SHARED / "scenarios.yaml")]
